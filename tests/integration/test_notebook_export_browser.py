"""Exported pages in a real browser: nothing runs, nothing is fetched, and what should be seen is there.

Each attack is tried three ways: rendered by nbconvert without its cleaning, where most of them work, so that
the test would see it; exported by us; and exported by us with the page's own policy taken out, so that the
cleaning alone must hold.
"""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert.exporters import HTMLExporter

from omega.adapters.nbconvert_notebooks import pages
from omega.adapters.nbconvert_notebooks.notebooks import NbconvertNotebookConverter
from omega.adapters.papermill_notebooks.notebooks import PapermillNotebookRunner
from tests.support.attacks import ATTACKS, CLASSICS
from tests.support.browser import CANARY, Browser, PageServer, browsing, serving
from tests.support.notebooks import notebook, run, text


@pytest.fixture(scope="module")
def net_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def browser(net_log: Path) -> Iterator[Browser]:
    with browsing(net_log) as browser:
        yield browser


@pytest.fixture
def server() -> Iterator[PageServer]:
    with serving() as server:
        yield server


def attacked(server: PageServer, name: str) -> dict[str, Any]:
    js = f"window.pwned=(new Image().src=`{server.canary}/js`)"
    url = f"{server.canary}/fetched"
    document = notebook(ATTACKS[name](js, url), language_info={"name": "python"})
    nbformat.validate(nbformat.from_dict(document))
    return document


def exported(document: dict[str, Any], *, has_policy: bool = True, title: str = "A report") -> str:
    page = NbconvertNotebookConverter().render(document, format="html", title=title)
    without, count = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    assert count == 1
    return page if has_policy else without


def harm(browser: Browser, server: PageServer, page: str) -> list[Any]:
    """All that a page does, by itself and when everything in it is clicked, beyond being there."""
    server.page = page
    with browser.tab() as tab:
        seen = tab.open(server.url)
        found = [*seen.requests, *seen.scripts, *seen.refusals, *seen.dialogs]
        if found:
            return found
        tab.evaluate(
            """[...document.querySelectorAll('*:not(a[href^="http"])')].forEach(element => {
                element.click?.();
                element.focus?.();
                element.dispatchEvent(new MouseEvent('mouseover', {bubbles: true}));
            })"""
        )
        browser.watch(0.3)
        found = [*server.asked, *tab._seen(server.url).dialogs]
        state = tab.evaluate("[typeof window.pwned, document.title, location.pathname, frames.length]")
        return found if state == ["undefined", "A report", "/page", 0] else [*found, state]


@pytest.mark.parametrize("has_policy", [True, False], ids=["as it is", "without its policy"])
@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_runs_and_nothing_is_fetched(
    browser: Browser, server: PageServer, name: str, has_policy: bool
) -> None:
    page = exported(attacked(server, name), has_policy=has_policy)
    assert harm(browser, server, page) == []
    assert server.asked == []


@pytest.mark.parametrize("name", ATTACKS)
def test_the_last_cleaning_holds_alone(
    browser: Browser, server: PageServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if nothing were chosen before and nbconvert cleaned nothing."""
    monkeypatch.setattr(pages, "shown", lambda given, **_: given)
    monkeypatch.setattr(
        pages, "HTMLExporter", lambda **given: HTMLExporter(**given | {"sanitize_html": False})
    )
    page = exported(attacked(server, name), has_policy=False)
    assert harm(browser, server, page) == []
    assert server.asked == []


def test_the_attacks_work_where_nothing_is_cleaned(browser: Browser, server: PageServer) -> None:
    at_work = set()
    for name in ATTACKS:
        exporter = HTMLExporter(template_name="basic")  # type: ignore[no-untyped-call]
        body, _ = exporter.from_notebook_node(nbformat.from_dict(attacked(server, name)))
        server.asked.clear()
        page = f"<!DOCTYPE html><link rel=icon href='data:,'><title>A report</title>{body}"
        if harm(browser, server, page):
            at_work.add(name)
    # nbconvert cleans raw cells all the same, and shows SVG as a picture.
    assert CLASSICS.keys() - at_work <= {"raw cell", "svg output"}
    assert len(at_work) >= 17, ATTACKS.keys() - at_work


def test_a_title_cannot_break_out(browser: Browser, server: PageServer) -> None:
    title = f"</title><script>window.pwned=1</script><img src={server.canary}/x>"
    server.page = exported(notebook(text("hi")), has_policy=False, title=title)
    with browser.tab() as tab:
        assert tab.open(server.url).is_quiet
        assert tab.evaluate("document.title") == title


def test_a_report_shows_what_it_should(browser: Browser, server: PageServer, tmp_path: Path) -> None:
    """A notebook that was run: its plots, as bitmap and as SVG, tables, texts and the error that ended it."""
    document = notebook(
        text("# Sales *2026*\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[a link](https://example.com/x)"),
        "import pandas as pd\nframe = pd.DataFrame({'x': [1, 2, 3], 'y': [2.5, None, 'z']})\nframe",
        "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()",
        "%config InlineBackend.figure_format = 'svg'\nplt.bar([1, 2, 3], [3, 1, 2]);",
        "print('\\x1b[31mred\\x1b[0m <b>')\nimport sys; print('careful', file=sys.stderr)",
        "frame['none']",
    )
    done = run(PapermillNotebookRunner(), document)
    assert done.failure is not None
    server.page = exported(dict(done.notebook))
    with browser.tab() as tab:
        seen = tab.open(server.url)
        assert seen.is_quiet, seen
        sizes = tab.evaluate("[...document.images].map(i => [i.naturalWidth > 300, i.alt])")
        assert sizes == [[True, "output of cell 3"], [True, "output of cell 4"]]
        assert tab.evaluate("[...document.querySelectorAll('table')].map(t => t.rows.length)") == [2, 4]
        words = tab.evaluate("document.body.innerText")
        for part in ("Sales 2026", "red <b>", "careful", "KeyError", "frame['none']", "import pandas"):
            assert part in words
        colour = "getComputedStyle(document.querySelector('.ansi-red-fg')).color"
        assert tab.evaluate(colour) != tab.evaluate("getComputedStyle(document.body).color")
        assert tab.evaluate("document.querySelector('a[href^=http]').href") == "https://example.com/x"
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        (tmp_path / "report.png").write_bytes(base64.b64decode(tab.call("Page.captureScreenshot")["data"]))
    assert server.asked == []


def test_no_name_is_looked_up(tmp_path: Path) -> None:
    """The browser's log of the network has also what it asks for in advance, without a page's asking."""
    links = "".join(f"[{n}](http://{n}.{CANARY}/) " for n in range(5))
    with serving() as server, browsing(tmp_path / "ours") as browser:
        for name in ATTACKS:
            server.page = exported(notebook(*attacked(server, name)["cells"], text(links)))
            with browser.tab() as tab:
                tab.open(server.url)
    with serving() as server, browsing(tmp_path / "theirs") as browser:
        server.page = f"<img src={server.canary}>"
        with browser.tab() as tab:
            tab.open(server.url)
    logs = [json.loads((tmp_path / which / "net.json").read_text()) for which in ("ours", "theirs")]
    assert [CANARY in json.dumps(log["events"]) for log in logs] == [False, True]
