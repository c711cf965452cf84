"""Payloads in GridFS (https://www.mongodb.com/docs/manual/core/gridfs/), each a file whose name is the id.

A payload that fits in one chunk is in the document of its file: it is written, read and removed by one
command each (ADR 0016). Of a larger one the chunks go first, under a fresh number. The document of the file
goes last and has a unique index on the name: a payload can be neither half there nor overwritten. What is
half written or half removed is listed in a third collection, with the time at which its writer was last seen:
so what the dead have left is found.
"""

import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import chain
from typing import IO, Any, Final

import pymongo
from bson import ObjectId
from gridfs import GridIn, GridOut
from gridfs.errors import CorruptGridFile, FileExists
from pymongo.errors import DuplicateKeyError

from omega.adapters.mongo.database import Document, MongoDatabase
from omega.adapters.mongo.errors import driver_errors
from omega.ports.blobs import BlobDamaged, BlobExists, BlobNotFound
from omega.ports.records import StoreFull, StoreUnavailable

_COLLECTION: Final = "omega.blobs"
#: A little less than 1 MiB, so that a chunk with what is around it does not take the space of two.
_CHUNK_BYTES: Final = (1 << 20) - 4096
_READ_BYTES: Final = 1 << 20
_IN_MEMORY_BYTES: Final = 8 << 20
_STALE_AFTER: Final = timedelta(hours=1)
_RENEW_AFTER_S: Final = 300.0
_LAST_TRY_S: Final = 1.0
_LEGAL_ID = re.compile(r"[0-9a-z]{1,64}")


class MongoBlobStore:
    """A `BlobStore` in `database`.

    A payload is copied when its reading begins, from 8 MiB on into a file in the directory for temporary
    files: GridFS keeps nothing for those who still read.

    Raises: StoreUnavailable, StoreFull.
    """

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database
        with driver_errors():
            self._root.files.create_index("filename", unique=True, name="id")
            self._root.chunks.create_index([("files_id", 1), ("n", 1)], unique=True)
            self._remove_stale()

    def write(self, id: str, *, chunks: Iterable[bytes | memoryview]) -> int:
        """Store the joined chunks as one payload; see `BlobStore.write`."""
        _check(id)
        parts = _parts(chunks)
        first, size = [], 0
        for part in parts:
            first.append(part)
            size += len(part)
            if size > _CHUNK_BYTES:
                break
        # Not before: of a small payload it tells when it came, and its chunks may have taken long.
        number = ObjectId()
        try:
            if size <= _CHUNK_BYTES:
                return self._insert(id, number, b"".join(first))
            return self._upload(id, number, chain(first, parts))
        except BaseException as error:
            # What is left behind is invisible, and goes when it is stale: the error is what counts, and who
            # is to be told that the store is gone has waited for long enough.
            patience_s = _LAST_TRY_S if isinstance(error, StoreUnavailable) else None
            with suppress(StoreUnavailable, StoreFull), driver_errors(), pymongo.timeout(patience_s):
                self._withdraw(number)
            raise

    def read(self, id: str) -> Iterator[bytes]:
        """The payload's bytes in chunks of at most 1 MiB; see `BlobStore.read`."""
        _check(id)
        with driver_errors():
            file = self._root.files.find_one({"filename": id})
            if file is None:
                raise BlobNotFound(id)
            if "data" in file:
                return _Chunks(BytesIO(file["data"]))
            try:
                return _Chunks(self._copy(file))
            except CorruptGridFile:
                if self._root.files.find_one({"_id": file["_id"]}) is None:
                    raise BlobNotFound(id) from None
                raise BlobDamaged(id) from None

    def remove(self, id: str) -> None:
        """Remove the payload if it is there; see `BlobStore.remove`."""
        _check(id)
        with driver_errors():
            files = self._root.files
            if files.delete_one({"filename": id, "data": {"$exists": True}}).deleted_count:
                return
            file = files.find_one({"filename": id}, {"_id": 1})
            if file is not None:
                self._claim(file["_id"])
                self._withdraw(file["_id"])

    def ids(self, *, after: str = "", limit: int | None = None) -> Iterator[str]:
        """The ids of payloads in ascending order; see `BlobStore.ids`."""
        if limit is not None and limit < 1:
            raise ValueError(f"the limit {limit} is not positive")
        with driver_errors():
            # Without the number the index alone answers, and no payload is touched. A limit of 0 is none.
            files = self._root.files.find({"filename": {"$gt": after}}, {"_id": 0, "filename": 1})
            found = [file["filename"] for file in files.sort("filename", 1).limit(limit or 0)]
        return iter(found)

    def written(self, id: str) -> datetime:
        """When the payload became visible; see `BlobTimes.written`."""
        _check(id)
        with driver_errors():
            file = self._root.files.find_one({"filename": id}, {"uploadDate": 1})
        if file is None:
            raise BlobNotFound(id)
        # A small payload has no date of its own: its number begins with the time.
        uploaded: datetime = file.get("uploadDate") or file["_id"].generation_time
        return uploaded.replace(tzinfo=UTC)

    @property
    def _root(self) -> Any:
        return blobs_of(self._database)

    def _insert(self, id: str, number: ObjectId, payload: bytes) -> int:
        """Store a payload that fits in the document of its file."""
        with driver_errors():
            try:
                self._root.files.insert_one(
                    {"_id": number, "filename": id, "length": len(payload), "data": payload}
                )
            except DuplicateKeyError:
                raise BlobExists(id) from None
        return len(payload)

    def _upload(self, id: str, number: ObjectId, parts: Iterable[bytes]) -> int:
        with driver_errors():
            self._claim(number)
            file = GridIn(self._root, _id=number, filename=id, chunkSize=_CHUNK_BYTES)
        size, claimed = 0, time.monotonic()
        for part in parts:
            with driver_errors():
                file.write(part)
                size += len(part)
                if time.monotonic() - claimed > _RENEW_AFTER_S:
                    self._claim(number)
                    claimed = time.monotonic()
        with driver_errors():
            try:
                file.close()
            except FileExists:
                raise BlobExists(id) from None
            if not self._root.pending.delete_one({"_id": number, "doomed": None}).deleted_count:
                raise StoreUnavailable("the payload took so long to write that it was taken for left behind")
        return size

    def _claim(self, number: ObjectId) -> None:
        """Say that somebody is at work on this file now."""
        self._root.pending.update_one({"_id": number}, {"$currentDate": {"since": True}}, upsert=True)

    def _withdraw(self, number: ObjectId) -> None:
        """Remove a file, its name first, and then that it is pending."""
        self._root.files.delete_one({"_id": number})
        self._root.chunks.delete_many({"files_id": number})
        self._root.pending.delete_one({"_id": number})

    def _copy(self, file: Document) -> IO[bytes]:
        """All bytes of a file, in a file of this process's own."""
        source = GridOut(self._root, file_document=file)
        copy = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115  # the reader closes it
        try:
            while chunk := source.readchunk():
                with _temporary_errors():
                    copy.write(chunk)
            with _temporary_errors():
                copy.seek(0)
        except BaseException:
            copy.close()
            raise
        return copy

    def _remove_stale(self) -> None:
        """Remove what the dead have left half written or half removed."""
        stale = {"since": {"$lt": self._database.server_time() - _STALE_AFTER}}
        for left in list(self._root.pending.find(stale)):
            remove_pending(self._root, left["_id"], since=left["since"])


