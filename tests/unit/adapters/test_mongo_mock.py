"""What needs no server of the MongoDB adapter: the contracts on mongomock, URLs, and the driver's errors."""

import errno
import os
import random
import re
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Lock, RLock
from typing import Any
from unittest import mock

import mongomock
import mongomock.gridfs
import pytest
from gridfs import GridIn, GridOut
from pymongo import _csot
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DocumentTooLarge,
    ExecutionTimeout,
    InvalidOperation,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    ServerSelectionTimeoutError,
    WTimeoutError,
)

from omega.adapters.mongo import blobs as blobs_module
from omega.adapters.mongo import records as records_module
from omega.adapters.mongo.blobs import MongoBlobStore
from omega.adapters.mongo.database import MongoDatabase, UnusableStoreURL, connect
from omega.adapters.mongo.errors import driver_errors
from omega.adapters.mongo.records import MongoRecordStore
from omega.ports.blobs import BlobDamaged, BlobExists, BlobNotFound
from omega.ports.records import RecordPage, StoreFull, StoreUnavailable
from tests.contracts.blobs import MIB, BlobStoreSuite
from tests.contracts.records import RecordStoreSuite
from tests.support.mongo_mock import MockDatabase


def _under(lock: Any, method: Callable[..., Any]) -> Callable[..., Any]:
    def locked(*arguments: Any, **named: Any) -> Any:
        with lock:
            return method(*arguments, **named)

    return locked


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], MockDatabase]]:
    """The database of a name."""
    # mongomock patches the driver's GridFS and offers no way back.
    mongomock.gridfs.enable_gridfs_integration()
    # A server changes a document in one step; mongomock looks for it first.
    step = RLock()
    for name in ("_insert", "_update", "_delete"):
        monkeypatch.setattr(mongomock.Collection, name, _under(step, getattr(mongomock.Collection, name)))
    databases: dict[str, MockDatabase] = {}
    lock = Lock()

    def database(name: str) -> MockDatabase:
        with lock:
            return databases.setdefault(name, MockDatabase())

    yield database
    mock.patch.stopall()


class TestMongoRecordStore(RecordStoreSuite):
    @pytest.fixture
    def open_store(self, database: Callable[[str], MockDatabase]) -> Callable[[str], MongoRecordStore]:
        return lambda name: MongoRecordStore(database(name))


class TestMongoBlobStore(BlobStoreSuite):
    @pytest.fixture
    def open_store(self, database: Callable[[str], MockDatabase]) -> Callable[[str], MongoBlobStore]:
        return lambda name: MongoBlobStore(database(name))


@pytest.fixture
def blobs(database: Callable[[str], MockDatabase]) -> MongoBlobStore:
    return MongoBlobStore(database("examples"))


def left(database: MongoDatabase) -> dict[str, int]:
    """How many documents there are of payloads, by kind."""
    kinds = ("files", "chunks", "pending")
    return {kind: database.collection(f"omega.blobs.{kind}").count_documents({}) for kind in kinds}


def grow_old(database: MongoDatabase) -> None:
    """Let it be as if all that is at work had last been seen an hour ago."""
    since = database.server_time() - timedelta(hours=1, seconds=1)
    database.collection("omega.blobs.pending").update_many({}, {"$set": {"since": since}})


class Killed(BaseException):
    """What ends a writer at once."""


def write_half(store: MongoBlobStore, monkeypatch: pytest.MonkeyPatch, id: str = "a") -> None:
    """Leave what a writer leaves that is killed before it has given the name."""
    with monkeypatch.context() as patched:
        patched.setattr(MongoBlobStore, "_withdraw", lambda self, number: None)
        patched.setattr(GridIn, "close", lambda self: self._flush_buffer(force=True) or fail(Killed()))
        with pytest.raises(Killed):
            store.write(id, chunks=[bytes(3 * MIB)])


def fail(error: BaseException) -> None:
    raise error


