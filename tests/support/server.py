"""A server as a person starts it, `om runtime serve`, in a process group that can be killed."""

import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import requests
from attrs import define, field

OM = str(Path(sys.executable).with_name("om"))
READY_WITHIN_S = 120


#: Each test process has ports of its own, below those that the kernel gives to clients: a server is started
#: on one some time after it was found to be free, and again after it was killed.
_PORTS_OF_A_PROCESS: Final = 2_500
_FIRST_PORT: Final = 10_000


def _ports() -> Iterator[int]:
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    begin = random.randrange(_PORTS_OF_A_PROCESS)
    for n in itertools.count(begin):
        yield _FIRST_PORT + number * _PORTS_OF_A_PROCESS + n % _PORTS_OF_A_PROCESS


_candidates: Final = _ports()


def free_port() -> int:
    """A port that nobody listens on, and that nobody else is given."""
    for port in itertools.islice(_candidates, _PORTS_OF_A_PROCESS):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def environment(home: Path, **more: str) -> dict[str, str]:
    """An environment in which omega lives in `home` and knows nothing else of this machine's omega."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OMEGA_")}
    return {**kept, "OMEGA_HOME": str(home), "HOME": str(home), **more}


@define
class Server:
    """A running server and how to talk to it; paths are relative to /api/v1."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    session: requests.Session = field(factory=requests.Session)
    #: In which `om` and Python are on the same store and queue.
    env: Mapping[str, str] = field(factory=dict, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1"

    def request(self, method: str, path: str, **more: Any) -> requests.Response:
        return self.session.request(method, self.url + path, timeout=120, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.request("GET", path, **more)

    def put(self, path: str, **more: Any) -> requests.Response:
        return self.request("PUT", path, **more)

    def post(self, path: str, **more: Any) -> requests.Response:
        return self.request("POST", path, **more)

    def delete(self, path: str, **more: Any) -> requests.Response:
        return self.request("DELETE", path, **more)

    def kill(self) -> None:
        """End all its processes at once, as a power cut does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it as a person does; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


class PortTaken(AssertionError):
    """Somebody else was faster."""


def start(home: Path, *options: str, env: Mapping[str, str] | None = None) -> Server:
    """A server on a free port, once it answers."""
    for _ in range(3):
        with suppress(PortTaken):
            return _start(home, *options, env=env)
    return _start(home, *options, env=env)


def _start(home: Path, *options: str, env: Mapping[str, str] | None = None) -> Server:
    port, log, env = free_port(), home / "server.log", environment(home, **(env or {}))
    with log.open("ab") as output:
        process = subprocess.Popen(
            [OM, "runtime", "serve", "--port", str(port), *options],
            env=env,
            cwd=home,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server, deadline = Server(port, process, log, env=env), time.monotonic() + READY_WITHIN_S
    while True:
        try:
            server.get("/ping").raise_for_status()
            return server
        except requests.ConnectionError:
            time.sleep(0.02)
        if process.poll() is not None or time.monotonic() > deadline:
            if process.poll() is None:
                server.kill()
            told = log.read_text()[-4000:]
            kind = PortTaken if f":{port}: address already in use" in told else AssertionError
            raise kind(f"the server did not start:\n{told}")


@contextmanager
def running(home: Path, *options: str, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server for the time of the block."""
    server = start(home, *options, env=env)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
