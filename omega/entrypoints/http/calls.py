"""Calls that workers carry out: waited for, or (`?async=1`) answered with where their result will be."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from omega.domain.errors import BadInput
from omega.domain.tasks import Task
from omega.entrypoints.http import fields
from omega.entrypoints.http.errors import PROBLEM_JSON, problem
from omega.entrypoints.http.routing import Request, Response
from omega.entrypoints.http.wsgi_call import CAN_WAIT, WAIT, WAITED
from omega.entrypoints.runtime import RuntimeTask
from omega.entrypoints.waiting import Waiting

#: The query parameters of every call that can be a task.
QUERY: Final = frozenset({"async", "timeout"})
_ACCEPTED: Final = 202
#: The header of an answer in JSON that is bytes already.
JSON: Final = ("Content-Type", "application/json")


def is_async(request: Request) -> bool:
    """Whether the client does not want to wait.

    Raises: BadInput.
    """
    return fields.flag_argument(request, "async", default=False)


def timeout_s(request: Request, body: Mapping[str, Any] | None = None) -> float | None:
    """How long the call may take, if the client says so, in the query or in the body.

    Raises: BadInput.
    """
    named, given = fields.whole_number(request, "timeout", least=1), (body or {}).get("timeout")
    if given is None:
        return named
    if named is not None:
        raise BadInput("timeout is given twice: in the query and in the body")
    if isinstance(given, bool) or not isinstance(given, int | float) or given <= 0:
        raise BadInput(f"field 'timeout' is {str(given)[:40]!r}: it must be a number of seconds over 0")
    return float(given)


def refuse_timeout(request: Request) -> None:
    """For calls that are answered at once.

    Raises: BadInput.
    """
    if "timeout" in request.query:
        raise BadInput("query parameter timeout is for calls with async=1, and for fits")


def carried_out(
    request: Request,
    submit: Callable[[Request], RuntimeTask],
    *,
    status: int = _ACCEPTED,
    failed: int | None = None,
) -> Response:
    """The answer of a call that `submit` leaves to a worker; no thread waits for it where the server can wait
    without. What failed and answers all the same is answered with status `failed`, or, without that, as a
    problem that has the answer in it.

    Raises: what the call raises; NoWorker.
    """
    waiting: Waiting | None = request.environ.get(WAITED)
    leave = is_async(request)
    if waiting is None:
        task = submit(request)
        if leave:
            return accepted(task.get())
        waiting = task.waiting()
        if request.environ.get(CAN_WAIT) and not waiting.ready():
            request.environ[WAIT] = waiting
            return Response(_ACCEPTED)
        waiting.until_ready()
    answer = waiting.answer()
    if waiting.task.failure is not None:
        if failed is not None:
            return Response(failed, answer, (JSON,))
        found = problem(waiting.task.failure.error(), request_id=request.request_id)
        body = with_answer(found.body, answer)
        return Response(found.status, body, (("Content-Type", PROBLEM_JSON),))
    headers = [JSON]
    if (version := orjson.loads(answer).get("version")) is not None:
        headers.append(("ETag", f'"{version}"'))
    return Response(status, answer, tuple(headers))


def with_answer(problem: bytes, answer: bytes) -> dict[str, Any]:
    """A problem with what was answered all the same as further members (RFC 9457, 3.2)."""
    return {**orjson.loads(answer), **orjson.loads(problem)}


def accepted(task: Task) -> Response:
    """The answer to a call that is not waited for."""
    location = ("Location", f"/api/v1/task/{task.id}/result")
    return Response(_ACCEPTED, {"task_id": task.id, "status": task.status}, (location,))
