"""Writers that die at any step: what was acknowledged stays, what was not is there whole or not at all."""

from typing import Any

import numpy as np
import pandas as pd
from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from omega.adapters.memory.blobs import MemoryBlobStore
from omega.adapters.memory.records import MemoryRecordStore
from omega.domain.contents import decode_frame, encode
from omega.domain.errors import NotFound
from omega.domain.names import Reference
from tests.support.services import World


class Died(BaseException):
    """The process is gone."""


@define
class Fuse:
    """Counts the steps that change a store; the process dies before or after the chosen one."""

    left: int | None = None
    after: bool = False

    def step(self, change: Any) -> Any:
        if self.left is None:
            return change()
        if self.left == 0:
            if self.after:
                change()
            raise Died
        self.left -= 1
        return change()


@define
class Mortal:
    """A store whose writes and removals may be the process's last."""

    store: Any
    fuse: Fuse

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)
        if name not in ("write", "remove"):
            return method
        return lambda *args, **kwargs: self.fuse.step(lambda: method(*args, **kwargs))


@define
class Model:
    """What a reader may see: the states that the object may be in; `None` is no such object."""

    states: list[list[int] | None] = field(factory=lambda: [None])


NAMES = st.sampled_from(["a", "b"])
ROWS = st.lists(st.integers(0, 99), max_size=3)


class CrashMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.fuse = Fuse()
        self.world = World(
            records=Mortal(MemoryRecordStore(), self.fuse), blobs=Mortal(MemoryBlobStore(), self.fuse)
        )
        self.seen: dict[str, list[int] | None] = {"a": None, "b": None}

    def attempt(self, name: str, act: Any, outcome: list[int] | None, steps: int | None, after: bool) -> None:
        """Do `act`, perhaps dying on the way; then the object is as before or as after, and stays so."""
        before = self.seen[name]
        self.fuse.left, self.fuse.after = steps, after
        try:
            act()
        except Died:
            allowed = [before, outcome]
        else:
            allowed = [outcome]
        self.fuse.left = None
        now = self.read(name)
        assert now in allowed
        self.seen[name] = now

    def read(self, name: str) -> list[int] | None:
        try:
            reading = self.world.datasets().open(Reference(name))
        except NotFound:
            return None
        return [int(x) for x in decode_frame(reading.metadata.kind, reading.tables)["x"]]

    @rule(
        name=NAMES, rows=ROWS, append=st.booleans(), steps=st.none() | st.integers(0, 5), after=st.booleans()
    )
    def put(self, name: str, rows: list[int], append: bool, steps: int | None, after: bool) -> None:
        content = encode(pd.DataFrame({"x": np.array(rows, dtype="int64")}))
        outcome = [*((self.seen[name] or []) if append else []), *rows]
        self.attempt(
            name, lambda: self.world.datasets().put(name, content, append=append), outcome, steps, after
        )

    @rule(name=NAMES, steps=st.none() | st.integers(0, 9), after=st.booleans())
    def drop(self, name: str, steps: int | None, after: bool) -> None:
        if self.seen[name] is not None:
            self.attempt(name, lambda: self.world.datasets().drop(name), None, steps, after)

    @invariant()
    def every_version_can_be_read(self) -> None:
        datasets = self.world.datasets()
        for item in datasets.list().items:
            for number in range(1, item.version + 1):
                list(datasets.open(Reference(item.name, at=number)).tables)


TestCrashes = CrashMachine.TestCase
TestCrashes.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)


def test_without_a_death_nothing_is_left_behind() -> None:
    world = World()
    datasets = world.datasets()
    for append in (True, True, False):
        datasets.put("a", encode(pd.DataFrame({"x": [1, 2]})), append=append)
    datasets.drop("a")
    assert world.records.page("").total == 0
    assert list(world.blobs.ids()) == []
