"""Features and targets: tables given to models, and the contract on them that a model learns when it is
fitted.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from attrs import frozen

from omega.domain import tabular
from omega.domain.contents import DATA, FRAMES, NDARRAY, decode_bytes
from omega.domain.datasets import Reading
from omega.domain.errors import BadInput
from omega.domain.metadata import JSONObject

_NUMERIC: Final = "numeric"


@frozen(eq=False)
class Features:
    """A table of shape (n_samples, n_features) without its index. `source` is what errors call it.

    `named` is false where the data came without column names (an array): its columns are then known by
    position only.
    """

    table: pa.Table
    source: str
    named: bool = True


@frozen(eq=False)
class Numbers:
    """Features of shape (n_samples, n_features) that are all floats, still as lists, one a column: to make a
    table of one row takes longer than to ask a model about it.
    """

    names: Sequence[str]
    columns: Sequence[list[float]]
    source: str
    named: bool = True

    @property
    def rows(self) -> int:
        """How many samples there are."""
        return len(self.columns[0])

    @property
    def table(self) -> pa.Table:
        """The table."""
        values, rows = pa.array(np.array(self.columns, "f8").ravel()), self.rows
        columns = [values.slice(at * rows, rows) for at in range(len(self.columns))]
        return pa.Table.from_arrays(columns, self.names)

    def followed_by(self, others: Iterable["Numbers"]) -> "Numbers":
        """These samples and then those of `others`, which have the same names."""
        columns = [list(column) for column in self.columns]
        for other in others:
            for column, more in zip(columns, other.columns, strict=True):
                column += more
        return Numbers(self.names, columns, self.source, self.named)

    def are_in_order(self, contract: JSONObject) -> bool:
        """Whether they are just what a model of this contract takes."""
        wanted: Sequence[JSONObject] | None = contract.get("features")
        return (
            wanted is not None
            and self.names == [feature["name"] for feature in wanted]
            and all(feature["type"] == _NUMERIC for feature in wanted)
        )


def as_features(value: Any, *, source: str) -> Features:
    """Features from a Python value: DataFrame, Series, Arrow table in omega's form, array or list of shape
    (n_samples,) or (n_samples, n_features).

    Raises: BadInput.
    """
    match value:
        case Features():
            return value
        case Numbers():
            return Features(value.table, value.source, value.named)
        case pa.Table():
            return _without_index(value, source, named=True)
        case pd.DataFrame():
            return _without_index(tabular.from_pandas(value), source, named=True)
        case pd.Series():
            return _without_index(tabular.from_series(value), source, named=value.name is not None)
        case np.ndarray():
            return _from_array(value, source)
        case list() | tuple() | dict():
            return _from_python(value, source)
    raise BadInput(
        f"{source} is of type {type(value).__name__}: give a dataset name, DataFrame, Series, array or list"
    )


def features_of(reading: Reading, *, source: str) -> Features:
    """Features from a stored dataset.

    Raises: BadInput for a kind that is not tabular.
    """
    kind = reading.metadata.kind
    if kind in FRAMES:
        return _without_index(pa.concat_tables(reading.tables), source, named=True)
    if kind in (NDARRAY, DATA):
        return as_features(decode_bytes(kind, reading.chunks), source=source)
    raise BadInput(f"{source} is dataset {reading.metadata.name!r} of kind {kind}, which is not tabular")


def learned(x: Features, y: Features | None) -> dict[str, Any]:
    """The contract as JSON: names, order and dtypes of features and targets."""
    return {
        "features": _described(x.table),
        "targets": None if y is None else _described(y.table),
    }


def fitted_order(x: Features, contract: JSONObject) -> pa.Table:
    """The columns of `x` in the order of the contract.

    Raises: BadInput naming missing, extra and unfit columns.
    """
    wanted: Sequence[JSONObject] | None = contract.get("features")
    if wanted is None:
        return x.table
    names, given = [feature["name"] for feature in wanted], x.table.column_names
    if given == names:
        return _same_kinds(x.table, wanted, x.source)
    if not x.named:
        if x.table.num_columns != len(names):
            raise BadInput(
                f"{x.source} has {x.table.num_columns} columns, the model was fitted with {len(names)}: "
                f"{_list(names)}"
            )
        return _same_kinds(x.table.rename_columns(names), wanted, x.source)
    known, come = set(names), set(given)
    missing, extra = [n for n in names if n not in come], [g for g in given if g not in known]
    if missing or extra:
        problems = [
            f"{word} columns: {_list(found)}"
            for word, found in (("missing", missing), ("extra", extra))
            if found
        ]
        raise BadInput(
            f"{x.source} does not fit the model, which was fitted with {_list(names)}; {'; '.join(problems)}"
        )
    return _same_kinds(x.table.select(names), wanted, x.source)


def same_length(x: Features, y: Features | None) -> None:
    """Nothing, if `x` and `y` have as many rows.

    Raises: BadInput.
    """
    if y is not None and x.table.num_rows != y.table.num_rows:
        raise BadInput(f"{x.source} has {x.table.num_rows} rows but {y.source} has {y.table.num_rows}")


def _without_index(table: pa.Table, source: str, *, named: bool) -> Features:
    columns = tabular.columns(table.schema)
    for name, dtype in tabular.dtypes(table.schema).items():
        if dtype == "object":
            at = table.column_names.index(name)
            values = _values(table, name, source)
            # The field's metadata stays: it says what the column was to its owner.
            table = table.set_column(at, table.schema.field(at).with_type(values.type), values)
    return Features(table.select(columns), source, named)


def _values(table: pa.Table, name: str, source: str) -> pa.Array:
    """A column of Python objects as Arrow values of one type: what is stored of it is a form of our own."""
    objects = tabular.to_pandas(table.select([name, *tabular.index_fields(table.schema)])).iloc[:, 0]
    try:
        return pa.array(objects.tolist(), from_pandas=True)
    except OverflowError as error:
        raise BadInput(f"column {name!r} of {source} holds integers of more than 64 bits") from error
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise BadInput(f"column {name!r} of {source} holds Python objects of several types") from error


def _from_array(array: np.ndarray, source: str) -> Features:
    if array.ndim not in (1, 2):
        raise BadInput(f"{source} has {array.ndim} dimensions: give (n_samples,) or (n_samples, n_features)")
    return _without_index(tabular.from_pandas(pd.DataFrame(array)), source, named=False)


def _from_python(value: Any, source: str) -> Features:
    named = isinstance(value, dict) or (bool(value) and isinstance(value[0], dict))
    try:
        frame = pd.DataFrame(value if named else {str(i): c for i, c in enumerate(_transposed(value))})
    except (ValueError, TypeError) as error:
        raise BadInput(f"{source} is not tabular: {error}") from error
    return _without_index(tabular.from_pandas(frame), source, named=named)


def _transposed(rows: Sequence[Any]) -> list[list[Any]]:
    if not any(isinstance(row, list | tuple) for row in rows):
        return [list(rows)]
    widths = {len(row) if isinstance(row, list | tuple) else -1 for row in rows}
    if len(widths) != 1:
        raise ValueError("its rows are not of one length")
    return [list(column) for column in zip(*rows, strict=True)]


def _described(table: pa.Table) -> list[dict[str, str]]:
    dtypes = tabular.dtypes(table.schema)
    return [
        {"name": name, "dtype": dtypes[name], "type": _kind(table.schema.field(name).type)} for name in dtypes
    ]


def _same_kinds(table: pa.Table, wanted: Sequence[JSONObject], source: str) -> pa.Table:
    for at, (feature, type) in enumerate(zip(wanted, table.schema.types, strict=True)):
        kind = _kind(type)
        # A column without a single value may stand for any kind of column.
        if feature["type"] not in (kind, None) and table.column(at).null_count < table.num_rows:
            raise BadInput(
                f"column {feature['name']!r} of {source} is {kind}, "
                f"the model was fitted with {feature['type']} ({feature['dtype']})"
            )
    return table


@lru_cache(maxsize=256)
def _kind(type: pa.DataType) -> str:
    if pa.types.is_dictionary(type):
        type = type.value_type
    if (
        pa.types.is_boolean(type)
        or pa.types.is_integer(type)
        or pa.types.is_floating(type)
        or pa.types.is_decimal(type)
    ):
        return _NUMERIC
    if pa.types.is_string(type) or pa.types.is_large_string(type):
        return "text"
    return "temporal" if pa.types.is_temporal(type) else "other"


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:20]))
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more"
