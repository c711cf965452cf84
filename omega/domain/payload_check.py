"""Whether payloads are what was written."""

from collections.abc import Callable
from hashlib import sha256

from attrs import frozen

from omega.domain.payloads import Payload
from omega.ports.blobs import BlobDamaged, BlobNotFound, BlobStore


@frozen
class PayloadCheck:
    """Reads payloads, a chunk at a time, and says what is wrong with them; `read` is told of each chunk."""

    blobs: BlobStore
    read: Callable[[int], None]

    def fault(self, payload: Payload) -> str | None:
        """What is wrong with a payload, in words that follow its id; `None` if nothing is."""
        digest, size = sha256(), 0
        try:
            for chunk in self.blobs.read(payload.id):
                digest.update(chunk)
                size += len(chunk)
                self.read(len(chunk))
        except BlobNotFound:
            return "is missing"
        except BlobDamaged:
            return "is damaged: parts of it are missing"
        except ValueError:
            return "has an id that is none"
        if size != payload.size_bytes:
            return f"has {size} bytes, and not the {payload.size_bytes} that were written"
        if digest.hexdigest() != payload.sha256:
            return "is not what was written: its checksum differs"
        return None
