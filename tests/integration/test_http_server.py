"""A real server process: its life, its streams, and hostile clients."""

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.demo_app import CHUNK, LIMITS
from tests.support.served import Running, alive, children, eventually, parsed, received, running

SLOW = 300


@pytest.fixture(scope="module")
def demo() -> Iterator[Running]:
    with running() as server:
        yield server


# life


def test_it_says_one_line_and_nothing_else() -> None:
    with running() as server:
        assert server.line == f"serving http://127.0.0.1:{server.port}\n"
        assert server.ask("GET", "/ping").json == {"ping": "pong"}
        assert server.ask("GET", "/none").status == 404
        assert server.end() == (0, "", server.line)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [1, 2])
def test_requests_under_way_are_finished_at_the_end(sent: signal.Signals, workers: int) -> None:
    with running(workers=workers) as server, server.connect() as sock, server.connect() as idle:
        sock.sendall(b"GET /sleep?s=3 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.3)
        pids = server.workers()
        assert len(pids) == workers
        server.process.send_signal(sent)
        assert parsed(received(sock)).json == {"slept": "3"}
        assert server.process.wait(5) == 0
        assert not any(map(alive, pids))
        idle.close()


def test_a_request_that_does_not_end_is_cut_off_after_the_grace_time() -> None:
    with running() as server, server.connect(20) as sock:
        sock.sendall(b"GET /sleep?s=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.3)
        pids = server.workers()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(15)
        assert not any(map(alive, pids))


def test_no_worker_outlives_a_main_process_that_is_killed() -> None:
    with running(workers=2) as server, server.connect() as sock:
        sock.sendall(b"GET /sleep?s=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.3)
        pids = server.workers()
        server.process.kill()
        server.process.wait()
        eventually(lambda: not any(map(alive, pids)))
        with running(port=server.port) as again:
            assert again.ask("GET", "/ping").status == 200


def test_a_worker_that_is_killed_is_replaced() -> None:
    with running() as server:
        (first,) = server.workers()
        time.sleep(0.5)
        os.kill(first, signal.SIGKILL)
        eventually(lambda: server.workers() not in ([], [first]))

        def answers() -> bool:
            with contextlib.suppress(OSError, AssertionError):
                return server.ask("GET", "/ping").status == 200
            return False

        eventually(answers)
        assert server.end()[0] == 0


def failed(*, expect: str, factory: str = "tests.support.demo_app:make", **options: object) -> str:
    server = Running(factory, **options)
    try:
        out, err = server.process.communicate(timeout=30)
    finally:
        server.process.kill()
        server.process.communicate()
    assert server.process.returncode == 1
    assert out == ""
    err = server.line + err
    assert expect in err
    return err


def test_an_address_in_use_is_one_sentence(demo: Running) -> None:
    said = failed(expect="address already in use", port=demo.port)
    assert said == f"cannot serve on 127.0.0.1:{demo.port}: address already in use\n"
    with socket.create_server(("127.0.0.1", 0)) as other:
        failed(expect="address already in use", port=other.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "port"),
    [("256.0.0.1", 80), ("192.0.2.1", 8000), ("127.0.0.1", 70_000), ("no.such.host.invalid", 80)],
)
def test_an_address_that_cannot_be_had_is_one_sentence(host: str, port: int) -> None:
    said = failed(expect=f"cannot serve on {host}:{port}: ", host=host, port=port)
    assert said.count("\n") == 1


def test_an_application_that_cannot_start_ends_the_server() -> None:
    said = failed(
        expect="cannot start the server: the store cannot be opened",
        factory="tests.support.demo_app:make_broken",
    )
    assert "Traceback" not in said


def test_a_name_can_be_served() -> None:
    with running(host="localhost") as server:
        assert server.line.startswith("serving http://localhost:")


# bodies and streams


def test_paths_come_undecoded(demo: Running) -> None:
    assert demo.ask("GET", "/names/a%2Fb%20c+%C3%A9/").json == {"name": "a/b c+\u00e9"}
    assert demo.ask("GET", "/names/..%2F%2e%2e").json == {"name": "../.."}
    assert demo.ask("GET", "/names/../x").json == {"name": "../x"}
    for bad in ("/names/%ff", "/names/%zz", "/names/%00"):
        assert demo.ask("GET", bad).json["status"] == 400


def test_every_error_is_a_problem(demo: Running) -> None:
    for method, uri, status in (("GET", "/none", 404), ("PUT", "/ping", 405), ("GET", "/ping?x=1", 400)):
        answer = demo.ask(method, uri, headers="X-Request-ID: id-1\r\n")
        assert answer.status == answer.json["status"] == status
        assert "content-type: application/problem+json" in answer.head
        assert "x-request-id: id-1" in answer.head
        assert "x-content-type-options: nosniff" in answer.head
        assert answer.json["request_id"] == "id-1"


def test_head_and_options(demo: Running) -> None:
    head = demo.ask("HEAD", "/ping")
    assert (head.status, head.body) == (200, b"")
    assert "content-length: 15" in head.head
    options = demo.ask("OPTIONS", "/ping")
    assert (options.status, options.body) == (204, b"")
    assert "allow: get, head, options" in options.head


def test_bodies_of_all_sizes(demo: Running) -> None:
    for size in (0, 1, 300_000, LIMITS.body_bytes):
        assert demo.ask("PUT", "/size", body=b"x" * size).json == {"size": size}


def test_chunked_bodies(demo: Running) -> None:
    body = b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n"
    head = b"PUT /size HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert parsed(demo.send(head + body)).json == {"size": 11}
    assert parsed(demo.send(head + b"5\r\nhello\r\nzz\r\n")).status == 400


def test_a_body_that_is_promised_comes_after_100(demo: Running) -> None:
    with demo.connect() as sock:
        sock.sendall(
            b"PUT /size HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
        assert sock.recv(1000).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"hello")
        assert parsed(received(sock)).json == {"size": 5}


def test_a_body_that_is_too_large_is_not_asked_for(demo: Running) -> None:
    head = (
        b"PUT /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\nExpect: 100-continue\r\n\r\n"
    )
    assert parsed(demo.send(head, timeout=10)).status == 413


def test_many_requests_on_one_connection(demo: Running) -> None:
    with demo.connect() as sock:
        for number in range(20):
            body = b"x" * number * 1000
            sock.sendall(
                b"PUT /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            reply = sock.recv(65_536)
            assert reply.endswith(b'{"size":%d}' % len(body))


def test_a_long_answer_comes_whole_in_bounded_memory(demo: Running) -> None:
    before = demo.ask("GET", "/process").json["peak_mib"]
    with demo.connect() as sock:
        sock.sendall(b"GET /stream?chunks=8000 HTTP/1.0\r\nHost: localhost\r\n\r\n")
        time.sleep(0.5)
        size = 0
        while part := sock.recv(1 << 20):
            size += len(part)
    assert size > 8000 * len(CHUNK)
    assert demo.ask("GET", "/process").json["peak_mib"] - before < 50


def test_a_stream_that_fails_does_not_look_whole(demo: Running) -> None:
    raw = demo.send(b"GET /stream?chunks=50&fail=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert parsed(raw).status == 200
    assert not raw.endswith(b"0\r\n\r\n")
    whole = demo.send(b"GET /stream?chunks=50 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert whole.endswith(b"0\r\n\r\n")


def test_a_client_that_leaves_ends_the_stream(demo: Running, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with demo.connect() as sock:
        sock.sendall(f"GET /stream?chunks=10000000&mark={mark} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert sock.recv(1000)
    eventually(mark.exists)


# hostile clients


SMUGGLED = b"GET /sleep?s=smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
SMUGGLING = {
    "length and chunks": b"Content-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 60\r\n\r\n",
    "list of lengths": b"Content-Length: 0, 60\r\n\r\n",
    "signed length": b"Content-Length: +0\r\n\r\n",
    "unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked is not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "space before colon": b"Content-Length : 60\r\n\r\n",
    "vertical tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "length in a folded line": b"X: y\r\n Content-Length: 60\r\n\r\n",
}


@pytest.mark.parametrize("trick", SMUGGLING.values(), ids=SMUGGLING)
def test_ambiguous_requests_close_the_connection(demo: Running, trick: bytes) -> None:
    """At most one answer, and then the connection ends: a second request behind it is never read as one."""
    raw = demo.send(b"PUT /size HTTP/1.1\r\nHost: localhost\r\n" + trick + SMUGGLED, timeout=3)
    assert raw.count(b"HTTP/1.1 ") <= 1
    assert b"smuggled" not in raw


def test_a_bare_line_feed_hides_no_request(demo: Running) -> None:
    """Bare LF ends a line (RFC 9112, 2.2), in a field too: what follows is a header, not a request."""
    raw = demo.send(b"GET /ping HTTP/1.1\nHost: localhost\nConnection: close\n\n", timeout=3)
    assert raw.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01" * 50,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n" * 5000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_garbage_is_answered_or_dropped(demo: Running, raw: bytes) -> None:
    answer = demo.send(raw, timeout=1)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
    assert demo.ask("GET", "/ping").status == 200


def test_headers_without_end_are_bounded(demo: Running) -> None:
    head = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: " + b"a" * 2_000_000
    assert parsed(demo.send(head)).status == 431


BAD_JSON = {
    "deep": b"[" * 10**6,
    "deep objects": b'{"a":' * 10**6,
    "repeated": b'{"a": 1, "a": 2}',
    "not UTF-8": b'{"a": "\xff"}',
    "NaN": b'{"a": NaN}',
    "huge": b"[1e999]",
    "digits": b"1" * 10**6,
    "surrogate": b'"\\ud800"',
    "cut short": b'{"a": [1,',
    "empty": b" ",
}


@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON)
def test_bad_json_is_a_400(demo: Running, body: bytes) -> None:
    answer = demo.ask("PUT", "/json", body=body)
    assert answer.status == answer.json["status"] == 400
    assert "JSON" in answer.json["detail"]


def test_a_body_of_a_gigabyte_is_refused_at_once(demo: Running) -> None:
    before = demo.ask("GET", "/process").json["peak_mib"]
    with demo.connect() as sock:
        sock.sendall(b"PUT /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1073741824\r\n\r\n")
        sent, block = 0, b"x" * (1 << 20)
        with contextlib.suppress(ConnectionError):
            while sent < 1 << 30 and not select.select([sock], [], [], 0)[0]:
                sent += sock.send(block)
        answer = parsed(received(sock))
    assert answer.status == answer.json["status"] == 413
    assert "over the limit of 33,554,432 bytes" in answer.json["detail"]
    assert sent < 64 << 20
    assert demo.ask("GET", "/process").json["peak_mib"] - before < 50


def test_a_body_without_end_is_refused_at_the_limit(demo: Running) -> None:
    before = demo.ask("GET", "/process").json["peak_mib"]
    with demo.connect() as sock:
        sock.sendall(b"PUT /size HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent, chunk = 0, b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
        with contextlib.suppress(ConnectionError):
            while sent < 1 << 30 and not select.select([sock], [], [], 0)[0]:
                sock.sendall(chunk)
                sent += 1 << 20
        answer = parsed(received(sock))
    assert answer.status == 413
    assert sent < 64 << 20
    assert demo.ask("GET", "/process").json["peak_mib"] - before < 50


SLOW_HEADS = {
    "headers": b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX-A: ",
    "bodies": b"PUT /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
    "nothing": b"",
}


def test_slow_clients_hold_nobody_up_and_are_cut_off(demo: Running) -> None:
    """300 connections of each kind dribble a byte at a time while another client is served."""
    files = demo.ask("GET", "/process").json["files"]
    with contextlib.ExitStack() as stack:
        left = set()
        for head in SLOW_HEADS.values():
            for _ in range(SLOW):
                left.add(sock := stack.enter_context(demo.connect()))
                sock.sendall(head)
        assert demo.ask("GET", "/process").json["files"] > files + 2 * SLOW
        end = time.monotonic() + 20
        while left:
            assert time.monotonic() < end, f"{len(left)} slow connections are still open"
            assert demo.ask("GET", "/ping", timeout=10).status == 200
            assert demo.ask("PUT", "/size", body=b"x" * 100_000, timeout=10).json == {"size": 100_000}
            left -= {sock for sock in left if cut_off(sock)}
            time.sleep(0.5)
    eventually(lambda: demo.ask("GET", "/process").json["files"] < files + 10)


def cut_off(sock: socket.socket) -> bool:
    """Whether the server has answered or closed; if not, send it one more byte."""
    if select.select([sock], [], [], 0)[0]:
        return True
    try:
        sock.send(b"a")
    except ConnectionError:
        return True
    return False


def test_slow_readers_hold_nobody_up(demo: Running, tmp_path: Path) -> None:
    before = demo.ask("GET", "/process").json["peak_mib"]
    with contextlib.ExitStack() as stack:
        for _ in range(SLOW):
            sock = stack.enter_context(demo.connect())
            sock.sendall(b"GET /stream?chunks=10000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(2)
        for _ in range(10):
            assert demo.ask("GET", "/ping", timeout=10).status == 200
        assert demo.ask("GET", "/process").json["peak_mib"] - before < 4 * SLOW


def test_a_reader_that_stops_is_given_up(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with running(patience="Patience(stall_s=1)") as server, server.connect() as sock:
        sock.sendall(f"GET /stream?chunks=10000000&mark={mark} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        eventually(mark.exists)
        assert not received(sock).endswith(b"0\r\n\r\n")
        assert children(server.process.pid)
