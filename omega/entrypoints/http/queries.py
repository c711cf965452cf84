"""Query strings, decoded strictly."""

import re
from collections import Counter
from collections.abc import Sequence, Set
from urllib.parse import unquote_to_bytes

from omega.domain.errors import BadInput

BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def parse_query(text: str, *, allowed: Set[str], filters: bool = False) -> tuple[tuple[str, str], ...]:
    """The names and values in a query string, in order; `+` is a space, the rest percent-encoded UTF-8.

    The names in `allowed` may stand once each; with `filters` any others may stand, as often as one likes.

    Raises: BadInput, naming what is not allowed and listing what is.
    """
    if not text:
        return ()
    if bad := BAD_ESCAPE.search(text):
        shown = text[bad.start() :][:20]
        raise BadInput(f"the query holds a % that is not followed by two hex digits: {shown!r}")
    pairs = []
    for pair in filter(None, text.split("&")):
        name, _, value = pair.replace("+", " ").partition("=")
        pairs.append((_unquoted(name), _unquoted(value)))
    _check_names([name for name, _ in pairs], allowed, filters)
    return tuple(pairs)


def utf8(raw: bytes, *, what: str) -> str:
    """`raw` decoded. Raises: BadInput, naming `what` is not UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"the {what} is not UTF-8: byte {raw[error.start]:#04x}") from None


def _unquoted(text: str) -> str:
    return utf8(unquote_to_bytes(text.encode("latin-1")), what="query")


def _check_names(names: Sequence[str], allowed: Set[str], filters: bool) -> None:
    unknown = sorted(set(names) - allowed)
    if unknown and not filters:
        known = ", ".join(sorted(allowed)) or "none"
        raise BadInput(f"unknown query parameter {_listed(unknown)}; allowed here: {known}")
    repeated = [name for name, count in Counter(names).items() if count > 1 and name in allowed]
    if repeated:
        raise BadInput(f"the query parameter {_listed(repeated)} stands more than once")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:80]) for name in names[:10])
