"""The caller's side of tasks: leaving them, asking how they are, ending them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from attrs import evolve, field, frozen

from omega.domain.access import OWNER, Access, demand
from omega.domain.errors import BadInput, Conflict, NotFound
from omega.domain.payloads import Payloads
from omega.domain.tasks.endings import Endings
from omega.domain.tasks.inputs import InputStore
from omega.domain.tasks.leases import Leases
from omega.domain.tasks.records import TaskRecords, new_id
from omega.domain.tasks.task import (
    FAILURE,
    PENDING,
    RETRY,
    STARTED,
    Call,
    Failure,
    Inputs,
    Policy,
    Task,
)
from omega.ports.clock import Clock
from omega.ports.ids import Ids
from omega.ports.queue import QueueUnavailable, TaskQueue
from omega.ports.records import RecordConflict, RecordNotFound, StoreUnavailable

MAX_TIMEOUT_S = 30 * 86_400
_SCAN = 500


@frozen
class TaskPage:
    """One page of a list of tasks, and how long the whole list is."""

    items: Sequence[Task]
    total: int


@frozen
class TaskService:
    """Submit, see, list and cancel the tasks of one bucket. A task belongs to the call that made it: whoever
    has the rights to make the call may see and cancel it, and to all others there is no such task.
    `asked_by` gives the id of the request that is being answered, if one is.
    """

    bucket: str
    records: TaskRecords
    inputs: InputStore
    payloads: Payloads
    queue: TaskQueue
    clock: Clock
    ids: Ids
    policy: Policy
    endings: Endings
    leases: Leases
    asked_by: Callable[[], str | None] = field(default=lambda: None, repr=False)
    access: Access = OWNER

    def submit(
        self,
        resource: str,
        name: str,
        action: str,
        *,
        options: Mapping[str, Any] | None = None,
        inputs: Inputs | None = None,
        timeout_s: float | None = None,
        attempts: int | None = None,
        id: str | None = None,
    ) -> Task:
        """Leave a call for a worker. `inputs` are the data that it works on, `options` JSON; it may take
        `timeout_s` seconds and be tried `attempts` times (default: as the policy says).

        Raises: BadInput; Forbidden, where the caller has no right to the call, or to a dataset that it names;
        RecordConflict, where there is a task with this `id`; QueueUnavailable, StoreFull, StoreUnavailable:
        there is no task then.
        """
        timeout_s = self.policy.timeout_s if timeout_s is None else timeout_s
        if not 0 < timeout_s <= MAX_TIMEOUT_S:
            raise BadInput(
                f"a timeout of {timeout_s:g} s cannot be kept: it must be over 0, and at most {MAX_TIMEOUT_S}"
            )
        named = {name: value for name, value in (inputs or {}).items() if isinstance(value, str)}
        self._demand(Call(resource, name, action, inputs=named))
        kept = self.inputs.put(inputs or {})
        task = Task(
            self.bucket,
            id or new_id(self.ids),
            Call(resource, name, action, options or {}, kept),
            self.clock.now(),
            timeout_s,
            attempts or self.policy.attempts,
            request_id=self.asked_by(),
        )
        try:
            task = self.records.create(task)
        except ValueError as error:
            self.inputs.remove(kept)
            raise BadInput(f"the options of {action} cannot be kept: {error}") from error
        except BaseException:
            self.inputs.remove(kept)
            raise
        return self._queued(task)

    def abandon(self, resource: str, name: str, action: str, *, reason: str, id: str) -> Task:
        """Record a call that nobody is to carry out, as a task that failed before it was begun: whoever is
        about to submit it under this `id` is refused then.

        Raises: RecordConflict, where there is a task with this `id`; StoreFull, StoreUnavailable.
        """
        now = self.clock.now()
        call, failure = Call(resource, name, action), Failure("TaskFailed", reason)
        self._demand(call)
        task = Task(self.bucket, id, call, now, self.policy.timeout_s, 1, FAILURE, ended=now, failure=failure)
        task = self.records.create(task)
        self.endings.told(task)
        self.records.close(task)
        return task

    def get(self, id: str) -> Task:
        """The task as it is now; one that was lost is taken care of first.

        Raises: NotFound.
        """
        task = self._find(id)
        if task.is_lapsed(self.clock.now()):
            return self.leases.lapse(task) or self._find(id)
        return task

    def answer(self, task: Task) -> bytes:
        """What a task has answered: JSON. One that succeeded always has, one that failed may have (`result`).

        Raises: Corrupt; NotFound, if it has expired meanwhile.
        """
        assert task.result is not None
        return b"".join(self.payloads.read(task.result, of=f"the result of task {task.id}"))

    def list(self, *, offset: int = 0, limit: int = 20) -> TaskPage:
        """One page of the tasks that the caller may see, the latest first."""
        if self.access.is_everything:
            return TaskPage(*self.records.page(self.bucket, offset=offset, limit=limit))
        # Which ones these are is known only from the tasks themselves: all are looked at.
        items, total = [], 0
        for task in self._all():
            if self._may_see(task):
                if offset <= total < offset + limit:
                    items.append(task)
                total += 1
        return TaskPage(items, total)

    def cancel(self, id: str) -> Task:
        """Ask for the end of a task: one that waits ends now, one that is being carried out as soon as its
        worker sees it. The task as it is then.

        Raises: NotFound; Conflict, where it has ended already.
        """
        while True:
            task = self._find(id)
            if task.is_final:
                raise Conflict(f"task {id} has ended already, with status {task.status}")
            if task.status == PENDING:
                revoked = self.endings.revoke_unstarted(task)
                if revoked is not None:
                    return revoked
                continue
            asked = self.records.change(
                self.bucket,
                id,
                lambda task: evolve(task, cancelled=True) if task.status in (STARTED, RETRY) else None,
            )
            if asked is None:
                continue
            if asked.status == RETRY or asked.is_lapsed(self.clock.now()):
                return self.endings.settle_orphan(asked) or self._find(id)
            return asked

    def _find(self, id: str) -> Task:
        task = self.records.find(self.bucket, id)
        if task is None or not self._may_see(task):
            raise NotFound(f"there is no task {id!r} in bucket {self.bucket!r}")
        return task

    def _demand(self, call: Call) -> None:
        for right in () if self.access.is_everything else sorted(call.rights, key=str):
            demand(self.access, right, bucket=self.bucket)

    def _may_see(self, task: Task) -> bool:
        access = self.access
        return access.is_everything or all(
            access.allows(right, bucket=self.bucket) for right in task.call.rights
        )

    def _all(self) -> Iterator[Task]:
        offset = 0
        while tasks := self.records.page(self.bucket, offset=offset, limit=_SCAN)[0]:
            yield from tasks
            offset += len(tasks)

    def _queued(self, task: Task) -> Task:
        try:
            self.queue.submit({"bucket": task.bucket, "id": task.id})
        except QueueUnavailable:
            try:
                self.records.discard(task)
            except (RecordConflict, RecordNotFound):
                # A worker that looked for lost tasks has found it before it was lost, and perhaps it is done
                # and has expired by now.
                return task
            with suppress(StoreUnavailable):
                self.inputs.remove(task.call.inputs)
            raise
        return task
