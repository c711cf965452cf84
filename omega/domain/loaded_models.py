"""Models from their payloads. What is loaded must carry our signature for just its version (docs/adr/0020),
and what was loaded stays for others to use.
"""

from typing import Any

from attrs import frozen

from omega.domain.catalogue import Catalogue, Version
from omega.domain.errors import Corrupt, NotFound
from omega.domain.names import Reference
from omega.domain.payloads import Payload, Payloads
from omega.domain.seals import check_seal
from omega.ports.cache import Cache
from omega.ports.models import CorruptModel, ModelCodec
from omega.ports.signer import Signer


@frozen
class LoadedModels:
    """The models of a catalogue. All methods raise NotFound for what was removed meanwhile, and Corrupt for
    what cannot be loaded or is not signed.
    """

    catalogue: Catalogue
    payloads: Payloads
    codec: ModelCodec
    signer: Signer
    cache: Cache

    def fresh(self, version: Version) -> Any:
        """The model of a version, the caller's own to change."""
        check_seal(self.signer, version)
        return self._unpickled(version)

    def opened(self, reference: Reference) -> tuple[Version, Any]:
        """A version and its model, as `shared`. Of the last version, which is the one asked for most, the
        head alone is read once the rest, which was checked then, is in the cache.
        """
        head = self.catalogue.head(reference.name)
        is_last = not reference.back and reference.at in (None, head.version)
        kept: tuple[Version, Any] | None = self.cache.get(head.tip) if is_last else None
        if kept is not None and _is_at(kept[0], self.catalogue.bucket, reference.name, head.version):
            return kept
        version = self.catalogue.version_of(head, reference)
        if is_last and kept is None:
            check_seal(self.signer, version)
            return version, self._kept(version)
        return version, self.shared(version)

    def shared(self, version: Version) -> Any:
        """The model of a version, shared with other callers: not to be changed."""
        # Also of a model that is loaded: what was read anew is checked anew.
        check_seal(self.signer, version)
        kept: tuple[Version, Any] | None = self.cache.get(version.tip)
        # A tip belongs to one version for good, unless somebody bends it: a signature is of one place.
        if kept is not None and kept[0].payload["signature"] == version.payload["signature"]:
            return kept[1]
        return self._kept(version)

    def _kept(self, version: Version) -> Any:
        """The model of a version whose signature was checked, from now on in the cache."""
        model = self._unpickled(version)
        self.cache.put(version.tip, (version, model), size_bytes=version.payload["content"]["size_bytes"])
        return model

    def _unpickled(self, version: Version) -> Any:
        """The model of a version whose signature was checked."""
        of = f"version {version.metadata.version} of model {version.metadata.name!r}"
        try:
            content = b"".join(self.payloads.read(Payload(**version.payload["content"]), of=of))
        except Corrupt as error:
            if self.catalogue.is_gone(version):
                raise NotFound(f"model {version.metadata.name!r} was removed while it was read") from error
            raise
        try:
            return self.codec.load(content)
        except CorruptModel as error:
            raise Corrupt(f"{of} is damaged: it cannot be loaded") from error


def _is_at(version: Version, bucket: str, name: str, number: int) -> bool:
    """Whether this, which was checked, is the version that is asked for: a name may have been bent."""
    about = version.metadata
    return (about.bucket, about.name, about.version) == (bucket, name, number)
