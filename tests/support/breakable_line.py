"""A line to a server on loopback that can be cut, for those clients that a test wants to cut off."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

from tests.support.server import READY_WITHIN_S

_READ_BYTES: Final = 1 << 18
#: To close a connection is to break it (socket(7), SO_LINGER): nothing that is on its way arrives later.
_BREAK: Final = struct.pack("ii", 1, 0)


class BreakableLine:
    """Listens on `port` and passes everything on to the server at `target`, both ways.

    While it is cut, connections whose first message holds `client` are either broken and refused, or silent:
    they stay, new ones come about, and nothing is passed on. All others work on. Once it is mended the silent
    ones are broken.
    """

    def __init__(self, target: int, *, client: bytes) -> None:
        self._target, self._client = target, client
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="breakable-line", daemon=True)
        self._cut = ""
        self._open = asyncio.Event()
        self._theirs: set[asyncio.StreamWriter] = set()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        listening = asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result(READY_WITHIN_S)
        self.port = int(self._server.sockets[0].getsockname()[1])
        self._do(self._open.set)
        return self

    def __exit__(self, *error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(READY_WITHIN_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self, how: str) -> None:
        """Cut it: `"broken"` or `"silent"`."""
        self._do(self._set_cut, how)

    def mend(self) -> None:
        """Let everybody through again."""
        self._do(self._set_cut, "")

    def _set_cut(self, how: str) -> None:
        if how != "silent":
            for writer in self._theirs:
                _break(writer)
        self._cut = how
        if how:
            self._open.clear()
        else:
            self._open.set()

    async def _end(self) -> None:
        self._server.close()
        passing = asyncio.all_tasks() - {asyncio.current_task()}
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)
        # What was broken is closed in the next rounds of the loop.
        for _ in range(3):
            await asyncio.sleep(0)

    def _do(self, call: Callable[..., None], *arguments: str) -> None:
        async def done() -> None:
            call(*arguments)
            await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(done(), self._loop).result(READY_WITHIN_S)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            first = await reader.read(_READ_BYTES)
            theirs = self._client in first
            if theirs:
                self._theirs.add(writer)
                if self._cut == "broken":
                    _break(writer)
                    return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            ends.append(far_writer)
            if theirs:
                self._theirs.add(far_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(first, reader, far_writer, theirs))
                both.create_task(self._pass_on(b"", far_reader, writer, theirs))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in ends:
                self._theirs.discard(end)
                _break(end)

    async def _pass_on(
        self, data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, theirs: bool
    ) -> None:
        while True:
            if theirs:
                # What waits here when the line is mended is not delivered: its connection is broken then.
                await self._open.wait()
            writer.write(data)
            await writer.drain()
            data = await reader.read(_READ_BYTES)
            if not data:
                raise ConnectionError("one end is gone: so is the other")


def _break(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _BREAK)
    writer.transport.abort()
