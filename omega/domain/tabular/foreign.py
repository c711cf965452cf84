"""pandas' standard metadata, read without trusting it.

Format: https://pandas.pydata.org/docs/development/developer.html. pyarrow's own reader is not used: it
evaluates literals and trusts names.
"""

import json
from typing import Any

import pandas as pd
import pyarrow as pa

from omega.domain.errors import BadInput
from omega.domain.tabular.descriptors import ORDINARY_ERRORS, form_from_json
from omega.domain.tabular.forms import Form, Native
from omega.domain.tabular.index import encode_index
from omega.domain.tabular.natural import declared, natural
from omega.domain.tabular.schema import Column, index_name, label_notes
from omega.domain.tabular.values import dumps

Adopted = list[tuple[Column, pa.ChunkedArray]]
Plan = tuple[Adopted, Adopted, dict[str, Any]]


def pandas_plan(data: bytes, table: pa.Table) -> Plan | None:
    """Columns, index levels and what is noted of the labels, as pandas' metadata says; `None` if it is
    malformed.

    Raises: BadInput naming a column that has no exact form.
    """
    try:
        document = json.loads(data)
        about = {
            entry["field_name"]: entry
            for entry in document["columns"]
            if isinstance(entry["field_name"], str)
        }
        descriptors = list(document["index_columns"])
        labels = document["column_indexes"]
        levels, used = _levels(descriptors, about, table)
    except (RecursionError, BadInput, *ORDINARY_ERRORS):
        return None
    names = [name for name in table.schema.names if name not in used]
    columns = [_column(name, about.get(name, {}), table.column(name)) for name in names]
    return _labelled(columns, labels), levels, _about(labels, names)


def _levels(descriptors: list[Any], about: dict[str, Any], table: pa.Table) -> tuple[Adopted, set[str]]:
    names = [d for d in descriptors if isinstance(d, str) and d in table.schema.names]
    if len(descriptors) == 1 and isinstance(descriptors[0], dict):
        span = descriptors[0]
        index = pd.RangeIndex(span["start"], span["stop"], span["step"], name=_name(span.get("name")))
        if len(index) == table.num_rows:
            return [(c, pa.chunked_array([values])) for c, values in encode_index(index)], set()
        return [], set()
    if len(set(names)) != len(descriptors):
        return [], set()
    levels: Adopted = []
    for place, name in enumerate(names):
        entry = about.get(name, {})
        column, values = _column(name, entry, table.column(name))
        notes: dict[str, Any] = {"level": True} if len(names) > 1 else {}
        if (label := _name(entry.get("name"))) is not None:
            notes["name"] = dumps(label).decode()
        levels.append((Column(index_name(place), column.form, notes), values))
    return levels, set(names)


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _column(name: str, entry: dict[str, Any], values: pa.ChunkedArray) -> tuple[Column, pa.ChunkedArray]:
    form = _form(entry.get("numpy_type") if isinstance(entry, dict) else None, values.type)
    if form is not None and (array := declared(values, form)) is not None:
        return Column(name, form, {}), array
    form, array = natural(name, values)
    return Column(name, form, {}), array


def _form(dtype: Any, kind: pa.DataType) -> Form | None:
    """The form of a dtype's name, for the dtypes that an Arrow type does not tell apart."""
    if not isinstance(dtype, str) or len(dtype) > 60 or pa.types.is_dictionary(kind):
        return None
    if dtype.endswith("[pyarrow]") and dtype != "string[pyarrow]":
        return _quiet({"arrow": _type_json(kind)})
    documents: dict[str, dict[str, Any]] = {
        "str": {"text": ["pyarrow", "nan"]},
        "string": {"text": ["pyarrow", "NA"]},
        "string[pyarrow]": {"text": ["pyarrow", "NA"]},
        "string[python]": {"text": ["python", "NA"]},
    }
    if dtype == "object":
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
        return _quiet({"object": "text" if is_text else "bytes" if is_bytes else ""})
    if dtype.startswith(("datetime64[", "timedelta64[")) and dtype.endswith("]") and "," not in dtype:
        family, _, unit = dtype[:-1].partition("64[")
        return _quiet({family: unit})
    return _quiet(documents.get(dtype)) or _quiet({"masked": dtype}) or _quiet({"numpy": dtype})


def _type_json(kind: pa.DataType) -> Any:
    return Native(kind).to_json()["arrow"]


def _quiet(document: dict[str, Any] | None) -> Form | None:
    try:
        return form_from_json(document)
    except (BadInput, *ORDINARY_ERRORS):
        return None


def _labelled(columns: Adopted, labels: Any) -> Adopted:
    if not _are_integers(labels, [column.name for column, _ in columns]):
        return columns
    return [(Column(c.name, c.form, label_notes(int(c.name))), values) for c, values in columns]


def _are_integers(labels: Any, names: list[str]) -> bool:
    try:
        (entry,) = labels
        return entry["pandas_type"] == "int64" and all(
            str(int(name)) == name and len(name) < 19 for name in names
        )
    except ORDINARY_ERRORS:
        return False


def _about(labels: Any, names: list[str]) -> dict[str, Any]:
    named = (
        labels[0].get("name")
        if isinstance(labels, list) and len(labels) == 1 and isinstance(labels[0], dict)
        else None
    )
    name = dumps(_name(named)).decode()
    if not _are_integers(labels, names):
        text = {"text": ["pyarrow", "nan"]}
        return (
            {"columns": {"kind": "labels", "types": [text], "names": [name]}}
            if _name(named) is not None
            else {}
        )
    if names and [int(n) for n in names] == list(range(len(names))):
        return {"columns": {"kind": "range", "range": [0, len(names), 1], "names": [name]}}
    return {"columns": {"kind": "int64", "types": [{"numpy": "int64"}], "names": [name]}}
