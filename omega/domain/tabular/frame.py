"""pandas frames and series as Arrow tables in our form, and exactly back."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from omega.domain.errors import BadInput
from omega.domain.tabular.composite import labels_index, with_freq
from omega.domain.tabular.descriptors import ORDINARY_ERRORS, form_from_text, form_of
from omega.domain.tabular.forms import ArrowColumn, Plain, Values
from omega.domain.tabular.index import columns_about, decode_index, encode_index
from omega.domain.tabular.schema import (
    KEY,
    Column,
    build,
    index_fields,
    is_index_name,
    label_notes,
    read_column,
    read_json,
)
from omega.domain.tabular.schema import columns as column_names
from omega.domain.tabular.values import loads


def from_pandas(df: pd.DataFrame) -> pa.Table:
    """The table, of shape (rows, columns + index levels), that keeps `df` exactly.

    Kept: values bit for bit, dtypes, categories, column order and labels, the index with class and names.
    Not kept: `attrs`, flags, a subclass of DataFrame, memory layout. Numeric columns share the frame's
    memory.

    Raises: BadInput naming the column of what cannot be kept: sparse and longdouble values, arbitrary
    objects, lone surrogates, zones that are no IANA zone or fixed offset, and column labels that are equal
    or read the same.
    """
    if not isinstance(df, pd.DataFrame):
        raise BadInput(f"a DataFrame is needed, not a {type(df).__name__}")
    labels = df.columns.tolist()
    names = check_names(labels)
    found = [
        _encode_column(name, label, series_values(column))
        for name, label, (_, column) in zip(names, labels, df.items(), strict=True)
    ]
    return _assemble(found, df.index, _checked_about(df.columns, labels))


def from_series(s: pd.Series) -> pa.Table:
    """The table with the one column `s`, its name kept whatever label it is.

    Raises: BadInput, as `from_pandas`.
    """
    if not isinstance(s, pd.Series):
        raise BadInput(f"a Series is needed, not a {type(s).__name__}")
    (name,) = check_names([s.name])
    found = _encode_column(name, s.name, series_values(s))
    labels: pd.Index = pd.Index([s.name], tupleize_cols=False)
    return _assemble([found], s.index, columns_about(labels))


def series_values(column: pd.Series) -> Values:
    """The values of a series: a numpy array, or an extension array where the dtype is one."""
    return column.to_numpy() if isinstance(column.dtype, np.dtype) else column.array


def check_names(labels: Sequence[Any]) -> list[str]:
    """The field names for these column labels: their text.

    Raises: BadInput naming labels that are equal, read the same, are reserved, or are no valid text.
    """
    try:
        names = [label if type(label) is str else str(label) for label in labels]
    except ValueError as error:
        raise BadInput(f"a column label has no text: {error}") from error
    if len(set(names)) != len(names):
        seen: set[str] = set()
        twice = [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
        raise BadInput(
            f"column labels must differ, also as text: {', '.join(map(repr, twice[:20]))} stands twice"
        )
    for name in names:
        if is_index_name(name):
            raise BadInput(f"the column name {name!r} is reserved for the index")
        if not name.isascii():
            try:
                name.encode()
            except UnicodeEncodeError:
                raise BadInput(f"the column name {name!a} holds a lone surrogate") from None
    return names


def _encode_column(name: str, label: Any, values: Values) -> tuple[Column, ArrowColumn]:
    try:
        form = form_of(values)
        return Column(name, form, label_notes(label)), form.encode(values)
    except (BadInput, *ORDINARY_ERRORS) as error:
        raise BadInput(f"cannot keep column {name!r} exactly: {error}") from error


def _assemble(found: list[tuple[Column, ArrowColumn]], index: pd.Index, about: dict[str, Any]) -> pa.Table:
    try:
        levels = encode_index(index)
    except (BadInput, *ORDINARY_ERRORS) as error:
        raise BadInput(f"cannot keep the index {_shown_names(index)} exactly: {error}") from error
    every = [*found, *levels]
    whole = {**({"columns": about} if about else {}), "levels": len(levels)}
    return pa.Table.from_arrays([array for _, array in every], schema=build([c for c, _ in every], whole))


def _shown_names(index: pd.Index) -> str:
    return ", ".join(repr(name)[:40] for name in index.names)


def _checked_about(index: pd.Index, labels: list[Any]) -> dict[str, Any]:
    try:
        about = columns_about(index)
        again = _columns_index(about, labels)
        same = again.equals(index) and again.dtype == index.dtype and type(again) is type(index)
    except (BadInput, *ORDINARY_ERRORS) as error:
        raise BadInput(f"cannot keep the column labels exactly: {error}") from error
    if not same:
        raise BadInput(
            f"cannot keep the column labels exactly: they are a {type(index).__name__} of {index.dtype}"
        )
    return about


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """The frame that `from_pandas` was given; a table without index fields gets a RangeIndex.

    Raises: BadInput if the table is not in our form (`adopt` it first).
    """
    about = read_json((table.schema.metadata or {}).get(KEY), what="the table").get("columns") or {}
    try:
        index = read_index(table)
        names = column_names(table.schema)
        fields = [read_column(table.schema.field(name)) for name in names]
        values = {i: _decode_column(column, table) for i, column in enumerate(fields)}
        for i, column in enumerate(fields):
            if column.form.dtype == np.dtype(object):
                # pandas would infer another dtype for a bare object array.
                values[i] = pd.Series(values[i], index=index, dtype=object)
        frame = pd.DataFrame(values, index=index)
        frame.columns = _columns_index(about, [column.label for column in fields])
    except ORDINARY_ERRORS as error:
        raise BadInput(f"the table does not hold what its metadata says: {error}") from error
    return frame


def to_series(table: pa.Table) -> pd.Series:
    """The series that `from_series` was given.

    Raises: BadInput if the table is not in our form, or has other than one column.
    """
    names = column_names(table.schema)
    if len(names) != 1:
        raise BadInput(f"a series has one column, this table has {len(names)}")
    column = read_column(table.schema.field(names[0]))
    try:
        values, dtype = _decode_column(column, table), column.form.dtype
        series: pd.Series = pd.Series(
            values, index=read_index(table), name=column.label, dtype=dtype, copy=True
        )
    except ORDINARY_ERRORS as error:
        raise BadInput(f"the table does not hold what its metadata says: {error}") from error
    return series


def _decode_column(column: Column, table: pa.Table) -> Values:
    try:
        return column.form.decode(table.column(column.name))
    except (BadInput, *ORDINARY_ERRORS) as error:
        raise BadInput(f"column {column.name!r} does not hold what its metadata says: {error}") from error


def read_index(table: pa.Table) -> pd.Index:
    """The index of a table in our form.

    Raises: BadInput, or one of `descriptors.ORDINARY_ERRORS`.
    """
    names = index_fields(table.schema)
    if not names:
        return pd.RangeIndex(table.num_rows)
    fields = [read_column(table.schema.field(name)) for name in names]
    return decode_index(fields, [table.column(name) for name in names])


def _columns_index(about: dict[str, Any], labels: list[Any]) -> pd.Index:
    if not about:
        plain: pd.Index = pd.Index(labels, dtype=pd.Index([""]).dtype)
        return plain
    names = [loads(name) for name in about["names"]]
    if about["kind"] == "multi":
        return _multi_columns(about["types"], labels, names)
    if about["kind"] == "range":
        known = range(*about["range"])
        if len(labels) == len(known) and labels == list(known):
            return pd.RangeIndex(known.start, known.stop, known.step, name=names[0])
        return labels_index(labels, Plain("int64"), names[0])
    form = form_from_text(json.dumps(about["types"][0], separators=(",", ":")))
    found = labels_index(labels, form, names[0])
    return with_freq(found, about.get("freq"))


def _multi_columns(types: Iterable[Any], labels: list[Any], names: list[Any]) -> pd.Index:
    levels: list[tuple[Any, Any]] = []
    for place, kind in enumerate(types):
        form = form_from_text(json.dumps(kind, separators=(",", ":")))
        own = [label[place] for label in labels]
        present = [not _is_missing(value) for value in own]
        level = labels_index([value for value, there in zip(own, present, strict=True) if there], form)
        made = pd.MultiIndex.from_arrays([level])
        codes = np.full(len(own), -1, dtype="i8")
        codes[np.array(present, dtype=bool)] = made.codes[0]
        levels.append((pd.Index(made.levels[0], dtype=form.dtype), codes))
    return pd.MultiIndex(levels=[a for a, _ in levels], codes=[b for _, b in levels], names=names)


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)
