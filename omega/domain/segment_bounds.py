"""The bounds of a frame's segments, beside its version record: what lets a filter pass over segments.

The payload of a version that is a frame may have `{"bounds": [...], "bounded": n}`: tables of bounds, stored
as segments are, in which the first n segments of the version are looked up by their ids. What is not found
there may hold anything. See docs/adr/0024.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from attrs import asdict, frozen

from omega.domain import tabular
from omega.domain.checksums import checksum_in
from omega.ports.frames import FrameStore, Segment
from omega.ports.ids import Ids

_ID: Final = "segment"
#: So many tables of bounds are merged into one.
_MOST_TABLES: Final = 8

JSON = Mapping[str, Any]


@frozen
class SegmentBounds:
    """Tables of bounds in a frame store."""

    frames: FrameStore
    ids: Ids

    def ruled_out(
        self, stored: Iterable[JSON], schema: pa.Schema, where: Sequence[tabular.Condition]
    ) -> frozenset[str]:
        """The ids of segments that hold no row for which all of `where` holds.

        Raises: SegmentNotFound, SegmentCorrupt.
        """
        known = self._as_of(stored, schema)
        cannot_hold = pc.invert(tabular.may_hold(known, schema, where))
        return frozenset(known[_ID].filter(cannot_hold).to_pylist())

    def table(self, segments: Sequence[JSON], tables: Iterable[pa.Table]) -> pa.Table:
        """The bounds of segments whose content is at hand."""
        parts = [tabular.bounds(table) for table in tables]
        ids = pa.array([segment["id"] for segment in segments], pa.string())
        return pa.concat_tables(parts).append_column(_ID, ids)

    def write(
        self,
        stored: Sequence[JSON],
        more: pa.Table,
        schema: pa.Schema,
        *,
        keep: Collection[str],
    ) -> list[dict[str, Any]]:
        """Store `more` bounds beside those that are stored. Many tables of them become one, of the segments
        to `keep`.

        Raises: SegmentNotFound, SegmentCorrupt.
        """
        kept = [dict(part) for part in stored]
        if len(kept) + 1 >= _MOST_TABLES:
            ids = pa.array(sorted(keep), pa.string())
            whole = pa.concat_tables([self._as_of(kept, schema), more])
            kept, more = [], whole.filter(pc.is_in(whole[_ID], value_set=ids)).combine_chunks()
        return [*kept, asdict(self.frames.write(self.ids.new(), table=more))]

    def _as_of(self, stored: Iterable[JSON], schema: pa.Schema) -> pa.Table:
        """Bounds for rows of this schema. What was stored of columns whose form has changed since is lost."""
        wanted, tables = _empty(schema), []
        for known in self.frames.read([segment_in(part) for part in stored]):
            tables.append(pa.table([_column(known, field) for field in wanted.schema], wanted.schema))
        return pa.concat_tables([wanted, *tables])


def segment_in(stored: JSON) -> Segment:
    """The segment that a record points to."""
    return Segment(stored["id"], stored["rows"], stored["size_bytes"], checksum_in(stored))


def _empty(schema: pa.Schema) -> pa.Table:
    return tabular.bounds_schema(schema).append(pa.field(_ID, pa.string())).empty_table()


def _column(known: pa.Table, field: pa.Field) -> Any:
    at = known.schema.get_field_index(field.name)
    if at < 0 or not known.schema.field(at).equals(field, check_metadata=True):
        return pa.nulls(known.num_rows, field.type)
    return known.column(at)
