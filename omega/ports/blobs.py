"""Byte payloads under ids, written once and never changed.

An id is 1 to 64 characters of `0-9a-z`. The caller chooses it fresh; a payload is never overwritten.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Protocol


class BlobNotFound(LookupError):
    """No payload has this id. `args[0]` is the id."""


class BlobExists(Exception):
    """There is a payload with this id already. `args[0]` is the id."""


class BlobDamaged(Exception):
    """There is a payload with this id, but parts of it are lost. `args[0]` is the id."""


class BlobStore(Protocol):
    """Payloads that survive the process once `write` has returned.

    Safe to call from many threads and processes at once. Any method may raise `records.StoreUnavailable`;
    `write` may raise `records.StoreFull`. An id out of the legal form raises `ValueError` and touches
    nothing.
    """

    def write(self, id: str, *, chunks: Iterable[bytes | memoryview]) -> int:
        """Store the joined chunks as one payload and return its size in bytes; chunks are consumed once, in
        order.

        The payload is visible whole or not at all: when `chunks` or the store fails, or the process dies,
        there is no such id.

        Raises: BlobExists; the payload that was there is untouched. Whatever `chunks` raises passes through.
        """

    def read(self, id: str) -> Iterator[bytes]:
        """The payload's bytes in order, in chunks of at most 1 MiB (an empty payload gives no chunk).

        Raises: BlobNotFound, BlobDamaged, at the call itself, not at the first chunk. A reader that has begun
        reads to the end even if the payload is removed meanwhile. Not every store can tell that a payload is
        damaged: whoever must know keeps a checksum.
        """

    def remove(self, id: str) -> None:
        """Remove the payload; an id that is not there is no error."""

    def ids(self, *, after: str = "", limit: int | None = None) -> Iterator[str]:
        """The ids of the whole payloads that are greater than `after`, in ascending order, at most `limit`
        (`None`: all); a payload that is written or removed meanwhile may or may not be among them.

        A limit that is not positive raises `ValueError`.
        """


class BlobTimes(Protocol):
    """Tells how long a payload has been there, which its id does not: a slow writer chose that before."""

    def written(self, id: str) -> datetime:
        """When the payload became visible, to a few seconds, aware, in UTC.

        Raises: BlobNotFound.
        """


class DatedBlobStore(BlobStore, BlobTimes, Protocol):
    """A blob store that knows the ages of its payloads."""
