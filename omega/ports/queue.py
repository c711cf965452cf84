"""Messages that wake a worker.

A queue is a hint, never the truth: a message may be lost (with the consumer that took it, or with the queue)
and what it told of must be found again without it.
"""

from collections.abc import Mapping
from typing import Any, Protocol

JSONObject = Mapping[str, Any]


class QueueUnavailable(Exception):
    """The queue cannot be reached, or is too busy, at the moment; trying again later may help."""


class TaskQueue(Protocol):
    """Where messages are left. Safe to call from many threads and processes at once."""

    def submit(self, message: JSONObject) -> None:
        """Leave `message`, a JSON object of at most 64 KiB, for one consumer.

        When this returns, the message will be given to some consumer, unless it is lost; when it raises, the
        message may or may not have been left.

        Raises: QueueUnavailable, within 5 seconds; ValueError for what is not a JSON object, or is too large.
        """

    def size(self) -> int:
        """How many messages wait.

        Raises: QueueUnavailable, within 5 seconds.
        """


class TaskConsumer(Protocol):
    """Where messages are taken. Safe to call from many threads and processes at once."""

    def consume(self, *, timeout_s: float) -> JSONObject | None:
        """The message that has waited longest; it is given to nobody else. `None` where there is none within
        about `timeout_s` seconds (0: do not wait).

        What is in the queue and is not a message of ours is dropped and logged; it is never unpickled, nor
        run.

        Raises: QueueUnavailable, within `timeout_s` + 5 seconds.
        """
