"""The queue over huey keeps the whole contract in memory and in SQLite."""

import os
import sqlite3
import stat
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from omega.adapters.huey_queue import sqlite
from omega.adapters.huey_queue.queue import HueyTaskQueue, UnusableQueueURL, open_queue
from omega.ports.queue import QueueUnavailable
from tests.contracts.queue import SharedTaskQueueSuite, TaskQueueSuite, Workers, take_all


class TestMemoryQueue(TaskQueueSuite):
    @pytest.fixture
    def open_queue(self) -> Callable[[str], HueyTaskQueue]:
        queues: dict[str, HueyTaskQueue] = {}
        return lambda name: queues.setdefault(name, open_queue("memory://"))

    @pytest.fixture
    def plant(self, open_queue: Callable[[str], HueyTaskQueue]) -> Callable[[str, bytes], None]:
        return lambda name, data: open_queue(name)._task().huey.storage.enqueue(data)


class TestSqliteQueue(SharedTaskQueueSuite):
    @pytest.fixture
    def open_queue(self, tmp_path: Path) -> Iterator[Callable[[str], HueyTaskQueue]]:
        opened = []

        def open_one(name: str) -> HueyTaskQueue:
            opened.append(open_queue(sqlite_url(tmp_path / name / "queue.db")))
            return opened[-1]

        yield open_one
        for queue in opened:
            queue.close()

    @pytest.fixture
    def plant(self, open_queue: Any, tmp_path: Path) -> Callable[[str, bytes], None]:
        def plant(name: str, data: bytes) -> None:
            open_queue(name).size()
            with closing(sqlite3.connect(tmp_path / name / "queue.db")) as db, db:
                db.execute("INSERT INTO task (queue, data) VALUES ('omega', ?)", (data,))

        return plant


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "on the way?#%41" / "queue.db"


@pytest.fixture
def queue(path: Path) -> Iterator[HueyTaskQueue]:
    queue = open_queue(sqlite_url(path))
    yield queue
    queue.close()


def sqlite_url(path: Path) -> str:
    return f"sqlite://{quote(str(path))}"


def test_each_queue_in_memory_is_one_of_its_own() -> None:
    one, two = open_queue("memory://"), open_queue("memory://")
    one.submit({"n": 1})
    assert two.consume(timeout_s=0) is None
    one.close()
    assert take_all(one) == [1]


def test_a_queue_in_memory_is_not_given_twice_by_a_fork() -> None:
    queue = open_queue("memory://")
    queue.submit({"n": 1})
    with Workers() as workers:
        workers.start(lambda: take_all(queue))
        assert workers.results() == []
    assert take_all(queue) == [1]


def test_nothing_is_made_before_the_first_call(path: Path, tmp_path: Path) -> None:
    queue = open_queue(sqlite_url(path))
    queue.close()
    assert list(tmp_path.iterdir()) == []


def test_a_fourth_slash_changes_nothing(queue: HueyTaskQueue, path: Path) -> None:
    queue.submit({"n": 1})
    with closing(open_queue(sqlite_url(path).replace("///", "////"))) as other:
        assert take_all(other) == [1]


def test_directories_and_files_are_private(queue: HueyTaskQueue, path: Path) -> None:
    queue.submit({"n": 1})
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert files == {"queue.db": 0o600, "queue.db-wal": 0o600, "queue.db-shm": 0o600}


def test_a_closed_queue_opens_again(queue: HueyTaskQueue, path: Path) -> None:
    queue.submit({"n": 1})
    queue.close()
    assert [file.name for file in path.parent.iterdir()] == ["queue.db"]
    assert take_all(queue) == [1]
    queue.close()
    queue.close()


def test_a_message_survives_the_kill_of_who_left_it(queue: HueyTaskQueue) -> None:
    def submit_and_die() -> list[int]:
        queue.submit({"n": 1})
        os.kill(os.getpid(), 9)
        return []

    with Workers() as workers:
        workers.start(submit_and_die)
        with pytest.raises(EOFError):
            workers.results()
    assert take_all(queue) == [1]


@pytest.mark.parametrize(
    "sql", ["'text'", "CAST(x'636166e9' AS TEXT)", "1", "1.5", "zeroblob(0)", "zeroblob(1000000)"]
)
def test_values_of_other_types_are_dropped_too(queue: HueyTaskQueue, path: Path, sql: str) -> None:
    queue.size()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"INSERT INTO task (queue, data) VALUES ('omega', {sql})")
    queue.submit({"n": 1})
    assert take_all(queue) == [1]


def test_a_file_that_is_no_database_is_told_and_left_alone(queue: HueyTaskQueue, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"These are my notes.\n" * 500)
    for call in (queue.size, lambda: queue.submit({}), lambda: queue.consume(timeout_s=0)):
        with pytest.raises(QueueUnavailable, match=r"^the queue file is damaged or not a database$"):
            call()
    assert path.read_bytes() == b"These are my notes.\n" * 500


@pytest.mark.parametrize("sql", ["SELECT 1", "CREATE TABLE task (data TEXT)", "PRAGMA application_id = 7"])
def test_a_database_of_another_is_refused_and_left_alone(queue: HueyTaskQueue, path: Path, sql: str) -> None:
    path.parent.mkdir(parents=True)
    path.touch()
    with closing(sqlite3.connect(path)) as db:
        db.execute(sql)
    before = path.read_bytes()
    with pytest.raises(QueueUnavailable, match="not a queue of omega"):
        queue.submit({})
    assert path.read_bytes() == before


