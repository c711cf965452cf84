"""A cache in the memory of this process."""

from collections import OrderedDict
from threading import Lock
from typing import Any

from omega.ports.meter import Meter


class LruCache:
    """Keeps values up to `max_bytes` in sum; what was used longest ago goes first. A meter is told how often
    it is asked, and what it holds.
    """

    def __init__(self, max_bytes: int, meter: Meter | None = None) -> None:
        self._max_bytes = max_bytes
        self._meter = meter
        self._size = 0
        self._entries: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str) -> Any:
        """See `omega.ports.cache.Cache`."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
        if self._meter is not None:
            self._meter.looked_up(found=entry is not None)
        return None if entry is None else entry[0]

    def put(self, key: str, value: Any, *, size_bytes: int) -> None:
        """See `omega.ports.cache.Cache`."""
        with self._lock:
            _, before = self._entries.pop(key, (None, 0))
            self._size -= before
            if size_bytes <= self._max_bytes:
                self._entries[key] = (value, size_bytes)
                self._size += size_bytes
            while self._size > self._max_bytes:
                _, (_, dropped) = self._entries.popitem(last=False)
                self._size -= dropped
            if self._meter is not None:
                self._meter.holds(size_bytes=self._size)
