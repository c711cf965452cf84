"""Strict JSON: RFC 8259, and nothing that two readers could read in two ways."""

import json
import math
import re
from itertools import chain
from typing import Any, Final

import numpy as np
import orjson
from attrs import frozen

from omega.domain.errors import BadInput

DEFAULT_DEPTH: Final = 64
MAX_INTEGER_DIGITS: Final = 4300
_BOM: Final = b"\xef\xbb\xbf"
#: A number of 10**18 or more as orjson writes it. What stands in a string may match too; it only costs time.
_HUGE: Final = re.compile(rb"[0-9]e\+?(?:1[89]|[2-9][0-9]|[1-9][0-9][0-9])")
_CONTAINERS: Final = frozenset((dict, list))
#: An integer of fewer digits has no more than 64 bits.
_LONG: Final = 19
#: So much is looked at together: what is made of it stays in the processor's cache.
_BLOCK: Final = 1 << 18
#: A smaller text is written again to see whether it is the same.
_LARGE: Final = 1 << 16
_BEFORE_BRACKETS: Final = np.frombuffer(b" \t\n\r:,[{", dtype=np.uint8)
_Array = np.ndarray[Any, Any]


def parse_json(raw: bytes | bytearray, *, max_depth: int = DEFAULT_DEPTH) -> Any:
    """The value of the JSON text `raw`. Integers are exact whatever their size, up to 4,300 digits.

    Refused beyond what RFC 8259 refuses: a byte order mark, a key that stands twice in one object, an escape
    for half of a surrogate pair, a number over the range of float64, more than `max_depth` nested objects and
    lists.

    Raises: BadInput, with line and column for what is not JSON.
    """
    # orjson is the fast way; it keeps the last of two equal keys and rounds integers over 64 bits. The slow
    # way says which key it was or gives the exact integers.
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return _read_or_explain(raw, error, max_depth)
    if len(raw) < _LARGE:
        if raw.count(b"[") + raw.count(b"{") > max_depth:
            _check_depth(value, max_depth)
        return _read_exactly(raw) if _lost_something(raw, value) else value
    # Where there are no more colons that may be after a key than keys, and no long integers, nothing is lost.
    marks = _marks(raw)
    keys = _count_keys(value, marks.brackets, max_depth)
    if (marks.is_long or keys != marks.colons) and _lost_something(raw, value):
        return _read_exactly(raw)
    return value


@frozen
class _Marks:
    """Of a JSON text the number of colons that may be after a key, that of brackets that may open an object
    or list, and whether it may hold an integer of `_LONG` digits. Some may stand in strings.
    """

    colons: int
    brackets: int
    is_long: bool


def _marks(raw: bytes | bytearray) -> _Marks:
    text = np.frombuffer(raw, dtype=np.uint8)
    first = chr(text[0])
    colons, brackets, is_long = 0, int(first in "[{"), first.isdigit()
    for start in range(1, len(text), _BLOCK):
        part = text[start : start + _BLOCK]
        ahead = text[start - 1 : start - 1 + len(part)]
        before = ahead[part == ord(":")]
        colons += int(np.count_nonzero((before == ord('"')) | (before <= ord(" "))))
        # A brace has one bit more than a bracket.
        before = ahead[part | 0x20 == ord("{")]
        brackets += int(np.isin(before, _BEFORE_BRACKETS).sum())
        is_long = is_long or _has_long(text[start - 1 : start + _BLOCK + _LONG])
    return _Marks(colons, brackets, is_long)


def _has_long(text: _Array) -> bool:
    """Whether so many digits are together from the second place on, in no string and not behind a point."""
    digits = text - np.uint8(ord("0")) < 10
    found = digits[1:]
    for step in (1, 2, 4, 8, _LONG - 16):
        found = found[:-step] & found[step:]
    places = np.flatnonzero(found)
    before = text[places]
    return bool(((before != ord(".")) & (before != ord('"')) & ~digits[places]).any())


