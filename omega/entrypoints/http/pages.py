"""The documentation pages, the descriptions that they show, and their files. All of it is in this package: a
page asks no other server for anything, and its policy would not let it (ADR 0019).
"""

import gzip
import hashlib
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from importlib.metadata import version
from importlib.resources import files
from typing import Final

import orjson
from attrs import field, frozen

from omega.entrypoints.http import openapi, swagger
from omega.entrypoints.http.documented import pages as documented
from omega.entrypoints.http.errors import RouteNotFound
from omega.entrypoints.http.headers import Headers
from omega.entrypoints.http.routing import Request, Response, Route

_HOME: Final = "/api/doc/v1"
_HTML: Final = ("Content-Type", "text/html; charset=utf-8")
_JSON: Final = ("Content-Type", "application/json")
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".txt": "text/plain"}
#: What a page may do (https://www.w3.org/TR/CSP3/): run the scripts of this server, ask this server, and show
#: pictures that are inside. ReDoc searches in a worker that it makes in the page, and its bundle makes two
#: style elements: an empty one, which is filled by calls, and the one that its scroll bars bring.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'{styles}; img-src 'self' data:; "
    "connect-src 'self'; worker-src {workers}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_REDOC_STYLES: Final = (
    " 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    + " 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
)
_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>omega: {title}</title>
<link rel="icon" href="data:,">
{styles}<link rel="stylesheet" href="{home}/assets/pages.css">
</head>
<body>
<header class="omega-bar"><strong>omega</strong>
<a href="{home}">Swagger UI</a> <a href="/api/redoc">ReDoc</a>
<a href="{home}/specs/openapi.json">OpenAPI 3.1</a>
<a href="{home}/specs/swagger.json">Swagger 2.0</a></header>
<div id="page"></div>
<noscript>This page needs JavaScript; the links above do not.</noscript>
<script src="{home}/assets/{bundle}"></script>
<script src="{home}/assets/{start}"></script>
</body>
</html>
"""


@frozen(slots=False)
class Documentation:
    """The pages and descriptions of the routes that `served` gives, which may be these among others."""

    served: Callable[[], Sequence[Route]] = field(repr=False)

    def routes(self) -> list[Route]:
        """The routes of the documentation."""
        specs = f"{_HOME}/specs"
        return [
            Route(
                "GET", _HOME, self.swagger_ui, public=True, summary="Swagger UI", doc=documented.SWAGGER_UI
            ),
            Route("GET", "/api/redoc", self.redoc, public=True, summary="ReDoc", doc=documented.REDOC),
            Route(
                "GET",
                f"{specs}/openapi.json",
                self.openapi,
                public=True,
                summary="The API in OpenAPI 3.1",
                doc=documented.OPENAPI,
            ),
            Route(
                "GET",
                f"{specs}/swagger.json",
                self.swagger,
                public=True,
                summary="The API in Swagger 2.0",
                doc=documented.SWAGGER,
            ),
            Route(
                "GET",
                f"{_HOME}/assets/<file>",
                asset,
                public=True,
                summary="A file of the pages",
                doc=documented.ASSET,
            ),
        ]

    def swagger_ui(self, request: Request) -> Response:
        """The page of Swagger UI."""
        styles = f'<link rel="stylesheet" href="{_HOME}/assets/swagger-ui.css">\n'
        page = {"title": "Swagger UI", "bundle": "swagger-ui-bundle.js", "start": "swagger-page.js"}
        return _page({**page, "styles": styles}, _POLICY.format(styles="", workers="'none'"))

    def redoc(self, request: Request) -> Response:
        """The page of ReDoc."""
        page = {"title": "ReDoc", "bundle": "redoc.standalone.js", "start": "redoc-page.js", "styles": ""}
        return _page(page, _POLICY.format(styles=_REDOC_STYLES, workers="blob:"))

    def openapi(self, request: Request) -> Response:
        """The API in OpenAPI 3.1."""
        return Response(200, self._texts[0], (_JSON,))

    def swagger(self, request: Request) -> Response:
        """The API in Swagger 2.0."""
        return Response(200, self._texts[1], (_JSON,))

    @cached_property
    def _texts(self) -> tuple[bytes, bytes]:
        """Both descriptions, made when one is first asked for."""
        document = openapi.openapi(self.served(), version=version("omega"))
        return orjson.dumps(document), orjson.dumps(swagger.swagger(document))


def _page(parts: dict[str, str], policy: str) -> Response:
    headers = (_HTML, ("Content-Security-Policy", policy), ("Cache-Control", "no-cache"))
    return Response(200, _PAGE.format(home=_HOME, **parts).encode(), headers)


def asset(request: Request) -> Response:
    """A file of the pages: compressed for those who take gzip, which all browsers do.

    Raises: RouteNotFound.
    """
    found = _assets().get(request.path["file"])
    if found is None:
        raise RouteNotFound(f"there is no file {request.path['file'][:80]!r} of the documentation")
    # The name has no version in it: it is asked for each time, and not sent again while it is the same.
    headers: Headers = (("ETag", found.etag), ("Vary", "Accept-Encoding"), ("Cache-Control", "no-cache"))
    if found.etag in request.headers.get("if-none-match", ""):
        return Response(304, headers=headers)
    headers = (*headers, ("Content-Type", found.media_type))
    if found.is_compressed and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(200, found.content, (*headers, ("Content-Encoding", "gzip")))
    return Response(200, gzip.decompress(found.content) if found.is_compressed else found.content, headers)


@frozen
class _Asset:
    content: bytes = field(repr=False)
    is_compressed: bool
    media_type: str
    etag: str


@cache
def _assets() -> dict[str, _Asset]:
    """Each file of the pages by its name, without the `.gz` that some have in the package."""
    made: dict[str, _Asset] = {}
    for file in files("omega.entrypoints.http").joinpath("assets").iterdir():
        content, name = file.read_bytes(), file.name.removesuffix(".gz")
        media_type = _TYPES.get(name[name.rfind(".") :])
        if media_type is not None:
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            made[name] = _Asset(content, file.name != name, f"{media_type}; charset=utf-8", etag)
    return made


def documented_routes(routes: Sequence[Route]) -> list[Route]:
    """`routes`, and those of their documentation."""
    found: list[Route] = []
    found += [*routes, *Documentation(lambda: found).routes()]
    return found
