"""Columns of one form turned into another, only where nothing is lost; the rules of appending, column by
column.
"""

from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from omega.domain.errors import BadInput
from omega.domain.tabular.composite import Category, index_values
from omega.domain.tabular.descriptors import ORDINARY_ERRORS
from omega.domain.tabular.forms import Form, Masked, Moment, Native, Plain, Text, Zoned, merged
from omega.domain.tabular.objects import ObjectBytes, ObjectText, ObjectValues, object_array

_EXACT_INTEGERS: Final = {16: 2**11, 32: 2**24, 64: 2**53}

Converted = tuple[Form, pa.ChunkedArray]


class MismatchError(ValueError):
    """The column does not fit; the message says more than the two types do, or is empty."""


def convert(column: pa.ChunkedArray, given: Form, stored: Form) -> Converted:
    """The column of form `given` in the form `stored`, or where only that keeps everything, in a wider form.

    Raises: MismatchError.
    """
    if given == stored:
        return stored, column
    try:
        if _holds_nothing(column) and (nothing := _nothing(len(column), stored)) is not None:
            return nothing
        if isinstance(stored, Category):
            return stored, _categorised(column, given, stored)
        return _converted(column, given, stored)
    except (BadInput, *ORDINARY_ERRORS) as error:
        if isinstance(error, MismatchError):
            raise
        raise MismatchError("" if isinstance(error, pa.ArrowException) else str(error)) from error


def _holds_nothing(column: pa.ChunkedArray) -> bool:
    """Whether all values of a column are missing."""
    absent: int = column.null_count
    if pa.types.is_floating(column.type) and absent < len(column):
        absent = pc.sum(pc.is_null(column, nan_is_null=True)).as_py() or 0
    return absent == len(column)


def _nothing(rows: int, stored: Form) -> Converted | None:
    """Missing values as `stored` or its nullable twin has them; `None` if there is neither."""
    form = nullable(stored) if rows else stored
    values = None if form is None else missing(rows, form)
    return None if form is None or values is None else (form, values)


def nullable(form: Form) -> Form | None:
    """The form, or its twin that can keep missing values; `None` if it has none."""
    if isinstance(form, Plain) and not form.is_float:
        return Masked(_masked_name(form.arrow))
    return form if form.nullable or isinstance(form, Plain) else None


def missing(rows: int, form: Form) -> pa.ChunkedArray | None:
    """A column of missing values, or `None` if the form has none."""
    if isinstance(form, Plain) and form.is_float:
        return pa.chunked_array([pa.repeat(pa.scalar(np.nan, form.arrow), rows)])
    if not form.nullable:
        return pa.chunked_array([form.empty()]) if rows == 0 else None
    if isinstance(form, Category):
        return pa.chunked_array([form.coded(pa.nulls(rows, form.codes))])
    return pa.chunked_array([pa.nulls(rows, form.arrow)])


def _converted(column: pa.ChunkedArray, given: Form, stored: Form) -> Converted:
    if isinstance(stored, ObjectText | ObjectBytes | ObjectValues | Text) and is_object(given):
        return _object(column, given, stored)
    kinds = family(given), family(stored)
    if kinds[0] is not None and kinds[0] == kinds[1] and kinds[0] not in ("int", "float", "bool"):
        return stored, column.cast(stored.arrow, safe=True)
    if kinds == ("int", "int"):
        return _integers(column, given, stored)
    if kinds in (("int", "float"), ("float", "float")):
        return _floats(column, given, stored)
    if kinds == ("float", "int") and not isinstance(stored, Native) and not isinstance(given, Native):
        wide: Form = (
            Masked("Float64") if isinstance(stored, Masked) or isinstance(given, Masked) else Plain("float64")
        )
        return wide, _floats(column, given, wide)[1]
    if kinds == ("bool", "bool"):
        return _fitted(column, stored)
    raise MismatchError("")


def family(form: Form) -> str | None:
    """The family of types among which values can be kept while the form changes; `None` where there is no
    other.
    """
    if not isinstance(form, Plain | Masked | Moment | Zoned | Text | ObjectText | ObjectBytes | Native):
        return None
    kind = form.arrow
    if pa.types.is_timestamp(kind):
        return "zoned" if kind.tz is not None else "naive"
    tests = {
        "int": pa.types.is_integer,
        "float": pa.types.is_floating,
        "bool": pa.types.is_boolean,
        "text": lambda t: pa.types.is_string(t) or pa.types.is_large_string(t),
        "bytes": lambda t: pa.types.is_binary(t) or pa.types.is_large_binary(t),
        "duration": pa.types.is_duration,
        "decimal": pa.types.is_decimal,
    }
    return next((name for name, test in tests.items() if test(kind)), None)


def is_object(form: Form) -> bool:
    """Whether the form is one of Python objects or of text."""
    return isinstance(form, ObjectText | ObjectBytes | ObjectValues | Text)


