"""Kernels: started in a session of their own, reached through sockets that only this user can open."""

import os
import subprocess
from pathlib import Path
from typing import Any, Final

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.paths import jupyter_path
from jupyter_core.utils import run_sync

from omega.adapters.papermill_notebooks.job import KERNEL_LOG_FILE, TEMPORARY_DIRECTORY, WORK_DIRECTORY
from omega.ports.notebooks import JSONObject

NATIVE: Final = "python3"
#: After half of this a kernel that was asked to stop gets SIGTERM, after all of it SIGKILL.
_STOP_WITHIN_S: Final = 2.0
#: The path of a Unix socket holds no more than this, with room for what is put after it.
_SOCKET_PATH_BYTES: Final = 90
#: The socket of a kernel throws away what is not taken soon enough, after 1000 messages: outputs, and word
#: that a cell has ended, for which nbclient would wait. This code lets an IPython kernel keep it all.
#: (It has to be run when the client is connected.)
KEEP_OUTPUTS: Final = (
    "(lambda thread: thread.schedule(lambda: thread.socket.setsockopt(__import__('zmq').SNDHWM, 0)))"
    "(get_ipython().kernel.iopub_thread)"
)


class KernelMissing(LookupError):
    """There is no such kernel here, or its program is not there."""


def kernel_name(notebook: JSONObject) -> str:
    """The kernel that a notebook asks for: that of this Python if it does not say."""
    return str(notebook["metadata"].get("kernelspec", {}).get("name") or NATIVE)


def start_kernel(name: str, directory: Path) -> AsyncKernelManager:
    """Start a kernel; it is not ready yet.

    Raises: KernelMissing.
    """
    specs = KernelSpecManager(kernel_dirs=jupyter_path("kernels"))
    sockets = str(directory / "k")
    manager = AsyncKernelManager(
        kernel_name=name,
        kernel_spec_manager=specs,
        connection_file=str(directory / "kernel.json"),
        shutdown_wait_time=_STOP_WITHIN_S,
        **({"transport": "ipc", "ip": sockets} if len(os.fsencode(sockets)) <= _SOCKET_PATH_BYTES else {}),
    )
    environment = os.environ | {
        # Plots become pictures in the notebook; the settings and history of whoever runs this stay out; and
        # temporary files go with the run.
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "IPYTHONDIR": str(directory / "ipython"),
        "TMPDIR": str(directory / TEMPORARY_DIRECTORY),
    }
    try:
        arguments = ["--HistoryManager.hist_file=:memory:"] if manager.ipykernel else []
        with (directory / KERNEL_LOG_FILE).open("wb") as log:
            run_sync(manager.start_kernel)(
                extra_arguments=arguments,
                env=environment,
                cwd=str(directory / WORK_DIRECTORY),
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
    except NoSuchKernel as error:
        known = ", ".join(sorted(specs.find_kernel_specs()))
        raise KernelMissing(f"there is no kernel {name!r} here, only: {known}") from error
    except OSError as error:
        raise KernelMissing(
            f"the program of the kernel {name!r} cannot be started: {error.strerror}"
        ) from error
    return manager


def stop_kernel(manager: AsyncKernelManager, *, now: bool) -> None:
    """End a kernel, if it lives: at once, or after it had time to clean up."""
    if is_alive(manager):
        run_sync(manager.shutdown_kernel)(now=now)


def is_alive(manager: AsyncKernelManager) -> bool:
    """Whether the kernel lives."""
    return bool(run_sync(manager.is_alive)())


def exit_status(manager: AsyncKernelManager) -> int | None:
    """The exit status of a dead kernel, negative for a signal, None if it is not known."""
    process: Any = getattr(manager.provisioner, "process", None)
    return getattr(process, "returncode", None)
