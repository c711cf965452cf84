"""Jobs that run by the clock: each due time is run once or recorded as missed, whoever looks, how many of
them, and wherever one of them stops.
"""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from omega.domain import job_schedules
from omega.domain.errors import BadInput, NotFound
from omega.domain.job_schedules import LATE, OVERLAP, JobSchedule
from omega.domain.jobs import submit_run
from omega.domain.schedules import Schedule
from omega.domain.tasks import PENDING, Policy, Task
from omega.domain.tasks.service import MAX_TIMEOUT_S
from omega.ports.queue import QueueUnavailable
from tests.support.jobs import JobWorld
from tests.unit.domain.tasks.hands import Actor, Died, Stepped, Steps, is_change, nth
from tests.unit.domain.test_documents import Meddled

NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVERY_MINUTE: Final = Schedule("* * * * *")
HOURLY: Final = Schedule("0 * * * *")


@pytest.fixture
def world() -> JobWorld:
    world = JobWorld()
    world.clock.at = NOON
    return world


@pytest.fixture
def stepped() -> Iterator[tuple[JobWorld, Steps]]:
    world, steps = stepped_world()
    yield world, steps
    steps.close()


def stepped_world() -> tuple[JobWorld, Steps]:
    steps, world = Steps(), JobWorld()
    world.clock.at = NOON
    world.records = Stepped(world.records, steps.take)
    return world, steps


def put(world: JobWorld, schedule: Schedule = HOURLY, job: str = "a.ipynb", **how: Any) -> JobSchedule:
    more = {"parameters": {}, "timeout_s": None, **how}
    return world.schedules(more.pop("bucket", "store")).put(job, schedule, **more)


def get(world: JobWorld, job: str = "a.ipynb", bucket: str = "store") -> JobSchedule:
    return world.schedules(bucket).get(job)


def tick_at(world: JobWorld, *at: float) -> None:
    """Look at these times, in seconds after noon."""
    for seconds in at:
        world.clock.at = NOON + timedelta(seconds=seconds)
        world.scheduler().tick()


def tasks(world: JobWorld, bucket: str = "store") -> list[Task]:
    """Those that were submitted, the oldest first."""
    return [one for one in world.tasks(bucket).list(limit=1000).items if not one.is_abandoned][::-1]


def due_of(task: Task) -> datetime:
    """The due time that a task is for: its id begins with it."""
    return datetime.fromtimestamp(int(task.id.replace("-", "")[:12], 16) / 1000, tz=UTC)


def runs(world: JobWorld) -> list[float]:
    """The due times that have a run, in seconds after noon."""
    return [(due_of(task) - NOON).total_seconds() for task in tasks(world)]


def missed(found: JobSchedule) -> list[tuple[float, str]]:
    return [((one.due - NOON).total_seconds(), one.reason) for one in found.missed]


def end(world: JobWorld, task: Task) -> None:
    claimed = world.leases().claim(task.bucket, task.id, holder="worker")
    if claimed is not None:
        world.endings().succeed(claimed, "worker", world.payloads().write([b"{}"]))


def end_all(world: JobWorld) -> None:
    for task in tasks(world):
        end(world, task)


# schedules


def test_a_schedule_is_kept_as_it_is(world):
    schedule = Schedule("30 6 * * mon-fri", "Europe/Berlin")
    made = put(world, schedule, parameters={"n": [1, {"x": "ü"}]}, timeout_s=60.5)
    assert get(world) == made
    assert (made.job, made.schedule, made.parameters, made.timeout_s, made.considered) == (
        "a.ipynb",
        schedule,
        {"n": [1, {"x": "ü"}]},
        60.5,
        NOON,
    )
    assert (made.due, made.task, made.missed, made.missed_count) == (None, None, (), 0)


def test_the_next_five_times_are_shown_in_utc(world):
    made = put(world, Schedule("30 6 * * mon-fri", "Europe/Berlin"))
    assert [f"{time:%a %d %H:%M %Z}" for time in made.next_times(NOON)] == [
        "Mon 02 05:30 UTC",
        "Tue 03 05:30 UTC",
        "Wed 04 05:30 UTC",
        "Thu 05 05:30 UTC",
        "Fri 06 05:30 UTC",
    ]


