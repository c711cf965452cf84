"""What may be appended to a frame, and what becomes of the frame's type then."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from omega.domain.errors import BadInput
from omega.domain.tabular.convert import MismatchError, convert, family, is_object, nullable
from omega.domain.tabular.forms import Form, Moment, Text, Zoned
from omega.domain.tabular.moments import timestamps_from_text
from omega.domain.tabular.schema import (
    KEY,
    Column,
    build,
    columns,
    index_fields,
    is_index_name,
    read_column,
    read_json,
)

_SHOWN = 20


def conform(table: pa.Table, like: pa.Table) -> pa.Table:
    """`table` with the columns, order, types and metadata of the frame that `like` is a segment of, or part
    of one.

    Only what the metadata says of the index's range or freq stays `table`'s own. A column that cannot be
    kept in the stored type without loss, but in a wider one, comes in that: `widened` names it. Integers go
    to floats where exact; floats onto integers make float64; missing values onto integers and booleans make
    them nullable; mixed values onto object text make mixed values. Text that is all ISO 8601 goes to
    datetimes where exact, with an offset where they have a zone, else without. An object column that holds
    only `None` takes the type of what is given. Categories must be known.

    Raises: BadInput naming the columns that are missing or too many, or the column whose types do not fit.
    Both tables must be in our form.
    """
    _check_same_columns(columns(table.schema), columns(like.schema))
    _check_same_levels(table, like)
    found, arrays = [], []
    for field in like.schema:
        given, stored = read_column(table.schema.field(field.name)), read_column(field)
        column, kept = table.column(field.name), like.column(field.name)
        wanted = stored.form
        if not is_index_name(field.name):
            wanted = _open_form(column, given.form, kept, stored.form)
        form, array = _fit(column, given.form, wanted, field.name, stored.form)
        found.append(_merged(given, stored, form, stored.notes))
        arrays.append(array)
    return _table(arrays, found, like.schema)


def widened(stored: pa.Schema, conformed: pa.Schema) -> list[str]:
    """The columns that `conform` gave another type than the stored one: older segments go through `widen`
    from now on.

    Raises: BadInput if a schema is not in our form.
    """
    return [
        name
        for name in columns(stored)
        if read_column(stored.field(name)).form != read_column(conformed.field(name)).form
    ]


def widen(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """An older segment in the types of `schema`; its index keeps its own range or freq.

    Raises: BadInput naming a column whose values are not exact in the new type.
    """
    if table.schema.equals(schema, check_metadata=True):
        return table
    found, arrays = [], []
    for field in schema:
        given, wanted = read_column(table.schema.field(field.name)), read_column(field)
        column = table.column(field.name)
        try:
            form, array = convert(column, given.form, wanted.form)
        except MismatchError as error:
            raise _refusal(field.name, given.form, wanted.form, str(error)) from error
        if form != wanted.form:
            raise _refusal(field.name, given.form, wanted.form, "")
        found.append(_merged(given, wanted, form, given.notes))
        arrays.append(array)
    return _table(arrays, found, schema)


def _check_same_columns(given: Sequence[str], stored: Sequence[str]) -> None:
    known, offered = set(stored), set(given)
    wrong = [
        ("missing", [n for n in stored if n not in offered]),
        ("too many", [n for n in given if n not in known]),
    ]
    parts = [
        f"{what}: {', '.join(map(repr, names[:_SHOWN]))}{', ...' if len(names) > _SHOWN else ''}"
        for what, names in wrong
        if names
    ]
    if parts:
        raise BadInput(f"the columns differ from the stored ones; {'; '.join(parts)}")


def _check_same_levels(table: pa.Table, like: pa.Table) -> None:
    given, stored = len(index_fields(table.schema)), len(index_fields(like.schema))
    if given != stored:
        raise BadInput(f"the index has {given} levels, the stored one has {stored}")


def _open_form(column: pa.ChunkedArray, given: Form, kept: pa.ChunkedArray, stored: Form) -> Form:
    """The form that a stored column takes next: its own, unless it is one of objects that holds no value
    yet, which says nothing of its type.
    """
    if not is_object(stored) or isinstance(stored, Text) or not len(column) or kept.null_count < len(kept):
        return stored
    if not len(kept):
        return given
    # What is text or objects already goes by the rules for those.
    return stored if is_object(given) else nullable(given) or stored


def _fit(
    column: pa.ChunkedArray, given: Form, wanted: Form, name: str, stored: Form
) -> tuple[Form, pa.ChunkedArray]:
    try:
        if _is_datetime(wanted) and family(given) == "text" and column.null_count < len(column):
            form, array = wanted, timestamps_from_text(column, wanted.arrow)
        else:
            form, array = convert(column, given, wanted)
    except ValueError as error:
        raise _refusal(name, stored, given, str(error)) from error
    if is_index_name(name) and form != wanted:
        raise _refusal(name, stored, given, "")
    return form, array


def _is_datetime(form: Form) -> bool:
    return isinstance(form, Zoned) or (isinstance(form, Moment) and form.kind == "datetime")


def _refusal(name: str, stored: Form, given: Form, why: str) -> BadInput:
    what = "the index" if is_index_name(name) else f"column {name!r}"
    types = f"the stored type is {stored.dtype}, the given one {given.dtype}"
    return BadInput(f"{what} does not fit: {types}{'; ' + why if why else ''}")


def _merged(given: Column, stored: Column, form: Form, allowed: Mapping[str, Any]) -> Column:
    notes: dict[str, Any] = {key: note for key, note in stored.notes.items() if key not in ("range", "freq")}
    for key in ("range", "freq"):
        if key in allowed and key in given.notes:
            notes[key] = given.notes[key]
    return Column(stored.name, form, notes)


def _table(arrays: list[pa.ChunkedArray], found: list[Column], like: pa.Schema) -> pa.Table:
    about = read_json((like.metadata or {}).get(KEY), what="the table")
    about.pop("version", None)
    return pa.Table.from_arrays(arrays, schema=build(found, about))
