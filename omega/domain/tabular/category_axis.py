# ruff: noqa: D102  (what a method of an axis does is said once, in `Axis`)
"""The axis of each form, and that of categories, which looks each category up once instead of each row."""

from collections.abc import Callable, Sequence
from datetime import date, time
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

from omega.domain.tabular.axes import (
    ALWAYS,
    EQUALITY,
    ORDER,
    TEXT,
    Axis,
    Floats,
    Opaque,
    Scalars,
    Steps,
    decimal_from_text,
    number_of,
    truth_from_text,
    whole_from_text,
)
from omega.domain.tabular.composite import Category, Intervals, Periods
from omega.domain.tabular.forms import Complex, Form, Zoned
from omega.domain.tabular.moments import (
    PER_SECOND,
    duration_from_text,
    duration_seconds,
    period_ordinal,
    seconds_from_text,
    seconds_of,
)
from omega.domain.tabular.objects import ObjectValues
from omega.domain.tabular.values import dumps
from omega.domain.tabular.zones import zone_from_text

_INT64: Final = (-(2**63), 2**63 - 1)


def axis_of(field: pc.Expression, form: Form) -> Axis:
    """How filters see a column of this form."""
    if isinstance(form, Category):
        return Categories(field, form, axis_of(pc.field("categories"), form.values))
    if isinstance(form, ObjectValues):
        return Opaque(
            field.is_null() | field.isin(pa.array(_missing_texts(), pa.large_string())), "mixed value"
        )
    if isinstance(form, Complex):
        parts = [pc.struct_field(field, [i]).is_null(nan_is_null=True) for i in (0, 1)]
        return Opaque(parts[0] | parts[1], "complex number")
    if isinstance(form, Intervals):
        return Opaque(field.is_null(), "interval")
    if isinstance(form, Periods):
        return _periods(field, form)
    zone = zone_from_text(form.zone) if isinstance(form, Zoned) else None
    return _arrow_axis(field, form.arrow, zone)


def _missing_texts() -> list[str]:
    """How the values that pandas calls missing read in a column of mixed values."""
    values = [float("nan"), -float("nan"), pd.NA, pd.NaT, Decimal("NaN")]
    values += [np.dtype(f"f{size}").type("nan") for size in (2, 4, 8)]
    values += [
        np.dtype(f"{k}8{u}").type("NaT") for k in "mM" for u in ("", "[s]", "[ms]", "[us]", "[ns]", "[D]")
    ]
    return [dumps(value).decode() for value in values]


def _arrow_axis(field: pc.Expression, kind: pa.DataType, zone: Any) -> Axis:
    if pa.types.is_dictionary(kind):
        return _arrow_axis(field.cast(kind.value_type), kind.value_type, zone)
    if pa.types.is_floating(kind):
        return Floats(field.cast(pa.float32()) if kind.bit_width == 16 else field, kind.bit_width)
    if pa.types.is_integer(kind):
        bounds = np.iinfo(kind.to_pandas_dtype())
        return Steps(
            field,
            lambda n: pa.scalar(n, kind),
            whole_from_text,
            number_of,
            int(bounds.min),
            int(bounds.max),
            "whole number",
        )
    if pa.types.is_decimal(kind):
        return _decimals(field, kind)
    if pa.types.is_timestamp(kind):
        if zone is None and kind.tz is not None:
            zone = zone_from_text(kind.tz)
        return _seconds_axis(
            field, kind, lambda t: seconds_from_text(t, zone), lambda v: seconds_of(v, zone), "date and time"
        )
    if pa.types.is_duration(kind):
        return _seconds_axis(field, kind, duration_from_text, _duration, "duration")
    return _scalars(field, kind)


def _duration(value: Any) -> Fraction:
    return duration_from_text(value) if isinstance(value, str) else duration_seconds(value)


def _seconds_axis(
    field: pc.Expression,
    kind: pa.DataType,
    reader: Callable[[str], Fraction],
    taker: Callable[[Any], Fraction],
    noun: str,
) -> Axis:
    per_second = PER_SECOND[kind.unit]
    return Steps(
        field,
        lambda n: pa.scalar(n, pa.int64()).cast(kind),
        lambda text: reader(text) * per_second,
        lambda value: taker(value) * per_second,
        *_INT64,
        noun,
    )


