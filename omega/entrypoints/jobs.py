"""`om.jobs`: notebooks that are stored, run and reported."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import field, frozen

from omega.domain.access import LIST
from omega.domain.errors import BadInput, NotFound
from omega.domain.job_runs import JobRun, named
from omega.domain.job_schedules import JobSchedule
from omega.domain.jobs import JobService, allowed_s, submit_run
from omega.domain.metadata import ALWAYS, JSONObject, Metadata, Precondition
from omega.domain.names import JOB, NOTEBOOK_SUFFIX, Reference, job_name
from omega.domain.schedules import Schedule
from omega.entrypoints.objects import Objects, reference
from omega.entrypoints.runtime import RuntimeTask
from omega.entrypoints.services import Services
from omega.entrypoints.strict_json import parse_json


@frozen
class Jobs(Objects):
    """Put, get, run, report and drop jobs. A name may be given without `.ipynb`, and may carry a version:
    `report@3`, `report^`.
    """

    _service: JobService = field(alias="service", repr=False)
    _services: Services = field(alias="services", repr=False)

    def put(self, notebook: Any, name: str | None = None, *, precondition: Precondition = ALWAYS) -> Metadata:
        """Store a notebook as the next version of job `name`: a `Path` (whose name it has by default), a
        notebook of nbformat, or the same as a mapping or JSON text.

        Raises: BadInput for what is no notebook.
        """
        if isinstance(notebook, Path):
            name = name or notebook.name
            notebook = _read(notebook)
        if name is None:
            raise BadInput("a notebook that is not a file needs a name")
        if isinstance(notebook, str | bytes):
            notebook = parse_json(notebook.encode() if isinstance(notebook, str) else notebook)
        return self._service.put(name, notebook, precondition=precondition)

    def create(self, code: str, name: str, *, precondition: Precondition = ALWAYS) -> Metadata:
        """Store a notebook made of Python source text: one cell, or one for each line `# %%`.

        Raises: BadInput.
        """
        return self._service.create(name, code, precondition=precondition)

    def get(self, name: str, *, version: int | None = None) -> Any:
        """The notebook, as nbformat has it.

        Raises: NotFound, Corrupt.
        """
        return _node(self._service.get(reference(name, JOB, version))[1])

    def run(
        self, name: str, parameters: Mapping[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> JobRun:
        """Run a job and keep what comes of it: its `status` is `OK` or `ERROR`, `error` says why. It runs
        here, in a kernel of its own, or on a worker if a queue was chosen.

        Raises: NotFound; BadInput, for parameters that the notebook does not declare too.
        """
        if not self._services.remote:
            timeout_s = self._timeout_s(timeout_s)
            return self._service.run(name, parameters, timeout_s=timeout_s)
        answer = self.submit(name, parameters, timeout_s=timeout_s).outcome()
        return self._service.runs.allow("run", job_name(name)).find(answer["job_results"][0])

    def submit(
        self, name: str, parameters: Mapping[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> RuntimeTask:
        """Leave a run to a worker, which may take `timeout_s` seconds.

        Raises: NotFound; BadInput; QueueUnavailable: there is no task then.
        """
        name = job_name(name)
        self._service.metadata(Reference(name), action="run")
        task = submit_run(self._services.tasks, name, parameters or {}, timeout_s=timeout_s)
        return RuntimeTask.submitted(self._services, task)

    def schedule(
        self,
        name: str,
        cron: str,
        *,
        tz: str = "UTC",
        parameters: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> JobSchedule:
        """Let workers run a job by the clock: `cron` is a line of five fields (`"30 6 * * mon-fri"`), read in
        the time zone `tz`. It takes the place of the schedule that the job had.

        Raises: NotFound; BadInput for what cannot be read, or is never due.
        """
        name = job_name(name)
        self._service.metadata(Reference(name), action="schedule")
        schedule = Schedule(cron, tz)
        return self._services.schedules.allow("schedule", name).put(
            name, schedule, parameters=dict(parameters or {}), timeout_s=timeout_s
        )

    def scheduled(self, name: str) -> JobSchedule:
        """The schedule of a job: its next times, and those that were missed.

        Raises: NotFound, where it has none.
        """
        name = job_name(name)
        return self._services.schedules.allow("schedule", name).get(name)

    def unschedule(self, name: str) -> None:
        """Let a job run by itself no more.

        Raises: NotFound, where it has no schedule.
        """
        name = job_name(name)
        self._services.schedules.allow("schedule", name).remove(name)

    def drop(self, name: str, *, precondition: Precondition = ALWAYS) -> None:
        """Remove a job with all its versions, and its schedule; what came of its runs stays.

        Raises: NotFound, PreconditionFailed.
        """
        super().drop(name, precondition=precondition)
        with suppress(NotFound):
            self._services.schedules.allow("delete", job_name(name)).remove(job_name(name))

    def runs(
        self, name: str, *, offset: int = 0, limit: int = 1000, action: str = "results"
    ) -> Sequence[JobRun]:
        """The runs of a job, the latest first. `action` is what they are looked at for: a list of jobs shows
        the runs of each, and so does a job.
        """
        name = job_name(name)
        runs = self._service.runs.allow(action, "" if action == LIST else name)
        return runs.of(name, offset=offset, limit=limit)[0]

    def result(self, name: str) -> Any:
        """The notebook that came of a run (`results/report_1517953074.ipynb`), as nbformat has it.

        Raises: NotFound, Corrupt.
        """
        return _node(self._service.result(name)[1])

    def export(self, name: str, *, format: str = "html") -> str:
        """A result, or the notebook of a job, as `html` (one page that needs no network and runs no script),
        `md`, `py` or `ipynb`.

        Raises: NotFound, BadInput, Corrupt.
        """
        return self._service.export(name, format=format)

    def drop_result(self, name: str) -> JobRun:
        """Remove a run of a job that has ended, and the notebook that came of it; the run as it was.

        Raises: NotFound, BadInput.
        """
        job = named(name)
        runs = self._service.runs if job is None else self._service.runs.allow("delete", job[0])
        found = runs.find(name)
        runs.drop(found)
        return found

    def page_of_runs(self, name: str, *, offset: int = 0, limit: int = 20) -> tuple[Sequence[JobRun], int]:
        """One page of the runs of a job, the latest first, and how many there are in all.

        Raises: NotFound, where there are none and no such job.
        """
        name = job_name(name)
        found, total = self._service.runs.allow("results", name).of(name, offset=offset, limit=limit)
        if not total:
            self._service.metadata(Reference(name), action="results")
        return found, total

    def open(self, name: str, *, version: int | None = None) -> tuple[Metadata, JSONObject]:
        """A version of a job, with its notebook as JSON.

        Raises: NotFound, Corrupt.
        """
        return self._service.get(reference(name, JOB, version))

    def open_result(self, name: str) -> tuple[JobRun, JSONObject]:
        """A run, with the notebook that came of it as JSON.

        Raises: NotFound, Corrupt.
        """
        return self._service.result(name)

    def report(self, name: str, *, format: str = "html") -> tuple[str, str]:
        """As `export`, with the full name of what is exported.

        Raises: NotFound, BadInput, Corrupt.
        """
        return self._service.report(name, format=format)

    def _timeout_s(self, timeout_s: float | None) -> float:
        return allowed_s(timeout_s, self._services.work.policy)


def _read(path: Path) -> bytes:
    if path.suffix != NOTEBOOK_SUFFIX:
        raise BadInput(f"{path.name!r} is no notebook: its name does not end in {NOTEBOOK_SUFFIX}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path.name!r}: {error.strerror or error}") from error


def _node(notebook: JSONObject) -> Any:
    import nbformat

    return nbformat.from_dict(json.loads(json.dumps(notebook)))
