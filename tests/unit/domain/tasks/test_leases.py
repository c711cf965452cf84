"""Taking tasks, keeping them, losing them."""

from datetime import timedelta

import pytest

from omega.domain.errors import Cancelled
from omega.domain.tasks import (
    FAILURE,
    PENDING,
    RETRY,
    REVOKED,
    STARTED,
    SUCCESS,
    Failure,
    LeaseLost,
    Policy,
    Progress,
)
from omega.ports.queue import QueueUnavailable
from tests.unit.domain.tasks.hands import (
    LOST,
    attempt,
    blobs,
    carry_out,
    claim,
    finish,
    is_end,
    keys,
    lapse,
    raw,
    state,
    submit_fit,
)


@pytest.fixture
def task(world):
    return submit_fit(world)


def test_a_worker_takes_a_task_for_the_length_of_a_lease(world, task):
    world.clock.move(3)
    taken = claim(world, task, "one")
    assert taken == state(world, task)
    assert (taken.status, taken.attempts, taken.started) == (STARTED, 1, world.clock.now())
    assert taken.lease.holder == "one"
    assert taken.lease.until == world.clock.now() + timedelta(seconds=10)


def test_a_task_is_given_to_one_worker(world, task):
    assert claim(world, task, "one") is not None
    before = raw(world, task)
    assert claim(world, task, "two") is None
    assert raw(world, task) == before


def test_of_two_workers_at_once_one_is_given_the_task(world, steps, task):
    one = steps.actor(lambda: claim(world, task, "one")).to(is_end)
    assert claim(world, task, "two").lease.holder == "two"
    assert one.end() is None
    assert state(world, task).lease.holder == "two" and state(world, task).attempts == 1


def test_a_task_that_has_ended_is_given_to_nobody(world, task):
    carry_out(world, task, "one")
    before = raw(world, task)
    assert claim(world, task, "two") is None
    assert raw(world, task) == before


def test_a_lease_is_renewed_again_and_again(world, task):
    taken = claim(world, task, "one")
    for n in range(5):
        world.clock.move(9)
        taken = world.leases().renew(
            taken, holder="one", progress=Progress(n, 5, "fitting") if n < 4 else None
        )
        assert world.tasks().get(task.id) == taken
        assert taken.status == STARTED and taken.attempts == 1
    # What it said last is kept.
    assert taken.progress == Progress(3, 5, "fitting")


def test_a_lease_lasts_exactly_as_long_as_it_says(world, task):
    claim(world, task, "one")
    world.clock.move(10)
    assert world.tasks().get(task.id).status == STARTED
    world.clock.move(0.000001)
    assert world.tasks().get(task.id).status == RETRY


def test_a_renewal_tells_of_a_cancellation(world, task):
    taken = claim(world, task, "one")
    assert not world.leases().renew(taken, holder="one").cancelled
    world.tasks().cancel(task.id)
    assert world.leases().renew(taken, holder="one").cancelled


def test_what_has_lapsed_is_tried_again(world, task):
    world.clock.move(1)
    taken = claim(world, task, "one")
    world.leases().renew(taken, holder="one", progress=Progress(1, 2, "x"))
    world.queue.consume(timeout_s=0)
    lapse(world)
    again = world.tasks().get(task.id)
    assert (again.status, again.attempts, again.lease, again.progress) == (RETRY, 1, None, None)
    assert world.queue.consume(timeout_s=0) == {"bucket": "store", "id": task.id}
    second = claim(world, task, "two")
    assert (second.status, second.attempts, second.started) == (STARTED, 2, taken.started)


def test_what_has_lapsed_is_tried_again_although_the_queue_is_down(world, task, monkeypatch):
    claim(world, task, "one")

    def down(message):
        raise QueueUnavailable("it is away")

    monkeypatch.setattr(world.queue, "submit", down)
    lapse(world)
    assert world.tasks().get(task.id).status == RETRY
    assert [found.id for found in world.work().sweep.waiting()] == [task.id]


