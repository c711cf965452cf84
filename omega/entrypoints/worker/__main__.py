"""`python -m omega.entrypoints.worker PROCESSES GRACE_S`: a worker that lives as long as its standard
input."""

import sys

from omega.domain.errors import OmegaError
from omega.entrypoints import logs, settings
from omega.entrypoints.bootstrap import connect, metered
from omega.entrypoints.settings import DEFAULT_BUCKET
from omega.entrypoints.worker.supervisor import supervise
from omega.ports.queue import QueueUnavailable
from omega.ports.records import StoreFull, StoreUnavailable


def main() -> None:
    """Work for the parent process."""
    processes, grace_s = sys.argv[1:]
    try:
        found = settings.load()
        logs.configure(found)
        # A server's own worker, on whose page of figures its tasks are.
        meter = metered(found) if found.figures_path else None
        services = connect(found, bucket=DEFAULT_BUCKET, meter=meter)
        services.check_key()
    except (OmegaError, StoreUnavailable, StoreFull, QueueUnavailable) as error:
        sys.exit(f"cannot start the worker: {error}")
    supervise(services.work, processes=int(processes), grace_s=float(grace_s), with_parent=True)


if __name__ == "__main__":
    main()
