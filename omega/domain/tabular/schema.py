"""What a table's schema says: our own exact metadata, and pandas' standard metadata for everyone else.

Field metadata `omega`: `{"type": form, "label": tagged JSON}` for a column (the label only where it is not
the field's name) and `{"type": form, "name": tagged JSON, "kind": ..., "range" or "freq": ...}` for an
index level. Schema metadata `omega`: `{"version": 1, "columns": ..., "levels": n}`. All of it depends on
the frame's dtypes alone, but for `range` and `freq` of the index.
"""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import pandas as pd
import pyarrow as pa
from attrs import frozen

from omega.domain.errors import BadInput
from omega.domain.tabular.descriptors import form_from_text, form_to_text
from omega.domain.tabular.forms import Form
from omega.domain.tabular.values import dumps, loads

KEY: Final = b"omega"
PANDAS_KEY: Final = b"pandas"
VERSION: Final = 1
_INDEX_FIELD: Final = re.compile(r"__index_\d+__")


@frozen
class Column:
    """One field of a table in our form: its name, how its values are kept, and what else is noted of it."""

    name: str
    form: Form
    notes: dict[str, Any]

    def field(self) -> pa.Field:
        """The Arrow field."""
        text = f'{{"type":{form_to_text(self.form)}'
        if self.notes:
            text += "," + json.dumps(self.notes, separators=(",", ":"))[1:-1]
        return pa.field(self.name, self.form.arrow, metadata={KEY: (text + "}").encode()})

    @property
    def label(self) -> Any:
        """The column's label in pandas."""
        return loads(self.notes["label"]) if "label" in self.notes else self.name


def label_notes(label: Any) -> dict[str, Any]:
    """What to note of a column's label: nothing where it is plain text.

    Raises: BadInput for a label that cannot be kept.
    """
    if type(label) is str:
        return {}
    try:
        hash(label)
    except TypeError as error:
        raise BadInput(f"the label {ascii(label)[:80]} is not hashable") from error
    return {"label": dumps(label).decode()}


def index_name(level: int) -> str:
    """The field name of an index level, counted from 0."""
    return f"__index_{level}__"


def is_index_name(name: str) -> bool:
    """Whether this field name is one of those that index levels have."""
    return _INDEX_FIELD.fullmatch(name) is not None


def read_column(field: pa.Field) -> Column:
    """What the field's metadata says.

    Raises: BadInput where it is missing or malformed.
    """
    data = (field.metadata or {}).get(KEY)
    try:
        form, notes = _remembered(data) if data is not None and len(data) < 200 else _read(data)
    except BadInput as error:
        raise BadInput(f"column {field.name!r}: {error}") from error
    return Column(field.name, form, dict(notes))


@lru_cache(maxsize=1024)
def _remembered(data: bytes) -> tuple[Form, dict[str, Any]]:
    return _read(data)


def _read(data: bytes | None) -> tuple[Form, dict[str, Any]]:
    notes = read_json(data, what="the column")
    return form_from_text(json.dumps(notes.pop("type", None), separators=(",", ":"))), notes


def read_json(data: bytes | None, *, what: str) -> dict[str, Any]:
    """A JSON object of our metadata.

    Raises: BadInput.
    """
    try:
        found = json.loads(data) if data is not None else None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the metadata of {what} is malformed") from error
    if not isinstance(found, dict):
        raise BadInput(f"the metadata of {what} is missing or malformed")
    return found


def columns(schema: pa.Schema) -> list[str]:
    """The names of the columns that a user sees, as text, in order; those of index levels are left out."""
    return [name for name in schema.names if not is_index_name(name)]


def index_fields(schema: pa.Schema) -> list[str]:
    """The field names of the index levels, outermost first."""
    return [name for name in schema.names if is_index_name(name)]


def dtypes(schema: pa.Schema) -> dict[str, str]:
    """Column name to dtype, as `str(df.dtypes[column])` gives it.

    Raises: BadInput if the schema is not in our form.
    """
    return {name: str(read_column(schema.field(name)).form.dtype) for name in columns(schema)}


def empty_like(schema: pa.Schema) -> pa.Table:
    """A table of this schema without rows; categories are kept, since the schema holds them.

    Raises: BadInput if the schema is not in our form.
    """
    arrays = []
    for field in schema:
        empty = read_column(field).form.empty()
        # A column that has no value yet has no type of its own either.
        arrays.append(pa.nulls(0) if pa.types.is_null(field.type) else empty)
    return pa.Table.from_arrays(arrays, schema=schema)


def build(fields: Sequence[Column], about: dict[str, Any]) -> pa.Schema:
    """The schema of these columns and index levels, in our form; `about` is noted for the whole frame."""
    ours = json.dumps({"version": VERSION, **about}, separators=(",", ":")).encode()
    standard = json.dumps(_standard(fields, about), separators=(",", ":")).encode()
    return pa.schema([column.field() for column in fields], metadata={KEY: ours, PANDAS_KEY: standard})


def _standard(fields: Sequence[Column], about: dict[str, Any]) -> dict[str, Any]:
    """pandas' metadata as https://pandas.pydata.org/docs/development/developer.html describes it."""
    levels = [column.name for column in fields if is_index_name(column.name)]
    labels = "int64" if about.get("columns", {}).get("kind") in ("range", "int64") else "str"
    return {
        "index_columns": levels,
        "column_indexes": [
            {
                "name": None,
                "field_name": None,
                "pandas_type": "unicode" if labels == "str" else labels,
                "numpy_type": labels,
                "metadata": {"encoding": "UTF-8"} if labels == "str" else None,
            }
        ],
        "columns": [_standard_column(column) for column in fields],
        "attributes": {},
        "creator": {"library": "omega", "version": str(VERSION)},
        "pandas_version": "3.0.0",
    }


def _standard_column(column: Column) -> dict[str, Any]:
    name: str | None = column.name
    if is_index_name(column.name):
        label = loads(column.notes["name"]) if "name" in column.notes else None
        name = label if type(label) is str else None if label is None else str(label)
    return {"name": name, "field_name": column.name, **_standard_type(column.form)}


@lru_cache(maxsize=256)
def _standard_type(form: Form) -> dict[str, Any]:
    dtype, kind, name = form.dtype, form.arrow, str(form.dtype)
    metadata: dict[str, Any] | None = None
    if isinstance(dtype, pd.CategoricalDtype):
        metadata = {"num_categories": len(dtype.categories), "ordered": bool(dtype.ordered)}
    elif pa.types.is_timestamp(kind) and kind.tz is not None:
        metadata = {"timezone": kind.tz}
    types = {"pandas_type": _pandas_type(form, name), "numpy_type": _numpy_type(form, name)}
    return {**types, "metadata": metadata}


def _numpy_type(form: Form, dtype: str) -> str:
    if dtype == "category":
        return str(form.arrow.index_type)
    # pandas cannot read the name of an Arrow type with parameters, and would give up on the whole table.
    return "object" if not isinstance(form.to_json().get("arrow", ""), str) else dtype


def _pandas_type(form: Form, dtype: str) -> str:
    kind = form.arrow
    if dtype == "category":
        return "categorical"
    if pa.types.is_timestamp(kind):
        return "datetimetz" if kind.tz else "datetime"
    if pa.types.is_large_string(kind) or pa.types.is_string(kind):
        return "unicode"
    if pa.types.is_primitive(kind) and not pa.types.is_temporal(kind):
        return {"float": "float32", "double": "float64", "halffloat": "float16"}.get(str(kind), str(kind))
    return "bytes" if pa.types.is_large_binary(kind) else "object"
