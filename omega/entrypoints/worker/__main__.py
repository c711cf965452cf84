"""`python -m omega.entrypoints.worker PROCESSES GRACE_S`: a worker that lives as long as its standard
input."""

import sys

from omega.entrypoints import settings
from omega.entrypoints.bootstrap import connect
from omega.entrypoints.settings import DEFAULT_BUCKET
from omega.entrypoints.worker.supervisor import supervise


def main() -> None:
    """Work for the parent process."""
    processes, grace_s = sys.argv[1:]
    work = connect(settings.load(), bucket=DEFAULT_BUCKET).work
    supervise(work, processes=int(processes), grace_s=float(grace_s), with_parent=True)


if __name__ == "__main__":
    main()
