"""The process that carries out tasks, one after the other, as its supervisor tells it."""

import logging
import os
import sys
from multiprocessing.connection import Connection
from typing import Any, Final

from attrs import asdict

from omega.domain.errors import OmegaError
from omega.domain.tasks import LeaseLost, Progress
from omega.entrypoints import logs, settings
from omega.entrypoints.bootstrap import connect
from omega.entrypoints.settings import DEFAULT_BUCKET
from omega.entrypoints.startup import importing
from omega.entrypoints.work import Work
from omega.entrypoints.worker.messages import encoded, receive, send
from omega.entrypoints.worker.processes import die_with
from omega.ports.records import StoreFull, StoreUnavailable

_log: Final = logging.getLogger("omega.worker")


def main() -> None:
    """Serve the supervisor at the other end of the socket until it is gone."""
    die_with(os.getppid())
    settings.forget_figures()
    found = settings.load()
    logs.configure(found)
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    try:
        services = connect(found, bucket=DEFAULT_BUCKET)
        # The first use imports scikit-learn, which takes a second: better now than in somebody's task.
        with importing():
            _ = services.models
    except (OmegaError, StoreUnavailable, StoreFull) as error:
        _log.warning("cannot begin to work: %s", error)
        sys.exit(1)
    send(connection, {"ready": True})
    try:
        while True:
            _attempt(services.work, connection)
    except (EOFError, ConnectionError):
        return


def _attempt(work: Work, connection: "Connection[Any, Any]") -> None:
    wanted = receive(connection)

    def report(progress: Progress) -> None:
        send(connection, {"progress": asdict(progress)})

    task = work.leases.records.find(wanted["bucket"], wanted["id"])
    try:
        if task is None:
            raise LeaseLost(wanted["id"])
        send(connection, encoded(work.attempt(task, wanted["holder"], report)))
    except LeaseLost:
        send(connection, {"lost": True})


if __name__ == "__main__":
    main()
