"""Time and memory of a run, watched while papermill is busy with it."""

import os
import threading
import time
from typing import Final, Literal

from attrs import define, field

from omega.adapters.papermill_notebooks import processes

INTERVAL_S: Final = 0.1


@define
class Watch:
    """Ends all processes below this one once they are over a limit, and remembers over which."""

    deadline: float
    memory_bytes: int
    verdict: Literal["timeout", "memory"] | None = None
    _ended: threading.Event = field(factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; the verdict is final."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(INTERVAL_S):
            found = processes.below(os.getpid())
            if self.verdict is None and time.monotonic() >= self.deadline:
                self.verdict = "timeout"
            elif self.verdict is None and processes.resident_bytes(found) > self.memory_bytes:
                self.verdict = "memory"
            if self.verdict is not None:
                processes.end(lambda: processes.below(os.getpid()))