def test_what_was_written_and_removed_leaves_nothing(
    database: Callable[[str], MockDatabase], blobs: MongoBlobStore
) -> None:
    blobs.write("a", chunks=[bytes(MIB)])
    assert left(database("examples")) == {"files": 1, "chunks": 2, "pending": 0}
    with pytest.raises(BlobExists):
        blobs.write("a", chunks=[bytes(MIB)])
    assert left(database("examples")) == {"files": 1, "chunks": 2, "pending": 0}
    blobs.remove("a")
    assert left(database("examples")) == {"files": 0, "chunks": 0, "pending": 0}


@pytest.mark.parametrize(("over", "chunks"), [(-1, 0), (0, 0), (1, 2)])
def test_what_fits_in_one_chunk_is_in_the_document_of_its_file(
    database: Callable[[str], MockDatabase], blobs: MongoBlobStore, over: int, chunks: int
) -> None:
    payload = random.Random(0).randbytes((1 << 20) - 4096 + over)
    assert blobs.write("a", chunks=[payload[:7], b"", payload[7:]]) == len(payload)
    assert left(database("examples")) == {"files": 1, "chunks": chunks, "pending": 0}
    assert b"".join(blobs.read("a")) == payload
    with pytest.raises(BlobExists):
        blobs.write("a", chunks=[b"another"])
    assert b"".join(blobs.read("a")) == payload
    assert list(blobs.ids()) == ["a"]
    blobs.remove("a")
    assert left(database("examples")) == {"files": 0, "chunks": 0, "pending": 0}