def _count_keys(value: Any, brackets: int, max_depth: int) -> int:
    """The keys of all objects in a value, written with no more than so many opening brackets.

    Raises: BadInput for a value that is nested too deep.
    """
    level, keys = [value] if type(value) in _CONTAINERS else [], 0
    for _ in range(max_depth):
        objects = [c for c in level if type(c) is dict]
        keys += sum(map(len, objects))
        brackets -= len(level)
        # Each has its bracket: where none is left, nothing more is nested.
        if not brackets or not level:
            return keys
        lists = (c for c in level if type(c) is list)
        inside = chain(chain.from_iterable(lists), chain.from_iterable(map(dict.values, objects)))
        level = [v for v in inside if type(v) in _CONTAINERS]
    if level:
        raise _too_deep(max_depth)
    return keys


def _lost_something(raw: bytes | bytearray, value: Any) -> bool:
    """Whether the fast way may have dropped a key or rounded an integer.

    Keys and text alone bring colons, so that a dropped key shows as a missing colon; an escaped colon could
    hide it. An integer that was rounded is a float of 2**63 or more.
    """
    if b"\\u003" in raw:
        return True
    try:
        written = orjson.dumps(value)
    except TypeError:  # nested deeper than orjson writes
        return True
    return raw.count(b":") != written.count(b":") or _HUGE.search(written) is not None


def _check_depth(value: Any, max_depth: int) -> None:
    level = [value] if type(value) in _CONTAINERS else []
    for _ in range(max_depth):
        inside = chain(
            chain.from_iterable(c for c in level if type(c) is list),
            chain.from_iterable(c.values() for c in level if type(c) is dict),
        )
        level = [v for v in inside if type(v) in _CONTAINERS]
        if not level:
            return
    raise _too_deep(max_depth)


def _too_deep(max_depth: int) -> BadInput:
    return BadInput(f"malformed JSON: nested deeper than the limit of {max_depth} levels")


def _read_or_explain(raw: bytes | bytearray, error: orjson.JSONDecodeError, max_depth: int) -> Any:
    """The value of `raw`, which the fast way refused with `error`, if only for an integer too wide for it.

    Raises: BadInput.
    """
    if not raw.strip():
        raise BadInput("malformed JSON: the text is empty")
    if raw.startswith(_BOM):
        raise BadInput("malformed JSON: the text starts with a byte order mark")
    try:
        raw.decode()
    except UnicodeDecodeError as bad:
        raise BadInput(
            f"malformed JSON: byte {bad.start} ({raw[bad.start]:#04x}) is not valid UTF-8"
        ) from None
    if "depth limit" in error.msg:
        raise _too_deep(max_depth)
    try:
        value = _read_exactly(raw)
        _check_depth(value, max_depth)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise _too_deep(max_depth) from None
    except UnicodeEncodeError:
        raise BadInput("malformed JSON: a string has an escape for half of a surrogate pair") from None
    return value


def _read_exactly(raw: bytes | bytearray) -> Any:
    """As `parse_json`, slowly; surrogates and depth are not checked.

    Raises: BadInput, RecursionError.
    """
    try:
        return json.loads(
            raw.decode(),
            object_pairs_hook=_without_repeats,
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        raise BadInput(f"malformed JSON: {error.msg} at line {error.lineno} column {error.colno}") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        again = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        shown = again if len(again) <= 80 else again[:77] + "..."
        raise BadInput(f"malformed JSON: the key {shown!r} stands twice in one object")
    return value


def _refuse(constant: str) -> Any:
    raise BadInput(f"malformed JSON: {constant} is not a JSON number; write null for a missing value")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        shown = text if len(text) <= 40 else text[:37] + "..."
        raise BadInput(f"malformed JSON: the number {shown} is out of the range of 64 bit floats")
    return number


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > MAX_INTEGER_DIGITS:
        raise BadInput(f"malformed JSON: an integer has more than {MAX_INTEGER_DIGITS:,} digits")
    return int(text)
