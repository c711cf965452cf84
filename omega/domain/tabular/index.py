"""A frame's index as Arrow columns at the end of the table, and back as the pandas class it was."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from omega.domain.tabular.composite import freq_text, index_values, with_freq
from omega.domain.tabular.descriptors import form_of
from omega.domain.tabular.forms import ArrowColumn, Form, Plain, Values, merged
from omega.domain.tabular.schema import Column, index_name
from omega.domain.tabular.values import dumps, loads

#: So many values are compared at a time.
_LOOK = 1 << 16


def encode_index(index: pd.Index) -> list[tuple[Column, ArrowColumn]]:
    """Each level of the index as a column of its own.

    Raises: NotKeptError, BadInput or pyarrow.ArrowException for what cannot be kept.
    """
    if isinstance(index, pd.MultiIndex):
        return [_encode_level(index, level) for level in range(index.nlevels)]
    notes = _name_notes(index.name)
    if isinstance(index, pd.RangeIndex):
        notes["range"] = [index.start, index.stop, index.step]
    elif freq := freq_text(index):
        notes["freq"] = freq
    values = index_values(index)
    form = form_of(values)
    return [(Column(index_name(0), form, notes), form.encode(values))]


def _name_notes(name: Any) -> dict[str, Any]:
    return {} if name is None else {"name": dumps(name).decode()}


def _encode_level(index: pd.MultiIndex, level: int) -> tuple[Column, ArrowColumn]:
    labels, codes = index.levels[level], np.asarray(index.codes[level])
    values = index_values(labels)
    form = form_of(values)
    encoded = merged(form.encode(values))
    places = pa.array(codes, mask=codes == -1)
    column = Column(index_name(level), form, {"level": True, **_name_notes(index.names[level])})
    return column, encoded.take(places)


def decode_index(fields: Sequence[Column], columns: Sequence[pa.ChunkedArray]) -> pd.Index:
    """The index that `encode_index` took apart.

    A RangeIndex comes back as one while its values still follow each other with its step, else as an int64
    index. The freq of a DatetimeIndex or TimedeltaIndex comes back while all values follow it, else it is
    None. The order of a MultiIndex's `levels`, and entries of them that no row uses, are not kept; its
    values are.

    Raises: BadInput, or one of `descriptors.ORDINARY_ERRORS`, if the columns are not as `encode_index`
    makes them.
    """
    names = [_name(column) for column in fields]
    if len(fields) == 1 and not fields[0].notes.get("level"):
        return _decode_single(fields[0], columns[0], names[0])
    levels: list[tuple[Any, Any]] = [
        _decode_level(column.form, values) for column, values in zip(fields, columns, strict=True)
    ]
    return pd.MultiIndex(levels=[a for a, _ in levels], codes=[b for _, b in levels], names=names)


def _name(column: Column) -> Any:
    return loads(column.notes["name"]) if "name" in column.notes else None


def _decode_single(column: Column, values: pa.ChunkedArray, name: Any) -> pd.Index:
    decoded = column.form.decode(values)
    if "range" in column.notes and column.form == Plain("int64"):
        span = restored_range(decoded, column.notes["range"])
        if span is not None:
            return pd.RangeIndex(span.start, span.stop, span.step, name=name)
    found: pd.Index = pd.Index(decoded, dtype=column.form.dtype, name=name, tupleize_cols=False)
    return with_freq(found, column.notes.get("freq"))


def restored_range(values: np.ndarray[Any, Any], noted: Any) -> range | None:
    """The range that these int64 values are, given the start, stop and step that the frame, or its first
    segment, had.

    `None` where they do not follow each other with that step; a range of one value or none takes up the
    step of what follows.
    """
    if not isinstance(noted, list) or [type(n) for n in noted] != [int] * 3 or not noted[2]:
        return None
    if max(map(abs, noted)) >= 2**62:
        return None
    known, size = range(*noted), len(values)
    if size == 0:
        return known if not known else range(known.start, known.start, known.step)
    first, step = int(values[0]), known.step
    if size > 1 and len(known) <= 1:
        step = int(values[1]) - first
    # In this order nothing overflows: the last value is compared as a Python int before an array is made.
    if not step or int(values[-1]) != first + (size - 1) * step or abs(first + size * step) >= 2**62:
        return None
    # Without a second array of that length, let alone a mask of it: they may be many.
    if not all(_follow(values[at : at + _LOOK], step) for at in range(0, size, _LOOK - 1)):
        return None
    return known if first == known.start and size == len(known) else range(first, first + size * step, step)


def _follow(values: np.ndarray[Any, Any], step: int) -> bool:
    return bool((np.diff(values) == step).all())


def _decode_level(form: Form, column: pa.ChunkedArray) -> tuple[pd.Index, Values]:
    """Level and codes; missing entries are left to the codes, since an int level, say, has no value for
    them.
    """
    array = merged(column)
    present = np.asarray(array.is_valid())
    values: Any = form.decode(pa.chunked_array([array.filter(pa.array(present))], type=array.type))
    index: pd.Index = pd.Index(values, dtype=form.dtype, tupleize_cols=False)
    made = pd.MultiIndex.from_arrays([index])
    level = made.levels[0]
    if level.dtype != form.dtype:
        level = pd.Index(level, dtype=form.dtype)
    codes = np.full(len(array), -1, dtype="i8")
    codes[present] = made.codes[0]
    return level, codes


def columns_about(labels: pd.Index) -> dict[str, Any]:
    """What to note of the index of column labels; nothing for plain text labels without a name.

    Raises: NotKeptError or BadInput for what cannot be kept.
    """
    names = [dumps(name).decode() for name in labels.names]
    if isinstance(labels, pd.MultiIndex):
        levels = [form_of(index_values(level)).to_json() for level in labels.levels]
        return {"kind": "multi", "types": levels, "names": names}
    if isinstance(labels, pd.RangeIndex):
        return {"kind": "range", "range": [labels.start, labels.stop, labels.step], "names": names}
    if labels.dtype == pd.Index([""]).dtype and labels.name is None:
        return {}
    form = form_of(index_values(labels))
    kind = "int64" if form == Plain("int64") else "labels"
    freq = freq_text(labels)
    return {"kind": kind, "types": [form.to_json()], "names": names, **({"freq": freq} if freq else {})}
