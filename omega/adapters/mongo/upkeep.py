"""Care for GridFS: payloads that are half written or half removed, and chunks of no file.

A file whose chunks are missing is no leftover but damage: whoever reads the payload is told.
"""

from collections.abc import Iterator
from datetime import UTC
from itertools import islice
from typing import Any, Final

from bson import ObjectId
from bson.errors import InvalidId

from omega.adapters.mongo.blobs import blobs_of, remove_pending
from omega.adapters.mongo.counts import miscounted
from omega.adapters.mongo.database import MongoDatabase
from omega.adapters.mongo.errors import driver_errors
from omega.ports.upkeep import Leftover

_AT_ONCE: Final = 1000
_FIRST: Final = ObjectId("0" * 24)
_PENDING: Final = "half-written payload"
_CHUNKS: Final = "chunks of no payload"


class MongoUpkeep:
    """The `StoreUpkeep` of `database`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    def faults(self) -> Iterator[str]:
        """Lists whose length is not what is noted; see `StoreUpkeep.faults`."""
        with driver_errors():
            found = miscounted(self._database)
        for prefix in found:
            yield f"the database notes a wrong number of records under {prefix!r}"

    def leftovers(self) -> Iterator[Leftover]:
        """What is pending, and chunks without a file; see `StoreUpkeep.leftovers`."""
        with driver_errors():
            for left in list(self._root.pending.find({}).sort("_id", 1)):
                yield Leftover(_PENDING, str(left["_id"]), left["since"].replace(tzinfo=UTC))
            for some in _in_lists(self._numbers()):
                for number in self._ownerless(some):
                    yield Leftover(_CHUNKS, str(number), number.generation_time.replace(tzinfo=UTC))

    def discard(self, leftover: Leftover) -> bool:
        """Remove it, unless its writer has been seen since; see `StoreUpkeep.discard`."""
        try:
            number = ObjectId(leftover.key)
        except InvalidId:
            return False
        with driver_errors():
            if leftover.what == _PENDING:
                return remove_pending(self._root, number, since=leftover.since.replace(tzinfo=None))
            if not self._ownerless([number]):
                return False
            return bool(self._root.chunks.delete_many({"files_id": number}).deleted_count)

    def _numbers(self) -> Iterator[ObjectId]:
        """The files that have chunks, by many short steps along the index: one long query has no time."""
        last = _FIRST
        while True:
            chunk = self._root.chunks.find_one(
                {"files_id": {"$gt": last}}, {"_id": 0, "files_id": 1}, sort=[("files_id", 1)]
            )
            if chunk is None:
                return
            last = chunk["files_id"]
            yield last

    def _ownerless(self, numbers: list[ObjectId]) -> list[ObjectId]:
        """Those of the numbers that are of no file. In this order: a file is there before it is no longer
        pending.
        """
        for names in (self._root.pending, self._root.files):
            owned = {found["_id"] for found in names.find({"_id": {"$in": numbers}}, {"_id": 1})}
            numbers = [number for number in numbers if number not in owned]
        return numbers

    @property
    def _root(self) -> Any:
        return blobs_of(self._database)


def _in_lists(numbers: Iterator[ObjectId]) -> Iterator[list[ObjectId]]:
    while some := list(islice(numbers, _AT_ONCE)):
        yield some
