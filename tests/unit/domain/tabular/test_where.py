"""Filters against what pandas itself answers."""

import operator
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.domain import tabular
from omega.domain.errors import BadInput

MOMENTS = pd.to_datetime(
    ["2020-01-01", None, "2020-06-01T12:30:00.5", "1969-12-31T23:59:59.999999"], format="ISO8601"
)
DF = pd.DataFrame(
    {
        "i": [1, -5, 2**53 + 1, 7],
        "i8": np.array([1, -128, 127, 0], dtype="i1"),
        "u": np.array([0, 1, 2**64 - 1, 5], dtype="u8"),
        "I": pd.array([1, None, 2**53 + 1, 0], dtype="Int64"),
        "f": [0.5, np.nan, -0.0, np.inf],
        "f2": np.array([0.5, np.nan, -0.0, 2.0], dtype="f2"),
        "f4": np.array([0.1, np.nan, -0.0, 2.0], dtype="f4"),
        "F": pd.arrays.FloatingArray(
            np.array([0.5, np.nan, 0.0, 1.0]), np.array([False, False, True, False])
        ),
        "b": [True, False, True, False],
        "B": pd.array([True, None, False, True], dtype="boolean"),
        "s": ["apple", None, "a%_.*b", "\u00fcber"],
        "o": pd.Series(["apple", None, "pear", ""], dtype=object),
        "d": MOMENTS,
        "z": MOMENTS.tz_localize("UTC").tz_convert("Europe/Berlin"),
        "t": pd.to_timedelta([1, None, 90, -5], unit="s"),
        "c": pd.Categorical(["b", None, "a", "b"], categories=["b", "a", "unused"]),
        "size": pd.Categorical(["S", "L", None, "M"], categories=["S", "M", "L"], ordered=True),
        "ci": pd.Categorical([3, 1, None, 3]),
        "cz": pd.Categorical(MOMENTS.tz_localize("UTC")),
        "p": pd.PeriodIndex(["2020-01", "2020-02", None, "2021-01"], freq="M"),
        "dec": pd.array(
            [Decimal("1.10"), None, Decimal("-2.00"), Decimal("0")], dtype=pd.ArrowDtype(pa.decimal128(20, 2))
        ),
        "day": pd.array(
            [date(2020, 1, 1), None, date(2021, 1, 1), date(1960, 1, 1)], dtype=pd.ArrowDtype(pa.date32())
        ),
        "m": pd.Series([1, "a", None, float("nan")], dtype=object),
        "x": pd.array([1j, complex(0, np.nan), 0, 2], dtype="complex128"),
        "iv": pd.cut([1, 2, 3, np.nan], 2),
        "span": pd.arrays.IntervalArray.from_arrays([0.5, np.nan, 1, 2], [1, np.nan, 2, 3]),
        "n__lt": [1, 2, 3, 4],
    }
)
TABLE = tabular.from_pandas(DF)
SCHEMA = TABLE.schema


def where(schema: pa.Schema, filters: Sequence[tuple[str, str]]) -> Any:
    return tabular.all_hold(tabular.conditions(schema, filters))


def where_python(schema: pa.Schema, where: Mapping[str, Any]) -> Any:
    return tabular.all_hold(tabular.conditions_python(schema, where))


def rows(expression: Any) -> list[int]:
    assert expression is not None
    return TABLE.filter(expression)["__index_0__"].to_pylist()


