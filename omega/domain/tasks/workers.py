"""The workers that there are, as they announce themselves."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

import attrs
from attrs import evolve, frozen

from omega.ports.clock import Clock
from omega.ports.records import RecordConflict, RecordNotFound, RecordStore

BEAT_S: Final = 2.0
_ALIVE_S: Final = 10.0
_MAX_WORKERS: Final = 1000


@frozen
class WorkerInfo:
    """A worker: `processes` do its work, `busy` of them right now. `seen` is when it last said so."""

    id: str
    host: str
    pid: int
    processes: int
    busy: int
    started: datetime
    seen: datetime


@frozen
class Workers:
    """Who works for a store."""

    store: RecordStore
    clock: Clock

    def announce(self, info: WorkerInfo) -> None:
        """Say that a worker is there; to be said again every `BEAT_S` seconds."""
        value = attrs.asdict(
            evolve(info, seen=self.clock.now()),
            filter=lambda attribute, _: attribute.name != "id",
            value_serializer=lambda _, __, value: value.isoformat() if isinstance(value, datetime) else value,
        )
        key = f"worker/{info.id}"
        try:
            expected = self.store.read(key).revision
        except RecordNotFound:
            expected = None
        with suppress(RecordConflict):
            self.store.write(key, value=value, expected=expected)

    def leave(self, id: str) -> None:
        """Say that a worker is gone."""
        with suppress(RecordNotFound, RecordConflict):
            self.store.remove(f"worker/{id}", expected=self.store.read(f"worker/{id}").revision)

    def alive(self) -> Sequence[WorkerInfo]:
        """The workers that have been heard of lately; what is left of others is removed."""
        since = self.clock.now() - timedelta(seconds=_ALIVE_S)
        found = []
        for record in self.store.page("worker/", limit=_MAX_WORKERS).records:
            value: dict[str, Any] = dict(record.value)
            for name in ("started", "seen"):
                value[name] = datetime.fromisoformat(value[name])
            info = WorkerInfo(id=record.key.partition("/")[2], **value)
            if info.seen >= since:
                found.append(info)
            else:
                with suppress(RecordNotFound, RecordConflict):
                    self.store.remove(record.key, expected=record.revision)
        return found
