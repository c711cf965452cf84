"""The fields of requests and answers that several resources share: paging, preconditions, flags, times."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import urlencode

from attrs import frozen

from omega.domain.errors import BadInput, PreconditionFailed
from omega.domain.metadata import Listing, Metadata, Precondition
from omega.entrypoints.api import Omega
from omega.entrypoints.http.routing import Request

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 1000
#: The query parameters of every list.
PAGE: Final = frozenset({"limit", "offset", "name"})
_ETAG = re.compile(r'\s*(W/)?"([^"]*)"\s*(?:,|$)')


def asked(request: Request, omega: Omega) -> Omega:
    """Omega in the bucket that the request is for, with the rights of whoever sends it.

    Raises: BadInput for an illegal bucket name.
    """
    return omega.as_(request.caller.access, bucket=request.bucket)


def whole_number(request: Request, name: str, *, default: int | None = None, least: int = 0) -> int | None:
    """A query parameter that is a whole number from `least` on.

    Raises: BadInput.
    """
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text) >= least):
        raise BadInput(f"query parameter {name}={text[:40]!r} is not a whole number from {least} on")
    return int(text)


@frozen
class Page:
    """Which page of a list is wanted."""

    limit: int
    offset: int
    pattern: str | None

    def body(self, listing: Listing, objects: Sequence[Any], *, resource: str) -> dict[str, Any]:
        """The body of a list: `meta` with the URIs of the pages around this one, and `objects`."""
        after, before = self.offset + self.limit, max(0, self.offset - self.limit)
        meta = {
            "limit": self.limit,
            "next": self._uri(resource, after) if after < listing.total else None,
            "offset": self.offset,
            "previous": self._uri(resource, before) if self.offset > 0 else None,
            "total_count": listing.total,
        }
        return {"meta": meta, "objects": list(objects)}

    def _uri(self, resource: str, offset: int) -> str:
        pattern = {} if self.pattern is None else {"name": self.pattern}
        return f"/api/v1/{resource}/?{urlencode({'limit': self.limit, 'offset': offset, **pattern})}"


def page_of(request: Request) -> Page:
    """`limit` (1 to 1000, by default 20), `offset` and `name` of a list.

    Raises: BadInput.
    """
    limit = whole_number(request, "limit", default=DEFAULT_LIMIT, least=1) or DEFAULT_LIMIT
    if limit > MAX_LIMIT:
        raise BadInput(f"query parameter limit={limit} is over the maximum of {MAX_LIMIT}")
    return Page(limit, whole_number(request, "offset") or 0, request.query.get("name"))


def precondition(request: Request) -> Precondition:
    """What `If-Match` and `If-None-Match` ask for (RFC 9110, 13.1). An ETag that is no version matches none.

    Raises: BadInput for a malformed header.
    """
    # If-Match compares strongly: a weak ETag matches nothing (RFC 9110, 13.1.1).
    return Precondition(_etags(request, "if-match", weak=False), _etags(request, "if-none-match", weak=True))


def unmodified(request: Request, metadata: Metadata) -> bool:
    """Whether the client says that it has this version already (answer 304).

    Raises: PreconditionFailed when it asked for another version by `If-Match`.
    """
    wanted = precondition(request)
    if not Precondition(match=wanted.match).holds(metadata.version):
        raise PreconditionFailed(f"{metadata.resource} {metadata.name!r} is at version {metadata.version}")
    return not wanted.holds(metadata.version)


def etag(metadata: Metadata) -> tuple[str, str]:
    """The `ETag` header: the version."""
    return ("ETag", f'"{metadata.version}"')


def known_fields(body: Mapping[str, Any], known: Collection[str]) -> None:
    """Nothing, if all fields of the body are known.

    Raises: BadInput naming the others.
    """
    if unknown := sorted(body.keys() - known):
        shown = ", ".join(repr(field[:80]) for field in unknown[:10])
        raise BadInput(f"unknown fields in the body: {shown}; there are {', '.join(sorted(known))}")


def flag(body: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """A field of the body that is true or false.

    Raises: BadInput.
    """
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise BadInput(f"field {name!r} is {str(value)[:40]!r}: it must be true or false")
    return value


def flag_argument(request: Request, name: str, *, default: bool) -> bool:
    """A query parameter that is true or false (`1`, `true`, `yes`; `0`, `false`, `no`).

    Raises: BadInput.
    """
    text = request.query.get(name)
    if text is None:
        return default
    if (word := text.lower()) in ("1", "true", "yes"):
        return True
    if word in ("0", "false", "no"):
        return False
    raise BadInput(f"query parameter {name}={text[:40]!r} is neither true nor false")


def _etags(request: Request, name: str, *, weak: bool) -> frozenset[int] | Literal["*"] | None:
    text = request.headers.get(name)
    if text is None:
        return None
    if text.strip() == "*":
        return "*"
    tags, at = [], 0
    while at < len(text) or not text:
        match = _ETAG.match(text, at)
        if match is None:
            raise BadInput(f'header {name} is malformed: it takes * or ETags in double quotes, such as "3"')
        if weak or not match[1]:
            tags.append(match[2])
        at = match.end()
    return frozenset(int(tag) for tag in tags if tag.isascii() and tag.isdigit() and len(tag) <= 15)
