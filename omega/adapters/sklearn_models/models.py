"""scikit-learn behind the ports `ModelCodec` and `ModelExecutor`."""

import copy
import inspect
import io
import logging
import pickle
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import joblib
import numpy as np
import pyarrow as pa
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags

from omega.adapters.sklearn_models import (
    descriptions,
    estimates,
    estimators,
    inputs,
    outputs,
    refusals,
    specs,
)
from omega.adapters.sklearn_models.messages import ESTIMATOR_ERRORS, one_line
from omega.adapters.sklearn_models.warned import collected
from omega.ports.models import (
    CorruptModel,
    Fitted,
    InvalidModelInput,
    JSONObject,
    ModelNotFitted,
    UnsupportedAction,
)

#: Magic bytes, format version, CRC-32 and size of what follows.
_HEADER: Final = struct.Struct(">14sHIQ")
_MAGIC: Final = b"omega.sklearn\n"
_FORMAT: Final = 1

#: What pickling raises for functions without a name, locks, open files and objects nested without end.
_UNSTORABLE: Final = (pickle.PicklingError, AttributeError, RecursionError, TypeError, NotImplementedError)

_log: Final = logging.getLogger(__name__)


class JoblibModelCodec:
    """Models as joblib pickles behind a header, uncompressed: the header refuses foreign and damaged bytes
    before they are unpickled."""

    kind: str = "sklearn.joblib"

    def dump(self, model: Any) -> bytes:
        """The model, whole, as bytes; see `ModelCodec.dump`.

        Raises: InvalidModelInput, naming the parameters that hold what cannot be stored, as a lambda.
        """
        buffer = io.BytesIO()
        buffer.write(bytes(_HEADER.size))
        try:
            joblib.dump(model, buffer, compress=0)
        except _UNSTORABLE as error:
            raise InvalidModelInput(_unstorable(model, error)) from error
        with buffer.getbuffer() as view:
            body = view[_HEADER.size :]
            _HEADER.pack_into(view, 0, _MAGIC, _FORMAT, zlib.crc32(body), len(body))
            body.release()
        return buffer.getvalue()

    def load(self, payload: bytes) -> Any:
        """The model that was dumped; see `ModelCodec.load`.

        Raises: CorruptModel.
        """
        if len(payload) < _HEADER.size:
            raise CorruptModel(f"{len(payload)} bytes are not a model")
        magic, version, checksum, size = _HEADER.unpack_from(payload)
        if magic != _MAGIC:
            raise CorruptModel("the bytes are not a model that omega wrote")
        if version != _FORMAT:
            raise CorruptModel(
                f"the model is in format {version}, this version of omega reads format {_FORMAT}"
            )
        body = memoryview(payload)[_HEADER.size :]
        if size != len(body) or checksum != zlib.crc32(body):
            raise CorruptModel("the model's bytes are damaged")
        return _unpickled(body)


class SklearnModelExecutor:
    """Builds, fits and asks scikit-learn estimators; safe to call from many threads, on one model too.

    Work that an estimator splits by its `n_jobs` runs in threads of this process and not in processes of its
    own. `max_cells` bounds the number of values, n_samples x n_outputs, of a sparse result, which is answered
    as a dense array, and of the arrays that `estimates.check` estimates.
    """

    def __init__(self, *, max_cells: int = 50_000_000) -> None:
        self._max_cells = max_cells

    def create(self, spec: Sequence[Any]) -> BaseEstimator:
        """An unfitted estimator from a pipeline spec; see `ModelExecutor.create`.

        Raises: InvalidSpec.
        """
        with collected():
            return specs.build(spec)

    def describe(self, model: Any) -> JSONObject:
        """Class, type, parameters and actions; see `ModelExecutor.describe`."""
        with collected():
            return descriptions.describe(model)

    def fit(
        self,
        model: Any,
        *,
        action: str,
        x: pa.Table,
        y: pa.Table | None,
        classes: Sequence[Any] | None = None,
    ) -> Fitted:
        """A fitted copy of the model; see `ModelExecutor.fit`.

        `attributes` holds `n_features_in`, `n_outputs` where there is a target, and `warnings` (at most 10
        texts).

        Raises: UnsupportedAction, InvalidModelInput.
        """
        if action not in descriptions.FITTING or not hasattr(model, action):
            raise _unsupported(model, action)
        _check_target(model, action, y)
        with _guarded(model, x) as warned:
            self._check_size(model, x)
            fitted = _copy(model, anew=action == "fit")
            further = action == "partial_fit" and descriptions.is_fitted(fitted)
            form = inputs.form_to_ask(fitted, x) if further else inputs.form_to_fit(fitted, x)
            refusals.check_features(fitted, x, form)
            refusals.check_target(fitted, y)
            given = inputs.features(x, form=form, name=type(model).__name__)
            targets = None if y is None else inputs.target(y)
            method = getattr(fitted, action)
            _call(method, given, targets, **_classes(fitted, method, targets, classes))
            inputs.note(fitted, (inputs.noted_form(fitted) if further else None) or form, x.column_names)
            attributes = descriptions.learned(fitted, x=x, y=y)
            known = descriptions.classes(fitted)
        return Fitted(fitted, classes=known, attributes={**attributes, "warnings": warned})

    def apply(
        self, model: Any, *, action: str, x: pa.Table, y: pa.Table | None = None
    ) -> np.ndarray | list[np.ndarray] | float:
        """What the model answers; see `ModelExecutor.apply`.

        Raises: UnsupportedAction, ModelNotFitted, InvalidModelInput.
        """
        if action not in descriptions.ASKING or not hasattr(model, action):
            raise _unsupported(model, action)
        if action == "score":
            _check_target(model, action, y)
        with _guarded(model, x, asked=True):
            self._check_size(model, x)
            form = inputs.form_to_ask(model, x)
            if form is not inputs.Form.ARRAY:
                refusals.check_features(model, x, form)
            given = inputs.features(x, form=form, name=type(model).__name__)
            method = getattr(model, action)
            if action == "score":
                refusals.check_target(model, y)
                return outputs.number(_call(method, given, None if y is None else inputs.target(y)))
            return outputs.dense(method(given), max_cells=self._max_cells)

    def _check_size(self, model: BaseEstimator, x: pa.Table) -> None:
        estimates.check(model, rows=x.num_rows, width=x.num_columns, max_cells=self._max_cells)


