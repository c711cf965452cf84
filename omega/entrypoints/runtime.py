"""`om.runtime`: models at work, here or on workers, and the tasks that workers carry out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from attrs import field, frozen

from omega.domain.errors import BadInput
from omega.domain.features import as_features
from omega.domain.metadata import ALWAYS, Metadata, Precondition
from omega.domain.models import ASK, FIT
from omega.domain.names import DATASET, MODEL, Reference
from omega.domain.questions import Answer, Question
from omega.domain.tasks import Policy, Progress, Task, TaskPage, WorkerInfo
from omega.entrypoints.actions.models import precondition_option
from omega.entrypoints.services import Services
from omega.entrypoints.waiting import Waiting, answer_of


@frozen
class Runtime:
    """Where models run, and tasks."""

    _services: Services = field(alias="services", repr=False)

    def model(self, name: str) -> "RuntimeModel":
        """The model called `name`, to be fitted and asked."""
        return RuntimeModel(name, self._services)

    def task(self, id: str) -> "RuntimeTask":
        """The task with this id.

        Raises: NotFound.
        """
        return RuntimeTask(self._services.tasks.get(id).id, self._services)

    def tasks(self, *, offset: int = 0, limit: int = 20) -> TaskPage:
        """One page of the tasks of the bucket, the latest first."""
        return self._services.tasks.list(offset=offset, limit=limit)

    def workers(self) -> Sequence[WorkerInfo]:
        """The workers that are there."""
        return self._services.work.workers.alive()

    def queued(self) -> int:
        """How many messages wait in the queue.

        Raises: QueueUnavailable.
        """
        return self._services.work.queue.size()

    def open_tasks(self) -> int:
        """About how many tasks, of all buckets, have not ended."""
        return self._services.work.leases.records.count_open()

    @property
    def policy(self) -> Policy:
        """What holds for all tasks."""
        return self._services.work.policy


@frozen
class RuntimeTask:
    """A call that a worker carries out."""

    id: str
    _services: Services = field(alias="services", repr=False)

    @classmethod
    def submit(cls, services: Services, resource: str, name: str, action: str, **how: Any) -> "RuntimeTask":
        """Leave a call to a worker; `how` is as for `TaskService.submit`.

        Raises: as `TaskService.submit`.
        """
        return cls.submitted(services, services.tasks.submit(resource, name, action, **how))

    @classmethod
    def submitted(cls, services: Services, task: Task) -> "RuntimeTask":
        """A task that was just submitted; with a queue in memory it is carried out now."""
        if services.work.inline:
            services.work.run_waiting()
        return cls(task.id, services)

    def get(self) -> Task:
        """The task as it is now: status, progress, times.

        Raises: NotFound, for one that has expired.
        """
        return self._services.tasks.get(self.id)

    @property
    def status(self) -> str:
        """`PENDING`, `STARTED`, `RETRY`, `SUCCESS`, `FAILURE` or `REVOKED`."""
        return self.get().status

    @property
    def progress(self) -> Progress | None:
        """How far it has come, if it says so."""
        return self.get().progress

    def result(self, *, timeout_s: float | None = None) -> Any:
        """Wait for the answer, which is what the same call over HTTP answers with.

        Raises: what the call would have raised; Cancelled; TimeoutError after `timeout_s`; NoWorker, when
        there is no worker for 20 seconds: the task has been cancelled then.
        """
        return orjson.loads(self.answer(self._ended(timeout_s)))

    def outcome(self, *, timeout_s: float | None = None) -> Any:
        """As `result`, but of a task that failed and has an answer all the same, as the run of a job has,
        that answer.
        """
        task = self._ended(timeout_s)
        return orjson.loads(self.answer(task) if task.result is None else self._services.tasks.answer(task))

    def _ended(self, timeout_s: float | None) -> Task:
        task = self.waiting().until_ready(timeout_s=timeout_s)
        if not task.is_final:
            raise TimeoutError(f"task {self.id} has status {task.status} after {timeout_s} s")
        return task

    def waiting(self) -> Waiting:
        """A wait for its end."""
        return Waiting(self.get(), tasks=self._services.tasks, workers=self._services.work.workers)

    def answer(self, task: Task) -> bytes:
        """The answer, as JSON, of this task as it was at its end.

        Raises: as `result`.
        """
        return answer_of(task, self._services.tasks)

    def said(self, task: Task) -> bytes:
        """What this task, as it was at its end, has answered, though it failed."""
        return self._services.tasks.answer(task)

    def cancel(self) -> Task:
        """Ask for its end: the task as it is then. One that is being carried out ends within seconds, as
        REVOKED, or as SUCCESS if it was done by then.

        Raises: Conflict, where it has ended already.
        """
        return self._services.tasks.cancel(self.id)


@frozen
class RuntimeModel:
    """A model at work. `x` and `y` are dataset references (`"sample[x]"`) or DataFrame, Series, array or
    list, of shape (n_samples, n_features) and (n_samples,) or (n_samples, n_outputs).

    Raises, all methods: NotFound, NotFitted, BadInput, Corrupt.
    """

    name: str
    _services: Services = field(alias="services", repr=False)

    def fit(self, x: Any, y: Any = None, *, precondition: Precondition = ALWAYS) -> Metadata:
        """Fit anew and store the outcome as the next version."""
        return self.change("fit", x, y, precondition=precondition)

    def partial_fit(
        self,
        x: Any,
        y: Any = None,
        *,
        classes: Sequence[Any] | None = None,
        precondition: Precondition = ALWAYS,
    ) -> Metadata:
        """Fit further and store the outcome as the next version; `classes` are all labels, for a classifier's
        first time.
        """
        return self.change("partial_fit", x, y, classes=classes, precondition=precondition)

    def predict(self, x: Any) -> np.ndarray:
        """Predictions of shape (n_samples,) or (n_samples, n_outputs)."""
        return self.ask("predict", x).result  # type: ignore[return-value]

    def predict_proba(self, x: Any) -> np.ndarray:
        """Probabilities of shape (n_samples, n_classes), in the order of the metadata's `classes`."""
        return self.ask("predict_proba", x).result  # type: ignore[return-value]

    def predict_log_proba(self, x: Any) -> np.ndarray:
        """Logarithms of probabilities, of shape (n_samples, n_classes)."""
        return self.ask("predict_log_proba", x).result  # type: ignore[return-value]

    def decision_function(self, x: Any) -> np.ndarray:
        """Scores of shape (n_samples,) or (n_samples, n_classes)."""
        return self.ask("decision_function", x).result  # type: ignore[return-value]

    def transform(self, x: Any) -> np.ndarray:
        """Transformed samples of shape (n_samples, n_components)."""
        return self.ask("transform", x).result  # type: ignore[return-value]

    def score(self, x: Any, y: Any = None) -> float:
        """The estimator's own score: accuracy of classifiers, R2 of regressors."""
        return self.ask("score", x, y).result  # type: ignore[return-value]

    def change(self, action: str, x: Any, y: Any = None, **options: Any) -> Metadata:
        """`fit` or `partial_fit` by name: here, or by a worker if a queue was chosen."""
        self._check_current(action)
        if not self._services.remote:
            return self._services.models.fit(self.name, x, y, action=action, **options)
        version = self.submit(action, x, y, **options).result()["version"]
        return self._services.models.metadata(Reference(self.name, at=version))

    def ask(self, action: str, x: Any, y: Any = None) -> Answer:
        """Any other action by name, with the classes and the version that answered."""
        return self.question(action, x, y).put()

    def question(self, action: str, x: Any, y: Any = None) -> Question:
        """What `ask` asks, without asking it: it can be put together with others."""
        reference = Reference.parse(self.name, resource=MODEL)
        return self._services.models.question(reference, x, y, action=action)

    def submit(
        self,
        action: str,
        x: Any,
        y: Any = None,
        *,
        classes: Sequence[Any] | None = None,
        precondition: Precondition = ALWAYS,
        timeout_s: float | None = None,
        use_datay: bool = True,
    ) -> RuntimeTask:
        """Leave an action to a worker, which may take `timeout_s` seconds. Without `use_datay`, `y` is only
        part of the answer.

        Raises: NotFound, for datasets too; BadInput; QueueUnavailable: there is no task then.
        """
        if action not in (*FIT, *ASK):
            raise BadInput(f"unknown action {action!r}: there are {', '.join((*FIT, *ASK))}")
        if y is not None and use_datay and action not in (*FIT, "score"):
            raise BadInput(f"datay is given, but {action} takes none")
        options: dict[str, Any] = {}
        if action in FIT:
            self._check_current(action)
            options["precondition"] = precondition_option(precondition)
            if classes is not None:
                options["classes"] = list(classes)
        elif not use_datay:
            options["use_datay"] = False
        inputs = {"datax": self._input(x, "datax"), "datay": None if y is None else self._input(y, "datay")}
        self._services.models.metadata(Reference.parse(self.name, resource=MODEL), action=action)
        return RuntimeTask.submit(
            self._services, MODEL, self.name, action, options=options, inputs=inputs, timeout_s=timeout_s
        )

    def _check_current(self, action: str) -> None:
        if Reference.parse(self.name, resource=MODEL) != Reference(self.name):
            raise BadInput(
                f"cannot {action} {self.name!r}: only the current version of a model can be fitted"
            )

    def _input(self, value: Any, source: str) -> Any:
        if not isinstance(value, str):
            return as_features(value, source=source)
        self._services.datasets.metadata(Reference.parse(value, resource=DATASET))
        return value
