"""`python -m omega.entrypoints.worker PROCESSES GRACE_S`: a worker that lives as long as its standard
input."""

import sys

from omega.entrypoints import logs, settings
from omega.entrypoints.bootstrap import connect, metered
from omega.entrypoints.settings import DEFAULT_BUCKET
from omega.entrypoints.worker.supervisor import supervise


def main() -> None:
    """Work for the parent process."""
    processes, grace_s = sys.argv[1:]
    found = settings.load()
    logs.configure(found)
    # A server's own worker, on whose page of figures its tasks are.
    meter = metered(found) if found.figures_path else None
    work = connect(found, bucket=DEFAULT_BUCKET, meter=meter).work
    supervise(work, processes=int(processes), grace_s=float(grace_s), with_parent=True)


if __name__ == "__main__":
    main()
