"""Access rules: how they are read, what they match, and which of them are suspicious."""

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from omega.domain.access import Right
from omega.domain.errors import BadInput
from omega.domain.names import ACTION_WORDS
from omega.domain.rule_warnings import warnings
from omega.domain.rules import ACTIONS, Rule, Rules, rules_in


def allows(rule: str, right: str) -> bool:
    resource, _, rest = right.partition("/")
    name, _, action = rest.rpartition("/")
    return Rules.parse([rule], source="a test").allows(Right(resource, name, action), bucket="any")


#: Rule, what it allows, what it does not.
TABLE: list[tuple[str, list[str], list[str]]] = [
    (".*/.*/.*", ["model//list", "dataset/a/b/get", "job/j.ipynb/run", "config//get"], ["model/m/get"]),
    ("model/.*/.*", ["model//list", "model/m/fit", "model/a/b/fit"], ["dataset/m/get", "script/m/run"]),
    ("model", ["model//list", "model//create", "model/m/fit"], ["dataset//list"]),
    ("models", ["model/m/fit"], ["dataset/m/get"]),
    ("model/foo", ["model/foo/fit", "model/foo/delete"], ["model/foox/fit", "model/xfoo/fit", "model//list"]),
    ("model/foo/.*", ["model/foo/predict"], ["model/foo/bar/predict", "model/foobar/predict"]),
    ("model/foo/predict", ["model/foo/predict"], ["model/foo/predict_proba", "model/foo/fit"]),
    ("scripts/.*/.*", ["script/s/run", "script//list"], ["job/s/run"]),
    ("model/a/b/predict", ["model/a/b/predict"], ["model/a/predict", "model/b/predict"]),
    ("model/[^/]+/.*", ["model/a/fit"], ["model/a/b/fit", "model//list"]),
    ("model/foo|bar/fit", ["model/foo/fit", "model/bar/fit"], ["model/foox/fit", "model/xbar/fit"]),
    ("model/(a|ab)/fit", ["model/ab/fit"], ["model/abc/fit"]),
    ("model/foo$/fit", ["model/foo/fit"], ["model/foo\n/fit", "model/foo\nx/fit"]),
    ("model/^foo/fit", ["model/foo/fit"], ["model/x\nfoo/fit"]),
    ("(?m)model/(?m)^foo$/fit", ["model/foo/fit"], ["model/x\nfoo/fit", "model/foo\nx/fit"]),
    ("model/Foo/fit", ["model/Foo/fit"], ["model/foo/fit", "model/FOO/fit"]),
    ("model/(?i)Foo/fit", ["model/foo/fit", "model/FOO/fit"], ["model/f/fit"]),
    ("dataset/./get", ["dataset/é/get", "dataset/😀/get"], ["dataset/ee/get", "dataset//get"]),
    ("dataset/é/get", ["dataset/é/get"], ["dataset/e/get", "dataset/e\u0301/get"]),
    ("dataset/\\w+/get", ["dataset/ab_1/get"], ["dataset/é/get"]),
    ("dataset/a.b/get", ["dataset/a.b/get", "dataset/axb/get"], ["dataset/ab/get"]),
    ("dataset/a\\.b/get", ["dataset/a.b/get"], ["dataset/axb/get"]),
    ("dataset/\\Qa.b\\E/get", ["dataset/a.b/get"], ["dataset/axb/get"]),
    ("job/j/run", ["job/j/run", "job/j.ipynb/run"], ["job/jj/run"]),
    ("job/j.ipynb/run", ["job/j/run", "job/j.ipynb/run"], ["job/j.ipynbx/run"]),
    ("dataset/j/get", ["dataset/j/get"], ["dataset/j.ipynb/get"]),
    ("dataset//list", ["dataset//list"], ["dataset/x/list", "dataset//get"]),
    ("dataset/.*/list", ["dataset//list"], ["dataset/x/get"]),
    ("dataset/get/x/get", ["dataset/get/x/get"], ["dataset/put/x/get"]),
    ("dat/.*/.*", [], ["dataset/x/get"]),
    ("set/.*/.*", [], ["dataset/x/get"]),
    ("dataset/x/ge", [], ["dataset/x/get"]),
    ("  model/m/fit  ", ["model/m/fit"], []),
    ("config", ["config//get"], ["model//list"]),
]


