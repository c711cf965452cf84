"""The route table: which route a request finds, what its handler sees, and how its answer is sent."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import bottle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.domain.errors import NotFound
from omega.entrypoints.http.routing import FILTERS, Request, Response, Route, build_app
from omega.entrypoints.limits import Limits
from tests.support.wsgi import Reply, call

seen: list[Request] = []


def handler(what: str) -> Any:
    def handle(request: Request) -> Response:
        seen.append(request)
        return Response(200, {"handler": what, "path": dict(request.path), "pairs": request.pairs})

    return handle


def fails(request: Request) -> Response:
    raise NotFound("there is no such thing")


API = [
    Route("GET", "/v1/ping", handler("ping")),
    Route("GET", "/v1/model", handler("list"), query=frozenset({"limit", "offset"})),
    Route("POST", "/v1/model", handler("create")),
    Route("GET", "/v1/model/<name:name>", handler("read")),
    Route("DELETE", "/v1/model/<name:name>", handler("drop")),
    Route("POST", "/v1/model/<name:name>", fails, internal=True),
    Route("PUT", "/v1/model/<name:name>/fit", handler("fit"), query=frozenset({"datax"})),
    Route("GET", "/v1/model/<name:name>/predict", handler("predict")),
    Route("GET", "/v1/dataset/<name:name>", handler("data"), query=frozenset({"limit"}), filters=FILTERS),
    Route("PUT", "/v1/dataset/<name:name>", handler("write")),
    Route("GET", "/v1/job/<name:name>", handler("job")),
    Route("POST", "/v1/job/<name:name>/run", handler("run")),
    Route("GET", "/v1/job/results/<name:name>", handler("results")),
    Route("GET", "/v1/task/<id>/status", handler("task")),
]


@pytest.fixture(scope="module")
def app() -> bottle.Bottle:
    return build_app(reversed(API))


def get(app: bottle.Bottle, uri: str, method: str = "GET", **more: Any) -> Reply:
    return call(app, method, uri, **more)


def problem(reply: Reply, status: int) -> str:
    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["request_id"] == reply.headers["x-request-id"]
    return str(reply.json["detail"])


FOUND = {
    "GET /v1/ping": ("ping", {}),
    "GET /v1/model": ("list", {}),
    "POST /v1/model": ("create", {}),
    "GET /v1/model/a": ("read", {"name": "a"}),
    "GET /v1/model/a/b": ("read", {"name": "a/b"}),
    "GET /v1/model/a%2Fb": ("read", {"name": "a/b"}),
    "GET /v1/model/fit": ("read", {"name": "fit"}),
    "GET /v1/model/a/fits": ("read", {"name": "a/fits"}),
    "DELETE /v1/model/a/b": ("drop", {"name": "a/b"}),
    "PUT /v1/model/a/fit": ("fit", {"name": "a"}),
    "PUT /v1/model/a%2Ffit": ("fit", {"name": "a"}),
    "PUT /v1/model/a/b/fit": ("fit", {"name": "a/b"}),
    "PUT /v1/model/fit/fit": ("fit", {"name": "fit"}),
    "GET /v1/model/a/predict": ("predict", {"name": "a"}),
    "GET /v1/model/caf%C3%A9+x": ("read", {"name": "caf\u00e9+x"}),
    "GET /v1/model/a%20b": ("read", {"name": "a b"}),
    "GET /v1/model/..%2f..%2fetc": ("read", {"name": "../../etc"}),
    "GET /v1/model/%2e%2e": ("read", {"name": ".."}),
    "GET /v1/model/a//b": ("read", {"name": "a//b"}),
    "GET /v1/model/a%253f": ("read", {"name": "a%3f"}),
    "GET /v1/job/results/x.ipynb": ("results", {"name": "x.ipynb"}),
    "GET /v1/job/x.ipynb": ("job", {"name": "x.ipynb"}),
    "GET /v1/task/42/status": ("task", {"id": "42"}),
}


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("line", "expected"), FOUND.items(), ids=FOUND)
def test_each_path_finds_its_route(
    app: bottle.Bottle, line: str, expected: tuple[str, Any], slash: str
) -> None:
    method, uri = line.split()
    reply = call(app, method, uri + slash)
    assert reply.status == 200
    assert (reply.json["handler"], reply.json["path"]) == expected


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20), st.booleans())
def test_any_name_comes_through(app: bottle.Bottle, name: str, slashes_too: bool) -> None:
    uri = f"/v1/dataset/x{quote(name, safe='' if slashes_too else '/')}x"
    assert get(app, uri).json["path"] == {"name": f"x{name}x"}


ALLOWED = {
    "GET /v1/model/a/fit": "OPTIONS, PUT",
    "HEAD /v1/model/a/fit": "OPTIONS, PUT",
    "DELETE /v1/model/a/fit/": "OPTIONS, PUT",
    "PATCH /v1/model/a": "DELETE, GET, HEAD, OPTIONS",
    "PUT /v1/ping": "GET, HEAD, OPTIONS",
    "GET /v1/job/a/run": "OPTIONS, POST",
    "TRACE /v1/dataset/a": "GET, HEAD, OPTIONS, PUT",
    "get /v1/ping": "GET, HEAD, OPTIONS",
}


@pytest.mark.parametrize(("line", "allow"), ALLOWED.items(), ids=ALLOWED)
def test_other_methods_are_405_and_allow_lists_all_there_are(
    app: bottle.Bottle, line: str, allow: str
) -> None:
    method, uri = line.split()
    reply = call(app, method, uri)
    assert reply.status == 405
    assert reply.headers["allow"] == allow
    assert method == "HEAD" or allow in problem(reply, 405)


def test_an_internal_route_explains_itself_but_is_not_allowed(app: bottle.Bottle) -> None:
    assert problem(get(app, "/v1/model/a", "POST"), 404) == "there is no such thing"
    assert "POST" not in get(app, "/v1/model/a", "OPTIONS").headers["allow"]


def test_options(app: bottle.Bottle) -> None:
    reply = get(app, "/v1/model/", "OPTIONS")
    assert (reply.status, reply.body, reply.headers["allow"]) == (204, b"", "GET, HEAD, OPTIONS, POST")
    assert "content-type" not in reply.headers


def test_head_is_get_without_a_body(app: bottle.Bottle) -> None:
    reply = get(app, "/v1/model/a", "HEAD")
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["content-length"] == str(len(get(app, "/v1/model/a").body))


@pytest.mark.parametrize(
    "uri",
    [
        "/",
        "/v1",
        "/v1/models",
        "/v1/task/1",
        "/v1/task/1/2/status",
        "/v1/ping/x",
        "/v1/ping//",
        "*",
        "/V1/ping",
        "//v1/ping",
    ],
)
def test_other_paths_are_404(app: bottle.Bottle, uri: str) -> None:
    assert uri in problem(get(app, uri), 404)


BAD_PATHS = {
    "/v1/model/%ff": "not UTF-8: byte 0xff",
    "/v1/model/%c3": "not UTF-8",
    "/v1/model/%ed%a0%80": "not UTF-8",
    "/v1/model/%zz": "not followed by two hex digits",
    "/v1/model/a%": "not followed by two hex digits",
    "/v1/model/a%2": "not followed by two hex digits",
    "/v1/model/%00": "control character",
    "/v1/ping%0a": "control character",
    "/v1/model/a%0D%0Ab": "control character",
    "/nowhere/%ff": "not UTF-8",
}


@pytest.mark.parametrize(("uri", "words"), BAD_PATHS.items(), ids=BAD_PATHS)
def test_bad_paths_are_refused(app: bottle.Bottle, uri: str, words: str) -> None:
    assert words in problem(get(app, uri), 400)


def test_a_path_is_checked_also_where_the_server_gives_it_decoded_only(app: bottle.Bottle) -> None:
    environ = call(app, "GET", "/v1/ping").environ
    del environ["RAW_URI"]
    started: list[str] = []
    app({**environ, "PATH_INFO": "/v1/model/\xff"}, lambda status, *_: started.append(status))
    assert started == ["400 Bad Request"]


# queries


def pairs(app: bottle.Bottle, query: str) -> list[list[str]]:
    found: list[list[str]] = get(app, f"/v1/dataset/a?{query}").json["pairs"]
    return found


def test_query_pairs_come_decoded_and_in_order(app: bottle.Bottle) -> None:
    assert pairs(app, "b=1&a=x+y%2B%26&b=2&c&=d&e=f=g&&") == [
        ["b", "1"],
        ["a", "x y+&"],
        ["b", "2"],
        ["c", ""],
        ["", "d"],
        ["e", "f=g"],
    ]


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(words, words), max_size=5))
def test_any_query_comes_through(app: bottle.Bottle, sent: list[tuple[str, str]]) -> None:
    sent = [(f"x{name}", value) for name, value in sent]
    assert pairs(app, urlencode(sent)) == [list(pair) for pair in sent]


BAD_QUERIES = {
    "/v1/model?name=x": "unknown query parameter 'name'; allowed here: limit, offset",
    "/v1/ping?x=1": "unknown query parameter 'x'; allowed here: none",
    "/v1/model?Limit=1&b=2": "unknown query parameter 'Limit', 'b'",
    "/v1/model?limit=1&limit=1": "'limit' stands more than once",
    "/v1/dataset/a?limit=1&x=1&x=2&limit=2": "'limit' stands more than once",
    "/v1/dataset/a?x=%ff": "the query is not UTF-8: byte 0xff",
    "/v1/dataset/a?%c3=1": "the query is not UTF-8",
    "/v1/dataset/a?x=%zz": "not followed by two hex digits: '%zz'",
    "/v1/dataset/a?x=%": "not followed by two hex digits",
}


@pytest.mark.parametrize(("uri", "words"), BAD_QUERIES.items(), ids=BAD_QUERIES)
def test_bad_queries_are_refused(app: bottle.Bottle, uri: str, words: str) -> None:
    assert words in problem(get(app, uri), 400)


# requests


def test_what_a_handler_sees(app: bottle.Bottle) -> None:
    headers = {"Bucket": "mine", "X-Thing": "1", "Content-Type": "text/csv", "X-Request-ID": "id-7"}
    get(app, "/v1/dataset/a%20b/", "PUT", body=b"12345", headers=headers)
    request = seen[-1]
    assert (request.method, request.uri, request.bucket, request.request_id) == (
        "PUT",
        "/v1/dataset/a b/",
        "mine",
        "id-7",
    )
    assert request.headers["content-type"] == "text/csv"
    assert request.headers["x-thing"] == "1"
    assert (request.query, request.pairs) == ({}, ())
    assert request.body() == b"12345"


def test_without_a_header_the_bucket_is_store(app: bottle.Bottle) -> None:
    get(app, "/v1/ping")
    assert seen[-1].bucket == "store"


def test_the_stream_goes_on_where_it_was() -> None:
    def read(request: Request) -> Response:
        return Response(200, [part.decode() for part in iter(lambda: request.stream().read(2), b"")])

    app = build_app([Route("PUT", "/x", read)])
    assert call(app, "PUT", "/x", body=b"abcde").json == ["ab", "cd", "e"]


@pytest.mark.parametrize("reader", [Request.body, Request.stream])
def test_the_body_is_under_the_limits(reader: Any) -> None:
    app = build_app([Route("PUT", "/x", lambda request: reader(request))], limits=Limits(body_bytes=4))
    assert "over the limit of 4 bytes" in problem(call(app, "PUT", "/x", body=b"12345"), 413)


# answers


def answering(body: Any, status: int = 200, **headers: str) -> Reply:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return call(build_app([Route("GET", "/x", lambda _: Response(status, body, named))]), "GET", "/x")


def test_json_answers() -> None:
    reply = answering({"a": [1, None, "\u00e9"]}, 202, Location="/y")
    assert (reply.status, reply.json, reply.headers["location"]) == (202, {"a": [1, None, "\u00e9"]}, "/y")
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["content-length"] == str(len(reply.body))
    assert answering([]).body == b"[]"
    assert answering(None).body == b"null"


def test_bytes_go_as_they_are() -> None:
    reply = answering(b"\x00\xff", Content_Type="text/csv")
    assert (reply.body, reply.headers["content-type"]) == (b"\x00\xff", "text/csv")
    assert answering(b"").headers["content-length"] == "0"


def test_what_is_not_json_is_a_fault() -> None:
    problem(answering({"a": object()}), 500)


class Source:
    """Chunks, and whether they were closed."""

    def __init__(self, *chunks: bytes | Exception) -> None:
        self.closed = 0
        self.given = 0
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self.given == len(self._chunks):
            raise StopIteration
        chunk = self._chunks[self.given]
        self.given += 1
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def close(self) -> None:
        self.closed += 1


def test_streams_are_sent_whole_and_closed() -> None:
    source = Source(b"", b"ab", b"", b"cd")
    reply = answering(source, Content_Type="text/csv")
    assert (reply.status, reply.body, reply.headers["content-type"]) == (200, b"abcd", "text/csv")
    assert "content-length" not in reply.headers
    assert source.closed == 1


def test_an_empty_stream_is_an_empty_answer_and_closed() -> None:
    source = Source(b"")
    assert answering(source).body == b""
    assert source.closed == 1


def test_an_error_before_the_first_chunk_is_still_a_problem() -> None:
    source = Source(b"", NotFound("gone"))
    assert problem(answering(source), 404) == "gone"
    assert source.closed == 1


def test_no_more_than_the_first_chunk_is_taken_before_the_status() -> None:
    source = Source(b"a", b"b")
    app = build_app([Route("GET", "/x", lambda _: Response(200, source))])
    given_at_start: list[int] = []
    answer = app(
        call(app, "OPTIONS", "/x").environ | {"REQUEST_METHOD": "GET"},
        lambda *_: given_at_start.append(source.given),
    )
    assert given_at_start == [1]
    answer.close()
    assert source.closed == 1


def test_a_later_error_is_not_hidden() -> None:
    source = Source(b"a", ValueError("planted"))
    with pytest.raises(ValueError, match="planted"):
        answering(source)
    assert source.closed == 1


def test_a_stream_for_head_is_closed_unread() -> None:
    source = Source(b"a", b"b")
    app = build_app([Route("GET", "/x", lambda _: Response(200, source))])
    assert call(app, "HEAD", "/x").body == b""
    assert (source.given, source.closed) == (1, 1)


def test_a_streaming_answer_must_not_hold_line_breaks_in_headers() -> None:
    reply = answering(b"x", Content_Disposition='attachment; filename="a\r\nSet-Cookie: b"')
    assert reply.status == 500
    assert "set-cookie" not in reply.headers


# tables


def test_two_routes_for_one_request_are_refused() -> None:
    with pytest.raises(ValueError, match="two routes for GET /x"):
        build_app([Route("GET", "/x", fails), Route("GET", "/x", fails)])


@pytest.mark.parametrize("path", ["x", "/x/", "/<a:int>", "/<A>", "/a:b", "/a<b"])
def test_a_path_that_cannot_be_read_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="cannot read the path"):
        build_app([Route("GET", path, fails)])


def test_a_literal_with_dots_is_literal() -> None:
    app = build_app([Route("GET", "/specs/swagger.json", handler("spec"))])
    assert call(app, "GET", "/specs/swagger.json").status == 200
    assert json.loads(call(app, "GET", "/specs/swaggerXjson").body)["status"] == 404
