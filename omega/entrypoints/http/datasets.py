"""The resource `dataset`."""

from typing import Any, Final

import orjson
from attrs import frozen

from omega.domain import contents
from omega.domain.contents import Bytes
from omega.domain.datasets import Query, Reading
from omega.domain.errors import BadInput
from omega.domain.names import DATASET
from omega.domain.tabular import values
from omega.entrypoints import formats
from omega.entrypoints.api import Datasets, Omega
from omega.entrypoints.formats.errors import NotAcceptable
from omega.entrypoints.http import fields
from omega.entrypoints.http.bodies import parse_json_object
from omega.entrypoints.http.documented import datasets as documented
from omega.entrypoints.http.headers import Headers
from omega.entrypoints.http.routing import Request, Response, Route
from omega.entrypoints.limits import Limits
from omega.entrypoints.uris import resource_uri

_OCTETS: Final = "application/octet-stream"
_CHUNK_BYTES: Final = 1 << 20
#: What a body may hold besides the frame itself. The last three are in the answers of GET, so that these can
#: be put back.
_PUT_FIELDS: Final = {"name", "append", "resource_uri", "version", "rows"}
_READ: Final = frozenset({"format", "orient", "columns", "sort", "limit", "offset", "version"})


@frozen
class DatasetResource:
    """Datasets over HTTP."""

    omega: Omega
    limits: Limits

    def routes(self) -> list[Route]:
        """The routes of this resource."""
        one = "/api/v1/dataset/<name:name>"
        return [
            Route(
                "GET",
                "/api/v1/dataset",
                self.list,
                query=fields.PAGE,
                summary="List datasets",
                doc=documented.LIST,
            ),
            Route(
                "GET",
                one,
                self.read,
                query=_READ,
                filters=True,
                summary="Read a dataset",
                doc=documented.READ,
            ),
            Route(
                "PUT",
                one,
                self.write,
                query=frozenset({"append"}),
                summary="Write a dataset",
                description="Create a dataset, append to it, or replace it.",
                doc=documented.WRITE,
            ),
            Route("DELETE", one, self.drop, summary="Delete a dataset", doc=documented.DROP),
        ]

    def list(self, request: Request) -> Response:
        """One page of datasets."""
        page = fields.page_of(request)
        listing = self._datasets(request).page(page.pattern, offset=page.offset, limit=page.limit)
        objects = [
            {
                "data": {"kind": item.kind, "name": item.name},
                "dtypes": None,
                "index": None,
                "name": None,
                "orient": None,
                "resource_uri": resource_uri(DATASET, item.name),
            }
            for item in listing.items
        ]
        return Response(200, page.body(listing, objects, resource=DATASET))

    def read(self, request: Request) -> Response:
        """The content of a dataset, or of a part of it."""
        query = Query(
            columns=request.query.get("columns"),
            filters=[(name, value) for name, value in request.pairs if name not in _READ],
            sort=request.query.get("sort"),
            offset=fields.whole_number(request, "offset") or 0,
            limit=fields.whole_number(request, "limit"),
        )
        reading = self._datasets(request).open(
            request.path["name"], query, version=fields.whole_number(request, "version", least=1)
        )
        _check_asked(request)
        headers = (fields.etag(reading.metadata), ("Vary", "Accept"))
        if fields.unmodified(request, reading.metadata):
            return Response(304, headers=headers)
        if reading.schema is None:
            return _payload(reading, request, headers)
        return _frame(reading, request, headers)

    def write(self, request: Request) -> Response:
        """Create a dataset, append to it, or replace it."""
        append, content = self._content(request)
        metadata = self._datasets(request).put(
            content,
            request.path["name"],
            append=append,
            precondition=fields.precondition(request),
            idempotency_key=request.headers.get("idempotency-key"),
        )
        body = {
            "name": metadata.name,
            "kind": metadata.kind,
            "rows": metadata.attributes.get("rows"),
            "version": metadata.version,
            "resource_uri": resource_uri(DATASET, metadata.name),
        }
        return Response(202, body, (fields.etag(metadata),))

    def drop(self, request: Request) -> Response:
        """Remove a dataset."""
        name = request.path["name"]
        self._datasets(request).drop(name, precondition=fields.precondition(request))
        return Response(202, {"name": name, "deleted": True})

    def _datasets(self, request: Request) -> Datasets:
        return fields.asked(request, self.omega).datasets

    def _content(self, request: Request) -> tuple[bool, Any]:
        """Whether the body is to be appended, and what it holds."""
        append = fields.flag_argument(request, "append", default=True)
        content_type = request.environ.get("CONTENT_TYPE")
        if content_type and content_type.partition(";")[0].strip().lower() == _OCTETS:
            stream = request.stream()
            return append, Bytes(iter(lambda: stream.read(_CHUNK_BYTES), b""))
        format = formats.by_media_type(content_type)
        if format.name != "json":
            return append, formats.decode(format, request.stream(), limits=self.limits)
        body = parse_json_object(
            request.body(), max_depth=self.limits.json_depth, parse=formats.parse_json_frame
        )
        fields.known_fields(body, formats.JSON_FRAME_FIELDS | _PUT_FIELDS)
        name = body.get("name")
        if name is not None and name != request.path["name"]:
            raise BadInput(f"the body's name is {str(name)[:80]!r}, the URL's is {request.path['name']!r}")
        if "append" in body and "append" in request.query:
            raise BadInput("append is given twice: in the query and in the body")
        append = fields.flag(body, "append", default=append)
        return append, formats.decode_json_frame(body, limits=self.limits).table


