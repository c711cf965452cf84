"""Columns of JSON values read as a given dtype, exactly or not at all."""

import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

import numpy as np
import pandas as pd

from omega.domain.errors import BadInput
from omega.entrypoints.formats.inference import floats, infer, objects, shown, text
from omega.entrypoints.formats.moments import read_datetimes, read_timedeltas

_NONE: Final = type(None)


def cast(values: list[Any], dtype: Any, *, of: str) -> Any:
    """The array of shape (len(values),) and of this dtype that JSON values mean; `of` is what errors call
    them.

    Numbers are numbers only: no text and no boolean stands for one; integers take no fraction, and no null
    unless nullable. Floats round decimal text as ever, but no integer may lose digits. Datetimes and
    durations are numbers of milliseconds (as `DataFrame.to_json` writes them) or ISO 8601 text.

    Raises: BadInput naming the column, the dtype and the first value that does not fit.
    """
    if isinstance(dtype, pd.DatetimeTZDtype):
        return read_datetimes(values, dtype.unit, dtype.tz, fail=_failing(values, dtype, of))
    if isinstance(dtype, pd.StringDtype):
        return _text(values, dtype, of)
    if isinstance(dtype, pd.CategoricalDtype):
        return _categories(values, of)
    if isinstance(dtype, pd.PeriodDtype):
        return _periods(values, dtype, of)
    if isinstance(dtype, np.dtype):
        return _numpy(values, dtype, of)
    return _masked(values, dtype, of)


#: Says why the value in a row cannot be read.
Fail = Callable[[int, str], NoReturn]


def _failing(values: list[Any], dtype: Any, of: str) -> Fail:
    def fail(row: int, why: str) -> NoReturn:
        raise BadInput(f"{of}: cannot read {shown(values[row])} in row {row} as {dtype}: {why}")

    return fail


def _numpy(values: list[Any], dtype: np.dtype[Any], of: str) -> Any:
    fail = _failing(values, dtype, of)
    match dtype.kind:
        case "i" | "u":
            nullable = ("UI" if dtype.kind == "u" else "I") + dtype.name.lstrip("u")[1:]
            return np.array(
                _whole(values, dtype, fail, null=f"it is null; {nullable} takes nulls"), dtype=dtype
            )
        case "f":
            return _floats(values, dtype, fail, of)
        case "b":
            _only(values, {bool}, fail, "only true and false are; boolean takes nulls too")
            return np.array(values, dtype=bool)
        case "M":
            return read_datetimes(values, np.datetime_data(dtype)[0], None, fail=fail)
        case "m":
            return read_timedeltas(values, np.datetime_data(dtype)[0], fail=fail)
    return objects(values)


def _only(values: list[Any], kinds: set[type], fail: Fail, why: str) -> None:
    if not set(map(type, values)) <= kinds:
        fail(next(row for row, value in enumerate(values) if type(value) not in kinds), why)


def _whole(values: list[Any], dtype: np.dtype[Any], fail: Fail, *, null: str | None) -> list[int | None]:
    """The values as integers in the range of the dtype; nulls stay where `null`, the reason to refuse
    them, is `None`."""
    kinds = set(map(type, values))
    if kinds - {int}:
        if null is not None and _NONE in kinds:
            fail(values.index(None), null)
        _only(values, {int, float, _NONE}, fail, "it is not a number")
        for row, value in enumerate(values):
            if type(value) is float and not value.is_integer():
                fail(row, "it has a fraction")
        values = [int(value) if type(value) is float else value for value in values]
    info = np.iinfo(dtype)
    present = values if kinds == {int} else [value for value in values if value is not None]
    if present and not (info.min <= min(present) and max(present) <= info.max):
        outside = (
            row for row, value in enumerate(values) if value is not None and not info.min <= value <= info.max
        )
        fail(next(outside), f"the range is {info.min} to {info.max}")
    return values


def _floats(values: list[Any], dtype: np.dtype[Any], fail: Fail, of: str) -> np.ndarray[Any, Any]:
    _only(values, {int, float, _NONE}, fail, "it is not a number")
    has_integers = int in set(map(type, values))
    wide = floats(values, of=of, dtype=dtype.str) if has_integers else np.array(values, dtype="f8")
    with np.errstate(over="ignore"):
        narrow = wide.astype(dtype)
    lost = np.isinf(narrow)
    if lost.any():
        fail(int(lost.argmax()), f"the range is up to {np.finfo(dtype).max}")
    return narrow


def _masked(values: list[Any], dtype: Any, of: str) -> Any:
    fail = _failing(values, dtype, of)
    numpy = np.dtype("bool" if str(dtype) == "boolean" else str(dtype).lower())
    missing = np.array([value is None for value in values], dtype=bool)
    if numpy.kind == "b":
        _only(values, {bool, _NONE}, fail, "only true, false and null are")
        return pd.arrays.BooleanArray(np.array([value is True for value in values], dtype=bool), missing)
    if numpy.kind == "f":
        data = _floats(values, numpy, fail, of)
        data[missing] = 1
        return pd.arrays.FloatingArray(data, missing)
    whole = [1 if value is None else value for value in _whole(values, numpy, fail, null=None)]
    return pd.arrays.IntegerArray(np.array(whole, dtype=numpy), missing)


def _text(values: list[Any], dtype: Any, of: str) -> Any:
    if (texts := text(values, dtype)) is not None:
        return texts
    _only(values, {str, _NONE}, _failing(values, dtype, of), "it is not text")
    return pd.array(values, dtype=dtype)


def _categories(values: list[Any], of: str) -> Any:
    _only(
        values,
        {str, int, float, bool, _NONE},
        _failing(values, "category", of),
        "a list or object is no category",
    )
    return pd.Categorical(infer(values, of=of))


_PERIOD_TEXT = re.compile(r"[0-9WQTZ:./ -]{4,60}")


def _periods(values: list[Any], dtype: Any, of: str) -> Any:
    fail = _failing(values, dtype, of)
    _only(values, {str, _NONE}, fail, "it is not text")
    found = []
    for row, value in enumerate(values):
        if value is not None and not _PERIOD_TEXT.fullmatch(value):
            fail(row, "it is not a period")
        try:
            period = pd.NaT if value is None else pd.Period(value, freq=dtype.freq)
        except (ValueError, OverflowError):
            fail(row, "it is not a period")
        if value is not None and str(period) != value:
            fail(row, f"a period of this frequency is written {str(period)!r}")
        found.append(period)
    return pd.PeriodIndex(found, dtype=dtype).array
