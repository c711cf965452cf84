"""Datasets: what users put and get under a name.

A frame is stored as segments of at most `SEGMENT_ROWS` rows, so that what is held in memory at once is bounded. An append stores
only what is new, and the next version lists it after the segments that were there.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import chain
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from attrs import asdict, define, field, frozen

from omega.domain import tabular
from omega.domain.catalogue import Catalogue, Draft, Head, Raced, Version
from omega.domain.contents import FRAMES, Bytes, Frame
from omega.domain.errors import BadInput, Conflict, Corrupt, OmegaError
from omega.domain.metadata import ALWAYS, Listing, Metadata, Precondition
from omega.domain.names import Reference, check_name
from omega.domain.payloads import Payload, Payloads
from omega.ports.frames import FrameStore, Segment, SegmentCorrupt, SegmentNotFound
from omega.ports.ids import Ids
from omega.ports.records import StoreUnavailable

SEGMENT_ROWS: Final = 131_072
SEGMENT_BYTES: Final = 64 << 20
MAX_KEY_CHARS: Final = 255
#: How many idempotency keys a dataset remembers, the latest ones.
REMEMBERED_KEYS: Final = 256
#: Each failed attempt means that another writer got through, so this many in a row are not to be expected.
_ATTEMPTS: Final = 1000


@frozen
class Query:
    """Which part of a frame is wanted: `columns` (selection text or names), rows for which the filters hold, sorted, a page of them.

    `filters` are (`column__op`, text) pairs as in a URL; `where` is the same for Python values.
    """

    columns: str | Sequence[str] | None = None
    filters: Sequence[tuple[str, str]] = ()
    where: Mapping[str, Any] = field(factory=dict)
    sort: str | None = None
    offset: int = 0
    limit: int | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out or moved."""
        return self == EVERYTHING


EVERYTHING = Query()


@frozen(eq=False)
class Reading:
    """A dataset that is being read: its metadata, and its content as Arrow tables (`tables`, with `schema`) or as bytes (`chunks`).

    Both are consumed once and are read from the store as they are consumed.
    """

    metadata: Metadata
    schema: pa.Schema | None = None
    tables: Iterator[pa.Table] = field(factory=lambda: iter(()))
    chunks: Iterator[bytes] = field(factory=lambda: iter(()))


