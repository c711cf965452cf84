"""One call of a WSGI application (PEP 3333), taken in parts."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from attrs import frozen

Environ = dict[str, Any]
WSGI = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_PART_BYTES: Final = 128 * 1024
_PART_S: Final = 0.05


@frozen
class Part:
    """Some bytes of the answer, and whether they are the last."""

    data: bytes
    last: bool


class Call:
    """The answer of `app` to `environ`: `start` gives the first part, `next_part` each further one.

    A part is at least 128 KiB, unless the application is slow or has no more. The methods block; call one at
    a time. `close` must come last, whatever happened, and may come twice.
    """

    def __init__(self, app: WSGI, environ: Environ) -> None:
        self._app = app
        self._environ = environ
        self._written: list[bytes] = []
        self._source: Iterable[bytes] = ()
        self._chunks: Iterator[bytes] = iter(())
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []

    def start(self) -> Part:
        """Call the application.

        Raises: whatever it raises; RuntimeError if it never calls `start_response`.
        """
        self._source = self._app(self._environ, self._start_response)
        self._chunks = iter(self._source)
        part = self.next_part()
        if not self.status:
            raise RuntimeError("the application did not call start_response")
        if self._written:
            part = Part(b"".join((*self._written, part.data)), last=part.last)
        return part

    def next_part(self) -> Part:
        """The next bytes of the answer; an empty part only as the last.

        Raises: whatever the application raises.
        """
        chunks: list[bytes] = []
        size, end = 0, time.monotonic() + _PART_S
        for chunk in self._chunks:
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
