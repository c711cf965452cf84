"""What the payload of a version points to, whatever it is a version of; nothing that reads contents is needed
for it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import frozen


@frozen
class PayloadIds:
    """The ids that version payloads point to: of contents, and of segments."""

    contents: frozenset[str]
    segments: frozenset[str]


def payloads_in(payload: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The places of all that a version's payload points to: each with `id`, `size_bytes` and a checksum."""
    for part in (payload.get("content"), payload.get("schema")):
        if isinstance(part, Mapping):
            yield part
    yield from payload.get("segments", ())
    yield from payload.get("bounds", ())


def payload_ids(payloads: Iterable[Mapping[str, Any]]) -> PayloadIds:
    """All ids that these version payloads point to."""
    contents: set[str] = set()
    segments: set[str] = set()
    for payload in payloads:
        schema = payload.get("schema")
        contents.update(part["id"] for part in (payload.get("content"), schema) if isinstance(part, Mapping))
        for kind in ("segments", "bounds"):
            segments.update(segment["id"] for segment in payload.get(kind, ()))
    return PayloadIds(frozenset(contents), frozenset(segments))
