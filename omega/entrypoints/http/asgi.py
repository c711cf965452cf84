"""A WSGI application behind an ASGI server (ADR 0004).

Slow clients cost a connection, never a thread: the body is received whole, under a limit and a least rate,
before the application is called in a thread; and no thread waits while a client takes its answer.
"""

import asyncio
import io
import logging
import sys
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from typing import IO, Any, Final
from urllib.parse import unquote_to_bytes

from attrs import frozen

from omega.domain.errors import BadInput
from omega.entrypoints.http.errors import HttpError, RequestTimeout, answer_error
from omega.entrypoints.http.exchange import ROUTE, Exchange, Observer
from omega.entrypoints.http.headers import REQUEST_ID, completed, request_id
from omega.entrypoints.http.threads import Threads
from omega.entrypoints.http.wsgi_call import (
    CAN_JOIN,
    CAN_WAIT,
    WAIT,
    WAITED,
    WSGI,
    Call,
    Environ,
    Part,
    Waiting,
)
from omega.ports.records import StoreFull, StoreUnavailable

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger("omega.http")
_IN_MEMORY_BYTES: Final = 256 * 1024
_FIRST_LOOK_S: Final = 0.005
_LONGEST_PAUSE_S: Final = 0.25
_CLOSE: Final = (("Connection", "close"),)


@frozen
class Patience:
    """How long a client is waited for.

    A body may take `body_grace_s` seconds, and one more for each `body_bytes_per_s` bytes that came. An
    answer of which the client takes nothing for `stall_s` seconds is given up. `spool_bytes` is what all
    bodies on their way, in one process, may hold together on disk and in memory; what would be more is
    answered with 503.
    """

    body_grace_s: float = 10
    body_bytes_per_s: float = 4096
    stall_s: float = 60
    spool_bytes: int = 2 * 2**30


class _Spool:
    """A body on its way: in memory while it is small, else in a temporary file without a name."""

    def __init__(self) -> None:
        self.file: IO[bytes] = io.BytesIO()
        self.size = 0

    def write(self, part: bytes) -> None:
        if isinstance(self.file, io.BytesIO) and self.size + len(part) > _IN_MEMORY_BYTES:
            had = self.file.getvalue()
            self.file = tempfile.TemporaryFile()  # noqa: SIM115  the bridge closes it
            self.file.write(had)
        self.file.write(part)
        self.size += len(part)


