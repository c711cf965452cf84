"""Frames as comma-separated values (RFC 4180).

What a text means is as pandas reads it: the same texts are missing values, `True`, `TRUE` and `true` are
booleans, numbers are read to the bit. Unlike there, integers with missing values stay integers, integers over
64 bits stay text, and every row must be as long as the header.
"""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from omega.domain import tabular
from omega.domain.datasets import Reading
from omega.domain.errors import BadInput, TooLarge
from omega.entrypoints.formats.assembly import counts_from_zero, table_of
from omega.entrypoints.formats.csv_columns import read_column
from omega.entrypoints.formats.grid import check_size
from omega.entrypoints.formats.inference import shown
from omega.entrypoints.formats.rows import column_texts, is_default, level_names, row_slices, stored_index
from omega.entrypoints.formats.sources import ARROW_ERRORS, Source, malformed
from omega.entrypoints.formats.texts import NULL, json_texts
from omega.entrypoints.limits import Limits

_BOM: Final = b"\xef\xbb\xbf"
_CHUNK_BYTES: Final = 1 << 18
#: A row must fit into a block, also the header.
_BLOCK_BYTES: Final = 16 << 20
#: A last row of our own: it is not found again if a quote is left open before it.
_END: Final = "\x00end of the rows\x00"
_ROW_NUMBER = re.compile(r"Row #(\d+)")
_RAGGED = re.compile(r"Expected (\d+) columns, got (\d+)")
_TO_QUOTE = re.compile(r'[",\r\n]|^\s|\s$|^$')
_SEPARATOR: Final = "\x1f"


def decode(stream: Source, *, limits: Limits) -> pa.Table:
    """The table of a CSV text in UTF-8 with a header; a first column without a name is the index.

    Raises: BadInput naming the row (the header is row 1) or column, TooLarge.
    """
    header, source = _header(stream, limits)
    columns = _read(source, len(header), limits)
    rows = len(columns[0])
    arrays = [
        read_column(column, of=f"column {shown(name)}") for name, column in zip(header, columns, strict=True)
    ]
    index: Any = pd.RangeIndex(rows)
    if header[0] == "":
        if not counts_from_zero(arrays[0]):
            index = pd.Index(arrays[0], dtype=arrays[0].dtype)
        header, arrays = header[1:], arrays[1:]
    return table_of(header, arrays, index)


