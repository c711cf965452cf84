from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.domain.errors import BadInput
from tests.support.frames import from_json
from tests.unit.domain.tabular.frames import assert_same_values, raw


def column(values: list[Any], dtype: Any) -> pd.Series:
    return from_json({"data": {"x": values}, "dtypes": {"x": dtype}})["x"]


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1, 2.0], "int8", np.array([1, 2], dtype="i1")),
        ([2**64 - 1], "uint64", np.array([2**64 - 1], dtype="u8")),
        ([2**53 + 1], "int64", np.array([2**53 + 1])),
        ([1], "<i4", np.array([1], dtype="i4")),
        ([1], ">f8", np.array([1.0])),
        ([1, 0.1, None], "float32", np.array([1, 0.1, np.nan], dtype="f4")),
        ([2**1023], "float64", np.array([2.0**1023])),
        ([True, False], "bool", np.array([True, False])),
        ([True, None], "boolean", pd.array([True, None], dtype="boolean")),
        ([1, None], "UInt8", pd.array([1, None], dtype="UInt8")),
        ([1, None, 0.5], "Float32", pd.array([1, None, 0.5], dtype="Float32")),
        (["a", None], "str", pd.array(["a", None], dtype="str")),
        (["a", None], "string", pd.array(["a", None], dtype="string")),
        (["a", None], "string[python]", pd.array(["a", None], dtype="string[python]")),
        ([1, "a", None, [2]], "object", np.fromiter([1, "a", None, [2]], dtype=object)),
        (["b", "a", None], "category", pd.Categorical(["b", "a", None])),
        ([1, 2], "category", pd.Categorical([1, 2])),
        ([0, 1500, None], "datetime64[ns]", np.array([0, 15 * 10**8, "NaT"], dtype="M8[ns]")),
        ([1000, -1000.0], "datetime64[s]", np.array([1, -1], dtype="M8[s]")),
        (
            ["2020-01-31", "2020-01-31 12:30"],
            "datetime64[us]",
            np.array(["2020-01-31", "2020-01-31T12:30"], "M8[us]"),
        ),
        (
            ["2020-01-31T12:30:00.123456789", 0],
            "datetime64[ns]",
            np.array(["2020-01-31T12:30:00.123456789", 0], "M8[ns]"),
        ),
        (
            ["0001-01-01", "9999-12-31T23:59:59"],
            "datetime64[s]",
            np.array(["0001-01-01", "9999-12-31T23:59:59"], "M8[s]"),
        ),
        (
            [5, "-P1DT0.5S", "1 days 02:00:00", None],
            "timedelta64[ms]",
            np.array([5, -86400500, 93600000, "NaT"], "m8[ms]"),
        ),
        (
            ["P1W", "PT1M", "-1 days +23:59:59"],
            "timedelta64[s]",
            np.array([604800, 60, -1], "m8[s]"),
        ),
        (["PT-0.5S", "-PT-0.5S", "PT1H-0.5S"], "timedelta64[ms]", np.array([-500, 500, 3599500], "m8[ms]")),
        (["2020-01", None], "period[M]", pd.array(pd.PeriodIndex(["2020-01", None], freq="M"))),
    ],
)
def test_values_are_read_as_the_dtype(values: list[Any], dtype: str, expected: Any) -> None:
    assert_same_values(raw(column(values, dtype)), expected)


def test_zoned_datetimes_are_instants() -> None:
    values = ["2020-07-01T12:00:00", "2020-07-01T12:00:00Z", "2020-07-01T12:00:00+0300", 0, None]
    got = column(values, "datetime64[us, Europe/Berlin]")
    expected = pd.Series(
        pd.DatetimeIndex(
            ["2020-07-01T10:00", "2020-07-01T12:00", "2020-07-01T09:00", "1970-01-01", None], tz="UTC"
        )
    ).dt.tz_convert("Europe/Berlin")
    assert (
        str(got.dtype) == "datetime64[us, Europe/Berlin]"
        and list(got[:4]) == list(expected[:4])
        and got.isna()[4]
    )
    assert str(column([0], "datetime64[s, UTC+02:00]").dtype) == "datetime64[s, UTC+02:00]"


