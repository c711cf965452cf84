"""Every error as a problem, and the table that gives each its status."""

import importlib
import inspect
import json
import logging
import pkgutil
import re
from typing import Any

import bottle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import omega.ports
from omega.domain import errors as domain
from omega.entrypoints.formats import errors as formats
from omega.entrypoints.http import errors
from omega.entrypoints.http.errors import ANSWERS, HttpError, install, problem
from omega.entrypoints.http.headers import request_id
from omega.ports import frames, models, records
from tests.support.wsgi import call


def error_classes() -> set[type[BaseException]]:
    """Every exception class that the domain's errors, the formats and the ports define."""
    ports = [
        importlib.import_module(f"omega.ports.{info.name}")
        for info in pkgutil.iter_modules(omega.ports.__path__)
    ]
    assert len(ports) >= 5
    return {
        value
        for module in (domain, formats, *ports)
        for _, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, BaseException) and value.__module__ == module.__name__
    }


def test_the_table_has_every_error_and_no_other() -> None:
    assert set(ANSWERS) == error_classes()


def example(cls: type[BaseException]) -> BaseException:
    return cls("words", actions=["fit"]) if cls is models.UnsupportedAction else cls("words")


@pytest.mark.parametrize("cls", ANSWERS, ids=lambda cls: cls.__name__)
def test_each_error_is_a_problem(cls: type[BaseException]) -> None:
    found = problem(example(cls), request_id="abc")
    body = json.loads(found.body)
    assert set(body) == {"type", "title", "status", "detail", "request_id", "message"}
    assert body["status"] == found.status == ANSWERS[cls].status
    assert body["detail"] == body["message"] != ""
    assert body["request_id"] == "abc"
    assert re.fullmatch(r"urn:omega:problem:[a-z-]+", body["type"])
    assert ("Content-Type", "application/problem+json") in found.headers
    assert ("Content-Length", str(len(found.body))) in found.headers


STATUSES = {
    domain.BadInput("x"): 400,
    domain.TooLarge("x"): 413,
    domain.NotFound("x"): 404,
    domain.AlreadyExists("x"): 409,
    domain.NotFitted("x"): 409,
    domain.PreconditionFailed("x"): 412,
    domain.Corrupt("dataset 'a' is damaged"): 500,
    records.StoreUnavailable("x"): 503,
    records.StoreFull("x"): 507,
    frames.SegmentCorrupt("01abc"): 500,
    errors.RouteNotFound("x"): 404,
    errors.MethodNotAllowed("x", allow="GET"): 405,
    formats.NotAcceptable("x"): 406,
    formats.UnsupportedMediaType("x"): 415,
    errors.UnsupportedContentEncoding("x"): 415,
    RuntimeError("x"): 500,
    KeyError("x"): 500,
    ValueError("x"): 500,
}


@pytest.mark.parametrize(("error", "status"), STATUSES.items(), ids=lambda v: type(v).__name__)
def test_statuses(error: Exception, status: int) -> None:
    assert problem(error, request_id="a").status == status


def test_a_subclass_is_answered_as_its_nearest_known_parent() -> None:
    class Special(domain.AlreadyExists):
        pass

    found = json.loads(problem(Special("x"), request_id="a").body)
    assert (found["status"], found["type"]) == (409, "urn:omega:problem:already-exists")


def test_headers_of_the_answer() -> None:
    assert ("Retry-After", "2") in problem(records.StoreUnavailable(), request_id="a").headers
    assert ("Allow", "GET, PUT") in problem(
        errors.MethodNotAllowed("x", allow="GET, PUT"), request_id="a"
    ).headers


def test_what_is_damaged_is_named_and_nothing_else() -> None:
    assert "(01abc)" in detail(frames.SegmentCorrupt("01abc"))
    assert "/var" not in detail(frames.SegmentCorrupt("/var/lib/omega/x"))
    assert detail(domain.Corrupt("dataset 'a' is damaged")) == "dataset 'a' is damaged"


@pytest.mark.parametrize(
    "error", [RuntimeError("/etc/secret token"), records.RecordNotFound("store/secret"), KeyError("secret")]
)
def test_nothing_of_an_unforeseen_error_is_shown(error: Exception) -> None:
    found = problem(error, request_id="a")
    assert found.status == 500
    assert b"secret" not in found.body
    assert type(error).__name__.encode() not in found.body
    assert json.loads(found.body)["type"] == "urn:omega:problem:internal-error"


def detail(error: Exception) -> str:
    return str(json.loads(problem(error, request_id="a").body)["detail"])


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(), max_size=50))
def test_any_words_can_be_shown(words: str) -> None:
    shown = detail(domain.BadInput(words))
    assert shown == words.encode("utf-8", "replace").decode()


