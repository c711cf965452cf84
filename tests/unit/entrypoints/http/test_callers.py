"""Keys over HTTP: which requests need one, how they carry it, and what those who are wrong are told."""

import logging
from typing import Any

import pytest
from attrs import define

from omega import Omega
from omega.domain.errors import Unauthorized
from omega.domain.keys import Credentials
from omega.entrypoints.http.app import build, routes
from omega.entrypoints.http.callers import MAX_FAILURES, WINDOW_S, Entry, Failures, credentials_of
from omega.entrypoints.http.errors import TooManyAttempts
from omega.entrypoints.http.routing import Route, build_app
from omega.entrypoints.limits import Limits
from tests.support.wsgi import Reply, call


@pytest.fixture
def omega():
    with Omega("memory://") as omega:
        omega.datasets.put({"x": 1}, "d")
        omega["team"].datasets.put({"x": 2}, "d")
        yield omega


def ask(app: Any, method: str, path: str, key: str | None = None, **headers: str) -> Reply:
    if key is not None:
        headers["authorization"] = key
    return call(app, method, path, headers=headers)


D = "/api/v1/dataset/d"


def test_every_route_but_the_public_ones_needs_a_key(omega):
    app, (_, key) = build(omega, Limits()), omega.keys.add("alice")
    for route in routes(omega, Limits()):
        path = route.path.replace("<name:name>", "d").replace("<id>", "1").replace("<file>", "x")
        reply = ask(app, route.method, path)
        assert (reply.status == 401) != route.public, (route.method, path)
        assert ask(app, route.method, path, f"Bearer {key}").status != 401
    public = {route.path for route in routes(omega, Limits()) if route.public}
    assert {path for path in public if "/doc/" not in path} == {
        "/api/v1/ping",
        "/api/redoc",
        "/healthz",
        "/readyz",
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/nothing"),
        ("GET", "/"),
        ("PATCH", D),
        ("OPTIONS", D),
        ("HEAD", D),
        ("GET", D + "?nonsense=1&limit=x"),
        ("GET", "/api/v1/dataset/none"),
        ("GET", "/api/v1/dataset/a:b"),
        ("POST", "/api/v1/ping"),
    ],
)
def test_who_is_not_known_is_not_told_what_there_is(omega, method, path):
    app, _ = build(omega, Limits()), omega.keys.add("alice")
    reply = ask(app, method, path)
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == 'Bearer realm="omega", ApiKey realm="omega"'
    if method != "HEAD":
        assert reply.json["type"] == "urn:omega:problem:unauthorized"
        assert reply.json["detail"].startswith("a key is needed")


def test_both_ways_to_send_a_key(omega):
    app, (_, key) = build(omega, Limits()), omega.keys.add("älice o'b")
    user = "älice o'b".encode().decode("latin-1")
    for header in (f"Bearer {key}", f"bearer  {key} ", f"ApiKey {user}:{key}", f"APIKEY {user}:{key}"):
        assert ask(app, "GET", D, header).status == 200, header
    for header in (
        f"ApiKey bob:{key}",
        f"ApiKey {key}",
        f"ApiKey :{key}",
        key,
        f"Basic {key}",
        f"Bearer{key}",
        "Bearer",
        "ApiKey",
        "",
        f"Bearer {key}x",
        f"Bearer {key}, Bearer {key}",
    ):
        assert ask(app, "GET", D, header).status == 401, header


def test_a_removed_key_fails_on_the_next_request(omega):
    app, (_, key) = build(omega, Limits()), omega.keys.add("alice")
    assert ask(app, "GET", D, f"Bearer {key}").status == 200
    omega.keys.remove("alice")
    assert ask(app, "GET", D, f"Bearer {key}").status == 401
    assert ask(app, "GET", D).status == 401
    omega.keys.disable()
    assert ask(app, "GET", D).status == 200


def test_rules_of_the_key_and_of_the_server(omega):
    app, (_, key) = (
        build(omega, Limits(), rules=["dataset/.*/.*"]),
        omega.keys.add("alice", rules=["dataset/d/get", "model"]),
    )
    header = f"Bearer {key}"
    assert ask(app, "GET", D, header).status == 200
    for method, path in [("DELETE", D), ("GET", "/api/v1/dataset/"), ("GET", "/api/v1/model/")]:
        reply = ask(app, method, path, header)
        assert reply.status == 403, path
        assert reply.json["type"] == "urn:omega:problem:forbidden"


