"""One write to a dataset, from the decision what is to be stored to the commit."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

import pyarrow as pa
from attrs import asdict, define, field

from omega.domain import tabular
from omega.domain.catalogue import Catalogue, Draft, Head, Raced, Version
from omega.domain.contents import FRAMES, Bytes, Frame
from omega.domain.errors import BadInput, Conflict, Corrupt, NotFound, OmegaError
from omega.domain.metadata import Metadata, Precondition
from omega.domain.names import Reference
from omega.domain.payloads import Payloads
from omega.domain.pointers import payload_ids
from omega.domain.segments import Segments
from omega.ports.records import StoreFull

MAX_KEY_CHARS: Final = 255
#: How many idempotency keys a dataset remembers, the latest ones.
REMEMBERED_KEYS: Final = 256
#: Each failed attempt means that another writer got through, so this many in a row are not to be expected.
_ATTEMPTS: Final = 1000
_FINGERPRINT_ROWS: Final = 1024


@define
class Put:
    """One put, tried again from the start whenever another writer commits first."""

    catalogue: Catalogue
    segments: Segments
    payloads: Payloads
    name: str
    content: Frame | Bytes
    append: bool
    precondition: Precondition
    key: str | None
    _bytes: dict[str, Any] | None = field(default=None, init=False)
    _rows: list[dict[str, Any]] | None = field(default=None, init=False)
    _rows_for: pa.Schema | None = field(default=None, init=False)
    #: Everything stored for this put, so that what is not committed can be removed.
    _stored: list[dict[str, Any]] = field(factory=list, init=False)

    def run(self) -> Metadata:
        """Put, and say what was made.

        Raises: BadInput, Conflict, PreconditionFailed; nothing visible has changed then.
        """
        for _ in range(_ATTEMPTS):
            current = None
            try:
                head = self.catalogue.peek(self.name)
                current = self.catalogue.version_of(head, Reference(self.name)) if head else None
                if answered := self._answered(head, current):
                    self._discard()
                    return answered
                self.catalogue.check(self.name, head, self.precondition)
                draft = self._draft(current)
            except NotFound:
                continue  # dropped since its head was read
            except BaseException as error:
                if isinstance(error, Corrupt) and current and self.catalogue.is_gone(current):
                    continue
                self._discard()
                raise
            try:
                committed = self.catalogue.commit(self.name, draft, base=head, precondition=self.precondition)
            except Raced:
                continue
            except (OmegaError, StoreFull, ValueError):
                # After any other error the commit may have happened: what is stored stays, at worst as
                # orphans.
                self._discard()
                raise
            self._discard(but=draft.payload)
            return committed.metadata
        self._discard()
        raise Conflict(f"dataset {self.name!r} is being written by too many others at once")

    def _answered(self, head: Head | None, current: Version | None) -> Metadata | None:
        """What the first request with this idempotency key was answered."""
        if head is None or current is None or self.key is None:
            return None
        number = dict(current.payload.get("keys", ())).get(self.key)
        if number is None:
            return None
        first = self.catalogue.version_of(head, Reference(self.name, at=number))
        if first.payload["fingerprint"] != self._fingerprint():
            raise Conflict(f"this idempotency key was used before for another write to dataset {self.name!r}")
        return first.metadata

    def _draft(self, current: Version | None) -> Draft:
        if isinstance(self.content, Bytes):
            if current and self.append and current.metadata.kind in FRAMES:
                raise self._other_kind(current)
            kind, payload = self.content.kind, self._store_bytes(self.content)
            size_bytes = payload["content"]["size_bytes"]
            attributes = {**self.content.attributes, "size_bytes": size_bytes}
        else:
            kind, schema, payload = self._frame_payload(self.content, current if self.append else None)
            rows = sum(s["rows"] for s in payload["segments"])
            attributes = {"rows": rows, "dtypes": tabular.dtypes(schema)}
        payload = payload | {"keys": self._keys(current)}
        if self.key:
            payload["fingerprint"] = self._fingerprint()
        return Draft(kind, payload, attributes)

    def _frame_payload(self, frame: Frame, current: Version | None) -> tuple[str, pa.Schema, dict[str, Any]]:
        if current is None:
            schema = frame.table.schema
            payload = {"schema": self._store_schema(schema), "segments": []}
            return frame.kind, schema, self._with_rows(payload, frame.table, schema, earlier={})
        if current.metadata.kind not in FRAMES:
            raise self._other_kind(current)
        of = f"dataset {self.name!r}"
        schema, stored = self.segments.schema(current.payload, of=of), current.payload["schema"]
        table = tabular.conform(frame.table, self.segments.example(current.payload, of=of))
        if widened := tabular.widened(schema, table.schema):
            schema = table.schema
            # Every stored value must be exact in the wider type; what is not is refused here, before anything
            # is written.
            for part in self.segments.read(current.payload, of=of, columns=widened):
                tabular.widen(part, pa.schema([schema.field(c) for c in widened], part.schema.metadata))
            stored = self._store_schema(schema)
        payload = {"schema": stored, "segments": current.payload["segments"]}
        payload = self._with_rows(payload, table, schema, earlier=current.payload)
        return current.metadata.kind, schema, payload

    def _with_rows(
        self,
        payload: Mapping[str, Any],
        table: pa.Table,
        schema: pa.Schema,
        *,
        earlier: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The payload with the rows of `table` after its own."""
        of = f"dataset {self.name!r}"
        before, whole = self.segments.joined(payload, table, of=of)
        added = self._store_rows(whole, schema) if whole is table else self._store_segments(whole)
        found = self.segments.bounded(
            {**payload, "segments": [*before, *added]}, whole, earlier=earlier, of=of
        )
        known = earlier.get("bounds", ())
        self._stored.append({"bounds": [part for part in found.get("bounds", ()) if part not in known]})
        return found

    def _store_schema(self, schema: pa.Schema) -> Any:
        stored = self.segments.store_schema(schema)
        self._stored.append({"schema": stored})
        return stored

    def _store_rows(self, table: pa.Table, schema: pa.Schema) -> list[dict[str, Any]]:
        # A retry finds its segments stored already, unless the winner changed the schema.
        if (
            self._rows is None
            or self._rows_for is None
            or not self._rows_for.equals(schema, check_metadata=True)
        ):
            self._rows, self._rows_for = self._store_segments(table), schema
        return self._rows

    def _store_segments(self, table: pa.Table) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        self._stored.append({"segments": rows})
        for segment in self.segments.write(table):
            rows.append(asdict(segment))
        return rows

    def _store_bytes(self, content: Bytes) -> dict[str, Any]:
        if self._bytes is None:
            self._bytes = {"content": asdict(self.payloads.write(content.chunks))}
            self._stored.append(self._bytes)
        return self._bytes

    def _discard(self, *, but: Mapping[str, Any] | None = None) -> None:
        """Remove what was stored and is in no version: all of it, or what the committed payload `but` does
        not name.
        """
        kept = payload_ids([but] if but else [])
        found = payload_ids(self._stored)
        self._stored = []
        self.payloads.remove(found.contents - kept.contents)
        self.segments.remove(found.segments - kept.segments)

    def _keys(self, current: Version | None) -> list[list[Any]]:
        keys = list(current.payload.get("keys", ())) if current else []
        if self.key:
            keys.append([self.key, current.metadata.version + 1 if current else 1])
        return keys[-REMEMBERED_KEYS:]

    def _fingerprint(self) -> str:
        """What tells this write from another: its mode, kind, schema and content."""
        digest = sha256(f"{self.append} {self.content.kind} ".encode())
        if isinstance(self.content, Bytes):
            digest.update(self._store_bytes(self.content)["content"]["sha256"].encode())
        else:
            table = self.content.table
            digest.update(table.schema.serialize())
            # In slices of a fixed length: the digest does not depend on how the table came in pieces, and
            # little is copied.
            for start in range(0, table.num_rows, _FINGERPRINT_ROWS):
                for batch in table.slice(start, _FINGERPRINT_ROWS).combine_chunks().to_batches():
                    digest.update(batch.serialize())
        return digest.hexdigest()

    def _other_kind(self, current: Version) -> Conflict:
        return Conflict(
            f"cannot append {self.content.kind} to dataset {self.name!r}, which is {current.metadata.kind}: "
            "replace it (append false), or use another name"
        )


def hashed_key(idempotency_key: str | None) -> str | None:
    """An idempotency key as it is remembered: not its text, which is the client's own."""
    if idempotency_key is None:
        return None
    if not 1 <= len(idempotency_key) <= MAX_KEY_CHARS:
        raise BadInput(f"an idempotency key has 1 to {MAX_KEY_CHARS} characters")
    return sha256(idempotency_key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
