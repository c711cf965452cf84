"""Candidate WSGI servers side by side: requests per second, and how each stands up to awkward and hostile
clients.

    python bench/http_servers.py                      all servers that are installed, as a table
    python bench/http_servers.py granian omega        only these
    python bench/http_servers.py serve NAME PORT      one server, in the foreground

Only loopback is used. waitress, gunicorn and cheroot are optional: `pip install waitress gunicorn cheroot` in
a scratch environment.
"""

import contextlib
import importlib.util
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

CHUNK = 64 * 1024
SERVERS = ("granian", "waitress", "gunicorn", "cheroot", "omega")
MARK = Path(tempfile.gettempdir()) / f"http_servers_bench.{os.getuid()}.closed"


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    """The application that all servers run."""
    path = environ["PATH_INFO"]
    query = {k: v[0] for k, v in parse_qs(environ.get("QUERY_STRING", "")).items()}
    if path == "/refuse":
        start_response("413 Content Too Large", [("Content-Length", "3")])
        return [b"big"]
    if path == "/read":
        return _answer(start_response, str(_drain(environ["wsgi.input"])).encode())
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return _stream(int(query["mib"]), fail="fail" in query)
    if path == "/sleep":
        time.sleep(float(query["s"]))
    if path == "/empty":
        return _answer(start_response, b"")
    return _answer(start_response, json.dumps({"path": path}).encode())


def make_app() -> Callable[..., Any]:
    return app


def _answer(start_response: Callable[..., Any], body: bytes) -> list[bytes]:
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def _drain(stream: Any) -> int:
    total = 0
    while part := stream.read(CHUNK):
        total += len(part)
    return total


def _stream(mib: int, *, fail: bool) -> Iterator[bytes]:
    try:
        for number in range(mib * 16):
            if fail and number == 40:
                raise RuntimeError("planted")
            yield b"x" * CHUNK
    finally:
        MARK.write_text("closed")


# servers


def serve(name: str, port: int) -> None:
    """Run one server until it is told to end."""
    here = f"{Path(__file__).stem}:make_app"
    sys.path.insert(0, str(Path(__file__).parent))
    if name == "granian":
        from granian import Granian
        from granian.http import HTTP1Settings

        Granian(
            here,
            port=port,
            interface="wsgi",
            factory=True,
            log_enabled=False,
            http="1",
            blocking_threads=64,
            backpressure=1024,
            http1_settings=HTTP1Settings(header_read_timeout=10_000),
            workers_kill_timeout=10,
        ).serve()
    elif name == "waitress":
        import waitress

        waitress.serve(
            app,
            host="127.0.0.1",
            port=port,
            threads=16,
            connection_limit=2000,
            asyncore_use_poll=True,
            channel_timeout=10,
        )
    elif name == "gunicorn":
        args = ["-k", "gthread", "--threads", "64", "-b", f"127.0.0.1:{port}", "--log-level", "critical"]
        os.execv(sys.executable, [sys.executable, "-m", "gunicorn", *args, f"{Path(__file__).stem}:app"])
    elif name == "cheroot":
        from cheroot import wsgi

        server = wsgi.Server(("127.0.0.1", port), app, numthreads=64, request_queue_size=1024)
        signal.signal(signal.SIGTERM, lambda *_: server.stop())
        server.start()
    else:
        from omega.entrypoints.http.server import serve as serve_omega

        serve_omega(host="127.0.0.1", port=port, workers=1, app_factory=here)


class Running:
    """A server in a process of its own."""

    def __init__(self, name: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        env = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}:{Path(__file__).parent.parent}"}
        began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, __file__, "serve", name, str(self.port)],
            env=env,
            cwd=Path(__file__).parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while True:
            with contextlib.suppress(OSError):
                self.ask("GET /empty HTTP/1.1", timeout=2)
                break
            if time.monotonic() - began > 10:
                raise RuntimeError(f"{name} does not start")
            time.sleep(0.02)
        self.started_s = time.monotonic() - began

    def connect(self, timeout: float = 5) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def ask(self, lines: str, *, body: bytes = b"", timeout: float = 5) -> bytes:
        """What comes back until the server closes, or nothing comes for `timeout` seconds."""
        with self.connect(timeout) as sock:
            sock.sendall(lines.encode("latin-1") + b"\r\nHost: x\r\nConnection: close\r\n\r\n" + body)
            return receive_all(sock)

    def rss_mib(self) -> float:
        """The largest resident memory among the server's processes so far."""
        return max(_peak_mib(pid) for pid in _family(self.process.pid))

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _family(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for file in tasks for child in file.read_text().split()]
    return [pid, *(grandchild for child in children for grandchild in _family(child))]


def _peak_mib(pid: int) -> float:
    match = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(match[1]) / 1024 if match else 0


def receive_all(sock: socket.socket) -> bytes:
    parts = []
    try:
        while part := sock.recv(1 << 20):
            parts.append(part)
    except OSError as error:
        parts.append(b"<" + type(error).__name__.encode() + b">")
    return b"".join(parts)


