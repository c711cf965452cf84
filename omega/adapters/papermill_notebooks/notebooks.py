"""Notebooks run by papermill, in a process for each run.

That process, the host (see `host`), starts the kernel, watches it and bounds its outputs. So whatever a
notebook does, this process only reads a result of bounded size; and if this process is killed, the host ends
the run.
"""

import json
import os
import secrets
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psutil
from attrs import frozen

from omega.adapters.papermill_notebooks import job as files
from omega.adapters.papermill_notebooks import processes
from omega.adapters.papermill_notebooks.job import Job, run_from_json
from omega.adapters.papermill_notebooks.outputs import NOTEBOOK_BYTES, OUTPUT_BYTES, one_line
from omega.adapters.papermill_notebooks.parameters import checked, declared
from omega.adapters.papermill_notebooks.validity import check
from omega.ports.notebooks import Failure, JSONObject, Limits, Parameter, Reason, Run

#: How long after the deadline the host may take to notice and to say what there is.
GRACE_S: Final = 3.5
#: What the host may hold: a kernel can send it one message of any size.
HOST_BYTES: Final = 1 << 30
_LOOK_EVERY_S: Final = 0.25
_TELL_EVERY_S: Final = 1.0
_HOST: Final = "omega.adapters.papermill_notebooks.host"

Progress = Callable[[int, int], None]


@frozen
class PapermillNotebookRunner:
    """Each output of a run keeps at most `output_bytes`, all of a notebook together `notebook_bytes`."""

    output_bytes: int = OUTPUT_BYTES
    notebook_bytes: int = NOTEBOOK_BYTES

    def parameters(self, notebook: JSONObject) -> tuple[Parameter, ...]:
        """See `omega.ports.notebooks.NotebookRunner`."""
        return declared(notebook)

    def run(
        self,
        notebook: JSONObject,
        *,
        parameters: Mapping[str, Any],
        limits: Limits,
        environment: Mapping[str, str],
        progress: Progress,
    ) -> Run:
        """See `omega.ports.notebooks.NotebookRunner`."""
        check(notebook)
        job = Job(
            notebook=notebook,
            parameters=checked(notebook, parameters),
            deadline=time.monotonic() + limits.timeout_s,
            timeout_s=limits.timeout_s,
            memory_bytes=limits.memory_bytes,
            output_bytes=self.output_bytes,
            notebook_bytes=self.notebook_bytes,
        )
        with TemporaryDirectory(prefix="omega-run-", ignore_cleanup_errors=True) as name:
            directory = Path(name)
            for kind in (files.WORK_DIRECTORY, files.TEMPORARY_DIRECTORY):
                (directory / kind).mkdir()
            (directory / files.JOB_FILE).write_text(job.to_json(), encoding="utf-8")
            with _host(directory, environment) as host:
                lost = _follow(host, job, progress, directory)
            if lost is not None:
                return Run(notebook, lost)
            return run_from_json((directory / files.RESULT_FILE).read_bytes())


@contextmanager
def _host(directory: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A host at work. Afterwards it has ended, and with it all that it started."""
    token = secrets.token_hex(16)
    # -P: no module of the current directory takes the place of ours.
    command = [sys.executable, "-P", "-m", _HOST, str(directory)]
    with (directory / files.LOG_FILE).open("wb") as log:
        host = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **environment, processes.MARK: token},
            start_new_session=True,
        )
    with host:
        try:
            yield host
        finally:
            processes.end(lambda: [*processes.below(host.pid), *processes.marked(token)])


def _follow(host: subprocess.Popen[bytes], job: Job, progress: Progress, directory: Path) -> Failure | None:
    """Pass on the progress until there is a result; or say why there is none to wait for."""
    assert host.stdout is not None
    current, told, rest = (0, len(job.notebook["cells"]) + bool(job.parameters)), time.monotonic(), b""

    def lost(reason: Reason, why: str) -> Failure:
        where = f"in cell {current[0]} of {current[1]}" if current[0] else "before the first cell"
        outputs = "; its outputs are lost" if current[0] else ""
        return Failure(reason, f"{why}, {where}{outputs}", current[0] or None)

    progress(*current)
    with selectors.DefaultSelector() as selector:
        selector.register(host.stdout, selectors.EVENT_READ)
        while True:
            if selector.select(_LOOK_EVERY_S):
                if not (chunk := os.read(host.stdout.fileno(), 1 << 16)):
                    break
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    current, told = tuple(json.loads(line)), time.monotonic()
                    progress(*current)
            if time.monotonic() > job.deadline + GRACE_S:
                return lost("timeout", f"over the time limit of {job.timeout_s:g} s")
            if _resident(host.pid) > HOST_BYTES:
                return lost("memory", "an output is too large to be taken in")
            if time.monotonic() - told >= _TELL_EVERY_S:
                told = time.monotonic()
                progress(*current)
    if (status := host.wait()) != 0:
        said = one_line(
            (directory / files.LOG_FILE).read_text(errors="replace").strip().rpartition("\n")[2], 200
        )
        return lost(
            "kernel died", f"the run's own process has ended (status {status}{': ' if said else ''}{said})"
        )
    return None


def _resident(pid: int) -> int:
    with suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0