def test_each_job_of_each_bucket_has_its_own(world):
    put(world, HOURLY)
    put(world, EVERY_MINUTE, "f/a.ipynb")
    put(world, EVERY_MINUTE, bucket="team")
    assert [get(world).schedule, get(world, "f/a.ipynb").schedule, get(world, bucket="team").schedule] == [
        HOURLY,
        EVERY_MINUTE,
        EVERY_MINUTE,
    ]
    world.schedules().remove("a.ipynb")
    assert get(world, bucket="team").schedule == EVERY_MINUTE
    for call in (world.schedules().get, world.schedules().remove):
        with pytest.raises(NotFound, match=r"job 'a\.ipynb' in bucket 'store' has no schedule"):
            call("a.ipynb")


def test_a_schedule_takes_the_place_of_the_one_before_from_now_on(world):
    first = put(world, EVERY_MINUTE)
    world.clock.move(90)
    second = put(world, HOURLY)
    assert get(world) == second and second.uid != first.uid and second.considered == world.clock.at
    world.scheduler().tick()
    assert tasks(world) == []


def test_a_schedule_that_others_change_meanwhile_is_put_and_removed_all_the_same(world):
    put(world)
    world.records = Meddled(world.records, "write", "schedule/", lambda: put(world, EVERY_MINUTE))
    assert put(world, Schedule("5 5 * * *")) == get(world)
    world.records = Meddled(world.records, "write", "schedule/", lambda: world.schedules().remove("a.ipynb"))
    assert put(world, Schedule("6 6 * * *")) == get(world)
    world.records = Meddled(world.records, "remove", "schedule/", lambda: put(world, EVERY_MINUTE))
    world.schedules().remove("a.ipynb")
    assert world.records.page("").total == 0


@pytest.mark.parametrize("value", [2**70, float("nan"), object(), {1: 2}, b"x"])
def test_parameters_that_are_not_json(world, value):
    put(world)
    with pytest.raises(BadInput, match=r"the parameters of job 'a\.ipynb' are not JSON"):
        put(world, EVERY_MINUTE, parameters={"n": value})
    assert get(world).schedule == HOURLY


@pytest.mark.parametrize("timeout_s", [0, -31, float("nan"), MAX_TIMEOUT_S + 1])
def test_times_that_no_run_can_have(world, timeout_s):
    """A worker would fall over them each time."""
    with pytest.raises(BadInput, match="timeout"):
        put(world, timeout_s=timeout_s)
    assert world.records.page("").total == 0


# due times


def test_a_due_time_is_run_once_with_what_the_schedule_says(world):
    world.policy = Policy(timeout_s=1000)
    made = put(world, HOURLY, parameters={"n": 1}, timeout_s=50)
    tick_at(world, 3599)
    assert tasks(world) == [] and get(world) == made
    tick_at(world, 3600, 3600, 3602, 3700)
    (task,) = tasks(world)
    assert (task.call.resource, task.call.name, task.call.action) == ("job", "a.ipynb", "run")
    assert task.call.options == {"parameters": {"n": 1}, "timeout_s": 50}
    assert (task.status, task.max_attempts, task.timeout_s) == (PENDING, 1, 80)
    assert world.queue.consume(timeout_s=0) == {"bucket": "store", "id": task.id}
    found = get(world)
    assert (found.due, found.task, found.missed_count) == (NOON + timedelta(hours=1), task.id, 0)


def test_each_due_time_has_a_run_of_its_own(world):
    put(world, EVERY_MINUTE)
    for minute in range(1, 6):
        tick_at(world, 60 * minute + 1)
        end_all(world)
    assert runs(world) == [60, 120, 180, 240, 300]
    assert get(world).missed == ()


