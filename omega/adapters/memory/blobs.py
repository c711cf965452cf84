"""Payloads in a dictionary."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from threading import Lock
from typing import Final

from omega.ports.blobs import BlobExists, BlobNotFound

_CHUNK_BYTES: Final = 1 << 20
_LEGAL_ID = re.compile(r"[0-9a-z]{1,64}")


class MemoryBlobStore:
    """A `BlobStore` in the memory of this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._payloads: dict[str, bytes] = {}
        self._written: dict[str, datetime] = {}

    def write(self, id: str, *, chunks: Iterable[bytes | memoryview]) -> int:
        """Store the joined chunks as one payload; see `BlobStore.write`."""
        _check_id(id)
        payload = b"".join(chunks)
        with self._lock:
            if id in self._payloads:
                raise BlobExists(id)
            self._payloads[id] = payload
            self._written[id] = datetime.now(UTC)
        return len(payload)

    def read(self, id: str) -> Iterator[bytes]:
        """The payload's bytes in chunks of at most 1 MiB; see `BlobStore.read`."""
        _check_id(id)
        try:
            payload = self._payloads[id]
        except KeyError:
            raise BlobNotFound(id) from None
        return (payload[start : start + _CHUNK_BYTES] for start in range(0, len(payload), _CHUNK_BYTES))

    def remove(self, id: str) -> None:
        """Remove the payload if it is there."""
        _check_id(id)
        with self._lock:
            self._payloads.pop(id, None)

    def ids(self, *, after: str = "", limit: int | None = None) -> Iterator[str]:
        """The ids of payloads in ascending order; see `BlobStore.ids`."""
        if limit is not None and limit < 1:
            raise ValueError(f"the limit {limit} is not positive")
        with self._lock:
            return islice(sorted(id for id in self._payloads if id > after), limit)

    def written(self, id: str) -> datetime:
        """When the payload became visible; see `BlobTimes.written`."""
        _check_id(id)
        with self._lock:
            if id not in self._payloads:
                raise BlobNotFound(id)
            return self._written[id]


def _check_id(id: str) -> None:
    if not _LEGAL_ID.fullmatch(id):
        raise ValueError(f"illegal blob id {id[:80]!r}: it is not 1 to 64 characters of 0-9a-z")
