"""Stores with something of everything in them, and what is in a store."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from attrs import define, field
from hypothesis import strategies as st

from omega.adapters.memory.blobs import MemoryBlobStore
from omega.adapters.memory.records import MemoryRecordStore
from omega.adapters.memory.upkeep import MemoryUpkeep
from omega.domain.contents import encode
from omega.domain.doctor import Doctor, Finding
from omega.domain.documents import Documents
from omega.domain.errors import NotFound
from omega.domain.features import as_features
from omega.domain.job_runs import JobRuns, RunError
from omega.domain.job_schedules import JobSchedules
from omega.domain.migration import StorePlace
from omega.domain.names import JOB, SCRIPT
from omega.domain.schedules import Schedule
from omega.domain.segments import SEGMENT_ROWS
from omega.domain.tasks import Task
from omega.ports.records import Record
from tests.support.services import CheapCodec, CheapExecutor, Still, Ticking, World

BUCKETS = ("store", "team")


def empty_world() -> World:
    """A world at the time of the machine, by which the stores in memory tell the ages of payloads."""
    return World(clock=Ticking(datetime.now(UTC)), codec=CheapCodec(), executor=CheapExecutor())


@define
class Filler:
    """Does to a store what users do, in one bucket."""

    world: World
    bucket: str = "store"

    def frame(self, name: str, rows: int, append: bool) -> None:
        frame = pd.DataFrame({"x": np.arange(rows), "s": pd.Series(["é"] * rows, dtype="str")})
        self.world.datasets(self.bucket).put(name, encode(frame), append=append)

    def long(self, name: str) -> None:
        """A frame of two segments, with a payload of their bounds."""
        frame = pd.DataFrame({"n": np.arange(SEGMENT_ROWS + 1)})
        self.world.datasets(self.bucket).put(name, encode(frame), append=False)

    def wide(self, name: str) -> None:
        """A frame whose schema is a payload of its own."""
        frame = pd.DataFrame({f"column {n} {'x' * 100}": [n] for n in range(200)})
        self.world.datasets(self.bucket).put(name, encode(frame), append=False)

    def value(self, name: str) -> None:
        content = encode({"a": [1, None], "b": "text"})
        self.world.datasets(self.bucket).put(name, content, append=False, idempotency_key="key")

    def drop(self, name: str) -> None:
        with suppress(NotFound):
            self.world.datasets(self.bucket).drop(name)

    def model(self, name: str) -> None:
        models = self.world.models(self.bucket)
        models.create(name, [["Cheap", {}]], replace=True)
        models.fit(name, {"x": [1, 2]}, {"y": [1, 2]})

    def script(self, name: str) -> None:
        documents = Documents(self.world.catalogue(SCRIPT, self.bucket), self.world.payloads(), "script")
        documents.put(name, b"def run(om): pass")

    def runs(self) -> JobRuns:
        return JobRuns(self.world.records, self.world.payloads(), self.world.clock, self.bucket)

    def job(self, name: str, ends: bool) -> None:
        documents = Documents(self.world.catalogue(JOB, self.bucket), self.world.payloads(), "notebook")
        metadata = documents.put(name, b'{"cells": []}')
        begun = self.runs().begin(metadata, parameters={"id": "x", "sha256": "", "size_bytes": 1}, task=None)
        if ends:
            self.runs().finish(begun, error=RunError("cell", "no"), notebook=b'{"cells": [1]}')

    def schedule(self, name: str) -> None:
        schedules = JobSchedules(self.world.records, self.world.clock, self.world.ids, self.bucket)
        schedules.put(name, Schedule("30 6 * * *", "UTC"), parameters={"a": 1}, timeout_s=None)

    def task(self, end: str) -> Task:
        inputs = {"datax": as_features(pd.DataFrame({"x": [1, 2]}), source="datax"), "datay": "sample[y]"}
        task = self.world.tasks(self.bucket).submit("model", "m", "predict", options={}, inputs=inputs)
        if end == "waits":
            return task
        if end == "revoked":
            return self.world.tasks(self.bucket).cancel(task.id)
        claimed = self.world.leases().claim(self.bucket, task.id, holder="h")
        assert claimed is not None
        if end == "runs":
            return claimed
        answer = self.world.payloads().write([b'{"result": [1, 2]}'])
        return self.world.endings().succeed(claimed, "h", answer)


_names = st.sampled_from(["a", "folder/b", "_hidden", "é"])
Action = Callable[[Filler], Any]
_actions: st.SearchStrategy[tuple[str, Sequence[Any]]] = st.one_of(
    st.tuples(st.just("frame"), st.tuples(_names, st.integers(0, 3), st.booleans())),
    st.tuples(st.just("value"), st.tuples(st.sampled_from(["v", "w/v"]))),
    st.tuples(st.just("wide"), st.tuples(st.just("wide"))),
    st.tuples(st.just("drop"), st.tuples(_names)),
    st.tuples(st.just("model"), st.tuples(_names)),
    st.tuples(st.just("script"), st.tuples(_names)),
    st.tuples(st.just("job"), st.tuples(st.sampled_from(["j.ipynb", "f/j.ipynb"]), st.booleans())),
    st.tuples(st.just("schedule"), st.tuples(st.just("j.ipynb"))),
    st.tuples(st.just("task"), st.tuples(st.sampled_from(["waits", "runs", "revoked", "done"]))),
)
#: What is done in which bucket, one after the other.
histories = st.lists(st.tuples(st.sampled_from(BUCKETS), _actions), max_size=8)
EVERYTHING = [
    ("store", ("frame", ("a", 2, True))),
    ("store", ("frame", ("a", 1, True))),
    ("team", ("frame", ("a", 0, False))),
    ("store", ("wide", ("wide",))),
    ("store", ("value", ("w/v",))),
    ("store", ("model", ("é",))),
    ("store", ("script", ("_hidden",))),
    ("store", ("job", ("f/j.ipynb", True))),
    ("store", ("job", ("f/j.ipynb", False))),
    ("store", ("schedule", ("j.ipynb",))),
    ("store", ("task", ("waits",))),
    ("team", ("task", ("runs",))),
    ("store", ("task", ("revoked",))),
    ("store", ("task", ("done",))),
]


def fill(world: World, history: Sequence[Any]) -> World:
    """Let all that happen in a world."""
    for bucket, (action, arguments) in history:
        getattr(Filler(world, bucket), action)(*arguments)
    return world


def place(world: World) -> StorePlace:
    return StorePlace(world.records, world.blobs)


def empty_place() -> StorePlace:
    return StorePlace(MemoryRecordStore(), MemoryBlobStore())


def doctor(where: StorePlace, *, later: timedelta = timedelta(hours=2), window: int = 100_000) -> Doctor:
    """A doctor who comes some time after everything that was done."""
    return Doctor(
        where.records, where.blobs, (MemoryUpkeep(),), Still(datetime.now(UTC) + later), window=window
    )


def findings(where: StorePlace, **more: Any) -> list[Finding]:
    return list(doctor(where, **more).examine())


def records_of(where: StorePlace) -> dict[str, Record]:
    """All records, but for those of the place itself."""
    return {
        record.key: record
        for record in where.records.page("", limit=100_000).records
        if record.key not in ("store", "migration") and not record.key.startswith("worker/")
    }


def values_of(where: StorePlace) -> dict[str, Any]:
    return {key: record.value for key, record in records_of(where).items()}


def blobs_of(where: StorePlace) -> dict[str, bytes]:
    return {id: b"".join(where.blobs.read(id)) for id in where.blobs.ids()}


@define
class Hooked:
    """A store that calls `hook` with the name of a method before each call of it."""

    store: Any
    hook: Callable[[str], Any]
    _busy: bool = field(default=False, init=False)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if not self._busy:
                self._busy = True
                try:
                    self.hook(name)
                finally:
                    self._busy = False
            return method(*args, **kwargs)

        return call
