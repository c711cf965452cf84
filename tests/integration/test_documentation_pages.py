"""The documentation pages in a real browser that finds no other host: they show the API, and call it."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.browser import ANSWER_WITHIN_S, Browser, Seen, Tab, browsing
from tests.support.server import Server, running

SWAGGER_UI, REDOC = "/api/doc/v1", "/api/redoc"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One of its own: where the store is does not matter to the pages."""
    with running(tmp_path_factory.mktemp("home"), "--no-worker") as server:
        yield server


@pytest.fixture(scope="module")
def net_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def browser(net_log: Path) -> Iterator[Browser]:
    with browsing(net_log) as browser:
        yield browser


def origin(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def until(tab: Tab, expression: str) -> None:
    """Wait until a JavaScript expression is true in the page."""
    deadline = time.monotonic() + ANSWER_WITHIN_S
    while not tab.evaluate(f"Boolean({expression})"):
        assert time.monotonic() < deadline, f"{expression} never came to be, on the page:\n{text(tab)[:2000]}"
        tab.browser.watch(0.05)


def text(tab: Tab) -> str:
    return str(tab.evaluate("document.body.innerText"))


def check_kept_to(server: Server, seen: Seen) -> None:
    """All requests went to this server, or were made in the page; the page's policy had nothing to refuse."""
    assert seen.requests
    for uri in seen.requests:
        assert uri.removeprefix("blob:").startswith(origin(server) + "/") or uri.startswith("data:"), uri
    assert seen.refusals == [] and seen.dialogs == []
    assert {urlsplit(uri).netloc for uri in seen.scripts if "://" in uri} == {f"127.0.0.1:{server.port}"}


def operations(server: Server) -> list[str]:
    paths = server.session.get(f"{origin(server)}/api/doc/v1/specs/openapi.json", timeout=60).json()["paths"]
    return [operation["operationId"] for item in paths.values() for operation in item.values()]


def test_swagger_ui_shows_every_operation(browser: Browser, server: Server) -> None:
    with browser.tab() as tab:
        tab.open(origin(server) + SWAGGER_UI)
        until(tab, "document.querySelectorAll('.opblock').length > 50")
        shown = tab.evaluate("[...document.querySelectorAll('.opblock')].map(block => block.id)")
        assert {id.rpartition("-")[2] for id in shown} == set(operations(server))
        assert not tab.evaluate("document.querySelector('.errors-wrapper, .loading-container')")
        check_drawn(tab)
        check_kept_to(server, tab._seen(origin(server) + SWAGGER_UI))


def test_redoc_shows_every_operation(browser: Browser, server: Server) -> None:
    with browser.tab() as tab:
        tab.open(origin(server) + REDOC)
        until(tab, "document.querySelectorAll('[id^=\"tag/\"]').length >= 7")
        until(tab, "!document.body.innerText.includes('Loading')")
        shown = set(
            tab.evaluate("[...document.querySelectorAll('[id*=\"/operation/\"]')].map(part => part.id)")
        )
        assert {id.rpartition("/")[2] for id in shown} >= set(operations(server))
        assert "Something went wrong" not in text(tab)
        # Its styles are there: without them the menu would be a plain list above the page.
        assert tab.evaluate("getComputedStyle(document.querySelector('.menu-content')).position") == "sticky"
        check_drawn(tab)
        check_kept_to(server, tab._seen(origin(server) + REDOC))


def test_try_it_out_calls_this_server(browser: Browser, server: Server) -> None:
    data = {"data": {"x": [1, 2, 3]}, "append": False}
    with browser.tab() as tab:
        tab.open(origin(server) + SWAGGER_UI)
        tried(tab, "dataset-writeDataset", body=json.dumps(data))
        until(tab, answered("dataset-writeDataset", '"rows": 3'))
        assert server.get("/dataset/sample?orient=list").json()["data"] == {"x": [1, 2, 3]}
        # The other way: what was stored elsewhere is shown, and what is wrong is told.
        server.put("/dataset/sample", json={"data": {"y": ["seen in the page"]}, "append": False})
        tried(tab, "dataset-readDataset")
        until(tab, answered("dataset-readDataset", "seen in the page"))
        check_kept_to(server, tab._seen(origin(server) + SWAGGER_UI))
        server.delete("/dataset/sample")
        tab.evaluate(f"{block('dataset-readDataset')}.querySelector('.execute').click()")
        until(tab, answered("dataset-readDataset", "urn:omega:problem:not-found"))


def block(operation: str) -> str:
    return f"document.getElementById('operations-{operation}')"


def answered(operation: str, words: str) -> str:
    """That the answer to a call has these words in it (the description beside it may have them too)."""
    said = f"{block(operation)}.querySelector('.live-responses-table')?.innerText"
    return f"{said}?.includes({json.dumps(words)})"


def check_drawn(tab: Tab) -> None:
    picture = base64.b64decode(tab.call("Page.captureScreenshot", format="png")["data"])
    assert len(picture) > 30_000  # a page without anything on it has some 5 kB


def tried(tab: Tab, operation: str, *, body: str | None = None) -> None:
    """Open an operation, fill in its body, and send it; its other fields stay as they are offered."""
    until(tab, block(operation))
    tab.evaluate(f"{block(operation)}.querySelector('.opblock-summary-control').click()")
    until(tab, f"{block(operation)}.querySelector('.try-out__btn')")
    tab.evaluate(f"{block(operation)}.querySelector('.try-out__btn').click()")
    until(tab, f"{block(operation)}.querySelector('.execute')")
    if body is not None:
        until(tab, f"{block(operation)}.querySelector('textarea.body-param__text')")
        tab.evaluate(
            f"""(area => {{
                const value = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value');
                value.set.call(area, {json.dumps(body)});
                area.dispatchEvent(new Event('input', {{bubbles: true}}));
            }})({block(operation)}.querySelector('textarea.body-param__text'))"""
        )
    tab.evaluate(f"{block(operation)}.querySelector('.execute').click()")


def test_the_browser_looked_for_no_other_host(net_log: Path, server: Server) -> None:
    """Runs last: the log is whole when the browser has ended, and it is read as far as it goes."""
    log = (net_log / "net.json").read_text(errors="replace")
    for host in ("cdn.redoc.ly", "fonts.googleapis.com", "fonts.gstatic.com", "validator.swagger.io"):
        assert host not in log
    assert f"127.0.0.1:{server.port}" in log
