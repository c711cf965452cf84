"""A server of somebody else's, on a free loopback port and in a directory of its own."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Self

from tests.support.server import READY_WITHIN_S, free_port


def program(name: str, *, package: str, places: str = "") -> str:
    """Where a server's program is: on the PATH, or in one of `places` (a pattern under /)."""
    found = shutil.which(name) or next((str(path) for path in Path("/").glob(places or name)), None)
    assert found is not None, f"{name} is missing: `make test` installs it (Debian's package {package})"
    return found


class ServerProcess(ABC):
    """Runs for the time of a `with` block, and may be killed, frozen and started again in it."""

    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self) -> None:
        self.port = free_port()
        # Not pytest's: its directories are closed to the user that PostgreSQL runs as.
        self.directory = Path(tempfile.mkdtemp(prefix="omega-server-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def runs(self) -> bool:
        return self._process is not None

    @property
    @abstractmethod
    def url(self) -> str:
        """Of a queue in this server."""

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def answers(self) -> bool: ...

    def prepare(self) -> None:  # noqa: B027  # most need nothing
        """What is done before the first start."""

    def identity(self) -> dict[str, Any]:
        """The options of `Popen` that say as whom the server runs."""
        return {}

    def __enter__(self) -> Self:
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        shutil.rmtree(self.directory)

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers."""
        if self._process is not None:
            return
        log = self.directory / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                **self.identity(),
            )
        deadline = time.monotonic() + READY_WITHIN_S
        while not self.answers():
            assert self._process.poll() is None, f"the server did not start:\n{log.read_text()[-4000:]}"
            assert time.monotonic() < deadline, f"the server does not answer:\n{log.read_text()[-4000:]}"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it and its children at once, as a power cut does."""
        assert self._process is not None
        # Frozen first, so that it starts no more children; they hold its memory until they are gone.
        self._process.send_signal(signal.SIGSTOP)
        children = self._children()
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._process = None
        deadline = time.monotonic() + READY_WITHIN_S
        while any(_is_alive(child) for child in children):
            assert time.monotonic() < deadline, f"children of the server do not end: {children}"
            time.sleep(0.02)

    def freeze(self) -> None:
        """Let it keep its connections and say nothing more from now on."""
        self._signal(signal.SIGSTOP)
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._is_stopped():
            assert time.monotonic() < deadline, "the server does not stop"
            time.sleep(0.001)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it as an administrator does."""
        if self._process is None:
            return
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(READY_WITHIN_S)
        finally:
            if self._process.poll() is None:
                self.kill()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        for child in self._children():
            with suppress(ProcessLookupError):
                os.kill(child, number)
        self._process.send_signal(number)

    def _is_stopped(self) -> bool:
        """Whether all its threads are (proc(5), /proc/pid/stat): a busy machine stops them one by one."""
        assert self._process is not None
        threads = Path(f"/proc/{self._process.pid}/task").glob("*/stat")
        return all(thread.read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)

    def _children(self) -> list[int]:
        assert self._process is not None
        pid = self._process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
