"""The runs of jobs: each recorded once, found by its second, ended once."""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve

from omega.domain.errors import BadInput, Corrupt, NotFound
from omega.domain.job_runs import ERROR, OK, RUNNING, JobRun, JobRuns, RunError
from omega.domain.metadata import Metadata
from omega.ports.records import StoreFull
from tests.support.jobs import JobWorld
from tests.unit.domain.test_documents import Meddled

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = int(NOON.timestamp())
LOST = RunError("lost", "cut off")


@pytest.fixture
def world() -> JobWorld:
    world = JobWorld()
    world.clock.at = NOON
    return world


@pytest.fixture
def runs(world: JobWorld) -> JobRuns:
    return world.job_runs()


def job(name: str = "a.ipynb", version: int = 1) -> Metadata:
    return Metadata(name, "job", "store", "notebook.ipynb", version, NOON, NOON)


def begun(runs: JobRuns, name: str = "a.ipynb", task: str | None = None, **parameters: Any) -> JobRun:
    return runs.begin(job(name), parameters=parameters, task=task)


def ended(runs: JobRuns, name: str = "a.ipynb", **how: Any) -> JobRun:
    return runs.finish(begun(runs, name), error=how.get("error"), notebook=how.get("notebook", b"{}"))


def test_a_run_that_begins(world, runs):
    run = runs.begin(job(version=3), parameters={"n": [1, {"x": None}]}, task="a task")
    assert run == JobRun(
        "a.ipynb", KEY, 3, {"n": [1, {"x": None}]}, NOON, RUNNING, task="a task", created=NOON
    )
    assert run.result_name == f"results/a_{KEY}.ipynb" and run.duration_s is None
    assert runs.of("a.ipynb") == ([run], 1)
    assert runs.find(run.result_name) == run
    with pytest.raises(NotFound, match="has no result: it is RUNNING"):
        runs.notebook(run)


@pytest.mark.parametrize(
    "error", [None, RunError("cell", "cell 2 of 3: KeyError: 'x'", 2, "KeyError", "'x'"), LOST]
)
def test_a_run_that_ends(world, runs, error):
    run = begun(runs, n=1)
    world.clock.move(2.5)
    done = runs.finish(run, error=error, notebook=b"{1}")
    assert done == evolve(
        run, status=OK if error is None else ERROR, ended=world.clock.at, error=error, result=done.result
    )
    assert done.duration_s == 2.5
    assert runs.find(run.result_name) == done and runs.notebook(done) == b"{1}"


def test_a_run_that_made_nothing(runs):
    done = runs.finish(begun(runs), error=LOST, notebook=None)
    assert done.result is None
    with pytest.raises(NotFound, match="has no result: it is ERROR"):
        runs.notebook(done)


def test_the_second_of_a_run_is_its_own(world, runs):
    """Of two in one second the later one is given the next."""
    keys = [begun(runs).key for _ in range(3)]
    assert keys == [KEY, KEY + 1, KEY + 2]
    world.clock.move(1)
    late = begun(runs)
    assert (late.key, late.started) == (KEY + 3, world.clock.at)
    assert begun(runs, "b.ipynb").key == KEY + 1
    assert begun(JobRuns(runs.records, runs.payloads, runs.clock, "team")).key == KEY + 1


def test_a_part_of_a_second_counts_for_the_second_it_is_in(world, runs):
    world.clock.move(0.999)
    assert begun(runs).key == KEY


def test_many_at_once_are_all_recorded(world, runs):
    found, barrier = [], threading.Barrier(20)

    def one(number: int) -> None:
        barrier.wait()
        run = begun(runs, n=number)
        found.append(runs.finish(run, error=None, notebook=b"%d" % number))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorded, total = runs.of("a.ipynb")
    assert total == 20 and sorted(run.key for run in recorded) == list(range(KEY, KEY + 20))
    assert sorted(found, key=lambda run: -run.key) == recorded
    assert all(runs.notebook(run) == b"%d" % run.parameters["n"] for run in recorded)


def test_the_latest_come_first(world, runs):
    for number in range(3):
        ended(runs, "a.ipynb")
        ended(runs, f"a{number}.ipynb")
        ended(runs, f"a.ipynb/{number}.ipynb")
        world.clock.move(60)
    keys = [KEY + 120, KEY + 60, KEY]
    assert [run.key for run in runs.of("a.ipynb")[0]] == keys
    page, total = runs.of("a.ipynb", offset=1, limit=1)
    assert ([run.key for run in page], total) == ([KEY + 60], 3)
    assert runs.of("a.ipynb", offset=9) == ([], 3)
    assert runs.of("none.ipynb") == ([], 0)


# names of results


@pytest.mark.parametrize("name", ["a.ipynb", "f/g/a.ipynb", "a_1.ipynb", "größe.ipynb", "results_1.ipynb"])
def test_a_result_is_found_by_its_name_with_and_without_its_ends(runs, name):
    run = ended(runs, name)
    full = run.result_name
    bare = full.removeprefix("results/")
    for given in (full, bare, full.removesuffix(".ipynb"), bare.removesuffix(".ipynb")):
        assert runs.find(given) == run


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "a.ipynb",
        "a_.ipynb",
        "_1.txt",
        f"a_{KEY + 1}.ipynb",
        f"a_{KEY}.html",
        f"a_-{KEY}",
        f"a_{KEY}0000000000000.ipynb",
        "a_١٢٣",
        "",
    ],
)
def test_results_that_there_are_not(runs, name):
    ended(runs)
    with pytest.raises(NotFound, match="there is no result"):
        runs.find(name)


