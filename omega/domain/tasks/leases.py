"""The worker's side of tasks: taking them, keeping them, giving them back, and caring for those that nobody
carries out.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from attrs import define, evolve, field, frozen

from omega.domain.errors import Cancelled
from omega.domain.tasks.endings import Endings, LeaseLost, check_holder
from omega.domain.tasks.records import TaskRecords
from omega.domain.tasks.task import PENDING, RETRY, STARTED, Policy, Progress, Task
from omega.ports.clock import Clock
from omega.ports.queue import QueueUnavailable, TaskQueue
from omega.ports.records import RecordConflict

#: The oldest open tasks are looked at each time: those that are being carried out are among them, unless very
#: many are. Of the others some are looked at each time, in turn.
_OLDEST: Final = 200
_SOME_MORE: Final = 800
_EXPIRED_AT_ONCE: Final = 200


@frozen
class Leases:
    """Takes and keeps tasks, of all buckets. `holder` names one attempt, of one worker, and no other."""

    records: TaskRecords
    queue: TaskQueue
    clock: Clock
    policy: Policy
    endings: Endings

    def claim(self, bucket: str, id: str, *, holder: str) -> Task | None:
        """Take a task that waits for a worker; `None` if it does not, or somebody else was faster."""
        task = self.records.find(bucket, id)
        if task is None or task.status not in (PENDING, RETRY):
            return None
        if task.cancelled or task.attempts >= task.max_attempts:
            self.endings.settle_orphan(task)
            return None
        now = self.clock.now()
        claimed = evolve(
            task,
            status=STARTED,
            attempts=task.attempts + 1,
            started=task.started or now,
            lease=self.policy.lease(holder, now),
            progress=None,
        )
        with suppress(RecordConflict):
            return self.records.write(claimed)
        return None

    def renew(self, task: Task, *, holder: str, progress: Progress | None = None) -> Task:
        """Hold on to the task for the length of another lease; the task as it is now, which may have been
        cancelled.

        Raises: LeaseLost.
        """

        def step(current: Task) -> Task:
            check_holder(current, holder)
            lease = self.policy.lease(holder, self.clock.now())
            return evolve(current, lease=lease, progress=progress or current.progress)

        renewed = self.records.change(task.bucket, task.id, step)
        if renewed is None:
            raise LeaseLost(task.id)
        return renewed

    def check(self, task: Task, *, holder: str) -> Task:
        """The task as it is now, if `holder` still may carry it out.

        Raises: LeaseLost; Cancelled.
        """
        current = self.records.find(task.bucket, task.id)
        if current is None or current.is_lapsed(self.clock.now()):
            raise LeaseLost(task.id)
        check_holder(current, holder)
        if current.cancelled:
            raise Cancelled(f"task {task.id} was cancelled")
        return current

    def give_back(self, task: Task, *, holder: str, counts: bool) -> None:
        """Let another worker try; the attempt is one of those that the task has, or (`counts` is false) is
        forgotten, since it was not the task that ended it.

        Raises: LeaseLost.
        """

        def step(current: Task) -> Task:
            check_holder(current, holder)
            attempts = current.attempts if counts else max(0, current.attempts - 1)
            return evolve(current, status=RETRY, lease=None, attempts=attempts, progress=None)

        given = self.records.change(task.bucket, task.id, step)
        if given is None:
            raise LeaseLost(task.id)
        self._wake(given)

    def lapse(self, task: Task) -> Task | None:
        """Take care of a task whose lease has lapsed: it is to be tried again, or it ends. The task as it is
        then; `None` if somebody else took care of it.
        """
        if task.cancelled or task.attempts >= task.max_attempts:
            return self.endings.settle_orphan(task)

        def step(current: Task) -> Task | None:
            if not current.is_lapsed(self.clock.now()) or current.cancelled:
                return None
            return evolve(current, status=RETRY, lease=None, progress=None)

        freed = self.records.change(task.bucket, task.id, step)
        if freed is not None:
            self._wake(freed)
        return freed

    def expire(self) -> int:
        """Remove some of the tasks that ended longer ago than they are kept; how many."""
        before = self.clock.now() - timedelta(seconds=self.policy.retention_s)
        expired = self.records.ended_before(before, limit=_EXPIRED_AT_ONCE)
        for task in expired:
            self.endings.forget(task)
        return len(expired)

    def _wake(self, task: Task) -> None:
        # A message that is lost costs time only: the sweep finds the task.
        with suppress(QueueUnavailable):
            self.queue.submit({"bucket": task.bucket, "id": task.id})


@define
class Sweep:
    """Looks over the tasks that have not ended, again and again, for those that were lost."""

    leases: Leases
    _next: int = field(default=_OLDEST, init=False, repr=False)

    def waiting(self) -> Iterator[Task]:
        """The tasks that wait for a worker, the oldest first; what has lapsed is taken care of on the way."""
        now = self.leases.clock.now()
        tasks, total = self.leases.records.open(offset=0, limit=_OLDEST, now=now)
        yield from self._cared_for(tasks, now)
        if total > _OLDEST:
            start = self._next if self._next < total else _OLDEST
            self._next = start + _SOME_MORE
            more, _ = self.leases.records.open(offset=start, limit=_SOME_MORE, now=now)
            yield from self._cared_for(more, now)

    def _cared_for(self, tasks: Sequence[Task], now: datetime) -> Iterator[Task]:
        for task in tasks:
            if task.is_lapsed(now):
                freed = self.leases.lapse(task)
                if freed is not None and freed.status == RETRY:
                    yield freed
            elif task.status in (PENDING, RETRY):
                yield task
