"""Strict JSON: what is read, what is refused, and in which words."""

import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.domain.errors import BadInput
from omega.entrypoints.strict_json import parse_json

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(':"\\ae3', max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


def same(one: Any, other: Any) -> bool:
    """Equal, also in type and in the bits of floats."""
    return repr(one) == repr(other)


@settings(max_examples=300, deadline=None)
@given(json_values, st.booleans(), st.sampled_from([None, 1]))
def test_what_json_writes_comes_back(value: Any, ascii_only: bool, indent: int | None) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert same(parse_json(raw), value)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.text(':"\\ab', max_size=3), json_values), min_size=2, max_size=5), st.booleans())
def test_a_repeated_key_is_refused_wherever_it_is(pairs: list[tuple[str, Any]], escaped: bool) -> None:
    pairs = [*pairs, (pairs[0][0], pairs[1][1])]

    def text(key: str) -> str:
        return '"' + "".join(f"\\u{ord(c):04x}" for c in key) + '"' if escaped else json.dumps(key)

    members = ",".join(f"{text(key)}:{json.dumps(value)}" for key, value in pairs)
    with pytest.raises(BadInput, match="stands twice in one object"):
        parse_json(f'[{{"deeper":{{{members}}}}}]'.encode())


@settings(max_examples=300, deadline=None)
@given(
    st.text('[]{}"\\:,0129.-+eEtruefalsn \n\x00\ud800' + "ue\u00e9", max_size=20).map(
        lambda t: t.encode("utf-8", "replace")
    )
)
def test_nothing_but_bad_input_is_ever_raised_and_what_is_read_is_json(raw: bytes) -> None:
    try:
        value = parse_json(raw)
    except BadInput:
        return
    assert same(json.loads(raw), value) or "-0" in raw.decode()


REFUSED = {
    "empty": (b"", "empty"),
    "blank": (b" \n", "empty"),
    "BOM": (b"\xef\xbb\xbf{}", "byte order mark"),
    "UTF-16": ('{"a": 1}'.encode("utf-16-le"), "malformed JSON"),
    "not UTF-8": (b'{"a": "\xff"}', r"byte 7 \(0xff\) is not valid UTF-8"),
    "encoded surrogate": (b'"\xed\xa0\x80"', "not valid UTF-8"),
    "lone surrogate": (b'["\\ud800"]', "surrogate"),
    "lone low surrogate": (b'["\\udc00"]', "surrogate"),
    "lone surrogate beside a wide integer": (b"[" + b"9" * 400 + b', "\\ud800"]', "surrogate"),
    "NaN": (b'{"a": NaN}', "NaN is not a JSON number"),
    "Infinity": (b"[Infinity]", "Infinity is not a JSON number"),
    "-Infinity": (b"[-Infinity]", "-Infinity is not a JSON number"),
    "overflow": (b"[1e999]", "1e999 is out of the range"),
    "negative overflow": (b"[-1e999]", "-1e999 is out of the range"),
    "overflow without an exponent": (b"9" * 310 + b".0", "out of the range"),
    "too many digits": (b"[" + b"1" * 4301 + b"]", "more than 4,300 digits"),
    "trailing": (b"{}x", "line 1 column 3"),
    "two values": (b"{} {}", "line 1 column 4"),
    "cut short": (b'{"a": 1', "line 1 column"),
    "comma": (b"[1,\n 2,]", "line 2 column"),
    "single quotes": (b"{'a': 1}", "line 1 column 2"),
    "leading zero": (b"[01]", "line 1 column 3"),
    "plus": (b"[+1]", "line 1 column 2"),
    "bare point": (b"[1.]", "line 1 column"),
    "control character": (b'["\x01"]', "line 1 column"),
    "repeated key": (b'{"x": 1, "y": 2, "x": 3}', "the key 'x' stands twice"),
    "repeated key with an escaped colon beside it": (
        b'{"a": ":", "a": "\\u003a:"}',
        "the key 'a' stands twice",
    ),
    "65 levels": (b"[" * 65 + b"]" * 65, "deeper than the limit of 64 levels"),
    "65 levels of objects": (b'{"a":' * 64 + b"{}" + b"}" * 64, "deeper than the limit of 64 levels"),
    "a million brackets": (b"[" * 10**6, "deeper than the limit of 64 levels"),
    "a million objects": (b'{"a":' * 10**6, "deeper than the limit of 64 levels"),
    "wide integer, then a million brackets": (
        b"[" + b"9" * 400 + b"," + b"[" * 10**6,
        "deeper than the limit of 64",
    ),
    "wide integer, deep": (b"[" * 70 + b"9" * 400 + b"]" * 70, "deeper than the limit of 64 levels"),
}


