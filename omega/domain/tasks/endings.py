"""How tasks end: with an answer, with a failure, or because somebody wanted them to."""

from collections.abc import Callable
from contextlib import suppress

from attrs import evolve, field, frozen

from omega.domain.errors import Cancelled, NotFound, OmegaError
from omega.domain.payloads import Payload, Payloads
from omega.domain.tasks.inputs import InputStore
from omega.domain.tasks.records import TaskRecords
from omega.domain.tasks.task import (
    FAILURE,
    PENDING,
    RETRY,
    REVOKED,
    STARTED,
    SUCCESS,
    Answer,
    Failure,
    Policy,
    Task,
)
from omega.ports.clock import Clock
from omega.ports.ids import Ids
from omega.ports.records import StoreUnavailable

#: What an attempt that was cut off has made all the same: its answer, or `None`; afterwards it can make
#: nothing any more.
Outcome = Callable[[Task], Answer | None]


class LeaseLost(Exception):
    """Somebody else carries the task out by now, or it has ended. `args[0]` is the task's id."""


@frozen
class Endings:
    """Ends tasks, for those who hold their leases. `told` is called with each task that has ended, by whoever
    ended it: once, unless that is cut off just then.
    """

    records: TaskRecords
    payloads: Payloads
    inputs: InputStore
    clock: Clock
    ids: Ids
    policy: Policy
    outcome: Outcome
    told: Callable[[Task], object] = field(default=lambda task: None, repr=False)

    def succeed(self, task: Task, holder: str, answer: Payload) -> Task:
        """End the task with an answer, which has been stored; doing it twice, where nobody knows whether it
        was done, does no harm.

        Raises: LeaseLost; the answer has been removed then.
        """
        return self._answered(task, holder, answer, None)

    def fail(self, task: Task, holder: str, failure: Failure, answer: Payload | None = None) -> Task:
        """End the task with a failure that its attempt has met, or as what is true all the same: it may have
        made its outcome before that, or at an earlier attempt. An attempt that came to its end and says so in
        an answer, which has been stored, has made that.

        Raises: LeaseLost; the answer has been removed then.
        """
        if answer is not None:
            return self._answered(task, holder, answer, failure)
        return self.settle(task, holder, None if failure.name == Cancelled.__name__ else failure)

    def settle(self, task: Task, holder: str, failure: Failure | None) -> Task:
        """End a task whose work was cut off, as what is true: as a success if its outcome is there, else as
        cancelled (no `failure`) or failed.

        Raises: LeaseLost.
        """
        try:
            left = self.outcome(task)
        except NotFound:
            # The object is gone, and whatever was made of it.
            left = None
        except OmegaError as error:
            left, failure = None, failure or Failure.of(error)
        if left is not None:
            return self._answered(task, holder, self.payloads.write([left.content]), left.failure)
        return self._end(task, holder, status=FAILURE if failure else REVOKED, failure=failure)

    def settle_orphan(self, task: Task) -> Task | None:
        """End a task that nobody carries out and that is not to be tried again; `None` if somebody else took
        care of it.
        """
        holder = f"settling {self.ids.new()}"
        taken = self.records.change(task.bucket, task.id, lambda current: self._taken(current, holder))
        if taken is None:
            return None
        lost = Failure(
            "TaskFailed",
            f"the worker was lost, and the task was not tried again after attempt {taken.attempts} of "
            f"{taken.max_attempts}",
        )
        with suppress(LeaseLost):
            return self.settle(taken, holder, None if taken.cancelled else lost)
        return None

    def revoke_unstarted(self, task: Task) -> Task | None:
        """End a task that was never begun; `None` if it has been by now."""
        revoked = self.records.change(
            task.bucket,
            task.id,
            lambda current: (
                None
                if current.status != PENDING
                else evolve(current, status=REVOKED, cancelled=True, ended=self.clock.now())
            ),
        )
        if revoked is None:
            return None
        self.told(revoked)
        return self._closed(revoked)

    def forget(self, task: Task) -> None:
        """Remove what is known of a task that has ended, its answer, and what may be left of its inputs."""
        self.records.forget(task)
        self.inputs.remove(task.call.inputs)
        if task.result is not None:
            self.payloads.remove([task.result.id])

    def _answered(self, task: Task, holder: str, answer: Payload, failure: Failure | None) -> Task:
        try:
            status = FAILURE if failure else SUCCESS
            return self._end(task, holder, status=status, result=answer, failure=failure)
        except LeaseLost:
            current = self.records.find(task.bucket, task.id)
            if current is not None and current.result == answer:
                return self._closed(current)
            self.payloads.remove([answer.id])
            raise

    def _taken(self, task: Task, holder: str) -> Task | None:
        now = self.clock.now()
        if not (task.status == RETRY or task.is_lapsed(now)):
            return None
        return evolve(task, status=STARTED, lease=self.policy.lease(holder, now))

    def _end(
        self,
        task: Task,
        holder: str,
        *,
        status: str,
        result: Payload | None = None,
        failure: Failure | None = None,
    ) -> Task:
        def step(current: Task) -> Task:
            check_holder(current, holder)
            return evolve(
                current, status=status, ended=self.clock.now(), lease=None, result=result, failure=failure
            )

        ended = self.records.change(task.bucket, task.id, step)
        if ended is None:
            raise LeaseLost(task.id)
        self.told(ended)
        return self._closed(ended)

    def _closed(self, task: Task) -> Task:
        # The end itself is written: what follows is made up for by whoever comes across the task.
        with suppress(StoreUnavailable):
            self.records.close(task)
            self.inputs.remove(task.call.inputs)
        return task


def check_holder(task: Task, holder: str) -> None:
    """Nothing, if `holder` has the task's lease.

    Raises: LeaseLost.
    """
    if task.lease is None or task.lease.holder != holder:
        raise LeaseLost(task.id)