@pytest.mark.parametrize(("rule", "yes", "no"), TABLE, ids=[row[0] for row in TABLE])
def test_what_a_rule_allows(rule, yes, no):
    assert {right: allows(rule, right) for right in (*yes, *no)} == dict.fromkeys(yes, True) | dict.fromkeys(
        no, False
    )


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("", "has no resource"),
        ("/", "ends in a slash"),
        ("//", "has no resource"),
        ("/foo/get", "has no resource"),
        ("model/", "ends in a slash"),
        ("model/foo/", "has no action"),
        ("(/foo/get", "the resource in rule"),
        ("model/(/get", "the name in rule"),
        ("model/foo/(", "the action in rule"),
        ("model/[^/]+", "split at its first and its last slash"),
        ("model/(?=a)a/fit", "not a regular expression"),
        ("model/(a)\\1/fit", "not a regular expression"),
        ("model/a**/fit", "not a regular expression"),
        ("model/x{1001}/fit", "not a regular expression"),
        ("model/((x{100}){100}){100}/fit", "not a regular expression"),
        ("model/\ud800/fit", "cannot be printed"),
        ("model/a\nb/fit", "cannot be printed"),
        ("model/a\0b/fit", "cannot be printed"),
        ("model/" + "x" * 1000 + "/fit", "the limit is 1000"),
    ],
)
def test_what_is_no_rule_is_refused(rule, words):
    with pytest.raises(BadInput, match=re.escape(words)) as caught:
        Rules.parse([".*/.*/.*", rule or "/x/y"], source="a test")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("texts", [[], [""], ["", "  ", "\t"]])
def test_a_source_without_a_rule_does_not_open_everything(texts):
    with pytest.raises(BadInput, match="the file holds no rule"):
        Rules.parse(texts, source="the file")


def test_files_of_rules():
    text = "\ufeff# rules.txt\r\nmodel/.*/.*  \n\n\t# none\n scripts/.*/.* # and these\nmodel/a#b/fit\n#\n"
    assert rules_in(text) == ["model/.*/.*", "scripts/.*/.*", "model/a#b/fit"]
    assert rules_in("# nothing\n\n") == []


def test_the_first_rule_that_allows_decides():
    rules = Rules.parse(["dataset", "model/m/fit", "model", "model/m"], source="a test")
    found = [rules.deciding(Right("model", name, "fit")) for name in ("m", "n")]
    assert [rule and rule.text for rule in found] == ["model/m/fit", "model"]
    assert rules.deciding(Right("job", "m", "run")) is None


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*.*.*)*x", "(a?){200}a{200}", "([a-z]+)*\\d"])
def test_no_expression_is_slow(pattern):
    """A matcher that goes back and tries again would not come to an end of these."""
    rules = Rules.parse([f"model/{pattern}/fit"], source="a test")
    assert not rules.allows(Right("model", "a" * 2000 + "!", "fit"), bucket="store")


# against a slow reference

LETTERS = st.sampled_from("ab/.|*+?()[]^$\\-é")
PIECES = st.lists(
    st.sampled_from(["a", "b", "é", ".", "a*", "(a|b)", "[ab]+", "b?", "a|b", "\\.", "^a", "b$", "(?i)A"]),
    max_size=4,
).map("".join)
RESOURCES = st.sampled_from(
    [*ACTION_WORDS, *(f"{word}s" for word in ACTION_WORDS), ".*", "model|job", "m.*", "x"]
)
WORDS = st.sampled_from(["get", "put", "list", "predict.*", "fit|run", ".*", "ge", "[a-z]+"])
RULE = st.one_of(
    st.tuples(RESOURCES, PIECES, WORDS).map("/".join),
    st.tuples(RESOURCES, PIECES, PIECES, WORDS).map("/".join),
    st.tuples(RESOURCES, PIECES).map("/".join),
    RESOURCES,
)
RIGHT = st.one_of(
    st.tuples(
        st.just(resource),
        st.lists(st.text("aAbé.", max_size=3), min_size=1, max_size=2).map("/".join),
        st.sampled_from(sorted(words)),
    )
    for resource, words in ACTIONS.items()
)