def _check_asked(request: Request) -> None:
    """What is asked for must be there to be had, also where nothing is sent (304).

    Raises: BadInput.
    """
    if (orient := request.query.get("orient")) is not None:
        formats.check_orient(orient)
    if (format := request.query.get("format")) is not None:
        formats.negotiate(None, format)


def _frame(reading: Reading, request: Request, headers: Headers) -> Response:
    format = formats.negotiate(request.headers.get("accept"), request.query.get("format"))
    typed = (*headers, ("Content-Type", format.media_type))
    orient = request.query.get("orient")
    if format.name == "json":
        uri = resource_uri(DATASET, reading.metadata.name)
        body = formats.encode_json_frame(
            reading, orient="dict" if orient is None else orient, resource_uri=uri
        )
        return Response(200, body, typed)
    if orient is not None:
        raise BadInput(f"query parameter orient is for json, not for {format.name}")
    return Response(200, formats.encode(format, reading), typed)


def _payload(reading: Reading, request: Request, headers: Headers) -> Response:
    """A dataset that is no frame: a file as its bytes, a value or an array as JSON."""
    metadata = reading.metadata
    if metadata.kind == contents.FILE:
        if asked := sorted({"format", "orient"} & request.query.keys()):
            raise BadInput(f"dataset {metadata.name!r} is a file: {' and '.join(asked)} is for frames")
        attachment = (("Content-Type", _OCTETS), ("Content-Disposition", "attachment"))
        return Response(200, reading.chunks, (*headers, *attachment))
    if formats.negotiate(request.headers.get("accept"), request.query.get("format")).name != "json":
        raise NotAcceptable(f"dataset {metadata.name!r} is {metadata.kind}: it can be had as json only")
    if "orient" in request.query:
        raise BadInput(f"dataset {metadata.name!r} is {metadata.kind}: orient is for frames")
    value = contents.decode_bytes(metadata.kind, reading.chunks)
    array = metadata.kind == contents.NDARRAY
    body = {
        "data": orjson.Fragment(formats.encode_array(value)) if array else values.plain(value),
        "dtypes": metadata.attributes.get("dtype"),
        "index": None,
        "name": metadata.name,
        "orient": None,
        "resource_uri": resource_uri(DATASET, metadata.name),
        "version": metadata.version,
        "rows": None,
    }
    return Response(200, body, headers)
