"""Looks for tasks: in the queue, among those that were lost, and by the clock."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from omega.entrypoints.work import Work
from omega.ports.queue import JSONObject, QueueUnavailable
from omega.ports.records import StoreFull, StoreUnavailable

_log: Final = logging.getLogger("omega.worker")
_CONSUME_S: Final = 0.5
_SWEEP_S: Final = 1.0
_EXPIRE_S: Final = 10.0
_SCHEDULE_S: Final = 2.0
_TROUBLE_S: Final = 0.5


class Finder(threading.Thread):
    """Finds as many tasks as are wanted. `found` is called, in this thread, whenever there is one more."""

    def __init__(self, work: Work, *, found: Callable[[], None]) -> None:
        super().__init__(name="finder", daemon=True)
        self._work = work
        self._found = found
        self._messages: deque[JSONObject] = deque()
        self._wanted = 0
        self._change = threading.Condition()
        self._stopped = False
        self._swept = self._expired = self._scheduled = 0.0
        self._trouble = ""

    def want(self, count: int) -> None:
        """Find up to `count` tasks more than have been taken."""
        with self._change:
            self._wanted = count
            self._change.notify()

    def take(self) -> JSONObject | None:
        """A message that names a task; it may have been taken by somebody else meanwhile."""
        try:
            message = self._messages.popleft()
        except IndexError:
            return None
        with self._change:
            self._wanted -= 1
        return message

    def stop(self) -> None:
        """Find no more."""
        with self._change:
            self._stopped = True
            self._change.notify()

    def run(self) -> None:
        """Look until stopped; whatever cannot be reached is tried again."""
        while not self._stopped:
            try:
                self._look()
                self._trouble = ""
            except (QueueUnavailable, StoreUnavailable, StoreFull) as error:
                if str(error) != self._trouble:
                    _log.warning("cannot look for tasks: %s", error)
                self._trouble = str(error)
                # What the queue does not give is found in the store.
                self._sweep_if_due()
                time.sleep(_TROUBLE_S)

    @property
    def _is_full(self) -> bool:
        return len(self._messages) >= self._wanted

    def _look(self) -> None:
        with self._change:
            if self._is_full:
                self._change.wait(_CONSUME_S)
        if not self._stopped:
            self._sweep_if_due()
        if not self._is_full and not self._stopped:
            message = self._work.consumer.consume(timeout_s=_CONSUME_S)
            if message is not None:
                self._give(message)

    def _sweep_if_due(self) -> None:
        now = time.monotonic()
        if now - self._swept < _SWEEP_S:
            return
        self._swept = now
        try:
            for task in self._work.sweep.waiting():
                if not self._is_full:
                    self._give({"bucket": task.bucket, "id": task.id})
            if now - self._scheduled >= _SCHEDULE_S:
                self._scheduled = now
                self._work.scheduler.tick()
            if now - self._expired >= _EXPIRE_S:
                self._expired = now
                while self._work.leases.expire() and not self._stopped:
                    pass
        except (StoreUnavailable, StoreFull, QueueUnavailable) as error:
            _log.warning("cannot look after tasks: %s", error)

    def _give(self, message: JSONObject) -> None:
        self._messages.append(message)
        self._found()
