"""Records in SQLite keep the whole contract, against other processes, full disks and foreign files too."""

import multiprocessing
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from omega.adapters.embedded import records
from omega.adapters.embedded.records import SqliteRecordStore
from omega.ports.records import RecordNotFound, StoreFull, StoreUnavailable
from tests.contracts.records import RecordStoreSuite, increment
from tests.unit.adapters.disk import DiskLog

fork = multiprocessing.get_context("fork")


class TestSqliteRecordStore(RecordStoreSuite):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Iterator[Callable[[str], SqliteRecordStore]]:
        opened = []

        def open_store(name: str) -> SqliteRecordStore:
            opened.append(SqliteRecordStore(tmp_path / name / "records.db"))
            return opened[-1]

        yield open_store
        for store in opened:
            store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "on the way?#%41" / "records.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteRecordStore]:
    store = SqliteRecordStore(path)
    yield store
    store.close()


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


def test_no_update_of_many_processes_is_lost(store: SqliteRecordStore, path: Path) -> None:
    store.write("n", value={"n": 0}, expected=None)
    run_at_once(4, lambda n: increment(SqliteRecordStore(path), 25))
    assert store.read("n").value == {"n": 100}


def test_a_store_that_is_open_may_be_used_on_both_sides_of_a_fork(store: SqliteRecordStore) -> None:
    store.write("n", value={"n": 0}, expected=None)
    run_at_once(2, lambda n: increment(store, 25))
    increment(store, 5)
    run_at_once(2, lambda n: increment(store, 25))
    assert store.read("n").value == {"n": 105}


def test_a_child_leaves_its_parent_s_connections_alone(
    store: SqliteRecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = spy_on_connections(monkeypatch)
    store.close()
    store.write("a", value={}, expected=None)
    (parents,) = opened

    def child(n: int) -> None:
        store.read("a")
        store.close()
        assert len(opened) == 2
        parents.execute("SELECT 1")

    run_at_once(1, child)


def test_many_processes_may_make_the_same_store_at_once(path: Path) -> None:
    run_at_once(
        6, lambda n: SqliteRecordStore(path).write(f"key {n}", value={"n": n}, expected=None) and None
    )
    store = SqliteRecordStore(path)
    assert [record.key for record in store.page("").records] == [f"key {n}" for n in range(6)]
    store.close()
    assert [file.name for file in path.parent.iterdir()] == ["records.db"]


def test_a_record_survives_the_kill_of_its_writer(store: SqliteRecordStore, path: Path) -> None:
    def write_and_die(n: int) -> None:
        SqliteRecordStore(path).write("a", value={"n": 1}, expected=None)
        os.kill(os.getpid(), 9)

    process = fork.Process(target=write_and_die, args=(0,))
    process.start()
    process.join()
    assert process.exitcode == -9
    assert store.read("a").value == {"n": 1}


def test_directories_and_files_are_private(store: SqliteRecordStore, path: Path) -> None:
    store.write("a", value={}, expected=None)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert files == {"records.db": 0o600, "records.db-wal": 0o600, "records.db-shm": 0o600}


def test_every_connection_syncs_each_commit_to_a_write_ahead_log(
    store: SqliteRecordStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = spy_on_connections(monkeypatch)
    another = SqliteRecordStore(path)
    barrier = Barrier(3)

    def use(_: int) -> None:
        with another._connection():
            barrier.wait()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(use, range(3)))
    assert len(opened) == 3
    for db in opened:
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    another.close()


def test_a_new_file_is_whole_and_durable_before_and_after_it_has_its_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = DiskLog(monkeypatch)
    SqliteRecordStore(path).close()
    linked = log.index("link", "records.db")
    assert log.steps[linked - 1][0] == "fsync"
    assert log.steps[linked - 1][1].endswith(".tmp")
    assert ("fsync", path.parent.name) in log.steps[linked:]
    for made in (path.parent, path.parent.parent):
        assert ("fsync", made.parent.name) in log.steps[:linked]


def test_finding_a_file_makes_its_name_durable_too(
    store: SqliteRecordStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = DiskLog(monkeypatch)
    SqliteRecordStore(path).close()
    assert log.steps == [("fsync", path.parent.name)]


def test_a_closed_store_opens_again(store: SqliteRecordStore, path: Path) -> None:
    record = store.write("a", value={}, expected=None)
    store.close()
    assert not path.with_name("records.db-wal").exists()
    assert store.read("a") == record
    store.close()
    store.close()


def test_a_writer_that_waits_too_long_says_so_and_readers_go_on(
    store: SqliteRecordStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = store.write("a", value={}, expected=None)
    assert store._idle[os.getpid()][0].execute("PRAGMA busy_timeout").fetchone() == (10_000,)
    store.close()
    monkeypatch.setattr(records, "_BUSY_TIMEOUT_S", 0.01)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="busy"):
        store.write("a", value={"n": 1}, expected=record.revision)
    with pytest.raises(StoreUnavailable, match="busy"):
        store.remove("a", expected=record.revision)
    assert store.read("a") == record
    assert store.page("").records == (record,)
    blocker.close()
    assert store.write("a", value={"n": 1}, expected=record.revision).value == {"n": 1}


def test_a_full_disk_is_told_and_nothing_of_the_write_is_visible(
    store: SqliteRecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = store.write("a", value={"n": 1}, expected=None)
    store.close()
    spy_on_connections(monkeypatch, "PRAGMA max_page_count = 3")
    large = {"text": "x" * 100_000}
    with pytest.raises(StoreFull):
        store.write("a", value=large, expected=record.revision)
    with pytest.raises(StoreFull):
        store.write("b", value=large, expected=None)
    assert store.page("").records == (record,)
    assert store.write("a", value={"n": 2}, expected=record.revision).value == {"n": 2}


def test_a_file_that_is_no_database_is_told_by_name_and_left_alone(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"These are my notes.\n" * 500)
    with pytest.raises(StoreUnavailable, match=r"'records\.db' is damaged or not a database") as error:
        SqliteRecordStore(path)
    assert str(path.parent) not in str(error.value)
    assert path.read_bytes() == b"These are my notes.\n" * 500


@pytest.mark.parametrize(
    "sql",
    [None, "CREATE TABLE record (key TEXT, revision TEXT, value TEXT)"],
    ids=["empty file", "another's"],
)
def test_a_database_that_is_not_ours_is_refused_and_left_alone(path: Path, sql: str | None) -> None:
    path.parent.mkdir(parents=True)
    path.touch()
    if sql is not None:
        db = sqlite3.connect(path)
        db.execute(sql)
        db.close()
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match=r"'records\.db' is not a record file of omega"):
        SqliteRecordStore(path)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_omega_is_refused(store: SqliteRecordStore, path: Path) -> None:
    store.write("a", value={}, expected=None)
    store.close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 3")
    db.close()
    with pytest.raises(
        StoreUnavailable, match=r"'records\.db' was written by a newer omega: its version is 3, .* up to 2"
    ):
        SqliteRecordStore(path)
    with pytest.raises(StoreUnavailable, match="newer"):
        store.read("a")


def test_a_file_of_an_older_omega_is_brought_up_to_date(path: Path) -> None:
    """Version 1 had no shelves; several processes may find it so at once."""
    path.parent.mkdir(parents=True)
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(
        "CREATE TABLE record (key TEXT PRIMARY KEY NOT NULL, revision TEXT NOT NULL, value TEXT NOT NULL)"
        " WITHOUT ROWID"
    )
    db.execute("PRAGMA application_id = 1869440359")
    db.execute("PRAGMA user_version = 1")
    keys = ["a", "b/1", "b/2", "b/c/1", "b//1", "/x"]
    db.executemany("INSERT INTO record VALUES (?, 'r', '{}')", [(key,) for key in keys])
    db.commit()
    db.close()
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(SqliteRecordStore, [path] * 8))
    store = stores[-1]
    for prefix in ("", "b/", "b/c/", "b//", "/", "a", "b/1", "none/"):
        found = [key for key in keys if key.startswith(prefix)]
        assert store.page(prefix).total == len(found) == len(store.page(prefix).records)
    store.write("b/3", value={}, expected=None)
    store.remove("b/c/1", expected="r")
    assert (store.page("b/").total, store.page("b/c/").total) == (4, 0)
    for each in stores:
        each.close()


def test_the_length_of_a_list_is_not_counted(store: SqliteRecordStore, path: Path) -> None:
    """It comes from the shelves, whatever is on them."""
    store.write("a/1", value={}, expected=None)
    db = sqlite3.connect(path)
    db.execute("UPDATE shelf SET total = 41 WHERE name = 'a/'")
    db.commit()
    db.close()
    assert store.page("a/").total == 41
    store.write("a/2", value={}, expected=None)
    assert store.page("a/").total == 42


def test_a_file_that_has_gone_is_an_error_and_not_made_again(store: SqliteRecordStore, path: Path) -> None:
    store.close()
    path.unlink()
    with pytest.raises(StoreUnavailable, match="unable to open") as error:
        store.read("a")
    assert str(path.parent) not in str(error.value)
    assert not path.exists()


def test_a_directory_that_cannot_be_made_is_told_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="File exists") as error:
        SqliteRecordStore(tmp_path / "file" / "records.db")
    assert str(tmp_path) not in str(error.value)


def test_what_was_read_is_not_torn_by_a_damaged_page(store: SqliteRecordStore, path: Path) -> None:
    for n in range(50):
        store.write(f"key {n}", value={"text": "x" * 500}, expected=None)
    store.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises((StoreUnavailable, RecordNotFound)):
        store.read("key 1")
    with pytest.raises(StoreUnavailable, match="damaged"):
        store.page("")


def spy_on_connections(monkeypatch: pytest.MonkeyPatch, setup: str = "SELECT 1") -> list[sqlite3.Connection]:
    """The connections that are opened from now on, each after `setup`."""
    connect = sqlite3.connect
    opened: list[sqlite3.Connection] = []

    def spy(*args: object, **kwargs: object) -> sqlite3.Connection:
        db: sqlite3.Connection = connect(*args, **kwargs)  # type: ignore[call-overload]
        db.execute(setup)
        opened.append(db)
        return db

    monkeypatch.setattr(records.sqlite3, "connect", spy)
    return opened
