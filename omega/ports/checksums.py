"""The kinds of checksums that stores keep (docs/adr/0023): domain and adapters make the same ones."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import xxhash


class Digest(Protocol):
    """A checksum in the making."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take in more bytes."""

    def hexdigest(self) -> str:
        """The checksum of all bytes so far."""


#: XXH3 of 128 bits (https://xxhash.com) tells damage and is as fast as memory; SHA-256 tells forgery too.
KINDS: Final[Mapping[str, Callable[[], Digest]]] = {"xxh3": xxhash.xxh3_128, "sha256": hashlib.sha256}