def blobs_of(database: MongoDatabase) -> Any:
    """The collection under whose name those of the payloads are."""
    return database.collection(_COLLECTION)


def remove_pending(root: Any, number: ObjectId, *, since: datetime) -> bool:
    """Remove what is half written or half removed, unless its writer has been seen after `since`."""
    # From here on its writer, should it live, cannot end well: it looks for this at its end.
    doomed = root.pending.update_one({"_id": number, "since": since}, {"$set": {"doomed": True}})
    if not doomed.matched_count:
        return False
    if root.files.find_one({"_id": number}) is None:
        root.chunks.delete_many({"files_id": number})
    root.pending.delete_one({"_id": number})
    return True


def _check(id: str) -> None:
    if not _LEGAL_ID.fullmatch(id):
        raise ValueError(f"illegal blob id {id[:80]!r}: it is not 1 to 64 characters of 0-9a-z")


def _parts(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The bytes of the chunks in order, never many at once."""
    for chunk in chunks:
        rest = memoryview(chunk).cast("B")
        for start in range(0, rest.nbytes, _CHUNK_BYTES):
            yield bytes(rest[start : start + _CHUNK_BYTES])


@contextmanager
def _temporary_errors() -> Iterator[None]:
    """Tell of a temporary file that fails, without its path.

    Raises: StoreUnavailable.
    """
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"no temporary file for the payload: {error.strerror}") from error


class _Chunks(Iterator[bytes]):
    """The rest of an open file, which is closed at its end or when this is given up.

    A generator that is given up before its first chunk would not close it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __next__(self) -> bytes:
        if self._file.closed:
            raise StopIteration
        with _temporary_errors():
            chunk = self._file.read(_READ_BYTES)
        if not chunk:
            self.close()
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Close the file; nothing more comes."""
        self._file.close()

    __del__ = close
