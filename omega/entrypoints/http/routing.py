"""The route table: one value a route, from which the application is built (and its documentation can be).

    Route("GET", "/api/v1/model/<name:name>", read_model)
    Route("PUT", "/api/v1/model/<name:name>/fit", fit_model, query=frozenset({"datax", "datay"}))

`<x>` in a path is one segment, `<x:name>` one or more: a name may hold `/`. Of two paths that fit, the one
with the literal text goes first, segment by segment from the left: `/model/a/fit` is the action on `a`,
whatever the method.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any, BinaryIO, Final, cast

import bottle
import orjson
from attrs import field, frozen

from omega.domain.access import NOBODY
from omega.domain.errors import BadInput, Forbidden
from omega.domain.keys import Caller
from omega.entrypoints.http import bodies
from omega.entrypoints.http.callers import Enter, anybody
from omega.entrypoints.http.errors import HttpError, MethodNotAllowed, RouteNotFound, answer_error, install
from omega.entrypoints.http.exchange import ROUTE
from omega.entrypoints.http.headers import REQUEST_ID
from omega.entrypoints.http.operations import Operation
from omega.entrypoints.http.queries import BAD_ESCAPE, parse_query, utf8
from omega.entrypoints.http.rights import Asked, Rights, demand_all
from omega.entrypoints.http.shield import Shield
from omega.entrypoints.limits import Limits

FILTERS: Final = True
DEFAULT_BUCKET: Final = "store"
_STREAM: Final = "omega.body_stream"
_STRANGER: Final = Caller(None, NOBODY)
_PARAM = re.compile(r"<([a-z_]+)(:name)?>")
_VALUES: Final = {False: "[^/]+", True: "(?s:.+?)"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@frozen
class Request:
    """A request as a handler sees it: everything decoded, names of headers in lower case.

    `path` has the parameters of the path. `pairs` are the query parameters in the order sent; `query` is the
    same as a mapping (with the last one, where a filter stands twice). `caller` is who sends it.
    """

    method: str
    uri: str
    path: Mapping[str, str]
    pairs: tuple[tuple[str, str], ...]
    request_id: str
    environ: dict[str, Any] = field(repr=False)
    limits: Limits = field(repr=False)
    caller: Caller = field(default=_STRANGER, repr=False)
    query: Mapping[str, str] = field(init=False, repr=False)

    @query.default
    def _mapping(self) -> Mapping[str, str]:
        return dict(self.pairs)

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The headers, by their names in lower case."""
        environ = self.environ
        found = {key[5:]: value for key, value in environ.items() if key.startswith("HTTP_")}
        found |= {key: environ[key] for key in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(key)}
        return {key.lower().replace("_", "-"): value for key, value in found.items()}

    @property
    def bucket(self) -> str:
        """The bucket that the request is for: the one that it names, else the one of the caller's key.

        Raises: BadInput when its name is not UTF-8.
        """
        named: str | None = self.environ.get("HTTP_BUCKET")
        if named is None:
            return self.caller.bucket or DEFAULT_BUCKET
        try:
            return named.encode("latin-1").decode()
        except UnicodeDecodeError:
            raise BadInput("header bucket is not UTF-8") from None

    def body(self) -> bytes:
        """The whole body. Raises: as `bodies.read_body`."""
        return bodies.read_body(self.environ, max_bytes=self.limits.body_bytes)

    def stream(self) -> BinaryIO:
        """The body as a file, the same one at each call. Raises: as `bodies.body_stream`."""
        if _STREAM not in self.environ:
            self.environ[_STREAM] = bodies.body_stream(self.environ, max_bytes=self.limits.body_bytes)
        return cast(BinaryIO, self.environ[_STREAM])


@frozen
class Response:
    """An answer. `body` is bytes, an iterator of bytes to be streamed, or a JSON value."""

    status: int
    body: Any = field(default=b"", repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=())


Handler = Callable[[Request], Response]


