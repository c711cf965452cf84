from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.domain import tabular
from omega.domain.errors import BadInput
from tests.unit.domain.tabular.frames import assert_same


def appended(stored: pd.DataFrame, given: pd.DataFrame) -> pd.DataFrame:
    """What a reader sees after the append, older segments widened."""
    old = tabular.from_pandas(stored)
    new = tabular.conform(tabular.from_pandas(given), old)
    older = tabular.widen(old, new.schema)
    assert (tabular.widened(old.schema, new.schema) == []) == older.schema.equals(
        old.schema, check_metadata=True
    )
    return tabular.to_pandas(pa.concat_tables([older, new]))


def column(values: Any, dtype: Any) -> pd.DataFrame:
    return pd.DataFrame({"x": pd.Series(values, dtype=dtype)})


NA, NAN = pd.NA, float("nan")
SML = pd.CategoricalDtype(["S", "M", "L"], ordered=True)
OBJ = "object"


@pytest.mark.parametrize(
    ("stored", "given", "expected"),
    [
        *(
            (([1], "int64"), ([2], "int8"), "int64"),
            (([1], "int8"), ([2], "int64"), "int8"),
            (([1], "int8"), ([300], "int64"), "int64"),
        ),
        *(
            (([1], "uint8"), ([2], "int64"), "uint8"),
            (([1], "int64"), ([2], "uint64"), "int64"),
            (([1], "float64"), ([2**53], "int64"), "float64"),
        ),
        *(
            (([1], "float32"), ([2**24], "int64"), "float32"),
            (([1], "float16"), ([2048], "int64"), "float16"),
        ),
        *(
            (([2**53], "int64"), ([0.5], "float64"), "float64"),
            (([1], "int64"), ([0.5], "float32"), "float64"),
        ),
        *(
            (([0.5], "float32"), ([0.25], "float64"), "float32"),
            (([0.5], "float32"), ([0.1], "float64"), "float64"),
        ),
        *((([0.5], "float64"), ([0.1], "float32"), "float64"), (([1], "int64"), ([NA], "Int64"), "Int64")),
        *(
            (([1], "int64"), ([2], "Int64"), "int64"),
            (([1, NA], "Int64"), ([2], "int64"), "Int64"),
            (([1], "Int64"), ([0.5], "float64"), "Float64"),
        ),
        *(
            (([1], "Int64"), ([NAN], "float64"), "Int64"),
            (([0.5], "Float64"), ([NAN, 1.5], "float64"), "Float64"),
        ),
        *(
            (([0.5], "float64"), ([NA, 1.5], "Float64"), "float64"),
            (([0.5], "float64"), ([None], OBJ), "float64"),
        ),
        *(
            (([True], "bool"), ([NA], "boolean"), "boolean"),
            (([True, NA], "boolean"), ([False], "bool"), "boolean"),
        ),
        *(
            (([True], "bool"), ([False], "boolean"), "bool"),
            ((["a"], "str"), (["b", None], OBJ), "str"),
            ((["a"], OBJ), (["b", None], "str"), OBJ),
        ),
        *(
            ((["a"], "str"), ([None], OBJ), "str"),
            ((["a"], "str"), ([NAN], "float64"), "str"),
            ((["a"], "string"), (["b"], "str"), "string"),
        ),
        *(
            ((["a"], OBJ), ([1, "b"], OBJ), OBJ),
            (([b"a"], OBJ), (["b"], OBJ), OBJ),
            (([1, "b"], OBJ), (["c", None], "str"), OBJ),
        ),
        *((([b"a"], OBJ), ([b"b", None], OBJ), OBJ), (([(1,)], OBJ), ([{"a": 1}], OBJ), OBJ)),
        *(
            ((["2020"], "M8[ns]"), (["2021"], "M8[s]"), "M8[ns]"),
            ((["2020"], "M8[s]"), (["2021"], "M8[ns]"), "M8[s]"),
        ),
        *(((["2020"], "M8[s]"), ([None], OBJ), "M8[s]"), (([1], "m8[ns]"), ([1], "m8[s]"), "m8[ns]")),
        (
            (["2020"], "datetime64[us, Europe/Berlin]"),
            (["2021"], "datetime64[s, UTC]"),
            "datetime64[us, Europe/Berlin]",
        ),
        *(
            ((["S"], SML), (["L", None], "str"), SML),
            ((["S"], SML), (["M"], OBJ), SML),
            ((["S"], SML), (["M"], pd.CategoricalDtype(["M", "x"])), SML),
        ),
        *(
            (([1, 2], "category"), ([2], "int8"), "category"),
            (([1, 2], "category"), ([NAN], "float64"), "category"),
        ),
        *(
            (([1j], "complex128"), ([2j], "complex128"), "complex128"),
            (([1], "int64[pyarrow]"), ([2], "int64"), "int64[pyarrow]"),
        ),
        *(
            (([1], "int64"), ([2], "int32[pyarrow]"), "int64"),
            ((["a"], "str"), (["b"], "string[pyarrow]"), "str"),
        ),
        *(
            (([], OBJ), ([1], "int64"), "int64"),
            (([1], "int64"), ([], OBJ), "int64"),
            (([], OBJ), ([0.5], "float64"), "float64"),
        ),
    ],
)
def test_what_fits_is_appended(stored: Any, given: Any, expected: Any) -> None:
    a, b = column(*stored), column(*given)
    got = appended(a, b)
    dtype = a["x"].dtype if expected == "category" else expected
    parts = [part["x"].astype(dtype) if str(dtype) != OBJ else part["x"].astype(object) for part in (a, b)]
    if str(dtype) == OBJ:
        # Text has one missing value, which comes to an object column as None.
        parts = [
            pd.Series([None if isinstance(v, float) else v for v in p], dtype=OBJ, name="x") for p in parts
        ]
    want = pd.concat([p.to_frame() for p in parts])
    want.index = got.index
    assert_same(want, got)


