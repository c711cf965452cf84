"""Services on stores of the test's choice, with a clock that only the test moves."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from attrs import define, field

from omega.adapters.arrow_frames.frames import ArrowFrameStore
from omega.adapters.huey_queue.queue import open_queue
from omega.adapters.memory.blobs import MemoryBlobStore
from omega.adapters.memory.cache import LruCache
from omega.adapters.memory.records import MemoryRecordStore
from omega.adapters.sklearn_models.models import JoblibModelCodec, SklearnModelExecutor
from omega.adapters.system.signer import HmacSigner
from omega.domain.catalogue import Catalogue
from omega.domain.datasets import DatasetService
from omega.domain.job_schedules import Scheduler
from omega.domain.models import ModelService
from omega.domain.names import DATASET, MODEL
from omega.domain.payloads import Payloads
from omega.domain.segments import Segments
from omega.domain.tasks import (
    Answer,
    Endings,
    InputStore,
    Leases,
    Policy,
    Sweep,
    Task,
    TaskRecords,
    TaskService,
    Workers,
)
from omega.entrypoints.actions.models import ModelActions, left_by
from omega.entrypoints.work import Attempt, Work
from omega.ports.models import Fitted


@define
class Ticking:
    """A clock that is one second later at each look."""

    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


@define
class Still:
    """A clock that stands still until it is moved."""

    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@define
class Counting:
    """Ids that count."""

    last: int = 0

    def new(self) -> str:
        self.last += 1
        return f"{self.last:026d}"


class CheapExecutor:
    """Makes models that count how often and on how many rows they were fitted, and cost nothing."""

    def create(self, spec: Sequence[Any]) -> Any:
        return {"spec": list(spec), "fits": 0, "rows": 0}

    def describe(self, model: Any) -> Mapping[str, Any]:
        fixed = {"class": "Cheap", "type": "regressor", "params": {}, "actions": ["fit", "predict"]}
        return {**fixed, "fitted": model["fits"] > 0, "features": None, "classes": None}

    def fit(self, model: Any, *, action: str, x: pa.Table, **_: Any) -> Fitted:
        before = model if action == "partial_fit" else self.create(model["spec"])
        return Fitted({**before, "fits": before["fits"] + 1, "rows": before["rows"] + x.num_rows})

    def apply(self, model: Any, *, x: pa.Table, **_: Any) -> Any:
        return np.full(x.num_rows, model["fits"])


class CheapCodec:
    """The models of `CheapExecutor` as JSON."""

    kind = "cheap.json"

    def dump(self, model: Any) -> bytes:
        return json.dumps(model).encode()

    def load(self, payload: bytes) -> Any:
        return json.loads(payload)


@define
class World:
    """Everything that the services need, within reach of a test."""

    records: Any = field(factory=MemoryRecordStore)
    blobs: Any = field(factory=MemoryBlobStore)
    clock: Any = field(factory=Ticking)
    ids: Any = field(factory=Counting)
    key: bytes = b"k" * 32
    cache: Any = field(factory=lambda: LruCache(1 << 30))
    codec: Any = field(factory=JoblibModelCodec)
    executor: Any = field(factory=SklearnModelExecutor)
    queue: Any = field(factory=lambda: open_queue("memory://"))
    policy: Policy = field(factory=Policy)

    def catalogue(self, resource: str = DATASET, bucket: str = "store") -> Catalogue:
        return Catalogue(self.records, self.clock, self.ids, resource, bucket)

    def payloads(self) -> Payloads:
        return Payloads(self.blobs, self.ids)

    def segments(self) -> Segments:
        return Segments(ArrowFrameStore(self.blobs), self.payloads(), self.ids)

    def datasets(self, bucket: str = "store") -> DatasetService:
        return DatasetService(self.catalogue(DATASET, bucket), self.segments(), self.payloads())

    def models(self, bucket: str = "store") -> ModelService:
        return ModelService(
            self.catalogue(MODEL, bucket),
            self.datasets(bucket),
            self.payloads(),
            self.ids,
            self.codec,
            self.executor,
            HmacSigner(self.key),
            self.cache,
        )

    # Tasks, put together as in omega/entrypoints/bootstrap.py.

    def task_records(self) -> TaskRecords:
        return TaskRecords(self.records)

    def inputs(self) -> InputStore:
        return InputStore(self.segments)

    def endings(self) -> Endings:
        return Endings(
            self.task_records(),
            self.payloads(),
            self.inputs(),
            self.clock,
            self.ids,
            self.policy,
            lambda task: left_by(self.catalogue(MODEL, task.bucket), task, Attempt.over(task)),
        )

    def leases(self) -> Leases:
        return Leases(self.task_records(), self.queue, self.clock, self.policy, self.endings())

    def tasks(self, bucket: str = "store") -> TaskService:
        return TaskService(
            bucket,
            self.task_records(),
            self.inputs(),
            self.payloads(),
            self.queue,
            self.clock,
            self.ids,
            self.policy,
            self.endings(),
            self.leases(),
        )

    def workers(self) -> Workers:
        return Workers(self.records, self.clock)

    def work(self) -> Work:
        leases = self.leases()

        def perform(task: Task, run: Attempt) -> Answer:
            return ModelActions(self.models(task.bucket), self.inputs()).perform(task, run)

        return Work(
            leases=leases,
            sweep=Sweep(leases),
            scheduler=Scheduler(self.records, self.clock, self.ids, self.tasks),
            workers=self.workers(),
            ids=self.ids,
            clock=self.clock,
            payloads=self.payloads(),
            policy=self.policy,
            queue=self.queue,
            consumer=self.queue,
            inline=True,
            tasks=self.tasks,
            perform=perform,
            close=self.queue.close,
        )
