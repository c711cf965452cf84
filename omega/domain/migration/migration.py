"""A migration from its plan to the comparison at its end."""

from attrs import define, frozen

from omega.domain.errors import Conflict
from omega.domain.inventory import Entry, Flaw, Inventory, owner_of
from omega.domain.migration.copying import Copying, same, surplus
from omega.domain.migration.report import Plan, Progress, Report
from omega.domain.migration.target import (
    EMPTY,
    FINISHED,
    StorePlace,
    mark_begun,
    mark_finished,
    state_of,
)
from omega.domain.payload_check import PayloadCheck
from omega.domain.tasks import TaskRecords, Workers
from omega.ports.clock import Clock
from omega.ports.ids import Ids


def _quiet(phase: str, done: int, total: int) -> None:
    """Tell nobody."""


@frozen
class Migration:
    """Copies all that `source` holds, in all buckets, to `target`. It may be run again and again: what is
    there already is not copied again, and a run that changes nothing says so.
    """

    source: StorePlace
    target: StorePlace
    clock: Clock
    ids: Ids

    def plan(self) -> Plan:
        """What there is to be copied; nothing is written.

        Raises: Conflict, where the target holds something else.
        """
        state_of(self.target, self.source)
        return self._found()

    def run(self, progress: Progress = _quiet) -> Report:
        """Copy, compare, and if nothing differs, let the target be a store of its own.

        While somebody writes to the source, the copy is whole, and is not finished: run it again.

        Raises: Conflict, where the target holds something else, or was finished and differs by now;
        StoreFull, StoreUnavailable.
        """
        TaskRecords(self.source.records).store_id(self.ids)
        state = state_of(self.target, self.source)
        if state == EMPTY:
            mark_begun(self.target, self.source, self.clock.now())
        report = Report(self._found())
        meter = _Meter(progress, report.found.size_bytes)
        copying = Copying(self.source, self.target, report, meter.copied)
        if state != FINISHED:
            copying.run()
            copying.remove_surplus()
        self._compare_payloads(report, meter, None if state == FINISHED else copying)
        self._compare_records(report)
        if state == FINISHED:
            return self._as_finished(report)
        report.workers = len(Workers(self.source.records, self.clock).alive())
        if not report.differing.total and not report.workers:
            mark_finished(self.target, self.source, self.clock.now())
            report.finished = True
        return report

    def _as_finished(self, report: Report) -> Report:
        """The report on a copy that is a store of its own: whoever uses it would lose what they wrote."""
        if report.differing.total:
            raise Conflict(
                "the target was finished as a copy before, and source and target differ since "
                f"({report.differing.first[0]}): migrate to an empty store"
            )
        report.finished = True
        return report

    def _found(self) -> Plan:
        objects = records = payloads = size_bytes = 0
        for entry in Inventory(self.source.records).entries():
            if isinstance(entry, Entry):
                records += 1
                objects += entry.record.key.startswith("object/")
                payloads += len(entry.fresh)
                size_bytes += sum(payload.size_bytes for payload in entry.fresh)
        return Plan(objects, records, payloads, size_bytes)

    def _compare_payloads(self, report: Report, meter: "_Meter", copying: Copying | None) -> None:
        """Every payload of the copy with its checksum."""
        inventory = Inventory(self.source.records)
        copies = PayloadCheck(self.target.blobs, meter.checked)
        originals = PayloadCheck(self.source.blobs, lambda _: None)
        for entry in inventory.entries():
            if isinstance(entry, Flaw):
                continue
            for payload in entry.fresh:
                if copies.fault(payload) is None:
                    continue
                damage = originals.fault(payload)
                words = f"{entry.owner}: payload {payload.id} "
                if damage is None and (copying is None or not copying.again(payload)):
                    report.differing.add(words + "is not in the copy as it is in the source")
                elif damage is not None and inventory.counts(entry, payload):
                    report.damaged.add(words + damage)

    def _compare_records(self, report: Report) -> None:
        """Every record with its copy. This comes last, as it is quick: what is written to the source later
        than this is not noticed.
        """
        for entry in Inventory(self.source.records).entries():
            if isinstance(entry, Flaw):
                report.damaged.add(f"{entry.owner}: {entry.words}")
                continue
            there = self.target.find(entry.record.key)
            if there is None or not same(there.value, entry.record.value):
                report.differing.add(str(entry.owner))
        for record in surplus(self.source, self.target):
            report.differing.add(f"{owner_of(record)}, which the source does not have")


@define
class _Meter:
    """Counts the bytes of payloads: each is copied once, and read once more for the comparison."""

    progress: Progress
    total: int
    _copied: int = 0
    _checked: int = 0

    def copied(self, size_bytes: int) -> None:
        """So many bytes more were copied, or were there."""
        self._copied += size_bytes
        self.progress("copying", self._copied, self.total)

    def checked(self, size_bytes: int) -> None:
        """So many bytes more of the copy were read."""
        self._checked += size_bytes
        self.progress("checking", self._checked, self.total)
