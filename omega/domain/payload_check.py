"""Whether payloads are what was written."""

from collections.abc import Callable

from attrs import frozen

from omega.domain.checksums import Place
from omega.ports.blobs import BlobDamaged, BlobNotFound, BlobStore


@frozen
class PayloadCheck:
    """Reads payloads, a chunk at a time, and says what is wrong with them; `read` is told of each chunk."""

    blobs: BlobStore
    read: Callable[[int], None]

    def fault(self, place: Place) -> str | None:
        """What is wrong with a payload, in words that follow its id; `None` if nothing is."""
        digest, size = place.digest(), 0
        try:
            for chunk in self.blobs.read(place.id):
                digest.update(chunk)
                size += len(chunk)
                self.read(len(chunk))
        except BlobNotFound:
            return "is missing"
        except BlobDamaged:
            return "is damaged: parts of it are missing"
        except ValueError:
            return "has an id that is none"
        if size != place.size_bytes:
            return f"has {size} bytes, and not the {place.size_bytes} that were written"
        if not place.is_that_of(digest):
            return "is not what was written: its checksum differs"
        return None
