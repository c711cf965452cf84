"""`om runtime serve` with rules and keys, `om rules check` and `om auth`, called in process."""

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from omega.domain.errors import BadInput
from omega.entrypoints.cli.main import main
from omega.entrypoints.settings import Settings, load


@pytest.fixture
def om(tmp_path, monkeypatch, capfd):
    for name in ("OMEGA_STORE", "OMEGA_RESTAPI_FILTER", "OMEGA_RESTAPI_RULES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMEGA_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments, code=0):
        monkeypatch.setattr(sys, "argv", ["om", *arguments])
        with pytest.raises(SystemExit) as done:
            main()
        found = capfd.readouterr()
        assert done.value.code == code, found
        assert "Traceback" not in found.err
        return found

    return run


@pytest.fixture
def serve(om, monkeypatch):
    """`om runtime serve` that serves nothing: the settings that it would have served with, and its words."""
    found: list[Settings] = []
    monkeypatch.setattr("omega.entrypoints.http.server.serve", lambda **how: None)
    monkeypatch.setattr(Settings, "export", lambda self: found.append(self))

    def run(*arguments, code=0):
        found.clear()
        said = om("runtime", "serve", "--no-worker", *arguments, code=code)
        assert len(found) == (code == 0)
        return (found[0].access_rules if found else None), said.err

    return run


def test_rules_of_the_command_line_a_file_and_the_environment(serve, monkeypatch):
    assert serve() == (None, "")
    Path("rules.txt").write_text("# rules.txt\nmodel/.*/.*\n\n  scripts/.*/.*  # too\n")
    assert serve(".*/.*/.*")[0] == (".*/.*/.*",)
    assert serve("--rules", "rules.txt")[0] == ("model/.*/.*", "scripts/.*/.*")
    assert serve("dataset", "--rules", "rules.txt", "job")[0] == (
        "dataset",
        "job",
        "model/.*/.*",
        "scripts/.*/.*",
    )
    monkeypatch.setenv("OMEGA_RESTAPI_FILTER", " model/.*/.* ;; job/j/run;")
    assert serve()[0] == ("model/.*/.*", "job/j/run")
    assert serve("dataset")[0] == ("dataset",)
    monkeypatch.setenv("OMEGA_RESTAPI_FILTER", "(")
    assert serve("dataset")[0] == ("dataset",)


@pytest.mark.parametrize(
    ("arguments", "filter", "words"),
    [
        (("",), None, "the command line holds no rule"),
        (("  ", ""), None, "the command line holds no rule"),
        (("model/(/x",), None, "the name in rule 'model/(/x' is not a regular expression"),
        (("model", "dataset/"), None, "rule 'dataset/' ends in a slash"),
        (("--rules", "empty.txt"), None, "file 'empty.txt' holds no rule"),
        (("model", "--rules", "empty.txt"), None, "file 'empty.txt' holds no rule"),
        (("", "--rules", "good.txt"), None, "the command line holds no rule"),
        (("--rules", "bad.txt"), None, "is not a regular expression"),
        (("--rules", "binary.txt"), None, "'binary.txt' is not UTF-8 text"),
        (("--rules", "none.txt"), None, "cannot read 'none.txt'"),
        (("--rules", "."), None, "cannot read '.'"),
        ((), "", "OMEGA_RESTAPI_FILTER holds no rule"),
        ((), " ; ", "OMEGA_RESTAPI_FILTER holds no rule"),
        ((), "model;[", "the resource in rule '['"),
    ],
)
def test_rules_that_cannot_be_used_stop_the_start(serve, monkeypatch, arguments, filter, words):
    Path("empty.txt").write_text("# nothing\n\n")
    Path("good.txt").write_text("model")
    Path("bad.txt").write_text("model\n*/x/y\n")
    Path("binary.txt").write_bytes(b"model\xff")
    if filter is not None:
        monkeypatch.setenv("OMEGA_RESTAPI_FILTER", filter)
    assert words in serve(*arguments, code=2)[1]


def test_a_rule_that_can_match_nothing_is_warned_of(serve):
    rules, said = serve("modle/.*/.*", "dataset/d/get")
    assert rules == ("modle/.*/.*", "dataset/d/get")
    why = "there is no resource 'modle', did you mean 'model'?"
    assert said.splitlines()[0] == f"om: warning: rule 'modle/.*/.*' can match nothing: {why}"


@pytest.mark.parametrize("rules", [None, ("model/a;b/.*", "x\\;y", 'dataset/"é"/get', "#")])
def test_the_processes_of_a_server_find_its_rules(tmp_path, rules):
    settings = Settings(tmp_path, "memory://", access_rules=rules)
    assert load(environ=settings.environment()).access_rules == rules
    # What they say wins over the variable that the server itself was started with.
    if rules is not None:
        assert load(environ={"OMEGA_RESTAPI_FILTER": "other", **settings.environment()}).access_rules == rules
    assert load(environ=settings.within_a_task("store")).access_rules is None


def test_an_address_of_others_takes_keys(serve, om):
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.com"):
        assert "no key is needed" in serve("--host", host, code=1)[1]
    serve("--host", "0.0.0.0", "--insecure")
    serve("--host", "127.0.0.1")
    om("auth", "add", "alice")
    serve("--host", "0.0.0.0")
    om("auth", "remove", "alice")
    serve("--host", "0.0.0.0")
    om("auth", "disable")
    serve("--host", "0.0.0.0", code=1)
    serve("--host", "0.0.0.0", "--store", "memory://", code=1)


@pytest.mark.parametrize("text", ["", "model", "1", "null"])
def test_what_is_not_for_people_to_set_opens_nothing(tmp_path, text):
    with pytest.raises(BadInput, match="set OMEGA_RESTAPI_FILTER"):
        load(home=tmp_path, environ={"OMEGA_RESTAPI_RULES": text})


# om rules check


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        (("model/.*/.*", "GET", "/api/v1/model/foo"), "allow\n  model/foo/metadata: by rule 'model/.*/.*'\n"),
        (
            ("model/foo/predict", "GET", "/api/v1/model/foo/"),
            "deny\n  model/foo/metadata: no rule allows it\n",
        ),
        (
            (
                "model/foo/predict",
                "dataset/x/get",
                "head",
                "http://h:1/api/v1/model/foo/predict/?datax=x[a]@2",
            ),
            "allow\n  model/foo/predict: by rule 'model/foo/predict'\n"
            "  dataset/x/get: by rule 'dataset/x/get'\n",
        ),
        (
            ("model", "PUT", "/api/v1/model/m/fit?datax=x"),
            "deny\n  model/m/fit: by rule 'model'\n  dataset/x/get: no rule allows it\n",
        ),
        (("model", "POST", "/api/v1/model/", "--name", "m"), "allow\n  model/m/create: by rule 'model'\n"),
        (
            ("--rules", "rules.txt", "POST", "/api/v1/script/s/run"),
            "allow\n  script/s/run: by rule 'scripts'\n",
        ),
        (("GET", "/api/v1/job/"), "allow\n  job//list: there are no rules, so that everything is allowed\n"),
        (
            ("job/foo_1/export", "GET", "/api/v1/job/export/foo_1"),
            "allow\n  job/foo_1.ipynb/export: by rule 'job/foo_1/export'\n",
        ),
    ],
)
def test_rules_are_tried_out(om, arguments, out):
    Path("rules.txt").write_text("scripts\n")
    assert om("rules", "check", *arguments).out == out


