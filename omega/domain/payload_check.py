"""Whether payloads are what was written."""

from collections.abc import Callable
from hashlib import sha256

from attrs import frozen

from omega.domain.payloads import Payload
from omega.ports.blobs import BlobDamaged, BlobNotFound, BlobStore
from omega.ports.records import Record
from omega.ports.signer import Signer


@frozen
class PayloadCheck:
    """Reads payloads, a chunk at a time, and says what is wrong with them."""

    blobs: BlobStore
    signer: Signer | None
    read: Callable[[int], None]

    def fault(self, payload: Payload, *, of: Record) -> str | None:
        """What is wrong with a payload of this record, in words that follow its id; `None` if nothing is.

        Only where bytes are signed (models) are they held in memory all at once.
        """
        signature = self._signature(of, payload)
        digest, size, kept = sha256(), 0, []
        try:
            for chunk in self.blobs.read(payload.id):
                digest.update(chunk)
                size += len(chunk)
                self.read(len(chunk))
                if signature is not None:
                    kept.append(chunk)
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
        if signature is not None and not self._is_signed(kept, signature):
            return "is not signed by this installation: it is not loaded here"
        return None

    def _signature(self, record: Record, payload: Payload) -> str | None:
        stored = record.value.get("payload")
        if self.signer is None or not isinstance(stored, dict) or "signature" not in stored:
            return None
        return str(stored["signature"]) if stored["content"]["id"] == payload.id else None

    def _is_signed(self, chunks: list[bytes], signature: str) -> bool:
        return self.signer is None or self.signer.verify(b"".join(chunks), signature=signature)
