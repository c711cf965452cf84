"""Checksums of what is stored, as text: `xxh3:HEX` (XXH3 of 128 bits, https://xxhash.com) of the segments of
frames, `sha256:HEX` of all else, and of segments that earlier versions wrote (docs/adr/0023).
"""

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from omega.ports.checksums import KINDS, Digest


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
        if kind not in KINDS:
            raise ValueError(f"unknown kind of checksum {kind[:20]!r}")
        return KINDS[kind]()

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
