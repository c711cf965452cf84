"""Frames as Arrow IPC streams, one blob a segment.

The stream (https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format) is not compressed: its
buffers are written from where they are in memory and used where they are read to.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import chain, islice
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.acero as ac
import pyarrow.compute as pc

from omega.ports.blobs import BlobDamaged, BlobNotFound, BlobStore
from omega.ports.checksums import KINDS
from omega.ports.frames import Segment, SegmentCorrupt, SegmentNotFound
from omega.ports.records import StoreFull, StoreUnavailable

#: Damage is to be found, not forgery: XXH3 is as fast as memory, SHA-256 takes longer than all the rest.
_KIND: Final = "xxh3"
#: So many segments are written at the same time: one is flushed while the next one is written.
_AT_ONCE: Final = 3
_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression=None)
_UNKNOWN_FIELD = re.compile(r"No match for FieldRef\.Name\((.*?)\) in ", re.DOTALL)


class ArrowFrameStore:
    """A `FrameStore` over any `BlobStore`."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def write(self, id: str, *, table: pa.Table) -> Segment:
        """Store `table` as one segment; see `FrameStore.write`."""
        stream = _Stream()
        size_bytes = self._blobs.write(id, chunks=stream.encode(table))
        checksum = f"{_KIND}:{stream.digest.hexdigest()}"
        return Segment(id, rows=table.num_rows, size_bytes=size_bytes, checksum=checksum)

    def write_all(self, tables: Iterable[tuple[str, pa.Table]]) -> Iterator[Segment]:
        """Store tables, a few at the same time; see `FrameStore.write_all`."""
        coming = iter(tables)
        first = list(islice(coming, 2))
        if len(first) < 2:
            # Most writes are of one segment: no threads for that.
            yield from (self.write(id, table=table) for id, table in first)
            return
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            untold: deque[tuple[str, Future[Segment]]] = deque()
            try:
                for id, table in chain(first, coming):
                    untold.append((id, pool.submit(self.write, id, table=table)))
                    if len(untold) == _AT_ONCE:
                        yield untold.popleft()[1].result()
                while untold:
                    yield untold.popleft()[1].result()
            finally:
                # What cannot be removed is left as orphans: the error to be told of is the first.
                with suppress(StoreUnavailable, StoreFull):
                    self.remove([id for id, future in untold if future.exception() is None])

    def read(
        self,
        segments: Sequence[Segment],
        *,
        columns: Sequence[str] | None = None,
        where: pc.Expression | None = None,
        offset: int = 0,
        limit: int | None = None,
    ) -> Iterator[pa.Table]:
        """The rows for which `where` is true, a table a segment; see `FrameStore.read`."""
        if offset < 0 or (limit is not None and limit < 0):
            raise ValueError(f"offset {offset} and limit {limit} may not be negative")
        return self._read(list(segments), columns, where, offset, limit)

    def remove(self, ids: Sequence[str]) -> None:
        """Remove these segments; one that is not there is no error."""
        for id in ids:
            self._blobs.remove(id)

    def _read(
        self,
        segments: list[Segment],
        columns: Sequence[str] | None,
        where: pc.Expression | None,
        offset: int,
        limit: int | None,
    ) -> Iterator[pa.Table]:
        empty: pa.Table | None = None
        some = False
        for segment in segments:
            if limit == 0:
                break
            if where is None and offset >= segment.rows:
                offset -= segment.rows
                continue
            stored = self._load(segment)
            chosen = _choose(stored, columns)
            table = chosen if where is None else _filter(chosen, _mask(stored, where))
            found = table.num_rows
            start = min(offset, found)
            table = table.slice(start, found - start if limit is None else min(limit, found - start))
            offset -= start
            if table.num_rows:
                some = True
                limit = None if limit is None else limit - table.num_rows
                yield table
            elif not some and empty is None:
                empty = _emptied(chosen)
            # Not held while the next one is read.
            del stored, chosen, table
        if segments and not some:
            yield empty if empty is not None else _emptied(_choose(self._load(segments[0]), columns))

    def _load(self, segment: Segment) -> pa.Table:
        """The whole segment.

        Raises: SegmentNotFound, SegmentCorrupt.
        """
        try:
            chunks = self._blobs.read(segment.id)
        except BlobNotFound as error:
            raise SegmentNotFound(segment.id) from error
        except BlobDamaged as error:
            raise SegmentCorrupt(segment.id) from error
        buffer = pa.allocate_buffer(segment.size_bytes)
        rest = memoryview(buffer).cast("B")
        kind, _, expected = segment.checksum.partition(":")
        if kind not in KINDS:
            raise SegmentCorrupt(segment.id)
        digest = KINDS[kind]()
        for chunk in chunks:
            if len(chunk) > len(rest):
                raise SegmentCorrupt(segment.id)
            rest[: len(chunk)] = chunk
            rest = rest[len(chunk) :]
            digest.update(chunk)
        if len(rest) or digest.hexdigest() != expected:
            raise SegmentCorrupt(segment.id)
        try:
            table = pa.ipc.open_stream(buffer).read_all()
        except (pa.ArrowInvalid, OSError) as error:
            raise SegmentCorrupt(segment.id) from error
        if table.num_rows != segment.rows:
            raise SegmentCorrupt(segment.id)
        return table


