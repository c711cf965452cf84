"""Records in a dictionary, as the JSON text that the stores on disk would write."""

import json
import secrets
from bisect import bisect_left, insort
from collections.abc import Iterable
from threading import Lock
from typing import Any, Final

from omega.ports.records import JSONObject, Record, RecordConflict, RecordNotFound, RecordPage

_MAX_KEY_BYTES: Final = 1024
_MAX_DEPTH: Final = 100


class MemoryRecordStore:
    """A `RecordStore` in the memory of this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._states: dict[str, tuple[str, str]] = {}
        self._keys: list[str] = []

    def read(self, key: str) -> Record:
        """The record as last written; see `RecordStore.read`."""
        _check_key(key)
        with self._lock:
            state = self._states.get(key)
        if state is None:
            raise RecordNotFound(key)
        return _record(key, *state)

    def write(self, key: str, *, value: JSONObject, expected: str | None) -> Record:
        """Store `value` by compare-and-set; see `RecordStore.write`."""
        _check_key(key)
        text, copy = _encode(key, value)
        revision = secrets.token_hex(16)
        with self._lock:
            if (self._states[key][0] if key in self._states else None) != expected:
                raise RecordConflict(key)
            if expected is None:
                insort(self._keys, key)
            self._states[key] = revision, text
        return Record(key, revision, copy)

    def remove(self, key: str, *, expected: str) -> None:
        """Remove the record by compare-and-set; see `RecordStore.remove`."""
        _check_key(key)
        with self._lock:
            if key not in self._states:
                raise RecordNotFound(key)
            if self._states[key][0] != expected:
                raise RecordConflict(key)
            del self._states[key]
            del self._keys[bisect_left(self._keys, key)]

    def page(self, prefix: str, *, offset: int = 0, limit: int = 1000) -> RecordPage:
        """Some records under a prefix, in key order; see `RecordStore.page`."""
        if offset < 0 or limit < 0:
            raise ValueError(f"offset {offset} and limit {limit} may not be negative")
        with self._lock:
            first = bisect_left(self._keys, prefix)
            end = bisect_left(self._keys, True, lo=first, key=lambda key: not key.startswith(prefix))
            keys = self._keys[first + offset : min(end, first + offset + limit)]
            states = [(key, *self._states[key]) for key in keys]
        return RecordPage(tuple(_record(*state) for state in states), total=end - first)


def _record(key: str, revision: str, text: str) -> Record:
    return Record(key, revision, json.loads(text))


def _check_key(key: str) -> None:
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        size = 0
    if not 1 <= size <= _MAX_KEY_BYTES or "\0" in key:
        raise ValueError(
            f"illegal record key {key[:80]!r}: it is not 1 to {_MAX_KEY_BYTES} bytes of UTF-8 without NUL"
        )


def _encode(key: str, value: JSONObject) -> tuple[str, JSONObject]:
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