def test_rules_of_the_environment_are_tried_out_too(om, monkeypatch):
    monkeypatch.setenv("OMEGA_RESTAPI_FILTER", "dataset/d/get;modle")
    found = json.loads(om("rules", "check", "GET", "/api/v1/dataset/d", "--json").out)
    assert found["allowed"] is True
    assert found["rights"] == [{"right": "dataset/d/get", "allowed": True, "rule": "dataset/d/get"}]
    (warning,) = found["warnings"]
    assert "did you mean 'model'" in warning


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("GET",), 2, "a METHOD and a URL"),
        (("(", "GET", "/api/v1/dataset/"), 2, "is not a regular expression"),
        (("model", "POST", "/api/v1/model/"), 1, "--name"),
        (("model", "GET", "/x"), 1, "nothing at /x"),
        (("model", "GET", "/api/v1/model/a:b"), 1, "illegal model name"),
    ],
)
def test_what_cannot_be_tried_out(om, arguments, code, words):
    assert words in om("rules", "check", *arguments, code=code).err


# om auth


def test_keys_are_made_listed_and_removed(om):
    made = om(
        "auth",
        "add",
        "alice",
        "--rule",
        "model/foo/.*",
        "--rule",
        "dataset",
        "--bucket",
        "team",
        "--expires",
        "2199-01-31",
    )
    key = made.out.strip()
    assert re.fullmatch("omk_[0-9a-z]{26}_[A-Za-z0-9_-]{43}", key)
    assert "ApiKey alice:KEY" in made.err
    json.loads(om("auth", "add", "bob", "--json").out)
    found = om("auth", "list")
    assert "model/foo/.*; dataset" in found.out
    assert "2199-02-01 00:00:00" in found.out
    assert "a key is needed" in found.err
    assert key[-43:] not in found.out + om("auth", "list", "--json").out
    assert om("auth", "remove", "alice").out == "removed 1 key of alice\n"
    assert om("auth", "remove", "alice", code=1).err == "om: user 'alice' has no key\n"
    listed = json.loads(om("auth", "list", "--json").out)
    assert listed["needed"] is True
    assert [one["user"] for one in listed["keys"]] == ["bob"]
    assert "whoever can reach" in om("auth", "disable").out
    assert json.loads(om("auth", "list", "--json").out)["needed"] is False


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30d", timedelta(days=30)),
        ("12h", timedelta(hours=12)),
        ("2w", timedelta(weeks=2)),
        ("5m", timedelta(minutes=5)),
        ("2199-01-31", datetime(2199, 2, 1, tzinfo=UTC)),
        ("2199-01-31T10:00", datetime(2199, 1, 31, 10, tzinfo=UTC)),
        ("2199-01-31T10:00:00+02:00", datetime(2199, 1, 31, 8, tzinfo=UTC)),
    ],
)
def test_when_a_key_expires(om, text, expected):
    before = datetime.now(UTC)
    found = datetime.fromisoformat(
        json.loads(om("auth", "add", "a", "--expires", text, "--json").out)["expires"]
    )
    if isinstance(expected, datetime):
        assert found == expected
    else:
        assert before + expected <= found <= datetime.now(UTC) + expected


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("add", "a", "--expires", "soon"), 2, "is no time"),
        (("add", "a", "--expires", "0d"), 2, "is no time"),
        (("add", "a", "--expires", "2199-02-31"), 2, "is no time"),
        (("add", "a", "--expires", "2020-01-01"), 1, "expired already"),
        (("add", "a", "--rule", ""), 2, "holds no rule"),
        (("add", "a", "--rule", "model/("), 2, "is not a regular expression"),
        (("add", "a:b"), 1, "illegal user name"),
        (("add", "a", "--bucket", "x/y"), 1, "illegal bucket name"),
    ],
)
def test_what_no_key_is_made_of(om, arguments, code, words):
    assert words in om("auth", *arguments, code=code).err
    assert json.loads(om("auth", "list", "--json").out) == {"needed": False, "keys": []}


def test_a_rule_of_a_key_that_can_match_nothing_is_warned_of(om):
    assert "can match nothing" in om("auth", "add", "a", "--rule", "modle/.*/.*").err
