"""Scripts: put, got and called; whatever a script does is in the outcome."""

from typing import Any

import pytest

from omega.domain.errors import BadInput, NotFound, PreconditionFailed, TaskFailed
from omega.domain.metadata import Precondition
from omega.domain.names import SCRIPT, Reference
from omega.domain.scripts import ScriptCall, ScriptService
from omega.entrypoints.work import Attempt
from omega.ports.scripts import ScriptError, ScriptOutcome, ScriptsUnavailable
from tests.support.jobs import MEMORY_BYTES, JobWorld, ScriptRun

ECHO = "def run(om, *args, **kwargs):\n    return [om, list(args), kwargs]\n"


@pytest.fixture
def world() -> JobWorld:
    world = JobWorld()
    world.script_runner.om = "om"
    return world


@pytest.fixture
def scripts(world: JobWorld) -> ScriptService:
    return world.scripts()


def run(scripts: ScriptService, name: str = "s", *args: Any, **kwargs: Any) -> ScriptCall:
    return scripts.run(Reference.parse(name, resource=SCRIPT), args, kwargs, timeout_s=60)


def test_a_script_is_kept_as_it_is(scripts):
    code = "# Größe\r\ndef run(om):\n\treturn '\\u20ac'"
    put = scripts.put("f/s", code)
    assert (put.name, put.kind, put.version, put.attributes) == ("f/s", "python.script", 1, {"lines": 3})
    assert scripts.get(Reference("f/s")) == (put, code)
    assert scripts.metadata(Reference("f/s")) == put
    assert [item.name for item in scripts.list("f/*").items] == ["f/s"]
    scripts.drop("f/s")
    for call in (scripts.get, scripts.metadata, lambda reference: scripts.drop(reference.name)):
        with pytest.raises(NotFound, match="there is no script 'f/s'"):
            call(Reference("f/s"))


def test_each_put_is_a_version(scripts):
    for number in (1, 2, 3):
        put = scripts.put("s", f"def run(om): return {number}")
    assert put.version == 3
    assert [run(scripts, name).outcome.result for name in ("s", "s@1", "s^", "s^^")] == [3, 1, 2, 1]
    assert run(scripts, "s@1").metadata.version == 1
    with pytest.raises(PreconditionFailed):
        scripts.put("s", ECHO, precondition=Precondition(none_match="*"))
    with pytest.raises(PreconditionFailed):
        scripts.drop("s", precondition=Precondition(match=frozenset({2})))


@pytest.mark.parametrize(
    "name", ["run", "f/run", "list", "../x", "x\0", "a//b", "x*", "", "e\u0301", "x" * 256, "a@1", "\ud800"]
)
def test_names_that_no_script_may_have(world, scripts, name):
    for call in (lambda: scripts.put(name, ECHO), lambda: scripts.drop(name)):
        with pytest.raises(BadInput, match="illegal script name"):
            call()
    assert world.records.page("").total == 0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("", "script 's': it has no function run"),
        ("x = 1", "script 's': it has no function run"),
        ("\ndef run(om:\n  pass", "script 's', line 2: "),
        (b"def run(om): 1", "script 's' must be text"),
        (None, "script 's' must be text"),
        ({"code": ECHO}, "script 's' must be text"),
    ],
)
def test_what_is_no_script_is_refused_and_nothing_lost(scripts, code, words):
    scripts.put("s", ECHO)
    with pytest.raises(BadInput) as caught:
        scripts.put("s", code)
    assert str(caught.value).startswith(words)
    assert scripts.get(Reference("s"))[1] == ECHO and scripts.metadata(Reference("s")).version == 1


def test_a_script_is_called_with_what_it_is_given(world):
    team = world.scripts("team")
    team.put("s", ECHO)
    call = team.run(Reference("s"), [1, "ü", None], {"k": [2]}, timeout_s=2.5)
    assert call.outcome == ScriptOutcome(["om", [1, "ü", None], {"k": [2]}])
    assert world.script_runner.calls == [
        ScriptRun([1, "ü", None], {"k": [2]}, {"OMEGA_BUCKET": "team"}, 2.5, MEMORY_BYTES)
    ]
    assert run(team).outcome.result == ["om", [], {}]
    with pytest.raises(NotFound, match="in bucket 'store'"):
        run(world.scripts())


def test_a_call_says_when_it_was_and_what_is_going_on(world, scripts):
    world.script_runner.om = lambda: world.clock.move(2.5)
    scripts.put("s", "def run(om): om()")
    said: list[Any] = []
    attempt = Attempt("a task", world.clock.at, lambda: None, said.append)
    began = world.clock.at
    call = scripts.run(Reference("s"), timeout_s=60, run=attempt)
    assert (call.started, (call.ended - call.started).total_seconds()) == (began, 2.5)
    assert [(one.done, one.total, one.message) for one in said] == [(0, 1, "running")]


@pytest.mark.parametrize(
    ("code", "failure", "words"),
    [
        ("def run(om): raise KeyError('x')", "raised", "script 's' (line 1): KeyError: 'x'"),
        ("def run(om): raise ValueError", "raised", "script 's' (line 1): ValueError"),
        ("def run(om): return object()", "not json", "script 's': NotJSON: Object of type object"),
        ("def run(om): return float('nan')", "not json", "script 's': NotJSON: Out of range"),
        ("def run(om, x): return x", "raised", "script 's' (line 1): TypeError: run() missing 1"),
        ("1 / 0\ndef run(om): pass", "raised", "script 's' (line 1): ZeroDivisionError: division by zero"),
    ],
)
def test_what_a_script_does_is_an_outcome(scripts, code, failure, words):
    scripts.put("s", code)
    call = run(scripts)
    assert call.outcome.failure == failure and call.outcome.result is None
    assert call.words.startswith(words) and "\n" not in call.words


def test_words_of_a_script_that_was_ended(world, scripts, monkeypatch):
    error = ScriptError("TimeLimitExceeded", "it was not done after 1 s")
    outcome = ScriptOutcome(failure="timeout", error=error, stdout="so far")
    monkeypatch.setattr(type(world.script_runner), "run", lambda *_, **__: outcome)
    scripts.put("s", ECHO)
    call = run(scripts)
    assert call.words == "script 's': TimeLimitExceeded: it was not done after 1 s"
    assert call.outcome.stdout == "so far"


def test_a_call_that_went_well_needs_no_words(scripts):
    scripts.put("s", ECHO)
    assert run(scripts).words == ""


@pytest.mark.parametrize("timeout_s", [0, -1])
def test_a_call_that_cannot_be_made_is_refused(scripts, timeout_s):
    scripts.put("s", ECHO)
    with pytest.raises(BadInput, match="script 's': the time limit must be over 0"):
        scripts.run(Reference("s"), timeout_s=timeout_s)


def test_processes_that_cannot_be_started_are_no_fault_of_the_script(world, scripts, monkeypatch):
    def fail(*_: Any, **__: Any) -> None:
        raise ScriptsUnavailable("no more processes")

    scripts.put("s", ECHO)
    monkeypatch.setattr(type(world.script_runner), "run", fail)
    with pytest.raises(TaskFailed, match="script 's': no more processes"):
        run(scripts)
