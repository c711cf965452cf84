"""Directories and files that are private to their owner and still there after a power cut."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omega.ports.records import StoreFull, StoreUnavailable

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


def make_directory(path: Path) -> None:
    """Make `path` and its missing parents, mode 0700, so that they survive a power cut."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Make a file's content, or the names in a directory, durable: neither covers the other (fsync(2))."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn the `OSError` of an operation on `what` into the port's errors; messages hold no path."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StoreFull(f"no room left in the {what}") from error
        raise StoreUnavailable(f"cannot use the {what}: {error.strerror or type(error).__name__}") from error
