"""What is said of data that an estimator cannot take: by column name where scikit-learn does not name it."""

import re
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from sklearn.base import BaseEstimator
from sklearn.utils import get_tags

from omega.adapters.sklearn_models import inputs
from omega.adapters.sklearn_models.inputs import Form
from omega.adapters.sklearn_models.messages import one_line
from omega.ports.models import InvalidModelInput

MAX_SHOWN: Final = 10

_OF_TIME = re.compile(r"datetime|timedelta|timestamp|'datetime\.\w+'", re.IGNORECASE)
#: What Python says when code meets a value of a kind that it was not written for.
_OF_KINDS = re.compile(
    r"'(?:NoneType|numpy\.\w+|int|float|str|bool|bytes|list|tuple|dict|datetime\.\w+|decimal\.\w+)' object"
    r"|not supported between instances of|local variable"
)


def check_features(model: BaseEstimator, x: pa.Table, form: Form) -> None:
    """Refuse gaps in what is read as text or as lists.

    Raises: InvalidModelInput, naming column and row.
    """
    first = inputs.first(model)
    if (form is Form.COLUMN and _reads_text(first)) or form is Form.LISTS:
        if x.num_columns == 1:
            _check_gaps(x, 0, what="column", why=f"; {type(first).__name__} takes none")
        return
    for _, part, columns in getattr(first, "transformers", None) or ():
        if isinstance(part, BaseEstimator) and _reads_text(reader := inputs.first(part)):
            names = columns if isinstance(columns, list) else [columns]
            for name in names:
                if isinstance(name, str) and x.column_names.count(name) == 1:
                    place = x.column_names.index(name)
                    _check_gaps(x, place, what="column", why=f"; {type(reader).__name__} takes none")


def check_target(model: BaseEstimator, y: pa.Table | None) -> None:
    """Refuse gaps in the target of an estimator that learns it.

    Raises: InvalidModelInput, naming column and row.
    """
    tags = get_tags(model)
    if y is not None and (tags.target_tags.required or tags.estimator_type in ("classifier", "regressor")):
        for place in range(y.num_columns):
            _check_gaps(y, place, what="target column")


def explained(error: Exception, model: BaseEstimator, x: pa.Table) -> str:
    """The estimator's error in one line, in words of ours where Python's own would say nothing to a user."""
    text, name = str(error), type(model).__name__
    times = [field.name for field in x.schema if pa.types.is_temporal(field.type)]
    if times and _OF_TIME.search(text):
        return f"{name} takes numbers, and these columns hold dates or times: {_listed(times)}"
    if isinstance(error, AttributeError | NameError | TypeError) and _OF_KINDS.search(text):
        kinds = [f"{field.name} ({field.type})" for field in x.schema]
        return f"{name} cannot take values of these kinds together: {_listed(kinds)}"
    if text.startswith("could not convert string to float"):
        words = [field.name for field in x.schema if not inputs.is_number(field.type)]
        return one_line(error) + (f" (not numbers: {_listed(words)})" if words else "")
    return one_line(error)


def _reads_text(model: Any) -> bool:
    accepted = get_tags(model).input_tags
    return bool(accepted.string and not accepted.two_d_array)


def _check_gaps(table: pa.Table, place: int, *, what: str, why: str = "") -> None:
    column = table.column(place)
    gaps = pc.is_null(column, nan_is_null=pa.types.is_floating(column.type))
    row = pc.index(gaps, pa.scalar(True)).as_py()
    if row >= 0:
        name = one_line(repr(table.column_names[place]), limit=100)
        raise InvalidModelInput(f"the {what} {name} has a missing value in row {row} (counted from 0){why}")


def _listed(names: list[str]) -> str:
    shown = ", ".join(one_line(name, limit=60) for name in names[:MAX_SHOWN])
    return shown if len(names) <= MAX_SHOWN else f"{shown} and {len(names) - MAX_SHOWN} more"
