"""Many who submit, work, cancel, look after and remove tasks at the same time, any of whom may stop at any
step of any call of a store, and come back late or never.
"""

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

import pandas as pd
from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from omega.domain.contents import encode
from omega.domain.errors import Cancelled, Conflict, NotFound
from omega.domain.names import MODEL
from omega.domain.tasks import FINAL, PENDING, RETRY, REVOKED, SUCCESS, Failure, LeaseLost, Task
from omega.entrypoints.work import Again, Done, Result
from omega.ports.queue import JSONObject, QueueUnavailable
from omega.ports.records import StoreUnavailable
from tests.unit.domain.tasks.hands import (
    LINEAR,
    LOST,
    Actor,
    Died,
    X,
    Y,
    carry_out,
    is_commit,
    stepped_world,
)

MISSING: Final = "a dataset that comes and goes"
#: What the calls of the services may raise here.
EXPECTED: Final = (Died, StoreUnavailable, QueueUnavailable, NotFound, Conflict, LeaseLost)
STRAY_S: Final = 601
CHANGES: Final = (
    "the queue is up",
    "the queue is down",
    "the queue lies",
    "the queue forgets",
    "another fits",
    "another replaces",
    "another drops",
    "the data goes",
    "the data comes",
)
ACTIONS = st.sampled_from(["fit", "fit", "partial_fit", "predict"])
#: So many steps are taken at once.
ALL: Final = 1000
STEPS = st.sampled_from([*range(1, 13), *[ALL] * 5])


@define
class Unsteady:
    """A queue that may be down: then the message is not left, or (`lies`) is left all the same."""

    queue: Any
    down: bool = False
    lies: bool = False

    def submit(self, message: JSONObject) -> None:
        if not self.down or self.lies:
            self.queue.submit(message)
        if self.down:
            raise QueueUnavailable("it is away")

    def consume(self, *, timeout_s: float) -> JSONObject | None:
        return self.queue.consume(timeout_s=timeout_s)

    def close(self) -> None:
        pass


@define
class Job:
    """What somebody does: `task` is the one that a worker has taken, and still tries to do (`trying`)."""

    what: str
    holder: str = ""
    task: Task | None = None
    trying: bool = False
    actor: Actor = field(init=False, repr=False)


class TaskMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world, self.steps = stepped_world()
        self.records, self.blobs = self.world.records.store, self.world.blobs.store
        self.queue = self.world.queue = Unsteady(self.world.queue)
        self.sweep = self.world.work().sweep
        self.jobs: list[Job] = []
        self.found: list[JSONObject] = []
        self.holders = 0
        self.submitted: list[str] = []
        self.ended: dict[str, Mapping[str, Any]] = {}
        #: Tasks whose model has been dropped, whatever was made of it.
        self.bereft: set[str] = set()
        #: What those who died, or met with trouble, may have left lying around.
        self.orphans: set[str] = set()
        self.troubled: list[Job] = []

    @initialize(tasks=st.lists(st.tuples(ACTIONS, st.booleans(), st.integers(1, 3)), min_size=1, max_size=3))
    def begin(self, tasks: list[tuple[str, bool, int]]) -> None:
        self.world.models().create("m", LINEAR)
        self.world.datasets().put(MISSING, encode(pd.DataFrame({"x": [1.0, 2.0]})))
        for action, own, attempts in tasks:
            self.submit(action, own, attempts, ALL)

    @rule(data=st.data())
    def act(self, data: Any) -> None:
        """Of all that may happen something does; rules of their own would be chosen too unevenly."""

        def one(*things: Any) -> Any:
            return data.draw(st.sampled_from(things))

        trying = [job for job in self.jobs if job.trying]
        acts = []
        if self.jobs:
            acts += ["go on", "go on", "go on", "die", "trouble"]
        if self.waiting():
            acts += ["work"] * 6
        if trying:
            acts += ["held up", "held up", "supervise", "supervise"]
        if len(self.jobs) + self.open_tasks() < 5:
            acts += ["submit"] * 3
        acts += ["time", "time", "sweep", "sweep", "cancel", "ask", "expire", "world", "world"]
        match one(*acts):
            case "submit":
                attempts = one(1, 2, 3)
                self.submit(data.draw(ACTIONS), one(True, False), attempts, data.draw(STEPS))
            case "work":
                self.work(one("hears", "sees", "knows"), one(*self.waiting()), data.draw(STEPS))
            case "sweep" | "cancel" | "ask" | "expire" as what:
                self.begin_to(what, one(*self.submitted or [""]), data.draw(STEPS))
            case "go on":
                job = one(*self.jobs)
                steps = data.draw(STEPS)
                self.proceed(job, lambda: job.actor.steps(steps))
            case "die":
                self.die(one(*self.jobs), one(True, False))
            case "trouble":
                self.meet_with_trouble(one(*self.jobs), one(True, False))
            case "held up":
                self.be_held_up(one(*trying), one(True, False))
            case "supervise":
                why = one("look", "look", "too long", "stop", "died")
                self.supervise(one(*trying), why, one(True, False), data.draw(STEPS))
            case "time":
                self.world.clock.move(one(1, 6, 11, 11, 11, STRAY_S, 90_000))
            case "world":
                self.change_the_world(one(*CHANGES))

    # what they do

    def start(self, job: Job, work: Callable[[], Any], steps: int) -> None:
        job.actor = self.steps.actor(work)
        self.jobs.append(job)
        self.proceed(job, lambda: job.actor.steps(steps))

    def proceed(self, job: Job, act: Callable[[], Any]) -> None:
        act()
        if not job.actor.done:
            return
        self.jobs.remove(job)
        error = job.actor.error
        if error is not None and not isinstance(error, EXPECTED):
            raise error
        if error is None and job.what == "submit":
            self.submitted.append(job.actor.result.id)
        if error is None and job.what == "sweep":
            self.found.extend({"bucket": task.bucket, "id": task.id} for task in job.actor.result)

    def forgive(self, job: Job) -> None:
        """What this one leaves behind is nobody's fault."""
        self.orphans |= set(job.actor.changed)
        if job.what == "expire":
            for value in self.ended.values():
                self.orphans |= set(ids_in(value))

    def holder(self) -> str:
        self.holders += 1
        return f"holder {self.holders}"

    def submit(self, action: str, own: bool, attempts: int, steps: int) -> None:
        x, y = (X, None if action == "predict" else Y) if own else (MISSING, None)
        tasks, inputs = self.world.tasks(), {"datax": x, "datay": y}
        self.start(
            Job("submit"), lambda: tasks.submit(MODEL, "m", action, inputs=inputs, attempts=attempts), steps
        )

    def work(self, how: str, id: str, steps: int) -> None:
        message: JSONObject | None = {"bucket": "store", "id": id}
        if how == "hears":
            message = self.queue.consume(timeout_s=0) or message
        elif how == "sees" and self.found:
            message = self.found.pop(0)
        job = Job("work", self.holder())
        self.start(job, lambda: self.worker(job, message), steps)

    def begin_to(self, what: str, id: str, steps: int) -> None:
        acts: dict[str, Callable[[], Any]] = {
            "sweep": lambda: list(self.sweep.waiting()),
            "expire": lambda: self.world.leases().expire(),
            "cancel": lambda: self.world.tasks().cancel(id),
            "ask": lambda: self.world.tasks().get(id),
        }
        self.start(Job(what), acts[what], steps)

    def worker(self, job: Job, message: JSONObject) -> None:
        work = self.world.work()
        task = work.claim(message, job.holder)
        if task is None:
            return
        job.task, job.trying = task, True
        result = work.attempt(task, job.holder, lambda _: None)
        job.trying = False
        persistently(lambda: self.finish(task, job.holder, result))

    def finish(self, task: Task, holder: str, result: Result) -> None:
        endings = self.world.endings()
        if isinstance(result, Done):
            endings.succeed(task, holder, result.answer)
        elif isinstance(result, Again) and task.attempts < task.max_attempts:
            self.world.leases().give_back(task, holder=holder, counts=True)
        else:
            endings.fail(task, holder, result.failure)

    def supervise(self, job: Job, why: str, after: bool, steps: int) -> None:
        """As the supervisor does with the process that it has given the task to."""
        assert job.task is not None
        task, leases = job.task, self.world.leases()
        failure: Failure | None = Failure("TimedOut", "too long") if why == "too long" else LOST
        if why == "look":
            try:
                leases.check(task, holder=job.holder)
                leases.renew(task, holder=job.holder)
                return
            except Cancelled:
                failure = None
            except LeaseLost:
                self.die(job, after)
                return
        self.die(job, after)

        def end() -> None:
            if why == "stop":
                leases.give_back(task, holder=job.holder, counts=False)
                return
            current = self.world.task_records().find(task.bucket, task.id)
            if current is not None:
                self.world.endings().settle(current, job.holder, None if current.cancelled else failure)

        self.start(Job("end"), lambda: persistently(end), steps)

    # how they go on

    def die(self, job: Job, after: bool) -> None:
        self.proceed(job, lambda: job.actor.kill(after=after))
        self.forgive(job)

    def meet_with_trouble(self, job: Job, after: bool) -> None:
        self.proceed(job, lambda: job.actor.fail(StoreUnavailable("who knows"), after=after))
        self.troubled.append(job)

    def be_held_up(self, job: Job, taken: bool) -> None:
        """Past the last check and before the commit, until the lease has lapsed, and somebody has noticed
        (`taken`).
        """
        self.proceed(job, lambda: job.actor.advance(is_commit))
        self.world.clock.move(self.world.policy.lease_s + 1)
        if taken:
            self.begin_to("sweep", "", ALL)

    def change_the_world(self, what: str) -> None:
        models, datasets = self.world.models(), self.world.datasets()
        match what:
            case "the queue is up" | "the queue is down" | "the queue lies":
                self.queue.down, self.queue.lies = what != "the queue is up", what == "the queue lies"
            case "the queue forgets":
                while self.queue.consume(timeout_s=0) is not None:
                    pass
            case "another fits":
                models.fit("m", X, Y)
            case "another replaces":
                models.create("m", LINEAR, replace=True)
            case "another drops":
                self.bereft |= {*self.tasks(), *self.ended}
                models.drop("m")
                models.create("m", LINEAR)
            case "the data goes" | "the data comes":
                with suppress(NotFound):
                    datasets.drop(MISSING)
                if what == "the data comes":
                    datasets.put(MISSING, encode(pd.DataFrame({"x": [1.0, 2.0]})))

    # what must hold

    def tasks(self) -> dict[str, Mapping[str, Any]]:
        """The tasks as they are stored."""
        page = self.records.page("task/", limit=10_000)
        return {record.key.rpartition("/")[2]: record.value for record in page.records}

    def waiting(self) -> list[str]:
        return [id for id, value in self.tasks().items() if value["status"] in (PENDING, RETRY)]

    def open_tasks(self) -> int:
        return sum(value["status"] not in FINAL for value in self.tasks().values())

    def versions(self) -> dict[str, list[int]]:
        """The versions of the model, by the call that made them."""
        made: dict[str, list[int]] = {}
        heads = self.records.page(f"object/store/{MODEL}/").records
        for head in heads:
            number, tip = head.value["version"], head.value["tip"]
            while number > 0:
                value = self.records.read(f"version/{head.value['uid']}/{number:012d}/{tip}").value
                made.setdefault(value["payload"].get("call", ""), []).append(number)
                number, tip = number - 1, value["parent"]
        return made

    @invariant()
    def all_is_true(self) -> None:
        tasks, made = self.tasks(), self.versions()
        blobs = set(self.blobs.ids())
        for id in self.submitted:
            assert id in tasks or self.has_expired(id), "a task has vanished"
        for id, value in tasks.items():
            assert id not in self.ended or self.ended[id] == value, "a final state has changed"
            assert value["attempts"] <= value["max_attempts"]
            assert (value["status"] in FINAL) == (value["ended"] is not None)
            if value["status"] in FINAL:
                self.ended[id] = value
                assert value["lease"] is None
                assert value["status"] != REVOKED or value["cancelled"]
            if value["status"] == PENDING:
                assert value["attempts"] == 0
        for id, value in self.ended.items():
            versions = made.get(id, [])
            if value["status"] != SUCCESS:
                assert versions == [], "it has not succeeded, and there is a version"
            elif value["call"]["action"] != "predict":
                assert versions or id in self.bereft, "it has succeeded, and there is no version"
            if id in tasks and value["status"] == SUCCESS:
                assert value["result"]["id"] in blobs, "the answer is gone"
        assert all(len(numbers) == 1 for call, numbers in made.items() if call), "a fit was made twice"

    def has_expired(self, id: str) -> bool:
        if id not in self.ended:
            return False
        ended = datetime.fromisoformat(self.ended[id]["ended"])
        return ended + timedelta(seconds=self.world.policy.retention_s) < self.world.clock.now()

    def settle_down(self) -> None:
        """Nobody of those moves; a live worker looks after everything for some leases."""
        for _ in range(8):
            self.world.clock.move(self.world.policy.lease_s + 1)
            for task in self.sweep.waiting():
                carry_out(self.world, task, self.holder())
        open = {id: value for id, value in self.tasks().items() if value["status"] not in FINAL}
        assert not open, "a task has not ended"
        self.all_is_true()
        self.answers_are_right()

    def answers_are_right(self) -> None:
        made = self.versions()
        for id, value in self.tasks().items():
            if value["status"] == SUCCESS and value["call"]["action"] != "predict" and id not in self.bereft:
                answer = json.loads(b"".join(self.blobs.read(value["result"]["id"])))
                assert answer["version"] == made[id][0]

    def latecomers_end(self) -> None:
        for job in list(self.jobs):
            self.proceed(job, job.actor.advance)
            self.all_is_true()

    def nothing_is_left(self) -> None:
        self.world.clock.move(self.world.policy.retention_s + STRAY_S)
        for _ in range(2):
            list(self.sweep.waiting())
        while self.world.leases().expire():
            pass
        self.all_is_true()
        assert self.records.page("task").total == 0
        for job in self.troubled:
            self.forgive(job)
        wanted: set[str] = set()
        for head in self.records.page("object/").records:
            for version in self.records.page(f"version/{head.value['uid']}/").records:
                wanted |= set(ids_in(version.value))
        left = set(self.blobs.ids()) - wanted - self.orphans
        assert not left, "something was left behind"

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.settle_down()
                self.latecomers_end()
                self.settle_down()
                self.nothing_is_left()
        finally:
            self.steps.close()


def persistently(act: Callable[[], object]) -> None:
    """As the supervisor does: until the store can be reached, or the lease is lost."""
    while True:
        try:
            act()
            return
        except StoreUnavailable:
            continue
        except LeaseLost:
            return


def ids_in(value: Any) -> list[str]:
    """The ids of blobs in the value of a record."""
    if isinstance(value, Mapping):
        own = [value["id"]] if isinstance(value.get("id"), str) else []
        return [*own, *(id for part in value.values() for id in ids_in(part))]
    return [id for part in value for id in ids_in(part)] if isinstance(value, list) else []


TestTasks = TaskMachine.TestCase
TestTasks.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
