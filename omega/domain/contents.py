"""Python values as what is stored, and back, by kind.

| kind            | Python value                | stored as                                          |
|-----------------|-----------------------------|----------------------------------------------------|
| `pandas.dfrows` | DataFrame, Arrow table      | Arrow segments                                     |
| `pandas.serows` | Series                      | Arrow segments of one column                       |
| `python.data`   | dict, list                  | tagged JSON (`tabular.values`)                     |
| `ndarray.bin`   | numpy array                 | NumPy's .npy format (NEP 1), never with pickles    |
| `python.file`   | bytes, or chunks of them    | the bytes                                          |
"""

from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from attrs import field, frozen

from omega.domain import tabular
from omega.domain.errors import BadInput
from omega.domain.metadata import JSONObject
from omega.domain.tabular import values

DATAFRAME: Final = "pandas.dfrows"
SERIES: Final = "pandas.serows"
DATA: Final = "python.data"
NDARRAY: Final = "ndarray.bin"
FILE: Final = "python.file"
FRAMES: Final = frozenset({DATAFRAME, SERIES})


@frozen(eq=False)
class Frame:
    """A table in omega's Arrow form, to be stored as a frame of this kind."""

    table: pa.Table
    kind: str = DATAFRAME


@frozen(eq=False)
class Bytes:
    """Bytes to be stored as a payload of this kind; the chunks are consumed once."""

    chunks: Iterable[bytes | memoryview]
    kind: str = FILE
    attributes: JSONObject = field(factory=dict)


def encode(value: Any) -> Frame | Bytes:
    """What is to be stored for a Python value.

    Raises: BadInput naming the type, or the column or path in the value, that cannot be kept exactly.
    """
    match value:
        case Frame() | Bytes():
            return value
        case pd.DataFrame():
            return Frame(tabular.from_pandas(value))
        case pd.Series():
            return Frame(tabular.from_series(value), SERIES)
        case pa.Table():
            return Frame(tabular.adopt(value))
        case np.ndarray():
            return _encode_ndarray(value)
        case dict() | list():
            return Bytes([values.dumps(value)], DATA)
        case bytes() | bytearray() | memoryview():
            return Bytes([bytes(value)], FILE)
    raise BadInput(
        f"cannot store a value of type {type(value).__name__}: "
        "datasets are DataFrame, Series, Arrow table, dict, list, numpy array or bytes"
    )


def decode_frame(kind: str, tables: Iterable[pa.Table]) -> pd.DataFrame | pd.Series:
    """The DataFrame or Series of the stored segments, in order."""
    table = pa.concat_tables(tables)
    return tabular.to_series(table) if kind == SERIES else tabular.to_pandas(table)


def decode_bytes(kind: str, chunks: Iterator[bytes]) -> Any:
    """The Python value of a stored payload."""
    payload = b"".join(chunks)
    if kind == DATA:
        return values.loads(payload)
    if kind == NDARRAY:
        return np.lib.format.read_array(BytesIO(payload), allow_pickle=False)
    return payload


def _encode_ndarray(array: np.ndarray) -> Bytes:
    if type(array) is not np.ndarray:
        raise BadInput(
            f"cannot keep a numpy array of class {type(array).__name__} exactly: only plain ndarrays"
        )
    if array.dtype.hasobject:
        raise BadInput(
            "cannot keep a numpy array of Python objects exactly: give it a dtype, or store a list"
        )
    head = BytesIO()
    np.lib.format.write_array_header_2_0(head, np.lib.format.header_data_from_array_1_0(array))
    # An array in Fortran order is written as its transpose in C order, as .npy has it.
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    body = np.ascontiguousarray(array.T if fortran else array)
    chunks: list[bytes | memoryview] = [head.getvalue()]
    if body.size:
        chunks.append(body.reshape(-1).view(np.uint8).data)
    return Bytes(chunks, NDARRAY, {"dtype": str(array.dtype), "shape": list(array.shape)})
