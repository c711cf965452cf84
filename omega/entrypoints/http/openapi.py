"""The API's description in OpenAPI 3.1, made from the table of the routes that are served
(https://spec.openapis.org/oas/v3.1.1).
"""

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final

from omega.entrypoints.http.documented import common, datasets, frames, jobs, models, scripts, tasks, watching
from omega.entrypoints.http.errors import PROBLEM_JSON
from omega.entrypoints.http.operations import Answer, Content, Link, Operation, Parameter
from omega.entrypoints.http.routing import Route

Document = dict[str, Any]
_PARAM = re.compile(r"<([a-z_]+)(?::name)?>")
_SHARED: Final = (common, frames, datasets, models, jobs, scripts, tasks, watching)
_TAGS: Final = {
    "dataset": "Tables, values, arrays and files, kept exactly, with versions.",
    "model": "scikit-learn models: created from JSON, fitted, asked.",
    "job": "Notebooks, their runs, their results and their schedules.",
    "script": "Python modules, called in processes of their own.",
    "task": "Calls that were left to workers.",
    "config": "The settings in force.",
    "server": "The server itself.",
    "documentation": "These pages, and what they are made from.",
}
_ABOUT: Final = """\
Data, scikit-learn models and notebooks behind a REST API.

Every path answers with and without a slash at its end. Where there is GET there is HEAD, and every path has
OPTIONS (204, with `Allow`); other methods are answered with 405 and `Allow`. A path that there is not is
answered with 404. A body that comes with GET, to which HTTP gives no meaning (RFC 9110, 9.3.1), is read as if
it came with POST.

Requests for a host that is none of the server's (421), and those by which a page of another site would change
something (403, 415), are refused whatever their path.

Every error is `application/problem+json` (RFC 9457) and names what is at fault. Unknown query parameters and
unknown fields of a body are refused. Requests that are not HTTP, and URLs and headers over the limits, are
answered with 400, 414 or 431 by the server beneath, without a body.

Where the server asks for keys, all but `/api/v1/ping` and these pages need one: `Authorization: ApiKey
USER:KEY` or `Authorization: Bearer KEY`. Access rules may allow some requests and not others (403).

Names may hold slashes. They are at most 255 bytes of UTF-8 in NFC, without control characters and
`\\ * ? [ ] ^ @ # : %`; no part may be empty, `.` or `..`, and the last may not be an action of its resource,
such as `fit` or `run`.
"""


