"""The lengths of lists in MongoDB, which are kept where there is a replica set, so that nobody counts a long
list for a page of it.
"""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from pymongo import MongoClient

from omega.adapters.mongo import counts
from omega.adapters.mongo import database as database_module
from omega.adapters.mongo.counts import miscounted
from omega.adapters.mongo.database import MongoDatabase, connect
from omega.adapters.mongo.records import MongoRecordStore
from omega.adapters.mongo.upkeep import MongoUpkeep
from omega.domain.catalogue import LISTS
from omega.ports.records import RecordConflict
from tests.support.mongo_commands import Sent
from tests.support.mongo_server import MongoServer, ReplicaSet, replica_set

LIST = "object/store/dataset/visible/"


@pytest.fixture(scope="module")
def members() -> Iterator[ReplicaSet]:
    with replica_set(members=1) as members:
        yield members


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    sent = Sent()
    monkeypatch.setattr(database_module, "MongoClient", partial(MongoClient, event_listeners=[sent]))
    return sent


@pytest.fixture
def database(members: ReplicaSet, sent: Sent, request: pytest.FixtureRequest) -> Iterator[MongoDatabase]:
    database = connect(members.url_of(request.node.name[-60:].strip("[]")))
    yield database
    database.close()


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "_LONG", 4)


Open = Callable[[MongoDatabase], MongoRecordStore]


def opened(database: MongoDatabase) -> MongoRecordStore:
    return MongoRecordStore(database, counted=LISTS)


def fill(store: MongoRecordStore, *names: str) -> None:
    for name in names:
        store.write(LIST + name, value={}, expected=None)


def test_a_long_list_is_counted_once(database: MongoDatabase, sent: Sent) -> None:
    store = opened(database)
    fill(store, "a", "b", "c", "d", "folder/e")
    store.write("object/store/model/visible/m", value={}, expected=None)
    store.write("version/1/2/3", value={}, expected=None)
    seen = []
    for _ in range(3):
        sent.names.clear()
        assert store.page(LIST, limit=2).total == 5
        seen.append((sent.names["aggregate"], sent.names.total()))
    assert seen == [(2, 5), (1, 3), (1, 3)]
    fill(store, "f")
    store.remove(LIST + "a", expected=store.read(LIST + "a").revision)
    store.remove(LIST + "folder/e", expected=store.read(LIST + "folder/e").revision)
    sent.names.clear()
    assert store.page(LIST, limit=2).total == 4
    assert store.page(LIST, limit=100).total == 4
    # The one that looks whether the list is a long one.
    assert sent.names["aggregate"] == 1
    assert [record.key for record in store.page("").records] == [
        "object/store/dataset/visible/b", "object/store/dataset/visible/c", "object/store/dataset/visible/d",
        "object/store/dataset/visible/f", "object/store/model/visible/m", "version/1/2/3",
    ]  # fmt: skip
    assert len(store.scan("")) == 6
    assert miscounted(database) == []


def test_a_short_list_is_not_noted(database: MongoDatabase, sent: Sent) -> None:
    store = opened(database)
    fill(store, "a", "b", "c")
    sent.names.clear()
    for _ in range(2):
        assert store.page(LIST, limit=2).total == 3
    assert sent.names == {"find": 2, "aggregate": 2}


def test_what_is_refused_is_not_counted(database: MongoDatabase) -> None:
    store = opened(database)
    fill(store, "a", "b", "c", "d", "e")
    assert store.page(LIST, limit=1).total == 5
    with pytest.raises(RecordConflict):
        fill(store, "a")
    assert store.page(LIST, limit=1).total == 5
    with pytest.raises(RecordConflict):
        store.remove(LIST + "a", expected="another")
    store.write(LIST + "a", value={"n": 1}, expected=store.read(LIST + "a").revision)
    assert store.page(LIST, limit=1).total == 5
    assert miscounted(database) == []


def test_records_that_were_there_before_are_counted(database: MongoDatabase) -> None:
    fill(MongoRecordStore(database), "a", "b", "c", "d", "e")
    store = opened(database)
    fill(store, "f", "g")
    assert store.page(LIST, limit=1).total == 7
    assert store.page(LIST, limit=1).total == 7
    assert miscounted(database) == []


def test_many_writers_at_once_are_all_counted(database: MongoDatabase) -> None:
    store = opened(database)

    def come_and_go(n: int) -> None:
        for k in range(10):
            fill(store, f"{n}/{k}")
            store.page(LIST, limit=1)
            if k % 2:
                key = f"{LIST}{n}/{k}"
                store.remove(key, expected=store.read(key).revision)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come_and_go, range(8)))
    assert store.page(LIST, limit=1).total == 8 * 5
    assert miscounted(database) == []


def test_a_wrong_count_is_a_fault(database: MongoDatabase) -> None:
    store = opened(database)
    fill(store, "a", "b", "c", "d", "e")
    assert store.page(LIST, limit=1).total == 5
    assert list(MongoUpkeep(database).faults()) == []
    database.collection(counts.RECORDS).delete_one({"_id": LIST + "a"})
    assert list(MongoUpkeep(database).faults()) == [
        f"the database notes a wrong number of records under {LIST!r}"
    ]


def test_a_server_without_transactions_lets_counts_go() -> None:
    """They would be wrong once it is a replica set again."""
    with MongoServer() as server:
        database = connect(server.url_of("alone"))
        records = database.collection(counts.RECORDS)
        records.insert_one({"_id": {"counted": LIST}, "base": 7, "change": 3})
        store = opened(database)
        fill(store, "a", "b")
        assert store.page(LIST, limit=1).total == 2
        assert records.count_documents({}) == 2
        database.close()


def test_a_database_of_version_1_is_brought_to_2(database: MongoDatabase, members: ReplicaSet) -> None:
    marker = database.collection("omega.marker")
    marker.update_one({}, {"$set": {"version": 1}})
    connect(members.url_of(database._name)).close()
    assert [found["version"] for found in marker.find()] == [2]


def test_only_lists_of_objects_are_counted() -> None:
    for key, prefix in {
        "object/store/dataset/visible/a/b": LIST,
        "object/b/model/hidden/.a": "object/b/model/hidden/",
        "version/store/dataset/visible/a": None,
        "object/store/dataset": None,
    }.items():
        found = LISTS.match(key)
        assert (found and found[0]) == prefix
    assert isinstance(LISTS, re.Pattern)
