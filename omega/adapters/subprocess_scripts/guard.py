"""The process between a runner and a script: what the script leaves behind becomes its child, and is killed.

Linux gives orphans to the nearest ancestor that is a "child subreaper" (prctl(2)), also those that called
setsid(2) or daemonised; so once the guard has no child left, nothing that the script started is left.

It runs as a file under `python -I -S`, with the standard library alone. Its standard input is a lifeline: at
the end of it, because the runner closed it or is dead, everything is killed. To the descriptor that its first
argument names it writes `exit CODE` or `signal NUMBER` when the script's process has ended by itself, and
`done` when no process is left. The directory of the call, its second argument, is the runner's to remove
unless the lifeline ended first.
"""

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
#: Only processes that may not be killed (set-user-ID programs, a hung file system) last that long.
_GIVE_UP_S = 10.0


def main() -> None:
    """Start the command in the arguments, wait for its end or for the runner's, and kill what is left."""
    report, home, command = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    os.set_inheritable(report, False)
    # The runner's thread may have blocked or ignored SIGCHLD; both are inherited.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    child = _start(command)
    ended = _wait(child, wake)
    if ended is not None:
        code = os.waitstatus_to_exitcode(ended)
        os.write(report, f"exit {code}\n".encode() if code >= 0 else f"signal {-code}\n".encode())
    if _end_all():
        with contextlib.suppress(BrokenPipeError):  # the runner is dead
            os.write(report, b"done\n")
    if ended is None:
        remove(home)


def remove(home: Path) -> bool:
    """Remove the directory with all that a script left in it; whether that could be done."""
    # Imported here, for the guard hardly ever needs it and takes half as long again to start with it.
    import shutil

    shutil.rmtree(home, ignore_errors=True)
    if home.exists():  # the script took rights of its directories away
        with contextlib.suppress(OSError):
            home.chmod(0o700)
            for folder, names, _ in os.walk(home):
                for path in (Path(folder, name) for name in names):
                    if not path.is_symlink():
                        path.chmod(0o700)
        shutil.rmtree(home, ignore_errors=True)
    return not home.exists()


def _start(command: list[str]) -> int:
    guard = os.getpid()
    if pid := os.fork():
        return pid
    try:
        # Should the script kill the guard, it goes as well.
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == guard:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            # Where the machine's memory runs out first, the kernel is to kill the script, not the server.
            with contextlib.suppress(OSError):
                Path("/proc/self/oom_score_adj").write_text("1000")
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGCHLD):
                signal.signal(ignored, signal.SIG_DFL)
            os.execv(command[0], command)  # noqa: S606
    finally:
        os._exit(127)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def _wait(child: int, wake: int) -> int | None:
    """The wait status of the child once it ended, `None` once the lifeline did."""
    while 0 not in (ready := select.select([0, wake], [], [])[0]):
        if ready:
            os.read(wake, 4096)
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                return ended[1]
    return None


def _end_all() -> bool:
    """Kill children, who leave us theirs, until there are none; `False` if that cannot be done."""
    give_up_at = time.monotonic() + _GIVE_UP_S
    while time.monotonic() < give_up_at:
        for pid in _children():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        time.sleep(0.001)
    return False


def _children() -> list[int]:
    """Children alone, whose ids nobody else can get before they are waited for; and fast, for a child that
    forks and exits over and over must be killed before it does so again.
    """
    own = os.getpid()
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{own}/children").read_text().split()]
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return _search_children(own)


def _search_children(own: int) -> list[int]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if _parent(pid) == own]


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


if __name__ == "__main__":
    main()
