"""Jobs: notebooks that are stored, run and reported."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, cast

from attrs import evolve, frozen

from omega.domain.documents import Documents
from omega.domain.errors import BadInput, NotFound
from omega.domain.job_runs import RUNNING, JobRun, JobRuns, RunError
from omega.domain.metadata import ALWAYS, Listing, Metadata, Precondition
from omega.domain.names import JOB, Reference, job_name
from omega.domain.tasks import NO_RUN, Policy, Run, Task, TaskService
from omega.domain.tasks.service import MAX_TIMEOUT_S
from omega.ports.notebooks import (
    Failure,
    Format,
    InvalidNotebook,
    InvalidParameters,
    Limits,
    NotebookConverter,
    NotebookRunner,
    UnsupportedFormat,
)

JSONObject = Mapping[str, Any]
KIND: Final = "notebook.ipynb"
#: What a worker needs beside a run itself: to start, and to end what does not end by itself.
_MARGIN_S: Final = 30.0
FORMATS: Final = ("html", "ipynb", "md", "py")


@frozen
class JobService:
    """Put, get, run and report the jobs of one bucket. Names may be given without `.ipynb`."""

    documents: Documents
    runs: JobRuns
    converter: NotebookConverter
    runner: NotebookRunner
    environment: Mapping[str, str]
    memory_bytes: int

    def put(self, name: str, notebook: Any, *, precondition: Precondition = ALWAYS) -> Metadata:
        """Store a notebook, a JSON object of nbformat, as the next version of a job.

        Raises: BadInput for an illegal name, and for what is no notebook; PreconditionFailed.
        """
        name = job_name(name)
        try:
            read = self.converter.read(notebook)
        except InvalidNotebook as error:
            raise BadInput(f"job {name!r}: {error}") from error
        declared = [parameter.name for parameter in self.runner.parameters(read)]
        attributes = {"cells": len(read["cells"]), "parameters": declared}
        return self.documents.put(name, _dumped(read), attributes=attributes, precondition=precondition)

    def create(self, name: str, code: str, *, precondition: Precondition = ALWAYS) -> Metadata:
        """Store a notebook made of Python source text: one cell, or one for each `# %%` line.

        Raises: as `put`.
        """
        try:
            notebook = self.converter.from_code(code)
        except InvalidNotebook as error:
            raise BadInput(f"job {name!r}: {error}") from error
        return self.put(name, notebook, precondition=precondition)

    def get(self, reference: Reference) -> tuple[Metadata, JSONObject]:
        """A version of a job's notebook, and what is said about it.

        Raises: NotFound, Corrupt.
        """
        document = self.documents.get(_full(reference))
        return document.metadata, json.loads(document.content)

    def metadata(self, reference: Reference) -> Metadata:
        """What is said about a version of a job; attributes `cells` and `parameters`.

        Raises: NotFound.
        """
        return self.documents.metadata(_full(reference))

    def list(self, pattern: str | None = None, *, offset: int = 0, limit: int = 20) -> Listing:
        """Jobs by name, as `Catalogue.list`."""
        return self.documents.list(pattern, offset=offset, limit=limit)

    def drop(self, name: str, *, precondition: Precondition = ALWAYS) -> None:
        """Remove a job with all its versions; what came of its runs stays.

        Raises: NotFound, PreconditionFailed.
        """
        self.documents.drop(job_name(name), precondition=precondition)

    def run(
        self, name: str, parameters: JSONObject | None = None, *, timeout_s: float, run: Run = NO_RUN
    ) -> JobRun:
        """Run a job and keep what comes of it, also where it fails. A task whose run was cut off by the end
        of its worker is not run again: it gives what came of that.

        Raises: NotFound; BadInput for parameters that the notebook does not declare: there is no run then.
        """
        name, parameters = job_name(name), parameters or {}
        check_timeout(timeout_s)
        if (left := self._left_before(name, run)) is not None:
            return left
        metadata, notebook = self.get(Reference(name))
        try:
            begun = self.runs.begin(metadata, parameters=parameters, task=run.id)
        except ValueError as error:
            raise BadInput(f"the parameters of job {name!r} are not JSON: {error}") from error

        def progress(cell: int, cells: int) -> None:
            run.progress(cell, cells, f"cell {cell} of {cells}" if cell else "starting the kernel")

        try:
            # Whoever has ended the task before the run began has not seen that there is one.
            run.check()
            outcome = self.runner.run(
                notebook,
                parameters=parameters,
                limits=Limits(timeout_s, self.memory_bytes),
                environment=self.environment,
                progress=progress,
            )
            failure = None if outcome.failure is None else _error(outcome.failure)
            return self.runs.finish(begun, error=failure, notebook=_dumped(outcome.notebook))
        except (InvalidParameters, InvalidNotebook) as error:
            self.runs.give_up(begun)
            raise BadInput(f"job {name!r}: {error}") from error
        except BaseException:
            with suppress(NotFound):
                self.runs.finish(begun, error=_LOST, notebook=None)
            raise

    def result(self, name: str) -> tuple[JobRun, JSONObject]:
        """The notebook that came of a run, by its name (`results/NAME_SECONDS.ipynb`).

        Raises: NotFound, Corrupt; BadInput for an illegal name.
        """
        found = self.runs.find(name)
        return found, json.loads(self.runs.notebook(found))

    def export(self, name: str, *, format: str = "html") -> str:
        """A result, or else the notebook of a job, as a document: `html`, `ipynb`, `md` or `py`.

        Raises: NotFound, BadInput, Corrupt.
        """
        return self.report(name, format=format)[1]

    def report(self, name: str, *, format: str = "html") -> tuple[str, str]:
        """As `export`, with the full name of what is exported, without `results/`."""
        if format not in FORMATS:
            raise BadInput(f"unknown format {format!r} of a notebook: there are {', '.join(FORMATS)}")
        notebook, title = self._exported(name)
        try:
            return title, self.converter.render(notebook, format=cast(Format, format), title=title)
        except (UnsupportedFormat, InvalidNotebook) as error:
            raise BadInput(f"{name!r}: {error}") from error

    def _left_before(self, name: str, run: Run) -> JobRun | None:
        """The run of an attempt before this one, at its end."""
        if run.id is None or run.since is None:
            return None
        left_by(self.runs, name, run)
        return self.runs.of_task(name, run.id, since=run.since)

    def _exported(self, name: str) -> tuple[JSONObject, str]:
        try:
            run, notebook = self.result(name)
        except LookupError:
            reference = Reference.parse(name, resource=JOB)
            if (
                reference.name.startswith("results/")
                or self.documents.catalogue.peek(job_name(reference.name)) is None
            ):
                raise
            return self.get(reference)[1], job_name(reference.name)
        return notebook, run.result_name.removeprefix("results/")


def submit_run(
    tasks: TaskService, name: str, parameters: JSONObject, *, timeout_s: float | None, id: str | None = None
) -> Task:
    """Leave a run of the job with this full name to a worker. It is not tried again where the worker is lost:
    what a notebook does cannot be undone.

    Raises: as `TaskService.submit`; BadInput for parameters that are not JSON.
    """
    timeout_s = allowed_s(timeout_s, tasks.policy)
    options = {"parameters": dict(parameters), "timeout_s": timeout_s}
    try:
        return tasks.submit(
            JOB, name, "run", options=options, timeout_s=with_margin(timeout_s), attempts=1, id=id
        )
    except ValueError as error:
        raise BadInput(f"the parameters of job {name!r} are not JSON: {error}") from error


def give_up_run(tasks: TaskService, name: str, reason: str, *, id: str) -> Task:
    """Record that a run of the job with this full name, which was to be task `id`, is not to be.

    Raises: RecordConflict, where there is such a task already; as `TaskService.abandon`.
    """
    return tasks.abandon(JOB, name, "run", reason=reason, id=id)


def check_timeout(timeout_s: float) -> None:
    """Nothing, if a run may be given so many seconds.

    Raises: BadInput.
    """
    if not 0 < timeout_s <= MAX_TIMEOUT_S:
        raise BadInput(
            f"a timeout of {timeout_s:.10g} s cannot be kept: it must be over 0, and at most {MAX_TIMEOUT_S}"
        )


def allowed_s(timeout_s: float | None, policy: Policy) -> float:
    """How many seconds a run may take that is given `timeout_s`; by default as many as the policy says.

    Raises: BadInput.
    """
    if timeout_s is None:
        return min(policy.timeout_s, MAX_TIMEOUT_S)
    check_timeout(timeout_s)
    return timeout_s


def with_margin(timeout_s: float) -> float:
    """How many seconds a task may take whose run takes so many."""
    return min(timeout_s + _MARGIN_S, MAX_TIMEOUT_S)


def left_by(runs: JobRuns, name: str, run: Run) -> JobRun | None:
    """The run of a task that was cut off, if it came to its end; one that did not is ended here."""
    assert run.id is not None and run.since is not None
    found = runs.of_task(job_name(name), run.id, since=run.since)
    if found is None or found.status != RUNNING:
        return found
    try:
        runs.finish(found, error=_LOST, notebook=None)
    except LookupError:
        # It has come to its end in this moment, or somebody has removed it.
        return left_by(runs, name, run)
    return None


_LOST: Final = RunError("lost", "the run was cut off before its end")


def _error(failure: Failure) -> RunError:
    return RunError(failure.reason, failure.message, failure.cell, failure.name, failure.value)


def _full(reference: Reference) -> Reference:
    return evolve(reference, name=job_name(reference.name))


def _dumped(notebook: JSONObject) -> bytes:
    return json.dumps(notebook, ensure_ascii=False, separators=(",", ":")).encode()
