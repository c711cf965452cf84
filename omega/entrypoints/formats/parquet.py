"""Frames as Parquet files."""

import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from omega.domain import tabular
from omega.domain.datasets import Reading
from omega.domain.errors import BadInput, TooLarge
from omega.entrypoints.formats.grid import check_columns, check_size
from omega.entrypoints.formats.inference import shown
from omega.entrypoints.formats.parquet_footer import read_chunks
from omega.entrypoints.formats.parquet_pages import Bound, bound, too_large
from omega.entrypoints.formats.sizes import check_type, decoded_bytes
from omega.entrypoints.formats.sources import ARROW_ERRORS, Sink, Source, malformed
from omega.entrypoints.limits import Limits

_MEMORY_BYTES: Final = 16 << 20
_CHUNK_BYTES: Final = 1 << 20
_BATCH_ROWS: Final = 1 << 16
#: What a batch of texts, each stored as its difference to the one before, may take at most.
_BATCH_BYTES: Final = 4 << 20
#: A column of texts that may take more is read as a dictionary first.
_FOLDED_BYTES: Final = 64 << 20
_PART_BYTES: Final = 1 << 30


def decode(stream: Source, *, limits: Limits) -> pa.Table:
    """The table of a Parquet file, in omega's form.

    The file is kept in a temporary one where it is large, since it must be read from its end. What it decodes
    to is reckoned from its page headers first, so that nothing over the limits is ever decoded.

    Raises: BadInput for what is malformed, cut short, encrypted, or of a type that cannot be kept; TooLarge.
    """
    with tempfile.SpooledTemporaryFile(_MEMORY_BYTES) as file:
        size = 0
        while chunk := stream.read(_CHUNK_BYTES):
            size += len(chunk)
            if size > limits.body_bytes:
                raise TooLarge(f"the content is over {limits.body_bytes:,} bytes, the limit (body_bytes)")
            file.write(chunk)
        try:
            return tabular.adopt(_read(file, limits))  # type: ignore[arg-type]
        except (BadInput, TooLarge):
            raise
        except ARROW_ERRORS as error:
            raise malformed("Parquet", error) from error


def _read(file: BinaryIO, limits: Limits) -> pa.Table:
    chunks = read_chunks(file, limits)
    most = bound(file, chunks, limits)
    file.seek(0)
    schema = pq.ParquetFile(file).schema_arrow
    for field in schema:
        check_type(field.type, of=f"column {shown(field.name)}")
    check_columns(schema.names, limits)
    if most.sure + sum(most.coarse.values()) > limits.decoded_bytes:
        _measure(file, most, limits)
    file.seek(0)
    # Arrow's reader would keep room for as much again while it writes out a dictionary.
    folded = [
        name for name, size in most.coarse.items() if size > _FOLDED_BYTES and name not in most.differing
    ]
    table = pq.ParquetFile(file, read_dictionary=folded).read(use_threads=False)
    check_size(table.num_rows, 1, limits)
    if (
        sum(decoded_bytes(part) for column in table.itercolumns() for part in column.chunks)
        > limits.decoded_bytes
    ):
        raise too_large(limits)
    return _unfolded(table, folded, schema)


def _unfolded(table: pa.Table, names: list[str], schema: pa.Schema) -> pa.Table:
    """The table with these columns written out in the types that the file gives them."""
    for name in names:
        place = table.schema.get_field_index(name)
        if place >= 0 and table.schema.field(place).type != (kind := schema.field(place).type):
            parts = [part for chunk in table.column(place).chunks for part in _dense(chunk, kind)]
            table = table.set_column(place, schema.field(place), pa.chunked_array(parts, type=kind))
    return table


def _dense(array: pa.Array, kind: pa.DataType) -> list[pa.Array]:
    """A dictionary array written out, in parts that are short enough for offsets of 32 bits."""
    if len(array) > 1 and _text_bytes(array) > _PART_BYTES:
        half = len(array) // 2
        return _dense(array[:half], kind) + _dense(array[half:], kind)
    return [array.cast(kind)]


def _measure(file: BinaryIO, most: Bound, limits: Limits) -> None:
    """Nothing, if the texts take no more than the limit allows: they are read in batches, and only their
    lengths are added up.

    Texts stay in their dictionary meanwhile; those that are stored as differences have none, and come in very
    small batches.

    Raises: TooLarge.
    """
    names = [name for name, size in most.coarse.items() if size]
    file.seek(0)
    parquet = pq.ParquetFile(file, read_dictionary=[name for name in names if name not in most.differing])
    size = most.sure
    for name in names:
        rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, most.differing.get(name, 1))))
        for batch in parquet.iter_batches(batch_size=rows, columns=[name], use_threads=False):
            size += sum(map(_text_bytes, batch.columns))
            if size > limits.decoded_bytes:
                raise too_large(limits)


def _text_bytes(array: pa.Array) -> int:
    return decoded_bytes(array) - (
        decoded_bytes(array.dictionary) if pa.types.is_dictionary(array.type) else 0
    )


def encode(reading: Reading) -> Iterator[bytes]:
    """A Parquet file: tables in omega's form, one row group a segment. The standard pandas metadata lets
    any pyarrow restore the frame."""
    sink: Any = Sink()
    assert reading.schema is not None
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), reading.schema) as writer:
        yield from sink.take()
        for table in reading.tables:
            writer.write_table(table, row_group_size=max(1, table.num_rows))
            yield from sink.take()
    yield from sink.take()
