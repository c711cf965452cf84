"""Jobs: put, got, run and reported; what is left of a run that was cut off."""

import json
import math
import threading
from collections.abc import Callable
from typing import Any

import nbformat
import pytest
from attrs import define, field

from omega.domain.errors import BadInput, Cancelled, Corrupt, NotFound, PreconditionFailed
from omega.domain.job_runs import ERROR, OK, RUNNING, JobRun, RunError
from omega.domain.jobs import JobService, left_by, submit_run
from omega.domain.metadata import Precondition
from omega.domain.names import JOB, Reference, job_name
from omega.domain.tasks import LeaseLost, Policy
from omega.domain.tasks.service import MAX_TIMEOUT_S
from omega.entrypoints.work import Attempt
from omega.ports.notebooks import Failure, InvalidNotebook, Limits, Run
from omega.ports.records import StoreFull
from tests.support.jobs import MEMORY_BYTES, JobWorld, RunCall
from tests.support.notebooks import code, notebook, printed, text
from tests.unit.domain.test_documents import Meddled

KEY = 1767225600
HELLO = notebook("print('hello')")
DECLARING = notebook(code("n = 1\nm = 2", tags=["parameters"]), "print(n, m)")


@pytest.fixture
def world() -> JobWorld:
    return JobWorld()


@pytest.fixture
def jobs(world: JobWorld) -> JobService:
    return world.jobs()


@define
class Watching:
    """A `Run` that writes down how it goes, and whose lease may be lost."""

    id: str | None = "a task"
    since: Any = None
    said: list[tuple[int, int, str]] = field(factory=list)
    lost: Exception | None = None

    def check(self) -> None:
        if self.lost is not None:
            raise self.lost

    def progress(self, done: int, total: int, message: str) -> None:
        self.said.append((done, total, message))


def run(jobs: JobService, name: str = "a", **parameters: Any) -> JobRun:
    return jobs.run(name, parameters, timeout_s=60)


# names


@pytest.mark.parametrize(
    "name",
    ["a", "f/a", "größe", "a b", ".hidden", "_h", "a.py", "results_", "x" * 249, "a/results/b", "run/a"],
)
def test_a_job_is_called_the_same_with_and_without_its_end(name):
    assert job_name(name) == job_name(name + ".ipynb") == name + ".ipynb"
    assert job_name(job_name(name)) == job_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "results/x",
        "export/x",
        "results",
        "export",
        "results.ipynb",
        "run",
        "run.ipynb",
        "f/run",
        "f/schedule.ipynb",
        "list",
        "x.ipynb.ipynb",
        "x.ipynb.ipynb.ipynb",
        ".ipynb",
        "f/.ipynb",
        "",
        "/x",
        "x/",
        "../x",
        "a//b",
        "x\0",
        "x\n",
        "a*",
        "a@1",
        "e\u0301",
        "\ud800",
        "x" * 250,
    ],
)
def test_names_that_no_job_may_have(world, jobs, name):
    calls: list[Callable[[], Any]] = [
        lambda: job_name(name),
        lambda: jobs.put(name, HELLO),
        lambda: jobs.create(name, "1"),
        lambda: jobs.drop(name),
        lambda: run(jobs, name),
        lambda: jobs.get(Reference(name)),
        lambda: jobs.metadata(Reference(name)),
    ]
    for call in calls:
        with pytest.raises(BadInput, match="illegal job name"):
            call()
    assert world.records.page("").total == 0 and list(world.blobs.ids()) == []


# put, get, list, drop


def test_a_notebook_is_kept_as_it_is(jobs):
    given = notebook(text("# Größe"), code("x = 1", tags=["parameters"]), "print(x)", author={"name": "Ä"})
    put = jobs.put("f/a", given)
    assert (put.name, put.kind, put.version) == ("f/a.ipynb", "notebook.ipynb", 1)
    assert put.attributes == {"cells": 3, "parameters": ["x"]}
    for name in ("f/a", "f/a.ipynb"):
        metadata, got = jobs.get(Reference(name))
        assert metadata == put == jobs.metadata(Reference(name))
        assert got == given
    nbformat.validate(nbformat.from_dict(got))


def test_a_notebook_of_nbformat_will_do(jobs):
    node = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", id="x")])
    jobs.put("a", node)
    assert jobs.get(Reference("a"))[1] == {**node, "nbformat_minor": 5}


