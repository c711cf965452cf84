"""The HTTP server: N processes of granian that serve one WSGI application (ADR 0004).

The process that looks after them imports nothing of the application: they begin the sooner.
"""

import contextlib
import errno
import importlib
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server import Server

from omega.domain.errors import OmegaError
from omega.entrypoints.startup import importing
from omega.ports.records import StoreFull, StoreUnavailable

if TYPE_CHECKING:
    from omega.entrypoints.http.asgi import Patience

GRACE_S: Final = 10
HEADERS_S: Final = 10
MAX_CONNECTIONS: Final = 4096
_OWN_FILES: Final = 256
#: So long it is tried to get the port.
_CLAIM_S: Final = 2.0


@frozen
class _Worker:
    """What a worker process needs to build its application."""

    app_factory: str
    threads: int
    patience: "Patience | None"
    life_line: tuple[int, int]

    def __call__(self) -> Any:
        """Build the ASGI application; this runs in the worker process."""
        _end_with_parent(self.life_line)
        _raise_file_limit()
        with importing():
            return self._application()

    def _application(self) -> Any:
        from omega.entrypoints.http.asgi import Patience, WSGIBridge
        from omega.entrypoints.http.threads import Threads
        from omega.entrypoints.limits import Limits

        module, _, name = self.app_factory.partition(":")
        try:
            app = getattr(importlib.import_module(module), name)()
        except (OmegaError, StoreUnavailable, StoreFull) as error:
            print(f"cannot start the server: {error}", file=sys.stderr, flush=True)
            sys.exit(1)
        limit = getattr(app, "max_body_bytes", Limits().body_bytes)
        return WSGIBridge(
            app,
            threads=Threads(self.threads),
            max_body_bytes=limit,
            patience=self.patience or Patience(),
            observe=getattr(app, "observe", None),
        )


def serve(
    *,
    host: str,
    port: int,
    workers: int,
    app_factory: str,
    ready: Callable[[], None] | None = None,
    threads: int = 32,
    patience: "Patience | None" = None,
) -> None:
    """Serve the WSGI application that `app_factory` (`"module:function"`) builds, until SIGTERM or SIGINT.

    An attribute `max_body_bytes` of the application bounds the request bodies that are received for it; an
    attribute `observe` is called with each `Exchange` at its end. Each
    of `workers` processes builds its own application, after the start, and calls it in up to `threads`
    threads at once. Port 0 is a free port. Once connections are taken, `ready` is called, in a thread; by
    default it prints the address on stderr. At the end requests under way get 10 seconds. A worker that dies
    is replaced; one that dies within seconds of its start ends the server. Workers die with this process,
    even when it is killed.

    Raises: SystemExit, with one sentence and exit code 1, where the address cannot be served.
    """
    address, port, held = _claim(host, port)
    life_line = os.pipe()
    worker = _Worker(app_factory, threads, patience, life_line)
    server = Server(
        app_factory,
        address=address,
        port=port,
        interface=Interfaces.ASGINL,
        workers=workers,
        http="1",  # type: ignore[arg-type]
        websockets=False,
        backpressure=min(MAX_CONNECTIONS, _raise_file_limit() - _OWN_FILES),
        http1_settings=HTTP1Settings(header_read_timeout=HEADERS_S * 1000),
        log_enabled=False,
        respawn_failed_workers=True,
        respawn_interval=0,
        workers_kill_timeout=GRACE_S,
    )
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    told = ready or partial(print, f"serving {url}", file=sys.stderr, flush=True)
    threading.Thread(target=_announce, args=(_reachable(address), port, told), daemon=True).start()
    with held:
        server.serve(target_loader=worker, wrap_loader=False)


def _claim(host: str, port: int) -> tuple[str, int, socket.socket]:
    """The numeric address, the port, and a socket that holds the port for this user's processes.

    Granian's sockets share their port with any other of the same user, so that a second server on the same
    port would start, and take half of the requests: a socket that does not share is tried first.
    """
    shown, give_up_at = f"{host}:{port}", time.monotonic() + _CLAIM_S
    while True:
        try:
            if not 0 <= port <= 65535:
                raise OverflowError("ports are numbers from 0 to 65535")
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, _, _, _, address = found[0]
            held, address = _held(family, address)
            return str(address[0]), int(address[1]), held
        except (OSError, OverflowError) as error:
            # Connections of a server that was there before, or clients that try already, may be in the way
            # for a moment.
            if getattr(error, "errno", None) == errno.EADDRINUSE and time.monotonic() < give_up_at:
                time.sleep(0.05)
                continue
            reason = getattr(error, "strerror", None) or str(error)
            raise SystemExit(f"cannot serve on {shown}: {reason[:1].lower()}{reason[1:]}") from None


def _held(family: int, address: Any) -> tuple[socket.socket, Any]:
    """A socket that holds the address, and which that is where the port was 0.

    Raises: OSError.
    """
    with socket.socket(family, socket.SOCK_STREAM) as alone:
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        alone.bind(address)
        alone.listen(1)
        address = alone.getsockname()
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
    except BaseException:
        held.close()
        raise
    return held, address


def _announce(address: str, port: int, ready: Callable[[], object]) -> None:
    """Wait until connections are taken, then say so."""
    while True:
        with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
            break
        time.sleep(0.01)
    ready()


def _reachable(address: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104  nothing is bound here


def _raise_file_limit() -> int:
    """As many open files as may be, up to what all connections need; the limit that holds then."""
    wanted = 2 * MAX_CONNECTIONS + _OWN_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else soft


def _end_with_parent(life_line: tuple[int, int]) -> None:
    """End this process when the one that started it is gone, which alone holds the pipe's other end."""
    read, write = life_line
    os.close(write)

    def watch() -> None:
        os.read(read, 1)
        os._exit(1)

    threading.Thread(target=watch, name="life-line", daemon=True).start()