def url(key: str, text: str) -> list[int]:
    return rows(where(SCHEMA, [(key, text)]))


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        *(("i", "9007199254740993", [2]), ("i", "9007199254740992", []), ("i__ne", "1", [1, 2, 3])),
        *(
            ("i8__lt", "300", [0, 1, 2, 3]),
            ("i8", "300", []),
            ("i8__gt", "300", []),
            ("i8__gte", "-129", [0, 1, 2, 3]),
        ),
        *(
            ("i8__ne", "300", [0, 1, 2, 3]),
            ("i8__between", "-500,0", [1, 3]),
            ("i8__in", "1,300,127", [0, 2]),
        ),
        *(
            ("u", "18446744073709551615", [2]),
            ("u__gt", "-1", [0, 1, 2, 3]),
            ("u__lt", "18446744073709551616", [0, 1, 2, 3]),
        ),
        *(
            ("I__ne", "1", [1, 2, 3]),
            ("I__lt", "99999999999999999999", [0, 2, 3]),
            ("I__isnull", "true", [1]),
        ),
        *(("I", "9007199254740993", [2]), ("I__in", "0,9007199254740993", [2, 3])),
        *(
            ("f", "0", [2]),
            ("f", "-0.0", [2]),
            ("f__in", "0,inf", [2, 3]),
            ("f__ne", "0.5", [1, 2, 3]),
            ("f__isnull", "true", [1]),
        ),
        *(
            ("f__isnull", "false", [0, 2, 3]),
            ("f__gt", "1e308", [3]),
            ("f2__lte", "0.5", [0, 2]),
            ("f2__isnull", "true", [1]),
        ),
        *(
            ("f4", "0.1", [0]),
            ("f4__lt", "0.1", [2]),
            ("F__isnull", "true", [1, 2]),
            ("F__ne", "0.5", [1, 2, 3]),
        ),
        *(
            ("b", "true", [0, 2]),
            ("b", "1", [0, 2]),
            ("b__ne", "YES", [1, 3]),
            ("b__in", "0,no", [1, 3]),
            ("b", "False", [1, 3]),
            ("B__ne", "true", [1, 2]),
            ("B__in", "true,false", [0, 2, 3]),
        ),
        *(
            ("s", "apple", [0]),
            ("s__contains", "%_.*", [2]),
            ("s__contains", ".", [2]),
            ("s__startswith", "\u00fc", [3]),
        ),
        *(
            ("s__endswith", "b", [2]),
            ("s__isnull", "true", [1]),
            ("s__isnull", "1", [1]),
            ("s__isnull", "No", [0, 2, 3]),
            ("s__ne", "apple", [1, 2, 3]),
            ("s__gt", "b", [3]),
        ),
        *(
            ("s__in", '"apple","a%_.*b"', [0, 2]),
            ("o", "", [3]),
            ("o__in", ",pear", [2, 3]),
            ("o__isnull", "false", [0, 2, 3]),
        ),
        *(
            ("d", "2020-01-01", [0]),
            ("d__gte", "2020-01-01T00:00", [0, 2]),
            ("d", "2020-06-01T12:30:00.500000000", [2]),
        ),
        *(
            ("d__gt", "2020-06-01 12:30:00.4999999999"[:-1], [2]),
            ("d__lt", "1970-01-01", [3]),
            ("d__ne", "2020-01-01", [1, 2, 3]),
        ),
        *(("d__lt", "2020-01-01T00:00:00.000000001", [0, 3]), ("d", "2020-01-01T00:00:00.000000001", [])),
        *(
            ("z", "2020-01-01T00:00:00Z", [0]),
            ("z", "2020-01-01T01:00:00", [0]),
            ("z__gt", "2020-06-01T14:30:00+02:00", [2]),
        ),
        *(("z__in", "2020-01-01T01:00:00%2B01:00".replace("%2B", "+"), [0]), ("z__isnull", "true", [1])),
        *(
            ("t", "90s", [2]),
            ("t__lt", "0 days", [3]),
            ("t__gte", "PT1M30S", [2]),
            ("t__ne", "1s", [1, 2, 3]),
        ),
        *(
            ("c", "b", [0, 3]),
            ("c", "nothing", []),
            ("c__ne", "b", [1, 2]),
            ("c__in", "a,b", [0, 2, 3]),
            ("c__contains", "a", [2]),
        ),
        *(
            ("c__lt", "b", [2]),
            ("c__isnull", "true", [1]),
            ("size__lt", "M", [0]),
            ("size__gte", "M", [1, 3]),
        ),
        *(
            ("size__between", "M,L", [1, 3]),
            ("size__ne", "S", [1, 2, 3]),
            ("ci", "3", [0, 3]),
            ("ci__lte", "2", [1]),
        ),
        *(
            ("cz", "2020-01-01T00:00:00", [0]),
            ("p", "2020-02", [1]),
            ("p__gt", "2020-01", [1, 3]),
            ("p__isnull", "true", [2]),
        ),
        *(
            ("dec", "1.1", [0]),
            ("dec__lt", "1.099", [2, 3]),
            ("dec", "1.101", []),
            ("dec__in", "0,-2", [2, 3]),
        ),
        *(
            ("dec__lt", "1e30", [0, 2, 3]),
            ("day", "2020-01-01", [0]),
            ("day__between", "1960-01-01,2020-01-01", [0, 3]),
        ),
        *(
            ("m__isnull", "true", [2, 3]),
            ("m__isnull", "false", [0, 1]),
            ("x__isnull", "true", [1]),
            ("iv__isnull", "true", [3]),
        ),
        *(("span__isnull", "true", [1]), ("n__lt", "3", [2]), ("n__lt__lt", "3", [0, 1])),
    ],
)
def test_filters_as_in_a_url(key: str, text: str, expected: list[int]) -> None:
    assert url(key, text) == expected


