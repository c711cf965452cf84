from collections.abc import Iterator

import pytest

from tests.support.services import World
from tests.unit.domain.tasks.hands import LINEAR, Steps, stepped_world


@pytest.fixture
def stepped() -> Iterator[tuple[World, Steps]]:
    world, steps = stepped_world()
    yield world, steps
    steps.close()


@pytest.fixture
def world(stepped: tuple[World, Steps]) -> World:
    world, _ = stepped
    world.models().create("m", LINEAR)
    return world


@pytest.fixture
def steps(world: World, stepped: tuple[World, Steps]) -> Steps:
    """What takes the steps of `world`, from now on."""
    _, steps = stepped
    steps.taken.clear()
    return steps
