"""The one gate to every object: from its name to its versions, and the swing of a name to a new version.

An object has a *head* record under its name, which points to its current *version* record; version records
and the payloads that they name are never changed. A write stores its payloads, then its version record, then
swings the head by compare-and-set: that last step alone is the commit. A crash before it leaves an orphan
that nothing points to. See docs/adr/0001.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from attrs import Factory, field, frozen

from omega.domain.access import Gate
from omega.domain.errors import BadInput, Corrupt, NotFound, PreconditionFailed
from omega.domain.metadata import ALWAYS, JSONObject, Listing, Metadata, Precondition
from omega.domain.names import Reference, check_bucket, check_name, is_hidden
from omega.ports.clock import Clock
from omega.ports.ids import Ids
from omega.ports.records import (
    Record,
    RecordConflict,
    RecordNotFound,
    RecordStore,
    StoreFull,
    StoreUnavailable,
)

#: What the keys of the objects in one list begin with: a store does well to know how many there are.
LISTS = re.compile(r"object/[^/]+/[^/]+/[^/]+/")
_SCAN = 1000
#: Machines do not agree on the time to the second.
_CLOCKS_DIFFER = timedelta(minutes=5)
_WILDCARDS = "*?["
MAX_PATTERN_CHARS = 1024


class Raced(Exception):
    """Another writer committed first: read the head again and decide anew."""


@frozen
class Head:
    """An object as its name finds it, with the revision to swing it by."""

    key: str
    revision: str
    uid: str
    created: datetime
    version: int
    tip: str


@frozen
class Version:
    """One immutable state of an object. `uid` is the object's, `payload` says where the content is; `tip` is
    an id that no other version of any object has, `parent` that of the version before.
    """

    metadata: Metadata
    uid: str
    tip: str
    payload: JSONObject
    parent: str | None


@frozen
class Draft:
    """A version to be: what a writer has prepared, its payloads being stored already."""

    kind: str
    payload: JSONObject
    attributes: JSONObject = field(factory=dict)


@frozen
class Catalogue:
    """The objects of one resource in one bucket, behind a gate: `allow` opens it for one action on one object
    (docs/adr/0017). All methods but that raise Forbidden where it is shut.
    """

    records: RecordStore
    clock: Clock
    ids: Ids
    resource: str
    bucket: str = field(converter=check_bucket)
    gate: Gate = Factory(lambda self: Gate(self.resource, self.bucket), takes_self=True)

    def allow(self, action: str, name: str = "") -> "Catalogue":
        """The same, open for `action` on `name` (a list has no name).

        Raises: Forbidden.
        """
        gate = self.gate.opened(action, name)
        if gate is self.gate:
            return self
        return Catalogue(self.records, self.clock, self.ids, self.resource, self.bucket, gate)

    def head(self, name: str) -> Head:
        """The object called `name`.

        Raises: NotFound; BadInput for an illegal name.
        """
        try:
            record = self.records.read(self._key(name))
        except RecordNotFound as error:
            raise self._not_found(name) from error
        return head_of(record)

    def peek(self, name: str) -> Head | None:
        """The object called `name`, or `None`.

        Raises: BadInput for an illegal name.
        """
        try:
            return self.head(name)
        except NotFound:
            return None

    def version(self, reference: Reference) -> Version:
        """The version that `reference` names.

        Raises: NotFound, for a version beyond the history too.
        """
        return self.version_of(self.head(reference.name), reference)

    def version_of(self, head: Head, reference: Reference) -> Version:
        """As `version`, for a head that is at hand."""
        number = reference.at if reference.at is not None else head.version - reference.back
        if not 1 <= number <= head.version:
            raise NotFound(
                f"{self.resource} {reference.name!r} has no version {number}: "
                f"its versions are 1 to {head.version}"
            )
        if number == head.version:
            record = self._read_version(head, number, head.tip)
        else:
            record = self._committed(head, number)
        return self._version(reference.name, head, number, record)

    def commit(
        self, name: str, draft: Draft, *, base: Head | None, precondition: Precondition = ALWAYS
    ) -> Version:
        """Make `draft` the next version of the object that was at `base` (`None`: the first version of a new
        object).

        Raises: PreconditionFailed; Raced when the object is no longer at `base`. Nothing visible has changed
        then.
        """
        self.check(name, base, precondition)
        now, tip = self.clock.now(), self.ids.new()
        uid, created = (base.uid, base.created) if base else (self.ids.new(), now)
        number = base.version + 1 if base else 1
        value = {
            "kind": draft.kind,
            "modified": now.isoformat(),
            "parent": base.tip if base else None,
            "payload": draft.payload,
            "attributes": draft.attributes,
        }
        record = self.records.write(version_key(uid, number, tip), value=value, expected=None)
        head = {
            "uid": uid,
            "created": created.isoformat(),
            "version": number,
            "tip": tip,
            "kind": draft.kind,
            "modified": now.isoformat(),
        }
        try:
            swung = self.records.write(self._key(name), value=head, expected=base.revision if base else None)
        except (RecordConflict, StoreFull) as error:
            self._forget(record)
            if isinstance(error, StoreFull):
                raise
            raise Raced(name) from error
        return self._version(name, head_of(swung), number, record)

    def made_by(self, head: Head, call: str, *, since: datetime) -> Version | None:
        """The version of the object that the call with this id has made, if it has: its payload says so under
        `call`. `since` is when the call was made; versions older than that are not looked at.
        """
        name, number, tip = head.key.split("/", 4)[4], head.version, head.tip
        while number > 0:
            version = self._version(name, head, number, self._read_version(head, number, tip))
            if version.payload.get("call") == call:
                return version
            if version.metadata.modified < since - _CLOCKS_DIFFER:
                return None
            number, tip = number - 1, str(version.parent)
        return None

    def fence(self, name: str) -> None:
        """Let no commit succeed that was begun before now: whoever is about to swing the name to a new
        version has to look at it again first.
        """
        while True:
            try:
                record = self.records.read(self._key(name))
                self.records.write(record.key, value=record.value, expected=record.revision)
            except RecordConflict:
                continue
            except RecordNotFound:
                pass
            return

    def check(self, name: str, head: Head | None, precondition: Precondition) -> None:
        """Nothing, if the object may be written.

        Raises: PreconditionFailed, naming the version it is at.
        """
        at = head.version if head else None
        if not precondition.holds(at):
            state = f"is at version {at}" if at else "does not exist"
            raise PreconditionFailed(
                f"{self.resource} {name!r} {state}, which the request's precondition rules out"
            )

    def drop(self, name: str, *, precondition: Precondition = ALWAYS) -> Iterator[JSONObject]:
        """Remove the object with all its versions; their payloads are given back, for the caller to remove.

        The object is gone when this returns, its version records when what it returns is used up. What cannot
        be removed then is left as an orphan.

        Raises: NotFound, PreconditionFailed.
        """
        while True:
            head = self.head(name)
            self.check(name, head, precondition)
            try:
                self.records.remove(head.key, expected=head.revision)
            except RecordConflict:
                continue
            except RecordNotFound as error:
                raise self._not_found(name) from error
            return self._dismantled(head)

    def _dismantled(self, head: Head) -> Iterator[JSONObject]:
        """Along the chain of committed versions only: another record under the same number may be that of a
        writer which has yet to learn that it lost, and will commit the same payloads under a new object.
        """
        tip: str | None = head.tip
        for number in range(head.version, 0, -1):
            try:
                record = self.records.read(version_key(head.uid, number, str(tip)))
            except (RecordNotFound, StoreUnavailable):
                break
            tip = record.value["parent"]
            self._forget(record)
            yield record.value["payload"]
        with suppress(StoreUnavailable):
            for stray in list(self._scan(f"version/{head.uid}/")):
                self._forget(stray)

    def _forget(self, record: Record) -> None:
        """Remove a version record to which nothing points."""
        with suppress(RecordNotFound, RecordConflict, StoreUnavailable, StoreFull):
            self.records.remove(record.key, expected=record.revision)

    def is_gone(self, version: Version) -> bool:
        """Whether the object that this is a version of has been dropped, even if there is another of its
        name.
        """
        head = self.peek(version.metadata.name)
        return head is None or head.uid != version.uid

    def list(self, pattern: str | None = None, *, offset: int = 0, limit: int = 20) -> Listing:
        """Objects in the order of their names, those that `pattern` (as of a shell: `*`, `?`, `[abc]`)
        matches.

        Hidden names are listed only by a pattern that itself starts with `.` or `_`. Attributes are left out
        of a list.

        Raises: BadInput for a pattern that is too long.
        """
        self.gate.check_listing()
        pattern = pattern or "*"
        if len(pattern) > MAX_PATTERN_CHARS:
            raise BadInput(
                f"the name pattern has {len(pattern)} characters, the limit is {MAX_PATTERN_CHARS}"
            )
        shelf = self._shelf(hidden=is_hidden(pattern))
        if pattern == "*":
            page = self.records.page(shelf, offset=offset, limit=limit)
            return Listing([self._listed(record) for record in page.records], page.total)
        literal = pattern[: min((pattern.index(w) for w in _WILDCARDS if w in pattern), default=len(pattern))]
        found = [
            record
            for record in self._scan(shelf + literal)
            if fnmatchcase(record.key.removeprefix(shelf), pattern)
        ]
        return Listing([self._listed(record) for record in found[offset : offset + limit]], len(found))

    def _not_found(self, name: str) -> NotFound:
        return NotFound(f"there is no {self.resource} {name!r} in bucket {self.bucket!r}")

    def _shelf(self, *, hidden: bool) -> str:
        return f"object/{self.bucket}/{self.resource}/{'hidden' if hidden else 'visible'}/"

    def _key(self, name: str) -> str:
        check_name(name, resource=self.resource)
        self.gate.check(name)
        return self._shelf(hidden=is_hidden(name)) + name

    def _scan(self, prefix: str) -> Iterator[Record]:
        offset, total = 0, 1
        while offset < total:
            page = self.records.page(prefix, offset=offset, limit=_SCAN)
            yield from page.records
            offset, total = offset + _SCAN, page.total

    def _listed(self, record: Record) -> Metadata:
        head, value = head_of(record), record.value
        name = record.key.split("/", 4)[4]
        return Metadata(
            name=name,
            resource=self.resource,
            bucket=self.bucket,
            kind=value["kind"],
            version=head.version,
            created=head.created,
            modified=datetime.fromisoformat(value["modified"]),
        )

    def _read_version(self, head: Head, number: int, tip: str) -> Record:
        try:
            return self.records.read(version_key(head.uid, number, tip))
        except RecordNotFound as error:
            # The head may have been dropped or swung and its history removed since it was read.
            name = head.key.split("/", 4)[4]
            current = self.peek(name)
            if current is None or current.uid != head.uid:
                raise NotFound(f"there is no {self.resource} {name!r} in bucket {self.bucket!r}") from error
            raise Corrupt(
                f"version {number} of {self.resource} {name!r} is damaged: its record is missing"
            ) from error

    def _committed(self, head: Head, number: int) -> Record:
        """The record of version `number`. A writer that lost its race or died may have left another of the
        same number: the next version says which one it was made from."""
        candidates = self.records.page(f"version/{head.uid}/{number:012d}/").records
        if len(candidates) == 1:
            return candidates[0]
        above = (
            self._read_version(head, head.version, head.tip)
            if number + 1 == head.version
            else self._committed(head, number + 1)
        )
        return self._read_version(head, number, above.value["parent"])

    def _version(self, name: str, head: Head, number: int, record: Record) -> Version:
        return version_of(record, head, resource=self.resource, bucket=self.bucket, name=name, number=number)


def head_of(record: Record) -> Head:
    """The object that a head record is of."""
    value: Mapping[str, Any] = record.value
    return Head(
        key=record.key,
        revision=record.revision,
        uid=value["uid"],
        created=datetime.fromisoformat(value["created"]),
        version=value["version"],
        tip=value["tip"],
    )


def version_of(record: Record, head: Head, *, resource: str, bucket: str, name: str, number: int) -> Version:
    """The version `number` of an object that a version record is of."""
    value: Mapping[str, Any] = record.value
    metadata = Metadata(
        name=name,
        resource=resource,
        bucket=bucket,
        kind=value["kind"],
        version=number,
        created=head.created,
        modified=datetime.fromisoformat(value["modified"]),
        attributes=value["attributes"],
    )
    return Version(metadata, head.uid, record.key.rpartition("/")[2], value["payload"], value["parent"])


def version_key(uid: str, number: int, tip: str) -> str:
    """Where the record of a version is."""
    return f"version/{uid}/{number:012d}/{tip}"
