"""Every error as RFC 9457 `application/problem+json`, and the one table that gives each its status."""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

import bottle
import orjson
from attrs import field, frozen

from omega.domain import errors as domain
from omega.entrypoints.formats import errors as formats
from omega.entrypoints.http.headers import REQUEST_ID, Headers, completed, request_id
from omega.entrypoints.trail import about
from omega.ports import blobs, frames, keys, models, notebooks, queue, records, scripts

_log = logging.getLogger("omega.http")

PROBLEM_JSON: Final = "application/problem+json"
MAX_DETAIL_CHARS: Final = 2000
_FAULT: Final = "The server failed to answer this request; its log has the reason under this request id."
_LEGAL_ID = re.compile(r"[0-9a-z]{1,64}")


class HttpError(Exception):
    """A request that HTTP itself does not let us answer; `status` and `headers` are of the answer."""

    status = HTTPStatus.BAD_REQUEST

    def __init__(self, message: str, *, headers: Headers = ()) -> None:
        super().__init__(message)
        self.headers = headers


class RouteNotFound(HttpError):
    """No route has this path."""

    status = HTTPStatus.NOT_FOUND


class MethodNotAllowed(HttpError):
    """The path is there, but not for this method; `Allow` lists those it has (RFC 9110, 15.5.6)."""

    status = HTTPStatus.METHOD_NOT_ALLOWED

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message, headers=(("Allow", allow),))


class RequestTimeout(HttpError):
    """The client was too slow to send its request."""

    status = HTTPStatus.REQUEST_TIMEOUT


class TooManyAttempts(HttpError):
    """Somebody was wrong too often; `Retry-After` says when to try again (RFC 6585, 4)."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class NotReady(HttpError):
    """Something that the server needs cannot be reached."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, message: str) -> None:
        super().__init__(message, headers=(("Retry-After", "2"),))


