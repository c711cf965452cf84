"""Which store may become the copy of which: what a migration's target must be, and the mark that it carries.

The record `migration` is the first thing in a copy: `{"source": id, "began": time, "finished": time | null}`.
The copy takes over the id of its source (the record `store`) with its last step.
"""

from datetime import datetime
from typing import Final

from attrs import frozen

from omega.domain.errors import Conflict
from omega.domain.inventory import MIGRATION, STORE, every, owner_of
from omega.ports.blobs import DatedBlobStore
from omega.ports.records import Record, RecordNotFound, WalkableRecordStore

EMPTY: Final = "empty"
UNFINISHED: Final = "unfinished"
FINISHED: Final = "finished"


@frozen
class StorePlace:
    """A store where it is: its records and its payloads."""

    records: WalkableRecordStore
    blobs: DatedBlobStore

    def find(self, key: str) -> Record | None:
        """The record of this key, or `None`."""
        try:
            return self.records.read(key)
        except RecordNotFound:
            return None


def is_unfinished_copy(place: StorePlace) -> bool:
    """Whether somebody has begun to copy another store to this place, and not come to the end."""
    mark = place.find(MIGRATION)
    return mark is not None and mark.value.get("finished") is None


def state_of(target: StorePlace, source: StorePlace) -> str:
    """How far the target has come as a copy of the source: `EMPTY`, `UNFINISHED` or `FINISHED`.

    Raises: Conflict, saying what else the target is.
    """
    if is_unfinished_copy(source):
        raise Conflict("the source is itself the unfinished copy of another store: end that migration first")
    id, mark, own = _id(source), target.find(MIGRATION), _id(target)
    if mark is not None:
        if mark.value.get("source") != id:
            raise Conflict("the target is a copy of another store than the source: use an empty one")
        return UNFINISHED if mark.value.get("finished") is None else FINISHED
    if own is not None and own == id:
        raise Conflict(
            "the target is the source itself, or what the source was copied from: use an empty one"
        )
    if own is not None:
        raise Conflict("the target is another store, which has an id of its own: use an empty one")
    for record in every(target.records, ""):
        if not record.key.startswith("worker/"):
            raise Conflict(f"the target is not empty: it holds {owner_of(record)}")
    return EMPTY


def mark_begun(target: StorePlace, source: StorePlace, now: datetime) -> None:
    """Mark the target as the unfinished copy of the source."""
    value = {"source": _id(source), "began": now.isoformat(), "finished": None}
    target.records.write(MIGRATION, value=value, expected=None)


def mark_finished(target: StorePlace, source: StorePlace, now: datetime) -> None:
    """Give the target the id of the source, and then let it be a store of its own."""
    own = target.find(STORE)
    value = source.records.read(STORE).value
    target.records.write(STORE, value=value, expected=None if own is None else own.revision)
    mark = target.records.read(MIGRATION)
    finished = {**mark.value, "finished": now.isoformat()}
    target.records.write(MIGRATION, value=finished, expected=mark.revision)


def _id(place: StorePlace) -> str | None:
    record = place.find(STORE)
    return None if record is None else str(record.value["id"])
