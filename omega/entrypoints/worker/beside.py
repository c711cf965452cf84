"""A worker beside the server that it works for."""

import logging
import subprocess
import sys
import threading
from types import TracebackType
from typing import Final

_log: Final = logging.getLogger("omega.worker")
_GRACE_S: Final = 10
_KILLED_AFTER_S: Final = 5
_RESTART_PAUSE_S: Final = 0.5


class WorkerBeside:
    """While this is open, a worker of `processes` processes runs, with the settings of this process's
    environment. One that dies is replaced; when this process dies, so does the worker.
    """

    def __init__(self, processes: int) -> None:
        self._command = [sys.executable, "-m", "omega.entrypoints.worker", str(processes), str(_GRACE_S)]
        self._closed = threading.Event()
        self._worker: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread(target=self._keep, name="worker-keeper", daemon=True)

    def __enter__(self) -> "WorkerBeside":
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        worker = self._worker
        if worker is not None:
            worker.terminate()
            try:
                worker.wait(_GRACE_S + _KILLED_AFTER_S)
            except subprocess.TimeoutExpired:
                worker.kill()
        self._keeper.join(_KILLED_AFTER_S)

    def _keep(self) -> None:
        while not self._closed.is_set():
            # Its standard input is a pipe that only this process can write to: it ends when this process
            # does.
            with subprocess.Popen(self._command, stdin=subprocess.PIPE) as worker:  # noqa: S603  our own program
                self._worker = worker
                code = worker.wait()
            if not self._closed.wait(_RESTART_PAUSE_S):
                _log.warning("the worker ended with exit code %d: starting another", code)
