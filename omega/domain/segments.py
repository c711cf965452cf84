"""Frames as sequences of segments: split when they are written, read one segment at a time, merged when they
are many and small.

The payload of a version that is a frame is `{"schema": ..., "segments": [...]}`. Its schema is what all its
rows are read in: an older segment may have been written in a narrower one (integers before floats were
appended). A long schema (many columns or categories) is a payload of its own, which versions of the same
schema share.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from attrs import asdict, frozen

from omega.domain import tabular
from omega.domain.categories import packed, unpacked
from omega.domain.checksums import checksum_in
from omega.domain.errors import Corrupt
from omega.domain.payloads import Payload, Payloads
from omega.ports.frames import FrameStore, Segment, SegmentCorrupt, SegmentNotFound
from omega.ports.ids import Ids
from omega.ports.records import StoreFull, StoreUnavailable

SEGMENT_ROWS: Final = 131_072
SEGMENT_BYTES: Final = 64 << 20
#: A schema of more bytes is kept beside the version record, not in it.
INLINE_SCHEMA_BYTES: Final = 16 << 10
#: So many segments of like size at the end of a frame are merged into one. A frame of n rows then has about
#: 15 segments for each power of 16 in n, and a row is written again at most once for each.
FAN_IN: Final = 16


@frozen
class Segments:
    """The segments of frames in a frame store."""

    frames: FrameStore
    payloads: Payloads
    ids: Ids

    def write(self, table: pa.Table) -> Iterator[Segment]:
        """Store a table as segments, at least one, giving each as it is stored."""
        rows = min(SEGMENT_ROWS, max(1, SEGMENT_BYTES * table.num_rows // max(1, table.nbytes)))
        starts = range(0, max(1, table.num_rows), rows)
        yield from self.frames.write_all(
            (self.ids.new(), packed(table.slice(start, rows))) for start in starts
        )

    def read(
        self,
        payload: Mapping[str, Any],
        *,
        of: str,
        columns: Sequence[str] | None = None,
        where: pc.Expression | None = None,
        offset: int = 0,
        limit: int | None = None,
    ) -> Iterator[pa.Table]:
        """The tables of a payload's segments, each in the payload's schema; `of` names the object in errors.

        Raises: Corrupt, while iterating.
        """
        schema = self.schema(payload, of=of)
        if columns is not None:
            schema = pa.schema([schema.field(c) for c in columns], schema.metadata)
        segments = [segment_in(s) for s in payload["segments"]]
        try:
            for stored in self.frames.read(
                segments, columns=columns, where=where, offset=offset, limit=limit
            ):
                table = unpacked(stored, schema)
                yield (
                    table
                    if table.schema.equals(schema, check_metadata=True)
                    else tabular.widen(table, schema)
                )
        except (SegmentNotFound, SegmentCorrupt) as error:
            raise Corrupt(f"{of} is damaged: segment {error.args[0]} is missing or changed") from error

    def example(self, payload: Mapping[str, Any], *, of: str) -> pa.Table:
        """A table like those stored, to check against what is to be appended.

        It has rows only where columns of Python objects make them matter: what such a column takes depends on
        whether it holds anything yet.
        """
        schema = self.schema(payload, of=of)
        if "object" not in tabular.dtypes(schema).values():
            return tabular.empty_like(schema)
        filled = [segment for segment in payload["segments"] if segment["rows"]]
        return next(self.read({**payload, "segments": (filled or payload["segments"])[-1:]}, of=of))

    def merge(self, payload: Mapping[str, Any], *, of: str) -> Iterator[list[dict[str, Any]]]:
        """The payload's list of segments again and again, each time shorter by a merge, until there is
        nothing more to merge.
        """
        segments = list(payload["segments"])
        while tail := _mergeable(segments):
            part = {**payload, "segments": segments[-tail:]}
            merged = [asdict(segment) for segment in self.write(pa.concat_tables(self.read(part, of=of)))]
            if len(merged) >= tail:
                return
            segments[-tail:] = merged
            yield list(segments)

    def schema(self, payload: Mapping[str, Any], *, of: str) -> pa.Schema:
        """The schema that all rows of this payload are read in.

        Raises: Corrupt.
        """
        stored = payload["schema"]
        if isinstance(stored, str):
            content = base64.b64decode(stored)
        else:
            content = b"".join(self.payloads.read(Payload(**stored), of=of))
        return pa.ipc.read_schema(pa.BufferReader(content))

    def store_schema(self, schema: pa.Schema) -> str | dict[str, Any]:
        """Where a schema is: its IPC message in base64, or the payload that holds it."""
        content = schema.serialize().to_pybytes()
        if len(content) <= INLINE_SCHEMA_BYTES:
            return base64.b64encode(content).decode("ascii")
        return asdict(self.payloads.write([content]))

    def remove(self, ids: Iterable[str]) -> None:
        """Remove segments that nothing points to any more.

        When the store is out of reach the rest is left as orphans: nothing is lost by it, and nobody waits
        for each.
        """
        with suppress(StoreUnavailable, StoreFull):
            self.frames.remove(sorted(ids))


def segment_in(stored: Mapping[str, Any]) -> Segment:
    """The segment that a record points to."""
    return Segment(stored["id"], stored["rows"], stored["size_bytes"], checksum_in(stored))


def _mergeable(segments: Sequence[Mapping[str, Any]]) -> int:
    """How many segments at the end are to be merged: `FAN_IN` or more, none of a bigger class of size than
    the last.
    """
    size = _size_class(segments[-1])
    tail = 0
    while tail < len(segments) and _size_class(segments[-1 - tail]) <= size:
        tail += 1
    rows = sum(segment["rows"] for segment in segments[-tail:])
    size_bytes = sum(segment["size_bytes"] for segment in segments[-tail:])
    return tail if tail >= FAN_IN and rows <= SEGMENT_ROWS and size_bytes <= SEGMENT_BYTES else 0


def _size_class(segment: Mapping[str, Any]) -> int:
    return (max(1, int(segment["rows"])).bit_length() - 1) // (FAN_IN.bit_length() - 1)