def test_words_that_are_not_unicode_can_be_shown() -> None:
    assert detail(domain.BadInput("a\ud800b")) == "a?b"


def test_long_words_are_cut() -> None:
    assert len(detail(domain.BadInput("x" * 10_000))) == 2000


@pytest.mark.parametrize(
    ("given_id", "kept"),
    [
        ("a", 1),
        ("A-z_0.9", 1),
        ("x" * 64, 1),
        ("x" * 65, 0),
        ("", 0),
        ("a b", 0),
        ("a\n", 0),
        ("\u00e9", 0),
        ("<b>", 0),
    ],
)
def test_the_request_id_is_the_clients_if_it_is_harmless(given_id: str, kept: int) -> None:
    found = request_id({"HTTP_X_REQUEST_ID": given_id})
    assert (found == given_id) == bool(kept)
    assert kept or re.fullmatch("[0-9a-f]{32}", found)
    assert request_id({}) != request_id({})


class TestInstalled:
    @pytest.fixture
    def app(self) -> bottle.Bottle:
        app = bottle.Bottle()
        app.route("/fine", callback=lambda: {"a": 1})
        app.route("/bug", callback=self.bug)
        app.route("/full", callback=self.full)
        app.route("/abort", callback=lambda: bottle.abort(403, "the secret"))
        app.route("/json", method="POST", callback=lambda: {"got": bottle.request.json})
        app.route("/generator", callback=self.generator)
        app.route("/odd", callback=lambda: object())
        install(app)
        return app

    def bug(self) -> Any:
        raise RuntimeError("/etc/secret")

    def full(self) -> Any:
        raise records.StoreFull

    def generator(self) -> Any:
        yield self.bug()

    def check(self, app: bottle.Bottle, method: str, uri: str, status: int, **more: Any) -> dict[str, Any]:
        reply = call(
            app, method, uri, headers={"X-Request-ID": "id-1", "Content-Type": "application/json"}, **more
        )
        assert reply.status == status
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.headers["x-request-id"] == "id-1"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.json["request_id"] == "id-1"
        assert reply.json["status"] == status
        for word in (b"secret", b"<", b"Traceback", b".py", b"Error("):
            assert word not in reply.body
        assert reply.environ["wsgi.errors"].getvalue() == ""
        found: dict[str, Any] = reply.json
        return found

    def test_a_good_answer_has_the_standard_headers(self, app: bottle.Bottle) -> None:
        reply = call(app, "GET", "/fine")
        assert reply.status == 200
        assert reply.json == {"a": 1}
        assert re.fullmatch("[0-9a-f]{32}", reply.headers["x-request-id"])
        assert reply.headers["x-content-type-options"] == "nosniff"

    def test_bottles_own_errors(self, app: bottle.Bottle) -> None:
        assert self.check(app, "GET", "/no%3Cscript%3E", 404)["type"] == "urn:omega:problem:route-not-found"
        assert self.check(app, "PUT", "/fine", 405)["type"] == "urn:omega:problem:method-not-allowed"
        self.check(app, "POST", "/json", 400, body=b"{secret")
        self.check(app, "GET", "/abort", 403)

    def test_bottles_405_lists_the_methods(self, app: bottle.Bottle) -> None:
        assert "GET" in call(app, "PUT", "/fine").headers["allow"]

    @pytest.mark.parametrize("uri", ["/bug", "/generator"])
    def test_an_unforeseen_error_is_in_the_log_only(
        self, app: bottle.Bottle, uri: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.check(app, "GET", uri, 500)
        (entry,) = [e for e in caplog.records if e.name == "omega.http"]
        assert entry.levelno == logging.ERROR
        assert "id-1" in entry.getMessage()
        assert entry.exc_info and "/etc/secret" in str(entry.exc_info[1])

    def test_an_answer_that_is_none(self, app: bottle.Bottle) -> None:
        self.check(app, "GET", "/odd", 500)

    def test_an_error_of_a_port_gets_its_status(self, app: bottle.Bottle) -> None:
        self.check(app, "GET", "/full", 507)

    def test_head_has_no_body(self, app: bottle.Bottle) -> None:
        reply = call(app, "HEAD", "/bug")
        assert (reply.status, reply.body) == (500, b"")

    def test_a_path_that_no_server_gives(self, app: bottle.Bottle) -> None:
        environ_path = "/\u20ac"
        started: list[str] = []
        answer = app(
            {"REQUEST_METHOD": "GET", "PATH_INFO": environ_path, "wsgi.errors": None},
            lambda status, *_: started.append(status),
        )
        assert started[0].startswith("500")
        assert json.loads(b"".join(answer))["status"] == 500


def test_http_errors_are_no_errors_of_the_table() -> None:
    assert not any(issubclass(cls, HttpError) for cls in ANSWERS)