def test_a_small_payload_that_was_written_in_chunks_is_read_and_removed(
    database: Callable[[str], MockDatabase], blobs: MongoBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they all were before."""
    with monkeypatch.context() as patched:
        patched.setattr(MongoBlobStore, "_insert", lambda self, *of: self._upload(*of[:2], [of[2]]))
        blobs.write("a", chunks=[b"in a chunk"])
    assert left(database("examples")) == {"files": 1, "chunks": 1, "pending": 0}
    with pytest.raises(BlobExists):
        blobs.write("a", chunks=[b"another"])
    assert b"".join(blobs.read("a")) == b"in a chunk"
    blobs.remove("a")
    assert left(database("examples")) == {"files": 0, "chunks": 0, "pending": 0}


@pytest.mark.parametrize(("error", "within_s"), [(AutoReconnect(), 1.0), (KeyError(), None)])
def test_a_writer_whose_store_is_gone_does_not_wait_for_it_again(
    blobs: MongoBlobStore, monkeypatch: pytest.MonkeyPatch, error: Exception, within_s: float | None
) -> None:
    limits = []
    monkeypatch.setattr(GridIn, "close", lambda self: fail(error))
    monkeypatch.setattr(blobs, "_withdraw", lambda number: limits.append(_csot.get_timeout()))
    with pytest.raises((StoreUnavailable, KeyError)):
        blobs.write("a", chunks=[bytes(1 << 20)])
    assert limits == [within_s]


def test_what_a_dead_writer_left_is_not_visible_and_goes_in_time(
    database: Callable[[str], MockDatabase], blobs: MongoBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs.write("whole", chunks=[b"x"])
    write_half(blobs, monkeypatch)
    half = left(database("examples"))
    assert half == {"files": 1, "chunks": 4, "pending": 1}
    with pytest.raises(BlobNotFound):
        blobs.read("a")
    assert list(blobs.ids()) == ["whole"]
    MongoBlobStore(database("examples"))
    assert left(database("examples")) == half
    assert blobs.write("a", chunks=[b"another"]) == 7
    grow_old(database("examples"))
    MongoBlobStore(database("examples"))
    assert left(database("examples")) == {"files": 2, "chunks": 0, "pending": 0}
    assert b"".join(blobs.read("a")) == b"another"


def test_what_a_dead_remover_left_goes_in_time(
    database: Callable[[str], MockDatabase], blobs: MongoBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for id in ("before", "amid"):
        blobs.write(id, chunks=[bytes(MIB)])
    with monkeypatch.context() as patched:
        patched.setattr(MongoBlobStore, "_withdraw", lambda self, number: fail(Killed()))
        with pytest.raises(Killed):
            blobs.remove("before")
        patched.setattr(
            MongoBlobStore, "_withdraw", lambda self, number: self._root.files.delete_one({"_id": number})
        )
        blobs.remove("amid")
    grow_old(database("examples"))
    MongoBlobStore(database("examples"))
    assert left(database("examples")) == {"files": 1, "chunks": 2, "pending": 0}
    assert b"".join(blobs.read("before")) == bytes(MIB)


def test_a_writer_that_was_taken_for_dead_ends_with_an_error_and_leaves_nothing(
    database: Callable[[str], MockDatabase], blobs: MongoBlobStore
) -> None:
    def chunks() -> Iterator[bytes]:
        yield bytes(2 * MIB)
        grow_old(database("examples"))
        MongoBlobStore(database("examples"))
        yield b"end"

    with pytest.raises(StoreUnavailable, match="left behind"):
        blobs.write("a", chunks=chunks())
    assert list(blobs.ids()) == []
    assert left(database("examples")) == {"files": 0, "chunks": 0, "pending": 0}


def test_a_slow_writer_says_that_it_lives(
    database: Callable[[str], MockDatabase], blobs: MongoBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(blobs_module.time, "monotonic", lambda: clock[0])

    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            grow_old(database("examples"))
            clock[0] += 301
            yield bytes(MIB)
            MongoBlobStore(database("examples"))

    assert blobs.write("a", chunks=chunks()) == 3 * MIB
    assert b"".join(blobs.read("a")) == bytes(3 * MIB)


def test_a_payload_that_has_its_name_stays_though_its_writer_was_taken_for_dead(
    database: Callable[[str], MockDatabase], blobs: MongoBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = GridIn.close

    def close_and_die(file: GridIn) -> None:
        close(file)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(GridIn, "close", close_and_die)
        patched.setattr(MongoBlobStore, "_withdraw", lambda self, number: None)
        with pytest.raises(Killed):
            blobs.write("a", chunks=[bytes(MIB)])
    grow_old(database("examples"))
    MongoBlobStore(database("examples"))
    assert left(database("examples")) == {"files": 1, "chunks": 2, "pending": 0}
    assert b"".join(blobs.read("a")) == bytes(MIB)


def test_a_payload_that_is_removed_while_its_copy_is_made_is_not_found(
    blobs: MongoBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs.write("a", chunks=[bytes(3 * MIB)])
    read = GridOut.readchunk

    def remove_and_read(file: GridOut) -> bytes:
        blobs.remove("a")
        return bytes(read(file))

    monkeypatch.setattr(GridOut, "readchunk", remove_and_read)
    with pytest.raises(BlobNotFound) as error:
        blobs.read("a")
    assert error.value.args[0] == "a"


def test_a_payload_whose_chunks_are_missing_is_told(
    database: Callable[[str], MockDatabase], blobs: MongoBlobStore
) -> None:
    blobs.write("a", chunks=[bytes(3 * MIB)])
    database("examples").collection("omega.blobs.chunks").delete_one({"n": 1})
    with pytest.raises(BlobDamaged) as error:
        blobs.read("a")
    assert error.value.args[0] == "a"


def test_a_full_directory_for_temporary_files_is_told_without_its_path(
    blobs: MongoBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs.write("a", chunks=[bytes(10 * MIB)])
    monkeypatch.setattr(
        blobs_module.tempfile, "TemporaryFile", lambda **_: fail(OSError(errno.ENOSPC, "No space", "/tmp/x"))
    )
    with pytest.raises(StoreUnavailable, match="no temporary file for the payload: No space") as error:
        blobs.read("a")
    assert "/tmp" not in str(error.value)


def open_files() -> list[str]:
    return sorted(file.name for file in Path("/proc/self/fd").iterdir())


def test_readers_close_their_files(blobs: MongoBlobStore) -> None:
    blobs.write("a", chunks=[bytes(10 * MIB)])
    before = open_files()
    given_up, begun, ended = blobs.read("a"), blobs.read("a"), blobs.read("a")
    assert len(open_files()) == len(before) + 3
    next(begun)
    assert len(list(ended)) == 10
    del given_up, begun
    assert open_files() == before
    assert list(ended) == []


def test_a_page_is_taken_again_where_a_record_changed_meanwhile(
    database: Callable[[str], MockDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MongoRecordStore(database("examples"))
    first = store.write("a", value={"n": 1}, expected=None)
    aggregate, changes = mongomock.Collection.aggregate, iter([True])

    def aggregate_and_write(*args: Any, **kwargs: Any) -> Any:
        seen = list(aggregate(*args, **kwargs))
        for _ in changes:
            store.write("a", value={"n": 2}, expected=first.revision)
            store.write("b", value={}, expected=None)
        return seen

    monkeypatch.setattr(mongomock.Collection, "aggregate", aggregate_and_write)
    page = store.page("")
    assert ([record.key for record in page.records], page.total) == (["a", "b"], 2)
    assert page.records[0].value == {"n": 2}


@pytest.mark.parametrize("code", [239, 246])
def test_a_server_that_has_no_snapshot_at_the_moment_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    database = MockDatabase(snapshots=True)
    monkeypatch.setattr(database, "snapshot", lambda: nullcontext())
    monkeypatch.setattr(records_module, "_PAUSE_S", 0)
    store = MongoRecordStore(database)
    record = store.write("a", value={}, expected=None)
    count, failures = mongomock.Collection.count_documents, iter([code, code])

    def fail_at_first(*args: Any, **kwargs: Any) -> int:
        for code in failures:
            raise operation(code)
        return int(count(*args, **kwargs))

    monkeypatch.setattr(mongomock.Collection, "count_documents", fail_at_first)
    assert store.page("", limit=1) == RecordPage((record,), total=1)
    failures = iter([2])
    with pytest.raises(StoreUnavailable, match="error 2"):
        store.page("", limit=1)


def test_a_page_that_never_stands_still_is_given_up(
    database: Callable[[str], MockDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MongoRecordStore(database("examples"))
    store.write("a", value={}, expected=None)
    monkeypatch.setattr(MongoRecordStore, "_page_of_one_pass", lambda *_: None)
    monkeypatch.setattr(records_module, "_PAUSE_S", 0)
    with pytest.raises(StoreUnavailable, match="too many writers"):
        store.page("")


SECRET = "s3cret"
UNUSABLE = {
    "postgresql://HOST/omega": "begins with mongodb://",
    "mongodb+srv://HOST/omega": "begins with mongodb://",
    "mongodb://HOST": "names no database",
    "mongodb://HOST/": "names no database",
    "mongodb://HOST/?tls=true": "names no database",
    "mongodb://HOST/omega.records": "names no database",
    f"mongodb://HOST/{'x' * 64}": "names no database",
    "mongodb://HOST/admin": "server's own",
    "mongodb://HOST/Local": "server's own",
    "mongodb://HOST/omega?w=1": "holds an option that is not one of authMechanism, ",
    "mongodb://HOST/omega?tls=true&READPREFERENCE=secondary": "holds an option that is not one of",
    "mongodb://HOST/omega?s3cret=x": "holds an option that is not one of",
    "mongodb://HOST/omega?s3cret": "cannot be read",
    "mongodb://HOST/omega?tls=true;w=0": "cannot be read",
    "mongodb://HOST/omega\n": "cannot be read",
    "mongodb://[::1/omega": "cannot be read",
    "mongodb://u:s3cret@@HOST/omega": "mongodb://[USER:PASSWORD@]HOST:PORT/DATABASE",
    "mongodb://u:s3cret%@HOST/omega": "mongodb://[USER:PASSWORD@]HOST:PORT/DATABASE",
    "mongodb://HOST:s3cret/omega": "mongodb://[USER:PASSWORD@]HOST:PORT/DATABASE",
    "mongodb://HOST/om ega": "mongodb://[USER:PASSWORD@]HOST:PORT/DATABASE",
    "mongodb://HOST/omega?tls=s3cret": "mongodb://[USER:PASSWORD@]HOST:PORT/DATABASE",
    "mongodb://HOST/omega?tlsCAFile=/s3cret": "mongodb://[USER:PASSWORD@]HOST:PORT/DATABASE",
    "mongodb://HOST/omega?authMechanism=s3cret": "mongodb://[USER:PASSWORD@]HOST:PORT/DATABASE",
}


@pytest.mark.parametrize(("url", "words"), UNUSABLE.items(), ids=UNUSABLE)
def test_a_url_that_names_no_database_is_refused_and_not_quoted(url: str, words: str) -> None:
    with pytest.raises(UnusableStoreURL, match=re.escape(words)) as error:
        connect(url.replace("HOST", "127.0.0.1:1"))
    told = "".join(traceback.format_exception(error.value))
    assert SECRET not in told.replace(f"'{url}'", "")
    assert "127.0.0.1" not in str(error.value)
    assert str(error.value).endswith(".")


def operation(code: int, words: str = "host.example refused", **details: Any) -> OperationFailure:
    return OperationFailure(words, code, {"code": code, **details})


@pytest.mark.parametrize(
    ("error", "told", "words"),
    [
        (AutoReconnect("host.example:1: reset"), StoreUnavailable, "AutoReconnect"),
        (ServerSelectionTimeoutError("host.example:1: refused"), StoreUnavailable, "no MongoDB server"),
        (NetworkTimeout("host.example:1: timed out"), StoreUnavailable, "in time"),
        (WTimeoutError("host.example", 64), StoreUnavailable, "in time"),
        (ExecutionTimeout("host.example", 50), StoreUnavailable, "in time"),
        (NotPrimaryError("host.example"), StoreUnavailable, "NotPrimaryError"),
        (InvalidOperation("host.example"), StoreUnavailable, "InvalidOperation"),
        (operation(13), StoreUnavailable, "does not allow"),
        (operation(18), StoreUnavailable, "does not allow"),
        (operation(2), StoreUnavailable, "error 2"),
        (operation(14031), StoreFull, "no room"),
        (operation(12501), StoreFull, "no room"),
        (operation(8000, "you are over your space quota"), StoreFull, "no room"),
        (operation(8000), StoreUnavailable, "error 8000"),
        (operation(10334), StoreFull, "16 MiB"),
        (DocumentTooLarge("host.example"), StoreFull, "16 MiB"),
        (BulkWriteError({"writeErrors": [{"code": 14031}]}), StoreFull, "no room"),
        (BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 91}]}), StoreUnavailable, "91"),
    ],
    ids=repr,
)
def test_what_the_driver_raises_is_told_as_the_port_s_errors(
    error: Exception, told: type[Exception], words: str
) -> None:
    with pytest.raises(told, match=words) as raised, driver_errors():
        raise error
    assert "host.example" not in str(raised.value)
    assert raised.value.__cause__ is error


def test_errors_of_the_caller_pass_through(blobs: MongoBlobStore) -> None:
    """Also those of another MongoDB from which the chunks are read."""
    error = AutoReconnect("theirs")

    def chunks() -> Iterator[bytes]:
        yield b"x"
        raise error

    with pytest.raises(AutoReconnect) as raised:
        blobs.write("a", chunks=chunks())
    assert raised.value is error


def test_each_process_has_a_client_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[mock.Mock] = []

    def make() -> mock.Mock:
        made.append(mock.Mock())
        return made[-1]

    database = MongoDatabase("omega", make, snapshots=False)
    assert made == []
    assert database.client is database.client is made[0]
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        assert database.client is made[1]
        database.close()
    assert database.client is made[0]
    assert not made[0].close.called
    assert made[1].close.called


def test_of_threads_that_make_the_client_at_once_one_wins() -> None:
    barrier, made = Barrier(4), []

    def make() -> mock.Mock:
        client = mock.Mock()
        made.append(client)
        barrier.wait()
        return client

    database = MongoDatabase("omega", make, snapshots=False)
    with ThreadPoolExecutor(4) as pool:
        (winner,) = set(pool.map(lambda _: database.client, range(4)))
    assert [client.close.called for client in made] == [client is not winner for client in made]
