"""Waiting for the end of a task."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import define, field

from omega.domain.errors import BadInput, Cancelled, NotFound, NoWorker
from omega.domain.tasks import FAILURE, RETRY, REVOKED, STARTED, SUCCESS, Failure, Task, WorkerInfo
from omega.entrypoints import waiting
from omega.entrypoints.waiting import NO_WORKER_S, Waiting, answer_of
from tests.support.services import CheapCodec, CheapExecutor, Still, World

LOOK_S = 2


@define
class Scene:
    """A world, a task in it, and a wait for that task, whose time passes by hand."""

    world: World
    now: float = 100.0
    task: Task = field(init=False)
    waiting: Waiting = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.world.models().create("m", [["LinearRegression", {}]])
        self.task = self.world.tasks().submit("model", "m", "predict")
        self.wait()

    def wait(self) -> None:
        self.waiting = Waiting(
            self.task, tasks=self.world.tasks(), workers=self.world.workers(), clock=lambda: self.now
        )

    def pass_s(self, seconds: float, *, every_s: float = LOOK_S) -> bool:
        """Let time pass, looking every now and then; whether the task has ended."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + every_s)
            if self.waiting.ready():
                return True
        return False

    def announce(self) -> None:
        now = self.world.clock.now()
        self.world.workers().announce(WorkerInfo("w", "host", 1, 1, 0, now, now))

    def claim(self, holder: str = "one") -> Task:
        taken = self.world.leases().claim("store", self.task.id, holder=holder)
        assert taken is not None
        return taken

    def succeed(self, holder: str = "one") -> None:
        world, task = self.world, self.world.tasks().get(self.task.id)
        world.endings().succeed(task, holder, world.payloads().write([b'{"a":1}']))


@pytest.fixture
def scene() -> Scene:
    return Scene(World(clock=Still(), codec=CheapCodec(), executor=CheapExecutor()))


def test_it_is_ready_when_the_task_has_ended(scene):
    assert not scene.waiting.ready()
    scene.claim()
    assert not scene.waiting.ready()
    assert scene.waiting.task.status == STARTED
    scene.succeed()
    assert scene.waiting.ready()
    assert scene.waiting.answer() == b'{"a":1}'


def test_the_answer_of_a_failure_is_the_error_of_the_call(scene):
    scene.world.endings().fail(scene.claim(), "one", Failure("BadInput", "no such column"))
    assert scene.waiting.ready()
    with pytest.raises(BadInput, match="no such column"):
        scene.waiting.answer()


def test_the_answer_of_a_cancelled_task_is_that(scene):
    scene.world.tasks().cancel(scene.task.id)
    assert scene.waiting.ready()
    with pytest.raises(Cancelled, match=scene.task.id):
        scene.waiting.answer()


def test_a_task_that_expires_meanwhile_is_not_there(scene):
    scene.world.tasks().cancel(scene.task.id)
    scene.world.clock.move(scene.world.policy.retention_s + 1)
    scene.world.leases().expire()
    with pytest.raises(NotFound):
        scene.waiting.ready()


def test_without_a_worker_the_task_is_called_off_after_a_while(scene):
    assert not scene.pass_s(NO_WORKER_S - 0.1)
    assert scene.world.tasks().get(scene.task.id).status == "PENDING"
    with pytest.raises(NoWorker, match="om runtime worker"):
        scene.pass_s(LOOK_S + 0.1)
    assert scene.world.tasks().get(scene.task.id).status == REVOKED


def test_it_is_not_called_off_as_long_as_there_is_a_worker(scene):
    for _ in range(30):
        scene.announce()
        assert not scene.pass_s(LOOK_S)
    # Then the worker is gone.
    scene.world.clock.move(11)
    assert not scene.pass_s(NO_WORKER_S - LOOK_S)
    with pytest.raises(NoWorker):
        scene.pass_s(2 * LOOK_S)


def test_a_worker_that_comes_late_is_waited_for(scene):
    assert not scene.pass_s(NO_WORKER_S - LOOK_S)
    scene.announce()
    assert not scene.pass_s(NO_WORKER_S)


def test_a_task_that_is_carried_out_is_never_called_off(scene):
    scene.claim()
    assert not scene.pass_s(100 * NO_WORKER_S, every_s=10)
    assert not scene.world.tasks().get(scene.task.id).cancelled


