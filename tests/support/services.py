"""Services on stores of the test's choice, with a clock that only the test moves."""

from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define, field

from omega.adapters.arrow_frames.frames import ArrowFrameStore
from omega.adapters.memory.blobs import MemoryBlobStore
from omega.adapters.memory.cache import LruCache
from omega.adapters.memory.records import MemoryRecordStore
from omega.adapters.sklearn_models.models import JoblibModelCodec, SklearnModelExecutor
from omega.adapters.system.signer import HmacSigner
from omega.domain.catalogue import Catalogue
from omega.domain.datasets import DatasetService
from omega.domain.models import ModelService
from omega.domain.names import DATASET, MODEL
from omega.domain.payloads import Payloads
from omega.domain.segments import Segments


@define
class Ticking:
    """A clock that is one second later at each look."""

    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


@define
class Counting:
    """Ids that count."""

    last: int = 0

    def new(self) -> str:
        self.last += 1
        return f"{self.last:026d}"


@define
class World:
    """Everything that the services need, within reach of a test."""

    records: Any = field(factory=MemoryRecordStore)
    blobs: Any = field(factory=MemoryBlobStore)
    clock: Any = field(factory=Ticking)
    ids: Any = field(factory=Counting)
    key: bytes = b"k" * 32
    cache: Any = field(factory=lambda: LruCache(1 << 30))

    def catalogue(self, resource: str = DATASET, bucket: str = "store") -> Catalogue:
        return Catalogue(self.records, self.clock, self.ids, resource, bucket)

    def datasets(self, bucket: str = "store") -> DatasetService:
        payloads = Payloads(self.blobs, self.ids)
        segments = Segments(ArrowFrameStore(self.blobs), payloads, self.ids)
        return DatasetService(self.catalogue(DATASET, bucket), segments, payloads)

    def models(self, bucket: str = "store") -> ModelService:
        return ModelService(
            self.catalogue(MODEL, bucket),
            self.datasets(bucket),
            Payloads(self.blobs, self.ids),
            self.ids,
            JoblibModelCodec(),
            SklearnModelExecutor(),
            HmacSigner(self.key),
            self.cache,
        )
