"""The processes that a run has started: found, measured and ended, whatever they did to hide.

A process keeps its parent only as long as that lives. On Linux the host of a run (see `host`) is their
subreaper: what loses its parent becomes the host's child, so all of them stay below it. Where there is no
such thing, and where the host itself was killed, they are found by a mark in their environment.
"""

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import psutil

#: The environment variable that marks all processes of a run.
MARK = "OMEGA_NOTEBOOK_RUN"
#: How long it is tried to end processes that go on starting others.
PATIENCE_S = 2.0

_PR_SET_CHILD_SUBREAPER = 36
_FIRST_TO_GO = "1000"


def adopt_orphans() -> None:
    """Become the parent of all processes below this one that lose theirs (Linux; see prctl(2))."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def volunteer_when_memory_is_short() -> None:
    """If the machine runs out of memory, let it end this process and those below it, not the server."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)


def below(pid: int) -> list[psutil.Process]:
    """All processes below `pid` that live."""
    with suppress(psutil.NoSuchProcess):
        return [process for process in psutil.Process(pid).children(recursive=True) if _lives(process)]
    return []


def marked(token: str) -> list[psutil.Process]:
    """All living processes that were started with this mark."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == token and _lives(process):
                found.append(process)
    return found


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(
            process.is_running() and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        )
    return False


def resident_bytes(processes: Iterable[psutil.Process]) -> int:
    """The resident memory of all together; what they share counts for each."""
    size = 0
    for process in processes:
        with suppress(psutil.Error):
            size += process.memory_info().rss
    return size


def end(find: Callable[[], list[psutil.Process]]) -> None:
    """Kill what `find` finds until it finds nothing more. They are stopped first, so that none starts another
    while the others are killed.
    """
    deadline = time.monotonic() + PATIENCE_S
    while found := find():
        for process in found:
            _send(process, signal.SIGSTOP)
        for process in {*found, *find()}:
            _send(process, signal.SIGKILL)
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.Error):
        process.send_signal(number)


def collect_dead_children() -> None:
    """Let the dead children of this process go from the process table."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