class UnsupportedContentEncoding(HttpError):
    """The body is compressed."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def _own_words(error: BaseException) -> str:
    return str(error)


def _stored_part(error: BaseException) -> str:
    part = str(error.args[0]) if error.args else ""
    named = f" ({part})" if _LEGAL_ID.fullmatch(part) else ""
    return f"A stored part of this object{named} is missing or damaged; other objects are not affected."


def _always(sentence: str) -> Callable[[BaseException], str]:
    return lambda _: sentence


@frozen
class Answer:
    """How an error class is answered: its status, the words shown, and further headers."""

    status: HTTPStatus
    words: Callable[[BaseException], str] = _own_words
    headers: Headers = ()


_BAD_REQUEST = Answer(HTTPStatus.BAD_REQUEST)
_CONFLICT = Answer(HTTPStatus.CONFLICT)
_DAMAGED = Answer(HTTPStatus.INTERNAL_SERVER_ERROR, words=_stored_part)
_BUG = Answer(HTTPStatus.INTERNAL_SERVER_ERROR, words=_always(_FAULT))

#: Each error class of the domain and the ports. Errors that the domain is to translate are faults of ours
#: here.
ANSWERS: Final[Mapping[type[BaseException], Answer]] = {
    domain.OmegaError: _BAD_REQUEST,
    domain.BadInput: _BAD_REQUEST,
    domain.TooLarge: Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    domain.NotFound: Answer(HTTPStatus.NOT_FOUND),
    domain.Unauthorized: Answer(
        HTTPStatus.UNAUTHORIZED,
        headers=(("WWW-Authenticate", 'Bearer realm="omega", ApiKey realm="omega"'),),
    ),
    domain.Forbidden: Answer(HTTPStatus.FORBIDDEN),
    domain.Conflict: _CONFLICT,
    domain.AlreadyExists: _CONFLICT,
    domain.NotFitted: _CONFLICT,
    domain.PreconditionFailed: Answer(HTTPStatus.PRECONDITION_FAILED),
    domain.Corrupt: Answer(HTTPStatus.INTERNAL_SERVER_ERROR),
    domain.JobFailed: _BAD_REQUEST,
    domain.ScriptFailed: _BAD_REQUEST,
    domain.TaskFailed: Answer(HTTPStatus.INTERNAL_SERVER_ERROR),
    domain.TimedOut: Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    domain.Cancelled: _CONFLICT,
    domain.NoWorker: Answer(HTTPStatus.SERVICE_UNAVAILABLE, headers=(("Retry-After", "10"),)),
    queue.QueueUnavailable: Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        words=_always("The queue cannot be reached at the moment, and nothing was changed; try again later."),
        headers=(("Retry-After", "2"),),
    ),
    records.RecordNotFound: _BUG,
    records.RecordConflict: Answer(
        HTTPStatus.CONFLICT, words=_always("Another request changed this object at the same time; try again.")
    ),
    records.StoreUnavailable: Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        words=_always("The store cannot be reached or is too busy at the moment; try again later."),
        headers=(("Retry-After", "2"),),
    ),
    records.StoreFull: Answer(
        HTTPStatus.INSUFFICIENT_STORAGE, words=_always("The store has no room left; nothing was changed.")
    ),
    keys.KeyNotFound: _BUG,
    blobs.BlobNotFound: _DAMAGED,
    blobs.BlobDamaged: _DAMAGED,
    blobs.BlobExists: _BUG,
    frames.SegmentNotFound: _DAMAGED,
    frames.SegmentCorrupt: _DAMAGED,
    models.InvalidSpec: _BAD_REQUEST,
    models.UnsupportedAction: _BAD_REQUEST,
    models.ModelNotFitted: _CONFLICT,
    models.InvalidModelInput: _BAD_REQUEST,
    models.CorruptModel: _DAMAGED,
    notebooks.InvalidNotebook: _BAD_REQUEST,
    notebooks.InvalidParameters: _BAD_REQUEST,
    notebooks.UnsupportedFormat: _BAD_REQUEST,
    scripts.InvalidScript: _BAD_REQUEST,
    scripts.InvalidCall: _BAD_REQUEST,
    scripts.ScriptsUnavailable: Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        words=_always("No process could be started for the script at the moment; try again later."),
        headers=(("Retry-After", "2"),),
    ),
    formats.NotAcceptable: Answer(HTTPStatus.NOT_ACCEPTABLE),
    formats.UnsupportedMediaType: Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
}


@frozen
class Problem:
    """A whole error answer; `body` is the JSON of RFC 9457, with `request_id` and `message` (= `detail`)."""

    status: int
    headers: Headers
    body: bytes = field(repr=False)


def problem(error: BaseException, *, request_id: str) -> Problem:
    """The answer to `error`; of one that is not in the table the client learns the request id only."""
    if isinstance(error, HttpError):
        answer = Answer(error.status, headers=error.headers)
        name = type(error).__name__
    else:
        known = next((cls for cls in type(error).__mro__ if cls in ANSWERS), None)
        answer = ANSWERS[known] if known else _BUG
        name = known.__name__ if known and answer is not _BUG else "InternalError"
    return _make(
        answer.status, name=name, detail=answer.words(error), request_id=request_id, headers=answer.headers
    )


def _make(status: int, *, name: str, detail: str, request_id: str, headers: Headers) -> Problem:
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()
    detail = _cut(detail).encode("utf-8", "replace").decode()
    content = {
        "type": "urn:omega:problem:" + words.replace(" ", "-"),
        "title": words.capitalize(),
        "status": int(status),
        "detail": detail,
        "request_id": request_id,
        "message": detail,
    }
    body = orjson.dumps(content)
    fixed = (
        ("Content-Type", PROBLEM_JSON),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    )
    return Problem(status=int(status), headers=(*fixed, *headers), body=body)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_DETAIL_CHARS else text[: MAX_DETAIL_CHARS - 3] + "..."


def answer_error(error: BaseException, *, request_id: str) -> Problem:
    """As `problem`; an error that is a server's fault is logged, with its traceback, under the request id."""
    answer = problem(error, request_id=request_id)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request %s failed with status %d", request_id, answer.status, exc_info=error)
    return answer


def install(app: bottle.Bottle, *, more: Callable[[Mapping[str, Any]], Headers] = lambda environ: ()) -> None:
    """Make `app` answer every error, bottle's own too, as a problem, and all with the standard headers, and
    with those that `more` gives for the environment of the request.

    `environ["omega.request_id"]` holds the request id from the start, and log entries have it. Call it once,
    before the first request.
    """
    app.catchall = False
    app.default_error_handler = _framework_error
    answer = app.wsgi

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        # A server may have given the request its id already.
        id_ = environ.setdefault(REQUEST_ID, request_id(environ))

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            whole = completed(headers, request_id=id_, more=more(environ))
            return start_response(status, list(whole), exc_info)

        with about(request_id=id_):
            try:
                return answer(environ, start)  # type: ignore[no-any-return]
            except Exception as error:  # noqa: BLE001  the last line of defence: it is logged, and answered with 500
                found = answer_error(error, request_id=id_)
                start(_status_line(found.status), list(found.headers))
                return [] if environ.get("REQUEST_METHOD") == "HEAD" else [found.body]

    app.wsgi = wsgi


def _framework_error(error: bottle.HTTPError) -> bytes:
    """Bottle's own error, in our words: its own may quote the request or an exception."""
    status = HTTPStatus(error.status_code)
    environ = bottle.request.environ
    found = _make(
        status,
        name={404: "RouteNotFound", 405: "MethodNotAllowed", 413: "TooLarge"}.get(status, "HttpError"),
        detail=f"{status.phrase}.",
        request_id=environ.get(REQUEST_ID, ""),
        headers=(),
    )
    for name, value in found.headers:
        bottle.response.set_header(name, value)
    return found.body


def _status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
