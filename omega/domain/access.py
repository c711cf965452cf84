"""What a caller may do: the one place that decides.

A *right* is an action on an object, `resource/name/action`; a list has no name. Whoever reaches for an object
names the right that this takes and has it granted by a `Gate`: the gate opens for that one name, and stays
shut for all others. See docs/adr/0017.
"""

from collections.abc import Iterable
from typing import Final, Protocol

from attrs import frozen

from omega.domain.errors import Forbidden
from omega.domain.names import JOB, NOTEBOOK_SUFFIX

LIST: Final = "list"


@frozen
class Right:
    """An action on an object of a resource; `name` is without version and columns, and empty for a list."""

    resource: str
    name: str
    action: str

    def __str__(self) -> str:
        return f"{self.resource}/{self.name}/{self.action}"

    @property
    def spellings(self) -> tuple[str, ...]:
        """The names that the object goes by: a job has one with `.ipynb` and one without."""
        if self.resource != JOB or not self.name:
            return (self.name,)
        stem = self.name.removesuffix(NOTEBOOK_SUFFIX)
        return (stem, stem + NOTEBOOK_SUFFIX)


class Access(Protocol):
    """What a caller may do."""

    def allows(self, right: Right, *, bucket: str) -> bool:
        """Whether the caller has a right in a bucket."""

    @property
    def is_everything(self) -> bool:
        """Whether it is known that nothing is refused."""


@frozen
class _Everything:
    """The rights of the store's owner: whoever works on the store directly, and whom nothing restricts."""

    is_everything: bool = True

    def allows(self, right: Right, *, bucket: str) -> bool:
        return True


@frozen
class _Nothing:
    """The rights of nobody."""

    is_everything: bool = False

    def allows(self, right: Right, *, bucket: str) -> bool:
        return False


OWNER: Final[Access] = _Everything()
NOBODY: Final[Access] = _Nothing()


@frozen
class Only:
    """These rights in one bucket, and no others: what a task needs that was left to a worker."""

    bucket: str
    rights: frozenset[Right]
    is_everything: bool = False

    def allows(self, right: Right, *, bucket: str) -> bool:
        """Whether it is one of them."""
        return bucket == self.bucket and right in self.rights


@frozen
class Within:
    """Everything, in one bucket."""

    bucket: str
    is_everything: bool = False

    def allows(self, right: Right, *, bucket: str) -> bool:
        """Whether it is in that bucket."""
        return bucket == self.bucket


@frozen
class All:
    """What each of several allows."""

    parts: tuple[Access, ...]

    @classmethod
    def of(cls, parts: Iterable[Access]) -> Access:
        """What each of `parts` allows; without any, everything."""
        restricting = tuple(part for part in parts if not part.is_everything)
        return cls(restricting) if restricting else OWNER

    @property
    def is_everything(self) -> bool:
        """Whether each allows everything."""
        return all(part.is_everything for part in self.parts)

    def allows(self, right: Right, *, bucket: str) -> bool:
        """Whether each allows it."""
        return all(part.allows(right, bucket=bucket) for part in self.parts)


def demand(access: Access, right: Right, *, bucket: str) -> None:
    """Nothing, if the caller has the right.

    Raises: Forbidden, in words that do not depend on what is stored.
    """
    if not access.allows(right, bucket=bucket):
        raise Forbidden(f"{_shown(right)} in bucket {bucket!r} is not allowed by the access rules or the key")


def _shown(right: Right) -> str:
    if not right.name:
        return f"action {right.action!r} on resource {right.resource!r}"
    return f"action {right.action!r} on {right.resource} {right.name!r}"


@frozen
class Gate:
    """Stands before the objects of one resource in one bucket, for one caller.

    The store's owner passes. For everybody else it is shut until `opened` for a right, and then lets through
    to that right's object alone; so that whoever forgets to name an action reaches nothing.
    """

    resource: str
    bucket: str
    access: Access = OWNER
    granted: Right | None = None

    def opened(self, action: str, name: str = "") -> "Gate":
        """The gate, open for `action` on `name`.

        Raises: Forbidden.
        """
        if self.access.is_everything:
            return self
        right = Right(self.resource, name, action)
        demand(self.access, right, bucket=self.bucket)
        return Gate(self.resource, self.bucket, self.access, right)

    def check(self, name: str, *, listed: bool = False) -> None:
        """Nothing, if the gate is open for what is called `name`; or, with `listed`, for a list that shows
        it.

        Raises: Forbidden.
        """
        granted = self.granted
        if self.access.is_everything or (granted is not None and name in granted.spellings):
            return
        if not (listed and granted is not None and granted.action == LIST):
            raise Forbidden(
                f"no right to {self.resource} {name!r} in bucket {self.bucket!r} has been asked for"
            )

    def check_listing(self) -> None:
        """Nothing, if the gate is open for a list.

        Raises: Forbidden.
        """
        if not (self.access.is_everything or (self.granted and self.granted.action == LIST)):
            raise Forbidden(f"no right to a list of {self.resource}s has been asked for")