def test_the_while_counts_from_when_it_was_last_carried_out(scene):
    scene.claim()
    assert not scene.pass_s(3 * NO_WORKER_S)
    scene.world.clock.move(11)
    assert not scene.pass_s(LOOK_S)
    assert scene.waiting.task.status == RETRY
    assert not scene.pass_s(NO_WORKER_S - 2 * LOOK_S)
    with pytest.raises(NoWorker):
        scene.pass_s(3 * LOOK_S)


def test_a_task_that_was_done_by_a_lost_worker_is_ready(scene):
    """Calling it off shows that it is a success."""
    world = scene.world
    world.datasets()
    from omega.domain.features import as_features

    x = as_features([[1.0], [2.0]], source="datax")
    scene.task = world.tasks().submit("model", "m", "fit", inputs={"datax": x, "datay": None})
    scene.wait()
    world.work().attempt(scene.claim(), "one", lambda _: None)
    world.clock.move(11)
    assert scene.pass_s(2 * NO_WORKER_S)
    assert scene.waiting.task.status == SUCCESS
    assert b'"version":2' in scene.waiting.answer()


def hooked(scene: Scene, happen: Callable[[], Any]) -> None:
    """Let `happen` take place just before the task is called off."""

    class Tasks:
        def __getattr__(self, name: str) -> Any:
            if name == "cancel":
                happen()
            return getattr(scene.world.tasks(), name)

    scene.waiting = Waiting(scene.task, tasks=Tasks(), workers=scene.world.workers(), clock=lambda: scene.now)


def test_a_worker_that_takes_it_at_the_last_moment_is_asked_to_end(scene):
    hooked(scene, scene.claim)
    assert not scene.pass_s(NO_WORKER_S + LOOK_S)
    now = scene.world.tasks().get(scene.task.id)
    assert (now.status, now.cancelled) == (STARTED, True)
    scene.succeed()
    assert scene.pass_s(LOOK_S) and scene.waiting.task.status == SUCCESS


def test_a_worker_that_ends_it_at_the_last_moment_has_ended_it(scene):
    def happen() -> None:
        scene.claim()
        scene.succeed()

    hooked(scene, happen)
    assert scene.pass_s(NO_WORKER_S + 2 * LOOK_S)
    assert scene.waiting.task.status == SUCCESS


def test_workers_are_looked_for_only_now_and_then(scene):
    looked = []

    class Looking:
        def alive(self) -> list[int]:
            looked.append(scene.now)
            return [1]

    scene.waiting = Waiting(scene.task, tasks=scene.world.tasks(), workers=Looking(), clock=lambda: scene.now)
    assert not scene.pass_s(30, every_s=0.1)
    assert 14 <= len(looked) <= 15


@pytest.fixture
def slept(scene, monkeypatch) -> list[float]:
    pauses: list[float] = []

    def sleep(pause_s: float) -> None:
        pauses.append(pause_s)
        scene.now += pause_s

    monkeypatch.setattr(waiting.time, "sleep", sleep)
    return pauses


def test_a_wait_looks_ever_more_rarely_but_often_enough(scene, slept):
    scene.announce()
    task = scene.waiting.until_ready(timeout_s=10)
    assert not task.is_final
    assert slept[0] == waiting.FIRST_LOOK_S and max(slept) == waiting.LONGEST_PAUSE_S
    assert slept == sorted(slept)
    assert 10 <= sum(slept) <= 10 + waiting.LONGEST_PAUSE_S


def test_a_wait_of_no_time_looks_once(scene, slept):
    assert not scene.waiting.until_ready(timeout_s=0).is_final
    assert slept == []


def test_a_wait_ends_with_the_task(scene, slept):
    scene.claim()
    scene.succeed()
    assert scene.waiting.until_ready().status == SUCCESS
    assert slept == []


def test_a_wait_without_end_ends_without_a_worker(scene, slept):
    with pytest.raises(NoWorker):
        scene.waiting.until_ready()
    assert NO_WORKER_S <= sum(slept) <= NO_WORKER_S + LOOK_S + waiting.LONGEST_PAUSE_S


def test_the_answer_of_a_task_at_its_end(scene):
    tasks = scene.world.tasks()
    scene.claim()
    scene.succeed()
    assert answer_of(tasks.get(scene.task.id), tasks) == b'{"a":1}'
    assert tasks.get(scene.task.id).status != FAILURE
