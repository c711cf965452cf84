"""Payloads as files of one directory: `DIR/SHARD/ID`, where SHARD is the last two characters of the id.

Ids begin with the time, so it is their ends that spread evenly over the shards. A payload is written under
`DIR/tmp`, made durable, and then published by a hard link, which fails where the name is taken: a payload can
be neither half there nor overwritten.
"""

import errno
import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from heapq import nsmallest
from pathlib import Path
from typing import Final

from omega.adapters.embedded.files import disk_errors, make_directory, sync
from omega.ports.blobs import BlobExists, BlobNotFound

_WHAT: Final = "blob directory"
_CHUNK_BYTES: Final = 1 << 20
_STALE_AFTER_S: Final = 3600
_SHARD = re.compile(r"[0-9a-z]{1,2}")
_LEGAL_ID = re.compile(r"[0-9a-z]{1,64}")
_FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW


class DirectoryBlobStore:
    """A `BlobStore` in the directory `path`, which is made (mode 0700) where it is missing.

    The file system must have hard links and `flock`, as all local ones of Linux do.

    Raises: StoreUnavailable, StoreFull.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._tmp = self._path / "tmp"
        self._durable_shards: set[str] = set()
        with disk_errors(_WHAT):
            make_directory(self._tmp)
            self._remove_stale()

    def write(self, id: str, *, chunks: Iterable[bytes | memoryview]) -> int:
        """Store the joined chunks as one payload; see `BlobStore.write`."""
        target = self._file(id)
        temp = self._tmp / secrets.token_hex(16)
        with disk_errors(_WHAT):
            fd = _create(temp)
        try:
            size = 0
            for chunk in chunks:
                with disk_errors(_WHAT):
                    size += _write_all(fd, chunk)
            with disk_errors(_WHAT):
                os.fsync(fd)
                self._publish(temp, target)
        finally:
            os.close(fd)
            # A name left behind is harmless, and goes when it is stale: the outcome above is what counts.
            with suppress(OSError):
                temp.unlink()
        return size

    def read(self, id: str) -> Iterator[bytes]:
        """The payload's bytes in chunks of at most 1 MiB; see `BlobStore.read`."""
        file = self._file(id)
        with disk_errors(_WHAT):
            try:
                return _Chunks(os.open(file, os.O_RDONLY | _FLAGS))
            except FileNotFoundError:
                raise BlobNotFound(id) from None

    def remove(self, id: str) -> None:
        """Remove the payload if it is there.

        The directory is not synced: after a power cut the payload may be back, as one that nothing points to.
        """
        file = self._file(id)
        with disk_errors(_WHAT):
            file.unlink(missing_ok=True)

    def ids(self, *, after: str = "", limit: int | None = None) -> Iterator[str]:
        """The ids of payloads in ascending order; see `BlobStore.ids`."""
        if limit is not None and limit < 1:
            raise ValueError(f"the limit {limit} is not positive")
        with disk_errors(_WHAT):
            found = (
                file.name
                for shard in os.scandir(self._path)
                if _SHARD.fullmatch(shard.name) and shard.is_dir(follow_symlinks=False)
                for file in os.scandir(shard)
                if file.name > after and _LEGAL_ID.fullmatch(file.name) and file.name[-2:] == shard.name
            )
            return iter(sorted(found) if limit is None else nsmallest(limit, found))

    def written(self, id: str) -> datetime:
        """When the payload became visible; see `BlobTimes.written`."""
        file = self._file(id)
        with disk_errors(_WHAT):
            try:
                return datetime.fromtimestamp(file.lstat().st_mtime, UTC)
            except FileNotFoundError:
                raise BlobNotFound(id) from None

    def _file(self, id: str) -> Path:
        if not _LEGAL_ID.fullmatch(id):
            raise ValueError(f"illegal blob id {id[:80]!r}: it is not 1 to 64 characters of 0-9a-z")
        return self._path / id[-2:] / id

    def _publish(self, temp: Path, target: Path) -> None:
        shard = target.parent
        if shard.name not in self._durable_shards:
            # Also where another process made it: that one may not have come as far as its sync yet.
            shard.mkdir(mode=0o700, exist_ok=True)
            sync(self._path)
            self._durable_shards.add(shard.name)
        try:
            os.link(temp, target, follow_symlinks=False)
        except FileExistsError:
            raise BlobExists(target.name) from None
        try:
            sync(shard)
        except OSError:
            target.unlink(missing_ok=True)
            raise

    def _remove_stale(self) -> None:
        """Remove what dead processes left half written: files that are old and that nobody has locked."""
        oldest = time.time() - _STALE_AFTER_S
        for file in self._tmp.iterdir():
            try:
                if file.lstat().st_mtime < oldest and not is_locked(file):
                    file.unlink()
            except FileNotFoundError:
                continue


def _create(path: Path) -> int:
    """A new file, locked for as long as it is open, so that others can tell that its writer is alive."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def _write_all(fd: int, chunk: bytes | memoryview) -> int:
    rest = memoryview(chunk).cast("B")
    size = rest.nbytes
    while rest.nbytes:
        rest = rest[os.write(fd, rest) :]
    return size


def is_locked(path: Path) -> bool:
    """Whether the writer of a half-written payload is at work on it."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | _FLAGS)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return True
    finally:
        os.close(fd)
    return False


class _Chunks(Iterator[bytes]):
    """The rest of an open file, which is closed at its end or when this is given up.

    A generator that is given up before its first chunk would not close it.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        # A payload never changes. Without its size a small one would cost two buffers of a whole chunk.
        self._rest = os.fstat(fd).st_size

    def __next__(self) -> bytes:
        if self._fd < 0:
            raise StopIteration
        with disk_errors(_WHAT):
            chunk = os.read(self._fd, min(self._rest, _CHUNK_BYTES))
        self._rest -= len(chunk)
        if not chunk:
            self.close()
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Close the file; nothing more comes."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    __del__ = close