def test_the_bucket_of_a_key_is_meant_where_none_is_named(omega):
    app, (_, key) = build(omega, Limits()), omega.keys.add("alice", bucket="team")
    header = f"Bearer {key}"
    for sent in ({}, {"bucket": "team"}):
        assert ask(app, "GET", D, header, **sent).json["data"] == {"x": 2}
    for other in ("store", "other", "a/b"):
        assert ask(app, "GET", D, header, bucket=other).status == 403
    assert ask(app, "GET", "/api/v1/task/", header, bucket="store").json["objects"] == []


# those who are wrong


@define
class Watch:
    at: float = 0.0

    def __call__(self) -> float:
        return self.at


def wrong(entry: Entry, credentials: str, address: str = "10.0.0.1") -> type[Exception]:
    with pytest.raises((Unauthorized, TooManyAttempts)) as caught:
        entry({"HTTP_AUTHORIZATION": credentials, "REMOTE_ADDR": address})
    if isinstance(caught.value, TooManyAttempts):
        ((name, seconds),) = caught.value.headers
        assert name == "Retry-After"
        assert 1 <= int(seconds) <= WINDOW_S + 1
    return type(caught.value)


def test_who_is_wrong_too_often_is_told_to_wait_and_nobody_else_is(omega):
    _, key = omega.keys.add("alice")
    watch = Watch()
    entry = Entry(omega.callers(), Failures(watch))
    assert [wrong(entry, f"ApiKey alice:{n}") for n in range(MAX_FAILURES)] == [Unauthorized] * MAX_FAILURES
    assert wrong(entry, "ApiKey alice:x") is TooManyAttempts
    # The user's own key is let in, from that address too; who has no key is told that he needs one.
    for address in ("10.0.0.1", "10.0.0.2"):
        assert entry({"HTTP_AUTHORIZATION": f"ApiKey alice:{key}", "REMOTE_ADDR": address}).user == "alice"
    assert wrong(entry, "") is Unauthorized
    # Another user is slowed at that address, and this one elsewhere.
    assert wrong(entry, "ApiKey bob:x") is TooManyAttempts
    assert wrong(entry, "ApiKey alice:x", "10.0.0.2") is TooManyAttempts
    assert wrong(entry, "Bearer x", "10.0.0.2") is Unauthorized
    watch.at += WINDOW_S
    assert wrong(entry, "ApiKey alice:x") is Unauthorized


def test_only_so_many_of_those_who_are_wrong_are_remembered():
    failures = Failures(Watch())
    for number in range(30_000):
        failures.count(f"user {number}")
        if number % 1000 == 0:
            failures.count("the same")
    assert len(failures._by_who) == 10_000
    # Who goes on is not forgotten in favour of others.
    assert failures.count("the same")[0] == 31
    assert failures.count("user 1")[0] == 1


def test_a_wait_is_429(omega):
    omega.keys.add("alice")
    app = build(omega, Limits())
    found = [ask(app, "GET", D, "Bearer x") for _ in range(MAX_FAILURES + 1)]
    assert [reply.status for reply in found] == [401] * MAX_FAILURES + [429]
    assert 1 <= int(found[-1].headers["retry-after"]) <= WINDOW_S + 1
    assert found[-1].json["type"] == "urn:omega:problem:too-many-attempts"


def test_the_log_says_who_was_wrong_without_the_key(omega, caplog):
    omega.keys.add("alice")
    entry = Entry(omega.callers(), Failures(Watch()))
    with caplog.at_level(logging.WARNING, logger="omega.http"):
        for _ in range(3 * MAX_FAILURES):
            wrong(entry, "ApiKey eve\r\nx" + "y" * 200 + ":omk_secret")
    assert len(caplog.records) == MAX_FAILURES
    line = caplog.records[0].getMessage()
    assert "10.0.0.1" in line
    assert "eve\\r\\nx" in line
    assert "omk_secret" not in caplog.text
    assert len(line) < 250


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Bearer k", Credentials("k")),
        ("ApiKey u:k", Credentials("k", "u")),
        ("ApiKey u:v:k", Credentials("k", "u:v")),
        ("ApiKey k", Credentials("k", "")),
        ("Digest k", None),
        ("", None),
        ("ApiKey \xff:k", Credentials("k", "\ufffd")),
    ],
)
def test_credentials(header, found):
    assert credentials_of({"HTTP_AUTHORIZATION": header}) == found


def test_a_store_that_cannot_be_reached_lets_nobody_in(omega):
    from omega.ports.records import StoreUnavailable

    def broken(environ: Any) -> Any:
        raise StoreUnavailable("gone")

    app = build_app([Route("GET", "/x", lambda request: pytest.fail("called"))], enter=broken)
    assert [ask(app, "GET", path).status for path in ("/x", "/nothing")] == [503, 503]
