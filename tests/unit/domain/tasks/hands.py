"""Tasks carried out by hand, in stores where every step can be watched, delayed, or be somebody's last."""

import threading
from collections.abc import Callable
from typing import Any

import pandas as pd
from attrs import define, field

from omega.domain.features import as_features
from omega.domain.names import MODEL
from omega.domain.tasks import Failure, LeaseLost, Task
from omega.entrypoints.work import Done, Result
from omega.ports.records import Record, RecordNotFound
from tests.support.services import CheapCodec, CheapExecutor, Still, World

LINEAR = [["LinearRegression", {}]]
X = as_features(pd.DataFrame({"x": [1.0, 2.0, 3.0]}), source="datax")
Y = as_features(pd.Series([2.0, 4.0, 6.0], name="y"), source="datay")
#: How often the services may be asked to look after a task until nothing is left to be done for it.
ROUNDS = 12


class Died(BaseException):
    """The process is gone."""


@define
class Step:
    """A call of a method of a store, which has not been made yet."""

    method: str
    key: str
    _make: Callable[[], Any] = field(alias="make")

    def make(self) -> Any:
        return self._make()


def is_change(step: Step) -> bool:
    return step.method in ("write", "remove")


def is_commit(step: Step) -> bool:
    """Whether it swings a name to a new version."""
    return step.method == "write" and step.key.startswith("object/")


def is_end(step: Step) -> bool:
    """Whether it writes the record of a task."""
    return step.method == "write" and step.key.startswith("task/")


def nth(number: int, when: Callable[[Step], bool] = is_change) -> Callable[[Step], bool]:
    """Whether it is the step of that number of those for which `when` holds."""
    count = iter(range(100_000))
    return lambda step: when(step) and next(count) == number


@define
class Stepped:
    """A store whose calls are left to `take`."""

    store: Any
    take: Callable[[Step], Any]

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self.take(Step(name, str(args[0]) if args else "", lambda: method(*args, **kwargs)))

        return call


@define
class Steps:
    """What takes the steps of a world's stores: at once, or when the actor whose step it is gets its turn."""

    taken: list[Step] = field(factory=list)
    _trouble: tuple[Callable[[Step], bool], BaseException, bool] | None = None
    _actors: "list[Actor]" = field(factory=list)
    _here: threading.local = field(factory=threading.local)

    def take(self, step: Step) -> Any:
        actor: Actor | None = getattr(self._here, "actor", None)
        if actor is not None:
            return actor.take(step)
        self.taken.append(step)
        if self._trouble is None or not self._trouble[0](step):
            return step.make()
        _, error, after = self._trouble
        # The dead stay dead.
        self._trouble = (lambda _: True, error, False) if isinstance(error, Died) else None
        if after:
            step.make()
        raise error

    def trouble(self, when: Callable[[Step], bool], error: BaseException, *, after: bool = False) -> None:
        """Let the first step for which `when` holds raise `error`, not having happened (`after`: having), and
        after a `Died` all others, until `no_trouble`.
        """
        self._trouble = when, error, after

    def no_trouble(self) -> None:
        self._trouble = None

    def actor(self, work: Callable[[], Any]) -> "Actor":
        """Somebody who does `work` at the same time as others, step by step."""

        def here(actor: Actor) -> Any:
            self._here.actor = actor
            return work()

        actor = Actor(here)
        self._actors.append(actor)
        return actor

    def close(self) -> None:
        for actor in self._actors:
            actor.kill()


class Actor:
    """One of several who act on the same stores, of whom only one moves at a time."""

    def __init__(self, work: "Callable[[Actor], Any]") -> None:
        self.next: Step | None = None
        self.changed: list[str] = []
        self.done = self.dead = False
        self.result: Any = None
        self.error: BaseException | None = None
        self._until: Callable[[Step], bool] = lambda _: True
        self._trouble: tuple[BaseException, bool] | None = None
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def advance(self, until: Callable[[Step], bool] = lambda _: False) -> "Actor":
        """Go on until just before the next step for which `until` holds, or to the end."""
        if not self.done:
            self._until = until
            self._go.release()
            self._stopped.acquire()
        return self

    def to(self, until: Callable[[Step], bool]) -> "Actor":
        """As `advance`; there must be such a step."""
        self.advance(until)
        assert not self.done, "there was no such step"
        return self

    def steps(self, count: int) -> "Actor":
        """Go on for so many steps; the first time, one of them is the way to the first step."""
        left = iter(range(count - 1))
        return self.advance(lambda _: next(left, None) is None)

    def end(self) -> Any:
        """Go on to the end; what the work gives, or raises."""
        self.advance()
        if self.error is not None:
            raise self.error
        return self.result

    def fail(self, error: Exception, *, after: bool = False) -> "Actor":
        """Let the step that it is before raise `error`, not having happened (`after`: having), and go on to
        the next one.
        """
        self._trouble = error, after
        return self.advance(lambda _: True)

    def kill(self, *, after: bool = False) -> None:
        """Let it be gone before (`after`) the step that it is before."""
        if not self.done:
            self._trouble = Died(), after
            self.advance()
        self._thread.join()

    def take(self, step: Step) -> Any:
        """In its own thread: take a step, when it is its turn."""
        if self.dead:
            raise Died
        self.next = step
        if self._until(step):
            self._stopped.release()
            self._go.acquire()
        self.next = None
        if is_change(step):
            self.changed.append(step.key)
        error, after = self._trouble or (None, False)
        self._trouble = None
        self.dead = isinstance(error, Died)
        if error is None:
            return step.make()
        if after:
            step.make()
        raise error

    def _run(self, work: "Callable[[Actor], Any]") -> None:
        self._go.acquire()
        try:
            if self._trouble is None:
                self.result = work(self)
        except BaseException as error:
            self.error = error
        self.next, self.done = None, True
        self._stopped.release()


