import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.domain.errors import BadInput
from omega.domain.names import FORBIDDEN, Reference, check_bucket, check_name, is_hidden


@pytest.mark.parametrize(
    "name", ["a", "folder/a", "größe", "日本", "a b", "x" * 255, "_hidden", ".dot", "a..b", "fit"]
)
def test_legal_names(name):
    assert check_name(name, resource="dataset") == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "empty"),
        ("../x", "'.' or '..' part"),
        ("a//b", "empty, '.' or '..' part"),
        ("/a", "empty, '.' or '..' part"),
        ("a/", "empty, '.' or '..' part"),
        ("a/./b", "'.' or '..' part"),
        ("%2e%2e", "may not hold %"),
        ("a\0b", "control character"),
        ("a\x85b", "control character"),
        ("a\nb", "control character"),
        ("x" * 256, "256 bytes long, the limit is 255"),
        ("é" * 128, "256 bytes long"),
        ("e\u0301", "normal form C"),
        ("\ud800", "not valid UTF-8"),
        *[(f"a{c}b", "may not hold") for c in "\\*?[]^@#:%"],
    ],
)
def test_illegal_names_say_what_is_wrong(name, words):
    with pytest.raises(BadInput, match="illegal dataset name") as caught:
        check_name(name, resource="dataset")
    assert words in str(caught.value)
    str(caught.value).encode()


def test_an_action_word_may_not_end_a_model_name():
    with pytest.raises(BadInput, match="action word 'fit'"):
        check_name("folder/fit", resource="model")
    assert check_name("fit/folder", resource="model") == "fit/folder"


@pytest.mark.parametrize("word", ["list", "get", "put", "delete"])
def test_an_action_word_may_not_end_a_dataset_name(word):
    for name in (word, f"folder/{word}"):
        with pytest.raises(BadInput, match=f"action word '{word}'"):
            check_name(name, resource="dataset")
    assert check_name(f"{word}/folder", resource="dataset")
    assert check_name(f"{word}s", resource="dataset")


def test_a_bucket_has_no_folders():
    assert check_bucket("team") == "team"
    with pytest.raises(BadInput, match="illegal bucket name 'a/b'"):
        check_bucket("a/b")


def test_hidden_names():
    assert [name for name in ("a", "_a", ".a", "f/_a") if is_hidden(name)] == ["_a", ".a"]


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("a", Reference("a")),
        ("a@3", Reference("a", at=3)),
        ("f/a^", Reference("f/a", back=1)),
        ("a^^", Reference("a", back=2)),
        ("a[x,y]", Reference("a", columns="x,y")),
        ("a[^y]", Reference("a", columns="^y")),
        ("a[a:b]@2", Reference("a", at=2, columns="a:b")),
        ("a@2[x]", Reference("a", at=2, columns="x")),
        ("a[x]y]^", Reference("a", back=1, columns="x]y")),
        ("a[@2]", Reference("a", columns="@2")),
    ],
)
def test_references(text, reference):
    assert Reference.parse(text, resource="dataset") == reference


@pytest.mark.parametrize(
    "text", ["a@", "a@0", "a@-1", "a@x", "a@1@2", "a^@1", "a@1[x]@2", "a[x", "a]", "@1", "[x]", "a@\u0661"]
)
def test_malformed_references(text):
    with pytest.raises(BadInput):
        Reference.parse(text, resource="dataset")


def test_a_model_has_no_columns():
    with pytest.raises(BadInput, match="no columns"):
        Reference.parse("m[x]", resource="model")


@given(st.text())
def test_any_text_is_a_reference_or_bad_input(text):
    try:
        reference = Reference.parse(text, resource="dataset")
    except BadInput:
        return
    assert text.startswith(reference.name)
    assert not FORBIDDEN & set(reference.name)
    assert unicodedata.is_normalized("NFC", reference.name)
    assert ".." not in reference.name.split("/")
