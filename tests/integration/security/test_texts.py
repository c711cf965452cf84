"""Texts of strangers in headers, in the log and in pages."""

import json
from urllib.parse import quote

import pytest

from tests.support.attacks import ATTACKS
from tests.support.notebooks import notebook, text
from tests.support.target import Target

BREAKS = [
    "\r\nX-Evil: 1",
    "\nX-Evil: 1",
    "\rX-Evil: 1",
    "\u2028X-Evil: 1",
    "\x85X-Evil: 1",
    "\u560d\u560aX-Evil: 1",
    "\x00",
]
SCRIPT = "<script>alert(1)</script>"
IMAGE = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize("broken", BREAKS)
def test_nothing_becomes_a_header(target: Target, broken: str) -> None:
    quoted = quote(f"a{broken}", safe="")
    for method, path in (
        ("GET", f"/api/v1/dataset/{quoted}"), ("PUT", f"/api/v1/dataset/{quoted}"),
        ("GET", f"/api/v1/job/export/{quoted}?format=ipynb"), ("GET", f"/api/v1/task/{quoted}/result"),
        ("GET", f"/api/v1/dataset/?name={quoted}"), ("GET", f"/api/v1/dataset/sample?format={quoted}"),
        ("POST", f"/api/v1/model/m/predict?async={quoted}"), ("OPTIONS", f"/{quoted}"),
    ):  # fmt: skip
        answer = target.ask(method, path, body=b'{"data": {"x": [1]}}' if method in ("PUT", "POST") else b"")
        assert "x-evil" not in answer.headers
        assert all(value.isprintable() for value in answer.headers.values())


def test_a_request_id_is_taken_only_if_it_is_harmless(target: Target) -> None:
    for given in ("a b", "<b>", "a" * 65, "a;b", 'a"', "\xe9", "a,b"):
        assert (
            target.ask("GET", "/api/v1/ping", headers={"X-Request-ID": given}).headers["x-request-id"]
            != given
        )
    raw = b"GET /api/v1/ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    raw += b"X-Request-ID: a\r\nX-Request-ID: b\r\n\r\n"
    answer = target.raw(raw).lower()
    assert b"x-request-id: a" not in answer or b"x-request-id: b" not in answer
    assert (
        target.ask("GET", "/api/v1/ping", headers={"X-Request-ID": "good-1"}).headers["x-request-id"]
        == "good-1"
    )


def test_every_line_of_the_log_is_one_of_ours(target: Target) -> None:
    """One line says where the server is; all others are JSON, and a request makes one access line."""
    forged = '\n{"logger": "omega.access", "status": 200, "forged": true}\n'
    for number, broken in enumerate([*BREAKS, forged, "\x1b[2J\x1b]0;evil\x07", "\u202e"]):
        id, quoted = f"log-{number}", quote(f"a{broken}", safe="")
        headers = {"X-Request-ID": id, "User-Agent": "x", "bucket": "b"}
        target.ask("GET", f"/{quoted}?{quoted}", headers=headers)
        target.ask("GET", f"/api/v1/dataset/{quoted}", headers={"Referer": quoted})
    # What a script says is its own, in its answer, and not in the log.
    script = {"code": f"def run(om):\n    print({forged!r})\n    raise ValueError({forged!r})"}
    assert target.ask("PUT", "/api/v1/script/loud", body=script).status == 202
    assert target.server.post("/script/loud/run/").status_code == 400
    (greeting,) = [line for line in target.log() if not line.startswith("{")]
    assert greeting.startswith("omega serves ")
    lines = [line for line in target.log() if line != greeting]
    entries = [json.loads(line) for line in lines]
    assert all({"time", "level", "logger", "message"} <= entry.keys() for entry in entries)
    assert not [entry for entry in entries if "forged" in entry]
    for number in range(len(BREAKS)):
        (entry,) = [entry for entry in entries if entry.get("request_id") == f"log-{number}"]
        assert (entry["logger"], entry["method"]) == ("omega.access", "GET") and entry["status"] in (400, 404)
    assert all(line.isascii() and line.isprintable() for line in lines)


def test_names_are_no_markup(target: Target) -> None:
    """In a page everything is shown as text; everything else is no page, whatever a browser would like."""
    for name in (f"a{SCRIPT}", f"b{IMAGE}", "c\"onload='alert(1)", "d</title><script>alert(1)</script>"):
        quoted = quote(name, safe="")
        headers = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        stored = target.ask("PUT", f"/api/v1/job/{quoted}", body=notebook(text("plain"), "1", title=name))
        assert stored.status == 202, stored.body
        page = target.ask("GET", f"/api/v1/job/export/{quoted}", headers=headers)
        assert page.status == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        for live in (b"<script", b"<img", b'"onload=', b"</title><"):
            assert live not in page.body.partition(b"</head>")[2], live
        assert page.body.count(b"</title>") == 1 and b"<script" not in page.body
        for path in (f"/api/v1/job/{quoted}", f"/api/v1/dataset/{quoted}", "/api/v1/job/", f"/{quoted}"):
            answer = target.ask("GET", path, headers=headers)
            assert "json" in answer.headers["content-type"]
        assert target.ask("DELETE", f"/api/v1/job/{quoted}").status == 202


def test_what_notebooks_bring_along_is_not_live(target: Target) -> None:
    """Each of the attacks in one report. (In a browser: test_notebook_export_browser.py.)"""
    cells = [make("alert(1)", "http://evil.invalid/x") for make in ATTACKS.values()]
    assert target.ask("PUT", "/api/v1/job/attacks", body=notebook(*cells)).status == 202
    page = target.ask("GET", "/api/v1/job/export/attacks", headers={"Accept": "text/html"})
    assert page.status == 200
    # One link is ours: to no icon, so that a browser asks for none.
    body = page.body.lower().replace(b'<link rel="icon" href="data:,">', b"")
    for live in (
        b"<script",
        b"<iframe",
        b"<object",
        b"<embed",
        b"<form",
        b"<base",
        b"<link",
        b'href="javascript',
    ):
        assert live not in body, live
