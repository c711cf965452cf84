"""From Arrow tables to what an estimator takes.

Most estimators take a matrix. A table of integers and floats becomes one ndarray, in column order as pandas
would lay it out, so that the numbers are the same as with a DataFrame; one row is then answered several times
faster. Anything else, and any model that names columns, gets a DataFrame with the column names. Text
vectorizers, label encoders and isotonic regression take one column; DictVectorizer and FeatureHasher take
records.

What a model was fitted with is noted on the fitted object, so that it travels with the model's bytes.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.base import BaseEstimator
from sklearn.utils import get_tags

from omega.ports.models import InvalidModelInput

#: The attributes of a fitted model that hold its `Form` and the names of its columns.
FORM_ATTRIBUTE: Final = "_omega_form"
NAMES_ATTRIBUTE: Final = "_omega_names"

#: Parameters through which a meta-estimator hands its input on to another estimator, unlooked at.
_HANDED_ON: Final = ("estimator", "regressor", "steps", "estimators", "transformer_list")


class Form(StrEnum):
    """The forms in which features are given to an estimator."""

    ARRAY = "array"
    FRAME = "frame"
    COLUMN = "column"
    LISTS = "lists"
    RECORDS = "records"


def form_to_fit(model: BaseEstimator, table: pa.Table) -> Form:
    """The form in which `model` is fitted to a table like this one."""
    form = _natural_form(model)
    if form is Form.FRAME and _is_plain(table) and not any(map(_names_columns, _components(model))):
        return Form.ARRAY
    return form


def form_to_ask(model: BaseEstimator, table: pa.Table) -> Form:
    """The form in which a fitted (or stateless) `model` is asked about, or fitted further to, a table like
    this one."""
    form = noted_form(model)
    if form is Form.ARRAY and not _is_plain(table):
        return Form.FRAME
    if form is not None:
        return form
    # Fitted elsewhere, or never: an estimator that has seen names wants them again.
    return _natural_form(model) if hasattr(model, "feature_names_in_") else form_to_fit(model, table)


def note(model: BaseEstimator, form: Form, names: Sequence[str]) -> None:
    """Note on a fitted model the form and the column names that it was fitted with."""
    setattr(model, FORM_ATTRIBUTE, form.value)
    setattr(model, NAMES_ATTRIBUTE, list(names))


def noted_names(model: BaseEstimator) -> list[str] | None:
    """The names of the columns that `model` was fitted with, if it is known."""
    names = model.__dict__.get(NAMES_ATTRIBUTE, getattr(model, "feature_names_in_", None))
    return None if names is None else [str(name) for name in names]


def noted_form(model: BaseEstimator) -> Form | None:
    """The form noted on `model`, if any."""
    noted = model.__dict__.get(FORM_ATTRIBUTE)
    return None if noted is None else Form(noted)


def features(table: pa.Table, *, form: Form, name: str) -> Any:
    """The table in `form`; `name` is the estimator's, for errors.

    Raises: InvalidModelInput, for several columns where one is taken.
    """
    if form is Form.ARRAY:
        return _array(table)
    if form is Form.FRAME:
        return _frame(table)
    if form is Form.RECORDS:
        return _records(table)
    if form is Form.LISTS and table.num_columns != 1:
        return [list(row.values()) for row in table.to_pylist()]
    if table.num_columns != 1:
        shown = ", ".join(table.column_names[:10])
        raise InvalidModelInput(f"{name} takes one column, not {table.num_columns}: {shown}")
    return table.column(0).to_pylist() if form is Form.LISTS else _column(table.column(0))


def target(table: pa.Table) -> np.ndarray:
    """Targets: shape (n_samples,) for one column, (n_samples, n_outputs) for several."""
    columns = [_column(column) for column in table.itercolumns()]
    if len(columns) == 1:
        return columns[0]
    if not columns:
        raise InvalidModelInput("the target has no column")
    if not all(column.dtype.kind in "biuf" for column in columns):
        columns = [column.astype(object) for column in columns]
    # Columns lie together in memory, as in a DataFrame, so that sums come out the same to the last bit.
    return np.asfortranarray(np.column_stack(columns))


def _natural_form(model: Any) -> Form:
    """What the estimator takes that sees the input first."""
    seen = first(model)
    tags = get_tags(seen)
    accepted, labels = tags.input_tags, tags.target_tags
    if accepted.two_d_array:
        return Form.FRAME
    if accepted.dict:
        return Form.RECORDS
    if labels.two_d_labels or (accepted.string and "input_type" in seen.get_params(deep=False)):
        return Form.LISTS
    return Form.COLUMN if accepted.one_d_array or accepted.string or labels.one_d_labels else Form.FRAME


def first(model: Any) -> Any:
    """The estimator in `model` that sees the input first."""
    for name in _HANDED_ON:
        inner = model.get_params(deep=False).get(name)
        if isinstance(inner, list):
            inner = next((entry[1] for entry in inner if isinstance(entry[1], BaseEstimator)), None)
        if isinstance(inner, BaseEstimator):
            return first(inner)
    return model


def _components(value: Any) -> Iterator[BaseEstimator]:
    """All estimators in `value`: it, those in its parameters, and those in lists and dicts there."""
    if isinstance(value, BaseEstimator):
        yield value
        value = value.get_params(deep=False)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _components(item)


def _names_columns(model: BaseEstimator) -> bool:
    # Of scikit-learn 1.9, ColumnTransformer and the histogram gradient boosting are those that take column
    # names as parameters.
    params = model.get_params(deep=False)
    return (
        "transformers" in params
        or params.get("categorical_features", "from_dtype") not in (None, "from_dtype")
        or isinstance(params.get("monotonic_cst"), dict)
    )


def _is_plain(table: pa.Table) -> bool:
    return all(map(is_number, table.schema.types))


def is_number(kind: pa.DataType) -> bool:
    """Whether columns of this type are integers or floats."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _array(table: pa.Table) -> np.ndarray:
    """A fresh array of shape (rows, columns), nulls as NaN, of the type that NumPy finds for the columns'
    types together."""
    batches = table.to_batches()
    if len(batches) == 1 and len(set(table.schema.types)) == 1 and _has_no_null(batches[0]):
        # The same array as below, copied by Arrow in one go: what makes one row fast.
        array: np.ndarray = batches[0].to_tensor(row_major=False).to_numpy()
        return array
    columns = [column.to_numpy() for column in table.itercolumns()]
    array = np.empty(
        (table.num_rows, len(columns)), dtype=np.result_type(*columns) if columns else np.float64, order="F"
    )
    for i, column in enumerate(columns):
        array[:, i] = column
    return array


def _has_no_null(batch: pa.RecordBatch) -> bool:
    return all(column.null_count == 0 for column in batch.itercolumns())


def _frame(table: pa.Table) -> pd.DataFrame:
    table = pa.table([_numeric(column) for column in table.itercolumns()], names=table.column_names)
    frame: pd.DataFrame = table.to_pandas(date_as_object=False, ignore_metadata=True)
    return frame


def _records(table: pa.Table) -> list[Any]:
    if table.num_columns == 1 and pa.types.is_nested(table.schema.types[0]):
        kind = table.schema.types[0]
        rows = table.column(0).to_pylist()
        return [dict(row or ()) for row in rows] if pa.types.is_map(kind) else [row or {} for row in rows]
    return list(table.to_pylist())


def _column(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return np.array(_numeric(column).to_numpy())


def _numeric(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Columns that pandas would make into Python objects become floats: decimals, and truth values or nothing
    at all with nulls."""
    kind = column.type
    if pa.types.is_null(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.float64())
    if pa.types.is_boolean(kind) and column.null_count:
        return pc.cast(pc.cast(column, pa.int8()), pa.float64())
    return column
