"""Jobs that run by the clock: a schedule for each, and the one who looks what is due.

The run of a due time is a task whose id follows from the schedule and that time, so that it is submitted
once, however many workers look, and whoever of them dies.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from attrs import evolve, field, frozen

from omega.domain.errors import BadInput, NotFound
from omega.domain.jobs import submit_run
from omega.domain.schedules import MAX_MISSED, STALENESS_S, Due, Schedule
from omega.domain.tasks import TaskRecords, TaskService
from omega.domain.tasks.records import task_id
from omega.ports.clock import Clock
from omega.ports.ids import Ids
from omega.ports.records import JSONObject, Record, RecordConflict, RecordNotFound, RecordStore

SHOWN_TIMES: Final = 5
#: Why a due time has no run: nobody looked until it was too old, or the run before it went on.
LATE: Final = "nobody was there to run it in time"
OVERLAP: Final = "the run before went on"
_PAGE: Final = 500


@frozen
class Missed:
    """A due time that has no run, and why."""

    due: datetime
    reason: str


@frozen
class JobSchedule:
    """When a job runs by itself, with which parameters, and what came of that. Times are in UTC.

    `considered` is until when it is known what was due. Of the times that were missed the latest 100 are
    kept, and how many there were in all.
    """

    job: str
    uid: str
    schedule: Schedule
    parameters: JSONObject
    timeout_s: float | None
    considered: datetime
    due: datetime | None = None
    task: str | None = None
    missed: tuple[Missed, ...] = ()
    missed_count: int = 0
    revision: str | None = field(default=None, eq=False, repr=False)

    def next_times(self, now: datetime) -> list[datetime]:
        """The next five times."""
        return self.schedule.next_times(now, SHOWN_TIMES)


@frozen
class JobSchedules:
    """The schedules of the jobs of one bucket. Names of jobs are full names."""

    records: RecordStore
    clock: Clock
    ids: Ids
    bucket: str

    def put(
        self, job: str, schedule: Schedule, *, parameters: JSONObject, timeout_s: float | None
    ) -> JobSchedule:
        """Let a job run by this schedule, and no other, from now on.

        Raises: BadInput for parameters that are not JSON.
        """
        new = JobSchedule(job, self.ids.new(), schedule, parameters, timeout_s, self.clock.now())
        while True:
            try:
                revision = self.records.read(self._key(job)).revision
            except RecordNotFound:
                revision = None
            with suppress(RecordConflict):
                try:
                    return self.write(evolve(new, revision=revision))
                except ValueError as error:
                    raise BadInput(f"the parameters of job {job!r} are not JSON: {error}") from error

    def get(self, job: str) -> JobSchedule:
        """The schedule of a job.

        Raises: NotFound, where it has none.
        """
        try:
            return _read(job, self.records.read(self._key(job)))
        except RecordNotFound as error:
            raise NotFound(f"job {job!r} in bucket {self.bucket!r} has no schedule") from error

    def remove(self, job: str) -> None:
        """Let a job run by itself no more.

        Raises: NotFound, where it has no schedule.
        """
        while True:
            found = self.get(job)
            with suppress(RecordConflict, RecordNotFound):
                self.records.remove(self._key(job), expected=str(found.revision))
                return

    def write(self, changed: JobSchedule) -> JobSchedule:
        """Write a schedule, if nobody else has changed it.

        Raises: RecordConflict.
        """
        key = self._key(changed.job)
        return _read(changed.job, self.records.write(key, value=_written(changed), expected=changed.revision))

    def _key(self, job: str) -> str:
        return f"{_prefix(self.bucket)}{job}"


@frozen
class Scheduler:
    """Looks, in all buckets, what is due, and submits it."""

    records: RecordStore
    clock: Clock
    ids: Ids
    tasks: Callable[[str], TaskService]

    def tick(self) -> None:
        """Submit a run for each schedule that has a time due. If one was missed, it is run if it is at most
        an hour old; of several the latest; none while the run before goes on. The others are recorded as
        missed.
        """
        now = self.clock.now()
        for bucket, found in self._all():
            due = found.schedule.due(found.considered, now, STALENESS_S)
            if due.run is not None or due.missed_count:
                self._consider(bucket, found, due, now)

    def _all(self) -> Iterator[tuple[str, JobSchedule]]:
        offset = 0
        while records := self.records.page(_prefix(), offset=offset, limit=_PAGE).records:
            offset += len(records)
            for record in records:
                _, bucket, job = record.key.split("/", 2)
                yield bucket, _read(job, record)

    def _consider(self, bucket: str, found: JobSchedule, due: Due, now: datetime) -> None:
        tasks = self.tasks(bucket)
        # A worker that died here may have submitted some of them.
        missed = [Missed(time, LATE) for time in due.missed if not _exists(tasks, _id(bucket, found, time))]
        count = due.missed_count - (len(due.missed) - len(missed))
        changed = evolve(found, considered=now)
        if due.run is not None:
            id = _id(bucket, found, due.run)
            if self._goes_on(tasks, found, id):
                missed.append(Missed(due.run, OVERLAP))
                count += 1
            else:
                self._submit(tasks, found, id)
                changed = evolve(changed, due=due.run, task=id)
        changed = evolve(
            changed,
            missed=(*found.missed, *missed)[-MAX_MISSED:],
            missed_count=found.missed_count + count,
        )
        # Another worker may have come to the same end first, or somebody has changed the schedule.
        with suppress(RecordConflict):
            JobSchedules(self.records, self.clock, self.ids, bucket).write(changed)

    def _goes_on(self, tasks: TaskService, found: JobSchedule, id: str) -> bool:
        """Whether the run before the one with this id has not ended."""
        if found.task is None or found.task == id:
            return False
        before = tasks.records.find(tasks.bucket, found.task)
        return before is not None and not before.is_final

    def _submit(self, tasks: TaskService, found: JobSchedule, id: str) -> None:
        with suppress(RecordConflict):
            submit_run(tasks, found.job, found.parameters, timeout_s=found.timeout_s, id=id)


def _exists(tasks: TaskService, id: str) -> bool:
    records: TaskRecords = tasks.records
    return records.find(tasks.bucket, id) is not None


def _id(bucket: str, found: JobSchedule, due: datetime) -> str:
    """The id of the task that runs a due time."""
    text = f"{bucket}/{found.job}/{found.uid}/{due.isoformat()}"
    chance = int.from_bytes(hashlib.sha256(text.encode()).digest()[:10])
    return task_id(int(due.timestamp() * 1000), chance)


def _prefix(bucket: str | None = None) -> str:
    return "schedule/" if bucket is None else f"schedule/{bucket}/"


def _written(found: JobSchedule) -> JSONObject:
    return {
        "uid": found.uid,
        "cron": found.schedule.cron,
        "timezone": found.schedule.timezone,
        "parameters": dict(found.parameters),
        "timeout_s": found.timeout_s,
        "considered": found.considered.isoformat(),
        "due": found.due and found.due.isoformat(),
        "task": found.task,
        "missed": [{"due": missed.due.isoformat(), "reason": missed.reason} for missed in found.missed],
        "missed_count": found.missed_count,
    }


def _read(job: str, record: Record) -> JobSchedule:
    value: Mapping[str, Any] = record.value
    return JobSchedule(
        job,
        value["uid"],
        Schedule(value["cron"], value["timezone"]),
        value["parameters"],
        value["timeout_s"],
        datetime.fromisoformat(value["considered"]),
        value["due"] and datetime.fromisoformat(value["due"]),
        value["task"],
        tuple(Missed(datetime.fromisoformat(m["due"]), m["reason"]) for m in value["missed"]),
        value["missed_count"],
        record.revision,
    )