@pytest.mark.parametrize(
    "name",
    ["../a_1", "results/../a_1", "results/results/a_1", "export/a_1", "run_1", "a*_1", "a\0_1", "a//b_1"],
)
def test_results_whose_names_are_illegal(runs, name):
    with pytest.raises(BadInput, match="illegal job name"):
        runs.find(name)


def test_the_runs_of_another_bucket_are_others(world, runs):
    run = ended(runs)
    with pytest.raises(NotFound, match="in bucket 'team'"):
        world.job_runs("team").find(run.result_name)


# of a task


def test_the_run_of_a_task(world, runs):
    wanted = begun(runs, task="mine")
    for number in range(3):
        world.clock.move(600)
        begun(runs, task=f"other {number}")
    assert runs.of_task("a.ipynb", "mine", since=NOON) == wanted
    assert runs.of_task("a.ipynb", "nobody's", since=NOON) is None
    assert runs.of_task("b.ipynb", "mine", since=NOON) is None


def test_runs_from_before_the_task_are_not_looked_at(world, runs):
    begun(runs, task="mine")
    later = begun(runs, task="other")
    world.clock.move(3600)
    assert runs.of_task("a.ipynb", "mine", since=later.started) is not None
    assert runs.of_task("a.ipynb", "mine", since=world.clock.at) is None


def test_clocks_may_differ_by_minutes(world, runs):
    run = begun(runs, task="mine")
    begun(runs, task="other")
    world.clock.move(299)
    assert runs.of_task("a.ipynb", "mine", since=world.clock.at) == run


def test_the_run_of_a_task_is_found_among_thousands(world, runs):
    wanted = begun(runs, task="mine")
    for _ in range(1200):
        world.clock.move(1)
        begun(runs)
    assert runs.of_task("a.ipynb", "mine", since=NOON) == wanted
    assert runs.of_task("a.ipynb", "other", since=NOON) is None


# its end


def test_a_run_ends_once(runs, world):
    run = begun(runs)
    first = runs.finish(run, error=LOST, notebook=None)
    before = list(world.blobs.ids())
    with pytest.raises(NotFound, match=f"run {KEY} of job 'a.ipynb' was removed while it ran"):
        runs.finish(run, error=None, notebook=b"late")
    assert runs.find(run.result_name) == first
    assert list(world.blobs.ids()) == before == []


def test_of_two_who_end_it_one_does(world, runs):
    run = begun(runs)
    world.records = Meddled(
        world.records, "write", "job-run/", lambda: runs.finish(run, error=LOST, notebook=None)
    )
    with pytest.raises(NotFound):
        world.job_runs().finish(run, error=None, notebook=b"late")
    assert runs.find(run.result_name).status == ERROR and list(world.blobs.ids()) == []


def test_a_notebook_that_cannot_be_stored_ends_nothing(world, runs):
    def full() -> None:
        raise StoreFull("no room")

    run = begun(runs)
    world.blobs = Meddled(world.blobs, "write", "", full)
    with pytest.raises(StoreFull):
        world.job_runs().finish(run, error=None, notebook=b"{}")
    assert runs.find(run.result_name) == run


def test_a_run_that_came_to_nothing_is_forgotten(world, runs):
    run = begun(runs)
    runs.give_up(run)
    runs.give_up(run)
    assert runs.of("a.ipynb") == ([], 0)
    done = ended(runs)
    runs.give_up(run)
    assert runs.of("a.ipynb") == ([done], 1)


# removing and damage


def test_a_run_is_removed_with_its_notebook(world, runs):
    keep, drop = ended(runs), ended(runs)
    runs.drop(drop)
    runs.drop(drop)
    assert runs.of("a.ipynb") == ([keep], 1)
    assert len(list(world.blobs.ids())) == 1 and runs.notebook(keep) == b"{}"


def test_a_task_that_goes_on_is_not_removed(runs):
    run = begun(runs, task="a task")
    with pytest.raises(BadInput, match="goes on: cancel its task first"):
        runs.drop(run)
    assert runs.find(run.result_name) == run


def test_a_run_that_is_no_task_can_always_be_removed(world, runs):
    """There is nothing to cancel, and its process may be gone."""
    run = begun(runs)
    runs.drop(run)
    assert runs.of("a.ipynb") == ([], 0)
    with pytest.raises(NotFound, match="was removed while it ran"):
        runs.finish(run, error=None, notebook=b"{}")
    assert list(world.blobs.ids()) == []


def test_a_damaged_notebook_is_named(world, runs):
    done = ended(runs)
    for id in list(world.blobs.ids()):
        world.blobs.remove(id)
    with pytest.raises(Corrupt, match=f"the notebook 'results/a_{KEY}.ipynb' is damaged"):
        runs.notebook(done)
