"""The processes of a server and its worker, as the process table shows them."""

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil

SUPERVISOR = "omega.entrypoints.worker"
GUARD = "omega.entrypoints.worker.guard"
CHILD = "omega.entrypoints.worker.child"


def below(pid: int, module: str | None = None) -> list[psutil.Process]:
    """The descendants of a process, those that run a module (`python -m MODULE`) only where one is given."""
    with suppress(psutil.NoSuchProcess):
        found = psutil.Process(pid).children(recursive=True)
        return [process for process in found if module is None or _runs(process, module)]
    return []


def kill(processes: Iterable[psutil.Process], number: int = signal.SIGKILL) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def busy(find: Callable[[], Iterable[psutil.Process]], *, within_s: float = 60) -> psutil.Process:
    """The only one of several that uses the CPU: others may still be busy with their start."""
    deadline, window_s = time.monotonic() + within_s, 0.4
    while time.monotonic() < deadline:
        with suppress(psutil.NoSuchProcess):
            before = {process: process.cpu_times().user for process in find()}
            time.sleep(window_s)
            # On a machine with much to do, each gets little of it in a short time.
            window_s = min(2 * window_s, 6.4)
            used = {process: process.cpu_times().user - before[process] for process in before}
            most, *others = sorted(used, key=lambda process: -used[process])
            if others and used[most] > max(0.1, 5 * used[others[0]]):
                return most
    raise AssertionError("there is no process that alone is busy")


def command(process: psutil.Process) -> list[str]:
    """The words that the process was started with; none of one that is gone."""
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def of_home(home: str) -> list[psutil.Process]:
    """All processes on this machine that were started with this OMEGA_HOME, zombies left out."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("OMEGA_HOME") == home and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _runs(process: psutil.Process, module: str) -> bool:
    try:
        return process.cmdline()[1:3] == ["-m", module]
    except psutil.Error:
        return False