@frozen
class DatasetService:
    """Put, read, list and drop the datasets of one bucket."""

    catalogue: Catalogue
    frames: FrameStore
    payloads: Payloads
    ids: Ids

    def put(
        self,
        name: str,
        content: Frame | Bytes,
        *,
        append: bool = True,
        precondition: Precondition = ALWAYS,
        idempotency_key: str | None = None,
    ) -> Metadata:
        """Store `content` as the next version of `name`: with `append`, after the rows of a frame that is there, otherwise in its place.

        Content that is not a frame has no rows to append to: it always takes the place of what was there. With an `idempotency_key` that this
        dataset remembers, nothing is written and the metadata of the version that it made is the answer.

        Raises: BadInput (illegal name; an append whose columns or types do not fit), Conflict (an append of another kind; an idempotency
        key used before for other content), PreconditionFailed. Nothing visible has changed then.
        """
        check_name(name, resource=self.catalogue.resource)
        return _Put(self, name, content, append, precondition, _hashed(idempotency_key)).run()

    def open(self, reference: Reference, query: Query = EVERYTHING) -> Reading:
        """Begin to read a version of a dataset.

        Raises: NotFound, BadInput (unknown column or operator, a query on what is not a frame); while the content is consumed, Corrupt.
        """
        version = self.catalogue.version(reference)
        kind, of = version.metadata.kind, self._title(version)
        if kind not in FRAMES:
            if reference.columns is not None or not query.is_everything:
                raise BadInput(f"{of} is {kind}: only frames have columns and rows to select")
            payload = Payload(**version.payload["content"])
            return Reading(version.metadata, chunks=self.payloads.read(payload, of=of))
        return self._open_frame(version, reference, query)

    def read_frame(self, reference: Reference) -> pa.Table:
        """A whole version of a frame, or the columns that `reference` selects.

        Raises: as `open`; BadInput when the dataset is not a frame.
        """
        reading = self.open(reference)
        if reading.schema is None:
            raise BadInput(f"dataset {reference.name!r} is {reading.metadata.kind}, not a frame")
        return pa.concat_tables(reading.tables)

    def metadata(self, reference: Reference) -> Metadata:
        """What is said about a version of a dataset; of frames also `dtypes` and `rows`.

        Raises: NotFound.
        """
        return self.catalogue.version(reference).metadata

    def list(self, pattern: str | None = None, *, offset: int = 0, limit: int = 20) -> Listing:
        """Datasets by name, as `Catalogue.list`."""
        return self.catalogue.list(pattern, offset=offset, limit=limit)

    def drop(self, name: str, *, precondition: Precondition = ALWAYS) -> None:
        """Remove a dataset with all its versions.

        Raises: NotFound, PreconditionFailed.
        """
        self.remove_payloads(self.catalogue.drop(name, precondition=precondition))

    def remove_payloads(self, payloads: Iterable[Mapping[str, Any]]) -> None:
        """Remove what these version payloads point to. What cannot be removed now is left as an orphan: nothing is lost by it."""
        contents, segments = set(), set()
        for payload in payloads:
            contents.update([payload["content"]["id"]] if "content" in payload else [])
            segments.update(s["id"] for s in payload.get("segments", ()))
        self.payloads.remove(contents)
        with suppress(StoreUnavailable):
            self.frames.remove(sorted(segments))

    def stored_schema(self, version: Version) -> pa.Schema:
        """The Arrow schema that all rows of this version are read in."""
        return decode_schema(version.payload["schema"])

    def write_segments(self, table: pa.Table) -> Iterator[Segment]:
        """Store a table as segments, at least one, giving each as it is stored."""
        rows = min(SEGMENT_ROWS, max(1, SEGMENT_BYTES * table.num_rows // max(1, table.nbytes)))
        starts = range(0, max(1, table.num_rows), rows)
        for start in starts:
            yield self.frames.write(self.ids.new(), table=table.slice(start, rows))

    def read_segments(
        self, version: Version, *, columns: Sequence[str] | None = None, where: pc.Expression | None = None,
        offset: int = 0, limit: int | None = None,
    ) -> Iterator[pa.Table]:
        """The tables of a version's segments, each in the schema of the version."""
        schema = self.stored_schema(version)
        if columns is not None:
            schema = pa.schema([schema.field(c) for c in columns], schema.metadata)
        segments = [Segment(**s) for s in version.payload["segments"]]
        try:
            for table in self.frames.read(segments, columns=columns, where=where, offset=offset, limit=limit):
                yield table if table.schema.equals(schema) else tabular.widen(table, schema)
        except (SegmentNotFound, SegmentCorrupt) as error:
            self.catalogue.version(Reference(version.metadata.name))  # dropped meanwhile: NotFound
            raise Corrupt(f"{self._title(version)} is damaged: segment {error.args[0]} is missing or changed") from error

    def _open_frame(self, version: Version, reference: Reference, query: Query) -> Reading:
        schema = self.stored_schema(version)
        where = _both(tabular.where(schema, query.filters), tabular.where_python(schema, query.where))
        columns = _columns(schema, reference.columns, query.columns)
        index = tabular.index_fields(schema)
        if query.sort is None:
            tables = self.read_segments(
                version, columns=columns and [*columns, *index], where=where, offset=query.offset, limit=query.limit
            )
        else:
            # Sorting needs every row that matches; only then is the page cut and the columns chosen.
            whole = tabular.sort(pa.concat_tables(self.read_segments(version, where=where)), query.sort)
            page = whole.slice(query.offset, query.limit)
            tables = iter([page.select([*columns, *index]) if columns else page])
        first = next(tables)
        return Reading(version.metadata, schema=first.schema, tables=chain([first], tables))

    def _title(self, version: Version) -> str:
        return f"version {version.metadata.version} of dataset {version.metadata.name!r}"


@define
class _Put:
    """One put, tried again from the start whenever another writer commits first."""

    service: DatasetService
    name: str
    content: Frame | Bytes
    append: bool
    precondition: Precondition
    key: str | None
    _stored: dict[str, Any] | None = None
    _stored_for: pa.Schema | None = None

    def run(self) -> Metadata:
        catalogue = self.service.catalogue
        try:
            for _ in range(_ATTEMPTS):
                head = catalogue.peek(self.name)
                current = catalogue.version_of(head, Reference(self.name)) if head else None
                if answered := self._answered(head, current):
                    self._discard()
                    return answered
                catalogue.check(self.name, head, self.precondition)
                draft = self._draft(current)
                with suppress(Raced):
                    return catalogue.commit(self.name, draft, base=head, precondition=self.precondition).metadata
        except OmegaError:
            # Refused before the commit. After any other error the commit may have happened: what is stored stays, at worst as orphans.
            self._discard()
            raise
        self._discard()
        raise Conflict(f"dataset {self.name!r} is being written by too many others at once")

    def _answered(self, head: Head | None, current: Version | None) -> Metadata | None:
        """What the first request with this idempotency key was answered."""
        if head is None or current is None or self.key is None:
            return None
        number = dict(current.payload.get("keys", ())).get(self.key)
        if number is None:
            return None
        first = self.service.catalogue.version_of(head, Reference(self.name, at=number))
        if first.payload["fingerprint"] != self._fingerprint():
            raise Conflict(f"this idempotency key was used before for another write to dataset {self.name!r}")
        return first.metadata

    def _draft(self, current: Version | None) -> Draft:
        payload: dict[str, Any]
        if isinstance(self.content, Bytes):
            if current and self.append and current.metadata.kind in FRAMES:
                raise self._other_kind(current)
            kind, attributes = self.content.kind, dict(self.content.attributes)
            payload = self._store_bytes(self.content)
            attributes["size_bytes"] = payload["content"]["size_bytes"]
        else:
            kind, payload = self._frame_payload(self.content, current if self.append else None)
            attributes = {
                "rows": sum(s["rows"] for s in payload["segments"]),
                "dtypes": tabular.dtypes(decode_schema(payload["schema"])),
            }
        payload = payload | {"keys": self._keys(current)}
        if self.key:
            payload["fingerprint"] = self._fingerprint()
        return Draft(kind, payload, attributes)

    def _frame_payload(self, frame: Frame, current: Version | None) -> tuple[str, dict[str, Any]]:
        if current is None:
            schema, table = frame.table.schema, frame.table
            return frame.kind, {"schema": encode_schema(schema), "segments": self._store_table(table, schema)}
        if current.metadata.kind not in FRAMES:
            raise self._other_kind(current)
        stored = self.service.stored_schema(current)
        table = tabular.conform(frame.table, self._like(current, stored))
        schema = stored
        if widened := tabular.widened(stored, table.schema):
            schema = table.schema
            # Every stored value must be exact in the wider type; what is not is refused here, before anything is written.
            for part in self.service.read_segments(current, columns=widened):
                tabular.widen(part, pa.schema([schema.field(c) for c in widened], part.schema.metadata))
        segments = [*current.payload["segments"], *self._store_table(table, schema)]
        return current.metadata.kind, {"schema": encode_schema(schema), "segments": segments}

    def _like(self, current: Version, schema: pa.Schema) -> pa.Table:
        """An example of what is stored: without rows, unless the categories, which are in the segments, are needed."""
        if not any(pa.types.is_dictionary(t) for t in schema.types):
            return tabular.empty_like(schema)
        *_, last = current.payload["segments"]
        return next(self.service.frames.read([Segment(**last)]))

    def _store_table(self, table: pa.Table, schema: pa.Schema) -> list[dict[str, Any]]:
        # A retry finds its segments stored already, unless the winner changed the schema.
        if self._stored is None or self._stored_for != schema:
            self._discard()
            self._stored_for = schema
            self._stored = {"segments": []}
            for segment in self.service.write_segments(table):
                self._stored["segments"].append(asdict(segment))
        return list(self._stored["segments"])

    def _store_bytes(self, content: Bytes) -> dict[str, Any]:
        if self._stored is None:
            self._stored = {"content": asdict(self.service.payloads.write(content.chunks))}
        return self._stored

    def _discard(self) -> None:
        if self._stored is not None:
            self.service.remove_payloads([self._stored])
            self._stored = None

    def _keys(self, current: Version | None) -> list[list[Any]]:
        keys = list(current.payload.get("keys", ())) if current else []
        if self.key:
            keys.append([self.key, current.metadata.version + 1 if current else 1])
        return keys[-REMEMBERED_KEYS:]

    def _fingerprint(self) -> str:
        if isinstance(self.content, Bytes):
            return str(self._store_bytes(self.content)["content"]["sha256"])
        digest = sha256()
        for batch in self.content.table.to_batches():
            digest.update(batch.serialize())
        return digest.hexdigest()

    def _other_kind(self, current: Version) -> Conflict:
        return Conflict(
            f"cannot append {self.content.kind} to dataset {self.name!r}, which is {current.metadata.kind}: "
            "replace it (append false), or use another name"
        )


def encode_schema(schema: pa.Schema) -> str:
    """An Arrow schema as text: its IPC message in base64."""
    return base64.b64encode(schema.serialize()).decode("ascii")


def decode_schema(text: str) -> pa.Schema:
    """The schema that `encode_schema` was given."""
    return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(text)))


