"""Frames as they are read from a store, and frames that JSON can hold."""

import io
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

from omega.domain import tabular
from omega.domain.datasets import Reading
from omega.domain.metadata import Metadata
from omega.entrypoints import formats
from omega.entrypoints.limits import Limits
from tests.unit.domain.tabular.frames import arrays

LIMITS = Limits()
_MOMENT = datetime(2016, 1, 16, 22, 5, 6, tzinfo=UTC)


def reading(frame: pd.DataFrame | pa.Table, *, rows: int = 2, name: str = "sample") -> Reading:
    """What `datasets.open` gives for a frame that is stored in segments of so many rows."""
    table = frame if isinstance(frame, pa.Table) else tabular.from_pandas(frame)
    parts = [table.slice(start, rows) for start in range(0, max(1, table.num_rows), rows)]
    metadata = Metadata(name, "dataset", "store", "pandas.dfrows", 3, _MOMENT, _MOMENT)
    return Reading(metadata, schema=table.schema, tables=iter(parts))


def encoded(name: str, frame: pd.DataFrame | pa.Table, *, rows: int = 2) -> bytes:
    """A frame in the format of this name."""
    return b"".join(formats.encode(formats.FORMATS[name], reading(frame, rows=rows)))


def decoded(name: str, body: bytes, *, limits: Limits = LIMITS) -> pd.DataFrame:
    """The frame of a body in the format of this name."""
    table = formats.decode(formats.FORMATS[name], io.BytesIO(body), limits=limits)
    table.validate(full=True)
    return tabular.to_pandas(table)


def from_json(body: dict[str, Any], *, limits: Limits = LIMITS) -> pd.DataFrame:
    """The frame of a JSON body."""
    return tabular.to_pandas(formats.decode_json_frame(body, limits=limits).table)


JSON_KINDS = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "datetime", "timedelta", "zoned"),
    *("masked", "masked_float", "boolean", "text", "object_text", "period"),
]


def json_values() -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers() | _floats() | st.text(max_size=4)
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    )


def _floats() -> st.SearchStrategy[float]:
    return st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
        [-0.0, 5e-324, 1.7976931348623157e308]
    )


def _finite(values: Any) -> Any:
    """Without infinities, with one kind of NaN and one zone called UTC: JSON has no more."""
    if isinstance(values.dtype, pd.DatetimeTZDtype) and str(values.dtype.tz) == "UTC":
        return values.tz_convert("UTC")
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        values = values.copy()
        values[~np.isfinite(values)] = np.nan
    if isinstance(values, pd.arrays.FloatingArray):
        data = values.to_numpy("f8", na_value=0).copy()
        lost = ~np.isfinite(data)
        data[lost] = 1
        return pd.arrays.FloatingArray(data, np.asarray(values.isna()) | lost)
    return values


@st.composite
def json_arrays(draw: Any, n: int, kinds: list[str] = JSON_KINDS) -> Any:
    """An array of n values that JSON can hold."""
    if kinds is JSON_KINDS and draw(st.integers(0, 9)) == 0:
        found = np.empty(n, dtype=object)
        for i in range(n):
            found[i] = draw(json_values())
        return found
    kind = draw(st.sampled_from(kinds))
    if kind == "text":
        # The name of a dtype does not tell how its text is stored, so only the default.
        texts = draw(st.lists(st.none() | st.text(max_size=5), min_size=n, max_size=n))
        return pd.array(texts, dtype=draw(st.sampled_from(["str", "string"])))
    if kind == "period":
        # Years from 1 to 9999 only.
        ordinals = draw(st.lists(st.none() | st.integers(0, 5000), min_size=n, max_size=n))
        dtype = pd.PeriodDtype(draw(st.sampled_from(["M", "D", "h", "W-SUN", "Y-DEC", "2D", "s"])))
        return pd.PeriodIndex(
            [pd.NaT if o is None else pd.Period(ordinal=o, freq=dtype.freq) for o in ordinals], dtype=dtype
        ).array
    return _finite(draw(arrays(n, [kind])))


@st.composite
def json_indexes(draw: Any, n: int, *, several: bool = True) -> pd.Index:
    name = draw(st.none() | st.text(max_size=3))
    labels = [kind for kind in JSON_KINDS if kind != "float16"]
    match draw(st.sampled_from(["range", "any", "multi"] if several else ["range", "any"])):
        case "range":
            return pd.RangeIndex(n, name=name)
        case "any":
            found = draw(json_arrays(n, labels))
            labels_are_positions = found.dtype == np.dtype("i8") and np.array_equal(found, np.arange(n))
            if labels_are_positions:
                return pd.RangeIndex(n, name=name)
            return pd.Index(found, dtype=found.dtype, name=name, tupleize_cols=False)
    levels = [draw(json_arrays(n, labels)) for _ in range(draw(st.integers(1, 3)))]
    indexes = [pd.Index(level, dtype=level.dtype, tupleize_cols=False) for level in levels]
    return pd.MultiIndex.from_arrays(indexes, names=[draw(st.none() | st.text(max_size=3)) for _ in levels])


@st.composite
def json_frames(draw: Any, *, several: bool = True) -> pd.DataFrame:
    """A frame that comes back from JSON as it was."""
    n = draw(st.integers(0, 5))
    names = draw(st.lists(st.text(max_size=4), unique=True, max_size=3))
    index = draw(json_indexes(n, several=several))
    columns = {name: draw(json_arrays(n)) for name in names}
    series = {name: pd.Series(v, index=index, dtype=v.dtype) for name, v in columns.items()}
    return pd.DataFrame(series, index=index, columns=pd.Index(names, dtype="str"))