def test_each_put_is_a_version(jobs):
    for n in (1, 2, 3):
        assert jobs.put("a", notebook(f"{n}")).version == n
    assert [
        jobs.get(Reference.parse(name, resource=JOB))[1]["cells"][0]["source"]
        for name in ("a", "a@1", "a.ipynb@2", "a^^")
    ] == ["3", "1", "2", "1"]
    with pytest.raises(PreconditionFailed):
        jobs.put("a.ipynb", HELLO, precondition=Precondition(none_match="*"))
    with pytest.raises(PreconditionFailed):
        jobs.create("a", "1", precondition=Precondition(match=frozenset({2})))
    with pytest.raises(PreconditionFailed):
        jobs.drop("a", precondition=Precondition(match=frozenset({2})))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "is a JSON object"),
        ("text", "is a JSON object"),
        (None, "is a JSON object"),
        ({}, "nbformat null"),
        ({"nbformat": 4, "nbformat_minor": 5, "metadata": {}}, "has cells"),
        ({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{}]}, "cell 1 is not valid"),
        ({**HELLO, "nbformat": 99}, "nbformat 99, nbformat_minor 5 cannot be read"),
        ({**HELLO, "nbformat": 2}, "nbformat 2"),
        ({**HELLO, "nbformat_minor": 6}, "nbformat_minor 6"),
        ({**HELLO, "more": {1, 2}}, "which JSON cannot"),
        (notebook(text("x", kind="poem")), "cell 1 is not valid"),
        (notebook("x", number=math.inf), "which JSON cannot"),
    ],
)
def test_what_is_no_notebook_is_refused_and_nothing_lost(jobs, value, words):
    jobs.put("a", HELLO)
    with pytest.raises(BadInput, match=r"job 'a\.ipynb': ") as caught:
        jobs.put("a", value)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert jobs.metadata(Reference("a")).version == 1
    assert jobs.get(Reference("a"))[1] == HELLO


def test_an_old_notebook_is_upgraded(jobs):
    cell = {"cell_type": "code", "language": "python", "input": "print(1)", "outputs": [], "metadata": {}}
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {},
        "worksheets": [{"cells": [cell], "metadata": {}}],
    }
    jobs.put("a", old)
    got = jobs.get(Reference("a"))[1]
    assert (got["nbformat"], got["nbformat_minor"]) == (4, 5)
    assert [(cell["cell_type"], cell["source"]) for cell in got["cells"]] == [("code", "print(1)")]
    for wrong in (5, [{"cells": 5}], [{"cells": [{}]}]):
        with pytest.raises(BadInput, match=r"job 'a\.ipynb': ") as caught:
            jobs.put("a", {**old, "worksheets": wrong})
        assert "\n" not in str(caught.value)


def test_a_notebook_is_made_of_code(jobs):
    source = '# %% tags=["parameters"]\nn = 2\n# %% [markdown]\n# # Report\n# %%\nprint(n)\n'
    made = jobs.create("a", source)
    assert made.attributes == {"cells": 3, "parameters": ["n"]}
    got = jobs.get(Reference("a"))[1]
    assert [cell["cell_type"] for cell in got["cells"]] == ["code", "markdown", "code"]
    assert jobs.create("b", "print(1)\nprint(2)").attributes["cells"] == 1
    with pytest.raises(BadInput, match="job 'c'"):
        jobs.create("c", 5)  # type: ignore[arg-type]


def test_lists(jobs):
    for name in ("b", "a.ipynb", "f/c", "_hidden"):
        jobs.put(name, HELLO)
    assert [item.name for item in jobs.list().items] == ["a.ipynb", "b.ipynb", "f/c.ipynb"]
    assert [item.name for item in jobs.list("f/*", limit=1).items] == ["f/c.ipynb"]
    assert jobs.list("*.ipynb").total == 3


@pytest.mark.parametrize("name", ["a", "a.ipynb"])
def test_what_came_of_its_runs_stays_when_a_job_is_dropped(jobs, name):
    jobs.put("a", HELLO)
    done = run(jobs, name)
    jobs.drop(name)
    for call in (lambda: jobs.get(Reference("a")), lambda: run(jobs), lambda: jobs.drop("a")):
        with pytest.raises(NotFound, match=r"there is no job 'a\.ipynb' in bucket 'store'"):
            call()
    assert printed(jobs.result(done.result_name)[1]) == ["hello\n"]
    jobs.put("a", notebook("print('another')"))
    assert jobs.runs.of("a.ipynb") == ([done], 1)


# runs