@pytest.mark.parametrize(("raw", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(raw: bytes, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        parse_json(raw)


@pytest.mark.parametrize(
    "number",
    [
        0,
        2**53 + 1,
        2**63 - 1,
        2**63,
        -(2**63),
        -(2**63) - 1,
        2**64 - 1,
        2**64,
        10**18,
        10**19,
        10**400,
        int("9" * 4300),
    ],
    ids=lambda n: f"{len(str(n))} digits",
)
def test_integers_are_exact(number: int) -> None:
    sys.set_int_max_str_digits(4301)
    try:
        raw = b'{"x": [%s, "e+1"]}' % str(number).encode()
        assert same(parse_json(raw), {"x": [number, "e+1"]})
    finally:
        sys.set_int_max_str_digits(4300)


def test_floats_keep_their_bits() -> None:
    assert same(
        parse_json(b"[-0.0, 0.1, 5e-324, 1.7976931348623157e308, 1e18, 1e300]"),
        [-0.0, 0.1, 5e-324, 1.7976931348623157e308, 1e18, 1e300],
    )


def test_the_depth_limit_is_of_objects_and_lists_together() -> None:
    assert parse_json(b'[{"a":[1]}]', max_depth=3) == [{"a": [1]}]
    with pytest.raises(BadInput, match="limit of 2 levels"):
        parse_json(b'[{"a":[1]}]', max_depth=2)


def test_a_deep_text_within_a_high_limit_is_read() -> None:
    value = parse_json(b"[" * 900 + b'{"a":1}' + b"]" * 900, max_depth=2000)
    for _ in range(900):
        (value,) = value
    assert value == {"a": 1}


#: About the places where a large text is cut to be looked at.
PLACES = [*range((1 << 18) - 25, (1 << 18) + 3, 3), 1 << 16, 70_000]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("space", ["", " "])
def test_a_large_text_is_as_exact_and_as_strict(place: int, space: str) -> None:
    def text(end: str) -> bytes:
        head = '{"a' + space + '":"'
        return (head + "x" * (place - len(head)) + end).encode()

    wide = 10**30 + 1
    assert parse_json(text(f'","b":{wide}}}'))["b"] == wide
    assert parse_json(text(f'","b":[-{space}1,-{wide}]}}'.replace("- 1", "-1")))["b"] == [-1, -wide]
    assert parse_json(text('","b":"12345678901234567890","c":0.000012345678901234567890}'))["c"] == float(
        "0.00001234567890123456789"
    )
    for again in (f'"a{space}"', f'"\\u0061{space}"'):
        with pytest.raises(BadInput, match="twice"):
            parse_json(text(f'",{again}{space}:1}}'))
        with pytest.raises(BadInput, match="twice"):
            parse_json(text(f'","c":[{{{again}:1,{space}{again}:":"}}]}}'))
    assert parse_json(text('","b:":"\\":","c":"[{","d":[[{"e" :1}]]}'))["d"] == [[{"e": 1}]]


def test_a_large_text_is_as_deep_as_any() -> None:
    padding = "x" * 70_000
    inside = "[" * 62 + '"["' + "]" * 62
    assert parse_json(f'["{padding}",{inside}]'.encode(), max_depth=63)
    with pytest.raises(BadInput, match="nested deeper"):
        parse_json(f'["{padding}",[{inside}]]'.encode(), max_depth=63)


@given(st.lists(json_values, min_size=1), st.booleans())
def test_what_json_writes_comes_back_from_a_large_text(values: list[Any], ascii_only: bool) -> None:
    raw = json.dumps([values, "a:b[{" * 20_000], ensure_ascii=ascii_only).encode()
    assert same(parse_json(raw), json.loads(raw))
