"""Calling tasks off."""

import pytest

from omega.domain.errors import Conflict, NotFound
from omega.domain.tasks import FAILURE, RETRY, REVOKED, STARTED, SUCCESS, Failure
from omega.ports.records import StoreUnavailable
from tests.unit.domain.tasks.hands import (
    LOST,
    Died,
    attempt,
    blobs,
    carry_out,
    claim,
    finish,
    is_commit,
    is_end,
    is_true,
    keys,
    lapse,
    look_after,
    nth,
    raw,
    state,
    submit_fit,
)


@pytest.fixture
def task(world):
    return submit_fit(world)


def test_a_task_that_waits_ends_at_once(world, task):
    world.clock.move(5)
    revoked = world.tasks().cancel(task.id)
    assert revoked == state(world, task)
    assert (revoked.status, revoked.cancelled, revoked.ended) == (REVOKED, True, world.clock.now())
    assert revoked.started is None and revoked.failure is None
    assert claim(world, task, "one") is None
    is_true(world, task)


def test_a_task_that_is_carried_out_is_asked_to_end(world, task):
    taken = claim(world, task, "one")
    asked = world.tasks().cancel(task.id)
    assert (asked.status, asked.cancelled, asked.lease) == (STARTED, True, taken.lease)
    # Once more does no harm.
    assert world.tasks().cancel(task.id) == asked
    assert world.endings().settle(taken, "one", None).status == REVOKED
    is_true(world, task)


@pytest.mark.parametrize("made", [True, False])
def test_a_task_that_waits_to_be_tried_again_ends_as_what_is_true(world, task, made):
    taken = claim(world, task, "one")
    if made:
        attempt(world, taken, "one")
    lapse(world)
    assert world.tasks().get(task.id).status == RETRY
    ended = world.tasks().cancel(task.id)
    assert ended.status == (SUCCESS if made else REVOKED)
    assert ended == state(world, task)
    is_true(world, task)


@pytest.mark.parametrize("made", [True, False])
def test_a_task_whose_worker_is_lost_ends_as_what_is_true(world, task, made):
    taken = claim(world, task, "one")
    if made:
        attempt(world, taken, "one")
    lapse(world)
    assert world.tasks().cancel(task.id).status == (SUCCESS if made else REVOKED)
    is_true(world, task)


@pytest.mark.parametrize("made", [True, False])
def test_a_task_whose_worker_is_lost_after_it_was_cancelled_is_not_tried_again(world, steps, task, made):
    taken = claim(world, task, "one")
    working = steps.actor(lambda: attempt(world, taken, "one")).to(is_commit)
    world.tasks().cancel(task.id)
    working.kill(after=made)
    lapse(world)
    assert world.tasks().get(task.id).status == (SUCCESS if made else REVOKED)
    is_true(world, task)


@pytest.mark.parametrize("end", [SUCCESS, FAILURE, REVOKED])
def test_a_task_that_has_ended_cannot_be_cancelled(world, task, end):
    if end == REVOKED:
        world.tasks().cancel(task.id)
    elif end == FAILURE:
        world.endings().fail(claim(world, task, "one"), "one", LOST)
    else:
        carry_out(world, task, "one")
    before = raw(world, task)
    with pytest.raises(Conflict, match=f"has ended already, with status {end}"):
        world.tasks().cancel(task.id)
    assert raw(world, task) == before


def test_a_task_that_is_not_there_cannot_be_cancelled(world, task):
    world.tasks().cancel(task.id)
    world.clock.move(world.policy.retention_s + 1)
    world.leases().expire()
    with pytest.raises(NotFound):
        world.tasks().cancel(task.id)


def test_a_task_that_is_begun_while_it_is_cancelled_is_asked_to_end(world, steps, task):
    cancelling = steps.actor(lambda: world.tasks().cancel(task.id)).to(is_end)
    claim(world, task, "one")
    asked = cancelling.end()
    assert (asked.status, asked.cancelled) == (STARTED, True)


def test_a_task_that_is_cancelled_while_it_is_begun_is_not_begun(world, steps, task):
    claiming = steps.actor(lambda: claim(world, task, "one")).to(is_end)
    assert world.tasks().cancel(task.id).status == REVOKED
    assert claiming.end() is None
    assert state(world, task).status == REVOKED


