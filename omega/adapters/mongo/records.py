"""Records as documents of one collection: `_id` is the key, and `value` JSON text, which forbids no names.

The filter of an update names the revision, so that the server compares and sets in one step. Without a
collation strings compare byte by byte, which for UTF-8 is the order of code points.
"""

import json
import re
import secrets
import time
from collections.abc import Sequence
from typing import Any, Final

from pymongo.errors import DuplicateKeyError, OperationFailure

from omega.adapters.mongo.counts import RECORDS, MongoCounts, range_of
from omega.adapters.mongo.database import Document, MongoDatabase
from omega.adapters.mongo.errors import driver_errors
from omega.ports.record_form import check_key, encode
from omega.ports.records import (
    JSONObject,
    Record,
    RecordConflict,
    RecordNotFound,
    RecordPage,
    StoreUnavailable,
)

_NOTHING: Final = re.compile(r"(?!)")
#: More cannot be there, and the server takes no larger numbers everywhere.
_MAX_ROWS: Final = 2**31 - 1
#: That many keys fit into one document.
_MAX_KEYS: Final = 10_000
_TRIES: Final = 100
_PAUSE_S: Final = 0.02
#: SnapshotTooOld, SnapshotUnavailable: the server has just made the collection, or is busy.
_NO_SNAPSHOT: Final = frozenset({239, 246})


class MongoRecordStore:
    """A `RecordStore` in `database`.

    A value has at most 16 MiB; a larger one raises `StoreFull`. Records whose keys begin with a match of
    `counted` are counted as they come and go, where there is a replica set (`MongoCounts`): all who use the
    database must say the same. On a server without one a page is taken in one pass over the keys, in which
    the server may let writers through about every 1,000 keys.
    """

    def __init__(self, database: MongoDatabase, *, counted: re.Pattern[str] = _NOTHING) -> None:
        self._database = database
        self._counts = MongoCounts(database, counted)
        if not database.has_snapshots:
            with driver_errors():
                self._counts.forget()

    def read(self, key: str) -> Record:
        """The record as last written; see `RecordStore.read`."""
        check_key(key)
        with driver_errors():
            document = self._records.find_one({"_id": key})
        if document is None:
            raise RecordNotFound(key)
        return _record(document)

    def write(self, key: str, *, value: JSONObject, expected: str | None) -> Record:
        """Store `value` by compare-and-set; see `RecordStore.write`."""
        check_key(key)
        text, copy = encode(key, value)
        # Random, so that it needs no memory of removed records to be new.
        revision = secrets.token_hex(16)
        if not (
            self._insert(key, revision, text)
            if expected is None
            else self._update(key, revision, text, expected)
        ):
            raise RecordConflict(key)
        return Record(key, revision, copy)

    def remove(self, key: str, *, expected: str) -> None:
        """Remove the record by compare-and-set; see `RecordStore.remove`."""
        check_key(key)
        with driver_errors():
            if _storable(expected) and self._delete(key, expected):
                return
            # No revision comes again, so whatever is there now has another one.
            if self._records.find_one({"_id": key}, {"_id": 1}) is None:
                raise RecordNotFound(key)
        raise RecordConflict(key)

    def page(
        self, prefix: str, *, offset: int = 0, limit: int = 1000, descending: bool = False
    ) -> RecordPage:
        """Some records under a prefix, in key order; see `RecordStore.page`."""
        if offset < 0 or limit < 0:
            raise ValueError(f"offset {offset} and limit {limit} may not be negative")
        if not _storable(prefix):
            return RecordPage((), total=0)
        take = self._page_of_snapshot if self._database.has_snapshots else self._page_of_one_pass
        order = -1 if descending else 1
        for _ in range(_TRIES):
            with driver_errors():
                taken = take(prefix, order, min(offset, _MAX_ROWS), min(limit, _MAX_ROWS))
            if taken is not None:
                documents, total = taken
                return RecordPage(tuple(map(_record, documents)), total=total)
            time.sleep(_PAUSE_S)
        raise StoreUnavailable("too many writers are at work to see one state of the records")

    def scan(self, prefix: str, *, after: str = "", limit: int = 1000) -> Sequence[Record]:
        """The next records of a walk; see `RecordScan.scan`."""
        if limit < 1:
            raise ValueError(f"the limit {limit} is not positive")
        if not _storable(prefix) or not _storable(after):
            return []
        where = {"_id": {**range_of(prefix), "$gt": after}}
        with driver_errors():
            found = list(self._records.find(where).sort("_id", 1).limit(min(limit, _MAX_ROWS)))
        return [_record(document) for document in found]

    @property
    def _records(self) -> Any:
        return self._database.collection(RECORDS)

    def _insert(self, key: str, revision: str, text: str) -> bool:
        document = {"_id": key, "revision": revision, "value": text}
        with driver_errors():
            if prefix := self._counts.prefix_of(key):
                return self._counts.insert(document, prefix)
            try:
                self._records.insert_one(document)
            except DuplicateKeyError:
                return False
        return True

    def _update(self, key: str, revision: str, text: str, expected: str) -> bool:
        if not _storable(expected):
            return False
        with driver_errors():
            done = self._records.update_one(
                {"_id": key, "revision": expected}, {"$set": {"revision": revision, "value": text}}
            )
        return bool(done.matched_count)

    def _delete(self, key: str, expected: str) -> bool:
        where = {"_id": key, "revision": expected}
        if prefix := self._counts.prefix_of(key):
            return self._counts.remove(where, prefix)
        return bool(self._records.delete_one(where).deleted_count)

    def _page_of_snapshot(
        self, prefix: str, order: int, offset: int, limit: int
    ) -> tuple[list[Document], int] | None:
        """The documents and the total, or `None` if the server has no snapshot at the moment."""
        where = {"_id": range_of(prefix)}
        try:
            with self._database.snapshot() as session:
                documents: list[Document] = []
                if limit:
                    found = self._records.find(where, session=session)
                    documents = list(found.sort("_id", order).skip(offset).limit(limit))
                if len(documents) < limit and (documents or not offset):
                    return documents, offset + len(documents)
                return documents, self._counts.total(prefix, session)
        except OperationFailure as error:
            if error.code in _NO_SNAPSHOT:
                return None
            raise

    def _page_of_one_pass(
        self, prefix: str, order: int, offset: int, limit: int
    ) -> tuple[list[Document], int] | None:
        """The documents and the total, or `None` if one of the documents has changed since the pass."""
        where = {"_id": range_of(prefix)}
        if limit > _MAX_KEYS:
            documents = list(self._records.find(where).sort("_id", order))
            return documents[offset : offset + limit], len(documents)
        rows = [{"$skip": offset}, {"$limit": limit or 1}, {"$project": {"revision": 1}}]
        passed = [
            {"$match": where},
            {"$sort": {"_id": order}},
            {"$facet": {"rows": rows, "total": [{"$count": "n"}]}},
        ]
        (seen,) = self._records.aggregate(passed)
        keys = [row["_id"] for row in seen["rows"][:limit]]
        found = {document["_id"]: document for document in self._records.find({"_id": {"$in": keys}})}
        documents = [found[key] for key in keys if key in found]
        if [document["revision"] for document in documents] != [
            row["revision"] for row in seen["rows"][:limit]
        ]:
            return None
        return documents, sum(total["n"] for total in seen["total"])


def _storable(text: str) -> bool:
    """Whether the text is valid UTF-8; what is not is the revision or the prefix of no record."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _record(document: Document) -> Record:
    return Record(document["_id"], document["revision"], json.loads(document["value"]))