# probes: each takes a running server and gives a short answer


def throughput(server: Running, *, rounds: int = 5) -> str:
    rates = sorted(rate(server) for _ in range(rounds))
    return f"{rates[rounds // 2]:,.0f}/s (median of {rounds}; {rates[0]:,.0f} to {rates[-1]:,.0f})"


def rate(server: Running, *, connections: int = 32, seconds: float = 2) -> float:
    """Whole answers a second. They have no body: an empty line ends one."""
    request = b"GET /empty HTTP/1.1\r\nHost: x\r\n\r\n"
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        for _ in range(connections):
            sock = stack.enter_context(server.connect())
            sock.sendall(request)
            selector.register(sock, selectors.EVENT_READ, sock)
        done, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            for key, _ in selector.select(0.1):
                part = key.data.recv(65536)
                if not part:
                    raise RuntimeError("the server closed a connection")
                if part.endswith(b"\r\n\r\n"):
                    done += 1
                    key.data.sendall(request)
    return done / seconds


def slow_clients(server: Running, head: str, drip: bytes, *, sockets: int = 300, seconds: float = 14) -> str:
    """How another client fares while `sockets` connections dribble a byte a second, and how many of those are
    cut off.
    """
    slow = [server.connect() for _ in range(sockets)]
    for sock in slow:
        sock.sendall(head.encode())
        sock.setblocking(False)
    worst, failed, open_, end = 0.0, 0, set(slow), time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        reply = server.ask("GET /empty HTTP/1.1", timeout=3)
        failed += b" 200 " not in reply
        worst = max(worst, time.monotonic() - began)
        for sock in list(open_):
            try:
                sock.send(drip)
                if sock.recv(4096) is not None:
                    open_.discard(sock)
            except BlockingIOError:
                pass
            except OSError:
                open_.discard(sock)
        time.sleep(max(0, 1 - (time.monotonic() - began)))
    for sock in slow:
        sock.close()
    waits = f"others wait {worst * 1000:.0f} ms at most, {failed} failed"
    return f"{waits}; {sockets - len(open_)}/{sockets} cut off in {seconds:.0f} s"


def slow_headers(server: Running) -> str:
    return slow_clients(server, "GET /empty HTTP/1.1\r\nHost: x\r\nX-A: ", b"a")


def slow_bodies(server: Running) -> str:
    return slow_clients(server, "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", b"a")


def slow_readers(server: Running, *, sockets: int = 100) -> str:
    before = server.rss_mib()
    slow = []
    for _ in range(sockets):
        sock = server.connect()
        sock.sendall(b"GET /stream?mib=64 HTTP/1.1\r\nHost: x\r\n\r\n")
        slow.append(sock)
    time.sleep(3)
    began = time.monotonic()
    reply = server.ask("GET /empty HTTP/1.1", timeout=3)
    took = time.monotonic() - began
    grown = server.rss_mib() - before
    for sock in slow:
        sock.close()
    served = "served" if b" 200 " in reply else "NOT served"
    return f"others {served} in {took * 1000:.0f} ms, +{grown:.0f} MiB"


