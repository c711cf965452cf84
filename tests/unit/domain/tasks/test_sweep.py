"""Tasks that were lost are found again, also among thousands."""

import pytest
from attrs import evolve

from omega.domain.tasks import FAILURE, PENDING, RETRY, STARTED, SUCCESS, Call, Sweep, Task
from omega.domain.tasks.task import Lease
from omega.ports.records import RecordNotFound, StoreUnavailable
from tests.unit.domain.tasks.hands import (
    attempt,
    carry_out,
    claim,
    is_change,
    keys,
    lapse,
    look_after,
    raw,
    state,
    submit_fit,
)

LOOKED_AT = 200 + 800


def backlog(world, count, *, first=1, **how) -> list[Task]:
    """So many open tasks, the oldest first."""
    return [
        world.task_records().create(
            Task(
                "store",
                f"00000000-0000-7000-8000-{first + n:012x}",
                Call("model", "m", "predict"),
                world.clock.now(),
                60,
                3,
                **how,
            )
        )
        for n in range(count)
    ]


@pytest.fixture
def sweep(world):
    return Sweep(world.leases())


def test_a_task_whose_message_was_lost_is_found(world, sweep):
    task = submit_fit(world)
    while world.queue.consume(timeout_s=0):
        pass
    assert list(sweep.waiting()) == [task]
    assert carry_out(world, task, "one").status == SUCCESS
    assert list(sweep.waiting()) == []


def test_a_task_that_is_carried_out_is_left_alone(world, sweep):
    task = submit_fit(world)
    taken = claim(world, task, "one")
    assert list(sweep.waiting()) == []
    assert state(world, task) == taken


def test_a_task_that_has_lapsed_is_found_and_waits_again(world, sweep):
    task = submit_fit(world)
    claim(world, task, "one")
    lapse(world)
    (found,) = sweep.waiting()
    assert (found.id, found.status) == (task.id, RETRY)
    assert [found.status for found in sweep.waiting()] == [RETRY]


def test_a_task_that_is_lost_for_good_ends(world, sweep):
    task = submit_fit(world, attempts=1)
    claim(world, task, "one")
    lapse(world)
    assert list(sweep.waiting()) == []
    assert state(world, task).status == FAILURE
    assert keys(world, "task-open") == []


def test_tasks_of_all_buckets_are_found_the_oldest_first(world, sweep):
    tasks = [world.tasks(bucket).submit("model", "m", "predict") for bucket in ("b", "a", "c")]
    assert [task.id for task in sweep.waiting()] == [task.id for task in tasks]
    assert [task.bucket for task in sweep.waiting()] == ["b", "a", "c"]


def test_the_end_of_who_died_before_it_told_the_index_is_told(world, sweep):
    task = submit_fit(world)
    taken = claim(world, task, "one")
    attempt(world, taken, "one")
    ended = world.task_records().write(evolve(taken, status=FAILURE, lease=None, ended=world.clock.now()))
    assert len(keys(world, "task-open")) == 1 and keys(world, "task-ended") == []
    assert list(sweep.waiting()) == []
    assert keys(world, "task-open") == [] and len(keys(world, "task-ended")) == 1
    assert state(world, task) == ended


def test_an_entry_without_a_task_is_removed_after_a_while(world, sweep):
    (task,) = backlog(world, 1)
    world.records.remove(f"task/store/{task.id}", expected=task.revision)
    world.clock.move(600)
    for _ in range(3):
        assert list(sweep.waiting()) == []
    assert len(keys(world, "task-open")) == 1
    world.clock.move(1)
    for _ in range(2):
        assert list(sweep.waiting()) == []
    assert keys(world) == []


@pytest.mark.parametrize("dies", [True, False])
@pytest.mark.parametrize("error", [None, StoreUnavailable("who knows")])
@pytest.mark.parametrize("step", range(6))
@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_task_whose_submitter_was_taken_for_dead_is_found(world, steps, before, step, error, dies):
    """It was held up for long before it wrote the task, and goes on at any moment of a later sweep; perhaps
    nobody tells it that the task was written (`error`), and perhaps who sweeps dies then.
    """
    submitting = steps.actor(lambda: world.tasks().submit("model", "m", "predict"))
    submitting.to(lambda step: step.method == "write" and step.key.startswith("task/"))
    world.clock.move(601)
    for _ in range(before):
        assert list(world.work().sweep.waiting()) == []
    sweeping = steps.actor(lambda: list(world.work().sweep.waiting()))
    sweeping.steps(step + 1)
    submitting.fail(error, after=True) if error else submitting.steps(1)
    sweeping.kill(after=True) if dies else sweeping.end()
    submitting.advance()
    assert submitting.error is error
    assert world.tasks().list().total == 1
    for _ in range(3):
        assert list(world.work().sweep.waiting()) == list(world.tasks().list().items)


@pytest.mark.parametrize("step", range(8))
def test_a_submitter_that_was_taken_for_dead_goes_on_while_its_entry_is_removed(world, steps, step):
    """The same, with the sweep at every moment of the submitter."""
    submitting = steps.actor(lambda: world.tasks().submit("model", "m", "predict"))
    submitting.to(lambda step: step.method == "write" and step.key.startswith("task/"))
    world.clock.move(601)
    list(world.work().sweep.waiting())
    sweeping = steps.actor(lambda: list(world.work().sweep.waiting())).to(is_change)
    submitting.steps(step + 1)
    sweeping.end()
    task = submitting.end()
    for _ in range(3):
        assert list(world.work().sweep.waiting()) == [task]


