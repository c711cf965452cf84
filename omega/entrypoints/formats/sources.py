"""Where formats read bytes from, and where Arrow writes them to."""

from collections.abc import Iterator
from typing import Final, Protocol

import pyarrow as pa

from omega.domain.errors import BadInput

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


def read_exactly(source: Source, size: int) -> bytes:
    """As many bytes, fewer only where the source ends."""
    parts = []
    while size and (part := source.read(size)):
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def malformed(what: str, error: BaseException) -> BadInput:
    """The error for content that is not `what`, with the library's reason in one line."""
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    return BadInput(f"this is not valid {what}: {reason}")
