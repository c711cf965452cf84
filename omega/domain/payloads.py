"""Byte payloads with what must be found in them again: written under a fresh id, checked whenever they are
read.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import sha256

from attrs import frozen

from omega.domain.errors import Corrupt
from omega.ports.blobs import BlobDamaged, BlobNotFound, BlobStore
from omega.ports.ids import Ids
from omega.ports.records import StoreFull, StoreUnavailable


@frozen
class Payload:
    """Where a payload is (`id`), its size in bytes and its SHA-256 in hex."""

    id: str
    size_bytes: int
    sha256: str


@frozen
class Payloads:
    """Payloads in a blob store."""

    blobs: BlobStore
    ids: Ids

    def write(self, chunks: Iterable[bytes | memoryview]) -> Payload:
        """Store the joined chunks under a fresh id."""
        digest = sha256()

        def digested() -> Iterator[bytes | memoryview]:
            for chunk in chunks:
                digest.update(chunk)
                yield chunk

        id = self.ids.new()
        size = self.blobs.write(id, chunks=digested())
        return Payload(id, size, digest.hexdigest())

    def read(self, payload: Payload, *, of: str) -> Iterator[bytes]:
        """The payload's chunks, in order; `of` names the object in errors.

        Raises: Corrupt, at the call when the payload is missing, instead of the last chunk when its bytes are
        not those that were written: what was read before the end is not to be trusted until the end is
        reached.
        """
        try:
            chunks = self.blobs.read(payload.id)
        except BlobNotFound as error:
            raise Corrupt(f"{of} is damaged: its content ({payload.id}) is missing") from error
        except BlobDamaged as error:
            raise Corrupt(f"{of} is damaged: parts of its content ({payload.id}) are missing") from error
        return _checked(chunks, payload, of)

    def remove(self, ids: Iterable[str]) -> None:
        """Remove payloads that nothing points to any more. When the store is out of reach the rest is left as
        orphans: nothing is lost by it, and nobody waits for each.
        """
        with suppress(StoreUnavailable, StoreFull):
            for id in ids:
                self.blobs.remove(id)


def _checked(chunks: Iterator[bytes], payload: Payload, of: str) -> Iterator[bytes]:
    digest, held = sha256(), b""
    for chunk in chunks:
        digest.update(chunk)
        if held:
            yield held
        held = chunk
    if digest.hexdigest() != payload.sha256:
        raise Corrupt(f"{of} is damaged: its content ({payload.id}) is not what was written")
    if held:
        yield held
