"""The supervisor: gives tasks to processes, keeps their leases, and ends them when they are to end.

It writes all that is known of a task, so that what a task does to its own process cannot make it wrong.
"""

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import wait
from typing import Any, Final

from attrs import define, evolve, field

from omega.domain.errors import Cancelled, TaskFailed, TimedOut
from omega.domain.tasks import Failure, LeaseLost, Progress, Task, WorkerInfo
from omega.domain.tasks.workers import BEAT_S
from omega.entrypoints.work import Again, Done, Failed, Result, Work
from omega.entrypoints.worker.finder import Finder
from omega.entrypoints.worker.messages import decoded, receive
from omega.entrypoints.worker.processes import adopt_orphans, end_descendants
from omega.entrypoints.worker.slot import Attempt, Slot
from omega.ports.records import StoreFull, StoreUnavailable

_log: Final = logging.getLogger("omega.worker")
_TICK_S: Final = 0.1
_LOOK_S: Final = 0.5
#: Memory that leaks in libraries goes with the process.
_TASKS_PER_PROCESS: Final = 500
_RESTART_PAUSE_S: Final = 0.5
_STARTS_AT_ONCE: Final = max(1, len(os.sched_getaffinity(0)) // 2)


@define(eq=False)
class Supervisor:
    """Carries out tasks in `processes` processes until SIGTERM or SIGINT.

    Then tasks under way get `grace_s` seconds; what is not done by then, or by a second signal, is handed
    back for another worker. With `life_line`, a file descriptor, the end of what can be read there is as good
    as two signals, and SIGINT is not for this process.
    """

    work: Work
    processes: int
    grace_s: float = 30
    life_line: int | None = None
    ready: Callable[[], object] = lambda: None
    _slots: list[Slot] = field(factory=list, init=False)
    _finder: Finder = field(init=False)
    _signals: int = field(default=0, init=False)
    _stopping: float | None = field(default=None, init=False)
    _beat: float = field(default=0.0, init=False)
    _started: float = field(default=0.0, init=False)
    _wake: tuple[int, int] = field(factory=os.pipe, init=False)
    _info: WorkerInfo = field(init=False)

    def __attrs_post_init__(self) -> None:
        for end in self._wake:
            os.set_blocking(end, False)
        self._finder = Finder(self.work, found=self._wake_up)
        now = self.work.clock.now()
        id, host = self.work.ids.new(), socket.gethostname()[:255]
        self._info = WorkerInfo(id, host, os.getpid(), self.processes, 0, now, now)

    def run(self) -> None:
        """Work until told to stop."""
        adopt_orphans()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)
        if self.life_line is not None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._announce()
        self._finder.start()
        self.ready()
        try:
            while self._stopping is None or self._slots:
                self._tick()
        finally:
            self._finder.stop()
            for slot in self._slots:
                slot.close()
            end_descendants()
            with suppress(StoreUnavailable, StoreFull):
                self.work.workers.leave(self._info.id)

    # one round

    def _tick(self) -> None:
        self._start_missing()
        self._sleep()
        now = time.monotonic()
        if self._stopping is None and self._signals:
            _log.warning("stopping: tasks under way have %g s", self.grace_s)
            self._stopping = now
            self._finder.stop()
        for slot in list(self._slots):
            self._hear(slot)
            try:
                if now >= slot.quiet_until:
                    self._tend(slot, now)
            except (StoreUnavailable, StoreFull) as error:
                # Tried again soon, until it succeeds or the lease is somebody else's.
                _log.warning("cannot write about a task: %s", error)
                slot.quiet_until = now + _LOOK_S
            except LeaseLost:
                self._lose(slot)
        if self._stopping is None:
            self._give_out()
        if now - self._beat >= BEAT_S:
            self._announce()

    def _sleep(self) -> None:
        """Until something happens, or for a moment."""
        sources: list[Any] = [slot.connection for slot in self._slots if not slot.connection.closed]
        lines = [] if self.life_line is None else [self.life_line]
        ready = wait([*sources, *lines, self._wake[0]], timeout=_TICK_S)
        if self._wake[0] in ready:
            with suppress(BlockingIOError):
                os.read(self._wake[0], 4096)
        if self.life_line in ready:
            self.life_line = None
            self._signals = 2

    def _start_missing(self) -> None:
        missing = self._stopping is None and len(self._slots) < self.processes
        # A start takes a core for a second. The server that starts beside needs one too, and the first task
        # is not begun the sooner for two processes that are half ready.
        missing = missing and sum(slot.is_starting for slot in self._slots) < _STARTS_AT_ONCE
        # Processes that die at their start must not keep the machine busy.
        if missing and time.monotonic() - self._started >= _RESTART_PAUSE_S / self.processes:
            self._slots.append(Slot.start())
            self._started = time.monotonic()

    def _give_out(self) -> None:
        idle = [slot for slot in self._slots if slot.is_idle]
        while idle and (message := self._finder.take()) is not None:
            holder = self.work.ids.new()
            try:
                task = self.work.claim(message, holder)
            except (StoreUnavailable, StoreFull) as error:
                _log.warning("cannot take a task: %s", error)
                break
            if task is not None:
                idle.pop().begin(task, holder)
        self._finder.want(len(idle))

    def _announce(self) -> None:
        self._beat = time.monotonic()
        busy = sum(slot.attempt is not None for slot in self._slots)
        with suppress(StoreUnavailable, StoreFull):
            self.work.workers.announce(evolve(self._info, busy=busy))

    # one slot

    def _hear(self, slot: Slot) -> None:
        """Take in what the process says."""
        try:
            while not slot.connection.closed and slot.connection.poll():
                self._heard(slot, receive(slot.connection))
        except (EOFError, OSError):
            slot.fall_silent()

    def _heard(self, slot: Slot, message: Any) -> None:
        if "ready" in message:
            slot.ready = True
        attempt = slot.attempt
        if attempt is None or attempt.after is not None:
            return
        if "progress" in message:
            attempt.progress = Progress(**message["progress"])
        elif "lost" in message:
            slot.attempt = None
        elif (result := decoded(message)) is not None:
            attempt.after = partial(self._finish, attempt, result)

    def _tend(self, slot: Slot, now: float) -> None:
        """See to the task and the process of a slot.

        Raises: LeaseLost; StoreUnavailable, StoreFull: then it is to be done again.
        """
        attempt = slot.attempt
        if slot.is_gone:
            if attempt is not None:
                failure = Failure(TaskFailed.__name__, f"the task did not end: {slot.how_it_ended()}")
                self._conclude(slot, attempt.after or partial(self._settle, attempt, failure))
            self._bury(slot)
        elif slot.closed is not None or slot.is_lingering:
            slot.close()
        elif attempt is None:
            if self._stopping is not None or slot.served >= _TASKS_PER_PROCESS:
                slot.close()
        elif attempt.after is not None:
            self._conclude(slot, attempt.after)
        else:
            self._look_after(slot, attempt, now)

    def _conclude(self, slot: Slot, after: Callable[[], object]) -> None:
        after()
        slot.attempt = None

    def _look_after(self, slot: Slot, attempt: Attempt, now: float) -> None:
        """Keep the lease of an attempt that goes on; end the attempt where it is to end."""
        if self._stopping is not None and (self._signals > 1 or now - self._stopping >= self.grace_s):
            self._end(slot, partial(self._hand_back, attempt))
            return
        if now >= attempt.deadline:
            words = f"the task took longer than {attempt.task.timeout_s:g} s, which is its limit"
            self._end(slot, partial(self._settle, attempt, Failure(TimedOut.__name__, words)))
            return
        if now - attempt.looked < _LOOK_S:
            return
        attempt.looked = now
        try:
            self.work.leases.check(attempt.task, holder=attempt.holder)
        except Cancelled:
            self._end(slot, partial(self._settle, attempt, None))
            return
        if attempt.progress is not None or now - attempt.renewed >= self.work.policy.lease_s / 3:
            self.work.leases.renew(attempt.task, holder=attempt.holder, progress=attempt.progress)
            attempt.renewed, attempt.progress = now, None

    def _end(self, slot: Slot, after: Callable[[], object]) -> None:
        assert slot.attempt is not None
        slot.attempt.after = after
        slot.close()

    def _lose(self, slot: Slot) -> None:
        """The task is somebody else's: what the process does for it is worth nothing."""
        if slot.attempt is not None:
            _log.warning("task %s is carried out by another worker by now", slot.attempt.task.id)
        slot.attempt = None
        slot.close()

    def _bury(self, slot: Slot) -> None:
        slot.release()
        self._slots.remove(slot)
        if slot.guard.returncode < 0:
            # The guard itself was killed: what was below it is ours now.
            end_descendants(but={other.guard.pid for other in self._slots})

    # how attempts end

    def _finish(self, attempt: Attempt, result: Result) -> None:
        endings, task = self.work.leases.endings, attempt.task
        match result:
            case Done(answer):
                endings.succeed(task, attempt.holder, answer)
            case Failed(failure, said):
                endings.fail(task, attempt.holder, failure, said)
            case Again(failure) if task.attempts >= task.max_attempts:
                endings.fail(task, attempt.holder, failure)
            case Again(_):
                self.work.leases.give_back(task, holder=attempt.holder, counts=True)

    def _settle(self, attempt: Attempt, failure: Failure | None) -> None:
        task = self._current(attempt)
        self.work.leases.endings.settle(task, attempt.holder, None if task.cancelled else failure)

    def _hand_back(self, attempt: Attempt) -> None:
        self.work.leases.give_back(attempt.task, holder=attempt.holder, counts=False)

    def _current(self, attempt: Attempt) -> Task:
        found = self.work.leases.records.find(attempt.task.bucket, attempt.task.id)
        if found is None:
            raise LeaseLost(attempt.task.id)
        return found

    # signals

    def _signalled(self, number: int, frame: object) -> None:
        self._signals += 1
        self._wake_up()

    def _wake_up(self) -> None:
        with suppress(BlockingIOError):
            os.write(self._wake[1], b".")


def supervise(
    work: Work,
    *,
    processes: int,
    grace_s: float,
    with_parent: bool = False,
    ready: Callable[[], object] = lambda: None,
) -> None:
    """Run a supervisor in this process; `with_parent`, as long as its standard input lasts."""
    life_line = sys.stdin.fileno() if with_parent else None
    Supervisor(work, processes, grace_s, life_line, ready).run()
