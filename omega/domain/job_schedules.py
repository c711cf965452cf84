"""Jobs that run by the clock: a schedule for each, and the one who looks what is due.

What becomes of a due time is decided by one write of the schedule's record, before anything is done about it.
The run is a task whose id follows from the schedule and the due time: whoever finds that it was decided on,
and not submitted, submits it, so that it is submitted once, however many workers look, and whoever of them
dies.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from attrs import Factory, evolve, field, frozen

from omega.domain.access import Gate
from omega.domain.errors import BadInput, NotFound
from omega.domain.jobs import check_timeout, give_up_run, submit_run
from omega.domain.names import JOB
from omega.domain.schedules import MAX_MISSED, STALENESS_S, Due, Schedule
from omega.domain.tasks import TaskService
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

    `considered` is until when it is decided what becomes of the times that were due. `due` is the latest that
    was to be run, by task `task`; as long as that is not `submitted`, somebody has yet to do it. Of the times
    that were missed the latest 100 are kept, and how many there were in all.
    """

    job: str
    uid: str
    schedule: Schedule
    parameters: JSONObject
    timeout_s: float | None
    considered: datetime
    due: datetime | None = None
    task: str | None = None
    submitted: bool = True
    missed: tuple[Missed, ...] = ()
    missed_count: int = 0
    revision: str | None = field(default=None, eq=False, repr=False)

    def next_times(self, now: datetime) -> list[datetime]:
        """The next five times."""
        return self.schedule.next_times(now, SHOWN_TIMES)

    def with_missed(self, missed: Sequence[Missed], count: int) -> "JobSchedule":
        """The same with `count` times more that were missed, of which these are the latest."""
        latest = (*self.missed, *missed)[-MAX_MISSED:]
        return evolve(self, missed=latest, missed_count=self.missed_count + count)


@frozen
class JobSchedules:
    """The schedules of the jobs of one bucket, behind a gate: `allow` opens it for one action on one job. All
    methods but that raise Forbidden where it is shut. Names of jobs are full names.
    """

    records: RecordStore
    clock: Clock
    ids: Ids
    bucket: str
    gate: Gate = Factory(lambda self: Gate(JOB, self.bucket), takes_self=True)

    def allow(self, action: str, name: str) -> "JobSchedules":
        """The same, open for `action` on the job called `name`.

        Raises: Forbidden.
        """
        return evolve(self, gate=self.gate.opened(action, name))

    def put(
        self, job: str, schedule: Schedule, *, parameters: JSONObject, timeout_s: float | None
    ) -> JobSchedule:
        """Let a job run by this schedule, and no other, from now on; a run of the schedule before is not
        overlapped either.

        Raises: BadInput for parameters that are not JSON, and for a time that no run can have.
        """
        if timeout_s is not None:
            check_timeout(timeout_s)
        new = JobSchedule(job, self.ids.new(), schedule, parameters, timeout_s, self.clock.now())
        while True:
            try:
                before = self.get(job)
                new = evolve(new, revision=before.revision, due=before.due, task=before.task)
            except NotFound:
                new = evolve(new, revision=None, due=None, task=None)
            with suppress(RecordConflict):
                try:
                    return self.write(new)
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
        self.gate.check(job)
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
            # Another worker may come to the same end first, or somebody change the schedule.
            with suppress(RecordConflict):
                self._look(bucket, found, now)

    def _all(self) -> Iterator[tuple[str, JobSchedule]]:
        offset = 0
        while records := self.records.page(_prefix(), offset=offset, limit=_PAGE).records:
            offset += len(records)
            for record in records:
                _, bucket, job = record.key.split("/", 2)
                yield bucket, _read(job, record)

    def _look(self, bucket: str, found: JobSchedule, now: datetime) -> None:
        if not found.submitted:
            # Whoever has decided on it has died, or is about to submit it.
            found = self._submit(bucket, found, now)
        due = found.schedule.due(found.considered, now, STALENESS_S)
        if due.run is None and not due.missed_count:
            return
        decided = self._schedules(bucket).write(self._decided(bucket, found, due, now))
        if not decided.submitted:
            self._submit(bucket, decided, now)

    def _decided(self, bucket: str, found: JobSchedule, due: Due, now: datetime) -> JobSchedule:
        """What becomes of the times that are due."""
        late = [Missed(time, LATE) for time in due.missed]
        changed = evolve(found, considered=now)
        if due.run is None:
            return changed.with_missed(late, due.missed_count)
        if self._goes_on(bucket, found):
            return changed.with_missed([*late, Missed(due.run, OVERLAP)], due.missed_count + 1)
        run = evolve(changed, due=due.run, task=_id(bucket, found, due.run), submitted=False)
        return run.with_missed(late, due.missed_count)

    def _goes_on(self, bucket: str, found: JobSchedule) -> bool:
        """Whether the latest run has not ended."""
        if found.task is None:
            return False
        task = self.tasks(bucket).records.find(bucket, found.task)
        return task is not None and not task.is_final

    def _submit(self, bucket: str, found: JobSchedule, now: datetime) -> JobSchedule:
        """Submit the run that was decided on, unless somebody else has; one that is too old by now, or that
        no task can be, was missed. The schedule as it is then.

        Raises: RecordConflict, where somebody else was faster; as `TaskService.submit`.
        """
        assert found.due is not None and found.task is not None
        tasks, done = self.tasks(bucket), evolve(found, submitted=True)
        try:
            task = tasks.records.find(bucket, found.task)
            if task is None and (now - found.due).total_seconds() > STALENESS_S:
                # Whoever decided on it may only be held up: what was missed is not to run after all.
                task = give_up_run(tasks, found.job, LATE, id=found.task)
            elif task is None:
                submit_run(tasks, found.job, found.parameters, timeout_s=found.timeout_s, id=found.task)
            if task is not None and task.is_abandoned:
                raise BadInput(LATE)
        except ValueError as error:
            done = evolve(done, due=None, task=None).with_missed([Missed(found.due, str(error))], 1)
        return self._schedules(bucket).write(done)

    def _schedules(self, bucket: str) -> JobSchedules:
        return JobSchedules(self.records, self.clock, self.ids, bucket)


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
        "submitted": found.submitted,
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
        value["submitted"],
        tuple(Missed(datetime.fromisoformat(m["due"]), m["reason"]) for m in value["missed"]),
        value["missed_count"],
        record.revision,
    )
