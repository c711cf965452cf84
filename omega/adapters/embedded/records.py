"""Records in one SQLite file, in write-ahead mode with a sync at every commit.

SQLite gives the atomicity and the durability (https://sqlite.org/wal.html, https://sqlite.org/pragma.html#pragma_synchronous);
text compares byte by byte, which for UTF-8 is the order of code points.
"""

import json
import os
import secrets
import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Final

from omega.adapters.embedded.files import disk_errors, make_directory, sync
from omega.ports.record_form import check_key, encode
from omega.ports.records import (
    JSONObject,
    Record,
    RecordConflict,
    RecordNotFound,
    RecordPage,
    StoreFull,
    StoreUnavailable,
)

_WHAT: Final = "record file"
_APPLICATION_ID: Final = 0x6F6D6567
_SCHEMA_VERSION: Final = 2
_BUSY_TIMEOUT_S: Final = 10.0
_MAX_ROWS: Final = 2**63 - 1
#: What a key begins with, up to its last slash.
_SHELF: Final = "rtrim({row}.key, replace({row}.key, '/', ''))"
#: Each version of the schema, as the statements that lead to it from the one before.
_SCHEMA: Final = (
    (
        "CREATE TABLE record (key TEXT PRIMARY KEY NOT NULL, revision TEXT NOT NULL, value TEXT NOT NULL)"
        " WITHOUT ROWID",
        f"PRAGMA application_id = {_APPLICATION_ID}",
    ),
    (
        # How many records there are on each shelf, so that the length of a list need not be counted.
        "CREATE TABLE shelf (name TEXT PRIMARY KEY NOT NULL, total INTEGER NOT NULL) WITHOUT ROWID",
        f"INSERT INTO shelf SELECT {_SHELF.format(row='record')}, count(*) FROM record GROUP BY 1",  # noqa: S608
        f"""CREATE TRIGGER record_added AFTER INSERT ON record BEGIN
            INSERT INTO shelf VALUES ({_SHELF.format(row="new")}, 1)
            ON CONFLICT (name) DO UPDATE SET total = total + 1;
        END""",  # noqa: S608
        f"""CREATE TRIGGER record_removed AFTER DELETE ON record BEGIN
            UPDATE shelf SET total = total - 1 WHERE name = {_SHELF.format(row="old")};
            DELETE FROM shelf WHERE name = {_SHELF.format(row="old")} AND total = 0;
        END""",  # noqa: S608
    ),
)
_COUNTED: Final = f"SELECT {_SHELF.format(row='record')} AS name, count(*) AS total FROM record GROUP BY 1"  # noqa: S608
#: The SQL for the names of the shelves whose totals are not what is there.
MISCOUNTED_SHELVES: Final = (
    f"WITH counted AS ({_COUNTED}) SELECT DISTINCT name FROM ("  # noqa: S608
    "SELECT * FROM (SELECT * FROM counted EXCEPT SELECT name, total FROM shelf) UNION ALL "
    "SELECT * FROM (SELECT name, total FROM shelf EXCEPT SELECT * FROM counted)) ORDER BY name"
)
_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})


