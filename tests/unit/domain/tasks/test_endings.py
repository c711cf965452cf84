"""How tasks end, and what becomes of that when somebody dies or the store is away."""

import pytest
from attrs import evolve

from omega.domain import errors
from omega.domain.errors import BadInput, Cancelled, Corrupt, NotFound, TaskFailed, TimedOut
from omega.domain.tasks import FAILURE, REVOKED, STARTED, SUCCESS, Failure
from omega.ports.records import StoreFull, StoreUnavailable
from tests.unit.domain.tasks.hands import (
    LOST,
    Died,
    attempt,
    blobs,
    carry_out,
    claim,
    finish,
    is_end,
    is_true,
    keys,
    lapse,
    look_after,
    nth,
    state,
    submit_fit,
    versions_by,
)


@pytest.fixture
def task(world):
    return submit_fit(world)


@pytest.fixture
def asked(world):
    """A task that makes nothing but its answer."""
    return world.tasks().submit("model", "m", "predict")


def test_a_success_has_an_answer_that_can_be_read_again_and_again(world, asked):
    taken = claim(world, asked, "one")
    world.clock.move(2)
    answer = world.payloads().write([b"[1,", b"2]"])
    ended = world.endings().succeed(taken, "one", answer)
    assert ended == state(world, asked)
    assert (ended.status, ended.result, ended.lease) == (SUCCESS, answer, None)
    assert ended.ended == world.clock.now() and ended.ended > ended.started
    for _ in range(2):
        assert world.tasks().answer(ended) == b"[1,2]"


def test_an_answer_that_was_changed_is_not_given(world, asked):
    ended = world.endings().succeed(claim(world, asked, "one"), "one", world.payloads().write([b"[1]"]))
    world.blobs.remove(ended.result.id)
    with pytest.raises(Corrupt, match=f"the result of task {asked.id} is damaged"):
        world.tasks().answer(ended)
    world.blobs.write(ended.result.id, chunks=[b"[2]"])
    with pytest.raises(Corrupt):
        world.tasks().answer(ended)


def test_a_failure_says_why(world, asked):
    ended = world.endings().fail(
        claim(world, asked, "one"), "one", Failure("BadInput", "no such column: 'z'")
    )
    assert (ended.status, ended.lease, ended.result) == (FAILURE, None, None)
    assert state(world, asked).failure == Failure("BadInput", "no such column: 'z'")


def test_a_failure_may_have_an_answer(world, task):
    """The attempt came to its end, and says how: nothing else is looked for."""
    taken, said = claim(world, task, "one"), world.payloads().write([b"[1]"])
    ended = world.endings().fail(taken, "one", LOST, said)
    assert (ended.status, ended.failure, ended.result) == (FAILURE, LOST, said)
    assert world.tasks().answer(ended) == b"[1]"
    assert world.endings().fail(taken, "one", LOST, said) == ended
    assert world.tasks().answer(ended) == b"[1]"
    world.clock.move(world.policy.retention_s + 1)
    world.leases().expire()
    assert len(blobs(world)) == 1


@pytest.mark.parametrize("status", [SUCCESS, FAILURE, REVOKED])
def test_a_task_that_has_ended_is_in_the_other_index(world, asked, status):
    assert keys(world, "task-open") == [f"task-open/{asked.id}"]
    endings, taken = world.endings(), claim(world, asked, "one")
    if status == SUCCESS:
        endings.succeed(taken, "one", world.payloads().write([b"1"]))
    else:
        endings.settle(taken, "one", LOST if status == FAILURE else None)
    at = world.clock.now().isoformat(timespec="microseconds")
    assert keys(world, "task-") == [f"task-ended/{at}/store/{asked.id}"]


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("change", range(6))
def test_who_ends_a_task_dies_at_any_moment(world, steps, task, change, after):
    """The end is written or it is not; what is left is made up for, and nothing is left in the end."""
    before = blobs(world)
    taken = claim(world, task, "one")
    result = attempt(world, taken, "one")
    steps.trouble(nth(change), Died(), after=after)
    try:
        finish(world, taken, "one", result)
    except Died:
        pass
    finally:
        steps.no_trouble()
    look_after(world)
    assert state(world, task).status == SUCCESS
    is_true(world, task)
    assert len(keys(world, "task-open")) == 0 and len(keys(world, "task-ended")) == 1
    world.clock.move(world.policy.retention_s + 1)
    assert world.leases().expire() == 1
    assert keys(world) == []
    # The model that was made stays; the answer of an attempt that was cut off is left for `om doctor`.
    left = blobs(world) - before
    assert len(left) == 2 - ((change, after) >= (0, True))


@pytest.mark.parametrize("change", [1, 2, 3, 4])
def test_the_end_stands_although_the_store_is_away_afterwards(world, steps, task, change):
    taken = claim(world, task, "one")
    result = attempt(world, taken, "one")
    steps.trouble(nth(change), StoreUnavailable("away"))
    assert finish(world, taken, "one", result).status == SUCCESS
    look_after(world)
    world.clock.move(world.policy.retention_s + 1)
    assert world.leases().expire() == 1
    assert keys(world) == []
    assert len(blobs(world)) == len(["the unfitted model", "the fitted one"])


