"""What Linux offers to those who must leave no process behind."""

import ctypes
import os
import signal
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Final

import psutil

# prctl(2)
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_PAUSE_S: Final = 0.005


def adopt_orphans() -> None:
    """Make this process the parent of all its descendants that lose theirs."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> None:
    """Kill this process when its parent, the process `parent`, is gone."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def end_descendants(*, but: Collection[int] = ()) -> None:
    """Kill all descendants of this process, but those in `but` and theirs, and wait until they are gone.

    A process that starts others faster than they are found is killed with the first of them. Needs
    `adopt_orphans`, for those whose parents are killed.
    """
    while found := _below(psutil.Process(), but):
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        _reap(process.pid for process in found)
        time.sleep(_PAUSE_S)


def _below(process: psutil.Process, but: Collection[int]) -> list[psutil.Process]:
    try:
        children = [child for child in process.children() if child.pid not in but]
    except psutil.NoSuchProcess:
        return []
    return [*children, *(below for child in children for below in _below(child, but))]


def _reap(pids: Iterable[int]) -> None:
    """Take note of the deaths of those of these that are children of this process."""
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