class SqliteRecordStore:
    """A `RecordStore` in the SQLite file `path`, which is made (mode 0600) where it is missing.

    The file must be on a local disk: SQLite's locks and shared memory do not work over a network. A writer
    waits up to 10 s for others.

    Raises: StoreUnavailable, also when the file is not one of ours or is of a newer schema; StoreFull.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        # Idle connections by process: one that came over a fork believes that it holds its parent's locks, so
        # it is neither used nor closed here.
        self._idle: dict[int, deque[sqlite3.Connection]] = {}
        with disk_errors(_WHAT), self._driver_errors():
            make_directory(self._path.parent)
            if not self._path.exists():
                self._create()
            # Also where another process made it: that one may not have come as far as its sync yet.
            sync(self._path.parent)
        with self._connection():
            pass

    def read(self, key: str) -> Record:
        """The record as last written; see `RecordStore.read`."""
        check_key(key)
        with self._connection() as db:
            row = db.execute("SELECT revision, value FROM record WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise RecordNotFound(key)
        return _record(key, *row)

    def write(self, key: str, *, value: JSONObject, expected: str | None) -> Record:
        """Store `value` by compare-and-set; see `RecordStore.write`."""
        check_key(key)
        text, copy = encode(key, value)
        # Random, so that it needs no memory of removed records to be new.
        revision = secrets.token_hex(16)
        with self._connection() as db, _transaction(db, "IMMEDIATE"):
            if expected is None:
                sql = "INSERT INTO record (revision, value, key) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
                done = db.execute(sql, (revision, text, key))
            else:
                sql = "UPDATE record SET revision = ?, value = ? WHERE key = ? AND revision = ?"
                done = db.execute(sql, (revision, text, key, _bindable(expected)))
            if done.rowcount != 1:
                raise RecordConflict(key)
        return Record(key, revision, copy)

    def remove(self, key: str, *, expected: str) -> None:
        """Remove the record by compare-and-set; see `RecordStore.remove`."""
        check_key(key)
        with self._connection() as db, _transaction(db, "IMMEDIATE"):
            row = db.execute("SELECT revision FROM record WHERE key = ?", (key,)).fetchone()
            if row is None:
                raise RecordNotFound(key)
            if row[0] != expected:
                raise RecordConflict(key)
            db.execute("DELETE FROM record WHERE key = ?", (key,))

    def page(
        self, prefix: str, *, offset: int = 0, limit: int = 1000, descending: bool = False
    ) -> RecordPage:
        """Some records under a prefix, in key order; see `RecordStore.page`."""
        if offset < 0 or limit < 0:
            raise ValueError(f"offset {offset} and limit {limit} may not be negative")
        where, bounds = _range(prefix)
        order = "DESC" if descending else "ASC"
        rows = f"SELECT key, revision, value FROM record WHERE {where} ORDER BY key {order} LIMIT ? OFFSET ?"  # noqa: S608
        with self._connection() as db, _transaction(db, "DEFERRED"):
            (total,) = db.execute(_total(prefix, where), bounds).fetchone()
            found = db.execute(rows, (*bounds, min(limit, _MAX_ROWS), min(offset, _MAX_ROWS))).fetchall()
        return RecordPage(tuple(_record(*row) for row in found), total=total)

    def scan(self, prefix: str, *, after: str = "", limit: int = 1000) -> Sequence[Record]:
        """The next records of a walk; see `RecordScan.scan`."""
        if limit < 1:
            raise ValueError(f"the limit {limit} is not positive")
        where, bounds = _range(prefix)
        sql = f"SELECT key, revision, value FROM record WHERE {where} AND key > ? ORDER BY key LIMIT ?"  # noqa: S608
        with self._connection() as db:
            found = db.execute(sql, (*bounds, _bindable(after), min(limit, _MAX_ROWS))).fetchall()
        return [_record(*row) for row in found]

    def close(self) -> None:
        """Close the connections that are idle; a later call opens a new one."""
        idle = self._idle.get(os.getpid(), deque())
        with suppress(IndexError):
            while True:
                idle.pop().close()

    def _connection(self) -> "_Borrowed":
        """A connection that no other thread uses meanwhile."""
        return _Borrowed(self._idle.setdefault(os.getpid(), deque()), self)

    def _connect(self) -> sqlite3.Connection:
        # mode=rw: a file that has gone is an error, not a reason to start a new one.
        uri = f"{self._path.as_uri()}?mode=rw"
        db = sqlite3.connect(
            uri, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            self._check(db)
            db.execute("PRAGMA synchronous = FULL")
        except BaseException:
            db.close()
            raise
        return db

    def _check(self, db: sqlite3.Connection) -> None:
        (application_id,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (journal_mode,) = db.execute("PRAGMA journal_mode").fetchone()
        name = self._path.name
        if application_id != _APPLICATION_ID or version < 1 or journal_mode != "wal":
            raise StoreUnavailable(f"the file {name!r} is not a record file of omega")
        if version < _SCHEMA_VERSION:
            _upgrade(db)
        if version > _SCHEMA_VERSION:
            raise StoreUnavailable(
                f"the record file {name!r} was written by a newer omega: its version is {version}, "
                f"and this omega knows versions up to {_SCHEMA_VERSION}"
            )

    def _create(self) -> None:
        """Make the file under another name and publish it whole.

        Of processes that do so at once one wins, and all find the same file.
        """
        temp = self._path.with_name(f".{secrets.token_hex(16)}.tmp")
        # The mode counts for the write-ahead log too: SQLite gives that the mode of the file.
        os.close(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        try:
            with closing(sqlite3.connect(temp, isolation_level=None)) as db:
                db.execute("PRAGMA synchronous = FULL")
                db.execute("PRAGMA journal_mode = WAL")
                _upgrade(db)
            sync(temp)
            with suppress(FileExistsError):
                os.link(temp, self._path, follow_symlinks=False)
        finally:
            temp.unlink()

    @contextmanager
    def _driver_errors(self) -> Iterator[None]:
        """Turn SQLite's errors into the port's; messages hold no path."""
        try:
            yield
        except sqlite3.Error as error:
            raise _translated(error, self._path.name) from error


class _Borrowed:
    """A connection for the time of a block, with its errors as the port's. (A class: a generator takes longer
    than to read a record.)
    """

    def __init__(self, idle: deque[sqlite3.Connection], store: SqliteRecordStore) -> None:
        self._idle = idle
        self._store = store

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._db = self._idle.pop()
        except IndexError:
            with self._store._driver_errors():
                self._db = self._store._connect()
        return self._db

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if not isinstance(error, sqlite3.Error):
            self._idle.append(self._db)
            return
        self._db.close()
        raise _translated(error, self._store._path.name) from error


def _translated(error: sqlite3.Error, name: str) -> StoreFull | StoreUnavailable:
    # The low byte is the primary code (https://sqlite.org/rescode.html). Errors of Python have none.
    code = getattr(error, "sqlite_errorcode", 0)
    if code in _FULL or code & 0xFF in _FULL:
        return StoreFull("no room left for records")
    if code & 0xFF in _BUSY:
        return StoreUnavailable(f"the record file was busy for {_BUSY_TIMEOUT_S:.0f} s")
    if code & 0xFF in _DAMAGED:
        return StoreUnavailable(f"the record file {name!r} is damaged or not a database")
    return StoreUnavailable(f"cannot use the record file: {error}")


@contextmanager
def _transaction(db: sqlite3.Connection, kind: str) -> Iterator[None]:
    db.execute(f"BEGIN {kind}")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors, a full disk among them.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _upgrade(db: sqlite3.Connection) -> None:
    """Bring the file to the newest version of the schema, whole or not at all."""
    with _transaction(db, "IMMEDIATE"):
        # Another process may have done it since.
        (version,) = db.execute("PRAGMA user_version").fetchone()
        for statement in chain.from_iterable(_SCHEMA[version:]):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


def _total(prefix: str, where: str) -> str:
    """The SQL for the number of records under a prefix, whose condition is `where`."""
    if prefix.endswith("/"):
        shelves = where.replace("key", "name")
        return f"SELECT coalesce(sum(total), 0) FROM shelf WHERE {shelves}"  # noqa: S608
    return f"SELECT count(*) FROM record WHERE {where}"  # noqa: S608


def _range(prefix: str) -> tuple[str, tuple[str, ...]]:
    """The SQL condition for the keys that start with `prefix`, and its parameters."""
    if _bindable(prefix) is None:
        return "FALSE", ()
    start = prefix.rstrip("\U0010ffff")
    if not start:
        return "key >= ?", (prefix,)
    # The code points after U+D7FF are the surrogates, which no UTF-8 text holds.
    following = "\ue000" if start[-1] == "\ud7ff" else chr(ord(start[-1]) + 1)
    return "key >= ? AND key < ?", (prefix, start[:-1] + following)


def _bindable(text: str) -> str | None:
    """`text`, or NULL, which equals nothing, where the text is not valid UTF-8 and so cannot be stored."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return text


def _record(key: str, revision: str, text: str) -> Record:
    return Record(key, revision, json.loads(text))