def test_a_run_is_recorded_with_its_notebook(world, jobs):
    world.runner.names["pause"] = lambda: world.clock.move(2.5)
    jobs.put("a", HELLO)
    created = world.clock.at
    world.clock.move(10)
    put = jobs.put("a", notebook("print('hello')", "pause()"))
    done = run(jobs)
    assert done == JobRun(
        "a.ipynb",
        KEY + 10,
        put.version,
        {},
        put.modified,
        OK,
        ended=world.clock.at,
        result=done.result,
        created=created,
    )
    assert (done.version, done.duration_s, done.result_name) == (2, 2.5, f"results/a_{KEY + 10}.ipynb")
    found, result = jobs.result(done.result_name)
    assert found == done and printed(result) == ["hello\n", ""]
    assert result["cells"][0]["execution_count"] == 1
    assert jobs.get(Reference("a"))[1]["cells"][0]["execution_count"] is None


def test_a_run_is_given_what_it_needs(world, jobs):
    team = world.jobs("team")
    team.put("a", DECLARING)
    done = team.run("a", {"m": [1, {"x": "ü"}]}, timeout_s=2.5)
    (call,) = world.runner.calls
    assert call == RunCall(
        team.get(Reference("a"))[1],
        {"m": [1, {"x": "ü"}]},
        Limits(2.5, MEMORY_BYTES),
        {"OMEGA_BUCKET": "team"},
    )
    assert done.parameters == {"m": [1, {"x": "ü"}]} and done.task is None
    assert printed(team.result(done.result_name)[1])[1] == "1 [1, {'x': 'ü'}]\n"
    with pytest.raises(NotFound):
        jobs.result(done.result_name)


def test_a_run_says_how_far_it_has_come(jobs):
    jobs.put("a", notebook("1", text("two"), "3"))
    watching = Watching()
    done = jobs.run("a", timeout_s=60, run=watching)
    assert watching.said == [
        (0, 3, "starting the kernel"),
        (1, 3, "cell 1 of 3"),
        (2, 3, "cell 2 of 3"),
        (3, 3, "cell 3 of 3"),
    ]
    assert done.task == "a task"


@pytest.mark.parametrize(
    "given", [{"x": 1}, {"n": 1, "x": 1}, {"import os": 1}, {"n=1;m": 1}, {"__class__": 1}, {"": 1}]
)
def test_parameters_that_the_notebook_does_not_declare(jobs, given):
    jobs.put("a", DECLARING)
    with pytest.raises(BadInput, match=r"job 'a\.ipynb': .*declared: n, m"):
        run(jobs, **given)
    assert jobs.runs.of("a.ipynb") == ([], 0)


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**70, {1: 2}, {1, 2}, b"x", "\ud800", object()])
def test_parameters_that_are_not_json(jobs, value):
    jobs.put("a", DECLARING)
    with pytest.raises(BadInput, match=r"the parameters of job 'a\.ipynb' are not JSON"):
        run(jobs, n=value)
    assert jobs.runs.of("a.ipynb") == ([], 0)


def test_a_stored_notebook_that_a_runner_does_not_take_leaves_no_run(world, jobs, monkeypatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise InvalidNotebook("cell 1 is odd")

    jobs.put("a", HELLO)
    monkeypatch.setattr(type(world.runner), "run", refuse)
    with pytest.raises(BadInput, match=r"job 'a\.ipynb': cell 1 is odd"):
        run(jobs)
    assert jobs.runs.of("a.ipynb") == ([], 0)


@pytest.mark.parametrize("timeout_s", [0, -1, math.nan, math.inf, MAX_TIMEOUT_S + 1])
def test_times_that_no_run_can_have(world, jobs, timeout_s):
    jobs.put("a", HELLO)
    with pytest.raises(BadInput, match="timeout"):
        jobs.run("a", timeout_s=timeout_s)
    with pytest.raises(BadInput, match="timeout"):
        submit_run(world.tasks(), "a.ipynb", {}, timeout_s=timeout_s)
    assert jobs.runs.of("a.ipynb") == ([], 0) and world.tasks().list().total == 0


# runs that fail


def test_a_run_that_fails_keeps_what_there_is(jobs):
    jobs.put("a", notebook("print('before')", "{}['x']", "print('after')"))
    done = run(jobs)
    assert done.status == ERROR
    assert done.error == RunError("cell", "cell 2 of 3: KeyError: 'x'", 2, "KeyError", "'x'")
    assert printed(jobs.result(done.result_name)[1]) == ["before\n", "", ""]


@pytest.mark.parametrize("reason", ["timeout", "memory", "kernel died", "no kernel"])
def test_a_run_that_is_ended_from_outside(jobs, reason):
    jobs.put("a", notebook("print(1)", f"raise Ended({reason!r}, 'in cell 2 of 2', 2)"))
    done = run(jobs)
    assert (done.status, done.error) == (ERROR, RunError(reason, "in cell 2 of 2", 2))
    assert printed(jobs.result(done.result_name)[1]) == ["1\n", ""]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("bug"), LeaseLost("x"), SystemExit(1)])
