"""Waiting for a task to end."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from attrs import define, field

from omega.domain.errors import Cancelled, Conflict, NoWorker
from omega.domain.tasks import PENDING, RETRY, REVOKED, SUCCESS, Task, TaskService, Workers

FIRST_LOOK_S: Final = 0.005
LONGEST_PAUSE_S: Final = 0.25
#: A worker that has just been started needs this long to say that it is there.
NO_WORKER_S: Final = 20.0
_LOOK_FOR_WORKERS_S: Final = 2.0


@define
class Waiting:
    """A wait for the end of a task, by those who called for it and want its answer now: where there is nobody
    to carry it out, it is called off.
    """

    task: Task
    _tasks: TaskService = field(alias="tasks", repr=False)
    _workers: Workers = field(alias="workers", repr=False)
    _clock: Callable[[], float] = field(default=time.monotonic, alias="clock", repr=False)
    _looked: float = field(init=False)
    _worked: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._looked = self._worked = self._clock()

    def ready(self) -> bool:
        """Whether the task has ended.

        Raises: NoWorker, after a while in which there was no worker; the task has been cancelled then.
        NotFound.
        """
        self.task = self._tasks.get(self.task.id)
        now = self._clock()
        if self.task.status not in (PENDING, RETRY):
            self._worked = now
        elif now - self._looked >= _LOOK_FOR_WORKERS_S:
            self._looked = now
            if self._workers.alive():
                self._worked = now
            elif now - self._worked >= NO_WORKER_S:
                self._call_off()
        return self.task.is_final

    def until_ready(self, *, timeout_s: float | None = None) -> Task:
        """Wait, in this thread. The task as it is at its end, or after `timeout_s`.

        Raises: as `ready`.
        """
        started, pause_s = self._clock(), FIRST_LOOK_S
        while not self.ready() and (timeout_s is None or self._clock() - started < timeout_s):
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.3, LONGEST_PAUSE_S)
        return self.task

    def answer(self) -> bytes:
        """The answer of the task, which has ended, as JSON; also of one that failed, if it has one.

        Raises: what the call would have raised; Cancelled.
        """
        return self._tasks.answer(self.task) if self.task.result else answer_of(self.task, self._tasks)

    def _call_off(self) -> None:
        with suppress(Conflict):
            self.task = self._tasks.cancel(self.task.id)
        if self.task.status == REVOKED:
            raise NoWorker("no worker is running that could do this: start one with `om runtime worker`")


def answer_of(task: Task, tasks: TaskService) -> bytes:
    """The answer of a task that has ended, as JSON.

    Raises: what the call would have raised; Cancelled.
    """
    if task.status == SUCCESS:
        return tasks.answer(task)
    if task.failure is not None:
        raise task.failure.error()
    raise Cancelled(f"task {task.id} was cancelled")
