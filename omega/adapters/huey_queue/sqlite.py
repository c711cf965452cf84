"""A queue in one SQLite file, which several processes share."""

import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Final

from huey.storage import SqliteStorage

from omega.adapters.huey_queue.polling import Polling
from omega.adapters.huey_queue.urls import sqlite_path
from omega.ports.queue import QueueUnavailable

_APPLICATION_ID: Final = 0x6F6D7175
_PATIENCE_S: Final = 4.0
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})


class SqliteQueue(Polling, SqliteStorage):  # type: ignore[misc]  # huey has no types
    """huey's `SqliteStorage` on a private file, with a connection that is made when it is needed and after
    every error, and without more patience than the port allows.
    """

    errors: ClassVar[tuple[type[Exception], ...]] = (sqlite3.Error, OSError)

    def __init__(self, name: str, path: Path) -> None:
        self._conn: sqlite3.Connection | None = None
        self._seen: tuple[int, int] | None = None
        super().__init__(name, filename=path, create_tables=False)

    @staticmethod
    def settings(url: str) -> dict[str, Any]:
        """The file that a `sqlite:///absolute/path` names.

        Raises: UnusableQueueURL.
        """
        return {"path": sqlite_path(url)}

    def explain(self, error: Exception) -> str:
        """What is wrong with the file, without where it is."""
        # The low byte is the primary code (https://sqlite.org/rescode.html). Errors of Python have none.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _BUSY:
            return f"the queue file was busy for {_PATIENCE_S:.0f} s"
        if code in _DAMAGED:
            return "the queue file is damaged or not a database"
        if isinstance(error, OSError):
            return f"cannot use the queue file: {error.strerror or type(error).__name__}"
        return f"cannot use the queue file: {error}"

    def has_changed(self) -> bool:
        """Whether somebody else has written to the file, or this process has; no lock is taken.

        (https://sqlite.org/pragma.html#pragma_data_version: what this connection itself writes does not
        count.)
        """
        with self.db() as cursor:
            seen = self._seen
            self._seen = (cursor.execute("pragma data_version").fetchone()[0], self.conn.total_changes)
        return self._seen != seen

    @contextmanager
    def db(self, commit: bool = False, close: bool = False) -> Iterator[sqlite3.Cursor]:
        """A cursor that no other thread uses meanwhile, in a transaction of its own for `commit`.

        huey's own waits for other threads without end, and keeps a connection whose commit has failed: from
        then on every transaction is refused as one within another.
        """
        deadline = time.monotonic() + _PATIENCE_S
        if not self.lock.acquire(timeout=_PATIENCE_S):
            raise QueueUnavailable(f"the queue file was busy for {_PATIENCE_S:.0f} s")
        try:
            left_ms = max(0, int((deadline - time.monotonic()) * 1000))
            self.conn.execute(f"pragma busy_timeout = {left_ms}")
            with closing(self.conn.cursor()) as cursor:
                if commit:
                    cursor.execute(self.begin_sql)
                yield cursor
                if commit:
                    cursor.execute("commit")
        except BaseException:
            self._disconnect()
            raise
        finally:
            self.lock.release()

    def close(self) -> None:
        """Close the connection, once no thread uses it."""
        with self.lock:
            self._disconnect()

    def _disconnect(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None
            # Of another connection these numbers mean something else.
            self._seen = None

    def _create_connection(self) -> sqlite3.Connection:
        if not self.filename.exists():
            self._create_file()
        db = sqlite3.connect(
            self.filename, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False
        )
        try:
            if db.execute("pragma application_id").fetchone() != (_APPLICATION_ID,):
                raise QueueUnavailable("the queue file is not a queue of omega")
            # Text that is no UTF-8 would raise, and so stay at the head of the queue for ever.
            db.text_factory = bytes
            # A power cut may take the last messages, as the port allows, but leaves the file whole.
            db.execute("pragma synchronous = normal")
        except BaseException:
            db.close()
            raise
        return db

    def _create_file(self) -> None:
        """Make the file under another name and publish it whole.

        Of processes that do so at once one wins, and all find the same file.
        """
        _make_directory(self.filename.parent)
        temp = self.filename.with_name(f".{secrets.token_hex(16)}.tmp")
        # The mode counts for the write-ahead log too: SQLite gives that the mode of the file.
        os.close(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            with closing(sqlite3.connect(temp, isolation_level=None)) as db:
                db.execute("pragma journal_mode = wal")
                for sql in (self.table_task, self.index_task, f"pragma application_id = {_APPLICATION_ID}"):
                    db.execute(sql)
            with suppress(FileExistsError):
                os.link(temp, self.filename)
        finally:
            temp.unlink()


def _make_directory(path: Path) -> None:
    if not path.is_dir():
        _make_directory(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
