"""The guard of one process that carries out tasks: it ends with that process and leaves nothing behind.

    python -m omega.entrypoints.worker.guard FD MODULE

starts the child, `python -m MODULE FD`, which talks to the supervisor over the socket FD. When the child
ends, or standard input does (because the supervisor closed it, or is gone), everything below this process is
killed. The exit code is that of the child, 128 + N if signal N ended it.
"""

import os
import select
import signal
import subprocess
import sys

from omega.entrypoints.worker.processes import adopt_orphans, end_descendants


def main() -> int:
    """Run the child to its end, or to that of standard input."""
    socket, module = int(sys.argv[1]), sys.argv[2]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # With a handler and not ignored: what is ignored would be ignored by the child too.
        signal.signal(number, lambda *_: None)
    adopt_orphans()
    child = subprocess.Popen(  # noqa: S603  our own program
        [sys.executable, "-m", module, str(socket)],
        pass_fds=[socket],
        stdin=subprocess.DEVNULL,
    )
    os.close(socket)
    end = os.pidfd_open(child.pid)
    select.select([sys.stdin.fileno(), end], [], [])
    code = child.poll()
    end_descendants()
    if code is None:
        code = -signal.SIGKILL
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