@pytest.mark.parametrize(
    ("stored", "given", "words"),
    [
        *(
            (([1], "int64"), (["a"], "str"), "'x'.*int64.*str"),
            (([1], "float64"), ([2**53 + 1], "int64"), "9007199254740993"),
        ),
        *(
            (([2**53 + 1], "int64"), ([0.5], "float64"), "9007199254740993"),
            (([1], "float32"), ([2**24 + 1], "int64"), "16777217"),
        ),
        *(
            (([1], "uint8"), ([-1], "int64"), "range"),
            (([1], "int64"), ([2**63], "uint64"), "range"),
            (([1], "int64"), ([True], "bool"), "bool"),
        ),
        *(
            (([True], "bool"), ([1], "int64"), "'x'"),
            ((["a"], "str"), ([1], "int64"), "'x'"),
            ((["a"], "str"), (["b", 1], OBJ), "'x'"),
        ),
        *(
            ((["2020"], "M8[s]"), (["2020-01-01T00:00:00.5"], "M8[ms]"), "'x'"),
            ((["2020"], "M8[s]"), (["2020"], "datetime64[s, UTC]"), "'x'"),
        ),
        *(
            ((["2020"], "datetime64[s, UTC]"), (["2020"], "M8[s]"), "'x'"),
            ((["2020"], "M8[s]"), (["2020"], "str"), "'x'"),
        ),
        *(
            ((["S"], SML), (["XL"], "str"), "'XL'"),
            ((["S"], SML), (["XL"], "category"), "'XL'"),
            (([1, 2], "category"), ([3], "int64"), "3 is not one"),
        ),
        *(
            (([1j], "complex128"), ([None], OBJ), "'x'"),
            (([1], "category"), (["a"], "str"), "'x'"),
        ),
        *(
            ((["a"], "str"), (["a"], "category"), "'x'"),
            (([1j], "complex128"), ([1.0], "float64"), "'x'"),
            (([1.0], "float64"), ([1j], "complex128"), "'x'"),
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(stored: Any, given: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        appended(column(*stored), column(*given))


def test_columns_may_come_in_any_order_and_all_must_be_there() -> None:
    stored = pd.DataFrame({"a": [1], "b": ["x"], "c": [0.5]})
    got = appended(stored, pd.DataFrame({"c": [1], "b": ["y"], "a": [2]}, index=[1]))
    assert_same(pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [0.5, 1.0]}), got)
    with pytest.raises(BadInput, match=r"missing: 'b', 'c'; too many: 'd'"):
        appended(stored, pd.DataFrame({"a": [1], "d": [2]}))
    with pytest.raises(BadInput, match=r"too many: 'd'"):
        appended(stored, stored.assign(d=1))


def test_non_string_labels_stay_as_they_are_stored() -> None:
    got = appended(
        pd.DataFrame({1: [1], ("a", 2): [2]}), pd.DataFrame({"('a', 2)": [3], "1": [4]}, index=[1])
    )
    assert got.columns.tolist() == [1, ("a", 2)] and got[1].tolist() == [1, 4]


def test_indexes_must_be_of_one_kind() -> None:
    base = pd.DataFrame({"x": [1, 2]})
    named = base.set_axis(pd.Index(["a", "b"], name="key"))
    assert appended(base, base.set_axis(pd.RangeIndex(2, 4))).index.equals(pd.RangeIndex(4))
    assert isinstance(appended(base, base.set_axis([2, 3])).index, pd.RangeIndex)
    assert appended(base, base).index.tolist() == [0, 1, 0, 1]
    assert appended(named, named.rename_axis("other")).index.names == ["key"]
    multi = base.set_axis(pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", None]))
    assert appended(multi, multi).index.equals(multi.index.append(multi.index))
    day = base.set_axis(pd.date_range("2020", periods=2))
    assert appended(day, day.shift(2, freq="D")).index.freq == pd.offsets.Day()
    assert appended(day, day).index.freq is None
    for stored, other in [
        (named, base),
        (base, named),
        (multi, base),
        (day, base),
        (base, multi),
        (base, base.set_axis([0.5, 1])),
    ]:
        with pytest.raises(BadInput, match="index"):
            appended(stored, other)


def test_an_empty_frame_appends_to_anything() -> None:
    stored = pd.DataFrame({"a": [1], "b": ["x"], "c": pd.Categorical(["u"])}, index=["k"])
    assert_same(stored, appended(stored, pd.DataFrame({"c": [], "a": [], "b": []}, dtype=object)))


def test_only_columns_that_changed_are_widened() -> None:
    old = tabular.from_pandas(pd.DataFrame({"i": [1], "f": [0.5], "j": [2]}))
    new = tabular.conform(tabular.from_pandas(pd.DataFrame({"i": [0.5], "f": [1], "j": [3]})), old)
    assert tabular.widened(old.schema, new.schema) == ["i"]
    assert tabular.dtypes(new.schema) == {"i": "float64", "f": "float64", "j": "int64"}
    assert tabular.to_pandas(tabular.widen(old, new.schema))["i"].tolist() == [1.0]


NUMBERS = st.sampled_from(["int8", "uint8", "int64", "uint64", "float32", "float64", "Int64", "Float64"])


@settings(max_examples=80, deadline=None)
@given(
    NUMBERS,
    NUMBERS,
    st.lists(st.integers(0, 2**60), max_size=3),
    st.lists(st.integers(-300, 2**60), max_size=3),
)
def test_numbers_that_are_taken_are_the_numbers_that_come_back(
    a: str, b: str, xs: list[int], ys: list[int]
) -> None:
    def made(numbers: list[int], dtype: str) -> pd.DataFrame:
        info = np.iinfo(dtype.lower()) if "int" in dtype.lower() else None
        fitting = [n for n in numbers if info is None or info.min <= n <= info.max]
        return column(fitting, dtype)

    stored, given_ = made(xs, a), made(ys, b)
    try:
        got = appended(stored, given_)
    except BadInput:
        return
    assert [int(v) for v in got["x"]] == [int(v) for v in [*stored["x"], *given_["x"]]]


UTC, BERLIN = "datetime64[us, UTC]", "datetime64[ms, Europe/Berlin]"


@pytest.mark.parametrize(
    ("stored", "given", "expected"),
    [
        (([1], "int64"), ([None], OBJ), "Int64"),
        (([1], "uint8"), ([None], OBJ), "UInt8"),
        (([True], "bool"), ([None], OBJ), "boolean"),
        (([0.5], "float32"), ([None], OBJ), "float32"),
        ((["a"], "str"), ([None], OBJ), "str"),
        ((["2020"], "M8[s]"), ([None], OBJ), "datetime64[s]"),
        ((["S"], SML), ([None], OBJ), "category"),
        (([None], OBJ), ([1], "int64"), "Int64"),
        (([None], OBJ), ([True], "bool"), "boolean"),
        (([None], OBJ), ([0.5], "float64"), "float64"),
        (([None], OBJ), ([1], "UInt8"), "UInt8"),
        (([None], OBJ), (["2020"], "M8[s]"), "datetime64[s]"),
        (([None], OBJ), (["2020"], UTC), UTC),
        (([None], OBJ), (["S"], SML), "category"),
        (([None], OBJ), (["a"], "str"), "object"),
        (([None], OBJ), ([[1]], OBJ), "object"),
    ],
)
def test_a_column_of_none_takes_any_type(stored: Any, given: Any, expected: str) -> None:
    new = appended(column(*stored), column(*given))["x"]
    assert str(new.dtype) == expected
    none, value, given_or_stored = (0, 1, given) if stored[0] == [None] else (1, 0, stored)
    assert pd.isna(new.iloc[none])
    alone = tabular.to_pandas(tabular.from_pandas(column(*given_or_stored)))["x"].iloc[0]
    assert new.iloc[value] == alone


@pytest.mark.parametrize(
    ("kind", "texts", "expected"),
    [
        ("M8[s]", ["2020-01-01", None, "1969-12-31T23:59:59"], ["2020-01-01", None, "1969-12-31T23:59:59"]),
        ("M8[us]", ["2020-01-01T00:00:00.5", "2020-01-01 00:00"], ["2020-01-01T00:00:00.5", "2020-01-01"]),
        (
            UTC,
            ["2020-01-01T00:00:00Z", "2020-01-01T00:00:00+02:00"],
            ["2020-01-01T00:00:00", "2019-12-31T22:00:00"],
        ),
        (BERLIN, ["2020-10-25T00:30:00.5Z"], ["2020-10-25T00:30:00.5"]),
    ],
)
@pytest.mark.parametrize("text", ["str", OBJ])
def test_iso_text_goes_to_datetimes(kind: str, texts: list[Any], expected: list[Any], text: str) -> None:
    new = appended(column(["2020"], kind), column(texts, text))["x"]
    assert str(new.dtype) == np.dtype(kind).name if kind.startswith("M8") else str(new.dtype) == kind
    utc = pd.DatetimeIndex(new.iloc[1:])
    utc = utc if utc.tz is None else utc.tz_convert("UTC").tz_localize(None)
    assert utc.tolist() == pd.DatetimeIndex(np.array(expected, dtype="M8[us]")).tolist()


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("M8[s]", ["2020-01-01", "monday"]),
        ("M8[s]", ["2020-01-01T00:00:00.5"]),
        ("M8[s]", ["2020-01-01T00:00:00Z"]),
        ("M8[s]", ["2020-02-30"]),
        ("M8[s]", [""]),
        (UTC, ["2020-01-01T00:00:00Z", "2020-01-01T00:00:00"]),
        ("M8[ns]", ["2500-01-01"]),
        ("M8[ns]", ["1677-09-21T00:12:43.145224192"]),
        ("datetime64[ns, UTC]", ["2262-04-11T23:00:00-05:00"]),
        ("datetime64[ns, UTC]", ["1677-09-21T05:12:43.145224192+05:00"]),
        ("m8[s]", ["2020-01-01"]),
    ],
)
def test_text_that_is_no_exact_datetime_is_refused(kind: str, texts: list[str]) -> None:
    stored = column([1], kind) if kind == "m8[s]" else column(["2020"], kind)
    with pytest.raises(BadInput, match=r"column 'x' does not fit: the stored type is .*, the given one str"):
        appended(stored, column(texts, "str"))


def test_stored_text_never_becomes_datetimes() -> None:
    stored = tabular.from_pandas(column(["2020-01-01", None], OBJ))
    new = tabular.conform(tabular.from_pandas(column(["2021"], "M8[s]")), stored.slice(1))
    with pytest.raises(BadInput, match="the stored type is object, the given one datetime64"):
        tabular.widen(stored, new.schema)


@pytest.mark.parametrize(
    ("stored", "given", "types"),
    [
        ((["a"], "str"), ([1], "int64"), "stored type is str, the given one int64"),
        (([1], "int64"), (["a"], "str"), "stored type is int64, the given one str"),
        (([2**53 + 1], "int64"), ([0.5], "float64"), "stored type is int64, the given one float64"),
        ((["a"], OBJ), ([1], "int64"), "stored type is object, the given one int64"),
    ],
)
def test_a_refusal_names_the_types_the_right_way_round(stored: Any, given: Any, types: str) -> None:
    old, new = tabular.from_pandas(column(*stored)), tabular.from_pandas(column(*given))
    # As a service appends: what is to be like has no rows where no column is of objects.
    like = old if stored[1] == OBJ else tabular.empty_like(old.schema)
    with pytest.raises(BadInput, match=types):
        tabular.widen(old, tabular.conform(new, like).schema)


def test_object_text_stays_the_stored_text() -> None:
    old = tabular.from_pandas(column(["a"], "str"))
    new = tabular.conform(tabular.from_pandas(column(["b"], OBJ)), tabular.empty_like(old.schema))
    assert tabular.widened(old.schema, new.schema) == []