def test_a_run_that_is_cut_off_is_over(world, jobs, monkeypatch, error):
    def cut(*_: Any, **__: Any) -> None:
        raise error

    jobs.put("a", HELLO)
    monkeypatch.setattr(type(world.runner), "run", cut)
    with pytest.raises(type(error)):
        run(jobs)
    ((done,), total) = jobs.runs.of("a.ipynb")
    assert total == 1
    assert (done.status, done.error, done.result) == (
        ERROR,
        RunError("lost", "the run was cut off before its end"),
        None,
    )


def test_progress_that_nobody_wants_ends_the_run(world, jobs):
    def enough(*_: Any) -> None:
        raise Cancelled("it was cancelled")

    jobs.put("a", HELLO)
    attempt = Attempt("a task", world.clock.at, lambda: None, enough)
    with pytest.raises(Cancelled):
        jobs.run("a", timeout_s=60, run=attempt)
    ((done,), _) = jobs.runs.of("a.ipynb")
    assert done.error is not None and done.error.reason == "lost"


def test_a_result_that_cannot_be_stored_ends_the_run_all_the_same(world, jobs):
    """It is not under way for ever."""

    def full() -> None:
        raise StoreFull("no room")

    jobs.put("a", HELLO)
    world.blobs = Meddled(world.blobs, "write", "", full)
    with pytest.raises(StoreFull):
        run(world.jobs())
    ((done,), _) = jobs.runs.of("a.ipynb")
    assert (done.status, done.result) == (ERROR, None)


@pytest.mark.parametrize("error", [LeaseLost("a task"), Cancelled("it was cancelled")])
def test_an_attempt_that_may_not_go_on_runs_nothing(world, jobs, error):
    """Its task has been ended, by somebody who saw no run of it: there must not be one later."""
    jobs.put("a", HELLO)
    with pytest.raises(type(error)):
        jobs.run("a", timeout_s=60, run=Watching(lost=error))
    assert world.runner.calls == []
    assert [run.status for run in jobs.runs.of("a.ipynb")[0]] == [ERROR]


# what jobs do to themselves and to each other


def test_a_job_may_remove_itself_while_it_runs(world, jobs):
    world.runner.names["drop"] = lambda: jobs.drop("a")
    jobs.put("a", notebook("drop()", "print('still here')"))
    done = run(jobs)
    assert done.status == OK and printed(jobs.result(done.result_name)[1])[1] == "still here\n"
    with pytest.raises(NotFound):
        jobs.get(Reference("a"))
    assert jobs.runs.of("a.ipynb") == ([done], 1)


def test_a_job_that_is_replaced_while_it_runs_goes_on_as_it_was(world, jobs):
    world.runner.names["replace"] = lambda: jobs.put("a", notebook("print('new')"))
    jobs.put("a", notebook("replace()", "print('old')"))
    done = run(jobs)
    assert (done.version, printed(jobs.result(done.result_name)[1])) == (1, ["", "old\n"])
    assert run(jobs).version == 2


def test_a_job_may_run_another_and_itself(world, jobs):
    world.runner.names |= {"run": lambda name: run(jobs, name), "again": iter([True, False])}
    jobs.put("b", HELLO)
    jobs.put("a", notebook("run('b')", "if next(again): run('a')"))
    outer = run(jobs)
    runs, total = jobs.runs.of("a.ipynb")
    assert total == 2 and {run.status for run in runs} == {OK} and outer in runs
    assert jobs.runs.of("b.ipynb")[1] == 2