@frozen
class Route:
    """One method on one path.

    `query` holds the names of the query parameters that are allowed, each at most once; with `filters` any
    others are allowed too, as often as one likes. An `internal` route is there to explain an error: it is in
    no `Allow` header and is not documented. A `public` route needs no key, and its handler can reach nothing
    that is stored; any other needs `rights`, and without them is there only for those whom nothing restricts.
    `summary`, `description` and `doc` (what it takes and gives) are for the documentation only; a route that
    is not internal needs `summary` and `doc`.
    """

    method: str
    path: str
    handler: Handler = field(repr=False)
    query: frozenset[str] = field(default=frozenset(), kw_only=True)
    filters: bool = field(default=False, kw_only=True)
    internal: bool = field(default=False, kw_only=True)
    public: bool = field(default=False, kw_only=True)
    rights: Rights | None = field(default=None, kw_only=True, repr=False)
    summary: str = field(default="", kw_only=True)
    description: str = field(default="", kw_only=True, repr=False)
    doc: Operation | None = field(default=None, kw_only=True, repr=False)


def build_app(
    routes: Iterable[Route],
    *,
    limits: Limits | None = None,
    shield: Shield | None = None,
    enter: Enter = anybody,
) -> bottle.Bottle:
    """The WSGI application that answers by `routes`; every path answers with and without one trailing slash.
    `enter` finds out who calls.

    What the shield refuses comes to no route; without one, requests must be for loopback hosts.

    Raises: ValueError for two routes with one method and path, and for a path that cannot be read.
    """
    app, limits, shield = bottle.Bottle(), limits or Limits(), shield or Shield()
    app.max_body_bytes = limits.body_bytes  # for the server, which receives the bodies
    for path, methods in _by_path(routes):
        app.route(_rule(path), method="ANY", callback=_callback(path, methods, limits, enter))
    app.route("<path:re:(?s:.*)>", method="ANY", callback=_no_route(enter))
    app.add_hook("before_request", partial(_pass, shield))
    app.add_hook("before_request", _check_path)
    install(app, more=shield.answer_headers)
    return app


# paths


def _by_path(routes: Iterable[Route]) -> list[tuple[str, dict[str, Route]]]:
    found: dict[str, dict[str, Route]] = {}
    for route in routes:
        methods = found.setdefault(route.path, {})
        if route.method in methods:
            raise ValueError(f"two routes for {route.method} {route.path}")
        methods[route.method] = route
    return sorted(found.items(), key=lambda item: _rank(item[0]))


def by_rank(paths: Iterable[str]) -> list[str]:
    """Paths of routes in the order in which they are tried."""
    return sorted(paths, key=_rank)


def pattern_of(path: str) -> str:
    """The regular expression that the path of a request matches in full, with a group for each parameter."""
    texts = _PARAM.split(path)[::3]
    groups = [f"(?P<{m[1]}>{_VALUES[bool(m[2])]})" for m in _PARAM.finditer(path)]
    return "".join(map("".join, zip(map(re.escape, texts), [*groups, "/?"], strict=True)))


def _rank(path: str) -> list[tuple[int, str]]:
    """Literal text before one segment before several; a longer path before the one that it begins with."""
    found = [(segment, _PARAM.fullmatch(segment)) for segment in path.strip("/").split("/")]
    ranks = [(0, text) if match is None else (2, "") if match[2] else (1, "") for text, match in found]
    return [*ranks, (3, "")]


def _rule(path: str) -> str:
    """The bottle rule for a path of ours."""
    literal = _PARAM.sub("", path)
    if not path.startswith("/") or path.endswith("/") or set("<>\\:") & set(literal):
        raise ValueError(f"cannot read the path {path!r} of a route")
    return _PARAM.sub(lambda m: f"<{m[1]}:re:{_VALUES[bool(m[2])]}>", path) + "<:re:/?>"


def _pass(shield: Shield) -> None:
    """Let the request come in, or answer it here, whatever its path."""
    environ = bottle.request.environ
    try:
        shield.check(environ)
    except HttpError as error:
        raise _problem(error) from None
    if (allowed := shield.preflight(environ)) is not None:
        raise bottle.HTTPResponse(status=204, headers=list(allowed))


def _check_path() -> None:
    """Refuse what is not percent-encoded UTF-8, before bottle drops the odd bytes without a word."""
    environ = bottle.request.environ
    raw: str = environ.get("RAW_URI", "").partition("?")[0]
    try:
        if BAD_ESCAPE.search(raw):
            raise BadInput(f"the path {raw[:80]!r} holds a % that is not followed by two hex digits")
        path = utf8(environ["bottle.raw_path"].encode("latin-1"), what="path")
        if found := _CONTROL.search(path):
            raise BadInput(f"the path holds the control character {found[0]!r}")
    except BadInput as error:
        raise _problem(error) from None


