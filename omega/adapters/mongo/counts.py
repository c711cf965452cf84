"""How many records there are under a prefix, kept by those who add and remove them, so that a page of a long
list need not count.

For each prefix that is counted there is a document beside the records (its `_id` is no text, so that no query
for records meets it). `change` is what has been added less what has been removed since the document was made.
It is changed in one transaction with the record itself, so that at each moment the number of records less
`change` is the same number: that is `base`, which whoever counts once may write at any time. See
docs/adr/0028.
"""

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import pymongo
from pymongo import DeleteOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.errors import BulkWriteError

from omega.adapters.mongo.database import Document, MongoDatabase

T = TypeVar("T")

RECORDS: Final = "omega.records"
#: What is shorter is counted each time: that is soon done, and asks for nothing more.
_LONG: Final = 1000
#: All tries of a transaction together; it is repeated while others change the same document.
_WITHIN_S: Final = 20
#: The first operation, and the server's number for a duplicate key.
_DUPLICATE: Final = (0, 11000)


class MongoCounts:
    """The counts of the prefixes that match `counted`, on a server that has transactions."""

    def __init__(self, database: MongoDatabase, counted: re.Pattern[str]) -> None:
        self._database = database
        self._counted = counted

    def prefix_of(self, key: str) -> str | None:
        """The prefix that this key is counted under, if any."""
        found = self._counted.match(key) if self._database.has_snapshots else None
        return found[0] if found else None

    def insert(self, document: Document, prefix: str) -> bool:
        """Add a record; `False`, and nothing has changed, if there is one of its key."""
        content = {name: value for name, value in document.items() if name != "_id"}
        added = UpdateOne({"_id": document["_id"]}, {"$setOnInsert": content}, upsert=True)

        def insert(session: ClientSession) -> bool:
            try:
                done = self._records.bulk_write([added, _changed(prefix, 1)], session=session)
            except BulkWriteError as error:
                if [(part["index"], part["code"]) for part in error.details["writeErrors"]] != [_DUPLICATE]:
                    raise
                return False
            return 0 in (done.upserted_ids or {})

        return self._transaction(insert)

    def remove(self, where: Document, prefix: str) -> bool:
        """Remove the record; `False`, and nothing has changed, if it is not there as it should be."""
        operations = [DeleteOne(where), _changed(prefix, -1)]

        def remove(session: ClientSession) -> bool:
            return bool(self._records.bulk_write(operations, session=session).deleted_count)

        return self._transaction(remove)

    def total(self, prefix: str, session: ClientSession) -> int:
        """How many records there are under the prefix, in the state that the session reads."""
        where = {"_id": range_of(prefix)}
        if not self._counted.fullmatch(prefix):
            return int(self._records.count_documents(where, session=session))
        few = int(self._records.count_documents(where, session=session, limit=_LONG))
        if few < _LONG:
            return few
        known = self._records.find_one({"_id": _id(prefix)}, session=session) or {"change": 0}
        if "base" not in known:
            known["base"] = self._records.count_documents(where, session=session) - known["change"]
            base = {"$set": {"base": known["base"]}, "$setOnInsert": {"change": 0}}
            # Not in the session, which reads a state that is past.
            self._records.update_one({"_id": _id(prefix)}, base, upsert=True)
        return int(known["base"] + known["change"])

    def forget(self) -> None:
        """Begin anew: who writes without transactions does not count."""
        self._records.delete_many(_COUNTS)

    def _transaction(self, change: Callable[[ClientSession], bool]) -> bool:
        """What `change` says; where it says no, nothing has changed."""

        def attempt(session: ClientSession) -> bool:
            done = change(session)
            if not done:
                session.abort_transaction()
            return done

        with pymongo.timeout(_WITHIN_S):
            with self._database.client.start_session() as session:
                done = session.with_transaction(attempt)
            if not done:
                # What stood in the way may not be with most members yet, and so not for all to read. A write
                # waits for that, also one that changes nothing.
                self._records.update_one({"_id": {"counted": None}}, {"$unset": {"base": 1}})
        return done

    @property
    def _records(self) -> Any:
        return self._database.collection(RECORDS)


#: Finds the documents of counts and no others, by the index.
_COUNTS: Final[Document] = {"_id": {"$type": "object"}}


def miscounted(database: MongoDatabase) -> list[str]:
    """The prefixes whose noted number of records is not what is there."""
    if not database.has_snapshots:
        return []
    records, found = database.collection(RECORDS), []
    with database.snapshot() as session:
        for known in list(records.find({**_COUNTS, "base": {"$exists": True}}, session=session)):
            prefix = known["_id"]["counted"]
            there = records.count_documents({"_id": range_of(prefix)}, session=session)
            if known["base"] + known["change"] != there:
                found.append(prefix)
    return found


def range_of(prefix: str) -> Document:
    """The condition for the keys that start with `prefix`."""
    start = prefix.rstrip("\U0010ffff")
    if not start:
        return {"$gte": prefix}
    # The code points after U+D7FF are the surrogates, which no UTF-8 text holds.
    following = "\ue000" if start[-1] == "\ud7ff" else chr(ord(start[-1]) + 1)
    return {"$gte": prefix, "$lt": start[:-1] + following}


def _id(prefix: str) -> Document:
    return {"counted": prefix}


def _changed(prefix: str, by: int) -> UpdateOne:
    return UpdateOne({"_id": _id(prefix)}, {"$inc": {"change": by}}, upsert=True)