class WSGIBridge:
    """An ASGI 3 application that answers with the WSGI application `app`, called in `threads`.

    A body of up to `max_body_bytes` comes to `app` whole, as a seekable `wsgi.input` with the right
    `CONTENT_LENGTH`. Of a longer one `app` sees the announced length or, where none is announced, the length
    of what came until it was too long: it can refuse it. `observe` is told of each request at its end.
    """

    def __init__(
        self,
        app: WSGI,
        *,
        threads: Threads,
        max_body_bytes: int,
        patience: Patience | None = None,
        observe: Observer | None = None,
    ) -> None:
        self._app = app
        self._threads = threads
        self._max_body_bytes = max_body_bytes
        self._patience = patience or Patience()
        self._observe = observe
        self._spooled = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise ValueError(f"only HTTP is served here, not {scope['type']}")
        environ = environ_of(scope)
        environ[REQUEST_ID] = request_id(environ)
        spool, exchange = _Spool(), Exchange.begun(environ)
        try:
            try:
                _check_host(scope)
                if self._wants_body(environ):
                    await self._receive_body(environ, spool, receive)
            except (HttpError, BadInput, StoreFull, StoreUnavailable) as error:
                await _send_error(environ, exchange, error, send)
            else:
                await self._answer(environ, exchange, receive, send)
        finally:
            self._spooled -= spool.size
            spool.file.close()
            if self._observe is not None:
                self._observe(exchange)

    def _wants_body(self, environ: Environ) -> bool:
        announced: str | None = environ.get("CONTENT_LENGTH")
        if announced is None:
            return "HTTP_TRANSFER_ENCODING" in environ
        return announced.isdigit() and 0 < int(announced) <= self._max_body_bytes

    async def _receive_body(self, environ: Environ, spool: _Spool, receive: Receive) -> None:
        patience, clock = self._patience, asyncio.get_running_loop().time
        started, more = clock(), True
        try:
            async with asyncio.timeout_at(started + patience.body_grace_s) as limit:
                while more and spool.size <= self._max_body_bytes:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise HttpError("the request body was cut short", headers=_CLOSE)
                    more = message.get("more_body", False)
                    self._keep(spool, message.get("body", b""))
                    if more:
                        earned_s = spool.size / patience.body_bytes_per_s
                        limit.reschedule(started + patience.body_grace_s + earned_s)
        except TimeoutError:
            raise RequestTimeout(
                f"the request body came too slowly: {spool.size:,} bytes in {clock() - started:.0f} seconds",
                headers=_CLOSE,
            ) from None
        spool.file.seek(0)
        environ["wsgi.input"] = spool.file
        environ["CONTENT_LENGTH"] = str(spool.size)
        environ.pop("HTTP_TRANSFER_ENCODING", None)

    def _keep(self, spool: _Spool, part: bytes) -> None:
        if self._spooled + len(part) > self._patience.spool_bytes:
            raise StoreUnavailable("too many bytes of request bodies on their way")
        before = spool.size
        try:
            spool.write(part)
        except OSError as error:
            raise StoreFull("no room for a request body") from error
        finally:
            self._spooled += spool.size - before

    async def _answer(self, environ: Environ, exchange: Exchange, receive: Receive, send: Send) -> None:
        call = Call(self._app, environ)
        try:
            try:
                part = await self._threads.run(call.start)
                while (waiting := call.environ.get(WAIT)) is not None:
                    if not await self._ready(waiting, receive):
                        return
                    await self._threads.run(call.close)
                    call = Call(self._app, environ | {WAITED: waiting})
                    part = await self._threads.run(call.start)
            except Exception as error:  # noqa: BLE001  logged, and answered with 500: nothing has been sent yet
                await _send_error(environ, exchange, error, send)
                return
            await exchange.send(call.status, call.headers, send)
            if part.last:
                await exchange.send_body(part.data, send)
            else:
                await self._stream(call, part, exchange, receive, send)
        finally:
            exchange.route = call.environ.get(ROUTE, "")
            if call.needs_close:
                await self._threads.run(call.close)

    async def _ready(self, waiting: Waiting, receive: Receive) -> bool:
        """Wait, in no thread, for what the application waits for; false if the client is gone before that."""
        gone, pause_s = asyncio.ensure_future(_disconnected(receive)), _FIRST_LOOK_S
        try:
            while not gone.done():
                if await self._threads.run(waiting.ready):
                    return True
                await asyncio.wait([gone], timeout=pause_s)
                pause_s = min(pause_s * 1.3, _LONGEST_PAUSE_S)
            return False
        finally:
            gone.cancel()

    async def _stream(self, call: Call, part: Part, exchange: Exchange, receive: Receive, send: Send) -> None:
        """Send part after part, and have the next one made meanwhile. What is raised here ends the connection
        without the mark of a whole one.
        """
        gone = asyncio.ensure_future(_disconnected(receive))
        ahead: asyncio.Future[Part] | None = None
        try:
            while not gone.done():
                if not (part.last or part.pause_s):
                    ahead = asyncio.ensure_future(self._threads.run(call.next_part))
                if part.data or part.last:
                    async with asyncio.timeout(self._patience.stall_s):
                        await exchange.send_body(part.data, send, more=not part.last)
                if part.last:
                    return
                if part.pause_s:
                    await asyncio.wait([gone], timeout=part.pause_s)
                part = await (ahead or self._threads.run(call.next_part))
                ahead = None
        except Exception:
            _log.exception("an answer was broken off after it had begun")
            raise
        finally:
            gone.cancel()
            if ahead is not None:
                # Whoever closes the answer must find nobody at it.
                await asyncio.wait([ahead])
                ahead.exception()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_error(environ: Environ, exchange: Exchange, error: Exception, send: Send) -> None:
    id_ = environ[REQUEST_ID]
    answer = answer_error(error, request_id=id_)
    whole = completed(answer.headers, request_id=id_)
    headers = [(name.lower().encode(), value.encode()) for name, value in whole]
    await exchange.send(answer.status, headers, send)
    await exchange.send_body(answer.body, send)


def _check_host(scope: Message) -> None:
    """One Host, and not an empty one (RFC 9112, 3.2). Raises: BadInput."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) > 1 or (scope["http_version"] == "1.1" and hosts in ([], [b""])):
        raise BadInput("a request needs exactly one Host header")


def environ_of(scope: Message) -> Environ:
    """The WSGI environment for an ASGI scope, without a body. `RAW_URI` is the path as sent, undecoded.

    Header names with an underscore are left out: they would pass for the ones with a dash.
    """
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    server, client = scope.get("server") or ("", ""), scope.get("client") or ("", "")
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(raw_path).decode("latin-1"),
        "RAW_URI": raw_path.decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        CAN_WAIT: True,
        CAN_JOIN: True,
    }
    for name, value in scope["headers"]:
        if b"_" in name:
            continue
        key = name.decode("latin-1").upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = "HTTP_" + key
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ
