"""A bounded store of values that can always be had again."""

from typing import Any, Protocol


class Cache(Protocol):
    """Values by key, shared by all threads of the process. An entry may go at any time; it is never changed,
    only dropped.
    """

    def get(self, key: str) -> Any:
        """The value put under `key`, or `None`."""

    def put(self, key: str, value: Any, *, size_bytes: int) -> None:
        """Keep `value`, which counts `size_bytes` towards the bound; what was used longest ago goes first, a
        value over the bound is not kept.
        """
