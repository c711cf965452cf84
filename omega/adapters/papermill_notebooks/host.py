"""The process that runs one notebook: `python -m omega.adapters.papermill_notebooks.host DIRECTORY`.

The runner puts the job into the directory, and finds the result there when this process has ended with 0.
Standard output tells the progress: `[cell, cells]` in JSON, a line for each cell that begins. Standard input
is a lifeline: when it ends, the runner is gone, and then the kernel goes, all that it started, the directory
and this process.
"""

import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omega.adapters.papermill_notebooks import processes
from omega.adapters.papermill_notebooks.job import JOB_FILE, KERNEL_LOG_FILE, RESULT_FILE, Job, run_to_json
from omega.adapters.papermill_notebooks.kernels import (
    KernelMissing,
    exit_status,
    is_alive,
    kernel_name,
    start_kernel,
    stop_kernel,
)
from omega.adapters.papermill_notebooks.outputs import ERROR_CHARACTERS, OutputBudget, one_line
from omega.adapters.papermill_notebooks.parameters import language
from omega.adapters.papermill_notebooks.watch import Watch
from omega.ports.notebooks import Failure, Run

if TYPE_CHECKING:
    from omega.adapters.papermill_notebooks.client import Execution

_MESSAGE_CHARACTERS = 1000
#: What `sys.exit()`, `sys.exit(0)` and `sys.exit(None)` leave as the value of their SystemExit.
_EXITS_WELL = ("", "0", "None")


def main(directory: Path) -> None:
    """Run the notebook of the job in `directory`."""
    channel = os.dup(1)
    os.dup2(2, 1)
    threading.Thread(target=_go_with_the_runner, args=(directory,), daemon=True).start()
    processes.volunteer_when_memory_is_short()
    processes.adopt_orphans()
    logging.disable(logging.CRITICAL)
    job = Job.from_json((directory / JOB_FILE).read_bytes())
    watch = Watch(job.deadline, job.memory_bytes)
    watch.start()

    def report(cell: int, cells: int) -> None:
        os.write(channel, f"{json.dumps([cell, cells])}\n".encode())

    try:
        kernel = start_kernel(kernel_name(job.notebook), directory)
        run = _execute(job, kernel, watch, report, directory)
    except KernelMissing as error:
        run = Run(job.notebook, Failure("no kernel", str(error)))
    finally:
        processes.end(lambda: processes.below(os.getpid()))
        processes.collect_dead_children()
    (directory / RESULT_FILE).write_text(run_to_json(run), encoding="utf-8")


def _go_with_the_runner(directory: Path) -> None:
    while os.read(0, 1):
        pass
    processes.end(lambda: processes.below(os.getpid()))
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(1)


def _execute(job: Job, kernel: Any, watch: Watch, report: Callable[[int, int], None], directory: Path) -> Run:
    # The kernel starts while papermill is imported, which takes as long.
    import papermill
    from nbformat import from_dict
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import remove_error_markers

    from omega.adapters.papermill_notebooks.client import ENGINE, Execution

    execution = Execution(
        kernel_manager=kernel,
        budget=OutputBudget(job.output_bytes, job.notebook_bytes),
        report=report,
        # The watch is the first to lose patience.
        startup_timeout_s=int(max(job.deadline - time.monotonic(), 0)) + 60,
        notebook=from_dict(job.notebook),
    )
    died = False
    try:
        if watch.verdict is None:
            papermill.execute_notebook(
                execution.notebook,
                None,
                parameters=dict(job.parameters),
                engine_name=ENGINE,
                kernel_name=kernel_name(job.notebook),
                language=language(job.notebook),
                progress_bar=False,
                execution=execution,
            )
    except PapermillExecutionError:
        pass  # The execution knows more; and a cell that may fail is none to it.
    except RuntimeError:
        # nbclient has no other for a kernel that dies before it is ready.
        if is_alive(kernel):
            raise
        died = not execution.is_done
    watch.stop()
    notebook = remove_error_markers(execution.notebook)
    failure = _failure(execution, watch, died, exit_status(kernel), directory, job)
    stop_kernel(kernel, now=failure is not None)
    for key in ("input_path", "output_path"):
        notebook.metadata.get("papermill", {}).pop(key, None)
    return Run(notebook, failure)


def _failure(
    execution: "Execution", watch: Watch, died: bool, status: int | None, directory: Path, job: Job
) -> Failure | None:
    cell, error = execution.cell, execution.error
    where = f"in cell {cell} of {len(execution.notebook.cells)}" if cell else "before the first cell"
    if watch.verdict == "timeout" and not execution.is_done:
        return Failure("timeout", f"over the time limit of {job.timeout_s:g} s, {where}", cell)
    if watch.verdict == "memory" and not execution.is_done:
        limit = f"{job.memory_bytes / (1 << 20):.4g} MiB"
        return Failure("memory", f"over the memory limit of {limit}, {where}", cell)
    if died:
        return Failure("kernel died", f"the kernel died {where}{_last_words(status, directory, cell)}", cell)
    if error is None or (error.ename == "SystemExit" and error.evalue in _EXITS_WELL):
        return None
    name, value = one_line(error.ename, 200), one_line(error.evalue, ERROR_CHARACTERS)
    message = one_line(f"{name}: {value}" if value else name, _MESSAGE_CHARACTERS)
    return Failure("cell", f"{where.removeprefix('in ')}: {message}", cell, name, value)


def _last_words(status: int | None, directory: Path, cell: int | None) -> str:
    if status is not None and status < 0:
        with suppress(ValueError):
            return f" ({signal.Signals(-status).name})"
    log = (directory / KERNEL_LOG_FILE).read_text(errors="replace").strip() if cell is None else ""
    said = one_line(log.rpartition("\n")[2], 200)
    return f" (exit status {status}{': ' if said else ''}{said})"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    os._exit(0)
