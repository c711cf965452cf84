"""A `TaskQueue` and `TaskConsumer` over huey, wherever its messages are."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar, Final, Protocol

from huey import Huey
from huey.exceptions import HueyException

from omega.adapters.huey_queue import messages
from omega.adapters.huey_queue.memory import MemoryQueue
from omega.adapters.huey_queue.postgres import PostgresQueue
from omega.adapters.huey_queue.redis import RedisQueue
from omega.adapters.huey_queue.sqlite import SqliteQueue
from omega.adapters.huey_queue.urls import UnusableQueueURL, scheme_of
from omega.ports.queue import JSONObject, QueueUnavailable

__all__ = ["HueyTaskQueue", "UnusableQueueURL", "open_queue"]

_log: Final = logging.getLogger(__name__)


class _Storage(Protocol):
    """What is needed of a huey storage."""

    errors: ClassVar[tuple[type[Exception], ...]]

    @staticmethod
    def settings(url: str) -> dict[str, Any]: ...
    def explain(self, error: Exception) -> str: ...
    def take(self, timeout_s: float) -> object | None: ...
    def queue_size(self) -> int: ...
    def close(self) -> None: ...


_STORAGES: Final[dict[str, type[_Storage]]] = {
    "memory": MemoryQueue,
    "sqlite": SqliteQueue,
    "redis": RedisQueue,
    "rediss": RedisQueue,
    "unix": RedisQueue,
    "postgresql": PostgresQueue,
    "postgres": PostgresQueue,
}


def open_queue(url: str, *, name: str = "omega") -> "HueyTaskQueue":
    """The queue called `name` (letters, digits and `_`) at `memory://`, `sqlite:///absolute/path`, `redis://`
    or `rediss://HOST:PORT/DATABASE`, `unix:///path/of/redis.sock` or `postgresql://HOST:PORT/DATABASE`.

    Nothing is opened or connected to before the first call of a method.

    Raises: UnusableQueueURL.
    """
    storage = _STORAGES.get(scheme_of(url))
    if storage is None:
        raise UnusableQueueURL(
            "The URL of a queue starts with memory://, sqlite:///, redis://, rediss://, unix:// or postgresql://."
        )
    return HueyTaskQueue(storage, storage.settings(url), name)


class HueyTaskQueue:
    """The messages wait in a huey storage, as calls of a huey task that is never run.

    The promised 5 seconds do not count the lookup of a host's name, nor more than two addresses of one host.
    A queue in memory belongs to the process that made it: after a fork the child's is another one.
    """

    def __init__(self, storage: type[_Storage], settings: dict[str, Any], name: str) -> None:
        self._make = partial(
            Huey,
            name,
            results=False,
            serializer=messages.MessageSerializer(),
            storage_class=storage,
            **settings,
        )
        # By process: a connection that came over a fork belongs to the parent, so it is neither used nor
        # closed here.
        self._tasks: dict[int, Any] = {}

    def submit(self, message: JSONObject) -> None:
        """Leave a message for one consumer; see `TaskQueue.submit`."""
        content = messages.encode(message)
        task = self._task()
        with _driver_errors(task.huey.storage):
            task(content)

    def size(self) -> int:
        """How many messages wait; see `TaskQueue.size`."""
        storage: _Storage = self._task().huey.storage
        with _driver_errors(storage):
            return storage.queue_size()

    def consume(self, *, timeout_s: float) -> JSONObject | None:
        """The message that has waited longest; see `TaskConsumer.consume`."""
        huey = self._task().huey
        storage: _Storage = huey.storage
        deadline = time.monotonic() + timeout_s
        while True:
            with _driver_errors(storage):
                data = storage.take(max(0.0, deadline - time.monotonic()))
            if data is None:
                return None
            try:
                (message,) = huey.deserialize_task(data).args
            except (ValueError, HueyException):
                # Nothing of it is logged: it may be anything, secrets and escape sequences among it.
                _log.warning("dropped from the queue what is no message of omega")
            else:
                content: JSONObject = message
                return content

    def close(self) -> None:
        """Close the connections of this process that are idle; a later call opens new ones."""
        task = self._tasks.get(os.getpid())
        if task is not None:
            task.huey.storage.close()

    def _task(self) -> Any:
        """The huey task of this process; its `huey` knows the storage."""
        task = self._tasks.get(os.getpid())
        if task is None:
            # `__module__` becomes one of the task class, so that its name does not change with ours.
            task = self._make().task(name="message", __module__="omega")(messages.message)
            # Of threads that come here at once all get the same one.
            task = self._tasks.setdefault(os.getpid(), task)
        return task


@contextmanager
def _driver_errors(storage: _Storage) -> Iterator[None]:
    try:
        yield
    except storage.errors as error:
        raise QueueUnavailable(storage.explain(error)) from error