class _Chained(io.RawIOBase):
    """What was read ahead, then the rest of the stream, then a last row of our own."""

    def __init__(self, ahead: bytes, stream: Source, last: bytes) -> None:
        self._ahead, self._stream, self._last = ahead, stream, last

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        # Arrow takes what comes for a whole block, so that it must not be less while there is more.
        parts = []
        while size and (part := self._piece(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _piece(self, size: int) -> bytes:
        if self._ahead:
            part, self._ahead = self._ahead[:size], self._ahead[size:]
            return part
        if part := self._stream.read(size):
            return part
        part, self._last = self._last[:size], self._last[size:]
        return part


def _header(stream: Source, limits: Limits) -> tuple[list[str], _Chained]:
    """The names of the columns, and the rows that come after them.

    Raises: BadInput, TooLarge.
    """
    ahead, end = b"", -1
    while end < 0:
        chunk = stream.read(_CHUNK_BYTES)
        ahead += chunk
        end = _end_of_header(ahead, whole=not chunk)
        if end < 0 and len(ahead) > _BLOCK_BYTES:
            raise BadInput(
                f"this is not valid CSV: the header is over {_BLOCK_BYTES:,} bytes long, or a quote in "
                "it is left open"
            )
    if ahead[:end].count(b",") >= limits.columns:
        check_size(0, ahead[:end].count(b",") + 1, limits)
    names = _names(ahead[:end].removeprefix(_BOM))
    return names, _Chained(ahead[end:], stream, b"\n" + b",".join([_END.encode()] * len(names)) + b"\n")


def _end_of_header(text: bytes, *, whole: bool) -> int:
    """How many bytes the header line takes; -1 if more is needed to know."""
    start = 0
    while True:
        found = re.compile(rb"\r\n|\n|\r(?=.)", re.DOTALL).search(text, start)
        end = found.end() if found else len(text)
        if found is None and not whole:
            return -1
        # Lines without content before the header are passed over, and a line break between quotes ends no
        # line.
        if (text[:end].strip(_BOM + b"\r\n ") and text[:end].count(b'"') % 2 == 0) or found is None:
            return end
        start = end


def _names(line: bytes) -> list[str]:
    try:
        rows = list(csv.reader([line.decode().strip("\r\n")], strict=True))
    except UnicodeDecodeError as error:
        raise BadInput("this is not valid CSV: the header is not UTF-8") from error
    except csv.Error as error:
        raise malformed("CSV: in the header", error) from error
    names = rows[0] if rows else []
    if not names or names == [""]:
        raise BadInput("this is not valid CSV: there is no header")
    if "" in names[1:]:
        raise BadInput(f"column {names.index('', 1) + 1} of the header has no name")
    if len(set(names)) != len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise BadInput(f"the header names column {shown(twice)} twice")
    return names


def _read(source: _Chained, width: int, limits: Limits) -> list[pa.ChunkedArray]:
    """The columns as text.

    Raises: BadInput, TooLarge.
    """
    places = [str(place) for place in range(width)]
    batches: list[pa.RecordBatch] = []
    rows = size = 0
    try:
        reader = pacsv.open_csv(
            pa.PythonFile(source, mode="r"),
            read_options=pacsv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES, column_names=places),
            parse_options=pacsv.ParseOptions(newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(places, pa.large_string()), strings_can_be_null=False
            ),
        )
        for batch in reader:
            batches.append(batch)
            rows += batch.num_rows
            size += batch.nbytes
            check_size(rows - 1, width, limits)
            if size > limits.decoded_bytes:
                raise TooLarge(
                    f"the rows take over {limits.decoded_bytes:,} bytes when decoded, the limit "
                    "(decoded_bytes)"
                )
    except (BadInput, TooLarge):
        raise
    except ARROW_ERRORS as error:
        raise _refused(error) from error
    table = pa.Table.from_batches(batches)
    if [str(column[-1]) for column in table.itercolumns()] != [_END] * width:
        raise BadInput("this is not valid CSV: a quote is left open")
    return list(table.slice(0, table.num_rows - 1).columns)


def _refused(error: BaseException) -> BadInput:
    """pyarrow's error in our words; its rows do not count the header."""
    text = str(error)
    number = _ROW_NUMBER.search(text)
    where = f"row {int(number[1]) + 1}" if number else "a row"
    if ragged := _RAGGED.search(text):
        if _END in text:
            return BadInput("this is not valid CSV: a quote is left open")
        return BadInput(f"{where} has {ragged[2]} values, the header {ragged[1]}")
    if "UTF8" in text:
        return BadInput(f"{where} is not UTF-8")
    if "straddl" in text:
        return BadInput(f"a row is over {_BLOCK_BYTES:,} bytes long, or a quote is left open")
    return malformed("CSV", error)


def encode(reading: Reading) -> Iterator[bytes]:
    """A header, then the rows; the levels of an index come first, unless it is the default one.

    Missing values are empty, empty text is `""`, moments are ISO 8601, lists and objects JSON. Formulas are
    text like any other.
    """
    assert reading.schema is not None
    names, index = tabular.columns(reading.schema), stored_index(reading.schema)
    levels = [] if is_default(index) else level_names(index, names)
    return _encode(reading, [*levels, *names], bool(levels))


def _encode(reading: Reading, header: list[str], index: bool) -> Iterator[bytes]:
    yield b",".join(map(_quoted, header)) + b"\n"
    for part in row_slices(reading.tables):
        texts = column_texts(part, index=index, texts=csv_texts)
        rows = map(b",".join, zip(*texts, strict=True)) if texts else iter([b""] * part.num_rows)
        if len(texts) == 1:
            # An empty line would be no row.
            rows = (row or b'""' for row in rows)
        yield b"\n".join(rows) + b"\n"


def csv_texts(values: Any, *, of: str) -> list[bytes]:
    """The values as fields of a CSV row.

    Raises: BadInput naming what has no text.
    """
    dtype = values.dtype
    if isinstance(dtype, pd.StringDtype):
        return _text_fields(pa.array(values))
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        return _float_fields(np.asarray(values), of)
    if isinstance(dtype, np.dtype) and dtype.kind in "iu":
        return json_texts(values, of=of)
    if isinstance(dtype, pd.CategoricalDtype):
        labels = [*csv_texts(dtype.categories, of=of), b""]
        return [labels[code] for code in pd.Categorical(values).codes.tolist()]
    return list(map(_field, json_texts(values, of=of)))


def _text_fields(texts: pa.Array | pa.ChunkedArray) -> list[bytes]:
    if not pc.any(pc.match_substring_regex(texts, _TO_QUOTE.pattern)).as_py():
        fields = _SEPARATOR.join(pc.fill_null(texts, "").to_pylist()).encode().split(_SEPARATOR.encode())
        if len(fields) == len(texts):
            return fields
    return [b"" if text is None else _quoted(text) for text in texts.to_pylist()]


def _float_fields(values: np.ndarray[Any, Any], of: str) -> list[bytes]:
    infinite = np.isinf(values)
    texts = json_texts(np.where(infinite, np.nan, values).astype(values.dtype), of=of)
    fields = [b"" if text == NULL else text for text in texts]
    for row in np.flatnonzero(infinite).tolist():
        fields[row] = b"inf" if values[row] > 0 else b"-inf"
    return fields


def _field(text: bytes) -> bytes:
    """A JSON text as a field."""
    match text[:1]:
        case b'"':
            return _quoted(orjson.loads(text))
        case b"[" | b"{":
            return _quoted(text.decode())
    return _WORDS.get(text, text)


_WORDS: Final = {NULL: b"", b"true": b"True", b"false": b"False"}


def _quoted(text: str) -> bytes:
    return (f'"{text.replace(chr(34), chr(34) * 2)}"' if _TO_QUOTE.search(text) else text).encode()
