# ruff: noqa: D102  (what a method of a form does is said once, in `Form`)
"""Forms: how values of one pandas dtype lie in an Arrow column, and how they come back bit for bit.

This file holds the forms of flat types; `composite` those that are made of other forms, `objects` those of
Python objects.
"""

from abc import ABC, abstractmethod
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

from omega.domain.tabular.arrow_types import type_to_json
from omega.domain.tabular.zones import zone_from_text

#: What pandas calls the dtype of a column or index: a numpy dtype or an extension dtype.
AnyDtype = Any
#: A numpy array or a pandas extension array, one-dimensional.
Values = Any
#: An Arrow array or chunked array.
ArrowColumn = Any

NAT: Final = np.iinfo(np.int64).min


class Form(ABC):
    """How values of one dtype are kept; equal forms give equal Arrow types and read each other's columns."""

    #: Whether a missing value can be kept (as null, or as NaN).
    nullable: bool = True
    #: Whether `decode` can fail on a column of the right Arrow type that we did not write (with
    #: `ValueError` and its like).
    fallible: bool = False

    @property
    @abstractmethod
    def dtype(self) -> AnyDtype:
        """The pandas dtype that comes back."""

    @property
    @abstractmethod
    def arrow(self) -> pa.DataType:
        """The type of the Arrow column."""

    @abstractmethod
    def encode(self, values: Values) -> ArrowColumn:
        """The column for `values`, which are of this form's dtype.

        Raises: NotKeptError, BadInput or pyarrow.ArrowException for a value that cannot be kept.
        """

    @abstractmethod
    def decode(self, column: pa.ChunkedArray) -> Values:
        """The values of a column of this form's Arrow type; they may share the column's memory."""

    def empty(self) -> pa.Array:
        """The column without rows."""
        return pa.nulls(0, self.arrow)

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The form as JSON; depends on the dtype alone."""


@frozen
class Plain(Form):
    """numpy bool, integers and floats: the same bits in the same order, NaN is NaN and never null."""

    name: str
    nullable = False

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.name)

    @property
    def arrow(self) -> pa.DataType:
        return pa.from_numpy_dtype(self.dtype)

    @property
    def is_float(self) -> bool:
        """Whether NaN can stand for a missing value."""
        return self.name.startswith("float")

    def encode(self, values: Values) -> ArrowColumn:
        return pa.array(values, type=self.arrow, from_pandas=False)

    def decode(self, column: pa.ChunkedArray) -> Values:
        if column.null_count:
            if not self.is_float:
                raise ValueError(f"missing values in a column of {self.name}")
            column = pc.fill_null(column, pa.scalar(np.nan, self.arrow))
        return column.to_numpy()

    def to_json(self) -> dict[str, Any]:
        return {"numpy": self.name}


@frozen
class Complex(Form):
    """numpy complex64 and complex128, as a struct of real and imaginary part."""

    name: str
    nullable = False

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.name)

    @property
    def _part(self) -> np.dtype[Any]:
        return np.dtype("float32" if self.name == "complex64" else "float64")

    @property
    def arrow(self) -> pa.DataType:
        part = pa.from_numpy_dtype(self._part)
        return pa.struct([("real", part), ("imag", part)])

    def encode(self, values: Values) -> ArrowColumn:
        parts = [pa.array(np.ascontiguousarray(part)) for part in (values.real, values.imag)]
        return pa.StructArray.from_arrays(parts, fields=list(self.arrow))

    def decode(self, column: pa.ChunkedArray) -> Values:
        struct = merged(column)
        found = np.empty(len(struct), dtype=self.dtype)
        for name in ("real", "imag"):
            part = pc.fill_null(
                pc.struct_field(struct, name), pa.scalar(np.nan, pa.from_numpy_dtype(self._part))
            )
            setattr(found, name, part.to_numpy())
        return found

    def to_json(self) -> dict[str, Any]:
        return {"complex": self.name}


@frozen
class Moment(Form):
    """numpy datetime64 and timedelta64 of unit s, ms, us or ns; NaT is null."""

    kind: str
    unit: Any

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(f"{self.kind}64[{self.unit}]")

    @property
    def arrow(self) -> pa.DataType:
        return pa.timestamp(self.unit) if self.kind == "datetime" else pa.duration(self.unit)

    def encode(self, values: Values) -> ArrowColumn:
        return pa.array(np.asarray(values, dtype=self.dtype), type=self.arrow)

    def decode(self, column: pa.ChunkedArray) -> Values:
        return counts(column).view(self.dtype)

    def to_json(self) -> dict[str, Any]:
        return {self.kind: self.unit}


@frozen
class Zoned(Form):
    """datetime64 with a time zone, counted in UTC; NaT is null."""

    unit: Any
    zone: str

    @property
    def dtype(self) -> pd.DatetimeTZDtype:
        return pd.DatetimeTZDtype(self.unit, zone_from_text(self.zone))

    @property
    def arrow(self) -> pa.DataType:
        # Arrow knows offsets to the minute only; the values are in UTC in any case.
        name = self.zone.removeprefix("zone:")
        return pa.timestamp(self.unit, tz="UTC" if name.count(":") > 1 else name)

    def encode(self, values: Values) -> ArrowColumn:
        return pa.array(np.asarray(values, dtype=f"M8[{self.unit}]"), type=self.arrow)

    def decode(self, column: pa.ChunkedArray) -> Values:
        utc = pd.DatetimeIndex(counts(column).view(f"M8[{self.unit}]")).tz_localize("UTC")
        return utc.tz_convert(zone_from_text(self.zone)).array

    def to_json(self) -> dict[str, Any]:
        return {"zoned": [self.unit, self.zone]}


@frozen
class Masked(Form):
    """The nullable dtypes Int8 to UInt64, Float32, Float64 and boolean; NA is null, a NaN in Float64 stays
    NaN.
    """

    name: str

    @property
    def dtype(self) -> AnyDtype:
        return pd.api.types.pandas_dtype(self.name)

    @property
    def _numpy(self) -> np.dtype[Any]:
        return np.dtype("bool" if self.name == "boolean" else self.name.lower())

    @property
    def arrow(self) -> pa.DataType:
        return pa.from_numpy_dtype(self._numpy)

    def encode(self, values: Values) -> ArrowColumn:
        return pa.array(values, type=self.arrow)

    def decode(self, column: pa.ChunkedArray) -> Values:
        mask = pc.is_null(column).to_numpy()
        fill = pa.scalar(False if self.name == "boolean" else 0, self.arrow)
        data = np.array(pc.fill_null(column, fill).to_numpy(), dtype=self._numpy)
        if self.name == "boolean":
            return pd.arrays.BooleanArray(data, np.array(mask))
        if self.name.startswith("Float"):
            return pd.arrays.FloatingArray(data, np.array(mask))
        return pd.arrays.IntegerArray(data, np.array(mask))

    def to_json(self) -> dict[str, Any]:
        return {"masked": self.name}


@frozen
class Text(Form):
    """pandas' StringDtype of either storage and either missing value."""

    storage: Any
    na: str

    @property
    def dtype(self) -> AnyDtype:
        return pd.StringDtype(self.storage, na_value=pd.NA if self.na == "NA" else np.nan)

    @property
    def arrow(self) -> pa.DataType:
        return pa.large_string()

    def encode(self, values: Values) -> ArrowColumn:
        if self.storage == "pyarrow":
            return pa.array(values).cast(pa.large_string())
        return pa.array(np.asarray(values, dtype=object), type=pa.large_string(), from_pandas=True)

    def decode(self, column: pa.ChunkedArray) -> Values:
        return self.dtype.__from_arrow__(column)

    def to_json(self) -> dict[str, Any]:
        return {"text": [self.storage, self.na]}


@frozen
class Native(Form):
    """pandas' ArrowDtype: the column itself."""

    arrow_type: pa.DataType

    @property
    def dtype(self) -> pd.ArrowDtype:
        return pd.ArrowDtype(self.arrow_type)

    @property
    def arrow(self) -> pa.DataType:
        return self.arrow_type

    def encode(self, values: Values) -> ArrowColumn:
        return pa.array(values)

    def decode(self, column: pa.ChunkedArray) -> Values:
        return pd.arrays.ArrowExtensionArray(column)

    def to_json(self) -> dict[str, Any]:
        return {"arrow": type_to_json(self.arrow_type)}


def counts(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """The int64 values of a column of moments, of shape (rows,), NaT's where it has null."""
    integers = column.cast(pa.int64())
    return np.asarray(pc.fill_null(integers, NAT).to_numpy() if integers.null_count else integers.to_numpy())


def merged(column: ArrowColumn) -> pa.Array:
    """The column as one array."""
    if isinstance(column, pa.Array):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)
