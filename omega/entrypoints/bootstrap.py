"""The composition root: the only module that names adapters."""

import secrets
from collections.abc import Callable

from attrs import field, frozen

from omega.adapters.arrow_frames.frames import ArrowFrameStore
from omega.adapters.embedded.blobs import DirectoryBlobStore
from omega.adapters.embedded.records import SqliteRecordStore
from omega.adapters.memory.blobs import MemoryBlobStore
from omega.adapters.memory.cache import LruCache
from omega.adapters.memory.records import MemoryRecordStore
from omega.adapters.sklearn_models.models import JoblibModelCodec, SklearnModelExecutor
from omega.adapters.system.clock import SystemClock
from omega.adapters.system.ids import TimeOrderedIds
from omega.adapters.system.signer import HmacSigner, load_or_create_key
from omega.domain.catalogue import Catalogue
from omega.domain.datasets import DatasetService
from omega.domain.models import ModelService
from omega.domain.names import DATASET, MODEL
from omega.domain.payloads import Payloads
from omega.domain.segments import Segments
from omega.entrypoints.settings import Settings
from omega.ports.blobs import BlobStore
from omega.ports.records import RecordStore


@frozen
class Services:
    """The domain's services for one bucket, and the same for another bucket of the same stores."""

    datasets: DatasetService
    models: ModelService
    bucket: str
    within: Callable[[str], "Services"]
    close: Callable[[], None]


@frozen
class _Stores:
    records: RecordStore
    blobs: BlobStore
    signing_key: bytes = field(repr=False)
    close: Callable[[], None]


def _stores(settings: Settings) -> _Stores:
    path = settings.store_path
    if path is None:
        return _Stores(MemoryRecordStore(), MemoryBlobStore(), secrets.token_bytes(32), lambda: None)
    records = SqliteRecordStore(path / "records.sqlite")
    key = load_or_create_key(settings.home / "signing.key")
    return _Stores(records, DirectoryBlobStore(path / "blobs"), key, records.close)


def connect(settings: Settings, *, bucket: str) -> Services:
    """Open the stores that the settings name and put the services on them.

    Raises: BadInput for settings that cannot be used, StoreUnavailable.
    """
    stores = _stores(settings)
    records, blobs, key = stores.records, stores.blobs, stores.signing_key
    clock, ids, cache = SystemClock(), TimeOrderedIds(), LruCache(settings.model_cache_bytes)
    segments, payloads = Segments(ArrowFrameStore(blobs), ids), Payloads(blobs, ids)
    codec, executor, signer = JoblibModelCodec(), SklearnModelExecutor(), HmacSigner(key)

    def within(bucket: str) -> Services:
        datasets = DatasetService(Catalogue(records, clock, ids, DATASET, bucket), segments, payloads)
        models = ModelService(
            Catalogue(records, clock, ids, MODEL, bucket),
            datasets,
            payloads,
            ids,
            codec,
            executor,
            signer,
            cache,
        )
        return Services(datasets, models, bucket, within, stores.close)

    return within(bucket)
