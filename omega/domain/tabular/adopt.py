"""Arrow tables from outside, in our form; whatever their metadata says may be forged."""

from typing import Any

import pandas as pd
import pyarrow as pa

from omega.domain.errors import BadInput
from omega.domain.tabular.descriptors import ORDINARY_ERRORS
from omega.domain.tabular.foreign import pandas_plan
from omega.domain.tabular.frame import check_names, read_index, to_pandas
from omega.domain.tabular.index import encode_index
from omega.domain.tabular.natural import declared, natural
from omega.domain.tabular.schema import (
    KEY,
    PANDAS_KEY,
    VERSION,
    Column,
    build,
    index_name,
    is_index_name,
    read_column,
    read_json,
)
from omega.domain.tabular.values import loads

Adopted = list[tuple[Column, pa.ChunkedArray]]


def adopt(table: pa.Table) -> pa.Table:
    """Any Arrow table in our form.

    With our own metadata, columns come back in the types it declares, where Parquet or another tool has
    changed them and nothing is lost. With pandas' standard metadata, its index and dtypes are followed.
    Otherwise, and where metadata is malformed or does not go with the column: integers and bools (nullable
    dtypes where values are missing), floats (null becomes NaN), text `str`, timestamps and durations
    datetime64 and timedelta64, dictionaries categories, everything else an ArrowDtype; the index a
    RangeIndex.

    Raises: BadInput naming the column that has no exact form (unions, unknown extension types and time
    zones), and for equal, reserved or malformed column names.
    """
    try:
        table.validate(full=True)
        names = table.schema.names
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise BadInput(f"the table is damaged: {error}") from error
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})[:20] if len(names) < 2000 else []
        raise BadInput(f"column names must differ: {', '.join(map(repr, twice))} stands twice")
    found = _ours(table)
    if found is None:
        found = _checked(*_foreign(table))
    if found is None:
        found = _checked(*_plain(table))
    if found is None:
        raise BadInput("the table cannot be read as a frame")
    return found


def _ours(table: pa.Table) -> pa.Table | None:
    about = _our_about(table.schema)
    if about is None:
        return None
    places = [name for name in table.schema.names if is_index_name(name)]
    if sorted(places) != sorted(index_name(i) for i in range(len(places))):
        return None
    columns: Adopted = []
    for name in table.schema.names:
        if not is_index_name(name):
            columns.append(_our_column(name, table))
    check_names([column.name for column, _ in columns])
    levels = [_our_column(index_name(i), table) for i in range(len(places))] or _range_index(table.num_rows)
    whole = _checked(columns, levels, about)
    # Labels that do not go with their columns are worth less than the columns.
    return (
        whole
        if whole is not None
        else _checked([(Column(c.name, c.form, {}), v) for c, v in columns], levels, {})
    )


def _our_about(schema: pa.Schema) -> dict[str, Any] | None:
    try:
        about = read_json((schema.metadata or {}).get(KEY), what="the table")
    except BadInput:
        return None
    if about.get("version") != VERSION:
        return None
    labels = about.get("columns")
    return {"columns": labels} if isinstance(labels, dict) and labels else {}


def _our_column(name: str, table: pa.Table) -> tuple[Column, pa.ChunkedArray]:
    field, values = table.schema.field(name), table.column(name)
    try:
        column = read_column(field)
    except BadInput:
        return natural_column(name, values)
    if (array := declared(values, column.form)) is None:
        form, array = natural(name, values)
        return Column(name, form, _clean(column)), array
    return Column(name, column.form, _clean(column)), array


def natural_column(name: str, values: pa.ChunkedArray) -> tuple[Column, pa.ChunkedArray]:
    """The column in the form that its Arrow type suggests."""
    form, array = natural(name, values)
    return Column(name, form, {}), array


def _clean(column: Column) -> dict[str, Any]:
    kinds: dict[str, type] = {"label": str, "name": str, "range": list, "freq": str, "level": bool}
    notes: dict[str, Any] = {key: note for key, note in column.notes.items() if type(note) is kinds.get(key)}
    for key in ("label", "name"):
        try:
            label = loads(notes[key]) if key in notes else None
            hash(label)
            if key == "label" and key in notes and str(label) != column.name:
                raise BadInput("a label that does not read as its column's name")
        except (BadInput, TypeError):
            notes.pop(key, None)
    return notes


def _range_index(rows: int) -> Adopted:
    return [(column, pa.chunked_array([values])) for column, values in encode_index(pd.RangeIndex(rows))]


def _foreign(table: pa.Table) -> tuple[Adopted, Adopted, dict[str, Any]]:
    data = (table.schema.metadata or {}).get(PANDAS_KEY)
    plan = pandas_plan(data, table) if data is not None else None
    if plan is None:
        return _plain(table)
    columns, levels, about = plan
    check_names([column.name for column, _ in columns])
    return columns, levels or _range_index(table.num_rows), about


def _plain(table: pa.Table) -> tuple[Adopted, Adopted, dict[str, Any]]:
    check_names(table.schema.names)
    columns = [natural_column(name, table.column(name)) for name in table.schema.names]
    return columns, _range_index(table.num_rows), {}


def _checked(columns: Adopted, levels: Adopted, about: dict[str, Any]) -> pa.Table | None:
    """The table, if its metadata can be read back; its columns' values have been checked already."""
    every = [*columns, *levels]
    try:
        schema = build([c for c, _ in every], {**about, "levels": len(levels)})
        table = pa.Table.from_arrays([array for _, array in every], schema=schema)
        read_index(table)
        to_pandas(table.slice(0, 0))
    except (BadInput, *ORDINARY_ERRORS):
        return None
    return table
