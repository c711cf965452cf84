"""Strict JSON: RFC 8259, and nothing that two readers could read in two ways."""

import json
import math
import re
from itertools import chain
from typing import Any, Final

import orjson

from omega.domain.errors import BadInput

DEFAULT_DEPTH: Final = 64
MAX_INTEGER_DIGITS: Final = 4300
_BOM: Final = b"\xef\xbb\xbf"
#: A number of 10**18 or more as orjson writes it. What stands in a string may match too; it only costs time.
_HUGE = re.compile(rb"e\+?(?:1[89]|[2-9][0-9]|[1-9][0-9][0-9])")
_CONTAINERS: Final = frozenset((dict, list))


def parse_json(raw: bytes, *, max_depth: int = DEFAULT_DEPTH) -> Any:
    """The value of the JSON text `raw`. Integers are exact whatever their size, up to 4,300 digits.

    Refused beyond what RFC 8259 refuses: a byte order mark, a key that stands twice in one object, an escape
    for half of a surrogate pair, a number over the range of float64, more than `max_depth` nested objects and
    lists.

    Raises: BadInput, with line and column for what is not JSON.
    """
    # orjson is the fast way; it keeps the last of two equal keys and rounds integers over 64 bits. Both show
    # when its value is written again, and the slow way then says which key it was or gives the exact
    # integers.
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return _read_or_explain(raw, error, max_depth)
    if raw.count(b"[") + raw.count(b"{") > max_depth:
        _check_depth(value, max_depth)
    return _read_exactly(raw) if _lost_something(raw, value) else value


def _lost_something(raw: bytes, value: Any) -> bool:
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


def _read_or_explain(raw: bytes, error: orjson.JSONDecodeError, max_depth: int) -> Any:
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


def _read_exactly(raw: bytes) -> Any:
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