def reference(rule: str, resource: str, name: str, action: str) -> bool:
    """As the contract has it, by Python's own regular expressions."""
    first, last = rule.find("/"), rule.rfind("/")
    if first == -1:
        parts = (rule, ".*", ".*")
    elif first == last:
        parts = (rule[:first], rule[first + 1 :], ".*")
    else:
        parts = (rule[:first], rule[first + 1 : last], rule[last + 1 :])
    spelled = (name, f"{name}.ipynb") if resource == "job" and name else (name,)
    return any(
        all(
            re.fullmatch(f"(?:{part})" if "(?i)" not in part else part, text)
            for part, text in zip(parts, (known, one, action), strict=True)
        )
        for known in (resource, f"{resource}s")
        for one in spelled
    )


@given(RULE, RIGHT)
def test_rules_match_as_the_slow_reference_says(rule, right):
    try:
        parsed = Rule.parse(rule)
    except BadInput:
        assume(False)
        return
    try:
        expected = reference(rule, *right)
    except re.error:
        assume(False)
        return
    assert parsed.allows(Right(*right)) == expected


@given(st.text(LETTERS, max_size=12) | st.text(max_size=12))
def test_any_text_is_a_rule_or_is_refused(text):
    try:
        rule = Rule.parse(text)
    except BadInput as error:
        assert "\n" not in str(error)
        return
    assert rule.text == text.strip()
    warnings(rule)


@given(st.lists(RULE, min_size=1, max_size=4), RIGHT)
def test_several_rules_allow_what_one_of_them_does(texts, right):
    found: list[Any] = []
    for text in texts:
        try:
            found.append(Rule.parse(text))
        except BadInput:
            assume(False)
    rules = Rules(tuple(found))
    assert rules.allows(Right(*right), bucket="b") == any(rule.allows(Right(*right)) for rule in found)
    if rules.is_everything:
        assert rules.allows(Right(*right), bucket="b")


@given(RULE, RIGHT)
def test_a_rule_that_allows_anything_is_not_warned_of(rule, right):
    try:
        parsed = Rule.parse(rule)
    except BadInput:
        assume(False)
        return
    _, name, action = right
    legal = (
        (name == "") == (action == "list")
        and not name.startswith("/")
        and not set(name.split("/")) & {"", ".", ".."}
    )
    if legal and parsed.allows(Right(*right)):
        assert warnings(parsed) == []


# what is suspicious


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("modle/.*/.*", "no resource 'modle', did you mean 'model'?"),
        ("notebook/.*/.*", "no resource 'notebook'; there are config, dataset"),
        ("model/foo/predikt", "model has no action 'predikt', did you mean 'predict'?"),
        ("model/foo/get", "model has no action 'get'"),
        ("job|script/foo/put_it", "job or script has no action 'put_it'"),
        ("model/foo@2/.*", "may not hold @"),
        ("dataset/foo:bar/get", "may not hold :"),
        ("dataset/a#b/get", "may not hold #"),
        ("dataset/a//b/get", "empty, '.' or '..' part"),
        ("model/foo/fit/fit", "action word 'fit'"),
        ("job/results/foo/get", "first part may not be 'results'"),
        ("dataset/e\u0301/get", "NFC"),
        ("dataset/foo/list", "a list has no name"),
        ("model//predict", "name is empty"),
        ("config/x/get", "config has no name"),
        ("model/" + "x" * 256 + "/fit", "256 bytes"),
    ],
)
def test_a_rule_that_can_match_nothing_is_warned_of(rule, words):
    (warning,) = warnings(Rule.parse(rule))
    assert words in warning
    assert repr(Rule.parse(rule).text) in warning


@pytest.mark.parametrize(
    "rule", [row[0] for row in TABLE if row[1]] + ["job/a.ipynb", "dataset/a\\.csv/get", "model//.*"]
)
def test_a_rule_that_can_match_is_not(rule):
    assert warnings(Rule.parse(rule)) == []