def test_many_runs_at_once_are_all_recorded(world, jobs):
    barrier = threading.Barrier(20)
    world.runner.names["meet"] = barrier.wait
    jobs.put("a", notebook(code("n = 0", tags=["parameters"]), "meet()", "if n % 2: {}['x']"))
    done: list[JobRun] = []
    threads = [
        threading.Thread(target=lambda n=n: done.append(run(jobs, n=n)), daemon=True) for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    runs, total = jobs.runs.of("a.ipynb")
    assert total == 20 and sorted(done, key=lambda run: -run.key) == list(runs)
    assert sorted(run.parameters["n"] for run in runs) == list(range(20))
    assert all(run.status == (ERROR if run.parameters["n"] % 2 else OK) for run in runs)
    assert len({run.result.id for run in runs if run.result}) == 20


# reports


def test_a_result_or_a_job_is_exported(jobs):
    jobs.put("f/a", notebook(text("# Title"), "print('hello')"))
    done = run(jobs, "f/a")
    for name in (done.result_name, done.result_name.removeprefix("results/"), f"f/a_{done.key}"):
        page = jobs.export(name)
        assert page.startswith("<!DOCTYPE html>") and "hello\n" in page and f"a_{done.key}" in page
    for name in ("f/a", "f/a.ipynb", "f/a@1"):
        assert "<title>f/a.ipynb</title>" in jobs.export(name)
    assert jobs.export("f/a", format="py") == "# %% [markdown]\n# # Title\n\n# %%\nprint('hello')\n"
    assert "hello" in jobs.export(done.result_name, format="md")
    assert json.loads(jobs.export("f/a", format="ipynb")) == jobs.get(Reference("f/a"))[1]


def test_a_job_whose_name_is_like_that_of_a_result(jobs):
    jobs.put("a_1", notebook(text("a job")))
    assert "a job" in jobs.export("a_1", format="md")
    jobs.put("a", HELLO)
    done = run(jobs)
    jobs.put(f"a_{done.key}", notebook(text("a job")))
    assert "hello" in jobs.export(f"a_{done.key}", format="md")


@pytest.mark.parametrize("format", ["pdf", "HTML", "", "../html"])
def test_formats_that_there_are_not(jobs, format):
    jobs.put("a", HELLO)
    with pytest.raises(BadInput, match=r"unknown format .* there are html, ipynb, md, py"):
        jobs.export("a", format=format)


def test_a_notebook_in_another_language_is_no_python(jobs):
    jobs.put("a", notebook("x <- 1", language_info={"name": "R"}))
    with pytest.raises(BadInput, match="'a'"):
        jobs.export("a", format="py")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("none", NotFound),
        ("none_1", NotFound),
        ("results/none_1.ipynb", NotFound),
        ("results/a", NotFound),
        ("a@2", NotFound),
        ("results/../a_1", BadInput),
        ("../a", BadInput),
        ("export/a", BadInput),
        ("a[x]", BadInput),
    ],
)
def test_reports_of_what_there_is_not(jobs, name, error):
    jobs.put("a", HELLO)
    with pytest.raises(error):
        jobs.export(name)
    with pytest.raises((NotFound, BadInput)):
        jobs.result(name)


def test_a_run_without_a_result_has_no_report(world, jobs):
    jobs.put("a", HELLO)
    begun = jobs.runs.begin(jobs.metadata(Reference("a")), parameters={}, task=None)
    for what in (jobs.result, jobs.export):
        with pytest.raises(NotFound, match="has no result: it is RUNNING"):
            what(begun.result_name)


def test_a_damaged_result_is_not_replaced_by_its_job(world, jobs):
    jobs.put("a", HELLO)
    done = run(jobs)
    assert done.result is not None
    world.blobs.remove(done.result.id)
    for what in (jobs.result, jobs.export):
        with pytest.raises(Corrupt, match=done.result_name):
            what(done.result_name)


# tasks


@pytest.mark.parametrize(
    ("timeout_s", "run_s", "task_s"),
    [(5, 5, 35), (0.5, 0.5, 30.5), (None, 100, 130), (MAX_TIMEOUT_S, MAX_TIMEOUT_S, MAX_TIMEOUT_S)],
)
def test_a_run_is_left_to_a_worker_once(world, timeout_s, run_s, task_s):
    world.policy = Policy(timeout_s=100)
    task = submit_run(world.tasks("team"), "a.ipynb", {"n": 1}, timeout_s=timeout_s)
    assert (task.bucket, task.call.resource, task.call.name, task.call.action) == (
        "team",
        "job",
        "a.ipynb",
        "run",
    )
    assert task.call.options == {"parameters": {"n": 1}, "timeout_s": run_s}
    assert (task.timeout_s, task.max_attempts) == (task_s, 1)


