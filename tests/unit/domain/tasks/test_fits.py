"""A fit that is a task makes one version if it succeeds and none if it does not, however often it is tried
and whoever comes too late.
"""

import orjson
import pytest

from omega.domain.contents import encode
from omega.domain.errors import BadInput, Conflict
from omega.domain.metadata import Precondition
from omega.domain.names import Reference
from omega.domain.tasks import FAILURE, REVOKED, STARTED, SUCCESS, Failure, LeaseLost, Task
from omega.entrypoints.work import Again, Attempt, Failed
from omega.ports.records import StoreFull, StoreUnavailable
from tests.support.services import Still, World
from tests.unit.domain.tasks.hands import (
    LINEAR,
    LOST,
    Actor,
    X,
    Y,
    attempt,
    blobs,
    carry_out,
    claim,
    finish,
    is_change,
    is_commit,
    is_true,
    lapse,
    look_after,
    nth,
    state,
    submit_fit,
    versions_by,
)

ACTIONS = pytest.mark.parametrize("action", ["fit", "partial_fit"])


@pytest.fixture
def trying(world, steps):
    """Claims a task, and gives somebody who carries it out."""

    def trying(task: Task, holder: str) -> Actor:
        claimed = claim(world, task, holder)
        assert claimed is not None

        def work() -> Task | None:
            try:
                return finish(world, claimed, holder, attempt(world, claimed, holder))
            except LeaseLost:
                return None

        return steps.actor(work)

    return trying


def take_away(world: World, task: Task) -> None:
    """Let the lease lapse, so that the task waits to be tried again."""
    lapse(world)
    assert world.tasks().get(task.id).status == "RETRY"


def test_a_fit_makes_one_version_of_a_real_model():
    world = World(clock=Still())
    world.models().create("m", LINEAR)
    task = submit_fit(world)
    ended = carry_out(world, task, "one")
    assert ended is not None and ended.status == SUCCESS
    answer = orjson.loads(world.tasks().answer(ended))
    assert answer == {
        "model": "m",
        "datax": None,
        "datay": None,
        "result": "ok",
        "resource_uri": "/api/v1/model/m/",
        "version": 2,
    }
    assert versions_by(world, task.id) == [2]
    assert world.models().ask(Reference("m"), [[5.0]]).result.round(6).tolist() == [10]


def test_a_second_attempt_finds_what_the_first_has_made(world, trying):
    task = submit_fit(world)
    trying(task, "first").to(is_commit).steps(1)
    take_away(world, task)
    ended = carry_out(world, task, "second")
    assert ended.status == SUCCESS and ended.attempts == 2
    assert versions_by(world, task.id) == [2]


@ACTIONS
def test_a_late_worker_that_would_commit_last_makes_nothing(world, trying, action):
    task = submit_fit(world, action=action)
    late = trying(task, "late").to(is_commit)
    take_away(world, task)
    assert carry_out(world, task, "newer").status == SUCCESS
    before = blobs(world)
    assert late.end() is None
    assert versions_by(world, task.id) == [2]
    is_true(world, task)
    assert len(blobs(world)) == len(before) - 1


@ACTIONS
def test_a_late_worker_that_commits_first_makes_the_version(world, trying, action):
    task = submit_fit(world, action=action)
    late = trying(task, "late").to(is_commit)
    take_away(world, task)
    newer = trying(task, "newer").to(is_commit)
    assert late.end() is None
    assert newer.end().status == SUCCESS
    assert versions_by(world, task.id) == [2]
    is_true(world, task)


@ACTIONS
@pytest.mark.parametrize("step", range(14))
def test_a_late_worker_commits_at_any_moment_of_a_newer_one(world, trying, action, step):
    task = submit_fit(world, action=action)
    late = trying(task, "late").to(is_commit)
    take_away(world, task)
    newer = trying(task, "newer")
    newer.steps(step + 1)
    assert late.end() is None
    assert newer.end().status == SUCCESS
    is_true(world, task)


def test_a_late_worker_that_begins_to_commit_after_its_lease_lapsed_makes_nothing(world, trying):
    """It has not lost its task to anybody yet, but somebody may be about to take it."""
    task = submit_fit(world)
    late = trying(task, "late").to(lambda step: step.key.startswith("object/"))
    lapse(world)
    assert late.end() is None
    assert state(world, task).status == STARTED
    assert versions_by(world, task.id) == []
    look_after(world)
    assert state(world, task).status == SUCCESS
    is_true(world, task)


