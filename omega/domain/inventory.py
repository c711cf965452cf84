"""All that a store holds, in an order in which a record comes after everything that it points to.

    object/...     heads of objects; each after its committed versions (version/...), the newest first
    job-run/...    runs of jobs
    task-open/...  task-ended/...  task/...    as they are written: the index before the task
    all others     schedules, and whatever there may be

Left out are version records that no head leads to, and what is of one place or moment only: `worker/...`, and
the records of the store itself (`store`, `migration`).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import evolve, frozen

from omega.domain.catalogue import Head, head_of, version_key
from omega.domain.checksums import Place, is_pointer
from omega.domain.job_runs import RESULTS
from omega.domain.names import NOTEBOOK_SUFFIX
from omega.domain.pointers import payloads_in
from omega.domain.tasks.task import FINAL
from omega.ports.records import Record, RecordNotFound, RecordScan, WalkableRecordStore

STORE: Final = "store"
MIGRATION: Final = "migration"
_IN_ORDER: Final = ("job-run", "task-open", "task-ended", "task")
_OF_THE_PLACE: Final = frozenset({"worker", STORE, MIGRATION})
_WITHOUT_PAYLOADS: Final = frozenset({"object", "schedule", "task-ended", "task-open"})
#: Records are small, but a version of a frame of very many segments may take megabytes.
_AT_ONCE: Final = 200
_LAST: Final = "\U0010ffff"


@frozen
class Owner:
    """What a record belongs to: an object, perhaps at a version; a run of a job; a task; or nothing known,
    and then `name` is the record's key.
    """

    resource: str
    name: str
    bucket: str | None = None
    version: int | None = None

    def __str__(self) -> str:
        where = "" if self.bucket is None else f" in bucket {self.bucket!r}"
        version = "" if self.version is None else f"version {self.version} of "
        return f"{version}{self.resource} {self.name!r}{where}"


@frozen
class Entry:
    """A record that counts, the payloads that must be there for it, and the head that leads to it. `fresh`
    are those of the payloads that no newer version of the object has; no two objects share any.
    """

    record: Record
    owner: Owner
    payloads: tuple[Place, ...] = ()
    head: Head | None = None
    fresh: tuple[Place, ...] = ()


@frozen
class Flaw:
    """What is wrong with a record itself."""

    owner: Owner
    words: str


@frozen
class Inventory:
    """What a store holds. It may change meanwhile: what is given was there at some moment of the walk."""

    records: WalkableRecordStore

    def entries(self) -> Iterator[Entry | Flaw]:
        """Every record that counts, and what is wrong with records."""
        for head in every(self.records, "object/"):
            yield from self._object(head)
        for shelf in _IN_ORDER:
            for record in every(self.records, f"{shelf}/"):
                yield _entry(record)
        yield from self._others()

    def counts(self, entry: Entry, payload: Place) -> bool:
        """Whether the entry's record still is there, and points to this payload."""
        try:
            if entry.head is not None and not self._leads(entry.head):
                return False
            now = _entry(self.records.read(entry.record.key))
        except RecordNotFound:
            return False
        return isinstance(now, Flaw) or payload in now.payloads

    def _object(self, record: Record) -> Iterator[Entry | Flaw]:
        entry = _entry(record)
        if isinstance(entry, Flaw):
            yield entry
            return
        head, tip, seen = head_of(record), str(record.value["tip"]), set[Place]()
        for number in range(head.version, 0, -1):
            owner = evolve(entry.owner, version=number)
            version = self._version(head.uid, number, tip)
            if version is None and not self._leads(head):
                return
            if version is None:
                yield Flaw(owner, "its record is missing")
                tip = ""
                continue
            found = _entry(version, owner, head)
            if isinstance(found, Entry):
                found = evolve(found, fresh=tuple(p for p in found.payloads if p not in seen))
                seen.update(found.fresh)
            yield found
            parent = version.value.get("parent")
            tip = parent if isinstance(parent, str) else ""
        yield entry

    def _version(self, uid: str, number: int, tip: str) -> Record | None:
        """The record of a version; where its tip is not known, the only one of that number."""
        if not tip:
            candidates = self.records.scan(version_key(uid, number, ""), limit=2)
            return candidates[0] if len(candidates) == 1 else None
        try:
            return self.records.read(version_key(uid, number, tip))
        except RecordNotFound:
            return None

    def _leads(self, head: Head) -> bool:
        """Whether the object is still there, perhaps at a later version."""
        try:
            return bool(self.records.read(head.key).value["uid"] == head.uid)
        except RecordNotFound:
            return False

    def _others(self) -> Iterator[Entry | Flaw]:
        after = ""
        while some := self.records.scan("", after=after, limit=_AT_ONCE):
            for record in some:
                shelf, after = record.key.partition("/")[0], record.key
                if shelf in ("object", "version", *_IN_ORDER):
                    # Over all of the shelf at once.
                    after = max(after, f"{shelf}/{_LAST}")
                    break
                if shelf not in _OF_THE_PLACE:
                    yield _entry(record)


