"""Frames of every dtype and index kind, and the strictest comparison of two frames."""

import struct
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

ZONES = [
    *("UTC", "Europe/Berlin", "America/St_Johns", "+02:00", "-03:30", ZoneInfo("UTC")),
    timezone(timedelta(hours=5, minutes=7, seconds=9)),
]
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
NAT = np.iinfo("i8").min


def told(value: Any) -> Any:
    """What there is to a Python value: its exact type, and what distinguishes it from others of that type."""
    kind = type(value)
    if kind in (list, tuple):
        return kind, [told(v) for v in value]
    if kind in (set, frozenset):
        return kind, sorted(repr(told(v)) for v in value)
    if kind is dict:
        return kind, [(told(k), told(v)) for k, v in value.items()]
    if kind is float:
        return kind, struct.pack("d", value)
    if kind is complex:
        return kind, struct.pack("dd", value.real, value.imag)
    if isinstance(value, np.ndarray | np.generic):
        return kind, value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, datetime | time):
        return kind, repr(value), value.fold, repr(value.tzinfo), getattr(value, "unit", None)
    return kind, repr(value), getattr(value, "unit", None)


def assert_same_values(a: Any, b: Any) -> None:
    """Arrays of one dtype with the same bits and the same kinds of missing values."""
    assert type(a) is type(b) and a.dtype == b.dtype and len(a) == len(b)
    if isinstance(a, np.ndarray):
        if a.dtype == object:
            assert [told(v) for v in a] == [told(v) for v in b]
        else:
            assert a.tobytes() == b.tobytes()
    elif isinstance(a, pd.Categorical):
        assert a.codes.tobytes() == b.codes.tobytes() and a.ordered == b.ordered
        assert_same_index(a.categories, b.categories)
    elif hasattr(a, "_mask"):
        assert (a._mask == b._mask).all()
        assert a._data[~a._mask].tobytes() == b._data[~b._mask].tobytes()
    elif isinstance(a.dtype, pd.ArrowDtype):
        assert a._pa_array.combine_chunks().equals(b._pa_array.combine_chunks())
    else:
        assert [told(v) for v in a] == [told(v) for v in b]


def raw(column: Any) -> Any:
    return column.to_numpy() if isinstance(column.dtype, np.dtype) else column.array


def assert_same_index(a: pd.Index, b: pd.Index) -> None:
    assert type(a) is type(b), (type(a), type(b))
    assert [told(n) for n in a.names] == [told(n) for n in b.names]
    if isinstance(a, pd.MultiIndex):
        assert [level.dtype for level in a.levels] == [level.dtype for level in b.levels]
        # A slice of a MultiIndex still has the levels of the whole.
        used = a.remove_unused_levels(), b.remove_unused_levels()
        pd.testing.assert_index_equal(*used, exact=True, check_exact=True)
        for i in range(a.nlevels):
            assert ((a.codes[i] == -1) == (b.codes[i] == -1)).all()
            assert [told(v) for v in a.get_level_values(i)] == [told(v) for v in b.get_level_values(i)]
    elif isinstance(a, pd.RangeIndex):
        assert (a.start, a.stop, a.step) == (b.start, b.stop, b.step)
    else:
        assert_same_values(raw(a), raw(b))
    assert getattr(a, "freq", None) == getattr(b, "freq", None)


def assert_same(df: pd.DataFrame, got: pd.DataFrame) -> None:
    """The same frame in everything but memory layout."""
    assert type(got) is pd.DataFrame and df.shape == got.shape
    assert_same_index(df.columns, got.columns)
    assert_same_index(df.index, got.index)
    assert list(df.dtypes) == list(got.dtypes)
    # pandas cannot compare lists and arrays inside an object column; `told` can.
    flat = [
        i for i in range(df.shape[1]) if df.dtypes.iloc[i].kind != "O" or df.dtypes.iloc[i].name != "object"
    ]
    plain = [f.iloc[:, flat].reset_index(drop=True) for f in (df, got)]
    pd.testing.assert_frame_equal(*plain, check_exact=True)
    for i in range(df.shape[1]):
        assert_same_values(raw(df.iloc[:, i]), raw(got.iloc[:, i]))


