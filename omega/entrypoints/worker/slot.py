"""A place for one task at a time: a process that carries it out, and what is known of the attempt."""

import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Final

from attrs import define, field

from omega.domain.tasks import Progress, Task
from omega.entrypoints.worker.messages import send

_GUARD_ENDS_S: Final = 5.0
_DIES_S: Final = 1.0
_STARTS_S: Final = 10.0


@define(eq=False)
class Attempt:
    """One attempt at a task: since when, how far it has come, and until when it may go on.

    `after` is what is to be done with the task once the process is gone; without it, the process was not told
    to go.
    """

    task: Task
    holder: str
    started: float = field(factory=time.monotonic)
    looked: float = field(factory=time.monotonic)
    renewed: float = field(factory=time.monotonic)
    progress: Progress | None = None
    after: Callable[[], object] | None = None

    @property
    def deadline(self) -> float:
        """When its time is over."""
        return self.started + self.task.timeout_s


@define(eq=False)
class Slot:
    """A guard and the process below it. `ready` says that it waits for a task, or carries one out."""

    guard: subprocess.Popen[bytes]
    connection: "Connection[Any, Any]"
    ready: bool = False
    served: int = 0
    attempt: Attempt | None = None
    closed: float | None = None
    silent: float | None = None
    quiet_until: float = 0.0
    started: float = field(factory=time.monotonic)

    @classmethod
    def start(cls, module: str = "omega.entrypoints.worker.child") -> "Slot":
        """A new one, whose process runs `module`; it says that it is ready when it is."""
        ours, theirs = Pipe()
        guard = subprocess.Popen(  # noqa: S603  our own program
            [sys.executable, "-m", "omega.entrypoints.worker.guard", str(theirs.fileno()), module],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.PIPE,
            # A terminal's Ctrl-C is for the supervisor.
            start_new_session=True,
        )
        theirs.close()
        return cls(guard, ours)

    @property
    def is_starting(self) -> bool:
        """Whether its process is busy with its start: not one that has taken very long and may never be
        ready.
        """
        begun = not self.ready and self.served == 0 and self.closed is None and self.silent is None
        return begun and time.monotonic() - self.started < _STARTS_S

    @property
    def is_idle(self) -> bool:
        """Whether it can take a task."""
        return self.ready and self.attempt is None and self.closed is None

    @property
    def is_gone(self) -> bool:
        """Whether its processes have ended; all of them, unless the guard was killed."""
        return self.guard.poll() is not None

    @property
    def is_lingering(self) -> bool:
        """Whether the process should have ended by now: it has nobody to talk to."""
        return self.silent is not None and time.monotonic() - self.silent > _DIES_S

    def fall_silent(self) -> None:
        """Its process has closed its end of the connection: it is about to end, and the guard will say
        how."""
        self.connection.close()
        self.ready = False
        self.silent = time.monotonic()

    def begin(self, task: Task, holder: str) -> None:
        """Let it carry out a task. That it is gone shows later."""
        self.attempt = Attempt(task, holder)
        self.served += 1
        try:
            send(self.connection, {"bucket": task.bucket, "id": task.id, "holder": holder})
        except OSError:
            return

    def close(self) -> None:
        """End its processes; `is_gone` says when they have."""
        if self.closed is None:
            assert self.guard.stdin is not None
            self.guard.stdin.close()
            self.closed = time.monotonic()
        elif time.monotonic() - self.closed > _GUARD_ENDS_S:
            self.guard.kill()

    def release(self) -> None:
        """Let go of what is left once it is gone."""
        self.close()
        self.connection.close()

    def how_it_ended(self) -> str:
        """In words."""
        code = self.guard.returncode
        number = -code if code < 0 else code - 128
        if number == 9:
            return "its process was killed (signal 9), as it is when the machine runs out of memory"
        if number > 0:
            return f"its process was ended by signal {number}"
        return f"its process ended with exit code {code}"
