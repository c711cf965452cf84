"""The runner's side of a guarded process: read what it prints, hold it to its limits, see that it is gone."""

import codecs
import contextlib
import os
import secrets
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final, Literal

import psutil
from attrs import define, field, frozen

from omega.adapters.subprocess_scripts import guard

#: An environment variable that the processes of a call inherit: by it they are found should they kill the
#: guard.
MARK: Final = "OMEGA_SCRIPT_CALL"
_POLL_S: Final = 0.1
_GUARD_S: Final = 0.5
_SWEEP_S: Final = 5.0
_CHUNK_BYTES: Final = 1 << 16
_DONE: Final = "done\n"


@define
class Output:
    """The first `limit` bytes of a stream, and how many came."""

    limit: int
    size: int = field(default=0, init=False)
    _kept: bytearray = field(factory=bytearray, init=False)

    def add(self, data: bytes) -> None:
        """The next bytes of the stream."""
        self._kept += data[: max(0, self.limit - self.size)]
        self.size += len(data)

    def text(self) -> str:
        """What was kept, with a marker where more came. Bytes that are not UTF-8 become U+FFFD."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        if self.size <= self.limit:
            return decoder.decode(self._kept, final=True)
        # A character that the limit cuts in two is left out.
        return f"{decoder.decode(self._kept)}\n[{self.size - self.limit:,} more bytes were dropped]\n"


@frozen
class Ended:
    """How a guarded process ended: over a limit, or by itself with an exit code (negative: a signal), or
    without either where it killed its guard.
    """

    over: Literal["timeout", "memory"] | None
    code: int | None
    stdout: str
    stderr: str


def watch(
    command: Sequence[str],
    *,
    home: Path,
    directory: Path,
    environment: Mapping[str, str],
    timeout_s: float,
    memory_bytes: int,
    output_bytes: int,
) -> Ended:
    """Run `command` in `directory` under a guard, until it ends or is over a limit; no process of it is left
    then. Should this process die first, `home` is removed.

    Raises: OSError where it cannot be started; ValueError for an environment that a process cannot have.
    """
    token = secrets.token_hex(16)
    with contextlib.ExitStack() as stack:
        held, lifeline = _pipe(stack)
        reports, report = _pipe(stack)
        process = stack.enter_context(
            # -I: neither the environment nor the working directory chooses the guard's modules.
            subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-S", guard.__file__, str(report.fileno()), str(home), *command],
                stdin=held,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[report.fileno()],
                cwd=directory,
                env={**environment, MARK: token},
                start_new_session=True,
            )
        )
        stack.callback(lifeline.close)  # whatever happens, before the process is waited for
        held.close()
        report.close()
        streams = _Streams(stack.enter_context(selectors.DefaultSelector()))
        stdout = streams.add(process.stdout, output_bytes)
        stderr = streams.add(process.stderr, output_bytes)
        told = streams.add(reports, _CHUNK_BYTES)
        try:
            over = _hold(streams, reports, psutil.Process(process.pid), timeout_s, memory_bytes)
        finally:
            lifeline.close()
            _end(process, streams, reports, told, token)
        if process.returncode > 0:  # not killed, by the script or by us
            raise ChildProcessError(f"the guard failed: {stderr.text().strip().rpartition(chr(10))[2]}")
        return Ended(over, _code(told.text()), stdout.text(), stderr.text())


def _pipe(stack: contextlib.ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    read, write = os.pipe()
    return stack.enter_context(os.fdopen(read, "rb", 0)), stack.enter_context(os.fdopen(write, "wb", 0))


@define
class _Streams:
    """Pipes that are read as far as they have something."""

    _selector: selectors.BaseSelector

    def add(self, pipe: IO[bytes] | None, limit: int) -> Output:
        """Read this one, too."""
        output = Output(limit)
        if pipe is not None:
            self._selector.register(pipe, selectors.EVENT_READ, output)
        return output

    def read(self, wait_s: float) -> bool:
        """Read what comes first within `wait_s`; `False` if nothing did."""
        ready = self._selector.select(max(0.0, wait_s))
        for key, _ in ready:
            if data := os.read(key.fd, _CHUNK_BYTES):
                key.data.add(data)
            else:
                self._selector.unregister(key.fileobj)
        return bool(ready)

    def open(self, pipe: IO[bytes] | None) -> bool:
        """Whether the pipe, or any of them, may still have something."""
        pipes = self._selector.get_map()
        return bool(pipes) if pipe is None else pipe in pipes


def _hold(
    streams: _Streams, reports: IO[bytes], process: psutil.Process, timeout_s: float, memory_bytes: int
) -> Literal["timeout", "memory"] | None:
    """Wait until the guard is done, or until the limit that is named."""
    end = time.monotonic() + timeout_s
    look = 0.0
    while streams.open(reports):
        if (now := time.monotonic()) >= end:
            return "timeout"
        if now >= look:
            if _resident_bytes(process) > memory_bytes:
                return "memory"
            look = time.monotonic() + _POLL_S
        streams.read(min(look, end) - now)
    return None


def _resident_bytes(process: psutil.Process) -> int:
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        for descendant in process.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                total += descendant.memory_info().rss
    return total


def _end(
    process: "subprocess.Popen[bytes]", streams: _Streams, reports: IO[bytes], told: Output, token: str
) -> None:
    """The lifeline is closed: see that the guard ends everything, or do it in its place."""
    for patience_s in (_GUARD_S, _SWEEP_S):
        process.send_signal(signal.SIGCONT)  # the script may have stopped it
        if _drained(streams, reports, patience_s):
            break
        _sweep(token, but=process.pid)
    process.kill()
    process.wait()
    if _DONE not in told.text():
        _sweep(token)
    # What the pipes still hold. Who got away may hold them open for ever.
    _drained(streams, None, _GUARD_S)


def _drained(streams: _Streams, pipe: IO[bytes] | None, patience_s: float) -> bool:
    """Read on until the end of `pipe` (`None`: of all), at most so long; whether that came."""
    end = time.monotonic() + patience_s
    while streams.open(pipe):
        if (left := end - time.monotonic()) <= 0:
            return False
        streams.read(left)
    return True


def _sweep(token: str, *, but: int | None = None) -> None:
    """Kill all processes that bear the token, except one."""
    end = time.monotonic() + _SWEEP_S
    while time.monotonic() < end and (found := [p for p in _bearers(token) if p.pid != but]):
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(found, timeout=_POLL_S)


def _bearers(token: str) -> Iterator[psutil.Process]:
    # Not psutil.process_iter: it remembers processes, and does not kill one that has got the id of another.
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            if process.environ().get(MARK) == token:
                yield process


def _code(told: str) -> int | None:
    how, _, number = told.partition("\n")[0].partition(" ")
    return {"exit": 1, "signal": -1}[how] * int(number) if number else None
