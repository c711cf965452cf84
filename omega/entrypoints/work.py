"""Work on tasks: one attempt at one task, in whatever process, and tasks that are carried out at once."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Final, NoReturn

from attrs import field, frozen

from omega.domain.errors import OmegaError, TaskFailed, TooLarge
from omega.domain.job_schedules import Scheduler
from omega.domain.payloads import Payload, Payloads
from omega.domain.tasks import (
    Answer,
    Failure,
    LeaseLost,
    Leases,
    Policy,
    Progress,
    Sweep,
    Task,
    TaskService,
    Workers,
)
from omega.entrypoints.trail import about
from omega.ports.clock import Clock
from omega.ports.ids import Ids
from omega.ports.queue import JSONObject, TaskConsumer, TaskQueue
from omega.ports.records import StoreFull, StoreUnavailable

_log: Final = logging.getLogger("omega.worker")


@frozen
class Attempt:
    """A `Run`: one attempt at a task."""

    id: str
    since: datetime
    _check: Callable[[], object] = field(alias="check", repr=False)
    _report: Callable[[Progress], object] = field(alias="report", repr=False)

    @classmethod
    def over(cls, task: Task) -> "Attempt":
        """An attempt that was cut off."""

        def over() -> NoReturn:
            raise LeaseLost(task.id)

        return cls(task.id, task.created, over, lambda _: None)

    def check(self) -> None:
        """See `Run.check`."""
        self._check()

    def progress(self, done: int, total: int, message: str) -> None:
        """See `Run.progress`."""
        self._report(Progress(done, total, message))


@frozen
class Done:
    """The task was carried out: its answer is stored."""

    answer: Payload


@frozen
class Failed:
    """The task cannot be carried out; trying again would not help. What it says all the same is stored."""

    failure: Failure
    answer: Payload | None = None


@frozen
class Again:
    """The task could not be carried out now; later it may."""

    failure: Failure


Result = Done | Failed | Again


@frozen
class Work:
    """What workers need. `tasks` gives the task service of a bucket, `perform` carries a task out and gives
    its answer; `inline` says that tasks are carried out where they are submitted.
    """

    leases: Leases
    sweep: Sweep
    scheduler: Scheduler
    workers: Workers
    ids: Ids
    clock: Clock
    payloads: Payloads
    policy: Policy
    queue: TaskQueue
    consumer: TaskConsumer
    inline: bool
    tasks: Callable[[str], TaskService]
    perform: Callable[[Task, Attempt], Answer]
    close: Callable[[], None]

    def attempt(self, task: Task, holder: str, report: Callable[[Progress], object]) -> Result:
        """Try to carry out a task whose lease `holder` has. It is not ended here: the result says how to.

        Raises: LeaseLost.
        """
        with about(request_id=task.request_id, task_id=task.id):
            return self._tried(task, holder, report)

    def _tried(self, task: Task, holder: str, report: Callable[[Progress], object]) -> Result:
        run = Attempt(task.id, task.created, lambda: self.leases.check(task, holder=holder), report)
        call = task.call
        _log.info("attempt %d at %s %s %s", task.attempts, call.resource, call.name, call.action)
        try:
            answer = self.perform(task, run)
            size = len(answer.content)
            if size > self.policy.result_bytes:
                raise TooLarge(f"the result has {size:,} bytes, the limit is {self.policy.result_bytes:,}")
            stored = self.payloads.write([answer.content])
            return Done(stored) if answer.failure is None else Failed(answer.failure, stored)
        except StoreUnavailable as error:
            return Again(Failure.of(error))
        except (OmegaError, StoreFull) as error:
            return Failed(Failure.of(error))
        except LeaseLost:
            raise
        except MemoryError:
            return Failed(Failure(TaskFailed.__name__, "there was not enough memory for this task"))
        except Exception:  # noqa: BLE001  it must not end the process; it is logged, and the task fails
            _log.exception("task %s failed", task.id)
            return Failed(
                Failure(
                    TaskFailed.__name__, f"the task failed; the worker's log has the reason under {task.id}"
                )
            )

    def run_waiting(self) -> None:
        """Carry out all tasks in the queue, here and now."""
        while (message := self.consumer.consume(timeout_s=0)) is not None:
            holder = f"inline {self.ids.new()}"
            task = self.claim(message, holder)
            if task is not None:
                with suppress(LeaseLost):
                    self._finish(task, holder, self._attempted_here(task, holder))
        self.leases.expire()

    def claim(self, message: JSONObject, holder: str) -> Task | None:
        """Take the task that a message tells of; `None` where there is nothing to be done."""
        bucket, id = message.get("bucket"), message.get("id")
        if not (isinstance(bucket, str) and isinstance(id, str)):
            _log.warning("a message in the queue names no task: it is dropped")
            return None
        return self.leases.claim(bucket, id, holder=holder)

    def _attempted_here(self, task: Task, holder: str) -> Result:
        def report(progress: Progress) -> None:
            self.leases.renew(task, holder=holder, progress=progress)

        with self._kept(task, holder):
            return self.attempt(task, holder, report)

    @contextmanager
    def _kept(self, task: Task, holder: str) -> Iterator[None]:
        """Renew the lease of a task in a thread of its own."""
        over = threading.Event()

        def keep() -> None:
            while not over.wait(self.policy.lease_s / 3):
                with suppress(LeaseLost, StoreUnavailable, StoreFull):
                    self.leases.renew(task, holder=holder)

        keeper = threading.Thread(target=keep, name="lease-keeper", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()

    def _finish(self, task: Task, holder: str, result: Result) -> None:
        match result:
            case Done(answer):
                self.leases.endings.succeed(task, holder, answer)
            case Failed(failure, said):
                self.leases.endings.fail(task, holder, failure, said)
            case Again(failure):
                self.leases.endings.fail(task, holder, failure)


def log_end(task: Task) -> None:
    """Say in the log how a task has ended."""
    with about(request_id=task.request_id, task_id=task.id):
        words = "" if task.failure is None else f": {task.failure.message}"
        _log.info("the task has ended: %s%s", task.status, words)