def test_an_end_that_nobody_knows_of_is_written_once(world, steps, asked):
    """The store gave no answer to the write that it made; whoever made it tries again, and must not take the
    answer away.
    """
    taken, answer = claim(world, asked, "one"), world.payloads().write([b"[1]"])
    steps.trouble(is_end, StoreUnavailable("who knows"), after=True)
    with pytest.raises(StoreUnavailable):
        world.endings().succeed(taken, "one", answer)
    ended = world.endings().succeed(taken, "one", answer)
    assert ended.status == SUCCESS and ended == world.tasks().get(asked.id)
    assert world.tasks().answer(ended) == b"[1]"
    assert keys(world, "task-open") == []


def test_an_end_that_was_not_written_can_be_tried_again(world, steps, asked):
    taken, answer = claim(world, asked, "one"), world.payloads().write([b"[1]"])
    steps.trouble(is_end, StoreUnavailable("away"))
    with pytest.raises(StoreUnavailable):
        world.endings().succeed(taken, "one", answer)
    assert world.endings().succeed(taken, "one", answer).status == SUCCESS


def test_a_success_ends_a_task_that_was_cancelled_too_late(world, asked):
    taken = claim(world, asked, "one")
    world.tasks().cancel(asked.id)
    ended = world.endings().succeed(taken, "one", world.payloads().write([b"1"]))
    assert (ended.status, ended.cancelled) == (SUCCESS, True)


def test_a_failure_that_is_a_cancellation_revokes(world, asked):
    taken = claim(world, asked, "one")
    world.tasks().cancel(asked.id)
    ended = world.endings().fail(taken, "one", Failure.of(Cancelled("it was cancelled")))
    assert (ended.status, ended.failure) == (REVOKED, None)


def test_a_failure_of_its_own_is_one_although_it_was_cancelled(world, asked):
    taken = claim(world, asked, "one")
    world.tasks().cancel(asked.id)
    assert world.endings().fail(taken, "one", Failure("BadInput", "no")).status == FAILURE


def test_a_task_that_makes_nothing_is_settled_as_what_it_failed_with(world, asked):
    claim(world, asked, "one")
    for _ in range(world.policy.attempts - 1):
        lapse(world)
        world.tasks().get(asked.id)
        claim(world, asked, "one")
    lapse(world)
    assert world.tasks().get(asked.id).failure.name == "TaskFailed"


def test_a_damaged_model_ends_its_tasks(world, task):
    """Whether there is an outcome cannot be told: the task ends, and says so."""
    taken = claim(world, task, "one")
    attempt(world, taken, "one")
    for key in keys(world, "version/"):
        world.records.remove(key, expected=world.records.read(key).revision)
    world.tasks().cancel(task.id)
    lapse(world)
    ended = world.tasks().get(task.id)
    assert ended.status == FAILURE and ended.failure.name == "Corrupt"


def test_a_failure_keeps_its_reason_although_the_model_is_damaged(world, task):
    taken = claim(world, task, "one")
    for key in keys(world, "version/"):
        world.records.remove(key, expected=world.records.read(key).revision)
    assert world.endings().fail(taken, "one", LOST).failure == LOST


def test_a_lost_task_with_no_room_for_its_answer_is_settled_when_there_is_room(world, steps):
    task = submit_fit(world, attempts=1)
    attempt(world, claim(world, task, "one"), "one")
    lapse(world)
    steps.trouble(lambda step: step.method == "write" and "/" not in step.key, StoreFull("no room"))
    with pytest.raises(StoreFull):
        world.tasks().get(task.id)
    assert state(world, task).status == STARTED
    lapse(world)
    assert world.tasks().get(task.id).status == SUCCESS
    is_true(world, task)


# failures as values


def test_known_errors_come_back_as_they_were():
    for kind in (BadInput, NotFound, Corrupt, TimedOut, TaskFailed, StoreFull, StoreUnavailable):
        failure = Failure.of(kind("why"))
        assert failure == Failure(kind.__name__, "why")
        error = failure.error()
        assert type(error) is kind and str(error) == "why"


def test_all_errors_of_the_domain_come_back():
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.OmegaError):
            assert type(Failure.of(kind("why")).error()) is kind


def test_an_error_of_an_unknown_kind_comes_back_as_the_next_known_one():
    class Special(NotFound):
        pass

    assert Failure.of(Special("x")) == Failure("NotFound", "x")
    assert Failure.of(RuntimeError("x")) == Failure("TaskFailed", "x")
    assert type(Failure("Gone", "x").error()) is TaskFailed


def test_the_words_of_a_failure_can_be_kept(world, asked):
    failure = Failure.of(BadInput("\ud800 " + "x" * 5000))
    assert failure.message.startswith("? x") and len(failure.message) == 2000
    world.endings().fail(claim(world, asked, "one"), "one", failure)
    assert state(world, asked).failure == failure


def test_a_stale_copy_of_a_task_ends_it_as_it_is_now(world, asked):
    """What others have written since it was taken is not lost."""
    taken = claim(world, asked, "one")
    world.tasks().cancel(asked.id)
    ended = world.endings().fail(evolve(taken, cancelled=False), "one", LOST)
    assert ended.cancelled


def test_a_real_task_is_carried_out_from_its_record_alone(world, task):
    """Nothing but bucket and id is needed."""
    assert carry_out(world, evolve(task, call=None), "one").status == SUCCESS
    assert versions_by(world, task.id) == [2]
