"""The copy of one store's content to another place: payloads first, the records that point to them second."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from attrs import define, field

from omega.domain.checksums import Place
from omega.domain.inventory import MIGRATION, STORE, Entry, Inventory, every
from omega.domain.migration.report import Report
from omega.domain.migration.target import StorePlace
from omega.ports.blobs import BlobDamaged, BlobExists, BlobNotFound
from omega.ports.records import Record, RecordConflict, RecordNotFound, StoreFull


class _Changed(Exception):
    """The bytes of a payload are not those that were written."""


@define
class Copying:
    """One pass over the source. What is at the target already is left as it is.

    A kill at any moment leaves no record at the target without the payloads and versions that it points to.
    """

    source: StorePlace
    target: StorePlace
    report: Report
    copied: Callable[[int], None]
    #: An object that was dropped while it was copied.
    _gone: str | None = field(default=None, init=False)

    def run(self) -> None:
        """Copy everything that is whole.

        Raises: StoreFull, StoreUnavailable.
        """
        inventory = Inventory(self.source.records)
        for entry in inventory.entries():
            if isinstance(entry, Entry) and (entry.head is None or entry.head.uid != self._gone):
                self._entry(inventory, entry)

    def remove_surplus(self) -> None:
        """Remove records that the source no longer has. Versions and payloads of what was dropped stay, as
        orphans: an object of the same name may lead to them until it is copied again.
        """
        for record in surplus(self.source, self.target):
            try:
                self.target.records.remove(record.key, expected=record.revision)
                self.report.removed += 1
            except (RecordConflict, RecordNotFound):
                continue

    def again(self, payload: Place) -> bool:
        """Copy a payload anew that came to harm at the target; whether the source has it whole."""
        self.target.blobs.remove(payload.id)
        return self._payload(payload)

    def _entry(self, inventory: Inventory, entry: Entry) -> None:
        for payload in entry.fresh:
            if not self._payload(payload) and not inventory.counts(entry, payload):
                self._gone = None if entry.head is None else entry.head.uid
                return
        try:
            self.report.records += self._record(entry.record)
        except StoreFull as error:
            raise StoreFull(f"{entry.owner}: {error}") from error

    def _payload(self, payload: Place) -> bool:
        """Copy a payload, if it is not at the target; whether the source had it, and whole."""
        try:
            self.target.blobs.written(payload.id)
            self.copied(payload.size_bytes)
            return True
        except BlobNotFound:
            pass
        try:
            chunks = self.source.blobs.read(payload.id)
            size = self.target.blobs.write(payload.id, chunks=self._checked(chunks, payload))
        except (BlobNotFound, BlobDamaged, _Changed):
            return False
        except BlobExists:
            # Another run of the same migration was faster.
            return True
        self.report.payloads += 1
        self.report.size_bytes += size
        return True

    def _checked(self, chunks: Iterator[bytes], payload: Place) -> Iterator[bytes]:
        """The chunks; what was changed ends in an error after the last one, so that nothing is stored."""
        digest = payload.digest()
        for chunk in chunks:
            digest.update(chunk)
            self.copied(len(chunk))
            yield chunk
        if not payload.is_that_of(digest):
            raise _Changed(payload.id)

    def _record(self, record: Record) -> bool:
        """Let the target's record be as this one; whether it was not."""
        while True:
            try:
                self.target.records.write(record.key, value=record.value, expected=None)
                return True
            except RecordConflict:
                there = self.target.find(record.key)
            if there is None:
                continue
            if same(there.value, record.value):
                return False
            try:
                self.target.records.write(record.key, value=record.value, expected=there.revision)
                return True
            except RecordConflict:
                continue


def surplus(source: StorePlace, target: StorePlace) -> Iterator[Record]:
    """The records of the target that the source does not have, apart from versions of objects."""
    for record in every(target.records, ""):
        shelf = record.key.partition("/")[0]
        if shelf not in (MIGRATION, STORE, "version", "worker") and source.find(record.key) is None:
            yield record


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: `1`, `1.0` and `true` are not."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