class _Stream:
    """A file that Arrow writes to, and that hands over the pieces; those of the columns are not copies."""

    closed = False

    def __init__(self) -> None:
        self.digest = KINDS[_KIND]()
        self._pieces: list[memoryview] = []

    def encode(self, table: pa.Table) -> Iterator[memoryview]:
        """The pieces of the IPC stream of `table`; once they are used up, `digest` has seen them all."""
        with pa.ipc.new_stream(pa.PythonFile(self, mode="w"), table.schema, options=_OPTIONS) as writer:
            for batch in table.to_batches() or [_empty_batch(table)]:
                writer.write_batch(batch)
                yield from self._taken()
        yield from self._taken()

    def write(self, piece: bytes | pa.Buffer) -> None:
        """Take a piece from Arrow."""
        self._pieces.append(memoryview(piece))

    def flush(self) -> None:
        """Do nothing: what is written here is not kept back."""

    def _taken(self) -> Iterator[memoryview]:
        pieces, self._pieces = self._pieces, []
        for piece in pieces:
            self.digest.update(piece)
            yield piece


def _empty_batch(table: pa.Table) -> pa.RecordBatch:
    """A batch of `table` without rows: it carries the dictionaries of the columns, as no schema does."""
    arrays = [
        column.chunk(0).slice(0, 0) if column.num_chunks else pa.array([], column.type)
        for column in table.itercolumns()
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)


def _emptied(table: pa.Table) -> pa.Table:
    """`table` without its rows, as a copy that keeps no memory of the segment it came from."""
    empty = pa.Table.from_batches([_empty_batch(table)])
    return pa.ipc.open_stream(b"".join(_Stream().encode(empty))).read_all()


def _choose(table: pa.Table, columns: Sequence[str] | None) -> pa.Table:
    if columns is None:
        return table
    known = set(table.column_names)
    for name in columns:
        if name not in known:
            raise KeyError(name)
    return table.select(list(columns))


def _filter(table: pa.Table, mask: pa.ChunkedArray) -> pa.Table:
    """The rows of `table` where `mask` is true, for columns of all types; Arrow's own filter lacks some."""
    if table.num_columns == 0:
        return table.slice(0, pc.sum(mask).as_py() or 0)
    try:
        return table.filter(mask)
    except pa.ArrowNotImplementedError:
        kept = np.concatenate([[False], mask.fill_null(False).to_numpy(), [False]])
        edges = np.flatnonzero(kept[1:] != kept[:-1]).tolist()
        runs = [table.slice(start, end - start) for start, end in zip(edges[::2], edges[1::2], strict=True)]
        return pa.concat_tables([table.slice(0, 0), *runs])


def _mask(table: pa.Table, where: pc.Expression) -> pa.ChunkedArray:
    """For each row whether `where` is true, of shape (rows,); null is not true."""
    plan = ac.Declaration.from_sequence(
        [
            ac.Declaration("table_source", ac.TableSourceNodeOptions(table)),
            ac.Declaration("project", ac.ProjectNodeOptions([where], ["where"])),
        ]
    )
    try:
        # Threads of the plan would hold on to the table for a while after this has returned.
        mask = plan.to_table(use_threads=False).column(0)
    except pa.ArrowInvalid as error:
        if unknown := _UNKNOWN_FIELD.match(str(error)):
            raise KeyError(unknown[1]) from error
        raise
    if mask.type != pa.bool_():
        raise TypeError(f"where is not a condition: it gives {mask.type}")
    return mask
