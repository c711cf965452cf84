"""The composition root: the only module that names adapters."""

import secrets
from collections.abc import Callable
from functools import cache, cached_property

from attrs import field, frozen

from omega.adapters.arrow_frames.frames import ArrowFrameStore
from omega.adapters.embedded.blobs import DirectoryBlobStore
from omega.adapters.embedded.records import SqliteRecordStore
from omega.adapters.memory.blobs import MemoryBlobStore
from omega.adapters.memory.cache import LruCache
from omega.adapters.memory.records import MemoryRecordStore
from omega.adapters.system.clock import SystemClock
from omega.adapters.system.ids import TimeOrderedIds
from omega.adapters.system.signer import HmacSigner, UnusableKeyFile, load_or_create_key
from omega.domain.catalogue import Catalogue
from omega.domain.datasets import DatasetService
from omega.domain.errors import BadInput
from omega.domain.models import ModelService
from omega.domain.names import DATASET, MODEL
from omega.domain.payloads import Payloads
from omega.domain.segments import Segments
from omega.entrypoints.settings import Settings
from omega.ports.blobs import BlobStore
from omega.ports.models import ModelCodec, ModelExecutor
from omega.ports.records import RecordStore


@frozen(slots=False)
class Services:
    """The domain's services for one bucket, and the same for another bucket of the same stores.

    `models` are put together at first use: scikit-learn takes a second to import, which `om datasets` need
    not wait for.
    """

    datasets: DatasetService
    bucket: str
    within: Callable[[str], "Services"]
    close: Callable[[], None]
    _make_models: Callable[[], ModelService] = field(alias="make_models", repr=False)

    @cached_property
    def models(self) -> ModelService:
        """Models and what they are asked."""
        return self._make_models()


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
    try:
        key = load_or_create_key(settings.home / "signing.key")
    except UnusableKeyFile as error:
        raise BadInput(str(error)) from error
    except OSError as error:
        raise BadInput(f"cannot keep a signing key in {settings.home}: {error.strerror or error}") from error
    return _Stores(records, DirectoryBlobStore(path / "blobs"), key, records.close)


def connect(settings: Settings, *, bucket: str) -> Services:
    """Open the stores that the settings name and put the services on them.

    Raises: BadInput for settings that cannot be used, StoreUnavailable.
    """
    stores = _stores(settings)
    clock, ids, loaded = SystemClock(), TimeOrderedIds(), LruCache(settings.model_cache_bytes)
    payloads, signer = Payloads(stores.blobs, ids), HmacSigner(stores.signing_key)
    segments = Segments(ArrowFrameStore(stores.blobs), payloads, ids)

    def within(bucket: str) -> Services:
        def catalogue(resource: str) -> Catalogue:
            return Catalogue(stores.records, clock, ids, resource, bucket)

        def models() -> ModelService:
            codec, executor = _scikit_learn(settings.model_cells)
            return ModelService(catalogue(MODEL), datasets, payloads, ids, codec, executor, signer, loaded)

        datasets = DatasetService(catalogue(DATASET), segments, payloads)
        return Services(datasets, bucket, within, stores.close, models)

    return within(bucket)


@cache
def _scikit_learn(max_cells: int) -> tuple[ModelCodec, ModelExecutor]:
    from omega.adapters.sklearn_models.models import JoblibModelCodec, SklearnModelExecutor

    return JoblibModelCodec(), SklearnModelExecutor(max_cells=max_cells)
