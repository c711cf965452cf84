"""The processes of a server and its worker, as the process table shows them."""

import os
import signal
import time
from collections.abc import Iterable
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


def busiest(processes: Iterable[psutil.Process]) -> psutil.Process:
    """The one that uses most of a CPU."""
    before = {process: process.cpu_times().user for process in processes}
    time.sleep(0.3)
    return max(before, key=lambda process: process.cpu_times().user - before[process])


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
