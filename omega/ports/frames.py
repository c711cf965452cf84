"""Tables of columns, stored as immutable segments.

A segment is one Arrow table under an id of the caller's (1 to 64 characters of `0-9a-z`). A frame is a
sequence of segments of one schema, in row order; how a frame's segments are found again is the caller's
business.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen


@frozen
class Segment:
    """Where one stored part of a frame is, and what must be found there. `checksum` is of the stored bytes:
    its kind (`xxh3`, `sha256`), a colon, and hex.
    """

    id: str
    rows: int
    size_bytes: int
    checksum: str


class SegmentNotFound(LookupError):
    """A segment that should be stored is not there. `args[0]` is the segment's id."""


class SegmentCorrupt(Exception):
    """The stored bytes are not those that were written. `args[0]` is the segment's id."""


class FrameStore(Protocol):
    """Arrow tables in, Arrow tables out, exactly: schema, metadata of schema and fields, dictionaries, nulls
    and the bits of floats.
    """

    def write(self, id: str, *, table: pa.Table) -> Segment:
        """Store `table`, of shape (rows, columns), 0 rows allowed, under `id`, and say what was stored.

        It survives the process once this has returned; before that, no part of it is visible.

        Raises: blobs.BlobExists, records.StoreUnavailable, records.StoreFull.
        """

    def write_all(self, tables: Iterable[tuple[str, pa.Table]]) -> Iterator[Segment]:
        """Store tables, each under its id, as `write`, and say what was stored in their order; a few are
        written at the same time.

        When one fails, or nobody asks for more, what was stored and has not been told of is removed again.

        Raises: as `write`; whatever `tables` raises passes through.
        """

    def read(
        self,
        segments: Sequence[Segment],
        *,
        columns: Sequence[str] | None = None,
        where: pc.Expression | None = None,
        offset: int = 0,
        limit: int | None = None,
    ) -> Iterator[pa.Table]:
        """The rows of `segments`, in their order, for which `where` is true, less the first `offset`, at most
        `limit`; one table a segment.

        Only `columns` are in the tables, in the order given (`None`: all, in stored order); `where` may name
        columns that are not among them. Tables without a row are left out, but at least one table comes, so
        that the schema is always known (no segments: no table). Segments that `offset` and `limit` rule out
        are not read; at most one segment is held at a time.

        Raises: SegmentNotFound and SegmentCorrupt while iterating; KeyError for an unknown column, ValueError
        for negative numbers.
        """

    def remove(self, ids: Sequence[str]) -> None:
        """Remove these segments; one that is not there is no error."""
