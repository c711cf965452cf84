"""The contracts on MongoDB servers, and what becomes of a store whose servers die or are not for omega."""

import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import count, cycle
from threading import Event, Lock
from typing import Any, TypeVar

import pytest
from pymongo import MongoClient
from pymongo.monitoring import CommandListener, CommandStartedEvent
from pymongo.read_preferences import Primary

from omega.adapters.mongo import counts as counts_module
from omega.adapters.mongo import database as database_module
from omega.adapters.mongo.blobs import MongoBlobStore
from omega.adapters.mongo.database import MongoDatabase, UnusableStoreURL, connect
from omega.adapters.mongo.records import MongoRecordStore
from omega.ports.blobs import BlobNotFound
from omega.ports.records import RecordConflict, StoreFull, StoreUnavailable
from tests.contracts.blobs import MIB, BlobStoreSuite
from tests.contracts.records import RecordStoreSuite, increment
from tests.support.mongo_server import PASSWORD, MongoServer, ReplicaSet, replica_set
from tests.support.server import READY_WITHIN_S

#: So that records of all suites are counted, under one prefix or another.
COUNTED = re.compile(r"[^/]/?")

fork = multiprocessing.get_context("fork")

Open = Callable[[str], MongoDatabase]
T = TypeVar("T")


@pytest.fixture(scope="module")
def server() -> Iterator[MongoServer]:
    with MongoServer() as server:
        yield server


@pytest.fixture(scope="module")
def members() -> Iterator[ReplicaSet]:
    with replica_set() as members:
        yield members


class Emptied:
    """Gives one database, by two clients in turn, emptied whenever it is asked for under a new name."""

    def __init__(self, url: str) -> None:
        self.databases = [connect(url), connect(url)]
        self._turns = cycle(self.databases)
        self._name: str | None = None
        self._lock = Lock()

    def __call__(self, name: str) -> MongoDatabase:
        with self._lock:
            if name != self._name:
                self.empty()
                self._name = name
            return next(self._turns)

    def empty(self) -> None:
        self._name = None
        for name in ("records", "blobs.files", "blobs.chunks", "blobs.pending"):
            self.databases[0].collection(f"omega.{name}").delete_many({})

    def close(self) -> None:
        for database in self.databases:
            database.close()


@pytest.fixture(scope="module")
def emptied_server(server: MongoServer) -> Iterator[Emptied]:
    databases = Emptied(server.url_of("suite"))
    yield databases
    databases.close()


@pytest.fixture(scope="module")
def emptied_members(members: ReplicaSet) -> Iterator[Emptied]:
    databases = Emptied(members.url_of("suite"))
    yield databases
    databases.close()


class TestRecordsOnOneServer(RecordStoreSuite):
    @pytest.fixture
    def open_store(self, emptied_server: Emptied) -> Callable[[str], MongoRecordStore]:
        emptied_server.empty()
        return lambda name: MongoRecordStore(emptied_server(name))


class TestBlobsOnOneServer(BlobStoreSuite):
    @pytest.fixture
    def open_store(self, emptied_server: Emptied) -> Callable[[str], MongoBlobStore]:
        emptied_server.empty()
        return lambda name: MongoBlobStore(emptied_server(name))


class TestRecordsOnAReplicaSet(RecordStoreSuite):
    @pytest.fixture
    def open_store(self, emptied_members: Emptied) -> Callable[[str], MongoRecordStore]:
        emptied_members.empty()
        return lambda name: MongoRecordStore(emptied_members(name))


class TestCountedRecordsOnAReplicaSet(RecordStoreSuite):
    """Where the store keeps the lengths of lists, of any length, it promises the same."""

    @pytest.fixture
    def open_store(
        self, emptied_members: Emptied, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Callable[[str], MongoRecordStore]]:
        monkeypatch.setattr(counts_module, "_LONG", 1)
        emptied_members.empty()
        yield lambda name: MongoRecordStore(emptied_members(name), counted=COUNTED)
        assert counts_module.miscounted(emptied_members.databases[0]) == []


