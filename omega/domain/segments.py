"""Frames as sequences of segments: split when they are written, read one segment at a time.

The payload of a version that is a frame is `{"schema": ..., "segments": [...]}`. Its schema is what all its
rows are read in: an older segment may have been written in a narrower one (integers before floats were
appended).
"""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

from omega.domain import tabular
from omega.domain.errors import Corrupt
from omega.ports.frames import FrameStore, Segment, SegmentCorrupt, SegmentNotFound
from omega.ports.ids import Ids
from omega.ports.records import StoreUnavailable

SEGMENT_ROWS: Final = 131_072
SEGMENT_BYTES: Final = 64 << 20


@frozen
class Segments:
    """The segments of frames in a frame store."""

    frames: FrameStore
    ids: Ids

    def write(self, table: pa.Table) -> Iterator[Segment]:
        """Store a table as segments, at least one, giving each as it is stored."""
        rows = min(SEGMENT_ROWS, max(1, SEGMENT_BYTES * table.num_rows // max(1, table.nbytes)))
        for start in range(0, max(1, table.num_rows), rows):
            yield self.frames.write(self.ids.new(), table=table.slice(start, rows))

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
        schema = decode_schema(payload["schema"])
        if columns is not None:
            schema = pa.schema([schema.field(c) for c in columns], schema.metadata)
        segments = [Segment(**s) for s in payload["segments"]]
        try:
            for table in self.frames.read(segments, columns=columns, where=where, offset=offset, limit=limit):
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
        schema = decode_schema(payload["schema"])
        if "object" not in tabular.dtypes(schema).values():
            return tabular.empty_like(schema)
        filled = [segment for segment in payload["segments"] if segment["rows"]]
        return next(self.read({**payload, "segments": (filled or payload["segments"])[-1:]}, of=of))

    def remove(self, ids: Iterable[str]) -> None:
        """Remove segments that nothing points to any more. What cannot be removed now is left as an orphan:
        nothing is lost by it.
        """
        with suppress(StoreUnavailable):
            self.frames.remove(sorted(ids))


def encode_schema(schema: pa.Schema) -> str:
    """An Arrow schema as text: its IPC message in base64."""
    return base64.b64encode(schema.serialize()).decode("ascii")


def decode_schema(text: str) -> pa.Schema:
    """The schema that `encode_schema` was given."""
    return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(text)))
