"""A worker that is held up between its last check and its commit, and all who may come between, at all
moments of what they do.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from omega.domain.contents import encode
from omega.domain.errors import Conflict
from omega.domain.tasks import FAILURE, REVOKED, SUCCESS, LeaseLost, Task
from tests.support.services import World
from tests.unit.domain.tasks.hands import (
    LINEAR,
    Step,
    attempt,
    carry_out,
    claim,
    finish,
    is_change,
    is_commit,
    is_end,
    is_true,
    lapse,
    look_after,
    state,
    stepped_world,
    submit_fit,
)


def reads_head(step: Step) -> bool:
    return step.method == "read" and step.key.startswith("object/store/model/")


def reads_task(step: Step) -> bool:
    return step.method == "read" and step.key.startswith("task/")


#: The moments at which the late worker is held up, each found by going on from the one before.
MOMENTS: list[tuple[str, Callable[[Step], bool]]] = [
    ("it stores the model", is_change),
    ("it looks at the head", reads_head),
    ("it checks its lease", reads_task),
    ("it writes the version", is_change),
    ("it swings the head", is_commit),
    ("it stores the answer", is_change),
    ("it ends the task", is_end),
]


def cancelled(world: World, task: Task) -> None:
    with suppress(Conflict):
        world.tasks().cancel(task.id)


def asked_for(world: World, task: Task) -> None:
    world.tasks().get(task.id)


def tried_again(world: World, task: Task) -> None:
    world.tasks().get(task.id)
    carry_out(world, task, "newer")


def looked_after(world: World, task: Task) -> None:
    for found in world.work().sweep.waiting():
        carry_out(world, found, "newer")


def tried_again_without_its_data(world: World, task: Task) -> None:
    world.datasets().drop("d")
    tried_again(world, task)


def tried_again_after_its_model_moved_on(world: World, task: Task) -> None:
    world.models().fit("m", "d")
    tried_again(world, task)


#: Who comes between, how many attempts the task has, and how it may end.
OTHERS = [
    (cancelled, 3, {REVOKED, SUCCESS}),
    (asked_for, 1, {FAILURE, SUCCESS}),
    (tried_again, 3, {SUCCESS}),
    (looked_after, 2, {SUCCESS}),
    (tried_again_without_its_data, 2, {FAILURE, SUCCESS}),
    (tried_again_after_its_model_moved_on, 3, {SUCCESS}),
]


class Meeting:
    """A late worker at one of the moments, whose lease has lapsed, and another who is about to begin."""

    def __init__(self, moment: int, other: Callable[[World, Task], None], attempts: int) -> None:
        self.world, self.steps = stepped_world()
        world = self.world
        world.models().create("m", LINEAR)
        world.datasets().put("d", encode([[1.0], [2.0]]))
        self.task = submit_fit(world, x="d", y=None, attempts=attempts)
        taken = claim(world, self.task, "late")

        def work() -> Any:
            try:
                return finish(world, taken, "late", attempt(world, taken, "late"))
            except LeaseLost:
                return None

        self.late = self.steps.actor(work)
        for _, there in MOMENTS[: moment + 1]:
            self.late.to(there)
        lapse(world)
        self.other = self.steps.actor(lambda: other(world, self.task))

    def end(self, allowed: set[str]) -> None:
        self.late.end()
        self.other.end()
        if not state(self.world, self.task).is_final:
            look_after(self.world)
        is_true(self.world, self.task)
        assert state(self.world, self.task).status in allowed
        before = state(self.world, self.task)
        look_after(self.world)
        assert state(self.world, self.task) == before


@pytest.mark.parametrize("moment", range(len(MOMENTS)), ids=[name for name, _ in MOMENTS])
@pytest.mark.parametrize(("other", "attempts", "allowed"), OTHERS, ids=[o.__name__ for o, _, _ in OTHERS])
def test_the_late_worker_goes_on_at_any_moment_of_the_other(moment, other, attempts, allowed):
    step = 0
    while True:
        meeting = Meeting(moment, other, attempts)
        try:
            meeting.other.steps(step + 1)
            done = meeting.other.done
            meeting.end(allowed)
        except AssertionError as error:
            error.add_note(f"the other had taken {step} steps")
            raise
        finally:
            meeting.steps.close()
        if done:
            break
        step += 1
    assert step > 2


@pytest.mark.parametrize("moment", range(len(MOMENTS)), ids=[name for name, _ in MOMENTS])
@pytest.mark.parametrize(("other", "attempts", "allowed"), OTHERS, ids=[o.__name__ for o, _, _ in OTHERS])
def test_the_late_worker_comes_last_or_dies(moment, other, attempts, allowed):
    for dies in (False, True):
        meeting = Meeting(moment, other, attempts)
        meeting.other.end()
        if dies:
            meeting.late.kill()
            look_after(meeting.world)
            is_true(meeting.world, meeting.task)
        else:
            meeting.end(allowed)
        meeting.steps.close()
