"""What Linux offers to those who must leave no process behind."""

import ctypes
import os
import signal
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
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
    """Kill all descendants of this process, but its children in `but` and theirs, and wait until they are
    gone. Needs `adopt_orphans`.

    Only children are killed: whoever loses its parent by that becomes one. To find them costs no look at all
    processes of the machine, so that those who start others without end are found faster than they do.
    """
    while found := _children() - set(but):
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in found:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(_PAUSE_S)


def _children() -> set[int]:
    """The children of all threads of this process, the dead that nobody has waited for too."""
    if not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        # A kernel without CONFIG_PROC_CHILDREN: all processes of the machine have to be looked at.
        return {child.pid for child in psutil.Process().children()}
    found: set[int] = set()
    for thread in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            found.update(map(int, (thread / "children").read_text().split()))
    return found


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
