"""Columns of JSON values without a dtype: which array keeps them exactly."""

from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from omega.domain.errors import BadInput

#: Integers up to here are exact in every float, float16 too.
_SMALL: Final = 2**11
_NONE: Final = type(None)
_TEXT: Final[Any] = pd.StringDtype(storage="pyarrow", na_value=np.nan)


def infer(values: list[Any], *, of: str) -> Any:
    """The numpy or pandas array of shape (len(values),) that JSON values make; `of` is what errors call them.

    Integers stay integers (`int64`, `uint64` or Python's own; `Int64` with nulls), booleans booleans
    (`boolean` with nulls), numbers among which are floats become `float64` with null as NaN, text `str`.
    Anything else, and nothing but nulls, is kept as it is in an object array.

    Raises: BadInput for an integer among floats that float64 cannot hold.
    """
    if values and type(values[0]) is str and (texts := text(values, _TEXT)) is not None:
        return texts
    kinds = set(map(type, values))
    nulls = _NONE in kinds
    kinds.discard(_NONE)
    if kinds == {int}:
        return _integers(values, nulls)
    if kinds == {float} or kinds == {int, float}:
        return floats(values, of=of) if int in kinds else np.array(values, dtype="f8")
    if kinds == {str}:
        return pd.array(values, dtype=_TEXT)
    if kinds == {bool}:
        return pd.array(values, dtype="boolean") if nulls else np.array(values, dtype=bool)
    return objects(values)


def text(values: list[Any], dtype: Any) -> Any:
    """Text and nulls as an array of this dtype; `None` where there is anything else, or the dtype is not
    Arrow's.
    """
    if dtype.storage != "pyarrow":
        return None
    try:
        # pandas would look at each value first.
        texts = pa.array(values, type=pa.large_string())
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return None
    of_arrow: Any = pd.arrays.ArrowStringArray
    return of_arrow(texts, dtype=dtype)


def objects(values: list[Any]) -> np.ndarray[Any, Any]:
    """The values themselves in an object array; lists among them stay lists."""
    return np.fromiter(values, dtype=object, count=len(values))


def floats(values: list[Any], *, of: str, dtype: str = "f8") -> np.ndarray[Any, Any]:
    """Numbers and nulls as floats.

    Raises: BadInput for an integer that the floats cannot hold.
    """
    for row, value in enumerate(values):
        if type(value) is int and not -_SMALL <= value <= _SMALL and not _is_exact(value, dtype):
            raise BadInput(
                f"{of}: the integer {shown(value)} in row {row} is no exact {np.dtype(dtype).name}: "
                "send the column as integers only, or with dtype object"
            )
    return np.array(values, dtype="f8")


def _is_exact(value: int, dtype: str) -> bool:
    try:
        with np.errstate(over="ignore"):
            return int(np.dtype(dtype).type(float(value))) == value
    except OverflowError:
        return False


def _integers(values: list[Any], nulls: bool) -> Any:
    present = [value for value in values if value is not None] if nulls else values
    low, high = min(present), max(present)
    if low >= -(2**63) and high < 2**63:
        return pd.array(values, dtype="Int64") if nulls else np.array(values, dtype="i8")
    if low >= 0 and high < 2**64:
        return pd.array(values, dtype="UInt64") if nulls else np.array(values, dtype="u8")
    return objects(values)


def shown(value: Any) -> str:
    """A value as errors quote it, at most 80 characters."""
    text = (
        repr(value)
        if not isinstance(value, int) or value.bit_length() < 1000
        else "with more than 300 digits"
    )
    return text if len(text) <= 80 else text[:77] + "..."
