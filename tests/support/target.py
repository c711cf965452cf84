"""A server to be attacked, and what must hold of every answer that it gives."""

import json
import os
import re
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from tests.support.processes import below, command
from tests.support.served import received
from tests.support.server import Server, running

#: Longer than any answer takes on a busy machine: what takes longer does not end.
PATIENCE_S = 60
_TRACES = re.compile(rb"Traceback|File \"|\.py\b|site-packages|object at 0x|<class |/store/|\.sqlite|\.key")


@frozen
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@define
class Target:
    """`canary` is a file that no request may read, change or remove; `mark` one that no request may make."""

    server: Server
    home: Path
    canary: Path
    mark: Path

    SECRET = b"canary-3b9f"

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Any = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer, which is checked, to a request for exactly this path. A `body` that is no text goes as
        JSON.
        """
        if not isinstance(body, bytes | str):
            body = json.dumps(body)
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE_S)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            content = body.encode() if isinstance(body, str) else body
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if content or method in ("PUT", "POST"):
                connection.putheader("Content-Length", str(len(content)))
            connection.endheaders(content or None)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            answer = Answer(response.status, found, response.read())
        finally:
            connection.close()
        self.check(answer, method)
        return answer

    def check(self, answer: Answer, method: str = "GET") -> None:
        """What holds of every answer."""
        assert self.SECRET not in answer.body
        for name in ("x-content-type-options", "content-security-policy", "x-request-id", "referrer-policy"):
            assert name in answer.headers, (name, answer)
        assert (
            "html" not in answer.headers.get("content-type", "")
            or "sandbox" in (answer.headers["content-security-policy"])
        )
        if answer.status >= 400 and method != "HEAD":
            assert answer.headers["content-type"] == "application/problem+json"
            assert not _TRACES.search(answer.body), answer.body
            assert str(self.home).encode() not in answer.body
            problem = answer.json
            assert problem["status"] == answer.status and problem["detail"] and problem["request_id"]

    def refuses(self, method: str, path: str, *statuses: int, **more: Any) -> Answer:
        """The answer, which is that this cannot be done."""
        answer = self.ask(method, path, **more)
        assert answer.status in (statuses or (400, 404, 405)), (method, path, answer.status, answer.body)
        return answer

    def raw(self, data: bytes, *, timeout_s: float = 3) -> bytes:
        """What comes back for these bytes until the server closes, or says nothing more."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=timeout_s) as sock:
            with suppress(ConnectionError):
                sock.sendall(data)
            return received(sock)

    def outside(self) -> Mapping[Path, tuple[int, int]]:
        """Size and time of every file beside the store."""
        return {
            path: (path.stat().st_size, path.stat().st_mtime_ns)
            for path in self.canary.parent.rglob("*")
            if path.is_file()
        }

    def log(self) -> list[str]:
        return self.server.log.read_text(encoding="utf-8").split("\n")[:-1]

    def processes(self) -> list[int]:
        """The processes that answer requests."""
        found = below(self.server.process.pid)
        return [process.pid for process in found if not any("worker" in word for word in command(process))]

    def peak_mib(self) -> float:
        """The most memory that a process which answers requests has had."""
        peaks = [
            int(line.split()[1]) / 1024
            for pid in self.processes()
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith("VmHWM")
        ]
        return max(peaks)


@contextmanager
def attacked(directory: Path, **env: str) -> Iterator[Target]:
    """A target, whose server lets others read all that it makes, unless it says otherwise itself."""
    home = directory / "home"
    home.mkdir(mode=0o700)
    (directory / "beside").mkdir()
    canary = directory / "beside" / "canary"
    canary.write_bytes(Target.SECRET)
    settings = {
        "OMEGA_LOG_FORMAT": "json",
        "OMEGA_ACCESS_LOG": "on",
        "OMEGA_MAX_DECODED_BYTES": str(64 << 20),
        "OMEGA_MAX_BODY_BYTES": str(32 << 20),
    }
    before = os.umask(0)
    try:
        with running(home, env=settings | env) as server:
            os.umask(before)
            yield Target(server, home, canary, directory / "beside" / "mark")
    finally:
        os.umask(before)


def modes(directory: Path) -> Mapping[str, int]:
    """The rights that others have to all that is below a directory."""
    return {str(path): stat.S_IMODE(path.lstat().st_mode) & 0o077 for path in directory.rglob("*")}