def test_a_default_time_over_the_longest_is_the_longest(world):
    world.policy = Policy(timeout_s=MAX_TIMEOUT_S * 2)
    task = submit_run(world.tasks(), "a.ipynb", {}, timeout_s=None)
    assert task.timeout_s == MAX_TIMEOUT_S


@pytest.mark.parametrize("value", [2**70, math.nan, object(), {1: 2}])
def test_parameters_that_no_task_can_hold(world, value):
    with pytest.raises(BadInput, match=r"the parameters of job 'a\.ipynb' are not JSON"):
        submit_run(world.tasks(), "a.ipynb", {"n": value}, timeout_s=None)
    assert world.tasks().list().total == 0 and world.queue.size() == 0


def over(world: JobWorld, id: str = "a task") -> Attempt:
    def gone() -> None:
        raise LeaseLost(id)

    return Attempt(id, world.clock.at, gone, lambda _: None)


def test_a_run_that_was_cut_off_is_ended_once(world, jobs):
    jobs.put("a", HELLO)
    begun = jobs.runs.begin(jobs.metadata(Reference("a")), parameters={}, task="a task")
    assert left_by(jobs.runs, "a", over(world)) is None
    ((lost,), _) = jobs.runs.of("a.ipynb")
    assert (lost.status, lost.error) == (ERROR, RunError("lost", "the run was cut off before its end"))
    # Who was held up until now can end it no more, and who asks again is told the same.
    with pytest.raises(NotFound):
        jobs.runs.finish(begun, error=None, notebook=b"{}")
    assert left_by(jobs.runs, "a", over(world)) == lost
    assert jobs.runs.of("a.ipynb") == ([lost], 1)


@pytest.mark.parametrize("cells", [["1"], ["1 / 0"]])
def test_a_run_that_came_to_its_end_is_what_the_task_has_made(world, jobs, cells):
    jobs.put("a", notebook(*cells))
    done = jobs.run("a", timeout_s=60, run=Watching())
    assert left_by(jobs.runs, "a.ipynb", over(world)) == done


def test_a_task_that_never_began_has_made_nothing(world, jobs):
    jobs.put("a", HELLO)
    run(jobs)
    assert left_by(jobs.runs, "a", over(world)) is None


def test_a_run_that_ends_while_it_is_given_up(world, jobs):
    jobs.put("a", HELLO)
    begun = jobs.runs.begin(jobs.metadata(Reference("a")), parameters={}, task="a task")
    done: list[JobRun] = []
    world.records = Meddled(
        world.records,
        "write",
        "job-run/",
        lambda: done.append(jobs.runs.finish(begun, error=None, notebook=b"{}")),
    )
    assert left_by(world.job_runs(), "a", over(world)) == done[0]
    assert done[0].status == OK


def test_a_run_that_is_removed_while_it_is_given_up(world, jobs):
    jobs.put("a", HELLO)
    begun = jobs.runs.begin(jobs.metadata(Reference("a")), parameters={}, task="a task")
    world.records = Meddled(world.records, "write", "job-run/", lambda: jobs.runs.give_up(begun))
    assert left_by(world.job_runs(), "a", over(world)) is None


def test_a_task_that_is_begun_again_runs_nothing_twice(world, jobs):
    """A worker that was told to stop has handed it back: what its notebook did cannot be undone."""
    jobs.put("a", HELLO)
    since = world.clock.at
    begun = jobs.runs.begin(jobs.metadata(Reference("a")), parameters={}, task="a task")
    assert begun.status == RUNNING
    world.clock.move(60)
    again = jobs.run("a", timeout_s=60, run=Watching(since=since))
    assert world.runner.calls == []
    assert (again.key, again.status) == (begun.key, ERROR)
    assert again.error is not None and again.error.reason == "lost"
    assert jobs.runs.of("a.ipynb") == ([again], 1)
    # An attempt that had not begun a run yet is made up for.
    assert jobs.run("a", timeout_s=60, run=Watching(id="another", since=since)).status == OK


def test_errors_of_the_runner_are_kept_word_for_word(world, jobs, monkeypatch):
    failure = Failure("cell", "cell 1 of 1: E: \x1b[31mü", 1, "E", "ü")
    monkeypatch.setattr(type(world.runner), "run", lambda *_, **__: Run(HELLO, failure))
    jobs.put("a", HELLO)
    assert run(jobs).error == RunError("cell", failure.message, 1, "E", "ü")
