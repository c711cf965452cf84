"""What the stores find wrong with themselves, and what the dead have left in them."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import mongomock.gridfs
import pytest
from bson import ObjectId
from gridfs import GridIn

from omega.adapters.embedded.blobs import DirectoryBlobStore
from omega.adapters.embedded.records import SqliteRecordStore
from omega.adapters.embedded.upkeep import DirectoryUpkeep, SqliteUpkeep
from omega.adapters.memory.upkeep import MemoryUpkeep
from omega.adapters.mongo.blobs import MongoBlobStore
from omega.adapters.mongo.upkeep import MongoUpkeep
from omega.ports.records import StoreUnavailable
from omega.ports.upkeep import Leftover
from tests.contracts.upkeep import Leave, StoreUpkeepSuite
from tests.unit.adapters.test_embedded_blobs import kill_a_writer
from tests.unit.adapters.test_mongo_mock import MockDatabase, write_half


class TestDirectoryUpkeep(StoreUpkeepSuite):
    @pytest.fixture
    def upkeep(self, tmp_path: Path) -> DirectoryUpkeep:
        DirectoryBlobStore(tmp_path).write("abc", chunks=[b"x"])
        return DirectoryUpkeep(tmp_path)

    @pytest.fixture
    def leave(self, tmp_path: Path) -> Leave:
        return lambda: kill_a_writer(tmp_path)

    @pytest.fixture
    def content(self, tmp_path: Path) -> Callable[[], Any]:
        return lambda: list(DirectoryBlobStore(tmp_path).ids())

    def test_that_of_a_writer_who_lives_is_kept(self, upkeep: DirectoryUpkeep, tmp_path: Path) -> None:
        def chunks() -> Iterator[bytes]:
            yield b"slow"
            (left,) = upkeep.leftovers()
            assert upkeep.discard(left) is False
            yield b"ly"

        assert DirectoryBlobStore(tmp_path).write("a", chunks=chunks()) == 6

    def test_a_directory_that_cannot_be_read_is_told_without_its_path(self, tmp_path: Path) -> None:
        with pytest.raises(StoreUnavailable) as error:
            list(DirectoryUpkeep(tmp_path / "none").leftovers())
        assert str(tmp_path) not in str(error.value)


class TestSqliteUpkeep(StoreUpkeepSuite):
    @pytest.fixture
    def upkeep(self, tmp_path: Path) -> SqliteUpkeep:
        store = SqliteRecordStore(tmp_path / "records.sqlite")
        for key in ("a", "shelf/a", "shelf/b", "other/x"):
            store.write(key, value={"n": 1}, expected=None)
        store.close()
        return SqliteUpkeep(tmp_path / "records.sqlite")

    @pytest.fixture
    def leave(self, tmp_path: Path) -> Leave:
        return lambda: (tmp_path / f".{os.urandom(16).hex()}.tmp").touch()

    @pytest.fixture
    def content(self, tmp_path: Path) -> Callable[[], Any]:
        return lambda: SqliteRecordStore(tmp_path / "records.sqlite").page("")

    @pytest.mark.parametrize(
        ("sql", "shelf"),
        [
            ("UPDATE shelf SET total = 3 WHERE name = 'shelf/'", "shelf/"),
            ("DELETE FROM shelf WHERE name = 'other/'", "other/"),
            ("INSERT INTO shelf VALUES ('none/', 1)", "none/"),
        ],
    )
    def test_a_list_whose_length_is_noted_wrongly_is_told(
        self, upkeep: SqliteUpkeep, tmp_path: Path, sql: str, shelf: str
    ) -> None:
        with closing(sqlite3.connect(tmp_path / "records.sqlite", isolation_level=None)) as db:
            db.execute(sql)
        assert list(upkeep.faults()) == [f"the record file notes a wrong number of records under {shelf!r}"]

    def test_a_file_whose_pages_are_damaged_is_told_without_its_path(
        self, upkeep: SqliteUpkeep, tmp_path: Path
    ) -> None:
        file = tmp_path / "records.sqlite"
        with closing(sqlite3.connect(file)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        content = bytearray(file.read_bytes())
        content[4096:] = b"\xff" * (len(content) - 4096)
        file.write_bytes(content)
        faults = list(upkeep.faults())
        assert faults and all(fault.startswith("the record file is damaged") for fault in faults)
        assert not any(str(tmp_path) in fault for fault in faults)

    def test_a_file_that_is_not_there_is_not_made(self, tmp_path: Path) -> None:
        with pytest.raises(StoreUnavailable):
            list(SqliteUpkeep(tmp_path / "none.sqlite").faults())
        assert list(tmp_path.iterdir()) == []


@pytest.fixture
def database() -> Iterator[MockDatabase]:
    from unittest import mock

    mongomock.gridfs.enable_gridfs_integration()
    yield MockDatabase()
    mock.patch.stopall()


class _OnMongo(StoreUpkeepSuite):
    @pytest.fixture
    def upkeep(self, database: MockDatabase) -> MongoUpkeep:
        MongoBlobStore(database).write("whole", chunks=[bytes(3 << 20)])
        return MongoUpkeep(database)

    @pytest.fixture
    def content(self, database: MockDatabase) -> Callable[[], Any]:
        blobs = MongoBlobStore(database)
        return lambda: {id: b"".join(blobs.read(id)) for id in blobs.ids()}


class TestMongoUpkeepOfWhatIsPending(_OnMongo):
    @pytest.fixture
    def leave(self, database: MockDatabase, monkeypatch: pytest.MonkeyPatch) -> Leave:
        store, numbers = MongoBlobStore(database), iter(range(9))
        return lambda: write_half(store, monkeypatch, id=f"half{next(numbers)}")

    def test_that_of_a_writer_who_was_seen_since_is_kept(
        self, upkeep: MongoUpkeep, leave: Leave, database: MockDatabase
    ) -> None:
        leave()
        (left,) = upkeep.leftovers()
        later = left.since.replace(tzinfo=None) + timedelta(seconds=1)
        database.collection("omega.blobs.pending").update_many({}, {"$set": {"since": later}})
        assert upkeep.discard(left) is False
        assert [again.key for again in upkeep.leftovers()] == [left.key]

    def test_a_writer_whose_work_was_discarded_cannot_end_well(
        self, upkeep: MongoUpkeep, database: MockDatabase
    ) -> None:
        def chunks() -> Iterator[bytes]:
            yield bytes(3 << 20)
            (left,) = upkeep.leftovers()
            assert upkeep.discard(left) is True
            yield b"end"

        with pytest.raises(StoreUnavailable, match="left behind"):
            MongoBlobStore(database).write("a", chunks=chunks())
        assert list(upkeep.leftovers()) == []


class TestMongoUpkeepOfChunksWithoutAFile(_OnMongo):
    @pytest.fixture
    def leave(self, database: MockDatabase) -> Leave:
        def leave() -> None:
            root = database.collection("omega.blobs")
            file = GridIn(root, _id=ObjectId(), filename=f"x{os.urandom(4).hex()}", chunkSize=1 << 20)
            file.write(bytes(3 << 20))
            file.close()
            root.files.delete_one({"_id": file._id})

        return leave

    def test_foreign_chunks_are_left_alone(self, upkeep: MongoUpkeep, database: MockDatabase) -> None:
        database.collection("omega.blobs.chunks").insert_one({"files_id": "foreign", "n": 0, "data": b"x"})
        assert list(upkeep.leftovers()) == []


def test_in_memory_nothing_is_ever_left(tmp_path: Path) -> None:
    upkeep = MemoryUpkeep()
    assert [*upkeep.faults(), *upkeep.leftovers()] == []
    assert upkeep.discard(Leftover("x", "y", MockDatabase().server_time())) is False