def test_what_has_lapsed_is_tried_only_so_often(world):
    task = submit_fit(world, attempts=2)
    for holder in ("one", "two"):
        assert claim(world, task, holder) is not None
        lapse(world)
        ended = world.tasks().get(task.id)
    assert ended.status == FAILURE and ended.attempts == 2 and ended.lease is None
    assert ended.failure == Failure(
        "TaskFailed", "the worker was lost, and the task was not tried again after attempt 2 of 2"
    )
    assert ended.ended == world.clock.now()
    assert claim(world, task, "three") is None


def test_a_task_that_waits_with_no_attempts_left_ends_when_it_is_taken(world):
    task = submit_fit(world, attempts=1)
    taken = claim(world, task, "one")
    world.leases().give_back(taken, holder="one", counts=True)
    assert state(world, task).status == RETRY
    assert claim(world, task, "two") is None
    assert state(world, task).status == FAILURE


def test_a_task_that_has_not_lapsed_is_left_alone(world, task):
    taken = claim(world, task, "one")
    stale = state(world, task)
    assert world.leases().lapse(stale) is None
    assert state(world, task) == taken


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_task_that_is_renewed_at_the_last_moment_is_left_alone(world, steps, attempts):
    """Whoever finds that it has lapsed is slower than the worker that takes it up again."""
    task = submit_fit(world, attempts=attempts)
    taken = claim(world, task, "one")
    lapse(world)
    finding = steps.actor(lambda: world.tasks().get(task.id)).to(is_end)
    renewed = world.leases().renew(taken, holder="one")
    assert finding.end() == renewed


def test_of_many_who_find_that_a_task_has_lapsed_one_takes_care_of_it(world, steps, task):
    claim(world, task, "one")
    lapse(world)
    while world.queue.consume(timeout_s=0):
        pass
    finders = [steps.actor(lambda: world.tasks().get(task.id)).to(is_end) for _ in range(3)]
    assert {finder.end().status for finder in finders} == {RETRY}
    assert world.queue.size() == 1


def test_of_many_who_find_that_a_task_is_lost_one_ends_it(world, steps):
    task = submit_fit(world, attempts=1)
    claim(world, task, "one")
    lapse(world)
    finders = [steps.actor(lambda: world.tasks().get(task.id)).to(is_end) for _ in range(3)]
    # One has taken it to end it: the others see that it is being taken care of.
    ends = [finder.end().status for finder in reversed(finders)]
    assert ends == [FAILURE] * 3
    assert len(keys(world, "task-ended")) == 1


def test_who_died_while_it_ended_a_lost_task_is_made_up_for(world, steps):
    task = submit_fit(world, attempts=1)
    claim(world, task, "one")
    lapse(world)
    steps.actor(lambda: world.tasks().get(task.id)).to(is_end).kill(after=True)
    assert state(world, task).status == STARTED
    assert world.tasks().get(task.id).status == STARTED
    lapse(world)
    assert world.tasks().get(task.id).status == FAILURE


def test_a_task_may_be_given_back(world, task):
    taken = claim(world, task, "one")
    while world.queue.consume(timeout_s=0):
        pass
    world.leases().give_back(taken, holder="one", counts=True)
    assert (state(world, task).status, state(world, task).attempts) == (RETRY, 1)
    assert world.queue.consume(timeout_s=0) == {"bucket": "store", "id": task.id}
    taken = claim(world, task, "two")
    assert taken.attempts == 2
    world.leases().give_back(taken, holder="two", counts=False)
    assert (state(world, task).status, state(world, task).attempts) == (RETRY, 1)
    assert carry_out(world, task, "three").attempts == 2


def test_a_task_may_be_given_back_without_end(world):
    """What stops its worker is not its fault."""
    task = submit_fit(world, attempts=1)
    for n in range(5):
        world.leases().give_back(claim(world, task, f"{n}"), holder=f"{n}", counts=False)
    assert carry_out(world, task, "last").status == SUCCESS


def test_a_check_says_whether_the_work_may_go_on(world, task):
    taken = claim(world, task, "one")
    check = world.leases().check
    assert check(taken, holder="one") == taken
    with pytest.raises(LeaseLost):
        check(taken, holder="two")
    world.tasks().cancel(task.id)
    with pytest.raises(Cancelled, match=task.id):
        check(taken, holder="one")
    lapse(world)
    with pytest.raises(LeaseLost):
        check(taken, holder="one")


