"""Which form a dtype has, and forms as JSON in a field's metadata."""

import json
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from omega.domain.errors import BadInput
from omega.domain.tabular.arrow_types import type_from_json, type_to_json
from omega.domain.tabular.composite import Category, Intervals, Periods, category_from_json, index_values
from omega.domain.tabular.forms import (
    AnyDtype,
    Complex,
    Form,
    Masked,
    Moment,
    Native,
    Plain,
    Text,
    Values,
    Zoned,
)
from omega.domain.tabular.objects import ObjectBytes, ObjectText, ObjectValues, object_form
from omega.domain.tabular.zones import NotKeptError, zone_from_text, zone_text

_INTEGERS: Final = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
_PLAIN: Final = frozenset(["bool", "float16", "float32", "float64", *_INTEGERS])
_MASKED: Final = frozenset(
    ["boolean", "Float32", "Float64", *(f"{s}Int{b}" for s in ("", "U") for b in (8, 16, 32, 64))]
)
#: Longer ones hold many categories: they are rare, and would take much memory.
_REMEMBERED_LENGTH: Final = 2000
_UNITS: Final = ("s", "ms", "us", "ns")
_OBJECTS: Final[dict[str, Form]] = {"text": ObjectText(), "bytes": ObjectBytes(), "values": ObjectValues()}

#: What decoding a hostile document or column may raise besides `BadInput`.
ORDINARY_ERRORS: Final = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    pa.ArrowException,
)


def form_of(values: Values) -> Form:
    """The form that keeps `values`, a numpy array or pandas extension array.

    Raises: NotKeptError, saying what it is that cannot be kept.
    """
    dtype = values.dtype
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return _form_of_numpy(dtype)
    form = object_form(values) if isinstance(dtype, np.dtype) and dtype.kind == "O" else _form_of_dtype(dtype)
    # Whatever pandas may add to a dtype: what does not come back equal is not taken.
    if form.dtype != dtype or type(form.dtype) is not type(dtype):
        raise NotKeptError(f"values of dtype {dtype}")
    return form


def _form_of_dtype(dtype: AnyDtype) -> Form:
    if isinstance(dtype, np.dtype):
        return _form_of_numpy(dtype)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return Zoned(dtype.unit, zone_text(dtype.tz))
    if isinstance(dtype, pd.StringDtype):
        return Text(dtype.storage, "NA" if dtype.na_value is pd.NA else "nan")
    if isinstance(dtype, pd.ArrowDtype):
        type_to_json(dtype.pyarrow_dtype)
        return Native(dtype.pyarrow_dtype)
    if isinstance(dtype, pd.CategoricalDtype):
        form = Category(form_of(index_values(dtype.categories)), dtype.categories, bool(dtype.ordered))
        return _checked_category(form)
    if isinstance(dtype, pd.IntervalDtype) and dtype.subtype is not None:
        return Intervals(_form_of_dtype(dtype.subtype), dtype.closed)
    if isinstance(dtype, pd.PeriodDtype):
        return Periods(dtype.name[len("period[") : -1])
    if str(dtype) in _MASKED:
        return Masked(str(dtype))
    raise NotKeptError(f"values of dtype {str(dtype)[:60]}")


@lru_cache(maxsize=256)
def _form_of_numpy(dtype: np.dtype[Any]) -> Form:
    form: Form | None = None
    if dtype.name in _PLAIN:
        form = Plain(dtype.name)
    elif dtype.name in ("complex64", "complex128"):
        form = Complex(dtype.name)
    elif dtype.kind in "mM" and (unit := np.datetime_data(dtype)[0]) in _UNITS:
        form = Moment("datetime" if dtype.kind == "M" else "timedelta", unit)
    if form is None or form.dtype != dtype:
        raise NotKeptError(f"values of dtype {dtype}")
    return form


def _checked_category(form: Category) -> Category:
    again = category_from_json(form.values, form.to_json()).categories
    if again.dtype != form.categories.dtype or not again.equals(form.categories):
        raise NotKeptError("categories that do not come back equal")
    return form


def form_to_text(form: Form) -> str:
    """The form as JSON text; equal forms give equal text."""
    return json.dumps(form.to_json(), separators=(",", ":"))


def form_from_text(text: str) -> Form:
    """The form that `form_to_text` wrote.

    Raises: BadInput.
    """
    return _remembered_form(text) if len(text) <= _REMEMBERED_LENGTH else _form_from_text(text)


@lru_cache(maxsize=1024)
def _remembered_form(text: str) -> Form:
    return _form_from_text(text)


def _form_from_text(text: str) -> Form:
    try:
        return form_from_json(json.loads(text))
    except (BadInput, RecursionError, *ORDINARY_ERRORS) as error:
        raise BadInput(f"the type {text[:80]!r} in the metadata is malformed") from error


def form_from_json(document: Any, depth: int = 0) -> Form:
    """The form that its `to_json` wrote.

    Raises: NotKeptError, BadInput, or one of `ORDINARY_ERRORS`.
    """
    if not isinstance(document, dict) or depth > 3:
        raise NotKeptError("a type is malformed")
    match document:
        case {"numpy": str(name)} if name in _PLAIN:
            return Plain(name)
        case {"complex": ("complex64" | "complex128") as name}:
            return Complex(name)
        case {"datetime": unit} if unit in _UNITS:
            return Moment("datetime", unit)
        case {"timedelta": unit} if unit in _UNITS:
            return Moment("timedelta", unit)
        case {"zoned": [unit, str(zone)]} if unit in _UNITS:
            zone_from_text(zone)
            return Zoned(unit, zone)
        case {"masked": str(name)} if name in _MASKED:
            return Masked(name)
        case {"text": [("python" | "pyarrow") as storage, ("NA" | "nan") as na]}:
            return Text(storage, na)
        case {"object": ("text" | "bytes" | "values") as name}:
            return _OBJECTS[name]
    return _composite_from_json(document, depth)


def _composite_from_json(document: dict[str, Any], depth: int) -> Form:
    match document:
        case {"arrow": kind}:
            return _with_dtype(Native(type_from_json(kind)))
        case {"category": values, "labels": str(), "ordered": bool()}:
            return category_from_json(form_from_json(values, depth + 1), document)
        case {"interval": ends, "closed": ("left" | "right" | "both" | "neither") as closed}:
            # pandas checks which types an interval may have.
            return _with_dtype(Intervals(form_from_json(ends, depth + 1), closed))
        case {"period": str(frequency)}:
            periods = Periods(frequency)
            if periods.dtype.name != f"period[{frequency}]":
                raise NotKeptError("a frequency is malformed")
            return periods
    raise NotKeptError("a type is unknown")


def _with_dtype(form: Form) -> Form:
    if form.dtype is None:
        raise NotKeptError("a type is unknown")
    return form
