"""Jobs: notebooks that are stored, run and reported."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, cast

from attrs import evolve, frozen

from omega.domain.access import Right
from omega.domain.documents import Documents
from omega.domain.errors import BadInput, Forbidden, NotFound
from omega.domain.job_runs import RESULTS, RUNNING, JobRun, JobRuns, RunError, named
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

    def get(self, reference: Reference, *, action: str = "get") -> tuple[Metadata, JSONObject]:
        """A version of a job's notebook, and what is said about it. `action` is what it is got for.

        Raises: NotFound, Corrupt.
        """
        document = self.documents.get(_full(reference), action=action)
        return document.metadata, json.loads(document.content)

    def metadata(self, reference: Reference, *, action: str = "get") -> Metadata:
        """What is said about a version of a job; attributes `cells` and `parameters`. `action` is what it is
        looked up for.

        Raises: NotFound.
        """
        return self.documents.metadata(_full(reference), action=action)

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
        runs = self.runs.allow("run", name)
        if (left := _left_before(runs, name, run)) is not None:
            return left
        metadata, notebook = self.get(Reference(name), action="run")
        try:
            begun = runs.begin(metadata, parameters=parameters, task=run.id)
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
            return runs.finish(begun, error=failure, notebook=_dumped(outcome.notebook))
        except (InvalidParameters, InvalidNotebook) as error:
            runs.give_up(begun)
            raise BadInput(f"job {name!r}: {error}") from error
        except BaseException:
            with suppress(NotFound):
                runs.finish(begun, error=_LOST, notebook=None)
            raise

    def result(self, name: str) -> tuple[JobRun, JSONObject]:
        """The notebook that came of a run, by its name (`results/NAME_SECONDS.ipynb`).

        Raises: NotFound, Corrupt; BadInput for an illegal name.
        """
        return self._result(name, "results")

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

    def _result(self, name: str, action: str) -> tuple[JobRun, JSONObject]:
        found = named(name)
        runs = self.runs if found is None else self.runs.allow(action, found[0])
        run = runs.find(name)
        return run, json.loads(runs.notebook(run))

    def _exported(self, name: str) -> tuple[JSONObject, str]:
        if named(name) is None and not name.startswith(RESULTS):
            return self._exported_job(name)
        try:
            run, notebook = self._result(name, "export")
        except (LookupError, Forbidden) as error:
            if name.startswith(RESULTS):
                raise
            return self._exported_job(name, instead=error)
        return notebook, run.result_name.removeprefix(RESULTS)

    def _exported_job(self, name: str, *, instead: Exception | None = None) -> tuple[JSONObject, str]:
        """The notebook of a job. Its name may look like that of a result, which could not be had, for the
        reason `instead`.

        Raises: NotFound; `instead`, where there is no such job or the caller has no right to know.
        """
        reference = Reference.parse(name, resource=JOB)
        full = job_name(reference.name)
        try:
            allowed = self.documents.catalogue.allow("export", full)
        except Forbidden as error:
            raise (instead or error) from None
        if isinstance(instead, LookupError) and allowed.peek(full) is None:
            raise instead
        return self.get(reference, action="export")[1], full


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


def rights_to_export(name: str) -> tuple[Right, ...]:
    """The rights of which one is enough to export what is called so: a result of a job, else a job.

    Raises: BadInput for an illegal name.
    """
    found = named(name)
    rights = [] if found is None else [Right(JOB, found[0], "export")]
    if not name.startswith(RESULTS):
        rights.append(Right(JOB, job_name(Reference.parse(name, resource=JOB).name), "export"))
    return tuple(rights)


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


def _left_before(runs: JobRuns, name: str, run: Run) -> JobRun | None:
    """The run of an attempt before this one, at its end."""
    if run.id is None or run.since is None:
        return None
    left_by(runs, name, run)
    return runs.of_task(name, run.id, since=run.since)


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
