"""Documents: objects whose content is one payload, put and got whole."""

from contextlib import suppress
from typing import Any, Final

from attrs import asdict, field, frozen

from omega.domain.access import LIST
from omega.domain.catalogue import Catalogue, Draft, Head, Raced, Version
from omega.domain.errors import Conflict, Corrupt, NotFound, OmegaError
from omega.domain.metadata import ALWAYS, JSONObject, Listing, Metadata, Precondition
from omega.domain.names import Reference
from omega.domain.payloads import Payload, Payloads
from omega.ports.records import StoreFull

_ATTEMPTS: Final = 100


@frozen
class Document:
    """A document as it was stored."""

    version: Version
    content: bytes = field(repr=False)

    @property
    def metadata(self) -> Metadata:
        """What is said about it."""
        return self.version.metadata


@frozen
class Documents:
    """The documents of one kind in one bucket. `action` is the right that a call takes, where it may be
    another than that which its name says.
    """

    catalogue: Catalogue
    payloads: Payloads
    kind: str

    def put(
        self,
        name: str,
        content: bytes,
        *,
        attributes: JSONObject | None = None,
        precondition: Precondition = ALWAYS,
    ) -> Metadata:
        """Store `content` as the next version of `name`.

        Raises: PreconditionFailed; Conflict, when too many others do the same.
        """
        allowed = self.catalogue.allow("put", name)
        base = allowed.peek(name)
        allowed.check(name, base, precondition)
        payload = self.payloads.write([content])
        draft = Draft(self.kind, {"content": asdict(payload)}, attributes or {})
        for _ in range(_ATTEMPTS):
            with suppress(Raced):
                return self._commit(allowed, name, draft, base, precondition)
            base = allowed.peek(name)
        self._discard(draft)
        raise Conflict(f"{self.catalogue.resource} {name!r} is being changed by too many others at once")

    def get(self, reference: Reference, *, action: str = "get") -> Document:
        """A version of a document.

        Raises: NotFound, Corrupt.
        """
        allowed = self.catalogue.allow(action, reference.name)
        version = allowed.version(reference)
        of = f"version {version.metadata.version} of {self.catalogue.resource} {reference.name!r}"
        try:
            content = b"".join(self.payloads.read(Payload(**version.payload["content"]), of=of))
        except Corrupt as error:
            if allowed.is_gone(version):
                raise NotFound(
                    f"{self.catalogue.resource} {reference.name!r} was removed while it was read"
                ) from error
            raise
        return Document(version, content)

    def metadata(self, reference: Reference, *, action: str = "get") -> Metadata:
        """What is said about a version of a document.

        Raises: NotFound.
        """
        return self.catalogue.allow(action, reference.name).version(reference).metadata

    def list(self, pattern: str | None = None, *, offset: int = 0, limit: int = 20) -> Listing:
        """Documents by name, as `Catalogue.list`."""
        return self.catalogue.allow(LIST).list(pattern, offset=offset, limit=limit)

    def drop(self, name: str, *, precondition: Precondition = ALWAYS) -> None:
        """Remove a document with all its versions.

        Raises: NotFound, PreconditionFailed.
        """
        dropped = self.catalogue.allow("delete", name).drop(name, precondition=precondition)
        self.payloads.remove({payload["content"]["id"] for payload in dropped})

    def _commit(
        self, allowed: Catalogue, name: str, draft: Draft, base: Head | None, precondition: Precondition
    ) -> Metadata:
        try:
            return allowed.commit(name, draft, base=base, precondition=precondition).metadata
        except (OmegaError, StoreFull, ValueError):
            # After any other error the commit may have happened: the content stays, at worst as an orphan.
            self._discard(draft)
            raise

    def _discard(self, draft: Draft) -> None:
        content: Any = draft.payload["content"]
        self.payloads.remove([content["id"]])
