"""What an estimator says of itself: its class, type, parameters, actions, and what it learned."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from sklearn.base import BaseEstimator, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from omega.adapters.sklearn_models.inputs import noted_names
from omega.ports.models import InvalidSpec

#: Actions that change a copy of the model, and actions that only ask.
FITTING: Final = ("fit", "partial_fit")
ASKING: Final = ("predict", "predict_proba", "predict_log_proba", "transform", "score", "decision_function")


def describe(model: Any) -> dict[str, Any]:
    """`class`, `type`, `params`, `actions`, `fitted`, `features` and `classes` of `model`, JSON-able.

    In `params`, estimators are `{"class", "params"}`, functions and types their names, NaN is null and
    infinities are the texts "inf" and "-inf".
    """
    if not isinstance(model, BaseEstimator):
        raise InvalidSpec(f"an object of type {type(model).__name__} is not a scikit-learn estimator")
    return {
        "class": type(model).__name__,
        "type": _type(model),
        "params": {name: _plain(value) for name, value in model.get_params(deep=False).items()},
        "actions": list(actions(model)),
        "fitted": is_fitted(model),
        "features": noted_names(model),
        "classes": classes(model),
    }


def is_fitted(model: BaseEstimator) -> bool:
    """Whether `model` can be asked; some estimators never need to be fitted."""
    try:
        check_is_fitted(model)
    except NotFittedError:
        return False
    return True


def actions(model: Any) -> tuple[str, ...]:
    """The actions that `model` has now; some estimators have more or fewer once fitted."""
    return tuple(action for action in FITTING + ASKING if hasattr(model, action))


def classes(model: BaseEstimator) -> list[Any] | None:
    """The class labels that a fitted classifier knows, one list per output where there are several; `None`
    for other models."""
    known = getattr(model, "classes_", None) if is_classifier(model) else None
    if known is None:
        return None
    return [_plain(output) for output in known]


def learned(model: BaseEstimator, *, x: pa.Table, y: pa.Table | None) -> dict[str, int]:
    """`n_features_in`, the number of columns, and with a target `n_outputs`, the number of its columns."""
    count = getattr(model, "n_features_in_", None)
    found = {"n_features_in": x.num_columns if count is None else int(count)}
    return found if y is None else {**found, "n_outputs": y.num_columns}


def _type(model: BaseEstimator) -> str:
    if (kind := get_tags(model).estimator_type) is not None:
        return str(kind)
    return "transformer" if hasattr(model, "transform") or hasattr(model, "fit_transform") else "estimator"


def _plain(value: Any) -> Any:
    if isinstance(value, BaseEstimator):
        params = {name: _plain(inner) for name, inner in value.get_params(deep=False).items()}
        return {"class": type(value).__name__, "params": params}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [_plain(item) for item in value]
    return getattr(value, "__name__", type(value).__name__)