def _decimals(field: pc.Expression, kind: pa.DataType) -> Axis:
    size: Fraction = Fraction(10) ** int(kind.scale)
    highest = 10**kind.precision - 1

    def taken(value: Any) -> Fraction:
        exact = decimal_from_text(value) if isinstance(value, str) else number_of(value)
        return exact * size

    return Steps(
        field,
        lambda n: pa.scalar(Decimal(n).scaleb(-kind.scale) if abs(n) < 10**27 else _big(n, kind.scale), kind),
        lambda text: decimal_from_text(text) * size,
        taken,
        -highest,
        highest,
        "decimal number",
    )


def _big(unscaled: int, scale: int) -> Decimal:
    # Arithmetic would round to 28 digits.
    digits = tuple(int(digit) for digit in str(abs(unscaled)))
    return Decimal((int(unscaled < 0), digits, -scale))


def _periods(field: pc.Expression, form: Periods) -> Axis:
    def ordinal(value: Any) -> Fraction:
        return Fraction(period_ordinal(value, form.dtype))

    return Steps(field, lambda n: pa.scalar(n, pa.int64()), ordinal, ordinal, *_INT64, "period")


def _scalars(field: pc.Expression, kind: pa.DataType) -> Axis:
    every = EQUALITY | ORDER | ALWAYS
    if pa.types.is_boolean(kind):
        return Scalars(field, kind, truth_from_text, (bool, np.bool), EQUALITY | ALWAYS, "truth value")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return Scalars(field, kind, str, (str,), every | TEXT, "text")
    if pa.types.is_date(kind):
        return Scalars(field, kind, date.fromisoformat, (date,), every, "date")
    if pa.types.is_time(kind):
        return Scalars(field, kind, time.fromisoformat, (time,), every, "time of day")
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return Scalars(field, kind, _no_bytes, (bytes,), every, "bytes value")
    return Opaque(field.is_null(), f"value of type {kind}")


def _no_bytes(text: str) -> Any:
    raise ValueError("bytes cannot be given as text")


@frozen
class Categories(Axis):
    """A categorical column: which of the categories match is found out first, then the rows that have one
    of them.
    """

    field: pc.Expression
    form: Category
    values: Axis

    @property
    def operators(self) -> frozenset[str]:  # type: ignore[override]
        """Those of the categories' type."""
        return self.values.operators

    def read(self, text: str) -> Any:
        return self.values.read(text)

    def take(self, value: Any) -> Any:
        return self.values.take(value)

    def compare(self, operator: str, value: Any) -> pc.Expression:
        if operator == "eq" or not self.form.ordered:
            return self._rows(self._matching(self.values.compare(operator, value)))
        places = self._matching(self.values.compare("eq", value))
        if not len(places):
            raise ValueError("it is not one of the categories, which have an order")
        place, n = int(places[0]), len(self.form.categories)
        spans = {
            "lt": range(place),
            "lte": range(place + 1),
            "gt": range(place + 1, n),
            "gte": range(place, n),
        }
        return self._rows(np.array(spans[operator], dtype="i8"))

    def among(self, values: Sequence[Any]) -> pc.Expression:
        return self._rows(self._matching(self.values.among(values)))

    def text(self, kernel: Callable[..., pc.Expression], pattern: str) -> pc.Expression:
        return self._rows(self._matching(self.values.text(kernel, pattern)))

    def missing(self) -> pc.Expression:
        return self.field.is_null()

    def _matching(self, expression: pc.Expression) -> Any:
        dictionary = self.form.dictionary()
        places = pa.array(np.arange(len(dictionary)))
        return pa.table({"categories": dictionary, "place": places}).filter(expression)["place"].to_numpy()

    def _rows(self, places: Any) -> pc.Expression:
        return self.field.isin(self.form.dictionary().take(pa.array(places, type=pa.int64())))
