"""The resource `script`: Python modules, called in processes of their own."""

from typing import Any, Final

from attrs import frozen

from omega.domain.errors import BadInput
from omega.domain.metadata import Metadata
from omega.domain.names import SCRIPT
from omega.entrypoints.api import Omega
from omega.entrypoints.http import calls, fields
from omega.entrypoints.http.bodies import parse_json_object
from omega.entrypoints.http.documented import scripts as documented
from omega.entrypoints.http.routing import Request, Response, Route
from omega.entrypoints.limits import Limits
from omega.entrypoints.runtime import RuntimeTask
from omega.entrypoints.scripts import Scripts
from omega.entrypoints.strict_json import parse_json
from omega.entrypoints.uris import resource_uri, stamp

_CREATED: Final = 201
_SOURCE_TYPES: Final = ("text/x-python", "text/plain", "application/x-python", "application/x-python-code")


@frozen
class ScriptResource:
    """Scripts over HTTP."""

    omega: Omega
    limits: Limits

    def routes(self) -> list[Route]:
        """The routes of this resource."""
        one = "/api/v1/script/<name:name>"
        version = frozenset({"version"})
        return [
            Route(
                "GET",
                "/api/v1/script",
                self.list,
                query=fields.PAGE,
                summary="List scripts",
                doc=documented.LIST,
            ),
            Route(
                "GET",
                one,
                self.read,
                query=version,
                summary="A script and its source text",
                doc=documented.READ,
            ),
            Route("PUT", one, self.write, summary="Store a script", doc=documented.WRITE),
            Route("DELETE", one, self.drop, summary="Delete a script", doc=documented.DROP),
            Route(
                "POST",
                f"{one}/run",
                self.run,
                query=calls.QUERY,
                filters=True,
                summary="Call a script's run(om, *args, **kwargs)",
                doc=documented.RUN,
            ),
        ]

    def list(self, request: Request) -> Response:
        """One page of scripts."""
        page = fields.page_of(request)
        listing = self._scripts(request).page(page.pattern, offset=page.offset, limit=page.limit)
        return Response(200, page.body(listing, [_described(m) for m in listing.items], resource=SCRIPT))

    def read(self, request: Request) -> Response:
        """A script and its source text."""
        metadata, code = self._scripts(request).open(
            request.path["name"], version=fields.whole_number(request, "version", least=1)
        )
        headers = (fields.etag(metadata),)
        if fields.unmodified(request, metadata):
            return Response(304, headers=headers)
        return Response(200, {**_described(metadata), "code": code}, headers)

    def write(self, request: Request) -> Response:
        """Store a script: its source text (`text/x-python`), or `{"code": "source text"}`."""
        metadata = self._scripts(request).put(
            self._code(request), request.path["name"], precondition=fields.precondition(request)
        )
        return Response(202, _described(metadata), (fields.etag(metadata),))

    def drop(self, request: Request) -> Response:
        """Remove a script."""
        name = request.path["name"]
        self._scripts(request).drop(name, precondition=fields.precondition(request))
        return Response(202, {"name": name, "deleted": True})

    def run(self, request: Request) -> Response:
        """Call `run(om, body, **query)`: the JSON body, where there is one, is the argument, and the query
        parameters are keyword arguments, as text.
        """

        def submit(request: Request) -> RuntimeTask:
            raw = request.body()
            args = [parse_json(raw, max_depth=self.limits.json_depth)] if raw.strip() else []
            kwargs: dict[str, Any] = {}
            for name, value in request.pairs:
                if name in kwargs:
                    raise BadInput(f"the query parameter {name[:80]!r} stands more than once")
                if name not in calls.QUERY:
                    kwargs[name] = value
            timeout_s = calls.timeout_s(request)
            return self._scripts(request).submit(request.path["name"], args, kwargs, timeout_s=timeout_s)

        return calls.carried_out(request, submit, status=_CREATED)

    def _code(self, request: Request) -> str:
        kind = (request.environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
        raw = request.body()
        if kind in _SOURCE_TYPES:
            try:
                return raw.decode()
            except UnicodeDecodeError as error:
                raise BadInput(f"the source text is not UTF-8: byte {error.start}") from error
        body = parse_json_object(raw, max_depth=self.limits.json_depth)
        fields.known_fields(body, {"code"})
        if not isinstance(code := body.get("code"), str):
            raise BadInput("field 'code' must be Python source text")
        return code

    def _scripts(self, request: Request) -> Scripts:
        return fields.asked(request, self.omega).scripts


def _described(metadata: Metadata) -> dict[str, Any]:
    return {
        "name": metadata.name,
        "kind": metadata.kind,
        "bucket": metadata.bucket,
        "created": stamp(metadata.created),
        "modified": stamp(metadata.modified),
        "version": metadata.version,
        "resource_uri": resource_uri(SCRIPT, metadata.name),
        **metadata.attributes,
    }