@pytest.mark.parametrize("failure", [None, LOST])
@ACTIONS
def test_a_late_worker_cannot_commit_once_its_task_is_settled(world, trying, action, failure):
    task = submit_fit(world, action=action, attempts=1)
    late = trying(task, "late").to(is_commit)
    lapse(world)
    if failure is None:
        assert world.tasks().cancel(task.id).status == REVOKED
    else:
        assert world.tasks().get(task.id).status == FAILURE
    before = blobs(world)
    assert late.end() is None
    assert versions_by(world, task.id) == []
    is_true(world, task)
    assert len(blobs(world)) == len(before) - 1


@ACTIONS
def test_a_task_is_settled_as_the_success_that_it_was(world, trying, action):
    task = submit_fit(world, action=action, attempts=1)
    trying(task, "late").to(is_commit).steps(1)
    lapse(world)
    assert world.tasks().get(task.id).status == SUCCESS
    is_true(world, task)


@pytest.mark.parametrize("step", range(12))
def test_a_late_worker_commits_at_any_moment_of_a_settlement(world, steps, trying, step):
    """It is a success, with the version, or a failure without."""
    task = submit_fit(world, attempts=1)
    late = trying(task, "late").to(is_commit)
    lapse(world)
    settling = steps.actor(lambda: world.tasks().get(task.id))
    settling.steps(step + 1)
    late.end()
    settling.end()
    is_true(world, task)


@pytest.mark.parametrize("committed", [True, False])
def test_a_late_worker_whose_task_failed_at_a_later_attempt(world, steps, trying, committed):
    """The later attempt fails, because its dataset is gone, while the late worker is about to commit, or has
    committed: this end must be the truth too.
    """
    world.datasets().put("d", encode([[1.0]]))
    task = submit_fit(world, x="d", y=None)
    late = trying(task, "late").to(is_commit)
    take_away(world, task)
    newer = trying(task, "newer")
    newer.to(lambda step: step.key.startswith("object/store/dataset"))
    world.datasets().drop("d")
    if committed:
        late.end()
        ended = newer.end()
        assert ended.status == SUCCESS
    else:
        ended = newer.end()
        assert ended.status == FAILURE
        assert ended.failure.name == "NotFound"
        late.end()
    is_true(world, task)


def test_a_fit_whose_answer_finds_no_room_has_succeeded_all_the_same(world, steps, trying):
    """There is room again by the time that the task is ended."""
    task = submit_fit(world, attempts=1)
    working = trying(task, "one").to(is_commit).to(is_change)
    working.fail(StoreFull("no room"))
    assert working.end().status == SUCCESS
    is_true(world, task)


@pytest.mark.parametrize("after", [True, False])
def test_a_fit_whose_commit_nobody_knows_of(world, trying, after):
    """The store gave no answer to the write, which it has made (`after`) or not."""
    task = submit_fit(world, attempts=1)
    working = trying(task, "one").to(is_commit)
    working.fail(StoreUnavailable("who knows"), after=after)
    assert working.end().status == (SUCCESS if after else FAILURE)
    is_true(world, task)


def test_a_fit_that_is_cancelled_before_it_commits_is_revoked(world, trying):
    """Its worker sees that at the last moment, before those who look after it do."""
    task = submit_fit(world)
    working = trying(task, "one").to(is_change)
    assert world.tasks().cancel(task.id).status == STARTED
    assert working.end().status == REVOKED
    is_true(world, task)


def test_a_fit_that_is_cancelled_after_it_committed_is_a_success(world, trying):
    task = submit_fit(world)
    working = trying(task, "one").to(is_commit).steps(1)
    assert world.tasks().cancel(task.id).cancelled
    assert working.end().status == SUCCESS
    is_true(world, task)


def test_a_second_attempt_is_not_refused_for_what_the_first_has_made(world):
    """The model is not at the version any more that the fit was to begin from, and the data is gone."""
    run, only = Attempt("a call", world.clock.now(), lambda: None, lambda _: None), frozenset({1})
    made = world.models().fit("m", X, Y, precondition=Precondition(match=only), run=run)
    assert world.models().fit("m", "gone", precondition=Precondition(match=only), run=run) == made


