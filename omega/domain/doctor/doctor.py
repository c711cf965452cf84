"""The examination of a store, from what its adapters know of it down to what is left half done."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from attrs import evolve, field, frozen

from omega.domain.catalogue import version_of
from omega.domain.checksums import Place
from omega.domain.doctor.findings import DAMAGED, ORPHAN, RECENT, Finding, Tally
from omega.domain.doctor.orphans import Orphans, aged
from omega.domain.doctor.task_indexes import TaskIndexes
from omega.domain.inventory import MIGRATION, Entry, Flaw, Inventory, Owner
from omega.domain.names import MODEL
from omega.domain.payload_check import PayloadCheck
from omega.domain.seals import is_sealed
from omega.domain.tasks import TaskRecords
from omega.ports.blobs import DatedBlobStore
from omega.ports.clock import Clock
from omega.ports.records import RecordNotFound, WalkableRecordStore
from omega.ports.signer import Signer
from omega.ports.upkeep import StoreUpkeep

#: So many ids are held in memory at once, about 20 MB.
WINDOW: Final = 100_000


def _quiet(_: Tally) -> None:
    """Tell nobody."""


@frozen
class Doctor:
    """Examines all buckets of a store, which may be in use meanwhile. Memory is bounded by `window` and by
    the largest record. With a `signer` it looks for the signatures of models.
    """

    records: WalkableRecordStore
    blobs: DatedBlobStore
    upkeep: Sequence[StoreUpkeep]
    clock: Clock
    signer: Signer | None = None
    window: int = field(default=WINDOW)

    def examine(
        self,
        *,
        fix: bool = False,
        tally: Tally | None = None,
        progress: Callable[[Tally], None] = _quiet,
    ) -> Iterator[Finding]:
        """What is found, as it is found. With `fix` orphans go, and tasks that are in no index are entered.
        What was checked is counted in `tally`, and told to `progress` as it goes on.

        Raises: StoreUnavailable.
        """
        tally, now = tally or Tally(), self.clock.now()
        for store in self.upkeep:
            yield from (Finding(DAMAGED, words) for words in store.faults())
        yield from self._contents(tally, lambda: progress(tally))
        copied = self._is_being_copied_to()
        fix = fix and not copied
        orphans = Orphans(self.records, self.blobs, now, self.window)
        indexes = TaskIndexes(self.records, TaskRecords(self.records), now)
        yield from indexes.lost(fix=fix)
        for found in (
            *(indexes.strays, orphans.versions, orphans.payloads),
            self._leftovers,
        ):
            for finding in found(fix=fix):
                yield evolve(finding, kind=RECENT) if copied else finding

    def _contents(self, tally: Tally, told: Callable[[], None]) -> Iterator[Finding]:
        """Damage of records, and of the payloads that they point to."""
        inventory = Inventory(self.records)

        def read(size_bytes: int) -> None:
            tally.size_bytes += size_bytes
            told()

        check = PayloadCheck(self.blobs, read)
        for entry in inventory.entries():
            tally.records += 1
            told()
            if isinstance(entry, Flaw):
                yield Finding(DAMAGED, f"{entry.owner}: {entry.words}", entry.owner)
                continue
            yield from self._seal(inventory, entry)
            for payload in entry.fresh:
                tally.payloads += 1
                yield from self._payload(inventory, check, entry, payload)

    def _seal(self, inventory: Inventory, entry: Entry) -> Iterator[Finding]:
        """A version of a model must carry our signature for just what it says, and where."""
        owner, head = entry.owner, entry.head
        if self.signer is None or head is None or owner.resource != MODEL or owner.version is None:
            return
        bucket, name, number = str(owner.bucket), owner.name, owner.version
        try:
            version = version_of(entry.record, head, resource=MODEL, bucket=bucket, name=name, number=number)
            sealed = is_sealed(self.signer, version)
        except (KeyError, TypeError, ValueError, AttributeError):
            sealed = False
        if not sealed and all(inventory.counts(entry, payload) for payload in entry.payloads):
            words = f"{owner}: it was changed, or is not signed by this installation: it is not loaded"
            yield Finding(DAMAGED, words, owner)

    def _payload(
        self, inventory: Inventory, check: PayloadCheck, entry: Entry, payload: Place
    ) -> Iterator[Finding]:
        fault = check.fault(payload)
        # It may have been removed, with what it belongs to, since the record was read.
        if fault is not None and inventory.counts(entry, payload):
            yield Finding(DAMAGED, f"{entry.owner}: payload {payload.id} {fault}", entry.owner, payload.id)

    def _leftovers(self, *, fix: bool) -> Iterator[Finding]:
        now = self.clock.now()
        for store in self.upkeep:
            for left in store.leftovers():
                words = f"{left.what} {left.key}"
                found = aged(Finding(ORPHAN, words, Owner("leftover", left.key), None, left.since), now)
                if fix and found.kind == ORPHAN:
                    found = evolve(found, fixed=store.discard(left))
                yield found

    def _is_being_copied_to(self) -> bool:
        """Whether the store is the unfinished copy of another, to whose payloads pointers are yet to come."""
        try:
            return self.records.read(MIGRATION).value.get("finished") is None
        except RecordNotFound:
            return False
