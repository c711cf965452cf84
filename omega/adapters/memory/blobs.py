"""Payloads in a dictionary."""

import re
from collections.abc import Iterable, Iterator
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

    def write(self, id: str, *, chunks: Iterable[bytes | memoryview]) -> int:
        """Store the joined chunks as one payload; see `BlobStore.write`."""
        _check_id(id)
        payload = b"".join(chunks)
        with self._lock:
            if id in self._payloads:
                raise BlobExists(id)
            self._payloads[id] = payload
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

    def ids(self) -> Iterator[str]:
        """The ids of all payloads in ascending order; see `BlobStore.ids`."""
        with self._lock:
            return iter(sorted(self._payloads))


def _check_id(id: str) -> None:
    if not _LEGAL_ID.fullmatch(id):
        raise ValueError(f"illegal blob id {id[:80]!r}: it is not 1 to 64 characters of 0-9a-z")