def test_schedules_of_all_buckets_are_looked_at(world):
    put(world, HOURLY, "a.ipynb")
    put(world, HOURLY, "f/a.ipynb")
    put(world, HOURLY, bucket="team")
    tick_at(world, 3600)
    assert sorted(task.call.name for task in tasks(world)) == ["a.ipynb", "f/a.ipynb"]
    (task,) = tasks(world, "team")
    assert get(world, bucket="team").task == task.id
    assert len({task.id for task in [*tasks(world), task]}) == 3


def test_schedules_are_looked_at_page_by_page(world, monkeypatch):
    monkeypatch.setattr(job_schedules, "_PAGE", 2)
    for number in range(5):
        put(world, HOURLY, f"{number}.ipynb")
    tick_at(world, 3600)
    assert sorted(task.call.name for task in tasks(world)) == [f"{number}.ipynb" for number in range(5)]


def test_looking_costs_no_write_where_nothing_is_due(stepped):
    world, steps = stepped
    put(world)
    steps.taken.clear()
    tick_at(world, 1, 3599)
    assert not [step for step in steps.taken if is_change(step)]


def test_a_clock_that_goes_back_runs_nothing_twice(world):
    put(world, EVERY_MINUTE)
    tick_at(world, 61, 0, 59, 61, 119)
    assert runs(world) == [60]


# missed times


@pytest.mark.parametrize(
    ("at", "run", "late"),
    [
        (3600 + 3600, [7200], [3600]),
        (3600 + 3599, [3600], []),
        (3 * 3600 + 1800, [3 * 3600], [3600, 7200]),
    ],
)
def test_of_missed_times_the_latest_is_run(world, at, run, late):
    put(world, HOURLY)
    tick_at(world, at, at + 0.5)
    assert runs(world) == run
    found = get(world)
    assert missed(found) == [(time, LATE) for time in late] and found.missed_count == len(late)


def test_what_is_older_than_an_hour_is_not_run(world):
    schedule = Schedule("0 13 * * *")
    put(world, schedule)
    tick_at(world, 7201)
    assert tasks(world) == [] and missed(get(world)) == [(3600, LATE)]
    put(world, schedule, "b.ipynb")
    world.clock.at = NOON
    put(world, schedule, "b.ipynb")
    tick_at(world, 7200)
    assert runs(world) == [3600] and get(world, "b.ipynb").missed == ()


def test_the_latest_hundred_missed_times_are_kept_and_all_are_counted(world):
    put(world, EVERY_MINUTE)
    tick_at(world, 150 * 60)
    found = get(world)
    assert runs(world) == [9000] and found.missed_count == 149
    assert [time for time, _ in missed(found)] == [60.0 * minute for minute in range(50, 150)]
    end_all(world)
    tick_at(world, 153 * 60)
    found = get(world)
    assert found.missed_count == 151 and len(found.missed) == 100
    assert [time for time, _ in missed(found)][-2:] == [151 * 60, 152 * 60]


# overlap


@pytest.mark.parametrize("begun", [False, True])
def test_a_run_that_goes_on_is_not_overlapped(world, begun):
    put(world, EVERY_MINUTE)
    tick_at(world, 60)
    if begun:
        world.leases().claim("store", tasks(world)[0].id, holder="worker")
    tick_at(world, 120, 121, 180)
    assert runs(world) == [60]
    found = get(world)
    assert missed(found) == [(120, OVERLAP), (180, OVERLAP)] and found.missed_count == 2
    assert (found.due, found.task) == (NOON + timedelta(minutes=1), tasks(world)[0].id)
    if begun:
        answer = world.payloads().write([b"{}"])
        world.endings().succeed(tasks(world)[0], "worker", answer)
    else:
        world.tasks().cancel(tasks(world)[0].id)
    tick_at(world, 181, 240)
    assert runs(world) == [60, 240]


def test_a_run_that_has_expired_is_over(world):
    put(world, HOURLY)
    tick_at(world, 3600)
    end_all(world)
    world.clock.move(world.policy.retention_s + 1)
    assert world.leases().expire() == 1
    world.scheduler().tick()
    assert len(tasks(world)) == 1