def _ints(name: str) -> st.SearchStrategy[int]:
    bounds = np.iinfo(name)
    return st.integers(int(bounds.min), int(bounds.max)) | st.sampled_from(
        [0, 1, int(bounds.max), int(bounds.min)]
    )


def _bits(n: int) -> st.SearchStrategy[Any]:
    interesting = [0.0, -0.0, float("nan"), float("inf"), -float("inf"), 1.5, 2.0**53 + 2]
    return st.lists(st.floats() | st.sampled_from(interesting), min_size=n, max_size=n)


def scalars() -> st.SearchStrategy[Any]:
    simple = (
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(max_size=4)
    )
    rich = st.sampled_from(
        [
            *(pd.NA, pd.NaT, float("nan"), 10**400, Decimal("1.10"), Decimal("NaN"), 1j, -0.0, UUID(int=7)),
            *(date(2020, 2, 29), time(1, 2, 3, 4, fold=1), timedelta(-1, 5, 6), datetime(1, 1, 1)),
            datetime(2020, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
            datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=-2))),
            *(pd.Timestamp(1, unit="ns"), pd.Timestamp("2020", tz="Asia/Tokyo"), pd.Timedelta(1, unit="ns")),
            *(
                np.int8(3),
                np.float32(0.1),
                np.bool(True),
                np.str_("x"),
                np.datetime64("NaT", "ns"),
                np.bytes_(b"z"),
            ),
            *(np.datetime64("2020", "D"), pd.Period("2020-01", "M"), pd.Interval(0, 1.5, "left")),
        ]
    )
    return simple | rich


def values() -> st.SearchStrategy[Any]:
    keys = st.text(max_size=3) | st.sampled_from(["$tuple", "$", 1, None, (1, "a"), b"k"])
    arrays = st.sampled_from(
        [np.arange(6).reshape(2, 3), np.array(["a", "\u00e9\u00e9"]), np.array([], "f4"), np.array(1.5)]
    )
    leaves = scalars() | arrays | st.sampled_from([{1, 2}, frozenset(["a"]), bytearray(b"q")])
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(keys, inner, max_size=3)
            | st.lists(inner, max_size=3).map(tuple)
        ),
        max_leaves=5,
    )


NUMPY = [f"{u}int{b}" for u in ("", "u") for b in (8, 16, 32, 64)]
KINDS = [
    *("bool", *NUMPY, "float16", "float32", "float64", "complex64", "complex128"),
    *("datetime", "timedelta", "zoned", "masked", "masked_float", "boolean", "string"),
    *("object_text", "object_bytes", "object_mixed", "category", "period", "interval", "arrow"),
]
#: What can be the values of a pandas Index.
INDEX_KINDS = [kind for kind in KINDS if kind != "float16"]


@st.composite
def arrays(draw: Any, n: int, kinds: list[str] = KINDS) -> Any:
    """An array of n values of any dtype."""
    kind = draw(st.sampled_from(kinds))

    def items(strategy: Any) -> list[Any]:
        return draw(st.lists(strategy, min_size=n, max_size=n))

    if kind == "bool":
        return np.array(items(st.booleans()), dtype=bool)
    if kind in NUMPY:
        return np.array(items(_ints(kind)), dtype=kind)
    if kind in ("float16", "float32", "float64"):
        size = int(kind[5:]) // 8
        if draw(st.booleans()):
            return np.frombuffer(draw(st.binary(min_size=n * size, max_size=n * size)), dtype=kind).copy()
        with np.errstate(over="ignore"):
            return np.array(draw(_bits(n)), dtype=kind)
    if kind.startswith("complex"):
        with np.errstate(over="ignore"):
            found = np.array(draw(_bits(n)), dtype=kind)
            found.imag = np.array(draw(_bits(n)))
        return found
    if kind in ("datetime", "timedelta", "zoned"):
        return _moments(draw, kind, items)
    return _other(draw, kind, items, n)