def openapi(routes: Iterable[Route], *, version: str) -> Document:
    """The description of `routes` in OpenAPI 3.1, as a JSON value.

    Raises: ValueError for a route that is not described, or not as it is.
    """
    paths: dict[str, Document] = {}
    for route in routes:
        if not route.internal:
            paths.setdefault(_PARAM.sub(r"{\1}", route.path), {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.1",
        "info": {"title": "omega", "version": version, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": {name: schema for module in _SHARED for name, schema in module.SCHEMAS.items()},
            "responses": {_problem_name(status): _problem(status) for status in common.ERRORS},
            "headers": dict(common.HEADERS),
            "parameters": {"bucket": _parameter(common.BUCKET)},
            "securitySchemes": dict(common.KEYS),
        },
        # Or none: a key is needed only where somebody has asked for that.
        "security": [*({name: []} for name in common.KEYS), {}],
    }


def _operation(route: Route) -> Document:
    doc = route.doc
    if doc is None:
        raise ValueError(f"{route.method} {route.path} is not described")
    _check(route, doc)
    made: Document = {
        "operationId": doc.id,
        "tags": [doc.tag],
        "summary": route.summary,
        **({"description": route.description} if route.description else {}),
        "parameters": _parameters(doc),
    }
    if route.public:
        made["security"] = []
    if doc.body:
        made["requestBody"] = {"required": doc.needs_body, "content": _contents(doc.body)}
    responses = {str(status): _answer(answer) for status, answer in doc.answers.items()}
    for status in doc.errors | (frozenset() if route.public else common.CALLER_ERRORS):
        responses[str(status)] = {"$ref": f"#/components/responses/{_problem_name(status)}"}
    made["responses"] = dict(sorted(responses.items()))
    return made


def _check(route: Route, doc: Operation) -> None:
    """Raise ValueError if what is described is not what the route takes."""
    where = f"{route.method} {route.path}"
    if not route.summary:
        raise ValueError(f"{where} has no summary")
    if doc.tag not in _TAGS:
        raise ValueError(f"{where} has the unknown tag {doc.tag!r}")
    if _names(doc, "path") != set(_PARAM.findall(route.path)):
        raise ValueError(f"{where} describes the parameters {sorted(_names(doc, 'path'))} of its path")
    if differ := _names(doc, "query") ^ route.query:
        raise ValueError(f"{where}: described and taken query parameters differ in {sorted(differ)}")
    if route.filters != (doc.filters is not None):
        raise ValueError(f"{where}: further query parameters are described or taken, not both")
    if both := doc.errors & doc.answers.keys():
        raise ValueError(f"{where} describes the statuses {sorted(both)} twice")


def _names(doc: Operation, where: str) -> set[str]:
    return {parameter.name for parameter in doc.parameters if parameter.where == where}


def _parameters(doc: Operation) -> list[Document]:
    made = [_parameter(parameter) for parameter in doc.parameters]
    if doc.filters is not None:
        # Without an example pages make one up, of columns that there are not.
        made.append({**_parameter(doc.filters), "style": "form", "explode": True, "example": {}})
    if doc.tag in ("dataset", "model", "job", "script", "task", "config"):
        made.append({"$ref": "#/components/parameters/bucket"})
    return made


def _parameter(parameter: Parameter) -> Document:
    """Of the examples only those of paths are given as such: pages fill them in, and what is optional is to
    stay empty there.
    """
    example, description = {}, parameter.description
    if parameter.where == "path":
        example = {"example": parameter.example}
    elif parameter.example is not None:
        description += f" For example `{parameter.example}`."
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.where == "path",
        "description": description,
        "schema": dict(parameter.schema),
        **example,
    }


def _answer(answer: Answer) -> Document:
    made: Document = {
        "description": answer.description,
        "headers": _headers(always=("X-Request-ID", *answer.headers), sometimes=answer.sometimes),
    }
    if answer.content:
        made["content"] = _contents(answer.content)
    if answer.links:
        made["links"] = {link.operation: _link(link) for link in answer.links}
    return made


def _headers(*, always: Sequence[str], sometimes: Sequence[str] = ()) -> Document:
    """Headers that are always there are said to be, which a reference cannot say."""
    required = {name: {**common.HEADERS[name], "required": True} for name in always}
    return {**required, **{name: {"$ref": f"#/components/headers/{name}"} for name in sometimes}}


def _contents(contents: Iterable[Content]) -> Document:
    made: Document = {}
    for content in contents:
        made[content.media_type] = {"schema": dict(content.schema)}
        if content.examples:
            # A key with blanks would be no name for a component.
            named = {name.replace(" ", "-"): {"value": value} for name, value in content.examples.items()}
            made[content.media_type]["examples"] = named
    return made


def _link(link: Link) -> Document:
    return {"operationId": link.operation, "parameters": {link.parameter: link.expression}}


def _problem_name(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")


def _problem(status: int) -> Document:
    content: Document = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": {"problem": {"value": common.problem_example(status)}},
    }
    retry = ("Retry-After",) if status == HTTPStatus.SERVICE_UNAVAILABLE else ()
    always = {
        HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate",),
        HTTPStatus.METHOD_NOT_ALLOWED: ("Allow",),
        HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After",),
    }.get(HTTPStatus(status), ())
    return {
        "description": common.ERRORS[status],
        "headers": _headers(always=("X-Request-ID", *always), sometimes=retry),
        "content": {PROBLEM_JSON: content},
    }
