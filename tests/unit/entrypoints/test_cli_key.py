"""Two machines on one store, each with a signing key of its own: the second is told before it does harm."""

import pytest

from tests.unit.entrypoints.test_cli import om  # noqa: F401  a fixture

FOREIGN = "signed with another key"


@pytest.fixture
def second(om, tmp_path, monkeypatch):  # noqa: F811
    """`om` of a second machine, on a store that the first one has made a model in."""
    om("models", "put", "LinearRegression", "m")
    monkeypatch.setenv("OMEGA_STORE", (tmp_path / "home" / "store").as_uri())
    monkeypatch.setenv("OMEGA_HOME", str(tmp_path / "second"))
    return om


@pytest.mark.parametrize(
    "arguments",
    [
        ("runtime", "worker"),
        ("runtime", "key"),
        ("models", "list"),
        ("models", "put", "LinearRegression", "n"),
    ],
    ids=" ".join,
)
def test_it_is_told_in_one_sentence_what_to_do(second, tmp_path, arguments):
    told = second(*arguments, code=1)
    assert told.startswith("om: ") and told.count("\n") == 1
    assert FOREIGN in told and str(tmp_path / "second" / "signing.key") in told
    assert "OMEGA_SIGNING_KEY_FILE" in told and "om runtime key --adopt" in told


def test_datasets_need_no_key(second):
    assert second("datasets", "list", "--json").strip() == "[]"


def test_with_a_copy_of_the_key_it_is_as_good_as_the_first(second, tmp_path, monkeypatch):
    monkeypatch.setenv("OMEGA_SIGNING_KEY_FILE", str(tmp_path / "home" / "signing.key"))
    assert str(tmp_path / "home" / "signing.key") in second("runtime", "key")
    second("models", "get", "m", "-o", "m.joblib")
    monkeypatch.setenv("OMEGA_SIGNING_KEY_FILE", str(tmp_path / "nowhere"))
    told = second("models", "list", code=1)
    assert "nowhere is missing" in told and told.count("\n") == 1 and not (tmp_path / "nowhere").exists()


def test_where_the_key_is_lost_the_store_can_be_given_another(second, tmp_path, monkeypatch):
    second("runtime", "key", "--adopt")
    second("models", "put", "LinearRegression", "n")
    assert "not signed by this installation" in second("models", "get", "m", "-o", "m.joblib", code=1)
    second("models", "get", "n", "-o", "n.joblib")
    monkeypatch.setenv("OMEGA_HOME", str(tmp_path / "home"))
    assert FOREIGN in second("models", "list", code=1)
