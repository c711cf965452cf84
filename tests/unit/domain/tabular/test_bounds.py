"""Bounds never lose a row that a filter finds, whatever the dtype; and they rule out what they can."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.domain import tabular
from omega.domain.errors import BadInput

_LONG = "long enough to be cut: " * 3
_DATES = st.datetimes(datetime(1960, 1, 1), datetime(2100, 1, 1))
_TEXTS = st.text(max_size=3) | st.sampled_from(
    ["", "a", _LONG, _LONG + "a", _LONG + "\U0010ffff", "\U0010ffff" * 40, "\ud7ff" * 40, "\ue000", "ÿ" * 33]
)
_FLOATS = st.floats(width=32) | st.sampled_from([0.0, -0.0, float("inf"), float("nan"), 1e30])
_DECIMALS = st.decimals(-(10**6), 10**6, places=2, allow_nan=False)


def _ints(bits: int, *, signed: bool = True) -> st.SearchStrategy[int]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.integers(low, high) | st.sampled_from([low, high, 0, 1, min(high, 2**53 + 1)])


def _native(kind: pa.DataType) -> Any:
    return pd.ArrowDtype(kind)


#: dtype, values, and whether they may be missing.
KINDS: dict[str, tuple[Any, st.SearchStrategy[Any], bool]] = {
    "int64": ("int64", _ints(64), False),
    "int8": ("int8", _ints(8), False),
    "uint64": ("uint64", _ints(64, signed=False), False),
    "Int64": ("Int64", _ints(64), True),
    "float64": ("float64", _FLOATS, True),
    "float32": ("float32", _FLOATS, True),
    "float16": ("float16", st.floats(width=16), True),
    "Float64": ("Float64", _FLOATS, True),
    "bool": ("bool", st.booleans(), False),
    "boolean": ("boolean", st.booleans(), True),
    "str": ("str", _TEXTS, True),
    "object": ("object", _TEXTS, True),
    "mixed": ("object", _TEXTS | st.integers(0, 5), True),
    "datetime": ("datetime64[us]", _DATES, True),
    "datetime ns": ("datetime64[ns]", _DATES, True),
    "zoned": ("datetime64[us, America/St_Johns]", _DATES.map(lambda t: t.replace(tzinfo=UTC)), True),
    "timedelta": ("timedelta64[us]", st.timedeltas(timedelta(-99), timedelta(99)), True),
    "category": (pd.CategoricalDtype(["b", "a", "c"]), st.sampled_from("abc"), True),
    "ordered": (pd.CategoricalDtype([3, 1, 2], ordered=True), st.sampled_from([1, 2, 3]), True),
    "period": ("period[D]", _DATES.map(lambda t: pd.Period(t, "D")), True),
    "decimal": (_native(pa.decimal128(20, 2)), _DECIMALS, True),
    "wide decimal": (_native(pa.decimal256(60, 2)), _DECIMALS, True),
    "narrow decimal": (_native(pa.decimal64(10, 2)), _DECIMALS, True),
    "date": (_native(pa.date32()), st.dates(date(1900, 1, 1), date(2100, 1, 1)), True),
    "time": (_native(pa.time64("us")), st.times(), True),
    "arrow string": (_native(pa.string()), _TEXTS, True),
    "arrow int": (_native(pa.int16()), _ints(16), True),
    "arrow dictionary": (_native(pa.dictionary(pa.int8(), pa.string())), st.sampled_from("abc"), True),
    "complex": ("complex128", st.complex_numbers(), True),
}
#: What may be asked of a column.
ASKED = (
    "eq",
    "ne",
    "lt",
    "lte",
    "gt",
    "gte",
    "in",
    "between",
    "startswith",
    "contains",
    "endswith",
    "isnull",
)


def table_of(values: list[Any], dtype: Any) -> pa.Table:
    return tabular.from_pandas(pd.DataFrame({"other": "x", "x": pd.Series(values, dtype=dtype)}))


def operand(operator: str, value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    if operator == "isnull":
        return st.booleans()
    if operator == "in":
        return st.lists(value, max_size=3)
    if operator == "between":
        return st.tuples(value, value).map(list)
    if operator in ("startswith", "contains", "endswith"):
        return value.filter(lambda v: isinstance(v, str)) if operator != "startswith" else _TEXTS
    return value


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(list(KINDS)), st.sampled_from(ASKED), st.data())
def test_no_row_is_lost(kind: str, operator: str, data: st.DataObject) -> None:
    dtype, values, may_miss = KINDS[kind]
    value = values | st.none() if may_miss else values
    lots = data.draw(st.lists(st.lists(value, min_size=1, max_size=4), min_size=1, max_size=4))
    whole, start, tables = table_of([v for lot in lots for v in lot], dtype), 0, []
    for lot in lots:
        tables.append(whole.slice(start, len(lot)))
        start += len(lot)
    given_values = [v for lot in lots for v in lot if v is not None and v == v]
    near = st.sampled_from(given_values) | values if given_values else values
    try:
        conditions = tabular.conditions_python(
            whole.schema, {f"x__{operator}": data.draw(operand(operator, near))}
        )
    except BadInput:
        return
    known = pa.concat_tables([tabular.bounds(table) for table in tables])
    told = tabular.may_hold(known, whole.schema, conditions).to_pylist()
    expression = tabular.all_hold(conditions)
    for table, may in zip(tables, told, strict=True):
        assert may or table.select(["x"]).filter(expression).num_rows == 0


CLEAR: dict[str, tuple[list[Any], list[Any]]] = {
    "int64": ([1, 2, 2**53 + 1], [2**53 + 2]),
    "uint64": ([1, 2**63], [2**64 - 1]),
    "Int64": ([1, None, 5], [6]),
    "float64": ([1.5, None, -0.0], [2.5]),
    "float32": ([1.5, None], [2.5]),
    "bool": ([False, False], [True]),
    "str": (["a", None, "b"], ["c"]),
    "object": (["a", "b"], ["c", None]),
    "datetime": ([datetime(2020, 1, 1), None], [datetime(2020, 1, 2)]),
    "datetime ns": ([datetime(2020, 1, 1), None], [datetime(2020, 1, 2)]),
    "zoned": ([datetime(2020, 1, 1, tzinfo=UTC)], [datetime(2020, 1, 2, tzinfo=UTC)]),
    "timedelta": ([timedelta(1), None], [timedelta(2)]),
    "period": ([pd.Period("2020-01-01", "D"), None], [pd.Period("2020-01-02", "D")]),
    "decimal": ([Decimal("1.10"), None], [Decimal("1.11")]),
    "date": ([date(2020, 1, 1), None], [date(2020, 1, 2)]),
    "time": ([time(1), None], [time(2)]),
    "arrow string": (["a", None], ["b"]),
}


@pytest.mark.parametrize("kind", list(CLEAR))
def test_lots_that_lie_beyond_a_value_are_ruled_out(kind: str) -> None:
    low, high = CLEAR[kind]
    whole = table_of([*low, *high], KINDS[kind][0])
    known = pa.concat_tables(
        [tabular.bounds(whole.slice(0, len(low))), tabular.bounds(whole.slice(len(low)))]
    )

    def told(**where: Any) -> list[bool]:
        conditions = tabular.conditions_python(whole.schema, where)
        return tabular.may_hold(known, whole.schema, conditions).to_pylist()

    above, below = high[0], low[0]
    assert told(x=above) == told(x__in=[above]) == [False, True]
    assert told(x=below) == told(x__in=[below]) == [True, False]
    assert told(x__isnull=True) == [None in low, None in high]
    assert told(x=below, other="x") == [True, False]
    assert told(x=below, other="y") == told(x__in=[]) == [False, False]
    if kind != "bool":
        assert told(x__gte=above) == told(x__between=[above, above]) == [False, True]
        assert told(x__lt=above) == [True, False]
    assert told(x__ne=above) == [True, True]


def told_of_texts(*texts: list[str | None], **where: Any) -> list[bool]:
    known = pa.concat_tables([tabular.bounds(table_of(lot, "str")) for lot in texts])
    schema = table_of(texts[0], "str").schema
    return tabular.may_hold(known, schema, tabular.conditions_python(schema, where)).to_pylist()


def test_text_is_bounded_by_its_beginning() -> None:
    table = tabular.bounds(table_of([_LONG + "z"], "str"))
    low, high = table["1.low"][0].as_py(), table["1.high"][0].as_py()
    assert low < _LONG < high and len(low) == len(high) == 32
    assert told_of_texts([_LONG + "z"], [_LONG.upper()], x=_LONG + "z") == [True, False]
    assert tabular.bounds(table_of(["\U0010ffff" * 40], "str"))["1.high"].to_pylist() == [None]


def test_text_that_starts_with_a_beginning() -> None:
    lots: list[list[str | None]] = [["apple", "axe"], ["bee", None], ["cat", "dog"], [None]]
    assert told_of_texts(*lots, x__startswith="b") == [False, True, False, False]
    assert told_of_texts(*lots, x__startswith="") == [True, True, True, False]
    assert told_of_texts(*lots, x__contains="o") == [True, True, True, False]


def test_rows_without_a_value_are_no_rows_with_any() -> None:
    whole = table_of([None, None, 1.0], "float64")
    known = pa.concat_tables([tabular.bounds(whole.slice(0, 2)), tabular.bounds(whole.slice(2))])
    for where, expected in (
        ({"x__isnull": True}, [True, False]),
        ({"x__isnull": False}, [False, True]),
        ({"x__lt": 5}, [False, True]),
        ({"x__ne": 5}, [True, True]),
    ):
        conditions = tabular.conditions_python(whole.schema, where)
        assert tabular.may_hold(known, whole.schema, conditions).to_pylist() == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_nan_anywhere_is_a_missing_value(dtype: str) -> None:
    parts: list[list[Any]] = [[3.0, -1.0], [], [None], [7.0, None], [5.0]]
    for order in ([0, 1, 4], [0, 3, 4], [2, 0], [0, 2], [2], [1]):
        table = pa.concat_tables([table_of(parts[n], dtype) for n in order])
        values = [value for n in order for value in parts[n]]
        there = [value for value in values if value is not None]
        known = tabular.bounds(table).to_pylist()[0]
        assert known["1.missing"] == len(values) - len(there)
        if there:
            assert (known["1.low"], known["1.high"]) == (min(there), max(there))


def test_bounds_of_a_column_of_another_form_say_nothing() -> None:
    texts, mixed = table_of(["a"], "object"), table_of(["a", 1], "object")
    assert texts.schema.field("x").type == mixed.schema.field("x").type
    conditions = tabular.conditions_python(mixed.schema, {"x__isnull": True})
    assert tabular.may_hold(tabular.bounds(texts), mixed.schema, conditions).to_pylist() == [True]
    numbers = table_of([0.5], "float64")
    conditions = tabular.conditions_python(numbers.schema, {"x": 7})
    assert tabular.may_hold(
        tabular.bounds(table_of([5], "int64")), numbers.schema, conditions
    ).to_pylist() == [True]


def test_a_null_in_the_bounds_is_no_bound() -> None:
    table = table_of([5], "int64")
    known = tabular.bounds(table)
    conditions = tabular.conditions_python(table.schema, {"x": 7})
    assert tabular.may_hold(known, table.schema, conditions).to_pylist() == [False]
    for name in ("1.missing", "1.high"):
        at = known.schema.get_field_index(name)
        unknown = known.set_column(at, known.schema.field(at), pa.nulls(1, known.schema.field(at).type))
        assert tabular.may_hold(unknown, table.schema, conditions).to_pylist() == [True]


def test_many_values_are_not_looked_up() -> None:
    table = table_of([5], "int64")
    for count, expected in ((64, False), (65, True)):
        conditions = tabular.conditions_python(table.schema, {"x__in": [7] * count})
        assert tabular.may_hold(tabular.bounds(table), table.schema, conditions).to_pylist() == [expected]


def test_only_what_has_an_order_has_bounds() -> None:
    without = {"float16", "category", "ordered", "narrow decimal", "arrow dictionary", "complex"}
    for kind, (dtype, _, _) in KINDS.items():
        names = tabular.bounds_schema(table_of([], dtype).schema).names
        assert ("1.low" in names) == (kind not in without), kind
        assert names[-1] in ("0.missing", "1.missing")
    mixed = tabular.bounds_schema(table_of(["a", 1], "object").schema)
    assert mixed.names == ["rows", "0.low", "0.high", "0.missing"]
