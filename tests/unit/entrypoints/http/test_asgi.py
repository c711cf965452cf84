"""The bridge from ASGI to WSGI, driven by hand: no server, no clock."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import define, field

from omega.domain.errors import BadInput
from omega.entrypoints.http import asgi
from omega.entrypoints.http.asgi import Patience, WSGIBridge, environ_of
from omega.entrypoints.http.threads import Threads
from omega.entrypoints.http.wsgi_call import CAN_WAIT, WAIT, WAITED, Pause

Environ = dict[str, Any]


def scope(method: str = "POST", uri: str = "/x", *, version: str = "1.1", **headers: str) -> dict[str, Any]:
    named = {"host": "h", **headers}
    path, _, query = uri.partition("?")
    return {
        "type": "http",
        "method": method,
        "http_version": version,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()],
        "server": ("127.0.0.1", "80"),
        "client": ("127.0.0.1", "999"),
    }


@define
class Client:
    """What a client sends, part by part, and what it got. After the last part it waits, or leaves."""

    parts: list[bytes] = field(factory=list)
    leaves: bool = False
    whole: bool = True
    got: list[dict[str, Any]] = field(factory=list)
    asked: int = 0

    async def receive(self) -> dict[str, Any]:
        self.asked += 1
        if self.parts:
            part = self.parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self.parts) or not self.whole}
        if self.leaves:
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: Any) -> None:
        self.got.append(dict(message))

    @property
    def status(self) -> int:
        return int(self.got[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.got[1:])

    @property
    def finished(self) -> bool:
        return not self.got[-1].get("more_body", False)


@pytest.fixture(scope="module")
def threads() -> Threads:
    return Threads(2)


def run(
    app: Any, client: Client, threads: Threads, given: dict[str, Any], *, limit: int = 100, **patience: float
) -> WSGIBridge:
    bridge = WSGIBridge(app, threads=threads, max_body_bytes=limit, patience=Patience(**patience))  # type: ignore[arg-type]
    asyncio.run(bridge(given, client.receive, client.send))
    return bridge


def echo(environ: Environ, start_response: Any) -> list[bytes]:
    start_response("201 Created", [("X-Length", environ.get("CONTENT_LENGTH", "none"))])
    return [environ["wsgi.input"].read()]


def unreachable(environ: Environ, start_response: Any) -> list[bytes]:
    raise AssertionError("the application was called")


def problem(client: Client, status: int) -> str:
    assert client.status == json.loads(client.body)["status"] == status
    headers = dict(client.got[0]["headers"])
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"x-request-id"].decode() == json.loads(client.body)["request_id"]
    return str(json.loads(client.body)["detail"])


def length(client: Client) -> bytes:
    return dict(client.got[0]["headers"])[b"x-length"]


def test_without_a_body_nothing_is_received(threads: Threads) -> None:
    client = Client()
    run(echo, client, threads, scope("GET"))
    assert (client.status, client.body, length(client), client.asked) == (201, b"", b"none", 0)


def test_a_body_comes_whole(threads: Threads) -> None:
    client = Client([b"ab", b"", b"cde"])
    run(echo, client, threads, scope(content_length="5"))
    assert (client.body, length(client)) == (b"abcde", b"5")


def test_a_chunked_body_gets_its_length(threads: Threads) -> None:
    client = Client([b"ab", b"c"])
    run(echo, client, threads, scope(transfer_encoding="chunked"))
    assert (client.body, length(client)) == (b"abc", b"3")


def test_a_large_body_goes_through_a_file(threads: Threads) -> None:
    kinds: list[type] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        kinds.append(type(environ["wsgi.input"]))
        return echo(environ, start_response)

    part = b"x" * 200_000
    for parts in ([part], [part, part]):
        client = Client(list(parts))
        run(app, client, threads, scope(transfer_encoding="chunked"), limit=10**6)
        assert client.body == b"".join(parts)
    assert kinds[0] is not kinds[1]


def test_an_announced_body_over_the_limit_is_not_received(threads: Threads) -> None:
    client = Client([b"x"] * 9)
    run(echo, client, threads, scope(content_length="101"))
    assert (client.body, length(client), client.asked) == (b"", b"101", 0)


def test_a_chunked_body_over_the_limit_is_received_no_further(threads: Threads) -> None:
    client = Client([b"x" * 40] * 9)
    run(echo, client, threads, scope(transfer_encoding="chunked"))
    assert (length(client), client.asked) == (b"120", 3)


def test_a_body_cut_short_never_reaches_the_application(threads: Threads) -> None:
    client = Client([b"ab"], whole=False, leaves=True)
    run(unreachable, client, threads, scope(content_length="5"))
    assert "cut short" in problem(client, 400)


def test_a_slow_body_is_given_up(threads: Threads) -> None:
    client = Client([b"ab"], whole=False)
    run(unreachable, client, threads, scope(content_length="5"), body_grace_s=0.01)
    assert "came too slowly: 2 bytes" in problem(client, 408)
    assert dict(client.got[0]["headers"])[b"connection"] == b"close"


class Clockwork(asyncio.SelectorEventLoop):
    """A loop whose time goes on only when it is told to."""

    now = 0.0

    def time(self) -> float:
        return self.now


@pytest.mark.parametrize(("bytes_per_s", "status"), [(5, 201), (10, 408)])
def test_what_came_buys_time(threads: Threads, bytes_per_s: int, status: int) -> None:
    """Five parts of 5 bytes, one a second, outlast the grace of 1.5 seconds if that is the least rate."""
    loop = Clockwork()

    class Ticking(Client):
        async def receive(self) -> dict[str, Any]:
            loop.now += 1
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return await super().receive()

    client = Ticking([b"x" * 5] * 5)
    patience = Patience(body_grace_s=1.5, body_bytes_per_s=bytes_per_s)
    bridge = WSGIBridge(echo, threads=threads, max_body_bytes=100, patience=patience)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(bridge(scope(content_length="25"), client.receive, client.send))
    assert client.status == status


def test_all_bodies_together_are_bounded_and_given_back(threads: Threads) -> None:
    client = Client([b"x" * 60])
    bridge = run(echo, client, threads, scope(content_length="60"), spool_bytes=50)
    assert "try again later" in problem(client, 503)
    for _ in range(3):
        client = Client([b"x" * 40])
        asyncio.run(bridge(scope(content_length="40"), client.receive, client.send))
        assert client.status == 201


def test_a_full_disk_is_507(threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(asgi.tempfile, "TemporaryFile", full)
    client = Client([b"x" * 300_000])
    bridge = run(unreachable, client, threads, scope(content_length="300000"), limit=10**6)
    problem(client, 507)
    assert bridge._spooled == 0


@pytest.mark.parametrize("headers", [[], [(b"host", b"")], [(b"host", b"a"), (b"host", b"b")]])
def test_a_request_needs_one_host(threads: Threads, headers: list[tuple[bytes, bytes]]) -> None:
    client = Client()
    run(unreachable, client, threads, {**scope("GET"), "headers": headers})
    assert "Host" in problem(client, 400)


def test_http_1_0_needs_no_host(threads: Threads) -> None:
    client = Client()
    run(echo, client, threads, {**scope("GET", version="1"), "headers": [(b"host", b"")]})
    assert client.status == 201


# answers


class Source:
    """An answer in parts of 200,000 bytes that notes what was asked of it."""

    def __init__(self, parts: int, *, error: Exception | None = None) -> None:
        self.left = parts
        self.error = error
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self.left == 0:
            raise self.error or StopIteration
        self.left -= 1
        return b"x" * 200_000

    def close(self) -> None:
        self.closed += 1

    def __call__(self, environ: Environ, start_response: Any) -> "Source":
        start_response("200 OK", [("X-A", "b")])
        return self


def test_a_long_answer_comes_in_parts(threads: Threads) -> None:
    source, client = Source(5), Client()
    run(source, client, threads, scope("GET"))
    assert (client.status, len(client.body), client.finished, source.closed) == (200, 1_000_000, True, 1)
    assert len(client.got) == 1 + 5 + 1


def test_small_chunks_go_as_one(threads: Threads) -> None:
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        return iter([b"a", b"", b"b", b"c"])

    client = Client()
    run(app, client, threads, scope("GET"))
    assert [m.get("body") for m in client.got] == [None, b"abc"]


@pytest.mark.parametrize("parts", [0, 1, 3])
def test_an_error_in_the_answer(threads: Threads, parts: int, caplog: pytest.LogCaptureFixture) -> None:
    """Before the first part it is a 500; after it the stream must not look finished."""
    source, client = Source(parts, error=RuntimeError("/secret")), Client()
    if parts == 0:
        run(source, client, threads, scope("GET"))
        assert "secret" not in problem(client, 500)
    else:
        with pytest.raises(RuntimeError, match="secret"):
            run(source, client, threads, scope("GET"))
        assert not client.finished
    assert source.closed == 1
    assert "/secret" in caplog.text


@pytest.mark.parametrize("cls", [ValueError, KeyboardInterrupt, StopIteration])
def test_an_application_that_fails(threads: Threads, cls: type[BaseException]) -> None:
    def app(environ: Environ, start_response: Any) -> Any:
        raise cls("x")

    client = Client()
    if cls is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            run(app, client, threads, scope("GET"))
    else:
        run(app, client, threads, scope("GET"))
        problem(client, 500)


def test_an_application_that_never_starts_is_a_fault(threads: Threads) -> None:
    client = Client()
    run(lambda *_: [b"x"], client, threads, scope("GET"))
    problem(client, 500)


def test_a_client_that_leaves_ends_the_answer(threads: Threads) -> None:
    source, client = Source(1000), Client(leaves=True)
    run(source, client, threads, scope("GET"))
    assert source.closed == 1
    assert source.left > 900


def test_a_client_that_stops_reading_is_given_up(threads: Threads) -> None:
    class Stuck(Client):
        async def send(self, message: Any) -> None:
            await super().send(message)
            if len(self.got) > 3:
                await asyncio.Event().wait()

    source, client = Source(1000), Stuck()
    with pytest.raises(TimeoutError):
        run(source, client, threads, scope("GET"), stall_s=0.01)
    assert source.closed == 1
    assert not client.finished


def test_an_answer_is_not_closed_while_a_part_of_it_is_made(threads: Threads) -> None:
    gate = threading.Event()

    class Slow:
        made, at_it, closed_in_the_middle = 0, False, False

        def __call__(self, environ: Environ, start_response: Any) -> "Slow":
            start_response("200 OK", [])
            return self

        def __iter__(self) -> "Slow":
            return self

        def __next__(self) -> bytes:
            self.made += 1
            self.at_it = True
            if self.made > 1:
                gate.wait()
            self.at_it = False
            return b"x" * 200_000

        def close(self) -> None:
            self.closed_in_the_middle |= self.at_it

    class Stuck(Client):
        async def send(self, message: Any) -> None:
            await super().send(message)
            if message["type"] == "http.response.body":
                asyncio.get_running_loop().call_later(0.05, gate.set)
                raise OSError("the line is broken")

    source = Slow()
    with pytest.raises(OSError, match="broken"):
        run(source, Stuck(), threads, scope("GET"))
    assert source.made == 2
    assert not source.closed_in_the_middle


def test_write_comes_before_the_body(threads: Threads) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])(b"first ")
        return [b"second"]

    client = Client()
    run(app, client, threads, scope("GET"))
    assert client.body == b"first second"


def test_only_http_is_served(threads: Threads) -> None:
    with pytest.raises(ValueError, match="websocket"):
        run(echo, Client(), threads, {"type": "websocket"})


# waiting


class Countdown:
    """What is ready when it has been asked `left` times."""

    def __init__(self, left: int, error: Exception | None = None) -> None:
        self.left = left
        self.error = error

    def ready(self) -> bool:
        self.left -= 1
        if self.left <= 0 and self.error is not None:
            raise self.error
        return self.left <= 0


class Patient:
    """An application that waits for `waiting`, and then answers with what it finds in its environment."""

    def __init__(self, waiting: Countdown) -> None:
        self.waiting = waiting
        self.calls: list[Environ] = []
        self.closed = 0

    def __call__(self, environ: Environ, start_response: Any) -> "Patient":
        self.calls.append(environ)
        assert environ[CAN_WAIT]
        # As bottle does: it must not be seen by the second call.
        environ["PATH_INFO"] = "changed"
        start_response("200 OK", [])
        if len(self.calls) == 1:
            environ[WAIT] = self.waiting
        return self

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"waited" if self.calls[-1].get(WAITED) is self.waiting else b"not yet"])

    def close(self) -> None:
        self.closed += 1


def test_an_application_may_wait_before_it_answers(threads: Threads) -> None:
    app, client = Patient(Countdown(3)), Client([b"body"])
    run(app, client, threads, scope(content_length="4"))
    assert (client.status, client.body, client.finished) == (200, b"waited", True)
    assert app.waiting.left == 0 and app.closed == 2
    assert [call["CONTENT_LENGTH"] for call in app.calls] == ["4", "4"]
    # The second call is given what the first one was given.
    assert WAIT not in app.calls[1]


def test_no_thread_waits(threads: Threads) -> None:
    """More requests wait than there are threads, and others are answered."""

    async def go() -> None:
        ready = [False]
        waiting = Countdown(0)
        waiting.ready = lambda: ready[0]  # type: ignore[method-assign]
        clients = [Client() for _ in range(10)]
        app = [Patient(waiting) for _ in clients]
        bridges = [WSGIBridge(a, threads=threads, max_body_bytes=1) for a in app]
        tasks = [
            asyncio.ensure_future(bridge(scope("GET"), client.receive, client.send))
            for bridge, client in zip(bridges, clients, strict=True)
        ]
        other = Client()
        await WSGIBridge(echo, threads=threads, max_body_bytes=1)(scope("GET"), other.receive, other.send)
        assert other.status == 201 and not any(client.got for client in clients)
        ready[0] = True
        await asyncio.gather(*tasks)
        assert [client.body for client in clients] == [b"waited"] * 10

    asyncio.run(go())


def test_a_wait_that_fails_is_answered(threads: Threads) -> None:
    client = Client()
    run(Patient(Countdown(2, BadInput("no such thing"))), client, threads, scope("GET"))
    assert problem(client, 400) == "no such thing"


def test_nobody_waits_for_a_client_that_has_left(threads: Threads) -> None:
    app, client = Patient(Countdown(1_000_000)), Client(leaves=True)
    run(app, client, threads, scope("GET"))
    assert len(app.calls) == 1 and app.closed == 1 and not client.got


def test_a_pause_costs_no_thread_and_is_not_sent(threads: Threads) -> None:
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"one"
        yield Pause(0.001)
        yield Pause(0.001)
        yield b"two"

    client = Client()
    run(app, client, threads, scope("GET"))
    assert (client.body, client.finished) == (b"onetwo", True)
    assert [message["body"] for message in client.got[1:]] == [b"one", b"two"]


def test_a_long_pause_ends_when_the_client_leaves(threads: Threads) -> None:
    closed: list[bool] = []

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            yield b"one"
            while True:
                yield Pause(1000)
        finally:
            closed.append(True)

    client = Client(leaves=True)
    run(app, client, threads, scope("GET"))
    assert not client.finished and closed == [True]


# environ


def test_the_environment() -> None:
    given = scope("PUT", "/a%2Fb%ff?x=%zz+y", content_type="text/csv", content_length="3", x_thing="1")
    given["headers"] += [
        (b"x-thing", b"2"),
        (b"content_length", b"7"),
        (b"x_request_id", b"evil"),
        (b"x-odd", b"\xff"),
    ]
    environ = environ_of(given)
    assert environ["PATH_INFO"] == "/a/b\xff"
    assert environ["RAW_URI"] == "/a%2Fb%ff"
    assert environ["QUERY_STRING"] == "x=%zz+y"
    assert environ["CONTENT_TYPE"] == "text/csv"
    assert environ["CONTENT_LENGTH"] == "3"
    assert environ["HTTP_X_THING"] == "1,2"
    assert environ["HTTP_X_ODD"] == "\xff"
    assert "HTTP_CONTENT_LENGTH" not in environ
    assert "HTTP_X_REQUEST_ID" not in environ
    assert environ["REMOTE_PORT"] == "999"