def _moments(draw: Any, kind: str, items: Any) -> Any:
    unit = draw(st.sampled_from(list(UNITS)))
    whole = st.integers(-2 * 10**9, 2 * 10**9) | st.sampled_from([0, 86400, 1603585800, 1603589400])
    counts = items(st.just(None) | whole.map(lambda s: s * UNITS[unit]) | whole)
    ints = np.array([NAT if c is None else c for c in counts], dtype="i8")
    if kind != "zoned":
        return ints.view(f"{'M' if kind == 'datetime' else 'm'}8[{unit}]")
    zone = draw(st.sampled_from(ZONES))
    return pd.DatetimeIndex(ints.view(f"M8[{unit}]")).tz_localize("UTC").tz_convert(zone).array


def _other(draw: Any, kind: str, items: Any, n: int) -> Any:
    maybe = st.none()
    if kind == "masked":
        name = draw(st.sampled_from(NUMPY))
        return pd.array(items(maybe | _ints(name)), dtype=name.replace("uint", "UInt").replace("int", "Int"))
    if kind == "masked_float":
        data, mask = np.array(draw(_bits(n)), dtype="f8"), np.array(items(st.booleans()), dtype=bool)
        return pd.arrays.FloatingArray(data, mask)
    if kind == "boolean":
        return pd.array(items(maybe | st.booleans()), dtype="boolean")
    if kind == "string":
        storage, na = draw(st.sampled_from(["python", "pyarrow"])), draw(st.sampled_from([pd.NA, np.nan]))
        return pd.array(items(maybe | st.text(max_size=5)), dtype=pd.StringDtype(storage, na_value=na))
    if kind.startswith("object"):
        strategy = {"object_text": st.text(max_size=5), "object_bytes": st.binary(max_size=5)}.get(
            kind, values()
        )
        found = np.empty(n, dtype=object)
        for i, value in enumerate(items(maybe | strategy)):
            found[i] = value
        return found
    if kind == "category":
        return _category(draw, items)
    if kind == "period":
        freq = draw(st.sampled_from(["M", "D", "h", "W-SUN", "Y-DEC", "2D", "s"]))
        ordinals = items(maybe | st.integers(-20000, 20000))
        return pd.arrays.PeriodArray(
            np.array([NAT if o is None else o for o in ordinals], dtype="i8"), dtype=pd.PeriodDtype(freq)
        )
    return _interval(draw, items) if kind == "interval" else _arrow(draw, items)


CATEGORIES: list[Any] = [
    *(
        ["b", "a", "\u00fc", ""],
        [3, 1, 2**53 + 1],
        [0.5, -0.0, 2.0],
        pd.date_range("2020", periods=3, tz="Europe/Berlin"),
    ),
    *(
        pd.RangeIndex(0, 6, 2),
        pd.interval_range(0, 3),
        pd.period_range("2020", periods=3, freq="D"),
        [True, False],
    ),
    *(
        pd.Index(["x", 1, (2, 3)], dtype=object),
        pd.Index(["x", "y"], dtype=object),
        pd.Index([1, 2], dtype="Int8"),
        [],
    ),
    pd.timedelta_range("1s", periods=2),
]


def _category(draw: Any, items: Any) -> Any:
    categories = pd.Index(draw(st.sampled_from(CATEGORIES)))
    codes = items(st.integers(-1, len(categories) - 1))
    dtype = pd.CategoricalDtype(categories, ordered=draw(st.booleans()))
    return pd.Categorical.from_codes(np.array(codes, dtype="i8"), dtype=dtype)


def _interval(draw: Any, items: Any) -> Any:
    closed = draw(st.sampled_from(["left", "right", "both", "neither"]))
    kind = draw(st.sampled_from(["int64", "float64", "M8[us]", "zoned", "m8[s]"]))
    ends = [sorted(pair) for pair in items(st.tuples(st.integers(-50, 50), st.integers(-50, 50)))]
    left, right = (pd.Index(np.array([e[i] for e in ends], dtype="i8")) for i in (0, 1))
    dtype = "datetime64[us, Europe/Berlin]" if kind == "zoned" else kind
    found = pd.IntervalIndex.from_arrays(left.astype(dtype), right.astype(dtype), closed=closed).array
    if kind != "int64":
        return found.take(
            np.array([i if items_kept else -1 for i, items_kept in enumerate(items(st.booleans()))], "i8"),
            allow_fill=True,
        )
    return found


