"""Threads that run blocking calls for an event loop (docs/adr/0022).

Threads of Python take turns at one lock: more of them at a time only stand in each other's way, unless they
wait for something else. So calls are run by one thread, one after the other, and others help as soon as that
one is held up by a long call, or as the threads wait (for a disk, a network) more than they compute.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, Protocol, TypeVar

from attrs import define, field, frozen

T = TypeVar("T")
#: So long a thread may be at one call before another one takes what waits behind it.
_PATIENCE_S: Final = 0.004
#: Shares of the clock's time that the process computes: below, one more thread is of use; above, one less.
_MOSTLY_WAITING: Final = 0.5
_MOSTLY_COMPUTING: Final = 0.9
#: So many calls are finished together at most.
MAX_TOGETHER: Final = 64


class Joint(Protocol):
    """What a call may return in place of its result where it can be finished together with others: those that
    have come as far by the time that no other call waits.
    """

    @property
    def key(self) -> Hashable:
        """What those that can be finished together have in common."""

    def finish(self, joints: Sequence[Any]) -> Sequence[Any]:
        """The results of all `joints`, which have this one's key, in their order; an exception among them is
        raised to who called.
        """


@frozen(eq=False)
class _Job:
    function: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"


def _held_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@define(eq=False)
class _Worker:
    """A thread. `since` is when it took what it is at; one that is `away` has been at it for long."""

    #: Held but for the moment in which it is woken: a lock is cheaper than a semaphore.
    signal: threading.Lock = field(factory=_held_lock)
    since: float = 0.0
    away: bool = False


@frozen(eq=False)
class _Look:
    """What was seen at the last look at the threads."""

    loop: asyncio.AbstractEventLoop
    at: float
    computed: float


class Threads:
    """Up to `count` threads that take calls in the order given. They end with the process, whatever they do
    then.

    (A `ThreadPoolExecutor` holds the process until its calls are done.)
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = threading.Lock()
        self._jobs: deque[_Job] = deque()
        self._held: list[tuple[_Job, Joint]] = []
        self._done: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
        self._asleep: list[_Worker] = []
        self._awake: set[_Worker] = set()
        #: Of those awake, how many are not away; and how many there are to be.
        self._present, self._wanted = 0, 1
        self._look: _Look | None = None

    async def run(self, function: Callable[[], T | Joint]) -> T:
        """What `function` returns, called in one of the threads, or what comes of the `Joint` that it
        returns.

        Raises: whatever `function` raises.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lock:
            self._jobs.append(_Job(function, loop, future))
            self._call_in(time.monotonic())
        if self._look is None or self._look.loop is not loop:
            self._look_later(loop)
        return await future

    # what the event loop does

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._look = _Look(loop, time.monotonic(), time.process_time())
        loop.call_later(_PATIENCE_S, self._look_at, self._look)

    def _look_at(self, last: _Look) -> None:
        """See whether what waits is taken, as long as anything waits."""
        if self._look is not last:
            return
        now = time.monotonic()
        share = (time.process_time() - last.computed) / (now - last.at)
        with self._lock:
            if not (self._jobs or self._held):
                self._look, self._wanted = None, 1
                return
            if share < _MOSTLY_WAITING:
                self._wanted = min(self._wanted + 1, self._count)
            elif share > _MOSTLY_COMPUTING:
                self._wanted = max(self._wanted - 1, 1)
            self._call_in(now)
        self._look_later(last.loop)

    def _call_in(self, now: float) -> None:
        """Wake one thread more, if there are fewer at hand than wanted; the lock is held."""
        for worker in self._awake:
            if not worker.away and now - worker.since > _PATIENCE_S:
                worker.away = True
                self._present -= 1
        if self._present >= self._wanted:
            return
        if self._asleep:
            worker = self._asleep.pop()
            worker.signal.release()
        elif len(self._awake) < self._count:
            worker = _Worker()
            name = f"omega-{len(self._awake)}"
            threading.Thread(target=self._work, args=(worker,), name=name, daemon=True).start()
        else:
            return
        worker.since = now
        self._awake.add(worker)
        self._present += 1

    # what the threads do

    def _work(self, worker: _Worker) -> None:
        while True:
            step = self._next(worker)
            if step is None:
                worker.signal.acquire()
            else:
                step()
            # A thread waits long for its next call: what the last one held may go meanwhile.
            del step

    def _next(self, worker: _Worker) -> Callable[[], None] | None:
        """What this thread is to do next; it sleeps where there is nothing, or are enough others."""
        with self._lock:
            worker.since = time.monotonic()
            if worker.away:
                worker.away = False
                self._present += 1
            # One too many sleeps only while somebody looks after those that are left.
            if self._present <= self._wanted or self._look is None:
                if self._held and (not self._jobs or len(self._held) >= MAX_TOGETHER):
                    held, self._held = self._held[:MAX_TOGETHER], self._held[MAX_TOGETHER:]
                    return lambda: self._finish(held)
                if self._jobs:
                    job = self._jobs.popleft()
                    return lambda: self._begin(job)
            self._present -= 1
            self._awake.discard(worker)
            self._asleep.append(worker)
            return None

    def _begin(self, job: _Job) -> None:
        try:
            result = job.function()
        except BaseException as raised:  # noqa: BLE001  it is raised again where the result is awaited
            self._deliver([(job, raised)])
            return
        if hasattr(result, "finish"):
            with self._lock:
                self._held.append((job, result))
        else:
            self._deliver([(job, result)])

    def _finish(self, held: Sequence[tuple[_Job, Joint]]) -> None:
        groups: dict[Hashable, list[tuple[_Job, Joint]]] = {}
        for job, joint in held:
            groups.setdefault(joint.key, []).append((job, joint))
        for group in groups.values():
            jobs, joints = zip(*group, strict=True)
            try:
                results = joints[0].finish(joints)
            except BaseException as raised:  # noqa: BLE001  as above
                results = [raised] * len(jobs)
            self._deliver(list(zip(jobs, results, strict=True)))

    def _deliver(self, results: Sequence[tuple[_Job, Any]]) -> None:
        """Give their results to those who wait. A loop that has been told so and has not come to it yet takes
        these with the others: to wake it takes a system call.
        """
        untold = []
        with self._lock:
            for job, result in results:
                if (done := self._done.get(job.loop)) is None:
                    done = self._done[job.loop] = []
                    untold.append(job.loop)
                done.append((job.future, result))
        for loop in untold:
            if loop.is_closed():
                with self._lock:
                    self._done.pop(loop)
            else:
                loop.call_soon_threadsafe(self._settle, loop)

    def _settle(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            results = self._done.pop(loop)
        for future, result in results:
            if future.done():
                continue
            if isinstance(result, StopIteration):  # which a future cannot hold
                future.set_exception(RuntimeError("the call raised StopIteration"))
            elif isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)
