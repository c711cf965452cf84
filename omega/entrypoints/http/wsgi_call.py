"""One call of a WSGI application (PEP 3333), taken in parts."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

from attrs import evolve, frozen

Environ = dict[str, Any]
WSGI = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_PART_BYTES: Final = 128 * 1024
_PART_S: Final = 0.05


class Pause(bytes):
    """A chunk of no bytes that an application gives where it has nothing to say for `seconds`: nothing waits
    in its thread meanwhile. A server that knows nothing of this asks again at once.
    """

    seconds: float

    def __new__(cls, seconds: float) -> "Pause":
        """A pause of this length."""
        pause = super().__new__(cls)
        pause.seconds = seconds
        return pause


class Waiting(Protocol):
    """What an application puts into `environ[WAIT]` in place of an answer that it cannot give yet. Once this
    is ready, the application is called anew, and finds it in `environ[WAITED]`.
    """

    def ready(self) -> bool:
        """Whether it is; asked again and again. Whatever it raises ends the waiting too."""


CAN_WAIT: Final = "omega.can_wait"
WAIT: Final = "omega.wait"
WAITED: Final = "omega.waited"


@frozen
class Part:
    """Some bytes of the answer, whether they are the last, and how long the next ones are not to be asked
    for."""

    data: bytes
    last: bool
    pause_s: float = 0.0


class Call:
    """The answer of `app` to `environ`: `start` gives the first part, `next_part` each further one.

    A part is at least 128 KiB, unless the application is slow or has no more. The methods block; call one at
    a time. `close` must come last, whatever happened, and may come twice.
    """

    def __init__(self, app: WSGI, environ: Environ) -> None:
        self._app = app
        self.environ = environ
        self._written: list[bytes] = []
        self._source: Iterable[bytes] = ()
        self._chunks: Iterator[bytes] = iter(())
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []

    def start(self) -> Part:
        """Call the application.

        Raises: whatever it raises; RuntimeError if it never calls `start_response`.
        """
        self._source = self._app(self.environ, self._start_response)
        self._chunks = iter(self._source)
        part = self.next_part()
        if not self.status:
            raise RuntimeError("the application did not call start_response")
        if self._written:
            part = evolve(part, data=b"".join((*self._written, part.data)))
        return part

    def next_part(self) -> Part:
        """The next bytes of the answer; an empty part only as the last.

        Raises: whatever the application raises.
        """
        chunks: list[bytes] = []
        size, end = 0, time.monotonic() + _PART_S
        for chunk in self._chunks:
            if isinstance(chunk, Pause):
                return Part(_joined(chunks), last=False, pause_s=chunk.seconds)
            if chunk:
                chunks.append(chunk)
                size += len(chunk)
            if size >= _PART_BYTES or (size and time.monotonic() > end):
                return Part(_joined(chunks), last=False)
        return Part(_joined(chunks), last=True)

    @property
    def needs_close(self) -> bool:
        """Whether `close` has anything to do."""
        return hasattr(self._source, "close")

    def close(self) -> None:
        """Tell the application's iterable that no more will be asked of it."""
        source, self._source = self._source, ()
        if hasattr(source, "close"):
            source.close()

    def _start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if self.status and not exc_info:
            raise RuntimeError("start_response was called twice")
        self.status = int(status[:3])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return self._written.append


def _joined(chunks: list[bytes]) -> bytes:
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