def _hashed(idempotency_key: str | None) -> str | None:
    """An idempotency key as it is remembered: not its text, which is the client's own."""
    if idempotency_key is None:
        return None
    if not 1 <= len(idempotency_key) <= MAX_KEY_CHARS:
        raise BadInput(f"an idempotency key has 1 to {MAX_KEY_CHARS} characters")
    return sha256(idempotency_key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _columns(schema: pa.Schema, selector: str | None, wanted: str | Sequence[str] | None) -> list[str] | None:
    """The columns that both the reference and the query select, in the order of the query; `None` for all."""
    selected = None if selector is None else tabular.select(schema, selector)
    if wanted is None:
        return selected
    columns = tabular.select(schema, wanted) if isinstance(wanted, str) else _known(schema, wanted)
    if selected is not None and (outside := [c for c in columns if c not in selected]):
        raise BadInput(f"columns {', '.join(map(repr, outside))} are not among those selected by the name: [{selector}]")
    return columns


def _known(schema: pa.Schema, wanted: Sequence[str]) -> list[str]:
    known = tabular.columns(schema)
    if unknown := [c for c in wanted if c not in known]:
        raise BadInput(f"unknown columns {', '.join(map(repr, unknown))}: the columns are {', '.join(known[:20])}")
    return list(wanted)


def _both(one: pc.Expression | None, other: pc.Expression | None) -> pc.Expression | None:
    return other if one is None else one if other is None else one & other
