"""Tasks that ended long ago are removed, and nothing else."""

import pytest
from attrs import evolve

from omega.domain.errors import Corrupt, NotFound
from omega.domain.tasks import FAILURE, SUCCESS, Call, Policy, Task
from omega.ports.records import StoreUnavailable
from tests.unit.domain.tasks.hands import (
    Died,
    blobs,
    carry_out,
    claim,
    is_change,
    keys,
    lapse,
    look_after,
    nth,
    submit_fit,
)

KEPT_S = 86_400
AT_ONCE = 200


def ended(world, count, *, first=1, bucket="store") -> list[Task]:
    """So many tasks that end now."""
    records, tasks = world.task_records(), []
    for n in range(count):
        id = f"00000000-0000-7000-8000-{first + n:012x}"
        task = Task(bucket, id, Call("model", "m", "predict"), world.clock.now(), 60, 3)
        task = evolve(records.create(task), status=FAILURE, ended=world.clock.now())
        tasks.append(records.write(task))
        records.close(tasks[-1])
    return tasks


@pytest.fixture
def expire(world):
    return lambda: world.leases().expire()


def test_what_ended_long_ago_goes_with_all_that_it_had(world, expire):
    before = blobs(world)
    task = submit_fit(world)
    assert carry_out(world, task, "one").status == SUCCESS
    asked = world.tasks().submit("model", "m", "predict", inputs={"datax": task.call.name})
    world.tasks().cancel(asked.id)
    world.clock.move(KEPT_S + 1)
    assert expire() == 2
    assert keys(world) == []
    assert world.tasks().list().total == 0
    # The fitted model stays.
    assert len(blobs(world) - before) == 1
    with pytest.raises(NotFound):
        world.tasks().get(task.id)
    assert expire() == 0


def test_the_retention_is_kept_to_the_moment(world, expire):
    (task,) = ended(world, 1)
    world.clock.move(KEPT_S)
    assert expire() == 0
    assert world.tasks().get(task.id) == task
    world.clock.move(0.000001)
    assert expire() == 1


def test_the_retention_is_the_policys(world):
    world.policy = Policy(retention_s=5)
    ended(world, 1)
    world.clock.move(6)
    assert world.leases().expire() == 1


def test_the_retention_counts_from_the_end(world, expire):
    task = submit_fit(world)
    world.clock.move(KEPT_S * 3)
    carry_out(world, task, "one")
    world.clock.move(KEPT_S - 1)
    assert expire() == 0
    assert world.tasks().get(task.id).status == SUCCESS


def test_other_tasks_stay(world, expire):
    old = ended(world, 3)
    world.clock.move(KEPT_S)
    young, waiting, begun = ended(world, 2, first=100), submit_fit(world), submit_fit(world)
    claim(world, begun, "one")
    world.clock.move(5)
    assert expire() == len(old)
    left = {task.id for task in world.tasks().list().items}
    assert left == {task.id for task in (*young, waiting, begun)}
    assert len(keys(world, "task-open")) == 2 and len(keys(world, "task-ended")) == 2


def test_tasks_of_all_buckets_go(world, expire):
    ended(world, 2, bucket="a"), ended(world, 2, bucket="b")
    world.clock.move(KEPT_S + 1)
    assert expire() == 4
    assert keys(world) == []


def test_many_go_in_pages(world, expire):
    ended(world, AT_ONCE * 2 + 50)
    world.clock.move(KEPT_S + 1)
    assert [expire() for _ in range(4)] == [AT_ONCE, AT_ONCE, 50, 0]
    assert keys(world) == []


def test_as_long_as_nothing_is_old_it_costs_one_page(world, steps, expire):
    ended(world, 300)
    steps.taken.clear()
    assert expire() == 0
    assert [step.method for step in steps.taken] == ["page"]


def test_only_what_is_old_is_read(world, steps, expire):
    old = ended(world, 3)
    world.clock.move(KEPT_S)
    ended(world, 300, first=100)
    world.clock.move(1)
    steps.taken.clear()
    assert expire() == 3
    touched = {step.key.rpartition("/")[2] for step in steps.taken if step.method != "page"}
    assert touched == {task.id for task in old}
    assert [step.method for step in steps.taken].count("page") == 1


def test_entries_of_tasks_that_are_gone_go_too(world, expire):
    tasks = ended(world, 3)
    for task in tasks:
        world.records.remove(f"task/store/{task.id}", expected=task.revision)
    world.clock.move(KEPT_S + 1)
    assert expire() == 0
    assert keys(world) == []


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("change", range(8))
def test_who_removes_old_tasks_dies_at_any_moment(world, steps, expire, change, after):
    """No record is left behind; what is left of an answer is found by `om doctor`."""
    before = blobs(world)
    tasks = [submit_fit(world) for _ in range(2)]
    results = {carry_out(world, task, "one").result.id for task in tasks}
    models = blobs(world) - before - results
    world.clock.move(KEPT_S + 1)
    steps.trouble(nth(change), Died(), after=after)
    try:
        expire()
    except Died:
        pass
    finally:
        steps.no_trouble()
    for task in world.tasks().list().items:
        # What is there is whole.
        assert world.tasks().answer(task)
    expire()
    look_after(world)
    assert keys(world) == []
    left = blobs(world) - before - models
    assert left <= results and len(left) <= 1


def test_what_cannot_be_removed_now_is_removed_later(world, steps, expire):
    ended(world, 3)
    world.clock.move(KEPT_S + 1)
    steps.trouble(nth(2), StoreUnavailable("away"))
    with pytest.raises(StoreUnavailable):
        expire()
    assert expire() > 0
    assert keys(world) == []


def test_two_who_remove_old_tasks_do_not_disturb_each_other(world, steps, expire):
    ended(world, 5)
    world.clock.move(KEPT_S + 1)
    other = steps.actor(expire).to(is_change)
    assert expire() == 5
    other.end()
    assert keys(world) == []


def test_a_task_that_ends_late_is_removed_although_its_end_was_not_told(world, steps, expire):
    """Who ended it died before the index knew; the sweep tells it, and the end is as old as it is."""
    task = submit_fit(world)
    world.task_records().write(evolve(task, status=FAILURE, ended=world.clock.now()))
    world.clock.move(KEPT_S + 1)
    assert expire() == 0
    look_after(world)
    assert expire() == 1
    assert keys(world) == [] and len(blobs(world)) == 1


def test_an_answer_that_expires_while_it_is_read_is_not_there(world):
    task = submit_fit(world)
    done = carry_out(world, task, "one")
    world.clock.move(KEPT_S + 1)
    world.leases().expire()
    with pytest.raises((Corrupt, NotFound)):
        world.tasks().answer(done)
    lapse(world)
