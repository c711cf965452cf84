"""A process that starts others in every way that could escape its end."""

import os
import subprocess
import sys
import time
from multiprocessing.connection import Connection


def daemon() -> None:
    """A process in a session of its own, whose parent is gone, and that starts others without end."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                subprocess.Popen(["sleep", "1000"], start_new_session=True)
                time.sleep(0.01)
        os._exit(0)


def main() -> None:
    for _ in range(3):
        daemon()
    subprocess.Popen(["sleep", "1000"])
    time.sleep(0.3)
    Connection(int(sys.argv[1])).send_bytes(b"wild")
    time.sleep(1000)


if __name__ == "__main__":
    main()