class TestBlobsOnAReplicaSet(BlobStoreSuite):
    @pytest.fixture
    def open_store(self, emptied_members: Emptied) -> Callable[[str], MongoBlobStore]:
        emptied_members.empty()
        return lambda name: MongoBlobStore(emptied_members(name))


@pytest.fixture(params=["server", "members"])
def url_of(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """URLs of databases in either kind of deployment."""
    url_of: Callable[[str], str] = request.getfixturevalue(request.param).url_of
    return url_of


@pytest.fixture
def opened() -> Iterator[Open]:
    """Connects to URLs, for the time of the test."""
    databases: list[MongoDatabase] = []

    def connect_to(url: str) -> MongoDatabase:
        databases.append(connect(url))
        return databases[-1]

    yield connect_to
    for database in databases:
        database.close()


def run_at_once(count: int, work: Callable[[int], None]) -> None:
    """Run `work(n)` in that many processes that start together; all must end well."""
    barrier = fork.Barrier(count)

    def start(n: int) -> None:
        barrier.wait()
        work(n)

    processes = [fork.Process(target=start, args=(n,)) for n in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * count


def test_many_processes_may_open_a_new_database_at_once(url_of: Callable[[str], str], opened: Open) -> None:
    def open_and_write(n: int) -> None:
        database = connect(url_of("at_once"))
        records, blobs = MongoRecordStore(database), MongoBlobStore(database)
        assert records.page("").total <= 6
        records.write(f"key {n}", value={"n": n}, expected=None)
        blobs.write(f"id{n}", chunks=[bytes(2 * MIB)])

    run_at_once(6, open_and_write)
    database = opened(url_of("at_once"))
    assert [record.key for record in MongoRecordStore(database).page("").records] == [
        f"key {n}" for n in range(6)
    ]
    assert list(MongoBlobStore(database).ids()) == [f"id{n}" for n in range(6)]
    names = sorted(database.collection("x").database.list_collection_names())
    assert names == ["omega.blobs.chunks", "omega.blobs.files", "omega.blobs.pending", "omega.marker",
                     "omega.records"]  # fmt: skip
    indexes = database.collection("omega.blobs.files").index_information()
    assert [name for name, index in indexes.items() if index.get("unique")] == ["id"]
    assert database.collection("omega.marker").count_documents({}) == 1


def test_a_store_that_is_open_may_be_used_on_both_sides_of_a_fork(
    url_of: Callable[[str], str], opened: Open
) -> None:
    store = MongoRecordStore(opened(url_of("forked")))
    store.write("n", value={"n": 0}, expected=None)
    run_at_once(3, lambda n: increment(store, 15))
    increment(store, 5)
    assert store.read("n").value == {"n": 50}


def test_a_page_with_a_limit_sees_one_state(url_of: Callable[[str], str], opened: Open) -> None:
    """Where the second of two records is the first on a page, the first is not there to be counted."""
    database = opened(url_of("one_state"))
    store, ended = MongoRecordStore(database), Event()

    def swap() -> None:
        there = store.write("swap/1", value={}, expected=None)
        n = 0
        while not ended.is_set():
            following = store.write(f"swap/{n % 2}", value={}, expected=None)
            store.remove(there.key, expected=there.revision)
            there, n = following, n + 1

    with ThreadPoolExecutor(1) as pool:
        swapping = pool.submit(swap)
        try:
            for _ in range(600):
                page = store.page("swap/", limit=1)
                assert [record.key for record in page.records] != ["swap/1"] or page.total == 1
        finally:
            ended.set()
        swapping.result()


def test_a_page_of_more_than_a_document_holds(url_of: Callable[[str], str], opened: Open) -> None:
    store = MongoRecordStore(opened(url_of("large_page")))
    value = {"text": "x" * (6 << 20)}
    for n in range(4):
        store.write(f"{n}", value=value, expected=None)
    for limit in (1000, 100_000):
        assert [record.key for record in store.page("", limit=limit).records] == ["0", "1", "2", "3"]


def test_a_value_larger_than_a_document_may_be_is_told(url_of: Callable[[str], str], opened: Open) -> None:
    store = MongoRecordStore(opened(url_of("large_value")))
    first = store.write("a", value={}, expected=None)
    for key, expected in (("a", first.revision), ("b", None)):
        with pytest.raises(StoreFull, match="16 MiB"):
            store.write(key, value={"text": "x" * (17 << 20)}, expected=expected)
    assert store.page("").records == (first,)


class Commands(CommandListener):
    """The commands that were sent, but for those that a client sends by itself."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.sent.append((event.command_name, event.command))

    def succeeded(self, event: object) -> None:
        pass

    def failed(self, event: object) -> None:
        pass


def test_every_write_waits_for_a_majority_and_its_journals_and_reads_see_no_less(
    url_of: Callable[[str], str], opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = Commands()
    monkeypatch.setattr(database_module, "MongoClient", partial(MongoClient, event_listeners=[commands]))
    database = opened(url_of("promises"))
    records, blobs = MongoRecordStore(database), MongoBlobStore(database)
    first = records.write("a", value={}, expected=None)
    records.write("b", value={}, expected=None)
    second = records.write("a", value={}, expected=first.revision)
    records.page("", limit=1)
    records.read("a")
    records.remove("a", expected=second.revision)
    blobs.write("a", chunks=[bytes(2 * MIB)])
    assert sum(map(len, blobs.read("a"))) == 2 * MIB
    assert list(blobs.ids()) == ["a"]
    blobs.remove("a")
    seen = {name for name, _ in commands.sent}
    assert {"insert", "update", "delete", "find", "aggregate", "createIndexes"} <= seen
    for name, command in commands.sent:
        if name in ("insert", "update", "delete", "find", "aggregate"):
            # A server that hung does not do it late.
            assert command["maxTimeMS"] <= 20_000
        if name in ("insert", "update", "delete"):
            assert command["writeConcern"] == {"w": "majority", "j": True}
        if name == "createIndexes":
            assert command["writeConcern"]["w"] == "majority"
        if name in ("find", "aggregate"):
            assert command["readConcern"]["level"] in ("majority", "snapshot")
        # The answer of a write whose connection broke is asked for again, not the write done again.
        if name == "insert" and database.has_snapshots:
            assert "txnNumber" in command
    options = database.client.options
    assert options.retry_reads and options.retry_writes
    assert isinstance(options.read_preference, Primary)
    assert options.timeout == 20
    assert options.server_selection_timeout == options.pool_options.connect_timeout == 5
    assert database.client.topology_description.heartbeat_frequency == 2


def test_a_writer_that_is_killed_half_way_leaves_nothing_visible(
    url_of: Callable[[str], str], opened: Open
) -> None:
    url = url_of("half")

    def write_and_die() -> None:
        def chunks() -> Iterator[bytes]:
            # The driver keeps up to 32 MiB before it sends any.
            yield from [bytes(8 * MIB)] * 6
            os.kill(os.getpid(), signal.SIGKILL)

        MongoBlobStore(connect(url)).write("a", chunks=chunks())

    process = fork.Process(target=write_and_die)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    database = opened(url)
    blobs, chunks = MongoBlobStore(database), database.collection("omega.blobs.chunks")
    assert list(blobs.ids()) == []
    with pytest.raises(BlobNotFound):
        blobs.read("a")
    assert chunks.count_documents({}) > 0
    assert blobs.write("a", chunks=[b"another"]) == 7
    database.collection("omega.blobs.pending").update_many(
        {}, {"$set": {"since": database.server_time() - timedelta(hours=1, seconds=1)}}
    )
    MongoBlobStore(database)
    assert chunks.count_documents({}) == 0
    assert b"".join(blobs.read("a")) == b"another"


REFUSED = {
    "a wrong password": ({"user": "writer", "password": "wr0ng"}, "does not accept the user and password"),
    "a user that is not there": ({"user": "nobody"}, "does not accept the user and password"),
    "a user that may only read": ({"user": "reader"}, "may not read and write in its database"),
}


@pytest.mark.parametrize("database", ["new", "made_before"])
@pytest.mark.parametrize(("options", "words"), REFUSED.values(), ids=REFUSED)
def test_a_user_that_may_not_write_is_told_at_once(
    server: MongoServer, opened: Open, database: str, options: dict[str, str], words: str
) -> None:
    if database == "made_before":
        opened(server.url_of(database))
    with pytest.raises(UnusableStoreURL, match=words) as error:
        connect(server.url_of(database, **options))
    told = str(error.value)
    assert not any(part in told for part in (PASSWORD, "wr0ng", "127.0.0.1", str(server.port), "writer"))


def test_a_url_without_the_user_or_the_password_that_the_server_wants_is_told(server: MongoServer) -> None:
    with pytest.raises(UnusableStoreURL, match="wants a user and a password"):
        connect(f"{server.url}new")
    with pytest.raises(UnusableStoreURL, match="USER:PASSWORD"):
        connect(f"mongodb://writer@127.0.0.1:{server.port}/new")


def test_a_user_of_the_one_database_is_enough(server: MongoServer, opened: Open) -> None:
    with server.as_root() as client:
        client["own"].command("createUser", "own", pwd=PASSWORD, roles=["readWrite"])
    database = opened(f"mongodb://own:{PASSWORD}@127.0.0.1:{server.port}/own")
    MongoRecordStore(database).write("a", value={}, expected=None)
    MongoBlobStore(database).write("a", chunks=[b"x"])
    assert opened(f"mongodb://own:{PASSWORD}@127.0.0.1:{server.port}/own")


def test_a_right_that_is_taken_away_later_is_told(server: MongoServer, opened: Open) -> None:
    with server.as_root() as client:
        client.admin.command("createUser", "fallen", pwd=PASSWORD, roles=["readWriteAnyDatabase"])
        database = opened(server.url_of("fallen", user="fallen"))
        store, blobs = MongoRecordStore(database), MongoBlobStore(database)
        store.write("a", value={}, expected=None)
        client.admin.command("updateUser", "fallen", roles=[])
    for use in (
        lambda: store.read("a"),
        lambda: store.page(""),
        lambda: store.write("b", value={}, expected=None),
        lambda: store.remove("a", expected="x"),
        lambda: blobs.read("a"),
        lambda: blobs.write("a", chunks=[b"x"]),
        lambda: blobs.remove("a"),
        lambda: blobs.ids(),
    ):
        with pytest.raises(StoreUnavailable, match="does not allow it to the user"):
            use()


def test_a_database_that_holds_something_else_is_refused_and_left_alone(server: MongoServer) -> None:
    with server.as_root() as client:
        client["theirs"]["things"].insert_one({"_id": 1})
        with pytest.raises(UnusableStoreURL, match="is not empty, and what it holds is not omega's") as error:
            connect(server.url_of("theirs"))
        assert "theirs" not in str(error.value)
        assert client["theirs"].list_collection_names() == ["things"]


def test_a_database_of_a_newer_omega_is_refused(server: MongoServer, opened: Open) -> None:
    database = opened(server.url_of("newer"))
    database.collection("omega.marker").update_one({}, {"$set": {"version": 3}})
    with pytest.raises(UnusableStoreURL, match="newer omega"):
        connect(server.url_of("newer"))


def test_a_database_in_which_only_the_marker_has_come_is_taken(server: MongoServer, opened: Open) -> None:
    """As another process leaves it that is killed while it opens the database, or is a moment ahead."""
    with server.as_root() as client:
        client["begun"].create_collection("omega.marker")
    database = opened(server.url_of("begun"))
    assert MongoRecordStore(database).page("").total == 0


def test_a_server_that_is_too_old_is_refused(server: MongoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with server.as_root() as client:
        speaks = client.admin.command("hello")["maxWireVersion"]
    assert speaks == 17  # as all of 6.0
    monkeypatch.setattr(database_module, "_MIN_WIRE_VERSION", 18)
    with pytest.raises(UnusableStoreURL, match=r"older than 6\.0"):
        connect(server.url_of("new"))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timeouts that tests can wait for."""
    for name in ("serverSelectionTimeoutMS", "connectTimeoutMS"):
        monkeypatch.setitem(database_module._PROMISES, name, 300)
    monkeypatch.setitem(database_module._PROMISES, "timeoutMS", 1000)


def uses(database: MongoDatabase) -> list[Callable[[], object]]:
    records, blobs = MongoRecordStore(database), MongoBlobStore(database)
    return [
        lambda: records.read("a"),
        lambda: records.write("a", value={}, expected=None),
        lambda: records.write("a", value={}, expected="x"),
        lambda: records.remove("a", expected="x"),
        lambda: records.page(""),
        lambda: blobs.read("a"),
        lambda: blobs.write("a", chunks=[b"x"]),
        lambda: blobs.remove("a"),
        lambda: blobs.ids(),
        lambda: MongoBlobStore(database),
    ]


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_gone_or_silent_is_unavailable(opened: Open) -> None:
    with MongoServer() as server:
        database = opened(server.url_of("gone"))
        each = uses(database)
        server.freeze()
        try:
            for use in each[::3]:
                with pytest.raises(StoreUnavailable) as silent:
                    use()
                assert "127.0.0.1" not in str(silent.value)
        finally:
            server.thaw()
        server.kill()
        for use in (*each, lambda: connect(server.url_of("gone"))):
            with pytest.raises(StoreUnavailable) as gone:
                use()
            assert "127.0.0.1" not in str(gone.value)
        server.start()
        assert healed(lambda: MongoRecordStore(database).page("")).total <= 1


def healed(use: Callable[[], T]) -> T:
    """What it gives once the store is there again."""
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        with suppress(StoreUnavailable):
            return use()
    raise AssertionError("the store does not come back")


class Writer:
    """Writes until it is told to stop, and keeps what was acknowledged."""

    def __init__(self, database: MongoDatabase, name: str) -> None:
        self._records, self._blobs = MongoRecordStore(database), MongoBlobStore(database)
        self._name = name
        self.keys: list[str] = []
        self.ids: list[str] = []
        self.counts: list[int] = []

    def run(self, ended: Event) -> None:
        for n in count():
            if ended.is_set():
                return
            with suppress(StoreUnavailable):
                key = f"{self._name}/{n:06}"
                self._records.write(key, value={"n": n}, expected=None)
                self.keys.append(key)
                with suppress(RecordConflict):
                    record = self._records.read("n")
                    more = self._records.write(
                        "n", value={"n": record.value["n"] + 1}, expected=record.revision
                    )
                    self.counts.append(more.value["n"])
                id = f"{self._name}{n:06}"
                self._blobs.write(id, chunks=[id.encode() * 1000])
                self.ids.append(id)


def wait_for_progress(writers: list[Writer]) -> None:
    """Until each has written some more."""
    enough = [len(writer.ids) + 5 for writer in writers]
    deadline = time.monotonic() + READY_WITHIN_S
    while any(len(writer.ids) < n for writer, n in zip(writers, enough, strict=True)):
        assert time.monotonic() < deadline, "a writer does not go on"
        time.sleep(0.02)


def test_what_was_acknowledged_outlives_the_kill_of_the_primary(members: ReplicaSet, opened: Open) -> None:
    url = members.url_of("killed")
    MongoRecordStore(opened(url)).write("n", value={"n": 0}, expected=None)
    for kills in range(5):
        writers, ended = [Writer(opened(url), f"w{kills}x{n}") for n in range(3)], Event()
        with ThreadPoolExecutor(3) as pool:
            running = [pool.submit(writer.run, ended) for writer in writers]
            try:
                wait_for_progress(writers)
                killed = members.primary()
                killed.kill()
                wait_for_progress(writers)
            finally:
                ended.set()
            for each in running:
                each.result()
        database = opened(url)
        records, blobs = MongoRecordStore(database), MongoBlobStore(database)
        there = {record.key for record in records.page("", limit=2**31).records}
        counts = [n for writer in writers for n in writer.counts]
        assert len(set(counts)) == len(counts)
        assert records.read("n").value["n"] >= max(counts)
        for writer in writers:
            assert set(writer.keys) <= there
            for id in writer.ids:
                assert b"".join(blobs.read(id)) == id.encode() * 1000
        for id in blobs.ids():
            assert b"".join(blobs.read(id)) == id.encode() * 1000
        killed.start()
        members.wait_until_whole()
