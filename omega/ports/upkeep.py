"""Care for what no read and no write of a store shows: its own files, and what dead writers left in them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from attrs import frozen


@frozen
class Leftover:
    """Something half done, which is part of no record and no payload. `what` says in a few words what it is,
    `key` finds it again in its store (it holds no path), `since` is when its writer was last seen, in UTC.
    """

    what: str
    key: str
    since: datetime


class StoreUpkeep(Protocol):
    """Looks after one store. Any method may raise `records.StoreUnavailable`."""

    def faults(self) -> Iterator[str]:
        """What is wrong with the store itself, apart from what its records and payloads hold: one sentence
        each, without a path. A healthy store has none, whoever is at work on it.
        """

    def leftovers(self) -> Iterator[Leftover]:
        """What writers have left half done. That of a writer who is at work may be among them."""

    def discard(self, leftover: Leftover) -> bool:
        """Remove it and say so; `False` where it is gone, or where a writer turns out to be at work on it."""
