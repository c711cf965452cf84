"""What a request would need, told from its method and URL alone."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from omega.domain.access import Right
from omega.domain.errors import BadInput
from omega.domain.names import MODEL, check_name
from omega.entrypoints.http.queries import parse_query, utf8
from omega.entrypoints.http.rights import RIGHTS, Asked, Needs
from omega.entrypoints.http.routing import by_rank, pattern_of

_CREATE: Final = ("POST", "/api/v1/model")


def needs_of(method: str, url: str, *, name: str | None = None) -> Needs:
    """The rights that a request needs; `name` is that in the body of one that makes a model.

    Raises: BadInput, where there is no such route, and where it needs none of the rights that rules give.
    """
    parts = urlsplit(url)
    path = utf8(unquote_to_bytes(parts.path.encode()), what="path")
    template, found = _matched(path)
    method = "GET" if method.upper() == "HEAD" else method.upper()
    if (rights := RIGHTS.get((method, template))) is None:
        allowed = ", ".join(sorted(verb for verb, known in RIGHTS if known == template))
        raise BadInput(f"{method[:20]} is not allowed at {path[:80]}, only {allowed}")
    pairs = parse_query(parts.query.encode().decode("latin-1"), allowed=frozenset(), filters=True)
    if (method, template) == _CREATE:
        if name is None:
            raise BadInput("the name of the model is in the body of this request: give --name")
        return [[Right(MODEL, check_name(name, resource=MODEL), "create")]]
    needs = rights(Asked(found, dict(pairs)))
    if not needs:
        raise BadInput("a task belongs to the call that made it: who may make that call may see its task")
    return needs


def _matched(path: str) -> tuple[str, Mapping[str, str]]:
    for template, pattern in _patterns():
        if (match := pattern.fullmatch(path)) is not None:
            return template, match.groupdict()
    raise BadInput(f"there is nothing at {path[:80]} that rules decide about")


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    return [(template, re.compile(pattern_of(template))) for template in by_rank({p for _, p in RIGHTS})]
