"""Requests for elsewhere, requests in requests, and requests that do not end, on the server as it is started.
(Each way to smuggle, and how slow clients are cut off in the end: tests/integration/test_http_server.py.)
"""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.support.notebooks import code, notebook, shown, text
from tests.support.target import Target


class Listener:
    """Notes whether anybody calls."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/canary"
        self.called: list[object] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.called.append(self.socket.accept())


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.socket.close()
    assert listener.called == []


class TestForElsewhere:
    """Nothing in a request makes the server call anybody (SSRF)."""

    def test_urls_in_the_place_of_names(self, target: Target, listener: Listener) -> None:
        for url in (listener.url, listener.url.replace("http", "ftp"), "mongodb://" + listener.url[7:]):
            quoted = url.replace(":", "%3a").replace("/", "%2f")
            target.refuses("GET", f"/api/v1/dataset/{quoted}")
            target.refuses("GET", f"/api/v1/model/m/predict?datax={quoted}")
            target.refuses("PUT", f"/api/v1/model/m/fit?datax={quoted}&datay={quoted}")
            target.refuses("GET", f"/api/v1/task/x/result?resource_uri={quoted}")
            target.refuses("POST", "/api/v1/model/m/predict", body={"data": url})
            target.refuses("PUT", "/api/v1/dataset/d", body={"data": url})
            target.refuses("PUT", "/api/v1/job/j", body={"content": url})
            spec = [["CountVectorizer", {"stop_words": [url], "vocabulary": url}]]
            target.ask("POST", "/api/v1/model/", body={"name": "spec", "pipeline": spec, "replace": True})
            body = {"data": {"x": [url]}, "url": url, "store": url, "callback": url}
            target.refuses("PUT", "/api/v1/dataset/d", body=body)
        for header in (
            "bucket",
            "X-Forwarded-Host",
            "Forwarded",
            "X-Original-URL",
            "X-Rewrite-URL",
            "Referer",
        ):
            assert target.ask("GET", "/api/v1/dataset/", headers={header: listener.url}).status in (200, 400)

    def test_a_url_as_the_target_of_the_request(self, target: Target, listener: Listener) -> None:
        port = listener.url.split(":")[2].partition("/")[0]
        for head in (
            f"GET {listener.url} HTTP/1.1\r\nHost: 127.0.0.1:{port}",
            f"GET {listener.url} HTTP/1.1\r\nHost: localhost",
            f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}",
        ):
            answer = target.raw(f"{head}\r\nConnection: close\r\n\r\n".encode())
            assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")), answer[:200]

    def test_a_report_fetches_nothing(self, target: Target, listener: Listener) -> None:
        url = listener.url
        shows = {"text/html": f"<script src='{url}'></script>", "image/svg+xml": f"<image href='{url}'/>"}
        cells = [
            text(f"![a]({url}.png) <img src='{url}'> <link rel=stylesheet href='{url}'> <iframe src={url}>"),
            code("1", outputs=[shown(shows)]),
        ]
        assert target.ask("PUT", "/api/v1/job/fetch", body=notebook(*cells)).status == 202
        for format in ("html", "md", "py", "ipynb"):
            assert target.ask("GET", f"/api/v1/job/export/fetch.ipynb?format={format}").status == 200


SMUGGLED = b"DELETE /api/v1/dataset/sample HTTP/1.1\r\nHost: localhost\r\nX-Smuggled: "
TRICKS = {
    "length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two codings": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "tab before the colon": b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "underscore": b"Content_Length: 200\r\nContent-Length : 0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 200\r\n\r\n",
    "negative": b"Content-Length: -1\r\n\r\n",
    "hexadecimal": b"Content-Length: 0x0\r\n\r\n",
    "beyond 64 bits": b"Content-Length: 18446744073709551616\r\n\r\n",
    "chunk of minus one": b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "chunk beyond 64 bits": b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n",
    "chunk in bare line feeds": b"Transfer-Encoding: chunked\r\n\r\n1\n{\n0\n\n",
    "bare carriage return": b"X: y\rTransfer-Encoding: chunked\r\n\r\n",
    "NUL": b"X: \0\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("trick", TRICKS.values(), ids=TRICKS)
def test_a_request_hides_no_other(target: Target, trick: bytes) -> None:
    head = b"PUT /api/v1/dataset/smuggler HTTP/1.1\r\nHost: localhost\r\n"
    raw = target.raw(head + trick + SMUGGLED + b"\r\n\r\n", timeout_s=2)
    assert raw.count(b"HTTP/1.1 ") <= 1 and b'"deleted"' not in raw
    assert target.ask("GET", "/api/v1/dataset/sample?limit=1").status == 200


def test_300_slow_clients_hold_nobody_up(target: Target) -> None:
    heads = [
        b"GET /api/v1/ping HTTP/1.1\r\nHost: localhost\r\nX-A: ",
        b"PUT /api/v1/dataset/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
        b"",
    ]
    with contextlib.ExitStack() as stack:
        for number in range(300):
            sock = socket.create_connection(("127.0.0.1", target.server.port), timeout=10)
            stack.enter_context(sock).sendall(heads[number % 3])
        for _ in range(20):
            body = {"data": {"x": [1]}}
            assert target.ask("GET", "/api/v1/ping").status == 200
            assert target.ask("POST", "/api/v1/model/m/predict", body=body).status == 201
            assert target.ask("GET", "/readyz").status in (200, 503)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:80", "", "a b", "localhost@evil.example"]
)
def test_a_name_that_was_bent_to_this_address_is_not_ours(target: Target, host: str) -> None:
    for method in (b"GET", b"DELETE", b"OPTIONS"):
        head = method + b" /api/v1/dataset/sample HTTP/1.1\r\nConnection: close\r\nHost: " + host.encode()
        assert target.raw(head + b"\r\n\r\n").startswith((b"HTTP/1.1 421", b"HTTP/1.1 400"))
    head = (
        b"GET /api/v1/dataset/sample HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\nHost: evil.example"
    )
    assert target.raw(head + b"\r\n\r\n").startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Content-Type": "text/plain"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Content-Type": "application/x-www-form-urlencoded"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_site_changes_nothing(target: Target, headers: dict[str, str]) -> None:
    linear = {"name": "forged", "pipeline": [["LinearRegression", {}]]}
    for method, path in (
        ("POST", "/api/v1/model/"), ("PUT", "/api/v1/dataset/forged"), ("DELETE", "/api/v1/dataset/sample"),
        ("POST", "/api/v1/model/m/predict?async=1"),
        ("GET", "/api/v1/model/m/predict?datax=sample[x]&async=1"),
    ):  # fmt: skip
        answer = target.ask(method, path, body=linear if method in ("POST", "PUT") else b"", headers=headers)
        assert answer.status == 403 and "access-control-allow-origin" not in answer.headers
    target.refuses("GET", "/api/v1/model/forged", 404)
    assert target.ask("GET", "/api/v1/dataset/sample").status == 200
