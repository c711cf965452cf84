"""Keys in record stores: in memory, in SQLite, in a Mongo that is mocked."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from omega.adapters.embedded.records import SqliteRecordStore
from omega.adapters.key_store.keys import RecordKeyStore, RecordKeySwitch
from omega.adapters.memory.records import MemoryRecordStore
from omega.adapters.mongo.records import MongoRecordStore
from omega.ports.records import RecordStore
from tests.contracts.keys import FULL, KeyStoreSuite, KeySwitchSuite
from tests.unit.adapters.test_mongo_mock import MockDatabase

Records = Callable[[str], RecordStore]


class InRecords(KeyStoreSuite, KeySwitchSuite):
    @pytest.fixture
    def open_keys(self, open_records: Records) -> Callable[[str], Any]:
        return lambda name: RecordKeyStore(open_records(name))

    @pytest.fixture
    def open_switch(self, open_records: Records) -> Callable[[str], Any]:
        return lambda name: RecordKeySwitch(open_records(name))


class TestInMemory(InRecords):
    @pytest.fixture
    def open_records(self) -> Records:
        return cache(lambda name: MemoryRecordStore())


class TestInSqlite(InRecords):
    @pytest.fixture
    def open_records(self, tmp_path: Path) -> Records:
        return lambda name: SqliteRecordStore(tmp_path / f"{name}.sqlite")


class TestInMongo(InRecords):
    @pytest.fixture
    def open_records(self) -> Records:
        database = cache(lambda name: MockDatabase())
        return lambda name: MongoRecordStore(database(name))


def test_nothing_that_is_stored_lets_anybody_in():
    """Whoever reads the store finds no text of a key, nor what is left of it without its prefix."""
    records = MemoryRecordStore()
    text = RecordKeyStore(records).issue(FULL)
    (stored,) = records.page("").records
    assert text.rpartition("_")[2] not in json.dumps(dict(stored.value)) + stored.key
    assert len(text.removeprefix(f"omk_{FULL.id}_")) == 43