def test_a_run_of_the_schedule_before_is_not_overlapped_either(world):
    """Who puts the same schedule again, at each deployment perhaps, does not want two runs at once."""
    put(world, EVERY_MINUTE)
    tick_at(world, 60)
    put(world, EVERY_MINUTE)
    tick_at(world, 120)
    assert runs(world) == [60] and missed(get(world)) == [(120, OVERLAP)]
    end_all(world)
    tick_at(world, 180)
    assert runs(world) == [60, 180]


# what goes wrong


def test_a_queue_that_is_down_loses_nothing(world, monkeypatch):
    def down(*_: Any) -> None:
        raise QueueUnavailable("away")

    put(world, EVERY_MINUTE)
    with monkeypatch.context() as context:
        context.setattr(type(world.queue), "submit", down)
        with pytest.raises(QueueUnavailable):
            tick_at(world, 60)
    assert tasks(world) == []
    tick_at(world, 62, 63)
    assert runs(world) == [60] and get(world).missed == ()


def test_a_schedule_that_cannot_be_submitted_does_not_keep_the_others(world):
    """Nor does it end the worker that looks at it."""
    deep: Any = 1
    for _ in range(97):
        deep = [deep]
    put(world, EVERY_MINUTE, "a.ipynb", parameters={"n": deep})
    put(world, EVERY_MINUTE, "b.ipynb")
    with pytest.raises(BadInput):
        submit_run(world.tasks(), "a.ipynb", {"n": deep}, timeout_s=None)
    tick_at(world, 60, 61)
    assert [task.call.name for task in tasks(world)] == ["b.ipynb"]
    found = get(world)
    assert found.missed_count == 1 and "not JSON" in found.missed[0].reason
    assert (found.due, found.task) == (None, None)
    tick_at(world, 120)
    assert get(world).missed_count == 2


def test_a_run_of_a_job_that_is_gone_fails_and_says_so(world):
    put(world, EVERY_MINUTE)
    tick_at(world, 60)
    world.work().run_waiting()
    (task,) = tasks(world)
    assert task.failure is not None and task.failure.name == "NotFound"
    tick_at(world, 120)
    assert runs(world) == [60, 120]


def test_a_scheduled_run_is_a_run_of_the_job(world):
    world.jobs("team").put("a", {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []})
    put(world, EVERY_MINUTE, bucket="team")
    tick_at(world, 60)
    world.work().run_waiting()
    ((run,), _) = world.job_runs("team").of("a.ipynb")
    (task,) = tasks(world, "team")
    assert (run.status, run.task, task.status) == ("OK", task.id, "SUCCESS")


# several at once, and deaths


