"""One write to a dataset, from the decision what is to be stored to the commit."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final

import pyarrow as pa
from attrs import asdict, define

from omega.domain import tabular
from omega.domain.catalogue import Catalogue, Draft, Head, Raced, Version
from omega.domain.contents import FRAMES, Bytes, Frame
from omega.domain.errors import BadInput, Conflict, OmegaError
from omega.domain.metadata import Metadata, Precondition
from omega.domain.names import Reference
from omega.domain.payloads import Payloads
from omega.domain.segments import Segments, decode_schema, encode_schema

MAX_KEY_CHARS: Final = 255
#: How many idempotency keys a dataset remembers, the latest ones.
REMEMBERED_KEYS: Final = 256
#: Each failed attempt means that another writer got through, so this many in a row are not to be expected.
_ATTEMPTS: Final = 1000


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
    _stored: dict[str, Any] | None = None
    _stored_for: pa.Schema | None = None

    def run(self) -> Metadata:
        """Put, and say what was made.

        Raises: BadInput, Conflict, PreconditionFailed; nothing visible has changed then.
        """
        catalogue = self.catalogue
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
                    return catalogue.commit(
                        self.name, draft, base=head, precondition=self.precondition
                    ).metadata
        except OmegaError:
            # Refused before the commit. After any other error the commit may have happened: what is stored
            # stays, at worst as orphans.
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
        first = self.catalogue.version_of(head, Reference(self.name, at=number))
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
        stored, of = decode_schema(current.payload["schema"]), f"dataset {self.name!r}"
        table = tabular.conform(frame.table, self.segments.example(current.payload, of=of))
        schema = stored
        if widened := tabular.widened(stored, table.schema):
            schema = table.schema
            # Every stored value must be exact in the wider type; what is not is refused here, before anything
            # is written.
            for part in self.segments.read(current.payload, of=of, columns=widened):
                tabular.widen(part, pa.schema([schema.field(c) for c in widened], part.schema.metadata))
        segments = [*current.payload["segments"], *self._store_table(table, schema)]
        return current.metadata.kind, {"schema": encode_schema(schema), "segments": segments}

    def _store_table(self, table: pa.Table, schema: pa.Schema) -> list[dict[str, Any]]:
        # A retry finds its segments stored already, unless the winner changed the schema.
        if self._stored is None or self._stored_for != schema:
            self._discard()
            self._stored_for = schema
            self._stored = {"segments": []}
            for segment in self.segments.write(table):
                self._stored["segments"].append(asdict(segment))
        return list(self._stored["segments"])

    def _store_bytes(self, content: Bytes) -> dict[str, Any]:
        if self._stored is None:
            self._stored = {"content": asdict(self.payloads.write(content.chunks))}
        return self._stored

    def _discard(self) -> None:
        if self._stored is not None:
            remove_payloads([self._stored], segments=self.segments, payloads=self.payloads)
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


def remove_payloads(found: Iterable[Mapping[str, Any]], *, segments: Segments, payloads: Payloads) -> None:
    """Remove the segments and contents that these version payloads point to."""
    contents: set[str] = set()
    parts: set[str] = set()
    for payload in found:
        contents.update([payload["content"]["id"]] if "content" in payload else [])
        parts.update(s["id"] for s in payload.get("segments", ()))
    payloads.remove(contents)
    segments.remove(parts)


def hashed_key(idempotency_key: str | None) -> str | None:
    """An idempotency key as it is remembered: not its text, which is the client's own."""
    if idempotency_key is None:
        return None
    if not 1 <= len(idempotency_key) <= MAX_KEY_CHARS:
        raise BadInput(f"an idempotency key has 1 to {MAX_KEY_CHARS} characters")
    return sha256(idempotency_key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