# calls


def _callback(
    template: str, methods: Mapping[str, Route], limits: Limits, enter: Enter
) -> Callable[..., Any]:
    verbs = {method for method, route in methods.items() if not route.internal} | {"OPTIONS"}
    allow = ", ".join(sorted(verbs | {"HEAD"} if "GET" in verbs else verbs))

    def call(**path: str) -> Any:
        environ = bottle.request.environ
        method, environ[ROUTE] = environ["REQUEST_METHOD"], template
        route = methods.get("GET" if method == "HEAD" and "HEAD" not in methods else method)
        try:
            # Before all else: who is not known is not told what there is.
            caller = _STRANGER if route is not None and route.public else enter(environ)
            if route is not None:
                request = _request(environ, route, path, limits, caller)
                _check_rights(route, request)
                return _encoded(route.handler(request))
            if method == "OPTIONS":
                return bottle.HTTPResponse(status=204, headers={"Allow": allow})
            raise MethodNotAllowed(f"{method[:20]} is not allowed here, only {allow}", allow=allow)
        except Exception as error:  # noqa: BLE001  every error is answered, and logged where it is a fault of ours
            return _problem(error)

    return call


def _no_route(enter: Enter) -> Callable[[str], Any]:
    def call(path: str) -> Any:
        shown = path if len(path) <= 80 else path[:77] + "..."
        try:
            enter(bottle.request.environ)
        except Exception as error:  # noqa: BLE001  as above
            return _problem(error)
        return _problem(RouteNotFound(f"there is nothing at {shown}"))

    return call


def _check_rights(route: Route, request: Request) -> None:
    """Nothing, if the caller may send this.

    Raises: Forbidden; BadInput for an illegal name.
    """
    access = request.caller.access
    if route.public or access.is_everything:
        return
    if route.rights is None:
        raise Forbidden("this is not for callers whom access rules or a key restrict")
    demand_all(access, route.rights(Asked(request.path, request.query)), bucket=request.bucket)


def _request(
    environ: dict[str, Any], route: Route, path: Mapping[str, str], limits: Limits, caller: Caller
) -> Request:
    return Request(
        method=environ["REQUEST_METHOD"],
        uri=environ["PATH_INFO"],
        path=path,
        pairs=parse_query(environ.get("QUERY_STRING", ""), allowed=route.query, filters=route.filters),
        request_id=environ[REQUEST_ID],
        environ=environ,
        limits=limits,
        caller=caller,
    )


# answers


def _encoded(response: Response) -> bottle.HTTPResponse:
    body, headers = response.body, list(response.headers)
    kind = "application/octet-stream"
    if isinstance(body, Iterator):
        body = _Stream.begun(body)
    elif not isinstance(body, bytes):
        body = orjson.dumps(body)
        kind = "application/json"
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", kind))
    return bottle.HTTPResponse(body=body, status=response.status, headers=headers)


class _Stream:
    """An iterator of bytes whose first chunk is here already; it is closed whatever happens."""

    def __init__(self, first: bytes, rest: Iterator[bytes]) -> None:
        self._first: bytes | None = first
        self._rest = rest

    @classmethod
    def begun(cls, source: Iterator[bytes]) -> "bytes | _Stream":
        """The stream, or nothing where the source has nothing. Raises: whatever the source raises at once."""
        try:
            first = next((chunk for chunk in source if chunk), None)
        except BaseException:
            _close(source)
            raise
        if first is None:
            _close(source)
            return b""
        return cls(first, source)

    def __iter__(self) -> "_Stream":
        return self

    def __next__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return next(self._rest)

    def close(self) -> None:
        """Close the source."""
        _close(self._rest)


def _close(source: Iterator[bytes]) -> None:
    if (close := getattr(source, "close", None)) is not None:
        close()


def _problem(error: Exception) -> bottle.HTTPResponse:
    found = answer_error(error, request_id=bottle.request.environ[REQUEST_ID])
    return bottle.HTTPResponse(body=found.body, status=found.status, headers=list(found.headers))