@contextmanager
def _guarded(model: BaseEstimator, x: pa.Table, *, asked: bool = False) -> Iterator[list[str]]:
    """Collect warnings, keep joblib to threads, and translate what the estimator raises; a model that is
    `asked` must be fitted for this."""
    with collected() as warned, joblib.parallel_config(backend="threading"):
        try:
            yield warned
        except ESTIMATOR_ERRORS as error:
            if asked and not descriptions.is_fitted(model):
                raise ModelNotFitted(f"{type(model).__name__} has not been fitted") from error
            if isinstance(error, InvalidModelInput):
                raise
            raise InvalidModelInput(refusals.explained(error, model, x)) from error
        except MemoryError as error:
            # NumPy's own subclass says that one array was refused, and its size; a plain one comes from the
            # process being out of memory.
            if type(error) is MemoryError:
                raise
            raise InvalidModelInput(f"needs too much memory: {one_line(str(error))}") from error


def _copy(model: BaseEstimator, *, anew: bool) -> BaseEstimator:
    """Another object like `model`, unfitted if `anew`."""
    copied = clone(model) if anew else model
    # A frozen estimator is its own clone.
    return copy.deepcopy(model) if copied is model else copied


def _call(method: Callable[..., Any], given: Any, targets: np.ndarray | None, **extra: Any) -> Any:
    """Call with features and, where the method takes one, a target; label encoders take only one thing."""
    if len(inspect.signature(method).parameters) > 1:
        return method(given, targets, **extra)
    if targets is not None:
        name = type(getattr(method, "__self__", method)).__name__
        raise InvalidModelInput(f"{name} takes no target (datay)")
    return method(given, **extra)


def _classes(
    model: BaseEstimator,
    method: Callable[..., Any],
    targets: np.ndarray | None,
    classes: Sequence[Any] | None,
) -> dict[str, Any]:
    """The `classes` argument of a `partial_fit` that takes one: as given, else at first the labels seen."""
    if "classes" not in inspect.signature(method).parameters or targets is None:
        return {}
    if classes is None and hasattr(model, "classes_"):
        return {}
    if classes is None:
        labels = [np.unique(output) for output in np.atleast_2d(targets.T)]
    else:
        labels = [
            np.array(output, dtype=targets.dtype) for output in (classes if targets.ndim == 2 else [classes])
        ]
    return {"classes": labels if targets.ndim == 2 else labels[0]}


def _check_target(model: BaseEstimator, action: str, y: pa.Table | None) -> None:
    if y is not None:
        return
    needed = get_tags(model).target_tags.required
    if action == "score":
        _, *others = inspect.signature(model.score).parameters.values()
        needed = needed or (bool(others) and others[0].default is inspect.Parameter.empty)
    if needed:
        raise InvalidModelInput(f"{type(model).__name__} needs a target (datay) to {action}")


def _unsupported(model: BaseEstimator, action: str) -> UnsupportedAction:
    has = descriptions.actions(model)
    message = f"{type(model).__name__} has no {estimators.shown(action)}; it has {', '.join(has)}"
    return UnsupportedAction(message, actions=has)


def _unstorable(model: Any, error: Exception) -> str:
    params = model.get_params(deep=True) if isinstance(model, BaseEstimator) else {}
    names = [name for name, value in params.items() if not _is_storable(value)]
    # The parameter that is nested deepest says most: all around it are at fault too.
    deepest = [name for name in names if _depth(name) == max(map(_depth, names))]
    held = f", parameter {', '.join(sorted(deepest)[:5])}" if deepest else ""
    return f"{type(model).__name__}{held}: cannot be stored: {one_line(str(error), limit=200)}"


def _depth(name: str) -> int:
    return name.count("__")


def _is_storable(value: Any) -> bool:
    try:
        pickle.dumps(value)
    except _UNSTORABLE:
        return False
    return True


def _unpickled(body: memoryview) -> BaseEstimator:
    try:
        with collected() as warned:
            model = joblib.load(io.BytesIO(body))
    except MemoryError:
        raise
    except Exception as error:
        # Unpickling raises whatever the classes found raise; none of it is a model.
        raise CorruptModel(f"the model does not load: {one_line(error, limit=200)}") from error
    for text in warned:
        # Above all: the model was written by another version of scikit-learn.
        _log.warning("loading a model: %s", text)
    if not isinstance(model, BaseEstimator):
        raise CorruptModel(f"the bytes hold a {type(model).__name__}, not an estimator")
    return model