@pytest.mark.parametrize(
    ("values", "dtype", "words"),
    [
        ([1, 1.5], "int64", "column 'x': cannot read 1.5 in row 1 as int64: it has a fraction"),
        ([1, None], "int64", "cannot read None in row 1 as int64: it is null; Int64 takes nulls"),
        ([1, None], "uint8", "UInt8 takes nulls"),
        ([1, True], "int64", "cannot read True in row 1 as int64: it is not a number"),
        ([1, "2"], "int64", "cannot read '2' in row 1 as int64: it is not a number"),
        ([1, 128], "int8", "cannot read 128 in row 1 as int8: the range is -128 to 127"),
        ([-1], "uint64", "the range is 0 to 18446744073709551615"),
        ([10**400], "int64", "cannot read with more than 300 digits in row 0"),
        ([1.5], "Int64", "cannot read 1.5 in row 0 as Int64: it has a fraction"),
        (["1.5"], "float64", "cannot read '1.5' in row 0 as float64: it is not a number"),
        ([True], "float64", "cannot read True in row 0 as float64"),
        ([1e39], "float32", r"cannot read 1e\+39 in row 0 as float32: the range is up to"),
        ([2**53 + 1], "float64", "the integer 9007199254740993 in row 0 is no exact float64"),
        ([2**24 + 1], "float32", "no exact float32"),
        ([10**400], "float64", "no exact float64"),
        ([1, 0], "bool", "cannot read 1 in row 0 as bool: only true and false are"),
        ([None], "bool", "boolean takes nulls too"),
        ([1], "boolean", "only true, false and null are"),
        ([1], "str", "cannot read 1 in row 0 as str: it is not text"),
        ([[1]], "category", "a list or object is no category"),
        (["now"], "datetime64[ns]", "cannot read 'now' in row 0 as datetime64.ns.: it is not ISO 8601"),
        (["2020-02-30"], "datetime64[ns]", "there is no such day or time"),
        (["2020-01-01", "2020-01-01T25:00"], "datetime64[ns]", "row 1 .* there is no such day or time"),
        (["2020-01-01T00:00:00Z"], "datetime64[ns]", "it has an offset, and the dtype no zone"),
        (
            ["2020-01-01T00:00:00.5"],
            "datetime64[s]",
            "cannot read .* in row 0 as datetime64.s.: it is not a whole number of s",
        ),
        ([1500], "datetime64[s]", "cannot read 1500 in row 0 .* whole number of s"),
        ([0.5], "datetime64[ns]", "milliseconds have no fraction here"),
        ([10**30], "datetime64[ms]", "out of the range of ms"),
        (["3000-01-01"], "datetime64[ns]", "out of the range of ns"),
        ([True], "datetime64[ns]", "neither a number of milliseconds nor ISO 8601 text"),
        (
            ["2020-03-29T02:30:00"],
            "datetime64[s, Europe/Berlin]",
            "no such day or time, or two, in this zone",
        ),
        (
            ["2020-10-25T02:30:00"],
            "datetime64[s, Europe/Berlin]",
            "no such day or time, or two, in this zone",
        ),
        (["P"], "timedelta64[s]", "it is not an ISO 8601 duration"),
        (["P1DT"], "timedelta64[s]", "it is not an ISO 8601 duration"),
        (["PT0.5S"], "timedelta64[s]", "not a whole number of s"),
        (["P999999999999999999D"], "timedelta64[s]", "out of the range of s"),
        (["2020-01-15"], "period[M]", "a period of this frequency is written '2020-01'"),
        (["soon"], "period[M]", "it is not a period"),
        ([5], "period[M]", "it is not text"),
        (["x" * 9999], "int64", r"cannot read 'x{70,80}\.\.\. in row 0"),
    ],
)
def test_what_does_not_fit_is_refused_with_column_dtype_and_value(
    values: list[Any], dtype: str, words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        column(values, dtype)


@pytest.mark.parametrize(
    "dtype",
    [
        *(
            "void",
            "V8",
            "i8,i8",
            "(2,3)f8",
            "complex128",
            "interval[int64, right]",
            "S5",
            "U3",
            "float128",
            "M8[D]",
            "",
            "int63",
        ),
        *(
            "datetime64[D]",
            "datetime64[ns, dateutil//etc/passwd]",
            "datetime64[ns, ../../etc/passwd]",
            "datetime64[ns, Nowhere/X]",
        ),
        *(
            "datetime64[ns, tzlocal()]",
            "datetime64",
            "period[B]",
            "period[xyz]",
            "period[0D]",
            "Sparse[int]",
            "object_",
            "x" * 999,
        ),
        *("string[evil]", 5, None, ["int64"], {"names": ["a"], "formats": ["i8"]}),
    ],
)
def test_only_listed_dtypes_are_known(dtype: Any) -> None:
    with pytest.raises(BadInput, match=r"column 'x': (unknown dtype|cannot read dtype)"):
        column([1], dtype)


@settings(max_examples=50, deadline=None)
@given(counts=st.lists(st.none() | st.integers(-(2**62), 2**62), max_size=5))
def test_durations_of_pandas_are_read_as_pandas_means_them(counts: list[int | None]) -> None:
    durations = [pd.NaT if n is None else pd.Timedelta(n, unit="ns") for n in counts]
    for write in (pd.Timedelta.isoformat, str):
        texts = [None if n is None else write(d) for n, d in zip(counts, durations, strict=True)]
        assert list(column(texts, "timedelta64[ns]").astype("i8")) == list(
            pd.Series(durations, dtype="m8[ns]").astype("i8")
        )


@given(
    st.lists(
        st.none()
        | st.from_regex(
            r"(?:[0-3][0-9]{3}|1677|2262)-(?:0[0-9]|1[0-3])-[0-3][0-9]"
            r"(?:[T ][0-2][0-9](?::[0-6][0-9](?::[0-6][0-9](?:\.[0-9]{1,10})?)?)?)?(?:Z|\+01:00)?",
            fullmatch=True,
        ),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(["s", "ms", "us", "ns"]),
)
def test_datetimes_are_read_all_at_once_as_one_by_one(texts: list[str | None], unit: str) -> None:
    def outcome(values: list[Any]) -> Any:
        try:
            return list(column(values, f"datetime64[{unit}]")[: len(texts)])
        except BadInput as error:
            return error.args

    # A number among them is read one by one.
    assert repr(outcome(texts)) == repr(outcome([*texts, 0]))
