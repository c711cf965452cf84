"""Checksums of what is stored, as text: `xxh3:HEX` (XXH3 of 128 bits, https://xxhash.com) of the segments of
frames, `sha256:HEX` of all else, and of segments that earlier versions wrote (docs/adr/0023).
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import xxhash
from attrs import frozen


class Digest(Protocol):
    """A checksum in the making."""

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""

    def hexdigest(self) -> str:
        """The checksum of all bytes so far."""


_KINDS: Final[Mapping[str, Callable[[], Digest]]] = {"xxh3": xxhash.xxh3_128, "sha256": hashlib.sha256}


@frozen
class Place:
    """Where something is stored (`id`), and what must be found there: so many bytes of this checksum."""

    id: str
    size_bytes: int
    checksum: str

    @classmethod
    def of(cls, pointer: Mapping[str, Any]) -> "Place":
        """The place that a record points to.

        Raises: KeyError for what is no pointer, ValueError for a checksum of an unknown kind.
        """
        place = cls(pointer["id"], pointer["size_bytes"], checksum_in(pointer))
        place.digest()
        return place

    def digest(self) -> Digest:
        """A digest of the kind of this checksum, that has seen nothing yet."""
        kind = self.checksum.partition(":")[0]
        if kind not in _KINDS:
            raise ValueError(f"unknown kind of checksum {kind[:20]!r}")
        return _KINDS[kind]()

    def is_that_of(self, digest: Digest) -> bool:
        """Whether what a `digest` of this kind has seen is what was written."""
        return digest.hexdigest() == self.checksum.partition(":")[2]


def checksum_in(pointer: Mapping[str, Any]) -> str:
    """The checksum in a pointer of a record: under `checksum`, or the hex of a SHA-256 under `sha256`.

    Raises: KeyError.
    """
    found = pointer.get("checksum")
    return f"sha256:{pointer['sha256']}" if found is None else str(found)


def is_pointer(value: Mapping[str, Any]) -> bool:
    """Whether this looks like a pointer to something stored."""
    return {"id", "size_bytes"} <= value.keys() and ("sha256" in value or "checksum" in value)