def test_a_task_that_is_begun_again_while_it_is_cancelled_is_asked_to_end(world, steps, task):
    claim(world, task, "one")
    lapse(world)
    world.tasks().get(task.id)
    cancelling = steps.actor(lambda: world.tasks().cancel(task.id)).to(is_end)
    claim(world, task, "two")
    asked = cancelling.end()
    assert (asked.status, asked.cancelled) == (STARTED, True)


def test_a_task_that_ends_while_it_is_cancelled_has_ended(world, steps, task):
    taken = claim(world, task, "one")
    cancelling = steps.actor(lambda: world.tasks().cancel(task.id)).to(is_end)
    finish(world, taken, "one", attempt(world, taken, "one"))
    with pytest.raises(Conflict, match="SUCCESS"):
        cancelling.end()


def test_a_task_that_waits_again_while_it_is_cancelled_ends(world, steps, task):
    taken = claim(world, task, "one")
    cancelling = steps.actor(lambda: world.tasks().cancel(task.id)).to(is_end)
    world.leases().give_back(taken, holder="one", counts=True)
    assert cancelling.end().status == REVOKED


def test_a_task_that_is_given_back_after_it_was_cancelled_ends_when_it_is_taken(world, task):
    taken = claim(world, task, "one")
    world.tasks().cancel(task.id)
    world.leases().give_back(taken, holder="one", counts=False)
    assert claim(world, task, "two") is None
    assert state(world, task).status == REVOKED


def test_a_task_that_lapses_while_it_is_cancelled_ends(world, steps, task):
    claim(world, task, "one")
    cancelling = steps.actor(lambda: world.tasks().cancel(task.id)).to(is_end)
    lapse(world)
    assert cancelling.end().status == REVOKED


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("change", range(8))
@pytest.mark.parametrize("begun", ["PENDING", "STARTED", "RETRY", "committed"])
def test_who_cancels_dies_at_any_moment(world, steps, task, change, after, begun):
    """The task ends, as what is true, whatever was written of the cancellation."""
    if begun != "PENDING":
        taken = claim(world, task, "one")
        if begun == "committed":
            attempt(world, taken, "one")
    if begun in ("RETRY", "committed"):
        lapse(world)
        world.tasks().get(task.id)
    steps.trouble(nth(change), Died(), after=after)
    try:
        world.tasks().cancel(task.id)
    except Died:
        pass
    finally:
        steps.no_trouble()
    look_after(world)
    assert state(world, task).is_final
    is_true(world, task)
    assert keys(world, "task-open") == []
    assert len(keys(world, "task-ended")) == 1


def test_one_who_cancels_dies_after_it_asked_a_task_that_waits_to_be_tried_again(world, steps, task):
    claim(world, task, "one")
    lapse(world)
    world.tasks().get(task.id)
    steps.actor(lambda: world.tasks().cancel(task.id)).to(is_end).kill(after=True)
    assert (state(world, task).status, state(world, task).cancelled) == (RETRY, True)
    assert claim(world, task, "two") is None
    assert state(world, task).status == REVOKED


@pytest.mark.parametrize("made", [True, False])
def test_a_timeout_ends_a_task_as_what_is_true(world, steps, task, made):
    taken = claim(world, task, "one")
    working = steps.actor(lambda: attempt(world, taken, "one")).to(is_commit)
    working.kill(after=made)
    ended = world.endings().settle(taken, "one", Failure("TimedOut", "it took longer than 1 s"))
    assert ended.status == (SUCCESS if made else FAILURE)
    assert ended.failure == (None if made else Failure("TimedOut", "it took longer than 1 s"))
    is_true(world, task)


def test_the_end_stands_although_the_store_is_away_afterwards(world, steps, task):
    before = blobs(world)
    steps.trouble(lambda step: step.key.startswith("task-ended"), StoreUnavailable("away"))
    assert world.tasks().cancel(task.id).status == REVOKED
    assert len(keys(world, "task-open")) == 1
    look_after(world)
    assert keys(world, "task-open") == []
    world.clock.move(world.policy.retention_s + 1)
    assert world.leases().expire() == 1
    assert keys(world) == [] and len(before - blobs(world)) == 2