def due_between(schedule: Schedule, since: datetime, until: datetime) -> list[datetime]:
    times = schedule.next_times(since, int((until - since).total_seconds() // 60) + 1)
    return [time for time in times if time <= until]


def accounted(world: JobWorld, since: float, until: float) -> None:
    """Each due time of the schedule between the two, in seconds after noon, has a run or is missed."""
    found = get(world)
    due = due_between(found.schedule, NOON + timedelta(seconds=since), NOON + timedelta(seconds=until))
    wanted = [(time - NOON).total_seconds() for time in due]
    late = [time for time, _ in missed(found)]
    assert sorted([*runs(world), *late]) == wanted, (runs(world), late)
    assert found.missed_count == len(late)


def after_all(world: JobWorld, steps: Steps, *, until: float) -> None:
    """A worker that lives looks, and everything is accounted for."""
    steps.no_trouble()
    tick_at(world, until)
    accounted(world, 0, until)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("then", [0, 1, 60, 61, 120, 3600, 5000])
def test_a_worker_dies_anywhere(then, after):
    for number in range(100):
        world, steps = stepped_world()
        put(world, EVERY_MINUTE)
        steps.trouble(nth(number), Died(), after=after)
        died = False
        try:
            tick_at(world, 180)
        except Died:
            died = True
        end_all_of_the_living(world, steps)
        after_all(world, steps, until=180 + then)
        if not died:
            break
    assert 2 < number < 100


def end_all_of_the_living(world: JobWorld, steps: Steps) -> None:
    steps.no_trouble()
    end_all(world)


@pytest.mark.parametrize("after", [False, True])
def test_a_run_that_a_dead_worker_has_submitted_is_not_overlapped(after):
    for number in range(100):
        world, steps = stepped_world()
        put(world, EVERY_MINUTE)
        steps.trouble(nth(number), Died(), after=after)
        try:
            tick_at(world, 60)
        except Died:
            died = True
        else:
            died = False
        steps.no_trouble()
        tick_at(world, 120)
        assert sum(not task.is_final for task in tasks(world)) == 1
        accounted(world, 0, 120)
        if not died:
            break
    assert 2 < number < 100


@pytest.mark.parametrize("later", [0, 1, 59, 60, 3598])
def test_a_worker_is_held_up_anywhere_while_another_looks(later):
    """Both look at the same time, or the other after a while."""
    for number in itertools.count(1):
        world, steps = stepped_world()
        put(world, EVERY_MINUTE)
        world.clock.at = NOON + timedelta(seconds=181)
        slow = steps.actor(world.scheduler().tick).steps(number)
        done = slow.done
        tick_at(world, 181 + later)
        slow.end()
        tick_at(world, 181 + later)
        assert sum(not task.is_final for task in tasks(world)) == 1, number
        accounted(world, 0, 181 + later)
        steps.close()
        if done:
            break
    assert number > 5


def test_two_workers_take_turns_in_all_ways():
    first, second = 1, 1
    while True:
        world, steps = stepped_world()
        put(world, EVERY_MINUTE)
        world.clock.at = NOON + timedelta(seconds=121)
        one = steps.actor(world.scheduler().tick).steps(first)
        two = steps.actor(world.scheduler().tick).steps(second)
        done = (one.done, two.done)
        one.end()
        two.end()
        tick_at(world, 121)
        assert runs(world) == [120], (first, second)
        accounted(world, 0, 121)
        steps.close()
        if done[0]:
            break
        first, second = (first + 1, 1) if done[1] else (first, second + 1)
    assert first > 5


def test_a_worker_is_held_up_until_what_it_was_to_submit_is_too_old():
    for number in itertools.count(1):
        world, steps = stepped_world()
        put(world, Schedule("3,4 * * * *"))
        world.clock.at = NOON + timedelta(seconds=3750)
        slow = steps.actor(world.scheduler().tick).steps(number)
        done = slow.done
        world.clock.at = NOON + timedelta(seconds=3841)
        world.scheduler().tick()
        slow.end()
        tick_at(world, 3842)
        accounted(world, 0, 3842)
        steps.close()
        if done:
            break
    assert number > 5


def meet(change: Callable[[JobWorld], object]) -> Iterator[JobWorld]:
    """Worlds in which `change` comes between two steps of a tick at which a time is due."""
    for number in itertools.count(1):
        world, steps = stepped_world()
        put(world, EVERY_MINUTE)
        world.clock.at = NOON + timedelta(seconds=61)
        slow = steps.actor(world.scheduler().tick).steps(number)
        done = slow.done
        change(world)
        slow.end()
        yield world
        steps.close()
        if done:
            return


def test_a_schedule_is_replaced_meanwhile():
    for world in meet(lambda world: put(world, HOURLY, parameters={"new": 1})):
        tick_at(world, 62, 121)
        assert runs(world) in ([], [60])
        found = get(world)
        assert (found.schedule, found.parameters, found.missed) == (HOURLY, {"new": 1}, ())
        end_all(world)
        tick_at(world, 3600)
        assert tasks(world)[-1].call.options["parameters"] == {"new": 1}
        assert runs(world)[-1] == 3600


def test_a_schedule_is_removed_meanwhile():
    for world in meet(lambda world: world.schedules().remove("a.ipynb")):
        tick_at(world, 62, 121, 3600)
        assert runs(world) in ([], [60])
        with pytest.raises(NotFound):
            get(world)


# everything together

MOVES: Final = st.sampled_from([1, 30, 59, 60, 60, 60, 61, 90, 300, 3600, 4000])
SCHEDULES: Final = st.sampled_from([*[EVERY_MINUTE] * 4, Schedule("3,4 * * * *"), HOURLY])
#: A look takes about as many.
STEPS: Final = st.integers(1, 10)


class SchedulerMachine(RuleBasedStateMachine):
    """Workers look, some are held up at any step, and go on later or die; runs end late; the schedule is
    put again and removed. Each due time is decided upon once, and no two runs go on at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.world, self.steps = stepped_world()
        self.records = self.world.records.store
        self.lookers: list[Actor] = []
        self.schedule: JobSchedule
        #: Tasks of schedules that there are no more: a worker may have been about to submit them.
        self.others: set[str] = set()

    @initialize(schedule=SCHEDULES)
    def begin(self, schedule: Schedule) -> None:
        self.put(schedule)

    @rule(schedule=SCHEDULES, again=st.booleans())
    def change(self, schedule: Schedule, again: bool) -> None:
        """Put the schedule again, or remove it first."""
        self.finish_lookers()
        if not again:
            self.world.schedules().remove("a.ipynb")
            self.end_runs()
        self.put(schedule)

    def put(self, schedule: Schedule) -> None:
        self.others |= self.ids()
        self.schedule = put(self.world, schedule)

    @rule(seconds=MOVES)
    def time_goes_by_and_one_looks(self, seconds: int) -> None:
        self.move(seconds)
        self.world.scheduler().tick()

    @precondition(lambda self: len(self.lookers) < 3)
    @rule(seconds=MOVES, steps=STEPS)
    def time_goes_by_and_one_begins_to_look(self, seconds: int, steps: int) -> None:
        self.move(seconds)
        looker = self.steps.actor(self.world.scheduler().tick)
        self.lookers.append(looker)
        self.go_on(looker, steps)

    def move(self, seconds: int) -> None:
        self.world.clock.move(seconds)

    @precondition(lambda self: self.lookers)
    @rule(data=st.data(), steps=STEPS)
    def one_looks_on(self, data: Any, steps: int) -> None:
        self.go_on(data.draw(st.sampled_from(self.lookers)), steps)

    @precondition(lambda self: self.lookers)
    @rule(data=st.data(), after=st.booleans())
    def die(self, data: Any, after: bool) -> None:
        looker = data.draw(st.sampled_from(self.lookers))
        looker.kill(after=after)
        self.lookers.remove(looker)

    @rule()
    def end_runs(self) -> None:
        end_all(self.world)

    def go_on(self, looker: Actor, steps: int) -> None:
        looker.steps(steps)
        if looker.done:
            self.lookers.remove(looker)
            assert looker.error is None, looker.error

    def finish_lookers(self) -> None:
        for looker in self.lookers:
            looker.end()
        self.lookers.clear()

    def ids(self) -> set[str]:
        return {task.id for task in tasks(self.world)}

    @invariant()
    def no_two_runs_go_on(self) -> None:
        assert sum(not task.is_final for task in tasks(self.world)) <= 1

    def teardown(self) -> None:
        try:
            self.finish_lookers()
            self.world.scheduler().tick()
            self.account()
        finally:
            self.steps.close()

    def account(self) -> None:
        """Each due time of the schedule is run or missed."""
        found = get(self.world)
        due = due_between(found.schedule, self.schedule.considered, self.world.clock.at)
        run = [due_of(task) for task in tasks(self.world) if task.id not in self.others]
        assert len(run) + found.missed_count == len(due)
        known = sorted([*run, *(one.due for one in found.missed)])
        assert known == due if found.missed_count <= 100 else set(known) < set(due)


TestScheduler = SchedulerMachine.TestCase
TestScheduler.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
