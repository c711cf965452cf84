"""The workers that there are."""

import pytest

from omega.domain.tasks import WorkerInfo
from omega.domain.tasks.workers import BEAT_S
from omega.ports.records import StoreUnavailable
from tests.unit.domain.tasks.hands import keys


def info(world, id: str = "w1", busy: int = 0) -> WorkerInfo:
    now = world.clock.now()
    return WorkerInfo(id, "host", 7, 2, busy, now, now)


def test_a_worker_is_there_as_long_as_it_says_so(world):
    workers, mine = world.workers(), info(world)
    assert workers.alive() == []
    for n in range(20):
        world.clock.move(BEAT_S)
        workers.announce(info(world, busy=n % 2))
        (seen,) = workers.alive()
        assert seen.seen == world.clock.now() and seen.busy == n % 2
    assert seen.started > mine.started
    world.clock.move(10)
    assert len(workers.alive()) == 1
    world.clock.move(1)
    assert workers.alive() == [] and keys(world, "worker/") == []


def test_when_a_worker_was_seen_is_what_the_clock_says(world):
    mine = info(world)
    world.clock.move(5)
    world.workers().announce(mine)
    (seen,) = world.workers().alive()
    assert (seen.started, seen.seen) == (mine.started, world.clock.now())
    assert (seen.id, seen.host, seen.pid, seen.processes, seen.busy) == ("w1", "host", 7, 2, 0)


def test_a_worker_that_leaves_is_gone_at_once(world):
    for id in ("w1", "w2"):
        world.workers().announce(info(world, id))
    world.workers().leave("w1")
    assert [worker.id for worker in world.workers().alive()] == ["w2"]
    world.workers().leave("w1")


def test_a_worker_that_announces_itself_while_it_is_thought_dead_stays(world, steps):
    workers = world.workers()
    workers.announce(info(world))
    world.clock.move(11)
    looking = steps.actor(workers.alive).to(lambda step: step.method == "remove")
    workers.announce(info(world))
    assert looking.end() == []
    assert len(workers.alive()) == 1


def test_two_who_announce_the_same_worker_are_one(world, steps):
    workers = world.workers()
    one = steps.actor(lambda: workers.announce(info(world))).to(lambda step: step.method == "write")
    workers.announce(info(world))
    one.end()
    assert len(workers.alive()) == 1


def test_a_store_that_is_away_is_told(world, steps):
    steps.trouble(lambda _: True, StoreUnavailable("away"))
    with pytest.raises(StoreUnavailable):
        world.workers().announce(info(world))
