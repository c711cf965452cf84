"""The index of a frame in JSON: `{"type", "values"}`, and `names` and `dtype` where these do not tell all."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa

from omega.domain.errors import BadInput
from omega.entrypoints.formats.assembly import counts_from_zero
from omega.entrypoints.formats.casts import cast
from omega.entrypoints.formats.dtypes import parse_dtype
from omega.entrypoints.formats.grid import Grid
from omega.entrypoints.formats.inference import infer, shown
from omega.entrypoints.formats.moments import datetime_dtype
from omega.entrypoints.formats.rows import index_texts, stored_index
from omega.entrypoints.formats.texts import NULL

_FIELDS: Final = frozenset({"type", "values", "names", "dtype"})
#: Each name that pandas has or had for a class of index, and the dtype that it means.
_CLASSES: Final[dict[str, str | None]] = {
    "Index": None,
    "RangeIndex": "int64",
    "Int64Index": "int64",
    "UInt64Index": "uint64",
    "Float64Index": "float64",
    "NumericIndex": None,
    "DatetimeIndex": None,
    "TimedeltaIndex": "timedelta64[ns]",
    "PeriodIndex": None,
    "CategoricalIndex": "category",
    "IntervalIndex": None,
    "MultiIndex": None,
}


def read_index(given: Any, grid: Grid) -> Any:
    """The pandas index of a body's `index`, or of the labels that the data has, or 0 to n-1.

    Raises: BadInput.
    """
    if given is None:
        return pd.RangeIndex(grid.rows) if grid.labels is None else _flat(grid.labels, None, None)
    if not isinstance(given, dict):
        raise BadInput("'index' must be an object with 'type' and 'values'")
    if unknown := sorted(given.keys() - _FIELDS):
        raise BadInput(f"'index' has type, values, names and dtype: {shown(unknown[0])} is none of them")
    kind, values = given.get("type") or "Index", given.get("values")
    if kind not in tuple(_CLASSES):
        raise BadInput(f"unknown index type {shown(kind)}: there are {', '.join(_CLASSES)}")
    if kind == "IntervalIndex":
        raise BadInput("an IntervalIndex cannot be read from JSON: send Arrow or Parquet")
    if not isinstance(values, list):
        raise BadInput("'index' must have a list of labels in 'values'")
    if len(values) != grid.rows:
        raise BadInput(f"the index has {len(values):,} labels, but there are {grid.rows:,} rows")
    names = _names(given.get("names"))
    if kind == "MultiIndex":
        return _multi(values, given.get("dtype"), names)
    if names is not None and len(names) != 1:
        raise BadInput(f"index.names has {len(names)} names, but a {kind} has one level")
    return _flat(values, _dtype(kind, given.get("dtype"), values), names[0] if names else None)


def _dtype(kind: str, given: Any, values: list[Any]) -> Any:
    if given is None:
        if kind == "PeriodIndex":
            raise BadInput("a PeriodIndex needs its 'dtype', such as period[M]")
        given = datetime_dtype(values) if kind == "DatetimeIndex" else _CLASSES[kind]
    return None if given is None else parse_dtype(given, of="the index")


def _names(given: Any) -> list[Any] | None:
    if given is None:
        return None
    if not isinstance(given, list) or not all(name is None or type(name) in (str, int) for name in given):
        raise BadInput("index.names must be a list of names, each text or null")
    return given


def _array(values: list[Any], dtype: Any, of: str) -> Any:
    if any(isinstance(value, list | dict) for value in values):
        raise BadInput(
            f"{of} has a list or object as a label: labels of several levels are lists in a MultiIndex"
        )
    return infer(values, of=of) if dtype is None else cast(values, dtype, of=of)


def _flat(values: list[Any], dtype: Any, name: Any) -> Any:
    array = _array(values, dtype, "the index")
    if counts_from_zero(array):
        return pd.RangeIndex(len(array), name=name)
    if not len(array) and (dtype is None or dtype == np.dtype("i8")):
        return pd.RangeIndex(0, name=name)
    return pd.Index(array, dtype=array.dtype, name=name, tupleize_cols=False)


def _multi(values: list[Any], dtypes: Any, names: list[Any] | None) -> Any:
    widths = {len(value) if isinstance(value, list) else 0 for value in values}
    levels = next(iter(widths), len(names or dtypes or ()))
    if len(widths) > 1 or levels == 0:
        raise BadInput("labels of a MultiIndex are lists, all of one length")
    if names is not None and len(names) != levels:
        raise BadInput(f"index.names has {len(names)} names, but the labels have {levels} levels")
    if dtypes is not None and not (isinstance(dtypes, list) and len(dtypes) == levels):
        raise BadInput(
            f"index.dtype of a MultiIndex is a list of {levels} dtypes, one a level (null: as the values say)"
        )
    arrays = []
    for level in range(levels):
        of = f"level {level} of the index"
        given = dtypes[level] if dtypes else None
        dtype = None if given is None else parse_dtype(given, of=of)
        labels = _array([value[level] for value in values], dtype, of)
        arrays.append(pd.Index(labels, dtype=labels.dtype, tupleize_cols=False))
    return pd.MultiIndex.from_arrays(arrays, names=names)


def write_index(schema: pa.Schema, indexes: Iterable[Any]) -> Iterator[bytes]:
    """The JSON text of an index that comes in parts.

    `names` and `dtype` are there only where they say what the values do not.
    """
    index = stored_index(schema)
    several = isinstance(index, pd.MultiIndex)
    dtypes = [level.dtype for level in index.levels] if several else [index.dtype]
    integers = not several and pd.api.types.is_integer_dtype(index.dtype)
    kind = "Int64Index" if integers else type(index).__name__
    yield b'{"type":' + orjson.dumps(kind) + b',"values":['
    seen = [False] * len(dtypes)
    separator = b""
    for part in indexes:
        levels = index_texts(part)
        texts = _joined(levels) if several else levels[0]
        seen = [
            known or any(text != NULL for text in level) for known, level in zip(seen, levels, strict=True)
        ]
        if texts:
            yield separator + b",".join(texts)
            separator = b","
    more: dict[str, Any] = {}
    if any(name is not None for name in index.names):
        more["names"] = [
            name if name is None or type(name) in (str, int) else str(name) for name in index.names
        ]
    untold = [None if _is_told(d, s, kind) else str(d) for d, s in zip(dtypes, seen, strict=True)]
    if any(untold):
        more["dtype"] = untold if several else untold[0]
    yield b"]" + (b"," + orjson.dumps(more)[1:-1] if more else b"") + b"}"


def label_texts(index: Any) -> list[bytes]:
    """The JSON text of each label; labels of a MultiIndex are lists."""
    levels = index_texts(index)
    return _joined(levels) if isinstance(index, pd.MultiIndex) else levels[0]


def _joined(levels: list[list[bytes]]) -> list[bytes]:
    return [b"[%b]" % row for row in map(b",".join, zip(*levels, strict=True))]


def _is_told(dtype: Any, seen: bool, kind: str) -> bool:
    """Whether the class of an index, or a value that is not missing, tells this dtype."""
    if (str(dtype), kind) in (("int64", "Int64Index"), ("category", "CategoricalIndex")):
        return True
    return seen and str(dtype) in ("int64", "float64", "bool", "str")
