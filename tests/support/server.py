"""The whole product as a process of its own: `om runtime serve` on a home directory."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from attrs import define, field


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(home: Path) -> dict[str, str]:
    """This process's environment, with `home` and no other setting of omega."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OMEGA_")}
    return {**kept, "OMEGA_HOME": str(home)}


@define
class Server:
    """A running server; paths are relative to /api/v1."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    session: requests.Session = field(factory=requests.Session)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1"

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.session.get(self.url + path, timeout=60, **more)

    def put(self, path: str, **more: Any) -> requests.Response:
        return self.session.put(self.url + path, timeout=60, **more)

    def post(self, path: str, **more: Any) -> requests.Response:
        return self.session.post(self.url + path, timeout=60, **more)

    def delete(self, path: str, **more: Any) -> requests.Response:
        return self.session.delete(self.url + path, timeout=60, **more)

    def kill(self) -> None:
        """Kill the server and its workers, as a crash of the machine would."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in (self.process.pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        self.process.wait()

    def stop(self) -> int:
        """End the server in the ordinary way; its exit code."""
        self.process.terminate()
        return self.process.wait(30)


def start(home: Path, *options: str) -> Server:
    """A server on `home`, once it answers."""
    port, log = free_port(), home / "server.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "om", "runtime", "serve", "--port", str(port), *options],
            env=environment(home),
            cwd=home,
            stdout=out,
            stderr=out,
        )
    server, deadline = Server(port, process, log), time.monotonic() + 30
    while True:
        with contextlib.suppress(requests.ConnectionError):
            server.get("/ping").raise_for_status()
            return server
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


@contextlib.contextmanager
def running(home: Path, *options: str) -> Iterator[Server]:
    """A server for the duration of a `with` block."""
    server = start(home, *options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
