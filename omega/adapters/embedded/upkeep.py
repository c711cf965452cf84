"""Care for the record file and the blob directory: what SQLite finds wrong, and what the dead have left."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from omega.adapters.embedded.blobs import is_locked
from omega.adapters.embedded.files import disk_errors
from omega.adapters.embedded.records import MISCOUNTED_SHELVES
from omega.ports.records import StoreUnavailable
from omega.ports.upkeep import Leftover

_TEMPORARY_PAYLOAD: Final = re.compile(r"[0-9a-f]{32}")
_TEMPORARY_RECORDS: Final = re.compile(r"\.[0-9a-f]{32}\.tmp(?:-wal|-shm|-journal)?")
_MAX_FAULTS: Final = 20


class DirectoryUpkeep:
    """The `StoreUpkeep` of the blob directory `path`."""

    def __init__(self, path: Path) -> None:
        self._tmp = path.absolute() / "tmp"

    def faults(self) -> Iterator[str]:
        """None that reading the payloads would not show; see `StoreUpkeep.faults`."""
        return iter(())

    def leftovers(self) -> Iterator[Leftover]:
        """Payloads that are half written; see `StoreUpkeep.leftovers`."""
        return _temporary(self._tmp, _TEMPORARY_PAYLOAD, "half-written payload")

    def discard(self, leftover: Leftover) -> bool:
        """Remove it, unless its writer has it open; see `StoreUpkeep.discard`."""
        file = self._tmp / leftover.key
        if not _TEMPORARY_PAYLOAD.fullmatch(leftover.key):
            return False
        with disk_errors("blob directory"):
            try:
                if is_locked(file):
                    return False
                file.unlink()
            except FileNotFoundError:
                return False
        return True


class SqliteUpkeep:
    """The `StoreUpkeep` of the record file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()

    def faults(self) -> Iterator[str]:
        """What SQLite's own check finds (https://sqlite.org/pragma.html#pragma_integrity_check), and lists
        whose length is not what is noted; see `StoreUpkeep.faults`.
        """
        try:
            with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, timeout=10)) as db:
                found = db.execute(f"PRAGMA integrity_check({_MAX_FAULTS})").fetchall()
                miscounted = db.execute(MISCOUNTED_SHELVES).fetchall()
        except sqlite3.DatabaseError as error:
            # The low byte is the primary code (https://sqlite.org/rescode.html).
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise StoreUnavailable(f"cannot check the record file: {error}") from error
            yield "the record file is damaged: SQLite cannot read all of it"
            return
        for (words,) in found:
            if words != "ok":
                yield f"the record file is damaged: {words}"
        for (shelf,) in miscounted:
            yield f"the record file notes a wrong number of records under {shelf!r}"

    def leftovers(self) -> Iterator[Leftover]:
        """Record files that were never published; see `StoreUpkeep.leftovers`."""
        return _temporary(self._path.parent, _TEMPORARY_RECORDS, "unfinished record file")

    def discard(self, leftover: Leftover) -> bool:
        """Remove it; see `StoreUpkeep.discard`."""
        if not _TEMPORARY_RECORDS.fullmatch(leftover.key):
            return False
        with disk_errors("record file"):
            try:
                (self._path.parent / leftover.key).unlink()
            except FileNotFoundError:
                return False
        return True


def _temporary(directory: Path, names: re.Pattern[str], what: str) -> Iterator[Leftover]:
    with disk_errors("directory of the store"):
        for file in sorted(directory.iterdir()):
            if not names.fullmatch(file.name):
                continue
            try:
                since = datetime.fromtimestamp(file.lstat().st_mtime, UTC)
            except FileNotFoundError:
                continue
            yield Leftover(what, file.name, since)
