"""Fits of models and questions to them, as tasks."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import orjson
from attrs import frozen

from omega.domain import questions
from omega.domain.catalogue import Catalogue
from omega.domain.errors import BadInput
from omega.domain.metadata import ALWAYS, Metadata, Precondition
from omega.domain.models import FIT, ModelService, fitted_by
from omega.domain.names import MODEL, Reference
from omega.domain.tasks import Answer, Inputs, InputStore, Run, Task
from omega.entrypoints.formats import encode_array
from omega.entrypoints.uris import resource_uri

JSONObject = Mapping[str, Any]
_WITH_CLASSES: Final = frozenset({"predict_proba", "predict_log_proba", "decision_function"})


def fit_answer(metadata: Metadata, inputs: JSONObject) -> dict[str, Any]:
    """The answer to a fit."""
    return _answer(metadata, inputs, "ok")


def model_answer(answer: questions.Answer, action: str, inputs: JSONObject) -> dict[str, Any]:
    """The answer of a model that was asked, its result being JSON text (an `orjson.Fragment`)."""
    shown = _answer(answer.metadata, inputs, orjson.Fragment(encode_array(answer.result)))
    if action in _WITH_CLASSES:
        shown["classes"] = answer.classes
    return shown


def precondition_option(precondition: Precondition) -> JSONObject:
    """A precondition as JSON; see `_precondition`."""
    return {name: _versions(getattr(precondition, name)) for name in ("match", "none_match")}


@frozen
class ModelActions:
    """The actions of models in one bucket, as tasks."""

    models: ModelService
    inputs: InputStore

    def perform(self, task: Task, run: Run) -> Answer:
        """Carry a task out.

        Raises: the errors of the call; what `run.check` raises.
        """
        call = task.call
        inputs = self.inputs.get(call.inputs)
        if call.action in FIT:
            return Answer(orjson.dumps(fit_answer(self._fit(task, inputs, run), call.inputs)))
        run.progress(0, 1, call.action)
        reference = Reference.parse(call.name, resource=MODEL)
        y = inputs.get("datay") if call.options.get("use_datay", True) else None
        answer = self.models.ask(reference, inputs["datax"], y, action=call.action)
        return Answer(orjson.dumps(model_answer(answer, call.action, call.inputs)))

    def _fit(self, task: Task, inputs: Inputs, run: Run) -> Metadata:
        options = dict(task.call.options)
        precondition = _precondition(options.pop("precondition", None))
        x, y = inputs["datax"], inputs.get("datay")
        return self.models.fit(
            task.call.name, x, y, action=task.call.action, precondition=precondition, run=run, **options
        )


def left_by(catalogue: Catalogue, task: Task, run: Run) -> Answer | None:
    """What a task that was cut off has made; afterwards it can make nothing any more. (Needs no scikit-learn,
    and so is no method of `ModelActions`.)
    """
    if task.call.action not in FIT:
        return None
    metadata = fitted_by(catalogue, task.call.name, run)
    return None if metadata is None else Answer(orjson.dumps(fit_answer(metadata, task.call.inputs)))


def _answer(metadata: Metadata, inputs: JSONObject, result: Any) -> dict[str, Any]:
    named = {name: inputs.get(name) for name in ("datax", "datay")}
    return {
        "model": metadata.name,
        **{name: value if isinstance(value, str) else None for name, value in named.items()},
        "result": result,
        "resource_uri": resource_uri(MODEL, metadata.name),
        "version": metadata.version,
    }


def _versions(versions: frozenset[int] | Literal["*"] | None) -> Sequence[int] | str | None:
    return sorted(versions) if isinstance(versions, frozenset) else versions


def _precondition(option: Any) -> Precondition:
    if option is None:
        return ALWAYS
    if not isinstance(option, Mapping):
        raise BadInput("a precondition is an object with match and none_match")

    def versions(value: Any) -> frozenset[int] | Literal["*"] | None:
        return frozenset(value) if isinstance(value, list) else value

    return Precondition(versions(option["match"]), versions(option["none_match"]))
