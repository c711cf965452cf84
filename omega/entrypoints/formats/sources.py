"""Where formats read bytes from, and where Arrow writes them to."""

import io
import mmap
import os
import stat
from collections.abc import Iterator
from typing import Final, Protocol

import pyarrow as pa

from omega.domain.errors import BadInput, TooLarge
from omega.entrypoints.limits import Limits

#: What pyarrow raises for content that is not as its format says. OSError covers what its readers call I/O
#: errors.
ARROW_ERRORS: Final = (
    pa.ArrowException,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    MemoryError,
    NotImplementedError,
)


_CHUNK_BYTES: Final = 1 << 20


class Source(Protocol):
    """Where bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end."""


class Sink:
    """A file that Arrow writes to, and that hands over what was written."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        """Take a piece."""
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Do nothing: nothing is kept back."""

    def take(self) -> Iterator[bytes]:
        """The pieces since the last time."""
        pieces, self._pieces = self._pieces, []
        yield from pieces


def whole(source: Source, limits: Limits) -> memoryview:
    """All that is left of `source`, copied only where it must be.

    Raises: TooLarge.
    """
    if isinstance(source, io.BytesIO):
        return source.getbuffer()[source.tell() :]
    if isinstance(source, io.BufferedRandom) and (size := _private_size(source.fileno())):
        return memoryview(mmap.mmap(source.fileno(), size, access=mmap.ACCESS_READ))[source.tell() :]
    content = io.BytesIO()
    while chunk := source.read(_CHUNK_BYTES):
        content.write(chunk)
        if content.tell() > limits.body_bytes:
            raise TooLarge(f"the content is over {limits.body_bytes:,} bytes, the limit (body_bytes)")
    return content.getbuffer()


def _private_size(file: int) -> int:
    """The size of a file without a name. (One with a name could be cut by others while it is mapped, and its
    reader would be killed.)
    """
    about = os.fstat(file)
    return about.st_size if stat.S_ISREG(about.st_mode) and about.st_nlink == 0 else 0


def malformed(what: str, error: BaseException) -> BadInput:
    """The error for content that is not `what`, with the library's reason in one line."""
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    return BadInput(f"this is not valid {what}: {reason}")
