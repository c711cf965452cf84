"""A real browser that tells what a page did: requests, scripts, refusals, dialogs.

Chromium is spoken to in its DevTools protocol, over a pair of pipes: messages of JSON, each ended by a NUL
(https://chromedevtools.github.io/devtools-protocol). It finds no host but this one.
"""

import json
import os
import select
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from attrs import Factory, define, field

#: A name for this machine. Pages name it to see whether it is asked for.
CANARY = "canary.test"
ANSWER_WITHIN_S = 60
#: How long a page is watched after it has loaded.
WATCH_S = 0.4
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
    "--window-size=1000,1400",
)


@define
class Seen:
    """What a page did while it was watched. The request for the page itself is not among the requests."""

    requests: list[str] = Factory(list)
    scripts: list[str] = Factory(list)
    refusals: list[str] = Factory(list)
    dialogs: list[str] = Factory(list)

    @property
    def is_quiet(self) -> bool:
        return not (self.requests or self.scripts or self.refusals or self.dialogs)


class PageServer(ThreadingHTTPServer):
    """Serves one page, at /page; what else is asked for is noted."""

    page = ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/page"

    @property
    def canary(self) -> str:
        return f"http://{CANARY}:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: PageServer

    def do_GET(self) -> None:
        is_page = self.path == "/page"
        if not is_page:
            self.server.asked.append(self.path)
        body = self.server.page.encode() if is_page else b""
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):  # a page may be gone before it has all it asked for
            self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving() -> Iterator[PageServer]:
    with PageServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@define
class Browser:
    """Chromium at the other end of two pipes."""

    process: subprocess.Popen[bytes]
    _orders: int
    _answers: int
    _last_id: int = 0
    _rest: bytes = b""
    _events: list[dict[str, Any]] = field(factory=list)

    def call(self, method: str, *, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """What the browser answers."""
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": parameters}
        os.write(
            self._orders, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
        )
        deadline = time.monotonic() + ANSWER_WITHIN_S
        while True:
            assert time.monotonic() < deadline, f"no answer to {method}"
            for answer in self._read(0.1):
                if answer.get("id") != self._last_id:
                    self._events.append(answer)
                    continue
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _read(self, timeout_s: float) -> list[dict[str, Any]]:
        """The messages that have come, up to and with the next answer."""
        if b"\0" not in self._rest and select.select([self._answers], [], [], timeout_s)[0]:
            self._rest += os.read(self._answers, 1 << 20)
        whole, end, rest = self._rest.partition(b"\0")
        if not end:
            return []
        self._rest = rest
        return [json.loads(whole)]

    def wait(self, condition: Callable[[dict[str, Any]], bool]) -> None:
        """Until there is an event for which the condition is true."""
        deadline = time.monotonic() + ANSWER_WITHIN_S
        while not any(map(condition, self._events)):
            assert time.monotonic() < deadline, "the browser did not get there"
            self._events += self._read(0.1)

    def watch(self, seconds: float) -> None:
        """Take in what happens for a while."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._events += self._read(left)

    @contextmanager
    def tab(self) -> Iterator["Tab"]:
        """A new tab that is closed afterwards."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Debugger", "Log"):
            self.call(f"{domain}.enable", session=session)
        self.call("Network.setCacheDisabled", session=session, cacheDisabled=True)
        self._events.clear()
        yield Tab(self, session)
        self.call("Target.closeTarget", targetId=target)


@define
class Tab:
    """One page of a browser."""

    browser: Browser
    session: str

    def open(self, url: str) -> Seen:
        """Load a page and watch it for a while."""
        self.call("Page.navigate", url=url)
        self.browser.wait(lambda event: event.get("method") == "Page.loadEventFired")
        self.browser.watch(WATCH_S)
        return self._seen(url)

    def _seen(self, url: str) -> Seen:
        seen = Seen()
        for event in self.browser._events:
            method, said = event.get("method", ""), event.get("params", {})
            if method == "Network.requestWillBeSent":
                asked = said["request"]["url"]
                if asked != url and not asked.startswith("data:"):
                    seen.requests.append(asked)
            elif method in ("Debugger.scriptParsed", "Debugger.scriptFailedToParse"):
                seen.scripts.append(said.get("url") or "inline")
            elif method == "Log.entryAdded":
                seen.refusals.append(said["entry"]["text"])
            elif method == "Page.javascriptDialogOpening":
                seen.dialogs.append(said["message"])
        return seen

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self.browser.call(method, session=self.session, **parameters)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, computed in the page by the browser's own tools."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")


@contextmanager
def browsing(directory: Path, options: Mapping[str, str] | None = None) -> Iterator[Browser]:
    """A browser for the time of the block. What it does on the network is in `net.json` afterwards."""
    directory.mkdir(exist_ok=True)
    program = shutil.which("chromium")
    assert program, "chromium is missing: make integration installs it"
    more = {
        "user-data-dir": str(directory / "profile"),
        "log-net-log": str(directory / "net.json"),
        "net-log-capture-mode": "Everything",
        "host-resolver-rules": f"MAP {CANARY} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        **(options or {}),
    }
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    command = [program, *_OPTIONS, *(f"--{name}={value}" for name, value in more.items()), "about:blank"]
    # Chromium reads from file descriptor 3 and writes to 4.
    shell = ["bash", "-c", f'exec 3<&{theirs_in} 4>&{theirs_out} "$@"', "chromium", *command]
    with (directory / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            shell,
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "HOME": str(directory), "DBUS_SESSION_BUS_ADDRESS": "disabled:"},
            start_new_session=True,
        )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        browser = Browser(process, ours_out, ours_in)
        browser.call("Browser.getVersion")
        yield browser
        browser.call("Browser.close")
        process.wait(ANSWER_WITHIN_S)
    finally:
        os.close(ours_out)
        os.close(ours_in)
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.wait()
