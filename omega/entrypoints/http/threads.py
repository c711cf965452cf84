"""Threads that run blocking calls for an event loop."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
_Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Threads:
    """`count` threads that take calls in the order given. They end with the process, whatever they do then.

    (A `ThreadPoolExecutor` holds the process until its calls are done.)
    """

    def __init__(self, count: int) -> None:
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        for number in range(count):
            threading.Thread(target=self._work, name=f"omega-{number}", daemon=True).start()

    async def run(self, function: Callable[[], T]) -> T:
        """What `function` returns, called in one of the threads.

        Raises: whatever `function` raises.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put((function, loop, future))
        return await future

    def _work(self) -> None:
        while True:
            function, loop, future = self._jobs.get()
            result, error = None, None
            try:
                result = function()
            except BaseException as raised:  # noqa: BLE001  it is raised again where the result is awaited
                error = raised
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, future, result, error)
            # A thread waits long for its next call: what the last one held may go meanwhile.
            del function, loop, future, result, error


def _settle(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):  # which a future cannot hold
        future.set_exception(RuntimeError("the call raised StopIteration"))
    else:
        future.set_exception(error)