def test_a_damaged_file_is_told_and_a_repaired_one_used(queue: HueyTaskQueue, path: Path) -> None:
    for n in range(50):
        queue.submit({"n": n, "text": "x" * 500})
    queue.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    for call in (queue.size, lambda: queue.submit({}), lambda: queue.consume(timeout_s=0)):
        with pytest.raises(QueueUnavailable, match="damaged"):
            call()
    path.write_bytes(whole)
    assert take_all(queue) == list(range(50))


def test_a_directory_that_cannot_be_made_is_told_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(QueueUnavailable, match=r"File exists|Not a directory") as error:
        open_queue(sqlite_url(tmp_path / "file" / "queue.db")).size()
    assert str(tmp_path) not in str(error.value)


def test_a_queue_that_stays_busy_says_so_and_heals(
    queue: HueyTaskQueue, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sqlite._PATIENCE_S < 5
    queue.submit({"n": 1})
    monkeypatch.setattr(sqlite, "_PATIENCE_S", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        for call in (lambda: queue.submit({"n": 2}), lambda: queue.consume(timeout_s=0)):
            with pytest.raises(QueueUnavailable, match="busy"):
                call()
        assert queue.size() == 1
    queue.submit({"n": 2})
    assert take_all(queue) == [1, 2]


def test_threads_do_not_wait_for_one_another_without_end(
    queue: HueyTaskQueue, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.submit({"n": 1})
    monkeypatch.setattr(sqlite, "_PATIENCE_S", 0.05)
    with queue._task().huey.storage.lock, pytest.raises(QueueUnavailable, match="busy"):
        queue.size()
    assert queue.size() == 1


def test_a_write_that_fails_leaves_the_queue_usable(queue: HueyTaskQueue, path: Path) -> None:
    queue.submit({"n": 1})
    queue._task().huey.storage.conn.execute("PRAGMA max_page_count = 3")
    with pytest.raises(QueueUnavailable, match="full"):
        for _ in range(10):
            queue.submit({"text": "x" * 60_000})
    queue.submit({"n": 2})
    assert queue.consume(timeout_s=0) == {"n": 1}
    assert queue.size() == 1


def test_an_interrupted_call_leaves_no_transaction_behind(
    queue: HueyTaskQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.submit({"n": 1})
    storage = queue._task().huey.storage
    with pytest.raises(KeyboardInterrupt), storage.db(commit=True) as cursor:
        cursor.execute("DELETE FROM task")
        raise KeyboardInterrupt
    queue.submit({"n": 2})
    assert take_all(queue) == [1, 2]


URLS_THAT_CANNOT_BE_USED = [
    "", "secret", "secret://", "http://u:secret@h", "mongodb://u:secret@h", "memory://secret", "memory://?secret",
    "sqlite://secret", "sqlite://", "sqlite:secret", "sqlite://secret/a", "sqlite:////a?secret", "sqlite:////a#secret",
    "sqlite:////secret%00", "sqlite:////secret\0", "sqlite:////a\nsecret", "file:////secret",
    "redis://u:sec/ret@h", "redis://u:secret@h:port", "redis://u:secret@h:99999", "redis://u:secret@h/one",
    "redis://u:secret@h?db=one", "redis://u:secret@h?socket_timeout=9", "redis://u:secret@h?retry=9",
    "redis://u:secret@h?protocol=3", "redis://u:secret@h?decode_responses=1", "redis://u:secret@h?no=such",
    "redis://u:secret@[h", "redis://u:secret@h?ssl_cert_reqs=none", "rediss://u:secret@h?ssl_cert_reqs=secret",
    "unix://secret", "unix://u:secret@", "unix:///a?no=secret",
    "postgresql://u:secret@h:port/d", "postgresql://u:secret@h:99999/d", "postgresql://u:secret@h/d?no=such",
    "postgresql://u:secret%@h/d", "postgres://u:secret@[h/d", "postgresql+psycopg://u:secret@h/d",
]  # fmt: skip


@pytest.mark.parametrize("url", URLS_THAT_CANNOT_BE_USED, ids=ascii)
def test_a_url_that_cannot_be_used_is_told_and_not_shown(url: str) -> None:
    with pytest.raises(UnusableQueueURL, match=r"^The URL of .*\.$") as error:
        open_queue(url)
    assert "secret" not in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize(
    "url",
    [
        "redis://h", "redis://u:p@h:1/2", "rediss://:p@h:1/2?ssl_cert_reqs=none", "unix:///a/b.sock?db=2",
        "redis://[::1]:1/", "redis://h?db=3&max_connections=9", "postgresql://u:p@h:1/d?sslmode=require",
        "postgres://h,i:1/d", "postgresql:///d?host=/run", "memory://", "sqlite:////no/such/directory/q.db",
    ],
)  # fmt: skip
def test_a_url_is_not_connected_to_before_the_first_call(url: str) -> None:
    open_queue(url).close()


def test_a_look_at_the_file_tells_of_every_message(tmp_path):
    url = f"sqlite:///{tmp_path}/queue.sqlite"
    ours, theirs = open_queue(url), open_queue(url)
    storage = ours._task().huey.storage
    assert ours.consume(timeout_s=0) is None
    storage.has_changed()
    assert not storage.has_changed()
    for queue in (theirs, ours):
        queue.submit({"n": 1})
        assert storage.has_changed()
        assert not storage.has_changed()
        assert ours.consume(timeout_s=0) == {"n": 1}
    # One that came before anybody looked is not overlooked.
    theirs.submit({"n": 2})
    assert ours.consume(timeout_s=5) == {"n": 2}
    ours.close()
    assert storage.has_changed()
    for queue in (ours, theirs):
        queue.close()
