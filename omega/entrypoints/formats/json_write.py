"""Frames as JSON bodies, written column by column or row by row from Arrow tables."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, Final

import orjson
import pandas as pd
import pyarrow as pa
from attrs import frozen

from omega.domain import tabular
from omega.domain.datasets import Reading
from omega.domain.errors import BadInput
from omega.entrypoints.formats.inference import shown
from omega.entrypoints.formats.json_index import label_texts, write_index
from omega.entrypoints.formats.rows import MAX_CELLS, column_texts, row_slices
from omega.entrypoints.formats.texts import check_texts, json_texts, keyed_texts

#: So many keys of rows are kept to be written with the next column; what is above is made anew for every
#: column.
_KEPT_KEYS: Final = 1 << 20
Chunks = Iterator[bytes]


@frozen(eq=False)
class _Frame:
    """All tables of a reading, what their columns are called, and how many rows they have."""

    schema: pa.Schema
    tables: Sequence[pa.Table]
    names: Sequence[str]
    rows: int

    def columns(self) -> Iterator[tuple[str, Sequence[pd.Series]]]:
        """Each column, as one series a table; a bounded number of values is converted at once."""
        width = max(1, 8 * MAX_CELLS // max(1, self.rows))
        for start in range(0, len(self.names), width):
            group = list(self.names[start : start + width])
            frames = [tabular.to_pandas(table.select(group)) for table in self.tables]
            for place, name in enumerate(group):
                yield name, [frame.iloc[:, place] for frame in frames]

    def indexes(self) -> Iterator[Any]:
        """The index of each table."""
        fields = tabular.index_fields(self.schema)
        for table in self.tables:
            yield tabular.to_pandas(table.select(fields)).index if fields else pd.RangeIndex(table.num_rows)


def check_orient(orient: str) -> None:
    """Raises: BadInput for an orient that there is not."""
    if orient not in _WRITERS:
        raise BadInput(f"unknown orient {shown(orient)}: there are {', '.join(_WRITERS)}")


def encode_json_frame(reading: Reading, *, orient: str = "dict", resource_uri: str) -> Chunks:
    """The body `{"data", "dtypes", "index", "name", "orient", "resource_uri", "version", "rows"}` in pieces.

    The whole frame is held as Arrow tables meanwhile, and one column or some thousand rows of it as text. The
    orients by row add `columns`. Everything that can be refused is refused before the first piece.

    Raises: BadInput for what JSON cannot hold, such as infinities, and for labels that stand twice where the
    orient has them as keys.
    """
    check_orient(orient)
    assert reading.schema is not None
    tables = list(reading.tables)
    frame = _Frame(reading.schema, tables, tabular.columns(reading.schema), sum(t.num_rows for t in tables))
    _check(frame)
    data = _WRITERS[orient](frame)
    about: dict[str, Any] = {"dtypes": tabular.dtypes(frame.schema)}
    if orient in ("records", "values", "index"):
        about["columns"] = list(frame.names)
    rest = {
        "name": reading.metadata.name,
        "orient": orient,
        "resource_uri": resource_uri,
        "version": reading.metadata.version,
        "rows": frame.rows,
    }
    return chain(
        [b'{"data":'],
        data,
        [b"," + orjson.dumps(about)[1:-1] + b',"index":'],
        write_index(frame.schema, frame.indexes()),
        [b"," + orjson.dumps(rest)[1:]],
    )


def _check(frame: _Frame) -> None:
    for name, parts in frame.columns():
        _check_parts(parts, f"column {shown(name)}")
    for index in frame.indexes():
        _check_parts(index.levels if isinstance(index, pd.MultiIndex) else [index], "the index")


def _check_parts(parts: Sequence[Any], of: str) -> None:
    for part in parts:
        check_texts(part, of=of)


def _by_position(frame: _Frame) -> Chunks:
    return _by_key(
        frame, _kept(lambda start, rows: [b',"%d":' % i for i in range(start, start + rows)], frame.rows)
    )


@frozen(eq=False, slots=False)
class _Keys:
    """Keys of rows, each with the comma before it and the colon after it."""

    texts: list[bytes]

    @cached_property
    def before_text(self) -> pa.Array:
        """The same with the quote of the text that follows."""
        return pa.array([key + b'"' for key in self.texts], pa.large_binary())


def _kept(make: Callable[[int, int], list[bytes]], rows: int) -> Callable[[int, int], _Keys]:
    if rows > _KEPT_KEYS:
        return lambda start, rows: _Keys(make(start, rows))
    known: dict[tuple[int, int], _Keys] = {}

    def keys(start: int, rows: int) -> _Keys:
        if (start, rows) not in known:
            known[start, rows] = _Keys(make(start, rows))
        return known[start, rows]

    return keys


def _by_label(frame: _Frame) -> Chunks:
    texts = _label_keys(frame, "columns")
    return _by_key(frame, _kept(lambda start, rows: texts[start : start + rows], frame.rows))


def _by_key(frame: _Frame, keys: Callable[[int, int], "_Keys"]) -> Chunks:
    """`{column: {key: value}}`."""

    def column(parts: Sequence[pd.Series], of: str) -> Chunks:
        start = 0
        for part in parts:
            some = keys(start, len(part))
            text = keyed_texts(part, some)
            if text is None:
                pieces = [b""] * (2 * len(part))
                pieces[0::2] = some.texts
                pieces[1::2] = json_texts(part, of=of)
                text = b"".join(pieces)
            yield text[0 if start else 1 :]
            start += len(part)

    return _columns(frame, b"{%b}", column)


def _lists(frame: _Frame) -> Chunks:
    def column(parts: Sequence[pd.Series], of: str) -> Chunks:
        separator = b""
        for part in parts:
            if len(part):
                yield separator + b",".join(json_texts(part, of=of))
                separator = b","

    return _columns(frame, b"[%b]", column)


def _columns(frame: _Frame, around: bytes, column: Callable[[Sequence[pd.Series], str], Chunks]) -> Chunks:
    opening, _, closing = around.partition(b"%b")
    yield b"{"
    for place, (name, parts) in enumerate(frame.columns()):
        yield (b"," if place else b"") + orjson.dumps(name) + b":" + opening
        yield from column(parts, f"column {shown(name)}")
        yield closing
    yield b"}"


def _label_keys(frame: _Frame, orient: str) -> list[bytes]:
    """The labels as keys, in row order.

    Raises: BadInput if two have one text.
    """
    texts = chain.from_iterable(map(label_texts, frame.indexes()))
    keys = [text if text.startswith(b'"') else orjson.dumps(text.decode()) for text in texts]
    if len(set(keys)) != len(keys):
        seen: set[bytes] = set()
        twice = next(key for key in keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise BadInput(
            f"the index has the label {shown(orjson.loads(twice))} twice, which orient {orient!r} "
            "cannot say: "
            "ask for orient dict, split or records"
        )
    return [b",%b:" % key for key in keys]


def _records(frame: _Frame) -> Chunks:
    return chain([b"["], _rows(frame, record_template(frame.names)), [b"]"])


def _values(frame: _Frame) -> Chunks:
    return chain([b"["], _rows(frame, _value_template(len(frame.names))), [b"]"])


def _by_row(frame: _Frame) -> Chunks:
    keys = _label_keys(frame, "index")
    return chain([b"{"], _rows(frame, b"%b" + record_template(frame.names), keys), [b"}"])


def _split(frame: _Frame) -> Chunks:
    yield b'{"columns":' + orjson.dumps(list(frame.names)) + b',"index":['
    separator = b""
    for texts in map(label_texts, frame.indexes()):
        if texts:
            yield separator + b",".join(texts)
            separator = b","
    yield b'],"data":['
    yield from _rows(frame, _value_template(len(frame.names)))
    yield b"]}"


def record_template(names: Sequence[str]) -> bytes:
    """What makes a JSON object of a row's texts by `%`."""
    return b"{" + b",".join(orjson.dumps(name).replace(b"%", b"%%") + b":%b" for name in names) + b"}"


def _value_template(width: int) -> bytes:
    return b"[" + b",".join([b"%b"] * width) + b"]"


def _rows(frame: _Frame, template: bytes, keys: list[bytes] | None = None) -> Chunks:
    done = 0
    for part in row_slices(frame.tables):
        texts = column_texts(part, index=False)
        if keys is not None:
            # A key comes with a comma before it.
            texts = [[key[1:] for key in keys[done : done + part.num_rows]], *texts]
        rows = zip(*texts, strict=True) if texts else ((),) * part.num_rows
        yield (b"," if done else b"") + b",".join(map(template.__mod__, rows))
        done += part.num_rows


_WRITERS: Final[dict[str, Callable[[_Frame], Chunks]]] = {
    "dict": _by_position,
    "columns": _by_label,
    "list": _lists,
    "records": _records,
    "split": _split,
    "index": _by_row,
    "values": _values,
}
