"""A queue in the memory of this process."""

from typing import Any, ClassVar
from urllib.parse import urlsplit

from huey.storage import MemoryStorage

from omega.adapters.huey_queue.polling import Polling
from omega.adapters.huey_queue.urls import UnusableQueueURL


class MemoryQueue(Polling, MemoryStorage):  # type: ignore[misc]  # huey has no types
    """huey's `MemoryStorage`, which threads may wait on."""

    errors: ClassVar[tuple[type[Exception], ...]] = ()

    @staticmethod
    def settings(url: str) -> dict[str, Any]:
        """None: the URL is `memory://`.

        Raises: UnusableQueueURL.
        """
        if any(urlsplit(url)[1:]):
            raise UnusableQueueURL("The URL of a queue in memory is memory:// and nothing more.")
        return {}

    def explain(self, error: Exception) -> str:
        """Never called: memory is always there."""
        raise NotImplementedError