def test_filters_are_anded_and_none_is_none() -> None:
    assert where(SCHEMA, []) is None
    assert where_python(SCHEMA, {}) is None
    assert rows(where(SCHEMA, [("i__gt", "0"), ("f__isnull", "false"), ("b", "true")])) == [0, 2]


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        *(
            ("nope", "1", "unknown column 'nope'"),
            ("nope__lt", "1", "unknown column 'nope'"),
            ("i__like", "1", "unknown operator 'like'"),
        ),
        *(
            ("i", "1.0", "'1.0'"),
            ("i", "", "whole"),
            ("i", "1_0", "whole"),
            ("i", "\u0661", "whole"),
            ("f", "nan", "number"),
        ),
        *(
            ("f", "", "number"),
            ("b", "2", "true nor false"),
            ("b__lt", "true", "'b'"),
            ("d", "now", "ISO 8601"),
        ),
        *(
            ("d", "2020-13-01", "'d'"),
            ("d", "2020-01-01T00:00:00Z", "no time zone"),
            ("z", "2020-10-25T02:30:00", "twice or never"),
        ),
        *(
            ("z", "2020-03-29T02:30:00", "twice or never"),
            ("z", "today", "ISO 8601"),
            ("p", "now", "period"),
            ("p", "x", "period"),
        ),
        *(
            ("size__lt", "XL", "categories"),
            ("ci", "a", "whole"),
            ("c__startswithx", "a", "unknown operator"),
        ),
        *(
            ("i__contains", "1", "'contains' does not go"),
            ("m", "1", "does not go"),
            ("x", "1", "does not go"),
            ("iv__lt", "1", "does not go"),
        ),
        *(
            ("i__between", "1", "two values"),
            ("i__between", "1,2,3", "two values"),
            ("i__isnull", "maybe", "true nor false"),
        ),
        *(
            ("dec", "1,1", "decimal"),
            ("day", "2020", "'day'"),
            ("t", "abc", "duration"),
            ("s__in", '"a', "list"),
            ("s", "\ud800", "'s'"),
        ),
        ("s__contains", "\ud800", "'s'"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(key: str, text: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        where(SCHEMA, [(key, text)])
    assert words in str(caught.value)


def test_an_unknown_column_lists_at_most_twenty() -> None:
    schema = tabular.from_pandas(pd.DataFrame(np.zeros((1, 30)), columns=[f"c{i}" for i in range(30)])).schema
    with pytest.raises(BadInput, match=r"'c19', \.\.\.$"):
        where(schema, [("x", "1")])


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        *(
            ({"i": 2**53 + 1}, [2]),
            ({"i__lt": 1.5}, [0, 1]),
            ({"i": 1.5}, []),
            ({"i__in": [1, 7, 2.5]}, [0, 3]),
        ),
        *(
            ({"i__in": np.array([1, 7])}, [0, 3]),
            ({"i__in": []}, []),
            ({"f__between": (0, 1)}, [0, 2]),
            ({"b": np.bool(True)}, [0, 2]),
        ),
        *(
            ({"d": datetime(2020, 1, 1)}, [0]),
            ({"d__gte": pd.Timestamp("2020-01-01")}, [0, 2]),
            ({"d": "2020-01-01"}, [0]),
        ),
        *(
            ({"d": np.datetime64("2020-01-01")}, [0]),
            ({"d": date(2020, 1, 1)}, [0]),
            ({"z": datetime(2020, 1, 1, tzinfo=UTC)}, [0]),
        ),
        *(
            ({"t": timedelta(seconds=90)}, [2]),
            ({"dec": Decimal("1.10")}, [0]),
            ({"c__in": ["a"]}, [2]),
            ({"s__isnull": True}, [1]),
        ),
        *(
            ({"size__gt": "S"}, [1, 3]),
            ({"p": pd.Period("2020-02", "M")}, [1]),
            ({"day__lt": date(2020, 1, 1)}, [3]),
        ),
    ],
)
def test_filters_on_python_values(where: dict[str, Any], expected: list[int]) -> None:
    assert rows(where_python(SCHEMA, where)) == expected


