"""The dtypes that a JSON body may name, as text and as dtype objects.

Text comes from outside, so only what is listed here ever reaches numpy or pandas.
"""

import re
from typing import Any, Final

import numpy as np
import pandas as pd

from omega.domain.errors import BadInput
from omega.domain.tabular.zones import NotKeptError, zone_from_text
from omega.entrypoints.formats.inference import shown

_NUMPY = re.compile(
    r"bool|u?int(?:8|16|32|64)?|float(?:16|32|64)?|[<>=|]?(?:b1|[iu][1248]|f[248]|[Mm]8\[(?:s|ms|us|ns)\])"
)
_MOMENT = re.compile(r"(?:datetime64|timedelta64)\[(?:s|ms|us|ns)\]")
_ZONED = re.compile(r"datetime64\[(s|ms|us|ns), ?(?:UTC(?=[+-]))?([A-Za-z0-9_+:/.-]{1,60})\]")
_MASKED = re.compile(r"boolean|U?Int(?:8|16|32|64)|Float(?:32|64)")
_TEXT = re.compile(r"str|string(?:\[(python|pyarrow)\])?")
_PERIOD = re.compile(r"period\[((?:[1-9][0-9]{0,3})?(?:Y|Q|M|W|D|h|min|s|ms|us|ns)(?:-[A-Z]{3})?)\]")
_KNOWN: Final = (
    "bool, int8 to int64, uint8 to uint64, float16 to float64, boolean, Int8 to UInt64, Float32, "
    "Float64, str, string, object, "
    "category, datetime64[unit], datetime64[unit, zone], timedelta64[unit] with unit s, ms, us or ns, "
    "and period[frequency]"
)


def parse_dtype(text: Any, *, of: str) -> Any:
    """The numpy or pandas dtype that `text` names; `of` is what errors call the column.

    Raises: BadInput for anything but the dtypes that JSON values can be read as.
    """
    if isinstance(text, str) and len(text) <= 100:
        try:
            if (found := _parse(text)) is not None:
                return found
        except (NotKeptError, ValueError) as error:
            raise BadInput(f"{of}: cannot read dtype {shown(text)}: {error}") from error
    hint = "; complex and interval columns travel as Arrow or Parquet" if _travels(text) else ""
    raise BadInput(f"{of}: unknown dtype {shown(text)}: there are {_KNOWN}{hint}")


def _parse(text: str) -> Any:
    if _NUMPY.fullmatch(text) or _MOMENT.fullmatch(text):
        return np.dtype(text).newbyteorder("=")
    if text in ("object", "O", "|O"):
        return np.dtype(object)
    if match := _ZONED.fullmatch(text):
        unit: Any = match[1]
        return pd.DatetimeTZDtype(unit, zone_from_text(match[2]))
    if match := _TEXT.fullmatch(text):
        return pd.StringDtype(match[1]) if match[1] else pd.api.types.pandas_dtype(text)
    if _MASKED.fullmatch(text) or text == "category":
        return pd.api.types.pandas_dtype(text)
    if match := _PERIOD.fullmatch(text):
        return pd.PeriodDtype(match[1])
    return None


def _travels(text: Any) -> bool:
    return isinstance(text, str) and text.startswith(("complex", "interval"))
