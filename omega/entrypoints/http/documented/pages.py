"""What the routes of the documentation, and of the server itself, give."""

from typing import Final

from omega.entrypoints.http.documented import common
from omega.entrypoints.http.documented.common import TEXT, closed
from omega.entrypoints.http.operations import Answer, Content, Operation, Parameter

_TAG: Final = "documentation"
_ERRORS: Final = frozenset({400, 500})


def _page(id: str) -> Operation:
    page = Answer("The page.", (Content(TEXT, "text/html"),), ("Content-Security-Policy",))
    return Operation(id, _TAG, {200: page}, _ERRORS)


def _specification(id: str) -> Operation:
    return Operation(id, _TAG, {200: Answer("The description.", (Content({"type": "object"}),))}, _ERRORS)


PING: Final = Operation(
    "ping",
    "server",
    {
        200: Answer(
            "It does.", (Content(closed({"ping": {"const": "pong"}}), examples={"pong": {"ping": "pong"}}),)
        )
    },
    common.READ_ERRORS - {503},
)
SWAGGER_UI: Final = _page("swaggerUi")
REDOC: Final = _page("redoc")
SWAGGER: Final = _specification("swaggerSpecification")
OPENAPI: Final = _specification("openapiSpecification")
ASSET: Final = Operation(
    "documentationAsset",
    _TAG,
    {
        200: Answer(
            "The file.",
            tuple(Content(TEXT, kind) for kind in ("text/javascript", "text/css", "text/plain")),
            ("ETag", "Vary"),
            ("Content-Encoding",),
        ),
        304: Answer(common.NOT_MODIFIED.description, headers=("ETag", "Vary")),
    },
    _ERRORS | {404},
    parameters=(
        Parameter(
            "file",
            "path",
            {"type": "string", "pattern": "^[A-Za-z0-9._-]+$"},
            "A file of the documentation pages.",
            "pages.css",
        ),
        Parameter("If-None-Match", "header", TEXT, "The `ETag` of what the client has."),
    ),
)
