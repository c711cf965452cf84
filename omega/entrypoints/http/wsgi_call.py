"""One call of a WSGI application (PEP 3333), taken in parts."""

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import lru_cache
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


class Joining(Protocol):
    """What an application puts into `environ[JOIN]` where the body of its answer can be made together with
    those of others. It has given status and headers then, and an empty body. Where that fails, the
    application is called anew, and cannot join.
    """

    @property
    def key(self) -> Hashable:
        """What those have in common whose bodies can be made together."""

    def bodies(self, joinings: Sequence[Any]) -> Sequence[bytes]:
        """The bodies of the answers of `joinings`, this one among them, in their order; whatever it raises,
        none of them has an answer yet.
        """


CAN_JOIN: Final = "omega.can_join"
JOIN: Final = "omega.join"
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
        # The application may write into its environment, and may be called once more.
        self._given, self.environ = environ, dict(environ)
        self._written: list[bytes] = []
        self._source: Iterable[bytes] = ()
        self._chunks: Iterator[bytes] = iter(())
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []

    def start(self) -> "Part | Joint":
        """Call the application: the first part, or what becomes one together with others.

        Raises: whatever it raises; RuntimeError if it never calls `start_response`.
        """
        part = self._start()
        joining: Joining | None = self.environ.get(JOIN)
        return part if joining is None else Joint(self, joining)

    def alone(self) -> Part:
        """Call the application anew, and let it join no others. Raises: as `start`."""
        self.close()
        self.environ = {name: value for name, value in self._given.items() if name != CAN_JOIN}
        self._written, self.status = [], 0
        return self._start()

    def joined(self, body: bytes) -> Part:
        """The only part of an answer whose body is this."""
        self.close()
        own = [header for header in self.headers if header[0] != b"content-length"]
        self.headers = [*own, (b"content-length", str(len(body)).encode())]
        return Part(body, last=True)

    def _start(self) -> Part:
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
        self.headers = [(_on_the_wire(name), value.encode("latin-1")) for name, value in headers]
        return self._written.append


@lru_cache(maxsize=256)
def _on_the_wire(name: str) -> bytes:
    return name.lower().encode("latin-1")


def _joined(chunks: list[bytes]) -> bytes:
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


@frozen(eq=False)
class Joint:
    """A call that has all of its answer but the body; see `threads.Joint`."""

    call: Call
    joining: Joining

    @property
    def key(self) -> Hashable:
        """See `Joining.key`."""
        return self.joining.key

    def finish(self, joints: Sequence["Joint"]) -> Sequence[Part | Exception]:
        """The first parts of all these calls. What cannot be made together is made one by one: then only who
        is at fault has an error.
        """
        try:
            bodies = self.joining.bodies([joint.joining for joint in joints])
        except Exception:  # noqa: BLE001  it comes again, in the call that it belongs to
            return [_alone(joint.call) for joint in joints]
        return [joint.call.joined(body) for joint, body in zip(joints, bodies, strict=True)]


def _alone(call: Call) -> Part | Exception:
    try:
        return call.alone()
    except Exception as error:  # noqa: BLE001  raised to whoever waits for the call
        return error
