"""What is said with every answer, and the id by which a request is known."""

import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final

Headers = tuple[tuple[str, str], ...]

REQUEST_ID: Final = "omega.request_id"
_LEGAL_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: Said with every answer that does not say otherwise: nothing here is a page, is to be shown in one, or to be
#: kept by anybody on the way (https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html).
_ALWAYS: Final[Headers] = (
    ("X-Content-Type-Options", "nosniff"),
    (
        "Content-Security-Policy",
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "private, no-cache"),
)

_BY_NAME: Final = {name.lower(): (name, value) for name, value in _ALWAYS}


def completed(headers: Iterable[tuple[str, str]], *, request_id: str, more: Headers = ()) -> Headers:
    """The headers of an answer with `more` and those that every answer has. Where the answer has one of its
    own, that holds, but for `Vary`, which is a list.
    """
    own = tuple(headers)
    found = {"x-request-id": ("X-Request-ID", request_id), **_BY_NAME}
    found |= {name.lower(): (name, value) for name, value in more}
    for name, _ in own:
        found.pop(name.lower(), None)
    vary = [value for name, value in (*own, *more) if name.lower() == "vary"] if more else ()
    if len(vary) < 2:
        return (*own, *found.values())
    return (*(h for h in own if h[0].lower() != "vary"), ("Vary", ", ".join(vary)), *found.values())


def request_id(environ: Mapping[str, Any]) -> str:
    """The client's `X-Request-ID` where it is 1 to 64 of `A-Za-z0-9._-`, else a fresh one."""
    given = environ.get("HTTP_X_REQUEST_ID", "")
    return given if _LEGAL_REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
