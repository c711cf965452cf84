"""Which regular expressions are taken, and that those which could take time without end are not."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.adapters.sklearn_models import patterns
from omega.adapters.sklearn_models.models import SklearnModelExecutor
from omega.adapters.sklearn_models.warned import collected
from omega.ports.models import InvalidSpec

EXECUTOR = SklearnModelExecutor()

TAKEN = [
    r"(?u)\b\w\w+\b",
    r"\b[a-zA-Z]{3,15}\b",
    r"\w+(?:'\w+)?",
    r"\w+@\w+\.[a-z]{2,3}",
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    r"(?i)[a-z]+\d*",
    r"(?:red|green|blue)s?",
    r"(?<!\w)#(\w+)",
    r"[^\s,;]+",
    r".",
    r"\S+",
    r"(?:ab)+",
    r"",
]

REFUSED = [
    (r"(a+)+$", "what is repeated holds a repeat"),
    (r"(a|a)*$", "what is repeated holds a repeat or alternatives"),
    (r"(?:ab|a.)*c", "what is repeated holds a repeat or alternatives"),
    (r"(a{2,3}){5}", "what is repeated holds a repeat"),
    (r"(?>a+)+", "what is repeated holds a repeat"),
    (r"((a?)b)+", "what is repeated holds a repeat"),
    (r"a*a*b", "two repeats can match the same text"),
    (r"a{0,900}a{0,900}b", "two repeats can match the same text"),
    (r"\w+\d+", "two repeats can match the same text"),
    (r"\w+a\w+", "two repeats can match the same text"),
    (r"(?:\w+|x)\w+", "two repeats can match the same text"),
    (r"(?:\w+)?\w+", "two repeats can match the same text"),
    (r"(?i:a+)A+", "two repeats can match the same text"),
    (r"a+(?:b)?a+", "two repeats can match the same text"),
    (r"(?i)[a-f]+[A-F]+", "two repeats can match the same text"),
    (r"a*b*a*c", "two repeats can match the same text"),
    (r".*x.*", "two repeats can match the same text"),
    (r"[^a]+[^b]+", "two repeats can match the same text"),
    (r"\u4e00+[\u4dff-\u4e01]+", "two repeats can match the same text"),
    (r"(?:ab)+(?:ba)+", "two repeats can match the same text"),
    (r"a+b+c+d+", "more than 3 repeats of varying length"),
    (r"a?" * 9 + "a" * 9, "more than 256 combinations"),
    (r"(?:ab|a)" * 9, "more than 256 combinations"),
    (r"(a)\1", "a back-reference"),
    (r"(a)?(?(1)b|c)", "a conditional"),
    (r"(?=a+)b", "a lookaround holds a repeat"),
    (r"(?!a|b.)b", "a lookaround holds a repeat or alternatives"),
    (r"a" * 201, "at most 200 characters"),
    (r"(" * 100 + ")" * 100 + "(", "at most 200"),
    (r"(", "is not a regular expression"),
    (r"a{99999999999999999999}", "is not a regular expression"),
]


@pytest.mark.parametrize("pattern", TAKEN)
def test_ordinary_patterns_are_taken(pattern: str) -> None:
    assert patterns.refusal(pattern) is None


@pytest.mark.parametrize(("pattern", "words"), REFUSED)
def test_patterns_that_could_take_too_long_are_refused(pattern: str, words: str) -> None:
    assert words in (patterns.refusal(pattern) or "")


@pytest.mark.parametrize("name", ["CountVectorizer", "TfidfVectorizer", "HashingVectorizer"])
def test_they_are_refused_wherever_they_stand(name: str) -> None:
    evil = r"(a+)+$"
    vectorizer: dict[str, Any] = {"class": name, "params": {}}
    pipeline = {"class": "Pipeline", "params": {"steps": [["v", vectorizer]]}}
    for spec in (
        [[name, {"token_pattern": evil}]],
        [["GridSearchCV", {"estimator": pipeline, "param_grid": {"v__token_pattern": ["a", evil]}}]],
        [
            [
                "RandomizedSearchCV",
                {"estimator": pipeline, "param_distributions": {"v__token_pattern": [evil]}},
            ]
        ],
    ):
        with pytest.raises(InvalidSpec, match="token_pattern could take too long"):
            EXECUTOR.create(spec)


_pieces = st.sampled_from(
    ["a", "b", ".", "(", ")", "(?:", "|", "*", "+", "?", "{2}", "{1,9}", r"\w", "[^a]", "$", r"\b", "?+"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_pieces, max_size=9).map("".join))
def test_what_is_taken_is_fast_on_text_made_to_be_slow(pattern: str) -> None:
    with collected():
        refused = patterns.refusal(pattern)
    if refused is None:
        # A pattern of exponential time would never come back from these, one of the fourth power not soon.
        for text in ("a" * 400 + "!", "ab" * 200 + "!", "b" * 400):
            re.findall(pattern, text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20))
def test_any_text_is_taken_or_refused_with_a_reason(pattern: str) -> None:
    with collected():
        assert patterns.refusal(pattern) != ""