def _object(column: pa.ChunkedArray, given: Form, stored: Form) -> Converted:
    if family(given) == family(stored) and family(given) is not None:
        return stored, column
    values = object_array(
        [None if pd.api.types.is_scalar(v) and pd.isna(v) else v for v in _objects(column, given)]
    )
    if isinstance(given, ObjectValues):
        values = object_array(list(given.decode(column)))
    kinds = set(map(type, values)) - {type(None)}
    if isinstance(stored, ObjectText | Text) and kinds <= {str}:
        return stored, pa.chunked_array([ObjectText().encode(values)])
    if isinstance(stored, ObjectBytes) and kinds <= {bytes}:
        return stored, pa.chunked_array([stored.encode(values)])
    if isinstance(stored, Text):
        raise MismatchError("")
    return ObjectValues(), pa.chunked_array([ObjectValues().encode(values)])


def _objects(column: pa.ChunkedArray, given: Form) -> Any:
    return np.asarray(given.decode(column), dtype=object)


def _integers(column: pa.ChunkedArray, given: Form, stored: Form) -> Converted:
    try:
        fitting = column.cast(stored.arrow, safe=True)
    except pa.ArrowInvalid as error:
        same_sign = pa.types.is_signed_integer(column.type) == pa.types.is_signed_integer(stored.arrow)
        if not same_sign or isinstance(stored, Native):
            raise MismatchError("a value is out of its range") from error
        return _fitted(
            column, Masked(_masked_name(column.type)) if isinstance(stored, Masked) else _plain(column.type)
        )
    return _fitted(fitting, stored)


def _plain(kind: pa.DataType) -> Form:
    return Plain(str(np.dtype(kind.to_pandas_dtype())))


def _masked_name(kind: pa.DataType) -> str:
    name = str(np.dtype(kind.to_pandas_dtype()))
    return (
        "boolean"
        if name == "bool"
        else name.replace("uint", "UInt").replace("int", "Int").replace("float", "Float")
    )


def _fitted(column: pa.ChunkedArray, form: Form) -> Converted:
    """The column in this form, or in its nullable twin where values are missing that the form cannot keep."""
    if column.null_count and isinstance(form, Plain):
        return Masked(_masked_name(form.arrow)), column
    return form, column


def _floats(column: pa.ChunkedArray, given: Form, stored: Form) -> Converted:
    width = stored.arrow.bit_width
    if pa.types.is_integer(column.type):
        _check_exact(column, _EXACT_INTEGERS[width])
        found = _cast_float(column, stored.arrow)
    else:
        found = _cast_float(column, stored.arrow)
        if column.type.bit_width > width and not _same_floats(column, found):
            if isinstance(stored, Native):
                raise MismatchError("a value is not exact in it")
            stored = Masked(_masked_name(column.type)) if isinstance(stored, Masked) else _plain(column.type)
            found = column
    if isinstance(stored, Plain):
        return stored, pc.fill_null(found, pa.scalar(np.nan, found.type))
    if isinstance(given, Plain):
        found = pc.if_else(pc.is_nan(found.cast(pa.float64())), pa.scalar(None, found.type), found)
    return stored, found


def _cast_float(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_float16(kind) and pa.types.is_integer(column.type):
        column = column.cast(pa.float32())
    return column.cast(kind, safe=False)


def _check_exact(column: pa.ChunkedArray, limit: int) -> None:
    bounds = pc.min_max(column)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    if low is not None and (low < -limit or high > limit):
        raise MismatchError(f"{low if low < -limit else high} is not exact as a floating point number")


def _same_floats(column: pa.ChunkedArray, narrowed: pa.ChunkedArray) -> bool:
    wide = narrowed.cast(column.type, safe=False)
    return bool(np.array_equal(column.to_numpy(), wide.to_numpy(), equal_nan=True))


def _categorised(column: pa.ChunkedArray, given: Form, stored: Category) -> pa.ChunkedArray:
    if not isinstance(given, Category):
        form, values = convert(column, given, stored.values)
        if form != stored.values:
            raise MismatchError("")
        return pa.chunked_array([in_categories(stored.keyed(values), stored)])
    chunks = [_recoded(chunk, given, stored) for chunk in column.chunks]
    return pa.chunked_array(chunks, type=stored.arrow)


def _recoded(chunk: pa.DictionaryArray, given: Category, stored: Category) -> pa.Array:
    used = pc.unique(chunk.indices).drop_null()
    labels = merged(given.values.encode(index_values(given.categories))).take(used)
    form, values = convert(pa.chunked_array([labels]), given.values, stored.values)
    if form != stored.values:
        raise MismatchError("")
    places = in_categories(stored.keyed(values), stored).indices
    return stored.coded(places.take(pc.index_in(chunk.indices, value_set=used)))


def in_categories(values: pa.Array, form: Category) -> pa.DictionaryArray:
    """Values as the form's dictionary has them, as codes into the categories.

    Raises: MismatchError naming a value that is not among them.
    """
    codes = pc.index_in(values, value_set=form.dictionary())
    unknown = values.filter(pc.and_(values.is_valid(), codes.is_null()))
    if isinstance(form.values, Plain) and form.values.is_float:
        unknown = unknown.filter(pc.invert(pc.is_nan(unknown.cast(pa.float64()))))
    if len(unknown):
        raise MismatchError(f"{ascii(unknown[0].as_py())[:80]} is not one of its categories")
    return form.coded(codes.cast(form.codes))
