"""Keys as records: those of a store are in the store, whatever that is.

    auth-key/ID   what is known of a key, and the SHA-256 of its text
    auth          whether a key is needed

A text is `omk_ID_SECRET`. The secret is 256 random bits, so that a plain digest is as good as a slow one: it
cannot be guessed (docs/adr/0018).
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final

import attrs
from attrs import frozen

from omega.ports.keys import Key, KeyNotFound
from omega.ports.records import Record, RecordConflict, RecordNotFound, RecordStore

_SHELF: Final = "auth-key/"
_SWITCH: Final = "auth"
_SECRET_BYTES: Final = 32
_TEXT: Final = re.compile(r"omk_([0-9a-z]{26})_([A-Za-z0-9_-]{43})")
_PAGE: Final = 1000


@frozen
class RecordKeyStore:
    """A `KeyStore` in a record store."""

    records: RecordStore

    def issue(self, key: Key) -> str:
        """Keep a key, and give its text; see `KeyStore.issue`."""
        text = f"omk_{key.id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        value = attrs.asdict(
            key,
            filter=lambda attribute, _: attribute.name != "id",
            value_serializer=lambda _, __, part: part.isoformat() if isinstance(part, datetime) else part,
        )
        value |= {"rules": list(key.rules), "sha256": _digest(text)}
        self.records.write(_SHELF + key.id, value=value, expected=None)
        return text

    def find(self, text: str) -> Key | None:
        """The key with this text; see `KeyStore.find`."""
        match = _TEXT.fullmatch(text)
        if match is None:
            return None
        try:
            record = self.records.read(_SHELF + match[1])
        except RecordNotFound:
            return None
        return _key(record) if compare_digest(_digest(text), str(record.value["sha256"])) else None

    def list(self) -> Sequence[Key]:
        """All keys; see `KeyStore.list`."""
        return [_key(record) for record in self._all()]

    def remove(self, id: str) -> None:
        """Forget a key; see `KeyStore.remove`."""
        try:
            record = self.records.read(_SHELF + id)
            # A key is written once, so that nobody but another remover can have been faster.
            self.records.remove(record.key, expected=record.revision)
        except (RecordNotFound, ValueError) as error:
            raise KeyNotFound(id) from error

    def _all(self) -> Iterator[Record]:
        offset = 0
        while records := self.records.page(_SHELF, offset=offset, limit=_PAGE).records:
            yield from records
            offset += len(records)


@frozen
class RecordKeySwitch:
    """A `KeySwitch` in a record store."""

    records: RecordStore

    def is_on(self) -> bool:
        """Whether a key is needed; see `KeySwitch.is_on`."""
        try:
            return bool(self.records.read(_SWITCH).value["on"])
        except RecordNotFound:
            return False

    def turn(self, *, on: bool) -> None:
        """Say whether one is needed; see `KeySwitch.turn`."""
        while True:
            try:
                expected: str | None = self.records.read(_SWITCH).revision
            except RecordNotFound:
                expected = None
            with suppress(RecordConflict):
                self.records.write(_SWITCH, value={"on": on}, expected=expected)
                return


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _key(record: Record) -> Key:
    value: dict[str, Any] = {name: part for name, part in record.value.items() if name != "sha256"}
    expires = value["expires"]
    return Key(
        id=record.key.removeprefix(_SHELF),
        user=value["user"],
        created=datetime.fromisoformat(value["created"]),
        rules=tuple(value["rules"]),
        bucket=value["bucket"],
        expires=expires and datetime.fromisoformat(expires),
    )