def make_it_retry(world, task):
    lapse(world)
    assert world.tasks().get(task.id).status == RETRY


def make_it_anothers(world, task):
    make_it_retry(world, task)
    assert claim(world, task, "newer") is not None


def make_it_succeed(world, task):
    make_it_retry(world, task)
    assert carry_out(world, task, "newer").status == SUCCESS


def make_it_fail(world, task):
    claimed = state(world, task)
    world.endings().settle(claimed, "one", Failure("TimedOut", "too long"))


def make_it_revoked(world, task):
    make_it_retry(world, task)
    assert world.tasks().cancel(task.id).status == REVOKED


def make_it_expire(world, task):
    make_it_revoked(world, task)
    world.clock.move(world.policy.retention_s + 1)
    assert world.leases().expire() == 1


def said(world):
    return world.payloads().write([b"late"])


LATE = {
    "renew": lambda world, task: world.leases().renew(task, holder="one"),
    "give back": lambda world, task: world.leases().give_back(task, holder="one", counts=True),
    "hand back": lambda world, task: world.leases().give_back(task, holder="one", counts=False),
    "check": lambda world, task: world.leases().check(task, holder="one"),
    "fail": lambda world, task: world.endings().fail(task, "one", LOST),
    "fail and say": lambda world, task: world.endings().fail(task, "one", LOST, said(world)),
    "settle": lambda world, task: world.endings().settle(task, "one", LOST),
    "settle cancelled": lambda world, task: world.endings().settle(task, "one", None),
    "succeed": lambda world, task: world.endings().succeed(task, "one", said(world)),
}
MEANWHILE = [
    make_it_retry,
    make_it_anothers,
    make_it_succeed,
    make_it_fail,
    make_it_revoked,
    make_it_expire,
]


@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_who_has_lost_the_lease_changes_nothing(world, task, late, meanwhile):
    taken = claim(world, task, "one")
    meanwhile(world, task)
    before = raw(world, task), blobs(world), keys(world), world.queue.size()
    with pytest.raises(LeaseLost) as lost:
        LATE[late](world, taken)
    assert lost.value.args == (task.id,)
    assert (raw(world, task), blobs(world), keys(world), world.queue.size()) == before


@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_who_loses_the_lease_at_the_last_moment_changes_nothing(world, steps, task, late, meanwhile):
    """The lease is lost between the look at the task and the write."""
    taken = claim(world, task, "one")
    acting = steps.actor(lambda: LATE[late](world, taken)).advance(is_end)
    if late == "check":
        assert acting.end() == taken
        return
    meanwhile(world, task)
    before = raw(world, task), keys(world), world.queue.size()
    own = blobs(world)
    with pytest.raises(LeaseLost):
        acting.end()
    assert (raw(world, task), keys(world), world.queue.size()) == before
    assert len(own - blobs(world)) == (late in ("succeed", "fail and say"))


@pytest.mark.parametrize("late", sorted({*LATE} - {"check"}))
def test_who_is_cancelled_at_the_last_moment_still_has_the_lease(world, steps, task, late):
    """The task changes between the look at it and the write: both changes are made."""
    taken = claim(world, task, "one")
    acting = steps.actor(lambda: LATE[late](world, taken)).to(is_end)
    world.tasks().cancel(task.id)
    acting.end()
    now = state(world, task)
    assert now.cancelled
    assert now.status == {"renew": STARTED, "succeed": SUCCESS, "settle cancelled": REVOKED}.get(
        late, RETRY if "back" in late else FAILURE
    )


def test_a_worker_that_is_slow_but_alone_ends_its_task(world, task):
    """Its lease has lapsed, but nobody has noticed."""
    taken = claim(world, task, "one")
    result = attempt(world, taken, "one")
    lapse(world)
    assert finish(world, taken, "one", result).status == SUCCESS


def test_the_length_of_the_lease_is_the_policys(world, task):
    world.policy = Policy(lease_s=100)
    claim(world, task, "one")
    world.clock.move(100)
    assert world.tasks().get(task.id).status == STARTED
    world.clock.move(1)
    assert world.tasks().get(task.id).status == RETRY


def test_a_task_that_waits_does_not_lapse(world, task):
    world.clock.move(10**6)
    assert world.tasks().get(task.id).status == PENDING
