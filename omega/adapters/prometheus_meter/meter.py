"""A `Meter` by prometheus-client: in this process or, where `PROMETHEUS_MULTIPROC_DIR` names a directory, in
files there that all processes of a server write to and read.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"})
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LIVE = re.compile(r"gauge_live[a-z]*_(\d+)\.db")
#: The levels that may be told of, and what they are.
LEVELS: Final[Mapping[str, str]] = {
    "omega_tasks_open": "Tasks that have not ended",
    "omega_queue_messages": "Messages that wait in the queue",
    "omega_workers": "Workers that are there",
    "omega_worker_processes": "Tasks that the workers can carry out at once",
    "omega_worker_processes_busy": "Tasks that the workers carry out just now",
}


class PrometheusMeter:
    """See `omega.ports.meter`. `shared` is where processes share their figures, if they do; the environment
    must have named it to prometheus-client before that was imported.
    """

    def __init__(self, shared: Path | None = None) -> None:
        self._shared = shared
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "omega_http_requests", "Requests answered", ["route", "method", "status"], registry=registry
        )
        self._seconds = Histogram(
            "omega_http_request_seconds",
            "From the head of a request to the end of its answer",
            ["route", "method"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._tasks = Counter(
            "omega_tasks_ended", "Tasks ended, by state", ["resource", "action", "status"], registry=registry
        )
        self._models = Counter(
            "omega_model_cache_lookups", "Loaded models looked for", ["outcome"], registry=registry
        )
        #: By route, method and status: as few as there are of those.
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._looked_up = {True: self._models.labels("hit"), False: self._models.labels("miss")}
        self._bytes = Gauge(
            "omega_model_cache_bytes",
            "Size of the models kept loaded",
            registry=registry,
            multiprocess_mode="livesum",
        )

    def answered(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """See `Meter.answered`."""
        shown = method if method in _METHODS else "other"
        counted = self._answered.get((route, shown, status))
        if counted is None:
            # To find the child of some labels takes longer than to count in it.
            counted = (self._requests.labels(route, shown, str(status)), self._seconds.labels(route, shown))
            self._answered[route, shown, status] = counted
        counted[0].inc()
        counted[1].observe(seconds)

    def ended(self, *, resource: str, action: str, status: str) -> None:
        """See `Meter.ended`."""
        self._tasks.labels(resource, action, status).inc()

    def looked_up(self, *, found: bool) -> None:
        """See `Meter.looked_up`."""
        self._looked_up[found].inc()

    def holds(self, *, size_bytes: int) -> None:
        """See `Meter.holds`."""
        self._bytes.set(size_bytes)

    def exposition(self, *, levels: Mapping[str, float]) -> bytes:
        """See `Figures.exposition`."""
        return self._kept() + generate_latest(_of(levels))

    def _kept(self) -> bytes:
        if self._shared is None:
            return generate_latest(self._registry)
        self._bury()
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self._shared))  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def _bury(self) -> None:
        """What processes hold is nothing once they are gone; what they counted stays."""
        assert self._shared is not None
        for file in self._shared.iterdir():
            if (match := _LIVE.fullmatch(file.name)) and not _is_alive(int(match[1])):
                # Another process may do the same.
                with suppress(FileNotFoundError):
                    mark_process_dead(int(match[1]), path=str(self._shared))  # type: ignore[no-untyped-call]


def _of(levels: Mapping[str, float]) -> CollectorRegistry:
    registry = CollectorRegistry()
    for name, value in levels.items():
        Gauge(name, LEVELS[name], registry=registry).set(value)
    return registry


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
