"""Whether the server lives and can work, and its figures: for those who run it, outside of `/api`."""

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Any, Final

import orjson
from attrs import define, field, frozen

from omega.domain.errors import NotFound
from omega.entrypoints.api import Omega
from omega.entrypoints.http.documented import watching as documented
from omega.entrypoints.http.errors import PROBLEM_JSON, NotReady, problem
from omega.entrypoints.http.routing import Request, Response, Route

_log: Final = logging.getLogger("omega.http")
_PATIENCE_S: Final = 2.0
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


@define(eq=False)
class Probe:
    """A question to something that may never answer: it is asked in a thread of its own, and not anew before
    it has answered.
    """

    name: str
    ask: Callable[[], Any]
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _asked: "Future[Any] | None" = field(default=None, init=False)

    def begin(self) -> "Future[Any]":
        """The answer to be."""
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = Future()
                thread = threading.Thread(
                    target=self._answer, args=(self._asked,), name=f"probe-{self.name}", daemon=True
                )
                thread.start()
            return self._asked

    def _answer(self, future: "Future[Any]") -> None:
        try:
            future.set_result(self.ask())
        except Exception as error:  # noqa: BLE001  whatever it is: it cannot be reached
            _log.warning("the %s cannot be reached: %s", self.name, error)
            future.set_exception(error)


def answers(probes: list[Probe], *, within_s: float) -> Mapping[str, Any]:
    """The answers that came in time, by the names of the probes."""
    asked = {probe.name: probe.begin() for probe in probes}
    done, _ = wait(asked.values(), timeout=within_s)
    return {
        name: future.result()
        for name, future in asked.items()
        if future in done and future.exception() is None
    }


@frozen
class HealthResource:
    """Health and figures over HTTP."""

    omega: Omega
    _store: Probe = field(init=False)
    _queue: Probe = field(init=False)

    @_store.default
    def _probe_of_store(self) -> Probe:
        return Probe("store", lambda: (self.omega.runtime.open_tasks(), self.omega.runtime.workers()))

    @_queue.default
    def _probe_of_queue(self) -> Probe:
        return Probe("queue", lambda: self.omega.runtime.queued())

    def routes(self) -> list[Route]:
        """The routes of this resource."""
        return [
            Route(
                "GET",
                "/healthz",
                self.alive,
                public=True,
                summary="Whether the server lives",
                doc=documented.ALIVE,
            ),
            Route(
                "GET",
                "/readyz",
                self.ready,
                public=True,
                summary="Whether the store and the queue can be reached",
                doc=documented.READY,
            ),
            Route(
                "GET",
                "/metrics",
                self.metrics,
                summary="Figures, in the text format of Prometheus",
                doc=documented.METRICS,
            ),
        ]

    def alive(self, request: Request) -> Response:
        """200, as long as requests are answered."""
        return Response(200, {"status": "alive"})

    def ready(self, request: Request) -> Response:
        """200 if the store and the queue answer within two seconds, else 503 and which does not."""
        found = answers([self._store, self._queue], within_s=_PATIENCE_S)
        state = {name: "ok" if name in found else "unreachable" for name in ("store", "queue")}
        missing = [name for name in state if name not in found]
        if not missing:
            return Response(200, {"status": "ready", **state})
        error = NotReady(f"the {' and the '.join(missing)} cannot be reached at the moment")
        told = problem(error, request_id=request.request_id)
        return Response(
            told.status,
            {**state, **orjson.loads(told.body)},
            (("Content-Type", PROBLEM_JSON), ("Cache-Control", "no-store"), *error.headers),
        )

    def metrics(self, request: Request) -> Response:
        """All figures; what the store and the queue do not tell in time is left out.

        Raises: NotFound, where nobody counts.
        """
        if self.omega.figures is None:
            raise NotFound("this server keeps no figures")
        found = answers([self._store, self._queue], within_s=_PATIENCE_S)
        levels: dict[str, float] = {}
        if "store" in found:
            tasks, workers = found["store"]
            levels["omega_tasks_open"] = tasks
            levels["omega_workers"] = len(workers)
            levels["omega_worker_processes"] = sum(worker.processes for worker in workers)
            levels["omega_worker_processes_busy"] = sum(worker.busy for worker in workers)
        if "queue" in found:
            levels["omega_queue_messages"] = found["queue"]
        return Response(200, self.omega.figures.exposition(levels=levels), (("Content-Type", _TEXT),))
