"""Frames as Arrow IPC streams; files are read too."""

from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa

from omega.domain import tabular
from omega.domain.datasets import Reading
from omega.domain.errors import BadInput, TooLarge
from omega.entrypoints.formats.grid import check_columns, check_size
from omega.entrypoints.formats.inference import shown
from omega.entrypoints.formats.ipc_messages import checked_stream
from omega.entrypoints.formats.sizes import check_type, decoded_bytes
from omega.entrypoints.formats.sources import ARROW_ERRORS, Sink, Source, malformed, whole
from omega.entrypoints.limits import Limits

_OPTIONS: Final = pa.ipc.IpcReadOptions(use_threads=False)


def decode(stream: Source, *, limits: Limits) -> pa.Table:
    """The table of an Arrow IPC stream or file, in omega's form.

    Every batch is validated in full before it is used. Nothing larger than the limits is ever allocated: what
    compressed buffers claim is added up before they are decompressed.

    Raises: BadInput for what is malformed, cut short, or of a type that cannot be kept; TooLarge.
    """
    try:
        return tabular.adopt(_read(checked_stream(whole(stream, limits), limits), limits))
    except (BadInput, TooLarge):
        raise
    except ARROW_ERRORS as error:
        raise malformed("Arrow", error) from error


def _read(stream: memoryview, limits: Limits) -> pa.Table:
    """The table; its columns lie where they came in."""
    batches: list[pa.RecordBatch] = []
    rows = size = 0
    reader = pa.ipc.open_stream(pa.py_buffer(stream), options=_OPTIONS)
    _check_schema(reader.schema, limits)
    for batch in reader:
        batch.validate(full=True)
        batches.append(batch)
        rows += batch.num_rows
        check_size(rows, 1, limits)
        size += sum(map(decoded_bytes, batch.columns))
        if size > limits.decoded_bytes:
            raise TooLarge(
                f"the content takes over {limits.decoded_bytes:,} bytes when decoded, the limit "
                "(decoded_bytes)"
            )
    return pa.Table.from_batches(batches, schema=reader.schema)


def _check_schema(schema: pa.Schema, limits: Limits) -> None:
    check_columns(schema.names, limits)
    for field in schema:
        check_type(field.type, of=f"column {shown(field.name)}")


def encode(reading: Reading) -> Iterator[bytes]:
    """An IPC stream: tables in omega's form, one batch a segment, not compressed. The standard pandas
    metadata lets any pyarrow restore the frame."""
    sink: Any = Sink()
    assert reading.schema is not None
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), reading.schema) as writer:
        yield from sink.take()
        for table in reading.tables:
            writer.write_table(table)
            yield from sink.take()
    yield from sink.take()
