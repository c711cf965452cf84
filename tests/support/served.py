"""A server in a process of its own, and raw sockets to it."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

ROOT = Path(__file__).parent.parent.parent


@frozen
class Answer:
    status: int
    head: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Running:
    """A server of ours, started by `serve` in a fresh process."""

    def __init__(self, factory: str = "tests.support.demo_app:make", **options: Any) -> None:
        given = {"host": "127.0.0.1", "port": 0, "workers": 1, "app_factory": factory, **options}
        patience = given.pop("patience", "Patience()")
        code = (
            "from omega.entrypoints.http.asgi import Patience\n"
            "from omega.entrypoints.http.server import serve\n"
            f"serve(**{given!r}, patience={patience})"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.line = self.process.stderr.readline()
        self.port = int(found[1]) if (found := re.search(r":(\d+)$", self.line.strip())) else 0

    def connect(self, timeout: float = 10) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def send(self, raw: bytes, *, timeout: float = 10) -> bytes:
        """What comes back for these bytes until the server closes, or nothing comes for `timeout` seconds."""
        with self.connect(timeout) as sock:
            sock.sendall(raw)
            return received(sock)

    def ask(
        self, method: str, uri: str, *, body: bytes = b"", headers: str = "", timeout: float = 10
    ) -> Answer:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {uri} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{length}{headers}\r\n"
        return parsed(self.send(head.encode("latin-1") + body, timeout=timeout))

    def workers(self) -> list[int]:
        return children(self.process.pid)

    def end(self) -> tuple[int, str, str]:
        """Stop it in the ordinary way: its exit code, stdout and stderr."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, self.line + err


@contextlib.contextmanager
def running(factory: str = "tests.support.demo_app:make", **options: Any) -> Iterator[Running]:
    server = Running(factory, **options)
    workers: list[int] = []
    try:
        assert server.port, server.line
        workers = server.workers()
        yield server
    finally:
        for pid in (server.process.pid, *workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        server.process.communicate()


def received(sock: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(TimeoutError, ConnectionError):
        while part := sock.recv(1 << 20):
            parts.append(part)
    return b"".join(parts)


def parsed(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    match = re.match(rb"HTTP/1\.[01] (\d{3})", head)
    assert match, raw[:200]
    return Answer(int(match[1]), head.decode("latin-1").lower(), body)


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in tasks for child in file.read_text().split()]


def alive(pid: int) -> bool:
    """Whether the process runs; a dead one that nobody has waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def eventually(check: Callable[[], object], *, within_s: float = 10) -> None:
    """Wait until `check` holds."""
    end = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.02)