def test_a_task_that_is_written_after_its_entry_was_seen_is_found(world, sweep):
    (task,) = backlog(world, 1)
    value = raw(world, task).value
    world.records.remove(f"task/store/{task.id}", expected=task.revision)
    assert list(sweep.waiting()) == []
    world.records.write(f"task/store/{task.id}", value=value, expected=None)
    assert [task.id for task in sweep.waiting()] == [task.id]


def test_without_tasks_it_costs_one_page(world, steps, sweep):
    assert list(sweep.waiting()) == []
    assert [step.method for step in steps.taken] == ["page"]


def test_a_round_costs_two_pages_and_a_read_for_each_task_it_looks_at(world, steps, sweep):
    backlog(world, 1100)
    steps.taken.clear()
    found = list(sweep.waiting())
    assert len(found) == LOOKED_AT
    methods = [step.method for step in steps.taken]
    assert methods.count("page") == 2 and methods.count("read") == LOOKED_AT
    assert len(methods) == LOOKED_AT + 2


def test_all_tasks_of_a_backlog_are_found_in_turn(world, sweep):
    tasks = backlog(world, 2100)
    rounds = [[task.id for task in sweep.waiting()] for _ in range(3)]
    oldest = [task.id for task in tasks[:200]]
    assert all(round[:200] == oldest for round in rounds)
    assert {id for round in rounds for id in round} == {task.id for task in tasks}
    # And again, from the start.
    again = [[task.id for task in sweep.waiting()] for _ in range(3)]
    assert {id for round in again for id in round} == {task.id for task in tasks}


def test_the_oldest_are_not_given_twice_in_a_round(world, sweep):
    backlog(world, 700)
    for _ in range(3):
        found = [task.id for task in sweep.waiting()]
        assert len(found) == len(set(found)) == 700


def test_lapsed_tasks_are_found_in_a_backlog_of_thousands(world, sweep):
    tasks = backlog(world, 2500)
    lost = [claim(world, tasks[place], "one") for place in (0, 199, 200, 999, 1000, 1799, 1800, 2499)]
    lapse(world)
    for _ in range(3):
        for _ in sweep.waiting():
            pass
    assert [state(world, task).status for task in lost] == [RETRY] * len(lost)


def test_a_backlog_that_shrinks_is_looked_at_from_its_start_again(world, sweep):
    tasks = backlog(world, 1300)
    list(sweep.waiting())
    for task in tasks[500:]:
        world.task_records().discard(task)
    found = [task.id for task in sweep.waiting()]
    assert found == [task.id for task in tasks[:500]]


def test_many_that_are_carried_out_do_not_hide_those_that_wait(world, sweep):
    far = world.clock.now().replace(year=2030)
    backlog(world, 1100, status=STARTED, lease=Lease("one", far))
    waiting = backlog(world, 10, first=1500)
    found = [task.id for _ in range(2) for task in sweep.waiting()]
    assert found == [task.id for task in waiting]


def test_one_task_that_cannot_be_settled_does_not_hide_the_others(world, sweep):
    """Its model is damaged, or dropped at the worst moment: it ends, and those after it are found."""
    broken = submit_fit(world, attempts=1)
    claim(world, broken, "one")
    for key in keys(world, "version/"):
        world.records.remove(key, expected=world.records.read(key).revision)
    lapse(world)
    waiting = world.tasks().submit("model", "m", "predict")
    assert [task.id for task in sweep.waiting()] == [waiting.id]
    assert state(world, broken).status == FAILURE


def test_a_task_that_is_removed_while_it_is_looked_at_is_no_error(world, steps, sweep):
    (task,) = backlog(world, 1)
    looking = steps.actor(lambda: list(sweep.waiting())).to(
        lambda step: step.method == "read" and step.key.startswith("task/")
    )
    world.task_records().discard(task)
    assert looking.end() == []
    with pytest.raises(RecordNotFound):
        world.records.read(f"task-open/{task.id}")


def test_two_sweeps_at_once_give_a_lapsed_task_to_whoever_is_first(world, steps):
    task = submit_fit(world, attempts=2)
    claim(world, task, "one")
    lapse(world)
    one = steps.actor(lambda: list(world.work().sweep.waiting()))
    one.to(lambda step: step.method == "write")
    assert [task.status for task in world.work().sweep.waiting()] == [RETRY]
    assert one.end() == []
    assert carry_out(world, task, "two").attempts == 2


def test_a_live_worker_ends_all_that_there_is(world):
    tasks = [submit_fit(world, attempts=1 + n % 3) for n in range(9)]
    for n, task in enumerate(tasks):
        if n % 2:
            claim(world, task, f"dead {n}")
        if n % 4 == 1:
            world.tasks().cancel(task.id)
    look_after(world)
    assert {state(world, task).is_final for task in tasks} == {True}
    assert PENDING not in {task.status for task in world.tasks().list().items}