def refuse_huge(server: Running, *, size: int = 1 << 30) -> str:
    """A body of 1 GiB for an application that answers 413 at once and reads nothing."""
    before, sent, block = server.rss_mib(), 0, b"x" * (1 << 20)
    with server.connect(10) as sock:
        sock.sendall(f"POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
        sock.setblocking(False)
        reply, began = b"", time.monotonic()
        while sent < size and time.monotonic() - began < 20:
            try:
                sent += sock.send(block)
            except BlockingIOError:
                time.sleep(0.001)
            except OSError as error:
                reply += f"<send: {type(error).__name__}>".encode()
                break
            with contextlib.suppress(BlockingIOError, OSError):
                if part := sock.recv(65536):
                    reply += part
                    break
        sock.settimeout(2)
        reply += receive_all(sock)
    status = reply[:12].decode("latin-1") or "no answer"
    return f"{status} after {sent >> 20} MiB, +{server.rss_mib() - before:.0f} MiB"


def read_big(server: Running, *, size: int = 256 << 20) -> str:
    before, block, began = server.rss_mib(), b"x" * (1 << 20), time.monotonic()
    with server.connect(30) as sock:
        head = f"POST /read HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
        sock.sendall(head.encode())
        for _ in range(size >> 20):
            sock.sendall(block)
        reply = receive_all(sock)
    right = reply.endswith(str(size).encode())
    took, grown = time.monotonic() - began, server.rss_mib() - before
    return f"{'right' if right else 'WRONG'}, +{grown:.0f} MiB, {took:.1f} s"


def read_chunked(server: Running) -> str:
    body = b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n"
    reply = server.ask("POST /read HTTP/1.1\r\nTransfer-Encoding: chunked", body=body)
    return "right" if reply.endswith(b"11") else repr(reply[-60:])


def expect_continue(server: Running) -> str:
    answers = []
    for path in ("/read", "/refuse"):
        with server.connect(2) as sock:
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
            sock.sendall(head.encode())
            try:
                answers.append(f"{path} {sock.recv(4096)[9:12].decode()}")
            except TimeoutError:
                answers.append(f"{path} nothing")
    return ", ".join(answers)


def stream_big(server: Running) -> str:
    """A client that reads 1 GiB slowly at first: how far the server runs ahead in memory."""
    before = server.rss_mib()
    with server.connect(10) as sock:
        sock.sendall(b"GET /stream?mib=1024 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(1)
        began, size = time.monotonic(), 0
        while part := sock.recv(1 << 20):
            size += len(part)
    rate = 1024 / (time.monotonic() - began)
    return f"{size >> 20} MiB, +{server.rss_mib() - before:.0f} MiB, {rate:.0f} MiB/s"


def stream_fails(server: Running) -> str:
    reply = server.ask("GET /stream?mib=64&fail=1 HTTP/1.1")
    return "ENDS CLEANLY though truncated" if reply.endswith(b"0\r\n\r\n") else f"aborted ({reply[-14:]!r})"


def client_leaves(server: Running) -> str:
    MARK.unlink(missing_ok=True)
    with server.connect() as sock:
        sock.sendall(b"GET /stream?mib=2000 HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.recv(1 << 20)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if MARK.exists():
            return f"generator closed within {5 - (end - time.monotonic()):.1f} s"
        time.sleep(0.05)
    return "generator NOT closed in 5 s"


def smuggling(server: Running) -> str:
    cases = {
        "CL+TE": b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
        "two CL": b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "TE x": b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "bare LF": b"GET /empty HTTP/1.1\nHost: x\n\n",
        "space before colon": b"GET /empty HTTP/1.1\r\nHost : x\r\n\r\n",
        "CL +5": b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello",
        "no host": b"GET /empty HTTP/1.1\r\n\r\n",
    }
    answers = []
    for name, raw in cases.items():
        with server.connect(1) as sock:
            sock.sendall(raw)
            reply = receive_all(sock)
        statuses = re.findall(rb"HTTP/1.[01] (\d+)", reply)
        closed = "" if b"<TimeoutError>" in reply else " close"
        answers.append(f"{name}: {'+'.join(s.decode() for s in statuses) or 'nothing'}{closed}")
    return "; ".join(answers)


def head(server: Running) -> str:
    reply = server.ask("HEAD /anything HTTP/1.1")
    return "no body" if reply.endswith(b"\r\n\r\n") else f"BODY {reply[-30:]!r}"


def paths(server: Running) -> str:
    answers = []
    for raw in ("/a%2Fb", "/a/%2e%2e/b", "/a/../b", "/a//b", "/%00", "/%ff", "/%zz", "/\u00e9"):
        reply = server.ask(f"GET {raw} HTTP/1.1", timeout=1)
        try:
            answers.append(f"{raw} -> {json.loads(reply.partition(bytes([13, 10, 13, 10]))[2])['path']!a}")
        except ValueError:
            answers.append(f"{raw} -> {reply[9:12].decode('latin-1')}")
    return "; ".join(answers)


def stops(server: Running) -> str:
    with server.connect(15) as sock:
        sock.sendall(b"GET /sleep?s=2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(0.5)
        idle = server.connect()
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        reply = receive_all(sock)
    try:
        code: object = server.process.wait(15)
    except subprocess.TimeoutExpired:
        code = "still running"
    idle.close()
    finished = "request finished" if b" 200 " in reply else "request LOST"
    return f"{finished}, exit {code} after {time.monotonic() - began:.1f} s (request needs 1.5)"


PROBES: tuple[Callable[[Running], str], ...] = (
    throughput,
    slow_headers,
    slow_bodies,
    slow_readers,
    refuse_huge,
    read_big,
    read_chunked,
    expect_continue,
    stream_big,
    stream_fails,
    client_leaves,
    smuggling,
    head,
    paths,
    stops,
)


def measure(name: str) -> None:
    """Run every probe against a fresh server and print what it says."""
    for probe in PROBES:
        server = Running(name)
        try:
            if probe is throughput:
                print(
                    f"{name:9} start          {server.started_s * 1000:.0f} ms, {server.rss_mib():.0f} MiB",
                    flush=True,
                )
            print(f"{name:9} {probe.__name__:14} {probe(server)}", flush=True)
        finally:
            server.end()


def main(args: list[str]) -> None:
    if args[:1] == ["serve"]:
        serve(args[1], int(args[2]))
        return
    for name in args or SERVERS:
        if importlib.util.find_spec(name) is None:
            print(f"{name:9} not installed")
            continue
        measure(name)


if __name__ == "__main__":
    main(sys.argv[1:])
