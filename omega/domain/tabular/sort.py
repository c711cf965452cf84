"""The rows of a table in order."""

import pyarrow as pa
import pyarrow.compute as pc

from omega.domain.errors import BadInput
from omega.domain.tabular.composite import Category, Intervals
from omega.domain.tabular.forms import Complex, Form, merged
from omega.domain.tabular.objects import ObjectValues
from omega.domain.tabular.schema import columns, read_column
from omega.domain.tabular.select import split, unknown_column


def sort(table: pa.Table, by: str) -> pa.Table:
    """The rows by the columns in `by`, `a,-b` for b descending: stable, missing values last in either
    direction.

    The order is that of pandas' `sort_values(kind="stable")`: categories by their place, text by code
    point, complex numbers by real and then imaginary part. A part that is the exact name of a column means
    that column ascending, also where it starts with `-`.

    Raises: BadInput naming a column that is unknown or whose values have no order.
    """
    known = columns(table.schema)
    keys: list[pa.Array] = []
    orders: list[str] = []
    for part in [by] if by in known else split(by):
        descending = part not in known and part.startswith("-")
        name = part[1:] if descending else part
        if name not in known:
            raise unknown_column(name, known)
        parts = _keys(name, table)
        keys += parts
        orders += ["descending" if descending else "ascending"] * len(parts)
    ordered = pa.table(keys, names=[str(i) for i in range(len(keys))])
    # Arrow puts null last if nothing else is said, in either direction.
    rows = pc.sort_indices(ordered, sort_keys=[(str(i), order) for i, order in enumerate(orders)])
    return table.take(rows)


def _keys(name: str, table: pa.Table) -> list[pa.Array]:
    form, column = read_column(table.schema.field(name)).form, merged_column(table, name)
    if isinstance(form, ObjectValues) or (
        pa.types.is_nested(column.type) and not isinstance(form, Complex | Intervals)
    ):
        raise BadInput(f"cannot sort by column {name!r}: its values have no order")
    if isinstance(form, Category):
        return [_places(form, column)]
    return _flat_keys(name, form, column)


def _flat_keys(name: str, form: Form, column: pa.Array) -> list[pa.Array]:
    if isinstance(form, Complex | Intervals):
        parts = [_key(pc.struct_field(column, [i])) for i in range(column.type.num_fields)]
        present = pc.and_(parts[0].is_valid(), parts[1].is_valid())
        return [pc.if_else(present, part, pa.scalar(None, part.type)) for part in parts]
    try:
        key = _key(column)
        pc.sort_indices(key.slice(0, 0))
    except pa.ArrowException as error:
        raise BadInput(
            f"cannot sort by column {name!r}: values of type {form.dtype} have no order"
        ) from error
    return [key]


def _key(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    if pa.types.is_floating(column.type):
        # NaN and null are both missing, and keep their order among each other.
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column


def _places(form: Category, column: pa.DictionaryArray) -> pa.Array:
    places = pa.array(form.decode(pa.chunked_array([column])).codes)
    return pc.if_else(pc.less(places, 0), pa.scalar(None, places.type), places)


def merged_column(table: pa.Table, name: str) -> pa.Array:
    """The column of this name as one array."""
    return merged(table.column(name))
