"""Category columns as segments keep them: each segment with only the categories that its rows use.

All categories of a column are in its schema, once for the whole frame. Were they in every segment too, an
append of one row to a column of 200,000 categories would store them all again.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from omega.domain import tabular


def packed(table: pa.Table) -> pa.Table:
    """`table` with category columns cut down to the categories in use, and without what their metadata
    repeats.
    """
    for at, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            column = table.column(at).combine_chunks()
            table = table.set_column(at, field.remove_metadata(), _in_use(column))
    return table


def category_names(schema: pa.Schema) -> list[str]:
    """The names of the category columns."""
    return [field.name for field in schema if pa.types.is_dictionary(field.type)]


def unpacked(table: pa.Table, schema: pa.Schema, names: Sequence[str]) -> pa.Table:
    """`table` with its category columns, which are `names`, as `schema` has them: all categories in their
    order.
    """
    for name in names:
        field = schema.field(name)
        empty = tabular.empty_like(pa.schema([field], schema.metadata))
        categories = empty.column(0).combine_chunks().dictionary
        at = table.schema.get_field_index(name)
        chunks = [_recoded(chunk, categories) for chunk in table.column(at).chunks]
        table = table.set_column(at, field, pa.chunked_array(chunks, type=field.type))
    return table


def _in_use(column: pa.DictionaryArray) -> pa.DictionaryArray:
    used = pc.drop_null(pc.unique(column.indices))
    used = used.take(pc.sort_indices(used))
    codes = pc.index_in(column.indices, value_set=used).cast(column.indices.type)
    return _dictionary(codes, column.dictionary.take(used), column.type)


def _recoded(column: pa.DictionaryArray, categories: pa.Array) -> pa.DictionaryArray:
    places = pc.index_in(column.dictionary, value_set=categories)
    return _dictionary(places.take(column.indices).cast(column.indices.type), categories, column.type)


def _dictionary(codes: pa.Array, categories: pa.Array, kind: pa.DictionaryType) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(codes, categories, ordered=kind.ordered)
