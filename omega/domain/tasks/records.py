"""Where tasks are kept: one record a task, and two indexes that find those that need care.

    task/BUCKET/ID              the task, the only truth
    task-open/ID                one that has not ended; it is there before the task is
    task-ended/TIME/BUCKET/ID   one that has; it is there as long as the task is, after a crash perhaps longer

Ids begin with the time, so that all three are in the order of time.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from attrs import frozen

from omega.domain.tasks.task import Task, read, written
from omega.ports.ids import Ids
from omega.ports.records import (
    JSONObject,
    Record,
    RecordConflict,
    RecordNotFound,
    RecordStore,
    StoreFull,
    StoreUnavailable,
)

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STORE: Final = "store"
_BASE32: Final = "0123456789abcdefghjkmnpqrstvwxyz"
#: An index entry without its task is that of a writer who is between the two, or died there.
_STRAY_AFTER: Final = timedelta(minutes=10)


def new_id(ids: Ids) -> str:
    """A fresh id."""
    number = 0
    for digit in ids.new():
        number = number << 5 | _BASE32.index(digit)
    return task_id(number >> 80, number)


def task_id(time_ms: int, chance: int) -> str:
    """The id in the form of a UUID, version 7 (RFC 9562, 5.7), made of a time in milliseconds since 1970 and
    the lower 80 bits of `chance`.
    """
    number = time_ms % (1 << 48) << 80 | chance % (1 << 80)
    number = number & ~(0xF << 76) & ~(0b11 << 62) | 0x7 << 76 | 0b10 << 62
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


@frozen
class TaskRecords:
    """The tasks of all buckets of a store."""

    store: RecordStore

    def store_id(self, ids: Ids) -> str:
        """What tells this store from all others: 26 characters of `0-9a-z`."""
        while True:
            try:
                return str(self.store.read(_STORE).value["id"])
            except RecordNotFound:
                with suppress(RecordConflict):
                    self.store.write(_STORE, value={"id": ids.new()}, expected=None)

    def create(self, task: Task) -> Task:
        """Write a task that is not there yet.

        Raises: RecordConflict, where there is one with this id; StoreFull, StoreUnavailable; what is left
        then is an index entry that points to nothing.
        """
        self._enter(task, new=True)
        try:
            return _task(self.store.write(_key(task), value=written(task), expected=None))
        finally:
            # Whoever was held up until now may have been taken for dead.
            with suppress(StoreUnavailable, StoreFull):
                self._enter(task)

    def discard(self, task: Task) -> None:
        """Remove a task that nobody has touched since.

        Raises: RecordConflict, where somebody has.
        """
        self.store.remove(_key(task), expected=str(task.revision))
        self._remove(open_key(task.id))

    def find(self, bucket: str, id: str) -> Task | None:
        """The task with this id, if it is one of this bucket."""
        if not _ID.fullmatch(id):
            return None
        try:
            record = self.store.read(f"task/{bucket}/{id}")
        except (RecordNotFound, ValueError):
            # A bucket may come out of a message in a queue, and be anything.
            return None
        return _task(record)

    def change(self, bucket: str, id: str, step: Callable[[Task], Task | None]) -> Task | None:
        """Make of the task what `step` makes of it, which is asked again whenever another was faster; `None`
        for a task that is not there or that `step` leaves alone.

        Raises: what `step` raises.
        """
        while (task := self.find(bucket, id)) is not None:
            changed = step(task)
            if changed is None:
                return None
            with suppress(RecordConflict):
                return self.write(changed)
        return None

    def write(self, task: Task) -> Task:
        """Write a changed task, if nobody else has changed it.

        Raises: RecordConflict.
        """
        return _task(self.store.write(_key(task), value=written(task), expected=task.revision))

    def close(self, task: Task) -> None:
        """Move a task that has ended from one index to the other; doing it twice does no harm."""
        with suppress(RecordConflict):
            self.store.write(ended_key(task), value={}, expected=None)
        self._remove(open_key(task.id))

    def page(self, bucket: str, *, offset: int, limit: int) -> tuple[Sequence[Task], int]:
        """Some tasks of a bucket, the latest first, and how many there are in all."""
        found = self.store.page(f"task/{bucket}/", offset=offset, limit=limit, descending=True)
        return [_task(record) for record in found.records], found.total

    def open(self, *, offset: int, limit: int, now: datetime) -> tuple[Sequence[Task], int]:
        """Some of the tasks of all buckets that have not ended, the oldest first, and about how many there
        are in all.
        """
        page = self.store.page("task-open/", offset=offset, limit=limit)
        tasks = []
        for record in page.records:
            task = self.find(record.value["bucket"], record.key.partition("/")[2])
            if task is None:
                if datetime.fromisoformat(record.value["created"]) + _STRAY_AFTER < now:
                    self._remove_stray(record)
            elif task.is_final:
                self.close(task)
            else:
                tasks.append(task)
        return tasks, page.total

    def count_open(self) -> int:
        """About how many tasks of all buckets have not ended."""
        return self.store.page("task-open/", limit=1).total

    def ended_before(self, time: datetime, *, limit: int) -> Sequence[Task]:
        """Some of the tasks that ended before `time`, those that ended first."""
        tasks = []
        for record in self.store.page("task-ended/", limit=limit).records:
            _, ended, bucket, id = record.key.split("/")
            if datetime.fromisoformat(ended) >= time:
                break
            task = self.find(bucket, id)
            if task is None:
                self._remove(record.key)
            else:
                tasks.append(task)
        return tasks

    def forget(self, task: Task) -> None:
        """Remove a task that has ended."""
        self._remove(_key(task))
        self._remove(ended_key(task))

    def restore(self, task: Task) -> None:
        """See that the task is in the index in which it belongs."""
        self.close(task) if task.is_final else self._enter(task)

    def _enter(self, task: Task, *, new: bool = False) -> None:
        """See that the task has its entry, and that nobody is about to remove that. Of a `new` one it is
        likely that there is none.
        """
        key, value = open_key(task.id), {"bucket": task.bucket, "created": task.created.isoformat()}
        while True:
            expected: str | None = None
            if not new:
                with suppress(RecordNotFound):
                    entry = self.store.read(key)
                    if "stray" not in entry.value:
                        return
                    expected = entry.revision
            new = False
            with suppress(RecordConflict):
                self.store.write(key, value=value, expected=expected)
                return

    def _remove_stray(self, entry: Record) -> None:
        """Mark an entry without a task, or remove it, if it was marked by the time that the task was looked
        for: one that is written after the mark is entered again, one that was written before is found.
        """
        with suppress(RecordNotFound, RecordConflict):
            if "stray" in entry.value:
                self.store.remove(entry.key, expected=entry.revision)
            else:
                self.store.write(entry.key, value={**entry.value, "stray": True}, expected=entry.revision)

    def _remove(self, key: str) -> None:
        with suppress(RecordNotFound, RecordConflict):
            self.store.remove(key, expected=self.store.read(key).revision)


def _key(task: Task) -> str:
    return f"task/{task.bucket}/{task.id}"


def open_key(id: str) -> str:
    """Where the entry of a task that has not ended is."""
    return f"task-open/{id}"


def ended_key(task: Task) -> str:
    """Where the entry of a task that has ended is."""
    assert task.ended is not None
    return f"task-ended/{task.ended.isoformat(timespec='microseconds')}/{task.bucket}/{task.id}"


def _task(record: Record) -> Task:
    _, bucket, id = record.key.split("/")
    value: JSONObject = record.value
    return read(bucket, id, value, record.revision)
