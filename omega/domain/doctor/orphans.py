"""What nothing points to: version records that no head leads to, and payloads that are in no record.

A writer stores its payloads, then its version record, then swings the head. So what nothing points to may be
that of a writer who is between two steps: only what has been there for an hour counts as left behind. See
docs/adr/0015.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from attrs import evolve, frozen

from omega.domain.catalogue import Head, head_of
from omega.domain.doctor.findings import ORPHAN, RECENT, Finding
from omega.domain.inventory import Owner, every, pointers
from omega.ports.blobs import BlobNotFound, DatedBlobStore
from omega.ports.records import Record, RecordConflict, RecordNotFound, WalkableRecordStore

LEFT_BEHIND_AFTER: Final = timedelta(hours=1)
_LAST: Final = "\U0010ffff"


def aged(finding: Finding, now: datetime) -> Finding:
    """The finding as an orphan or, where it is too young for that, as recent."""
    old = finding.since is not None and now - finding.since >= LEFT_BEHIND_AFTER
    return evolve(finding, kind=ORPHAN if old else RECENT)


@frozen
class Orphans:
    """Finds and removes orphans. Of ids, `window` at a time are held in memory; the records are walked over
    once for each such lot.
    """

    records: WalkableRecordStore
    blobs: DatedBlobStore
    now: datetime
    window: int

    def versions(self, *, fix: bool) -> Iterator[Finding]:
        """Version records that no head leads to."""
        uids = self._uids()
        while lot := list(islice(uids, self.window)):
            heads = self._heads(set(lot))
            for uid in lot:
                yield from self._of_object(uid, heads.get(uid), fix)

    def payloads(self, *, fix: bool) -> Iterator[Finding]:
        """Payloads that are in no record, not even in that of a version which no head leads to."""
        after = ""
        while lot := set(self.blobs.ids(after=after, limit=self.window)):
            after = max(lot)
            for record in every(self.records, ""):
                lot.difference_update(str(pointer["id"]) for pointer in pointers(record.value))
            for id in sorted(lot):
                with suppress(BlobNotFound):
                    yield self._payload(id, fix)

    def _payload(self, id: str, fix: bool) -> Finding:
        found = Finding(ORPHAN, f"payload {id} is in no record", None, id, self.blobs.written(id))
        found = aged(found, self.now)
        if fix and found.kind == ORPHAN:
            self.blobs.remove(id)
            return evolve(found, fixed=True)
        return found

    def _uids(self) -> Iterator[str]:
        """The objects that have a version record."""
        after = ""
        while some := self.records.scan("version/", after=after, limit=1):
            uid = some[0].key.split("/")[1]
            after = max(some[0].key, f"version/{uid}/{_LAST}")
            yield uid

    def _heads(self, uids: set[str]) -> dict[str, Head]:
        found = {}
        for record in every(self.records, "object/"):
            # A head that is malformed is told of elsewhere, and no reason to remove anything.
            if record.value.get("uid") in uids:
                with suppress(KeyError, TypeError, ValueError):
                    head = head_of(record)
                    found[head.uid] = head
        return found

    def _of_object(self, uid: str, head: Head | None, fix: bool) -> Iterator[Finding]:
        """What is left of an object that has no head, or of versions that its head does not lead to."""
        parents: dict[str, str | None] = {}
        for record in every(self.records, f"version/{uid}/"):
            parents[record.key.rpartition("/")[2]] = record.value.get("parent")
        tip = None if head is None else head.tip
        while tip in parents:
            tip = parents.pop(tip)
        # Below a gap in the history nobody knows which of the rest were committed.
        broken = head is not None and tip is not None
        for record in every(self.records, f"version/{uid}/"):
            if record.key.rpartition("/")[2] in parents and not broken:
                yield self._version(record, fix)

    def _version(self, record: Record, fix: bool) -> Finding:
        _, uid, number, _ = record.key.split("/")
        words = f"version record {int(number)} of object {uid} has no head that leads to it"
        found = aged(Finding(ORPHAN, words, Owner("record", record.key), None, _modified(record)), self.now)
        if not fix or found.kind != ORPHAN:
            return found
        return evolve(found, fixed=removed(self.records, record))


def removed(records: WalkableRecordStore, record: Record) -> bool:
    """Whether the record could be removed as it is."""
    try:
        records.remove(record.key, expected=record.revision)
    except (RecordNotFound, RecordConflict):
        return False
    return True


def _modified(record: Record) -> datetime | None:
    try:
        return datetime.fromisoformat(record.value["modified"])
    except (KeyError, TypeError, ValueError):
        return None
