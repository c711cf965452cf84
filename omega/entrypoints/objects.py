"""What can be done with the objects of every resource, in Python."""

from typing import TYPE_CHECKING, Final, Protocol

from attrs import field, frozen

from omega.domain.errors import BadInput
from omega.domain.metadata import ALWAYS, Listing, Metadata, Precondition
from omega.domain.names import Reference, version_number

_PAGE: Final = 1000


class _Listed(Protocol):
    """What tells of the objects of a resource."""

    def metadata(self, reference: Reference) -> Metadata: ...
    def list(self, pattern: str | None = None, *, offset: int = 0, limit: int = 20) -> Listing: ...


class _Service(Protocol):
    """What the services of all resources have."""

    def drop(self, name: str, *, precondition: Precondition = ALWAYS) -> None: ...


@frozen
class Objects:
    """What can be done with the objects of every resource."""

    _listed: _Listed = field(alias="listed", repr=False)
    resource: str

    if TYPE_CHECKING:
        # Each resource has its own: an attribute, or made at first use.
        @property
        def _service(self) -> _Service: ...

    def metadata(self, name: str, *, version: int | None = None) -> Metadata:
        """Kind, version, times and what else is known about an object.

        Raises: NotFound.
        """
        return self._listed.metadata(reference(name, self.resource, version))

    def list(self, pattern: str | None = None) -> list[str]:
        """All names that match a shell pattern, in order.

        Names that start with `.` or `_` are listed only by a pattern that does too.
        """
        names: list[str] = []
        offset, total = 0, 1
        while offset < total:
            page = self._listed.list(pattern, offset=offset, limit=_PAGE)
            names += [item.name for item in page.items]
            offset, total = offset + _PAGE, page.total
        return names

    def page(self, pattern: str | None = None, *, offset: int = 0, limit: int = 20) -> Listing:
        """One page of the list, with metadata and the total."""
        return self._listed.list(pattern, offset=offset, limit=limit)

    def drop(self, name: str, *, precondition: Precondition = ALWAYS) -> None:
        """Remove exactly this object, with all its versions.

        Raises: NotFound, PreconditionFailed.
        """
        self._service.drop(name, precondition=precondition)


def reference(text: str, resource: str, version: int | None) -> Reference:
    """The object that `text` names, at `version` where one is given.

    Raises: BadInput.
    """
    if not isinstance(text, str):
        raise BadInput(f"a {resource} is named by text, not by {type(text).__name__}")
    found = Reference.parse(text, resource=resource)
    if version is None:
        return found
    if found.at is not None or found.back:
        raise BadInput(f"{text!r} names a version already, and version={version} names another")
    return Reference(found.name, at=version_number(str(version)), columns=found.columns)
