"""Records in a dictionary, as the JSON text that the stores on disk would write."""

import json
import secrets
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from threading import Lock

from omega.ports.record_form import check_key, encode
from omega.ports.records import JSONObject, Record, RecordConflict, RecordNotFound, RecordPage


class MemoryRecordStore:
    """A `RecordStore` in the memory of this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._states: dict[str, tuple[str, str]] = {}
        self._keys: list[str] = []

    def read(self, key: str) -> Record:
        """The record as last written; see `RecordStore.read`."""
        check_key(key)
        with self._lock:
            state = self._states.get(key)
        if state is None:
            raise RecordNotFound(key)
        return _record(key, *state)

    def write(self, key: str, *, value: JSONObject, expected: str | None) -> Record:
        """Store `value` by compare-and-set; see `RecordStore.write`."""
        check_key(key)
        text, copy = encode(key, value)
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
        check_key(key)
        with self._lock:
            if key not in self._states:
                raise RecordNotFound(key)
            if self._states[key][0] != expected:
                raise RecordConflict(key)
            del self._states[key]
            del self._keys[bisect_left(self._keys, key)]

    def page(
        self, prefix: str, *, offset: int = 0, limit: int = 1000, descending: bool = False
    ) -> RecordPage:
        """Some records under a prefix, in key order; see `RecordStore.page`."""
        if offset < 0 or limit < 0:
            raise ValueError(f"offset {offset} and limit {limit} may not be negative")
        with self._lock:
            first = bisect_left(self._keys, prefix)
            end = bisect_left(self._keys, True, lo=first, key=lambda key: not key.startswith(prefix))
            keys = self._keys[first:end]
            keys = (keys[::-1] if descending else keys)[offset : offset + limit]
            states = [(key, *self._states[key]) for key in keys]
        return RecordPage(tuple(_record(*state) for state in states), total=end - first)

    def scan(self, prefix: str, *, after: str = "", limit: int = 1000) -> Sequence[Record]:
        """The next records of a walk; see `RecordScan.scan`."""
        if limit < 1:
            raise ValueError(f"the limit {limit} is not positive")
        with self._lock:
            first = max(bisect_left(self._keys, prefix), bisect_right(self._keys, after))
            states = [
                (key, *self._states[key])
                for key in self._keys[first : first + limit]
                if key.startswith(prefix)
            ]
        return [_record(*state) for state in states]


def _record(key: str, revision: str, text: str) -> Record:
    return Record(key, revision, json.loads(text))
