"""What is said about an object, apart from its content."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from attrs import field, frozen

JSONObject = Mapping[str, Any]


@frozen
class Metadata:
    """An object at one version. `created` is when its first version was written, `modified` when this one
    was, both in UTC.

    `attributes` depend on the kind: `rows` of a frame, `features` of a fitted model.
    """

    name: str
    resource: str
    bucket: str
    kind: str
    version: int
    created: datetime
    modified: datetime
    attributes: JSONObject = field(factory=dict)


@frozen
class Listing:
    """One page of a list, and how long the whole list is."""

    items: Sequence[Metadata]
    total: int


@frozen
class Precondition:
    """At which versions a write may happen (RFC 9110, section 13.1: If-Match and If-None-Match). `"*"` is any
    existing version.
    """

    match: frozenset[int] | Literal["*"] | None = None
    none_match: frozenset[int] | Literal["*"] | None = None

    def holds(self, version: int | None) -> bool:
        """Whether an object at `version` (`None`: there is no object) may be written."""
        return (self.match is None or _covers(self.match, version)) and not (
            self.none_match is not None and _covers(self.none_match, version)
        )


def _covers(versions: frozenset[int] | Literal["*"], version: int | None) -> bool:
    return version is not None and (versions == "*" or version in versions)


ALWAYS = Precondition()
