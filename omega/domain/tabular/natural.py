"""Arrow columns from outside in the form that is declared for them, or that their type suggests."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from omega.domain.errors import BadInput
from omega.domain.tabular.arrow_types import type_to_json
from omega.domain.tabular.composite import Category, Intervals, Periods, index_of
from omega.domain.tabular.convert import in_categories
from omega.domain.tabular.descriptors import ORDINARY_ERRORS
from omega.domain.tabular.forms import Form, Masked, Moment, Native, Plain, Text, Zoned, merged
from omega.domain.tabular.objects import ObjectText
from omega.domain.tabular.zones import NotKeptError, zone_from_text

Formed = tuple[Form, pa.ChunkedArray]


def declared(column: pa.ChunkedArray, form: Form) -> pa.ChunkedArray | None:
    """The column in this form if that keeps every value and can be read back, else `None`."""
    try:
        found = _cast(column, form)
        if form.fallible:
            form.decode(found)
    except (BadInput, *ORDINARY_ERRORS):
        return None
    if found.null_count and isinstance(form, Plain):
        if not form.is_float:
            return None
        found = pc.fill_null(found, pa.scalar(np.nan, form.arrow))
    return found


def _cast(column: pa.ChunkedArray, form: Form) -> pa.ChunkedArray:
    if isinstance(form, Category):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        _check_kin(kind, form.keys.arrow)
        plain = dense(column).cast(form.keys.arrow)
        return pa.chunked_array([in_categories(merged(plain), form)])
    if column.type == form.arrow:
        return column
    _check_kin(column.type, form.arrow)
    return dense(column).cast(form.arrow, safe=True)


def dense(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column with its dictionary or runs written out."""
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    if pa.types.is_run_end_encoded(column.type):
        return pa.chunked_array([pc.run_end_decode(c) for c in column.chunks], type=column.type.value_type)
    return column


def _check_kin(kind: pa.DataType, wanted: pa.DataType) -> None:
    """Whether a cast between the two is a matter of width or unit; Arrow would also read numbers from text.

    Raises: NotKeptError.
    """
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        kind = kind.value_type
    if kind == wanted or _kin(kind) == _kin(wanted) is not None:
        return
    if pa.types.is_duration(wanted) and kind == pa.int64():
        return
    raise NotKeptError(f"{kind} for {wanted}")


def _kin(kind: pa.DataType) -> Any:
    tests = (
        *(pa.types.is_integer, pa.types.is_floating, pa.types.is_duration, pa.types.is_decimal),
        lambda t: pa.types.is_timestamp(t) and t.tz is None,
        lambda t: pa.types.is_timestamp(t) and t.tz is not None,
        *(pa.types.is_date, pa.types.is_time, pa.types.is_struct, pa.types.is_map, pa.types.is_null),
        lambda t: pa.types.is_string(t) or pa.types.is_large_string(t) or pa.types.is_string_view(t),
        lambda t: pa.types.is_binary(t) or pa.types.is_large_binary(t) or pa.types.is_binary_view(t),
        lambda t: pa.types.is_list(t) or pa.types.is_large_list(t) or pa.types.is_fixed_size_list(t),
    )
    return next((i for i, test in enumerate(tests) if test(kind)), None)


def natural(name: str, column: pa.ChunkedArray) -> Formed:
    """The column in the form that its Arrow type suggests.

    Raises: BadInput naming the column, if it has no exact form.
    """
    try:
        return _natural(column)
    except (BadInput, *ORDINARY_ERRORS) as error:
        raise BadInput(
            f"cannot keep column {name!r} of Arrow type {str(column.type)[:80]}: {error}"
        ) from error


def _natural(column: pa.ChunkedArray) -> Formed:
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _extension(column)
    if pa.types.is_run_end_encoded(kind):
        return _natural(dense(column))
    if pa.types.is_null(kind):
        return ObjectText(), column.cast(pa.large_string())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return Text("pyarrow", "nan"), column.cast(pa.large_string())
    if pa.types.is_binary_view(kind):
        column = column.cast(pa.large_binary())
    if pa.types.is_dictionary(kind):
        return _dictionary(column)
    if (form := _flat(column)) is not None:
        return form, _as_plain(column, form)
    type_to_json(column.type)
    return Native(column.type), column


def _flat(column: pa.ChunkedArray) -> Form | None:
    kind = column.type
    if pa.types.is_boolean(kind):
        return Masked("boolean") if column.null_count else Plain("bool")
    if pa.types.is_integer(kind):
        name = str(kind)
        return (
            Masked(name.replace("uint", "UInt").replace("int", "Int")) if column.null_count else Plain(name)
        )
    if pa.types.is_floating(kind):
        return Plain(f"float{kind.bit_width}")
    if pa.types.is_duration(kind):
        return Moment("timedelta", kind.unit)
    if pa.types.is_timestamp(kind) and kind.tz is None:
        return Moment("datetime", kind.unit)
    if pa.types.is_timestamp(kind):
        zone_from_text(kind.tz)
        return Zoned(kind.unit, kind.tz)
    return None


def _as_plain(column: pa.ChunkedArray, form: Form) -> pa.ChunkedArray:
    if isinstance(form, Plain) and column.null_count:
        return pc.fill_null(column, pa.scalar(np.nan, column.type))
    return column if column.type == form.arrow else column.cast(form.arrow)


def _dictionary(column: pa.ChunkedArray) -> Formed:
    kind = column.type
    if pa.types.is_nested(kind.value_type) or pa.types.is_null(kind.value_type):
        return _natural(dense(column))
    unified = column.unify_dictionaries()
    labels = unified.chunk(0).dictionary if unified.num_chunks else pa.nulls(0, kind.value_type)
    values, items = _natural(pa.chunked_array([labels]))
    if labels.null_count or isinstance(values, Native | Category):
        return _natural(dense(column))
    index = index_of(values, items)
    if not index.is_unique or index.hasnans:
        return _natural(dense(column))
    form = Category(values, index, bool(kind.ordered))
    plain = dense(column).cast(values.arrow)
    return form, pa.chunked_array([in_categories(merged(plain), form)])


def _extension(column: pa.ChunkedArray) -> Formed:
    """The extension types that pandas itself registers."""
    name, kind = column.type.extension_name, column.type
    document = json.loads(kind.__arrow_ext_serialize__() or b"{}") if name.startswith("pandas.") else {}
    storage = column.cast(kind.storage_type)
    if name == "pandas.period":
        form: Form = Periods(str(document["freq"]))
        form.decode(storage)
        return form, storage
    if name == "pandas.interval":
        ends, _ = _natural(pc.struct_field(storage, [0]))
        form = Intervals(ends, document["closed"])
        found = declared(storage, form)
        if found is not None:
            return form, found
    raise NotKeptError("this extension type is unknown")