@pytest.mark.parametrize(
    "where",
    [
        *(
            {"i": "1"},
            {"i": True},
            {"i": None},
            {"i": float("nan")},
            {"f": float("nan")},
            {"s": 1},
            {"b": 1},
            {"d": 1},
        ),
        *(
            {"d": pd.NaT},
            {"i__in": 1},
            {"i__between": [1]},
            {"s__contains": 1},
            {"i__isnull": "true"},
            {"t": 1},
        ),
        *({"d": pd.Timestamp("2020", tz="UTC")}, {"p": pd.Period("2020", "Y")}, {5: 1}),
    ],
)
def test_python_values_of_another_type_are_refused(where: dict[Any, Any]) -> None:
    with pytest.raises(BadInput):
        where_python(SCHEMA, where)


COMPARE = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}
FINITE = st.floats(allow_nan=False, width=32)
ORACLES: dict[str, tuple[Any, Any]] = {
    "int64": (st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1), str),
    "uint8": (st.integers(0, 255), str),
    "Int16": (st.none() | st.integers(-300, 300), str),
    "float64": (st.none() | FINITE | st.integers(-2, 2), repr),
    "Float32": (st.none() | FINITE | st.integers(-2, 2), repr),
    "str": (st.none() | st.text("ab\u00e9\U0001f600", max_size=2), str),
    "datetime64[ms]": (
        st.none() | st.integers(0, 4).map(lambda d: datetime(2020, 1, 1) + timedelta(d)),
        lambda v: v.isoformat(),
    ),
}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(ORACLES)), st.sampled_from(list(COMPARE)), st.data())
def test_comparisons_are_those_of_pandas(dtype: str, op: str, data: st.DataObject) -> None:
    strategy, text = ORACLES[dtype]
    column = pd.Series(data.draw(st.lists(strategy, min_size=1, max_size=8)), dtype=dtype)
    known = [v for v in column.tolist() if not pd.isna(v)]
    value = data.draw(
        st.sampled_from(known)
        if known and data.draw(st.booleans())
        else strategy.filter(lambda v: v is not None)
    )
    mask = COMPARE[op](column, value).astype("boolean").fillna(op == "ne")
    table = tabular.from_pandas(column.to_frame("x"))
    for expression in (
        where(table.schema, [(f"x__{op}", text(value))]),
        where_python(table.schema, {f"x__{op}": value}),
    ):
        assert table.filter(expression)["__index_0__"].to_pylist() == list(
            column.index[mask.to_numpy(dtype=bool)]
        )
