"""What the texts of a CSV column mean."""

import math
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from omega.domain.errors import BadInput
from omega.entrypoints.formats.inference import shown

#: The texts that `pandas.read_csv` takes for a missing value.
MISSING: Final = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
_BOOLEAN: Final = "^(?:True|TRUE|true|False|FALSE|false)$"
_INTEGER: Final = r"^[+-]?[0-9]+$"
#: Integers of fewer digits are all exact in float64.
_LONG_INTEGER: Final = r"^[+-]?0*[1-9][0-9]{15,308}$"
_INFINITE: Final = r"(?i)^[+-]?inf(?:inity)?$"


def read_column(column: pa.ChunkedArray, *, of: str) -> Any:
    """The array of shape (rows,) that the texts of a column make: booleans, integers, floats or text; with no
    text at all, floats, all NaN.

    Raises: BadInput naming a number out of the range of float64, or an integer among fractions that float64
    cannot hold.
    """
    missing = pc.is_in(column, value_set=pa.array(MISSING, pa.large_string()))
    texts = pc.if_else(missing, pa.scalar(None, pa.large_string()), column)
    if texts.null_count == len(texts):
        return np.full(len(texts), np.nan) if len(texts) else np.array([], dtype=object)
    if _all(texts, _BOOLEAN):
        return _nullable(pc.cast(pc.utf8_lower(texts), pa.bool_()), "boolean")
    numbers = pc.utf8_trim(texts, " \t")
    if _all(numbers, _INTEGER):
        found = _integers(numbers)
        return pd.array(texts, dtype="str") if found is None else found
    try:
        floats = pc.cast(numbers, pa.float64())
    except pa.ArrowInvalid:
        return pd.array(texts, dtype="str")
    _check_integers(numbers, of)
    return _finite(pc.fill_null(floats, np.nan).to_numpy(), numbers, of)


def _all(texts: pa.ChunkedArray, pattern: str) -> bool:
    return pc.all(pc.match_substring_regex(texts, pattern)).as_py() is True


def _integers(numbers: pa.ChunkedArray) -> Any:
    """`None` where they do not all fit into 64 bits."""
    digits = pc.utf8_ltrim(numbers, "+")
    for kind in (pa.int64(), pa.uint64()):
        try:
            return _nullable(pc.cast(digits, kind), "Int64" if kind == pa.int64() else "UInt64")
        except pa.ArrowInvalid:
            continue
    return None


def _nullable(values: pa.ChunkedArray, dtype: str) -> Any:
    if not values.null_count:
        return values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy()
    made: Any = pd.api.types.pandas_dtype(dtype)
    return made.__from_arrow__(values)


def _check_integers(numbers: pa.ChunkedArray, of: str) -> None:
    """Nothing, if all integers among these texts are exact as float64.

    Raises: BadInput.
    """
    for text in numbers.filter(pc.match_substring_regex(numbers, _LONG_INTEGER)).to_pylist():
        number = float(text)
        if math.isfinite(number) and number != int(text):
            raise BadInput(
                f"{of}: the integer {shown(text)} is no exact float64: send the column as integers only, or "
                "the number with a decimal point"
            )


def _finite(values: np.ndarray[Any, Any], texts: pa.ChunkedArray, of: str) -> np.ndarray[Any, Any]:
    infinite = np.isinf(values)
    if infinite.any():
        written = texts.filter(pa.array(infinite))
        meant = pc.match_substring_regex(written, _INFINITE)
        if not pc.all(meant).as_py():
            text = written.filter(pc.invert(meant))[0].as_py()
            raise BadInput(f"{of}: the number {shown(text)} is out of the range of 64 bit floats")
    return values
