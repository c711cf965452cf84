"""Small JSON records under string keys, changed only by compare-and-set.

A key is 1 to 1,024 bytes of UTF-8 without NUL; keys are ordered by code point. A value is a JSON object:
`dict` with `str` keys, of `None`, `bool`, `int` (64 bits), finite `float`, `str`, `list` and `dict`, nested
at most 100 deep; anything else, and text that is not valid Unicode, raises `ValueError`. Keys inside a value
may start with `$`, hold `.` or be empty. Values are copied on the way in and out: changing one
that was written or read changes nothing stored.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from attrs import frozen

JSONObject = Mapping[str, Any]


@frozen
class Record:
    """One stored record: its key, the revision of this state of it, and its value."""

    key: str
    revision: str
    value: JSONObject


@frozen
class RecordPage:
    """Some records in key order, and how many there are under the prefix in all."""

    records: tuple[Record, ...]
    total: int


class RecordNotFound(LookupError):
    """No record has this key. `args[0]` is the key."""


class RecordConflict(Exception):
    """The record is not in the state that the caller expected. `args[0]` is the key."""


class StoreUnavailable(Exception):
    """The store cannot be reached or is too busy at the moment; trying again later may help."""


class StoreFull(Exception):
    """The store has no room left; nothing of the write is visible."""


class RecordStore(Protocol):
    """Records that survive the process once `write` or `remove` has returned.

    Every method is atomic for its one key and safe to call from many threads and processes at once. Any
    method may raise `StoreUnavailable`; `write` may raise `StoreFull`. A key out of the legal form raises
    `ValueError`.
    """

    def read(self, key: str) -> Record:
        """The record as last written, by whichever process.

        Raises: RecordNotFound.
        """

    def write(self, key: str, *, value: JSONObject, expected: str | None) -> Record:
        """Store `value` if the record's revision is still `expected` (`None`: if there is no such record).

        The record returned carries the new revision, which no state of this key ever had before, also not
        before a removal. Of concurrent writers that expect the same revision exactly one succeeds; writing an
        equal value is a write too.

        Raises: RecordConflict, also when `expected` names a revision and the record is gone; nothing has
        changed then.
        """

    def remove(self, key: str, *, expected: str) -> None:
        """Remove the record if its revision is still `expected`.

        Raises: RecordNotFound, or RecordConflict when it has another revision; nothing has changed then.
        """

    def page(
        self, prefix: str, *, offset: int = 0, limit: int = 1000, descending: bool = False
    ) -> RecordPage:
        """Up to `limit` records whose keys start with `prefix`, in key order or, `descending`, from the last
        key to the first, after skipping `offset` of them.

        One call sees one state of the store. An empty prefix means all records; none, or an offset past the
        end, gives an empty page with the right total. Negative numbers raise `ValueError`.
        """


class RecordScan(Protocol):
    """Walks over many records in bounded memory: `after` the last key of one call begins the next."""

    def scan(self, prefix: str, *, after: str = "", limit: int = 1000) -> Sequence[Record]:
        """Up to `limit` records whose keys start with `prefix` and are greater than `after`, in key order.

        A record that is there from the first to the last of a walk's calls is met once, unchanged or as
        written meanwhile; one that comes or goes meanwhile may or may not be met. An empty prefix means all
        records. A limit that is not positive raises `ValueError`.
        """


class WalkableRecordStore(RecordStore, RecordScan, Protocol):
    """A record store that can be walked over."""
