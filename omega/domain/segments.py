"""Frames as sequences of segments: split when they are written, read one segment at a time, merged when they
are many and small.

The payload of a version that is a frame is `{"schema": ..., "segments": [...]}`. Its schema is what all its
rows are read in: an older segment may have been written in a narrower one (integers before floats were
appended). A long schema (many columns or categories) is a payload of its own, which versions of the same
schema share.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any, Final

import pyarrow as pa
from attrs import asdict, frozen

from omega.domain import tabular
from omega.domain.categories import category_names, packed, unpacked
from omega.domain.errors import Corrupt
from omega.domain.payloads import Payload, Payloads
from omega.domain.segment_bounds import SegmentBounds, segment_in
from omega.ports.frames import FrameStore, Segment, SegmentCorrupt, SegmentNotFound
from omega.ports.ids import Ids
from omega.ports.records import StoreFull, StoreUnavailable

SEGMENT_ROWS: Final = 131_072
SEGMENT_BYTES: Final = 64 << 20
#: Batches of a segment have at least so many rows on average, if it has more than one.
BATCH_ROWS: Final = 16 << 10
#: A schema of more bytes is kept beside the version record, not in it.
INLINE_SCHEMA_BYTES: Final = 16 << 10
#: So many segments of like size at the end of a frame are merged into one. A frame of n rows then has at most
#: 7 segments for each power of 8 in n, and a row is written again about once for each.
FAN_IN: Final = 8
#: Segments of no more bytes in sum are merged whatever their number: much of each is its schema, and what is
#: left of a block of the disk.
TINY_BYTES: Final = 16 << 10


@frozen
class Segments:
    """The segments of frames in a frame store."""

    frames: FrameStore
    payloads: Payloads
    ids: Ids

    @property
    def _bounds(self) -> SegmentBounds:
        return SegmentBounds(self.frames, self.ids)

    def write(self, table: pa.Table) -> Iterator[Segment]:
        """Store a table as segments, at least one, giving each as it is stored."""
        yield from self.frames.write_all((self.ids.new(), packed(_whole(part))) for part in cut(table))

    def read(
        self,
        payload: Mapping[str, Any],
        *,
        of: str,
        columns: Sequence[str] | None = None,
        where: Sequence[tabular.Condition] = (),
        offset: int = 0,
        limit: int | None = None,
    ) -> Iterator[pa.Table]:
        """The tables of a payload's segments, each in the payload's schema; `of` names the object in errors.

        Segments that by their bounds cannot hold a row for which `where` holds are not read.

        Raises: Corrupt, while iterating.
        """
        schema = whole = self.schema(payload, of=of)
        if columns is not None:
            schema = pa.schema([schema.field(c) for c in columns], schema.metadata)
        categories, expression = category_names(schema), tabular.all_hold(where)
        with _damage_told(of):
            segments = self._to_read(payload, where, whole)
            for stored in self.frames.read(
                segments, columns=columns, where=expression, offset=offset, limit=limit
            ):
                table = unpacked(stored, schema, categories)
                yield (
                    table
                    if table.schema.equals(schema, check_metadata=True)
                    else tabular.widen(table, schema)
                )

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

    def joined(
        self, payload: Mapping[str, Any], table: pa.Table, *, of: str
    ) -> tuple[list[dict[str, Any]], pa.Table]:
        """The payload's segments, less those at the end that are small beside `table`, and `table` with the
        rows of those before its own: what is to be stored in their place (docs/adr/0025).
        """
        segments: list[dict[str, Any]] = list(payload["segments"])
        while tail := _mergeable([*segments, {"rows": table.num_rows, "size_bytes": table.nbytes}]) - 1:
            part = {**payload, "segments": segments[-tail:]}
            whole = pa.concat_tables([*self.read(part, of=of), table])
            if len(list(cut(whole))) > tail:
                break
            segments, table = segments[:-tail], whole
        return segments, table

    def bounded(
        self, payload: Mapping[str, Any], table: pa.Table, *, earlier: Mapping[str, Any], of: str
    ) -> dict[str, Any]:
        """The payload with bounds of its segments: those of the `earlier` version's, and more where what has
        come since makes a whole segment. `table` has the rows of its last segments, which are `cut` from it.

        Raises: Corrupt.
        """
        segments, parts = payload["segments"], list(cut(table))
        stored = list(earlier.get("bounds", ()))
        done = min(earlier.get("bounded", 0), len(segments) - len(parts))
        if not _is_whole(segments[done:]):
            return {**payload, "bounds": stored, "bounded": done} if stored else dict(payload)
        # Where nobody has kept bounds so far this would be to read everything.
        older = [segment for segment in segments[done : -len(parts)] if segment["rows"]]
        if sum(segment["rows"] for segment in older) > SEGMENT_ROWS:
            older = []
        schema = self.schema(payload, of=of)
        tables = chain(self.read({**payload, "segments": older}, of=of), parts)
        more = self._bounds.table([*older, *segments[-len(parts) :]], tables)
        with _damage_told(of):
            bounds = self._bounds.write(
                stored, more, schema, keep=frozenset(segment["id"] for segment in segments)
            )
        return {**payload, "bounds": bounds, "bounded": len(segments)}

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

    def _to_read(
        self, payload: Mapping[str, Any], where: Sequence[tabular.Condition], schema: pa.Schema
    ) -> list[Segment]:
        segments = [segment_in(segment) for segment in payload["segments"]]
        if not where or len(segments) == 1 or not payload.get("bounds"):
            return segments
        ruled_out = self._bounds.ruled_out(payload["bounds"], schema, where)
        # The first, where none is left: the schema is known by it.
        return [segment for segment in segments if segment.id not in ruled_out] or segments[:1]

    def remove(self, ids: Iterable[str]) -> None:
        """Remove segments that nothing points to any more.

        When the store is out of reach the rest is left as orphans: nothing is lost by it, and nobody waits
        for each.
        """
        with suppress(StoreUnavailable, StoreFull):
            self.frames.remove(sorted(ids))


@contextmanager
def _damage_told(of: str) -> Iterator[None]:
    """Tell of a segment that is missing or changed as damage to an object.

    Raises: Corrupt.
    """
    try:
        yield
    except (SegmentNotFound, SegmentCorrupt) as error:
        raise Corrupt(f"{of} is damaged: segment {error.args[0]} is missing or changed") from error


def cut(table: pa.Table) -> Iterator[pa.Table]:
    """The parts of a table that are a segment each, at least one."""
    rows = min(SEGMENT_ROWS, max(1, SEGMENT_BYTES * table.num_rows // max(1, table.nbytes)))
    for start in range(0, max(1, table.num_rows), rows):
        yield table.slice(start, rows)


def _mergeable(segments: Sequence[Mapping[str, Any]]) -> int:
    """How many segments at the end are to become one, at least 1.

    As many of no bigger class of size than the last as fit into one, if they are `FAN_IN` or make most of a
    whole one; else those that are so small that a file of their own would take as much room.
    """
    size, found, few = _size_class(segments[-1]), 0, 0
    rows = size_bytes = 0
    for segment in reversed(segments):
        rows, size_bytes = rows + segment["rows"], size_bytes + segment["size_bytes"]
        if _size_class(segment) > size or rows > SEGMENT_ROWS or size_bytes > SEGMENT_BYTES:
            rows, size_bytes = rows - segment["rows"], size_bytes - segment["size_bytes"]
            break
        found += 1
        if size_bytes <= TINY_BYTES:
            few = found
    # What makes most of a whole one is merged once more, so that frames of any size are of few segments.
    is_most = 2 * rows >= SEGMENT_ROWS or 2 * size_bytes >= SEGMENT_BYTES
    return found if found >= FAN_IN or (found >= 3 and is_most) else max(1, few)


def _whole(table: pa.Table) -> pa.Table:
    """The table in one piece if it is in many small ones: to read those takes longer than what is in them."""
    pieces = max((column.num_chunks for column in table.itercolumns()), default=1)
    return table.combine_chunks() if pieces > 1 + table.num_rows // BATCH_ROWS else table


def _is_whole(segments: Sequence[Mapping[str, Any]]) -> bool:
    """Whether these segments would make a whole one."""
    rows, size_bytes = (sum(int(s[part]) for s in segments) for part in ("rows", "size_bytes"))
    return rows >= SEGMENT_ROWS or size_bytes >= SEGMENT_BYTES


def _size_class(segment: Mapping[str, Any]) -> int:
    return (max(1, int(segment["rows"])).bit_length() - 1) // (FAN_IN.bit_length() - 1)