def test_versions_of_others_do_not_count(world, trying):
    """The version that the attempt has made is not the last one any more."""
    task = submit_fit(world)
    trying(task, "late").to(is_commit).steps(1)
    for _ in range(3):
        world.models().fit("m", X, Y)
    other = submit_fit(world)
    take_away(world, task)
    assert carry_out(world, task, "second").status == SUCCESS
    assert carry_out(world, other, "other").status == SUCCESS
    assert versions_by(world, task.id) == [2]
    assert versions_by(world, other.id) == [6]


def test_a_fit_that_loses_a_race_to_others_is_made_once(world, trying):
    task = submit_fit(world)
    working = trying(task, "one").to(is_commit)
    world.models().fit("m", X, Y)
    assert working.end().status == SUCCESS
    assert versions_by(world, task.id) == [3]


def test_the_fence_is_no_version(world):
    before = world.models().metadata(Reference("m"))
    world.catalogue("model").fence("m")
    assert world.models().metadata(Reference("m")) == before
    world.catalogue("model").fence("none")


def test_the_fence_is_set_whoever_swings_the_name_meanwhile(world, steps):
    fencing = steps.actor(lambda: world.catalogue("model").fence("m")).to(is_commit)
    world.models().fit("m", X, Y)
    fencing.end()
    assert world.models().metadata(Reference("m")).version == 2
    fencing = steps.actor(lambda: world.catalogue("model").fence("m")).to(is_commit)
    world.models().drop("m")
    fencing.end()
    assert world.catalogue("model").peek("m") is None


@pytest.mark.parametrize("cancelled", [True, False])
@pytest.mark.parametrize("step", range(12))
def test_a_model_that_is_dropped_while_its_task_is_settled(world, steps, trying, step, cancelled):
    """Whether there was a version does not matter: there is none now, and the task has ended."""
    task = submit_fit(world, attempts=1)
    trying(task, "late").to(is_commit).steps(1)
    lapse(world)
    tasks = world.tasks()
    settling = steps.actor(lambda: (tasks.cancel if cancelled else tasks.get)(task.id))
    settling.steps(step + 1)
    world.models().drop("m")
    assert settling.end().status in (SUCCESS, REVOKED if cancelled else FAILURE)


def test_a_model_that_is_dropped_before_its_task_is_settled(world, trying):
    task = submit_fit(world, attempts=1)
    late = trying(task, "late").to(is_commit)
    lapse(world)
    world.models().drop("m")
    assert world.tasks().get(task.id).status == FAILURE
    world.models().create("m", LINEAR)
    assert late.end() is None
    is_true(world, task)
    assert world.models().metadata(Reference("m")).version == 1


@pytest.mark.parametrize("settle", [True, False])
@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("change", range(5))
def test_a_worker_dies_at_any_moment_of_a_fit(world, trying, change, after, settle):
    task = submit_fit(world, attempts=1 if settle else 3)
    trying(task, "one").to(nth(change)).kill(after=after)
    look_after(world)
    # The third change is the commit.
    committed = (change, after) >= (2, True)
    assert state(world, task).status == (SUCCESS if committed or not settle else FAILURE)
    is_true(world, task)


def test_what_a_fit_fails_with_is_its_end(world, trying):
    task = submit_fit(world, name="none")
    result = attempt(world, claim(world, task, "one"), "one")
    assert result == Failed(Failure("NotFound", "there is no model 'none' in bucket 'store'"))


def test_a_store_that_is_away_is_a_reason_to_try_again(world, steps):
    task = claim(world, submit_fit(world), "one")
    steps.trouble(is_change, StoreUnavailable("busy"))
    assert attempt(world, task, "one") == Again(Failure("StoreUnavailable", "busy"))


def test_the_same_attempt_may_ask_for_its_outcome_again(world):
    task = claim(world, submit_fit(world), "one")
    first, second = attempt(world, task, "one"), attempt(world, task, "one")
    assert versions_by(world, task.id) == [2]
    assert first != second


def test_a_fit_in_its_callers_own_process_is_made_each_time(world):
    assert [world.models().fit("m", X, Y).version for _ in range(3)] == [2, 3, 4]


@pytest.mark.parametrize("error", [BadInput, Conflict])
def test_a_model_replaced_meanwhile_fails_the_fit(world, trying, error):
    task = submit_fit(world)
    working = trying(task, "one").to(is_commit)
    if error is Conflict:
        world.models().create("m", [["Other", {}]], replace=True)
        assert working.end().failure.name == "Conflict"
    else:
        assert working.end().status == SUCCESS
