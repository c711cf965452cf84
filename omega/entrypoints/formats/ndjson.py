"""Frames as newline-delimited JSON: one object a row."""

from collections.abc import Iterator
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from omega.domain import tabular
from omega.domain.datasets import Reading
from omega.domain.errors import BadInput, TooLarge
from omega.entrypoints import strict_json
from omega.entrypoints.formats.assembly import table_of
from omega.entrypoints.formats.inference import infer, shown
from omega.entrypoints.formats.json_write import record_template
from omega.entrypoints.formats.orients import read_records
from omega.entrypoints.formats.rows import column_texts, is_default, level_names, row_slices, stored_index
from omega.entrypoints.formats.sources import Source
from omega.entrypoints.limits import Limits

_CHUNK_BYTES: Final = 1 << 20


def decode(stream: Source, *, limits: Limits) -> pa.Table:
    """The table whose rows are the lines of a stream; keys that a line lacks are null, empty lines are passed
    over.

    Values are read as in a JSON body without `dtypes`.

    Raises: BadInput naming the line, TooLarge.
    """
    records: list[dict[str, Any]] = []
    for number, line in enumerate(_lines(stream, limits), 1):
        if number == 1 and line.startswith(b"\xef\xbb\xbf"):
            line = line[3:]
        if not line.strip():
            continue
        try:
            record = strict_json.parse_json(line, max_depth=limits.json_depth)
        except BadInput as error:
            raise BadInput(f"line {number}: {error}") from error
        if not isinstance(record, dict):
            raise BadInput(f"line {number} is not a JSON object: {shown(record)}")
        records.append(record)
        if len(records) > limits.rows:
            raise TooLarge(f"there are over {limits.rows:,} rows, the limit (rows)")
    grid = read_records(records, None, None, limits)
    columns = zip(grid.names, grid.columns, strict=True)
    arrays = [infer(values, of=f"column {shown(name)}") for name, values in columns]
    return table_of(grid.names, arrays, pd.RangeIndex(grid.rows))


def _lines(stream: Source, limits: Limits) -> Iterator[bytes]:
    rest = b""
    while chunk := stream.read(_CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n") if b"\n" in chunk else (rest + chunk,)
        yield from lines
        if len(rest) > limits.body_bytes:
            raise TooLarge(f"a line is over {limits.body_bytes:,} bytes, the limit of a body (body_bytes)")
    if rest:
        yield rest


def encode(reading: Reading) -> Iterator[bytes]:
    """One object a row; the levels of an index come first, unless it is the default one.

    Raises: BadInput for what JSON cannot hold, while iterating: what is sent before is a shorter frame.
    """
    assert reading.schema is not None
    names, index = tabular.columns(reading.schema), stored_index(reading.schema)
    levels = [] if is_default(index) else level_names(index, names)
    template = record_template([*levels, *names]) + b"\n"
    return _encode(reading, template, bool(levels))


def _encode(reading: Reading, template: bytes, index: bool) -> Iterator[bytes]:
    for part in row_slices(reading.tables):
        texts = column_texts(part, index=index)
        rows = zip(*texts, strict=True) if texts else ((),) * part.num_rows
        yield b"".join(map(template.__mod__, rows))
