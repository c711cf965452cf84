"""The composition root: the only module that names adapters."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from omega.adapters.embedded.blobs import DirectoryBlobStore
from omega.adapters.embedded.records import SqliteRecordStore
from omega.adapters.embedded.upkeep import DirectoryUpkeep, SqliteUpkeep
from omega.adapters.key_store.keys import RecordKeyStore, RecordKeySwitch
from omega.adapters.memory.blobs import MemoryBlobStore
from omega.adapters.memory.cache import LruCache
from omega.adapters.memory.records import MemoryRecordStore
from omega.adapters.memory.upkeep import MemoryUpkeep
from omega.adapters.system.clock import SystemClock
from omega.adapters.system.ids import TimeOrderedIds
from omega.adapters.system.signer import HmacSigner, UnusableKeyFile, load_key, load_or_create_key
from omega.domain.access import OWNER, Access, Gate, Only
from omega.domain.catalogue import LISTS, Catalogue
from omega.domain.dataset_shelf import DatasetShelf
from omega.domain.documents import Documents
from omega.domain.errors import BadInput
from omega.domain.job_runs import JobRuns
from omega.domain.job_schedules import JobSchedules, Scheduler
from omega.domain.jobs import KIND as NOTEBOOK
from omega.domain.jobs import JobService
from omega.domain.names import DATASET, JOB, MODEL, SCRIPT
from omega.domain.payloads import Payloads
from omega.domain.scripts import KIND as SCRIPT_KIND
from omega.domain.scripts import ScriptService
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
from omega.domain.trust import Trust
from omega.entrypoints.services import Services
from omega.entrypoints.settings import Settings
from omega.entrypoints.trail import present_request
from omega.entrypoints.work import Attempt, Work, log_end
from omega.ports.blobs import DatedBlobStore
from omega.ports.clock import Clock
from omega.ports.ids import Ids
from omega.ports.records import RecordStore, WalkableRecordStore
from omega.ports.signer import Signer
from omega.ports.upkeep import StoreUpkeep

if TYPE_CHECKING:
    from omega.adapters.prometheus_meter.meter import PrometheusMeter
    from omega.domain.datasets import DatasetService
    from omega.domain.keys import KeyService
    from omega.domain.models import ModelService
    from omega.domain.segments import Segments
    from omega.ports.models import ModelCodec, ModelExecutor


@frozen
class _Stores:
    records: WalkableRecordStore
    blobs: DatedBlobStore
    upkeep: tuple[StoreUpkeep, ...]
    signing_key: bytes = field(repr=False)
    close: Callable[[], None]


def _stores(settings: Settings) -> _Stores:
    if settings.store_in_memory:
        key = secrets.token_bytes(32)
        return _Stores(MemoryRecordStore(), MemoryBlobStore(), (MemoryUpkeep(),), key, lambda: None)
    if settings.store_in_mongodb:
        return _mongodb(settings)
    path = settings.store_path
    assert path is not None
    records, blobs = SqliteRecordStore(path / "records.sqlite"), DirectoryBlobStore(path / "blobs")
    upkeep = SqliteUpkeep(path / "records.sqlite"), DirectoryUpkeep(path / "blobs")
    return _Stores(records, blobs, upkeep, _signing_key(settings), records.close)


def _mongodb(settings: Settings) -> _Stores:
    from omega.adapters.mongo.blobs import MongoBlobStore
    from omega.adapters.mongo.database import UnusableStoreURL
    from omega.adapters.mongo.database import connect as connect_database
    from omega.adapters.mongo.records import MongoRecordStore
    from omega.adapters.mongo.upkeep import MongoUpkeep

    try:
        database = connect_database(settings.store)
    except UnusableStoreURL as error:
        raise BadInput(str(error)) from error
    records, blobs = MongoRecordStore(database, counted=LISTS), MongoBlobStore(database)
    return _Stores(records, blobs, (MongoUpkeep(database),), _signing_key(settings), database.close)


@frozen
class OpenStore:
    """A store and what looks after it, without the services on it."""

    records: WalkableRecordStore
    blobs: DatedBlobStore
    upkeep: tuple[StoreUpkeep, ...]
    signer: Signer
    clock: Clock
    ids: Ids


@contextmanager
def opened(settings: Settings) -> Iterator[OpenStore]:
    """The store that the settings name.

    Raises: BadInput for settings that cannot be used, StoreUnavailable.
    """
    stores = _stores(settings)
    try:
        signer = HmacSigner(stores.signing_key)
        yield OpenStore(stores.records, stores.blobs, stores.upkeep, signer, SystemClock(), TimeOrderedIds())
    finally:
        stores.close()


def _signing_key(settings: Settings) -> bytes:
    try:
        load = load_or_create_key if settings.signing_key_file is None else load_key
        return load(settings.signing_key_path)
    except UnusableKeyFile as error:
        raise BadInput(str(error)) from error
    except OSError as error:
        raise BadInput(f"cannot keep a signing key in {settings.home}: {error.strerror or error}") from error


def metered(settings: Settings) -> "PrometheusMeter":
    """A meter, and what it says. Of several processes with these settings all show the same figures."""
    from omega.adapters.prometheus_meter.meter import PrometheusMeter

    return PrometheusMeter(settings.figures_path)


def connect(settings: Settings, *, bucket: str, meter: "PrometheusMeter | None" = None) -> Services:
    """Open the stores that the settings name and put the services on them; `meter` is told what they do.

    Raises: BadInput for settings that cannot be used, StoreUnavailable.
    """
    stores = _stores(settings)
    clock, ids, loaded = SystemClock(), TimeOrderedIds(), LruCache(settings.model_cache_bytes, meter)
    payloads, signer = Payloads(stores.blobs, ids), HmacSigner(stores.signing_key)
    trust = Trust(stores.records, signer)

    def catalogue(resource: str, bucket: str, access: Access = OWNER) -> Catalogue:
        return Catalogue(stores.records, clock, ids, resource, bucket, Gate(resource, bucket, access))

    def runs(bucket: str, access: Access = OWNER) -> JobRuns:
        return JobRuns(stores.records, payloads, clock, bucket, Gate(JOB, bucket, access))

    @cache
    def segments() -> "Segments":
        from omega.adapters.arrow_frames.frames import ArrowFrameStore
        from omega.domain.segments import Segments

        return Segments(ArrowFrameStore(stores.blobs), payloads, ids)

    def left_by(task: Task) -> Answer | None:
        from omega.entrypoints import actions

        return actions.left_by(catalogue(MODEL, task.bucket), runs(task.bucket), task)

    def told(task: Task) -> None:
        log_end(task)
        if meter is not None:
            meter.ended(resource=task.call.resource, action=task.call.action, status=task.status)

    @cache
    def check_key() -> None:
        if not trust.is_mutual():
            raise BadInput(
                "the models of this store are signed with another key than that in "
                f"{settings.signing_key_path}: copy the key file of a machine that uses the store already "
                "there, or name it in OMEGA_SIGNING_KEY_FILE (if it is lost: om runtime key --adopt)"
            )

    @cache
    def work() -> Work:
        inputs = InputStore(segments)
        return _work(settings, stores.records, payloads, inputs, clock, ids, within, left_by, told)

    def close() -> None:
        if work.cache_info().currsize:
            work().close()
        stores.close()

    def within(bucket: str, access: Access = OWNER) -> Services:
        # They hold nothing but what they were made of, and nearly every request wants the same.
        return owned(bucket) if access is OWNER else services(bucket, access)

    @lru_cache(maxsize=64)
    def owned(bucket: str) -> Services:
        return services(bucket, OWNER)

    def services(bucket: str, access: Access) -> Services:
        def datasets() -> "DatasetService":
            from omega.domain.datasets import DatasetService

            return DatasetService(catalogue(DATASET, bucket, access), segments(), payloads)

        def models() -> "ModelService":
            from omega.domain.models import ModelService

            check_key()
            codec, executor = _scikit_learn(settings.model_cells)
            return ModelService(
                catalogue(MODEL, bucket, access), datasets(), payloads, ids, codec, executor, signer, loaded
            )

        def jobs() -> JobService:
            from omega.adapters.nbconvert_notebooks.notebooks import NbconvertNotebookConverter
            from omega.adapters.papermill_notebooks.notebooks import PapermillNotebookRunner

            return JobService(
                Documents(catalogue(JOB, bucket, access), payloads, NOTEBOOK),
                runs(bucket, access),
                NbconvertNotebookConverter(),
                PapermillNotebookRunner(),
                settings.within_a_task(bucket),
                settings.task_memory_bytes,
            )

        def scripts() -> ScriptService:
            from omega.adapters.subprocess_scripts.scripts import SubprocessScriptRunner

            return ScriptService(
                Documents(catalogue(SCRIPT, bucket, access), payloads, SCRIPT_KIND),
                SubprocessScriptRunner(),
                clock,
                settings.within_a_task(bucket),
                settings.task_memory_bytes,
            )

        def tasks() -> TaskService:
            return evolve(work().tasks(bucket), access=access)

        def keys() -> "KeyService":
            from omega.domain.keys import KeyService

            store, switch = RecordKeyStore(stores.records), RecordKeySwitch(stores.records)
            return KeyService(store, switch, clock, ids, access)

        remote = settings.queue_given and not settings.queue_in_memory
        makers: dict[str, Any] = {
            f"make_{maker.__name__}": maker for maker in (datasets, models, jobs, scripts, tasks, keys)
        }
        schedules = JobSchedules(stores.records, clock, ids, bucket, Gate(JOB, bucket, access))
        return Services(
            DatasetShelf(catalogue(DATASET, bucket, access)),
            schedules,
            bucket,
            remote,
            settings,
            meter,
            lambda other: within(other, access),
            lambda other, its: within(its, other),
            check_key,
            trust.adopt,
            close,
            make_work=work,
            **makers,
        )

    return within(bucket)


def _work(
    settings: Settings,
    store: RecordStore,
    payloads: Payloads,
    inputs: InputStore,
    clock: Clock,
    ids: Ids,
    within: Callable[[str, Access], Services],
    left_by: Callable[[Task], Answer | None],
    told: Callable[[Task], object],
) -> Work:
    from omega.adapters.huey_queue.queue import UnusableQueueURL, open_queue

    records = TaskRecords(store)
    # Stores may share a server: each has a queue of its own there.
    name = "omega" if settings.queue_in_memory else f"omega_{records.store_id(ids)}"
    try:
        queue = open_queue(settings.queue, name=name)
    except UnusableQueueURL as error:
        raise BadInput(str(error)) from error
    policy = Policy(
        lease_s=settings.task_lease_s,
        retention_s=settings.task_retention_s,
        timeout_s=settings.task_timeout_s,
        result_bytes=settings.result_bytes,
        # What is carried out in its caller's process ends with that: nobody would try again.
        attempts=1 if settings.queue_in_memory else Policy().attempts,
    )

    endings = Endings(records, payloads, inputs, clock, ids, policy, left_by, told)
    leases = Leases(records, queue, clock, policy, endings)

    def tasks(bucket: str) -> TaskService:
        return TaskService(
            bucket, records, inputs, payloads, queue, clock, ids, policy, endings, leases, present_request
        )

    def perform(task: Task, run: Attempt) -> Answer:
        from omega.entrypoints import actions

        # Whatever the task was checked for when it was submitted, and nothing else, can be reached by it.
        rights = Only(task.bucket, task.call.rights)
        return actions.perform(within(task.bucket, rights), inputs, task, run)

    return Work(
        leases=leases,
        sweep=Sweep(leases),
        scheduler=Scheduler(store, clock, ids, tasks),
        workers=Workers(store, clock),
        ids=ids,
        clock=clock,
        payloads=payloads,
        policy=policy,
        queue=queue,
        consumer=queue,
        inline=settings.queue_in_memory,
        tasks=tasks,
        perform=perform,
        close=queue.close,
    )


@cache
def _scikit_learn(max_cells: int) -> "tuple[ModelCodec, ModelExecutor]":
    from omega.adapters.sklearn_models.models import JoblibModelCodec, SklearnModelExecutor

    return JoblibModelCodec(), SklearnModelExecutor(max_cells=max_cells)
