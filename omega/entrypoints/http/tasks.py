"""The resource `task`: calls that workers carry out."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson
from attrs import frozen

from omega.domain.errors import BadInput, Cancelled
from omega.domain.metadata import Listing
from omega.domain.names import SCRIPT
from omega.domain.tasks import FAILURE, REVOKED, SUCCESS, Task
from omega.entrypoints.api import Omega
from omega.entrypoints.http import errors, fields
from omega.entrypoints.http.calls import with_answer
from omega.entrypoints.http.documented import tasks as documented
from omega.entrypoints.http.routing import Request, Response, Route
from omega.entrypoints.http.wsgi_call import CAN_WAIT, Pause
from omega.entrypoints.runtime import RuntimeTask
from omega.entrypoints.uris import resource_uri, stamp

_LOOK_S: Final = 0.2
_KEEP_ALIVE_S: Final = 15.0
_EVENT_STREAM: Final = (("Content-Type", "text/event-stream"), ("Cache-Control", "no-store"))


@frozen
class TaskResource:
    """Tasks over HTTP."""

    omega: Omega

    def routes(self) -> list[Route]:
        """The routes of this resource."""
        one = "/api/v1/task/<id>"
        page = frozenset({"limit", "offset"})
        uri = frozenset({"resource_uri"})
        return [
            Route(
                "GET",
                "/api/v1/task",
                self.list,
                query=page,
                summary="List tasks, the latest first",
                doc=documented.LIST,
            ),
            Route("GET", one, self.describe, summary="What is known of a task", doc=documented.DESCRIBE),
            Route("GET", f"{one}/status", self.status, summary="How a task is", doc=documented.STATUS),
            Route(
                "GET",
                f"{one}/result",
                self.result,
                query=uri,
                summary="The result of a task",
                doc=documented.RESULT,
            ),
            Route(
                "GET",
                f"{one}/events",
                self.events,
                summary="How a task goes on, as server-sent events",
                doc=documented.EVENTS,
            ),
            Route("DELETE", one, self.cancel, summary="Cancel a task", doc=documented.CANCEL),
        ]

    def list(self, request: Request) -> Response:
        """One page of tasks."""
        page = fields.page_of(request)
        found = self._runtime(request).tasks(offset=page.offset, limit=page.limit)
        objects = [described(task) for task in found.items]
        return Response(200, page.body(Listing([], found.total), objects, resource="task"))

    def describe(self, request: Request) -> Response:
        """What is known of a task."""
        return Response(200, described(self._task(request).get()))

    def status(self, request: Request) -> Response:
        """Its state, and how far it has come."""
        return Response(200, _state(self._task(request).get()))

    def result(self, request: Request) -> Response:
        """What the call would have answered with, had it been waited for; `null` as long as there is
        nothing."""
        handle = self._task(request)
        task = handle.get()
        wanted, uri = request.query.get("resource_uri"), _uri_of(task)
        if wanted is not None and wanted.rstrip("/") != uri.rstrip("/"):
            raise BadInput(f"resource_uri={wanted[:300]!r} is not that of the task's object, which is {uri}")
        response = _response(handle, task, request)
        return Response(200, {"response": response, "status": task.status, "task_id": task.id})

    def events(self, request: Request) -> Response:
        """An event `status` whenever the state or the progress has changed, until the task has ended
        (https://html.spec.whatwg.org/multipage/server-sent-events.html).
        """
        handle = self._task(request)
        return Response(200, _events(handle, can_wait=CAN_WAIT in request.environ), _EVENT_STREAM)

    def cancel(self, request: Request) -> Response:
        """Ask for its end."""
        return Response(202, _state(self._task(request).cancel()))

    def _runtime(self, request: Request) -> Any:
        return fields.asked(request, self.omega).runtime

    def _task(self, request: Request) -> RuntimeTask:
        task: RuntimeTask = self._runtime(request).task(request.path["id"])
        return task


def described(task: Task) -> dict[str, Any]:
    """All that is said about a task."""
    times = {name: getattr(task, name) for name in ("created", "started", "ended")}
    return {
        **_state(task),
        **{name: time and stamp(time) for name, time in times.items()},
        "resource": task.call.resource,
        "name": task.call.name,
        "action": task.call.action,
        "bucket": task.bucket,
        "attempts": task.attempts,
        "timeout": task.timeout_s,
        "request_id": task.request_id,
        "message": task.failure and task.failure.message,
        "object_uri": _uri_of(task),
        "resource_uri": f"/api/v1/task/{task.id}/",
    }


def _state(task: Task) -> dict[str, Any]:
    progress = task.progress
    return {
        "task_id": task.id,
        "status": task.status,
        "progress": progress
        and {"done": progress.done, "total": progress.total, "message": progress.message},
        "cancelled": task.cancelled,
    }


def _uri_of(task: Task) -> str:
    return resource_uri(task.call.resource, task.call.name)


def _response(handle: RuntimeTask, task: Task, request: Request) -> orjson.Fragment | None:
    """The answer as JSON text; of a task that failed, the problem that the call would have been answered
    with."""
    if task.status == SUCCESS:
        return orjson.Fragment(handle.answer(task))
    if task.result is not None:
        return _failed(handle, task, request)
    error: Exception | None = None
    if task.status == FAILURE and task.failure is not None:
        error = task.failure.error()
    elif task.status == REVOKED:
        error = Cancelled(f"task {task.id} was cancelled")
    if error is None:
        return None
    return orjson.Fragment(errors.problem(error, request_id=request.request_id).body)


def _failed(handle: RuntimeTask, task: Task, request: Request) -> orjson.Fragment:
    said = handle.said(task)
    if task.call.resource != SCRIPT or task.failure is None:
        return orjson.Fragment(said)
    found = errors.problem(task.failure.error(), request_id=request.request_id)
    return orjson.Fragment(orjson.dumps(with_answer(found.body, said)))


def _events(handle: RuntimeTask, *, can_wait: bool) -> Iterator[bytes]:
    shown: Mapping[str, Any] | None = None
    spoken = time.monotonic()
    while True:
        task = handle.get()
        if (state := _state(task)) != shown:
            shown, spoken = state, time.monotonic()
            yield b"event: status\ndata: " + orjson.dumps(state) + b"\n\n"
        if task.is_final:
            return
        if time.monotonic() - spoken >= _KEEP_ALIVE_S:
            spoken = time.monotonic()
            yield b": still there\n\n"
        if can_wait:
            yield Pause(_LOOK_S)
        else:
            time.sleep(_LOOK_S)
