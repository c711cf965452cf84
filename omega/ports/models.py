"""Machine-learning estimators: built from a JSON spec, fitted, asked, turned into bytes and back.

A model is an opaque object to everyone but the adapter. Features come as Arrow tables of shape (n_samples,
n_features) whose column names are the feature names. Targets come as Arrow tables of shape (n_samples,
n_outputs).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from attrs import field, frozen

JSONObject = Mapping[str, Any]


class InvalidSpec(ValueError):
    """The spec names what may not or cannot be built; the message names the step and parameter at fault."""


class UnsupportedAction(ValueError):
    """The estimator has no such action; `actions` lists those it has."""

    def __init__(self, message: str, *, actions: Sequence[str]) -> None:
        super().__init__(message)
        self.actions = tuple(actions)


class ModelNotFitted(Exception):
    """The estimator must be fitted before this action."""


class InvalidModelInput(ValueError):
    """The estimator refused the data or a parameter value; the message is the library's own, in one line."""


class CorruptModel(Exception):
    """The bytes are not a model that this codec wrote."""


@frozen
class Fitted:
    """A fitted model and what it learned about its input.

    `classes` are the class labels in the order of the probability columns (a list per output where there are
    several), `None` for other than classifiers. `attributes` are JSON: `n_features_in`, with a target
    `n_outputs`, and `warnings`, the texts of at most 10 warnings of one line each.
    """

    model: Any
    classes: Sequence[Any] | None = None
    attributes: JSONObject = field(factory=dict)


class ModelCodec(Protocol):
    """A model as bytes. Only bytes that omega itself wrote and signed may be given to `load`."""

    kind: str

    def dump(self, model: Any) -> bytes:
        """The model, whole, as bytes.

        Raises: InvalidModelInput for a model that cannot be stored, naming the part at fault.
        """

    def load(self, payload: bytes) -> Any:
        """The model that was dumped.

        Raises: CorruptModel.
        """


class ModelExecutor(Protocol):
    """Pure: values in, values out. No method changes a model that it is given."""

    def create(self, spec: Sequence[Any]) -> Any:
        """An unfitted model from a pipeline spec: a list of steps `[class name, params]` or `[step name,
        class name, params]`.

        One step gives the bare estimator, several a pipeline.

        Raises: InvalidSpec.
        """

    def describe(self, model: Any) -> JSONObject:
        """`{"class": "LinearRegression", "type": "regressor"|"classifier"|"clusterer"|"transformer"|...,
        "params": {...JSON...}, "actions": [...]}`.

        `actions` are those of fit, partial_fit, predict, predict_proba, predict_log_proba, transform, score
        and decision_function that this model has. Also
        `"fitted"`, and of a fitted model `"features"`, the feature names in order, and `"classes"` (`None`
        where it does not know them).

        Raises: InvalidSpec for an object that is not a model.
        """

    def fit(
        self,
        model: Any,
        *,
        action: str,
        x: pa.Table,
        y: pa.Table | None,
        classes: Sequence[Any] | None = None,
    ) -> Fitted:
        """`action` is `"fit"` (anew) or `"partial_fit"` (further); the model given stays as it was, the
        fitted one is another object.

        `classes` are all class labels for the first `partial_fit` of a classifier (default: those of `y`).

        Raises: UnsupportedAction, InvalidModelInput.
        """

    def apply(
        self, model: Any, *, action: str, x: pa.Table, y: pa.Table | None = None
    ) -> np.ndarray | list[np.ndarray] | float:
        """The answer of `predict`, `predict_proba`, `predict_log_proba`, `transform` or `decision_function`:
        an ndarray of shape (n_samples,) or (n_samples, n_outputs); a float for `score`, which alone takes
        `y`.

        Probabilities of several outputs are an ndarray of shape (n_outputs, n_samples, n_classes), or where
        the outputs differ in their number of classes a list with an ndarray of shape (n_samples, n_classes)
        for each. Warnings are not raised or printed.

        Raises: UnsupportedAction, ModelNotFitted, InvalidModelInput.
        """