def every(records: RecordScan, prefix: str) -> Iterator[Record]:
    """All records under a prefix, in key order, few at a time."""
    after = ""
    while some := records.scan(prefix, after=after, limit=_AT_ONCE):
        yield from some
        after = some[-1].key


def pointers(value: Any) -> Iterator[Mapping[str, Any]]:
    """Everything in a record's value that looks like a pointer to a payload: whoever removes what nothing
    points to need not know all kinds of records.
    """
    if isinstance(value, Mapping):
        if is_pointer(value):
            yield value
        for part in value.values():
            yield from pointers(part)
    elif isinstance(value, list):
        for part in value:
            yield from pointers(part)


def owner_of(record: Record) -> Owner:
    """What a record belongs to, as far as its key says."""
    match record.key.split("/"):
        case ["object", bucket, resource, _, *name]:
            return Owner(resource, "/".join(name), bucket)
        case ["job-run", bucket, *name, "", key] if key.isdecimal():
            stem = "/".join(name).removesuffix(NOTEBOOK_SUFFIX)
            return Owner("job", f"{RESULTS}{stem}_{int(key)}{NOTEBOOK_SUFFIX}", bucket)
        case ["task", bucket, id]:
            return Owner("task", id, bucket)
        case ["schedule", bucket, *name]:
            return Owner("schedule", "/".join(name), bucket)
    return Owner("record", record.key)


def _entry(record: Record, owner: Owner | None = None, head: Head | None = None) -> Entry | Flaw:
    owner = owner or owner_of(record)
    try:
        if record.key.startswith("object/"):
            head = head_of(record)
        payloads = tuple(_payloads(record))
        return Entry(record, owner, payloads, head, payloads)
    except (KeyError, TypeError, ValueError, AttributeError):
        return Flaw(owner, "its record is not one of omega's: parts of it are missing or changed")


def _payloads(record: Record) -> Iterator[Place]:
    """The payloads that must be there for a record, each once."""
    shelf, value = record.key.partition("/")[0], record.value
    found: list[Mapping[str, Any]] = []
    if shelf == "version":
        found = list(payloads_in(value["payload"]))
    elif shelf == "job-run":
        found = [value["result"]] if value["result"] else []
    elif shelf == "task":
        found = [value["result"]] if value["result"] else []
        # The data of a task goes when it ends, and the record still says where it was.
        if value["status"] not in FINAL:
            inputs = [part for part in value["call"]["inputs"].values() if isinstance(part, Mapping)]
            found += [part for given in inputs for part in payloads_in(given)]
    elif shelf not in _WITHOUT_PAYLOADS:
        found = list(pointers(value))
    yield from dict.fromkeys(map(Place.of, found))
