"""The legal form of a record's key and value, for adapters to check: part of what the port promises, so it is
here once.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

from omega.ports.records import JSONObject

_MAX_KEY_BYTES: Final = 1024
_MAX_DEPTH: Final = 100


def check_key(key: str) -> None:
    """Refuse keys out of the legal form.

    Raises: ValueError.
    """
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        size = 0
    if not 1 <= size <= _MAX_KEY_BYTES or "\0" in key:
        raise ValueError(
            f"illegal record key {key[:80]!r}: it is not 1 to {_MAX_KEY_BYTES} bytes of UTF-8 without NUL"
        )


def encode(key: str, value: JSONObject) -> tuple[str, JSONObject]:
    """`value` as JSON text, and a copy of it read from that text.

    Raises: ValueError, for anything that would not come back as it went in.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
        _check_depth(value)
        copy = json.loads(text, parse_int=_int64)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the value of record {key[:80]!r} cannot be stored: {error}") from error
    if copy != value or not isinstance(copy, dict):
        raise ValueError(
            f"the value of record {key[:80]!r} is not a dict of JSON types with str keys throughout"
        )
    return text, copy


def _int64(digits: str) -> int:
    number = int(digits)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{digits} does not fit 64 bits")
    return number


def _check_depth(value: Any) -> None:
    """Refuse what could be written but not read: the reader gives up where value and call stack are deep."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [child for part in level for child in _children(part)]
    if level:
        raise ValueError(f"it is nested more than {_MAX_DEPTH} deep")


def _children(part: Any) -> Iterable[Any]:
    return part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