def stepped_world(*, cheap: bool = True) -> tuple[World, Steps]:
    """A world with a clock that stands still, and what takes the steps of its stores; `cheap` models cost
    nothing.
    """
    steps = Steps()
    world = World(clock=Still())
    world.records = Stepped(world.records, steps.take)
    world.blobs = Stepped(world.blobs, steps.take)
    if cheap:
        world.codec, world.executor = CheapCodec(), CheapExecutor()
    return world, steps


def submit_fit(
    world: World, *, name: str = "m", action: str = "fit", x: Any = X, y: Any = Y, **how: Any
) -> Task:
    return world.tasks().submit(MODEL, name, action, inputs={"datax": x, "datay": y}, **how)


def claim(world: World, task: Task, holder: str) -> Task | None:
    return world.work().claim({"bucket": task.bucket, "id": task.id}, holder)


def attempt(world: World, task: Task, holder: str) -> Result:
    return world.work().attempt(task, holder, lambda _: None)


def finish(world: World, task: Task, holder: str, result: Result) -> Task | None:
    """As the supervisor does; `None` where it is not for this holder any more."""
    endings = world.endings()
    try:
        if isinstance(result, Done):
            return endings.succeed(task, holder, result.answer)
        return endings.fail(task, holder, result.failure)
    except LeaseLost:
        return None


def carry_out(world: World, task: Task, holder: str) -> Task | None:
    """Do everything that a worker does with a task; the task at its end, `None` if it is somebody else's."""
    claimed = claim(world, task, holder)
    if claimed is None:
        return None
    try:
        return finish(world, claimed, holder, attempt(world, claimed, holder))
    except LeaseLost:
        return None


def lapse(world: World) -> None:
    """Let all leases lapse."""
    world.clock.move(world.policy.lease_s + 1)


def look_after(world: World, *, work: bool = True) -> None:
    """Let the time of some leases pass while a live worker looks after all tasks, and carries out those that
    wait (`work`).
    """
    sweep = world.work().sweep
    for n in range(ROUNDS):
        lapse(world)
        for task in sweep.waiting():
            if work:
                carry_out(world, task, f"looker {n} {task.id}")


def state(world: World, task: Task) -> Task:
    found = world.task_records().find(task.bucket, task.id)
    assert found is not None
    return found


def versions_by(world: World, id: str, *, name: str = "m", bucket: str = "store") -> list[int]:
    """The numbers of the model's versions that this call has made, along the chain from the name."""
    catalogue, found = world.catalogue(MODEL, bucket), []
    head = catalogue.peek(name)
    number, tip = (head.version, head.tip) if head else (0, None)
    while head is not None and number > 0:
        value = world.records.read(f"version/{head.uid}/{number:012d}/{tip}").value
        if value["payload"].get("call") == id:
            found.append(number)
        number, tip = number - 1, value["parent"]
    return found


def is_true(world: World, task: Task, *, name: str = "m") -> None:
    """That a fit has ended, and that its end is the truth."""
    ended = state(world, task)
    made = versions_by(world, task.id, name=name, bucket=task.bucket)
    assert ended.is_final
    assert len(made) == (1 if ended.status == "SUCCESS" else 0), (ended.status, made)
    if ended.status == "SUCCESS":
        assert f'"version":{made[0]}'.encode() in world.tasks(task.bucket).answer(ended)


def raw(world: World, task: Task) -> Record | None:
    """The record of the task, as it is stored."""
    try:
        return world.records.read(f"task/{task.bucket}/{task.id}")
    except RecordNotFound:
        return None


def keys(world: World, prefix: str = "task") -> list[str]:
    """What tasks have in the records: `task`, `task-open`, `task-ended`."""
    return [record.key for record in world.records.page(prefix, limit=100_000).records]


def blobs(world: World) -> set[str]:
    return set(world.blobs.ids())


LOST = Failure("TaskFailed", "the worker was lost")