def _arrow(draw: Any, items: Any) -> Any:
    small = st.integers(-100, 100)
    choices: list[tuple[pa.DataType, Any]] = [
        *(
            (pa.int64(), _ints("int64")),
            (pa.string(), st.text(max_size=3)),
            (pa.large_string(), st.text(max_size=3)),
        ),
        *((pa.binary(), st.binary(max_size=3)), (pa.bool_(), st.booleans()), (pa.date32(), st.dates())),
        *(
            (pa.decimal128(7, 2), small.map(Decimal)),
            (pa.time64("us"), st.times()),
            (pa.binary(2), st.just(b"ab")),
        ),
        (pa.list_(pa.int64()), st.lists(small, max_size=3)),
        (
            pa.struct([("a", pa.int8()), ("b", pa.string())]),
            st.fixed_dictionaries({"a": small, "b": st.text(max_size=2)}),
        ),
        (pa.map_(pa.string(), pa.int64()), st.lists(st.tuples(st.text(max_size=2), small), max_size=2)),
        *(
            (pa.timestamp("s", "Europe/Berlin"), small),
            (pa.timestamp("ns"), small),
            (pa.duration("ms"), small),
        ),
        (pa.list_(pa.timestamp("s")), st.lists(small, max_size=2)),
    ]
    kind, strategy = draw(st.sampled_from(choices))
    column = pa.array(items(st.none() | strategy), type=kind)
    return pd.arrays.ArrowExtensionArray(pa.chunked_array([column]))


LABELS = (
    st.none()
    | st.text(max_size=4)
    | st.sampled_from([0, -1, ("a", 1), pd.Timestamp("2020"), 1.5, b"x", "\u00e9"])
)


@st.composite
def indexes(draw: Any, n: int) -> pd.Index:
    """An index of n entries of any kind, with duplicates and in any order."""
    kind = draw(st.sampled_from(["range", "range", "any", "any", "multi", "freq"]))
    name = draw(LABELS)
    if kind == "range":
        start, step = draw(st.integers(-5, 5)), draw(st.sampled_from([1, 1, 2, -1, 7]))
        return pd.RangeIndex(start, start + n * step, step, name=name)
    if kind == "freq":
        freq, zone = (
            draw(st.sampled_from(["D", "h", "2h", "MS", "B"])),
            draw(st.sampled_from([None, "UTC", "Asia/Tokyo"])),
        )
        return pd.date_range("2020-01-01", periods=n, freq=freq, tz=zone, name=name)
    if kind == "any":
        return _index(draw(arrays(n, INDEX_KINDS)), name)
    levels = [_index(_tiled(draw, n), None) for _ in range(draw(st.integers(1, 3)))]
    return pd.MultiIndex.from_arrays(levels, names=[draw(LABELS) for _ in levels])


def _tiled(draw: Any, n: int) -> Any:
    hashable = [k for k in INDEX_KINDS if not k.startswith(("object_m", "complex", "arrow"))]
    found = draw(arrays(n, hashable))
    if n and draw(st.booleans()):
        found = found[np.array(draw(st.lists(st.integers(0, n - 1), min_size=n, max_size=n)), dtype="i8")]
    return found


def _index(found: Any, name: Any) -> pd.Index:
    return pd.Index(found, dtype=found.dtype, name=name, tupleize_cols=False)


FEW = st.integers(0, 6)


@st.composite
def frames(draw: Any, rows: Any = FEW, columns: int = 3, plain_index: bool = False) -> pd.DataFrame:
    """A frame of any shape, dtypes, index and column names."""
    n = draw(rows)
    names = draw(st.lists(st.text(max_size=5), unique=True, max_size=columns))
    index = pd.RangeIndex(n) if plain_index else draw(indexes(n))
    data = {
        i: pd.Series(found, index=index, dtype=found.dtype)
        for i, found in enumerate(draw(arrays(n)) for _ in names)
    }
    frame = pd.DataFrame(data, index=index)
    frame.columns = pd.Index(names, dtype="str")
    return frame
