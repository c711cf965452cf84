"""The indexes of tasks: entries whose task is gone, and tasks that are in no index."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from attrs import evolve, frozen

from omega.domain.doctor.findings import DAMAGED, ORPHAN, RECENT, Finding
from omega.domain.doctor.orphans import aged, removed
from omega.domain.inventory import Owner, every, owner_of
from omega.domain.tasks import Task, TaskRecords
from omega.domain.tasks.records import ended_key, open_key
from omega.ports.records import Record, RecordNotFound, WalkableRecordStore


@frozen
class TaskIndexes:
    """Compares the tasks with their indexes."""

    records: WalkableRecordStore
    tasks: TaskRecords
    now: datetime

    def strays(self, *, fix: bool) -> Iterator[Finding]:
        """Entries that point to no task, or to one that is not in the state that they say."""
        for record in every(self.records, "task-open/"):
            with suppress(KeyError, TypeError, ValueError):
                since = datetime.fromisoformat(record.value["created"])
                task = self.tasks.find(record.value["bucket"], record.key.partition("/")[2])
                if task is None or task.is_final:
                    yield self._stray(record, task, task.ended if task and task.ended else since, fix)
        for record in every(self.records, "task-ended/"):
            with suppress(ValueError):
                _, ended, bucket, id = record.key.split("/")
                if self.tasks.find(bucket, id) is None:
                    yield self._stray(record, None, datetime.fromisoformat(ended), fix)

    def lost(self, *, fix: bool) -> Iterator[Finding]:
        """Tasks that no worker would find: those that have not ended would never be tried again, the others
        never go.
        """
        for record in every(self.records, "task/"):
            with suppress(KeyError, TypeError, ValueError):
                _, bucket, id = record.key.split("/")
                task = self.tasks.find(bucket, id)
                if task is None or self._is_indexed(task):
                    continue
                # It may have ended, or gone, since it was read.
                task = self.tasks.find(bucket, id)
                if task is not None and not self._is_indexed(task):
                    words = "it is in no index: no worker would come across it"
                    if fix:
                        self.tasks.restore(task)
                    yield Finding(DAMAGED, f"{owner_of(record)}: {words}", owner_of(record), fixed=fix)

    def _stray(self, record: Record, task: Task | None, since: datetime, fix: bool) -> Finding:
        words = "points to no task" if task is None else f"says that task {task.id} has not ended"
        owner = Owner("record", record.key)
        found = aged(Finding(RECENT, f"index entry {record.key} {words}", owner, None, since), self.now)
        if not fix or found.kind != ORPHAN:
            return found
        if task is not None:
            self.tasks.restore(task)
            return evolve(found, fixed=True)
        return evolve(found, fixed=removed(self.records, record))

    def _is_indexed(self, task: Task) -> bool:
        # One that has just ended may still be among the open ones: whoever comes across it there moves it.
        keys = [open_key(task.id)] + ([ended_key(task)] if task.is_final else [])
        return any(self._is_there(key) for key in keys)

    def _is_there(self, key: str) -> bool:
        try:
            self.records.read(key)
        except RecordNotFound:
            return False
        return True
