"""The runs of jobs: when, of which version, with which parameters, how they ended, and the notebooks that
came of them.

A run is known by the second in which it began; of two in one second the later one is given the next second.
A run stays when its job is removed, and is that of a later job of the same name.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

import attrs
from attrs import Factory, evolve, frozen

from omega.domain.access import Gate
from omega.domain.errors import BadInput, NotFound
from omega.domain.metadata import Metadata
from omega.domain.names import JOB, NOTEBOOK_SUFFIX, job_name
from omega.domain.payloads import Payload, Payloads
from omega.ports.clock import Clock
from omega.ports.records import Record, RecordConflict, RecordNotFound, RecordStore

JSONObject = Mapping[str, Any]
RUNNING: Final = "RUNNING"
OK: Final = "OK"
ERROR: Final = "ERROR"
RESULTS: Final = "results/"
_RESULT = re.compile(r"(?:results/)?(?P<stem>.+)_(?P<key>[0-9]{1,12})(?:\.ipynb)?", re.DOTALL)
_CLOCKS_DIFFER: Final = timedelta(minutes=5)
_LATEST: Final = 1000
#: The run of a task is one of the latest.
_LOOKED_AT: Final = 100


@frozen
class RunError:
    """Why a run ended early: `reason` is `cell`, `timeout`, `memory`, `kernel died`, `no kernel` or `lost`;
    of a cell that raised, its number from 1 on, and the name and value of the exception.
    """

    reason: str
    message: str
    cell: int | None = None
    name: str | None = None
    value: str | None = None


@frozen
class JobRun:
    """One run of a job. `key` is the second since 1970 in which it began; `version` is that of the notebook,
    `created` is when its job was.
    """

    job: str
    key: int
    version: int
    parameters: JSONObject
    started: datetime
    status: str = RUNNING
    ended: datetime | None = None
    error: RunError | None = None
    result: Payload | None = None
    task: str | None = None
    created: datetime | None = None
    revision: str | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def result_name(self) -> str:
        """What its notebook is called."""
        return f"{RESULTS}{self.job.removesuffix(NOTEBOOK_SUFFIX)}_{self.key}{NOTEBOOK_SUFFIX}"

    @property
    def duration_s(self) -> float | None:
        """How long it took."""
        return None if self.ended is None else (self.ended - self.started).total_seconds()


@frozen
class JobRuns:
    """The runs of the jobs of one bucket, behind a gate: `allow` opens it for one action on one job. All
    methods but that raise Forbidden where it is shut.
    """

    records: RecordStore
    payloads: Payloads
    clock: Clock
    bucket: str
    gate: Gate = Factory(lambda self: Gate(JOB, self.bucket), takes_self=True)

    def allow(self, action: str, name: str = "") -> "JobRuns":
        """The same, open for `action` on the job called `name`; for a list of jobs, which shows their runs,
        without one.

        Raises: Forbidden.
        """
        return evolve(self, gate=self.gate.opened(action, name))

    def begin(self, job: Metadata, *, parameters: JSONObject, task: str | None) -> JobRun:
        """A run of this version of a job that begins now."""
        now = self.clock.now()
        key = int(now.timestamp())
        run = JobRun(job.name, key, job.version, parameters, now, task=task, created=job.created)
        while True:
            try:
                return _run(run.job, self.records.write(self._key(run), value=_written(run), expected=None))
            except RecordConflict:
                run = evolve(run, key=run.key + 1)

    def finish(self, run: JobRun, *, error: RunError | None, notebook: bytes | None) -> JobRun:
        """The end of a run, and the notebook that came of it.

        Raises: NotFound, if somebody has removed it.
        """
        ended = evolve(
            run,
            status=OK if error is None else ERROR,
            ended=self.clock.now(),
            error=error,
            result=None if notebook is None else self.payloads.write([notebook]),
        )
        try:
            return _run(
                run.job, self.records.write(self._key(run), value=_written(ended), expected=run.revision)
            )
        except RecordConflict as conflict:
            if ended.result is not None:
                self.payloads.remove([ended.result.id])
            raise NotFound(f"run {run.key} of job {run.job!r} was removed while it ran") from conflict

    def give_up(self, run: JobRun) -> None:
        """Forget a run that came to nothing."""
        with suppress(RecordNotFound, RecordConflict):
            self.records.remove(self._key(run), expected=str(run.revision))

    def of(self, job: str, *, offset: int = 0, limit: int = _LATEST) -> tuple[Sequence[JobRun], int]:
        """Some runs of a job, the latest first, and how many there are in all."""
        self.gate.check(job, listed=True)
        page = self.records.page(self._shelf(job), offset=offset, limit=limit, descending=True)
        return [_run(job, record) for record in page.records], page.total

    def find(self, result: str) -> JobRun:
        """The run whose result is called so, with or without `results/` and `.ipynb`.

        Raises: NotFound; BadInput for an illegal name.
        """
        found = named(result)
        if found is None:
            raise NotFound(f"there is no result {result!r} of a job in bucket {self.bucket!r}")
        job, key = found
        try:
            return _run(job, self.records.read(f"{self._prefix(job)}{key:012d}"))
        except RecordNotFound as error:
            raise NotFound(f"there is no result {result!r} of a job in bucket {self.bucket!r}") from error

    def of_task(self, job: str, task: str, *, since: datetime) -> JobRun | None:
        """The run that a task has made, which was submitted at `since`."""
        offset = 0
        while True:
            runs, total = self.of(job, offset=offset, limit=_LOOKED_AT)
            for run in runs:
                if run.task == task:
                    return run
                if run.started < since - _CLOCKS_DIFFER:
                    return None
            offset += len(runs)
            if not runs or offset >= total:
                return None

    def notebook(self, run: JobRun) -> bytes:
        """The notebook that came of a run.

        Raises: NotFound, if none did; Corrupt.
        """
        self.gate.check(run.job)
        if run.result is None:
            raise NotFound(f"run {run.key} of job {run.job!r} has no result: it is {run.status}")
        return b"".join(self.payloads.read(run.result, of=f"the notebook {run.result_name!r}"))

    def drop(self, run: JobRun) -> None:
        """Remove a run that has ended, and its notebook. One that is no task can be removed while it goes on:
        nobody knows whether it does, or was cut off with the process that it was in.

        Raises: BadInput for a task that goes on.
        """
        if run.status == RUNNING and run.task is not None:
            raise BadInput(f"run {run.key} of job {run.job!r} goes on: cancel its task first")
        self.give_up(run)
        if run.result is not None:
            self.payloads.remove([run.result.id])

    def _prefix(self, job: str) -> str:
        self.gate.check(job)
        return self._shelf(job)

    def _shelf(self, job: str) -> str:
        # No name holds an empty part, so this is the prefix of no other job's runs.
        return f"job-run/{self.bucket}/{job}//"

    def _key(self, run: JobRun) -> str:
        return f"{self._prefix(run.job)}{run.key:012d}"


def named(result: str) -> tuple[str, int] | None:
    """The job whose run has a result called so, and the second in which that began; `None` for what is no
    such name.

    Raises: BadInput for an illegal name.
    """
    match = _RESULT.fullmatch(result)
    return match and (job_name(match["stem"]), int(match["key"]))


def _written(run: JobRun) -> JSONObject:
    value = attrs.asdict(
        run,
        value_serializer=lambda _, __, part: part.isoformat() if isinstance(part, datetime) else part,
    )
    return {name: part for name, part in value.items() if name not in ("job", "key", "revision")}


def _run(job: str, record: Record) -> JobRun:
    value: dict[str, Any] = dict(record.value)
    return JobRun(
        job=job,
        key=int(record.key.rpartition("/")[2]),
        revision=record.revision,
        started=datetime.fromisoformat(value.pop("started")),
        ended=(ended := value.pop("ended")) and datetime.fromisoformat(ended),
        error=(error := value.pop("error")) and RunError(**error),
        result=(result := value.pop("result")) and Payload(**result),
        created=(created := value.pop("created")) and datetime.fromisoformat(created),
        **value,
    )
