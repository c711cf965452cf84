"""Log entries: what is in them, and what nobody can put into them."""

import json
import logging
import re
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.entrypoints.http.exchange import Exchange
from omega.entrypoints.http.observing import observer
from omega.entrypoints.logs import ACCESS, JSONEntries, TextEntries
from omega.entrypoints.trail import about, present, present_request

NASTY = st.text() | st.text("\n\r\x00\x1b\x85\x9b\u2028\u2029\u202e a[]=\"'", max_size=30)


def entry(message: str, *args: Any, error: BaseException | None = None, **extra: Any) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord("omega.test", logging.WARNING, __file__, 1, message, args, info)
    record.__dict__.update(extra)
    return record


def raised(words: str) -> BaseException:
    try:
        raise ValueError(words)
    except ValueError as error:
        return error


@given(words=NASTY, fact=NASTY)
def test_json_is_one_line_of_plain_ascii_that_says_it_all(words: str, fact: str) -> None:
    with about(request_id="r-1", task_id="t-1"):
        line = JSONEntries().format(entry("%s", words, error=raised(words), facts={"path": fact}))
    assert (line.isascii() and line.isprintable()) or "\x7f" in line
    found = json.loads(line)
    assert (found["message"], found["path"]) == (words, fact)
    assert (found["request_id"], found["task_id"], found["level"]) == ("r-1", "t-1", "warning")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["time"])
    assert "ValueError" in found["traceback"]


@given(words=NASTY)
def test_text_is_one_line_and_the_lines_of_a_traceback_are_set_off(words: str) -> None:
    with about(request_id="r-1"):
        first, *others = TextEntries().format(entry("%s", words, error=raised(words))).split("\n")
    assert first.isprintable() and first.endswith(" [request_id=r-1]") and " omega.test WARNING " in first
    assert others and all(line.startswith("    | ") and line.isprintable() for line in others)


def test_a_plain_entry() -> None:
    line = TextEntries().format(entry("grüße %d", 5))
    assert re.fullmatch(r"\S+Z omega.test WARNING grüße 5", line)


def test_what_the_thread_works_on() -> None:
    with about(request_id="a"):
        with about(request_id=None, task_id="t"):
            assert present() == {"request_id": "a", "task_id": "t"}
        with about(request_id="b"):
            assert present_request() == "b"
        assert present() == {"request_id": "a"}
    assert present() == {} and present_request() is None


class Counting:
    """A meter of which only requests are of interest."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def answered(self, **what: Any) -> None:
        assert what.pop("seconds") >= 0
        self.seen.append(what)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


@pytest.mark.parametrize("level", [logging.INFO, logging.CRITICAL])
def test_each_request_is_counted_and_logged_where_that_is_wanted(
    level: int, caplog: pytest.LogCaptureFixture
) -> None:
    environ = {
        "omega.request_id": "r-9", "REMOTE_ADDR": "10.0.0.9", "REQUEST_METHOD": "GET",
        "RAW_URI": "/api/v1/dataset/%0aa", "QUERY_STRING": "x=private",
    }  # fmt: skip
    exchange, meter = Exchange.begun(environ), Counting()
    exchange.status, exchange.sent_bytes, exchange.route = 200, 7, "/api/v1/dataset/<name:name>"
    with caplog.at_level(level, logger=ACCESS.name):
        observer(meter)(exchange)
    assert meter.seen == [{"route": exchange.route, "method": "GET", "status": 200}]
    if level == logging.CRITICAL:
        assert not caplog.records
        return
    (record,) = caplog.records
    assert "10.0.0.9 GET /api/v1/dataset/%0aa 200 7 bytes" in record.getMessage()
    found = json.loads(JSONEntries().format(record))
    assert (found["request_id"], found["status"], found["sent_bytes"]) == ("r-9", 200, 7)
    assert "private" not in json.dumps(found)


def test_the_settings_choose(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from omega.entrypoints import logs
    from omega.entrypoints.settings import load

    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        logs.configure(load(environ={"OMEGA_LOG_FORMAT": "json", "OMEGA_LOG_LEVEL": "error"}))
        logging.getLogger("omega.test").warning("not this")
        logging.getLogger("omega.test").error("but this")
        logging.getLogger("omega.access").info("nor this")
    finally:
        for handler in list(root.handlers):
            if handler not in before:
                root.removeHandler(handler)
        for handler in before:
            root.addHandler(handler)
        root.setLevel(level)
        ACCESS.setLevel(logging.NOTSET)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "but this"
    assert sys.stderr is not None
