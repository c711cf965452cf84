"""What a route takes and gives, beside the route itself: from these the API's descriptions are made.

Schemas are JSON Schema 2020-12, as OpenAPI 3.1 has them; `ref("Problem")` names one that is shared.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from attrs import field, frozen

Schema = Mapping[str, Any]
JSON: Final = "application/json"


def ref(name: str) -> Schema:
    """A reference to a shared schema."""
    return {"$ref": f"#/components/schemas/{name}"}


@frozen
class Parameter:
    """A parameter of a path, a query, or a header; those of paths are required."""

    name: str
    where: Literal["path", "query", "header"]
    schema: Schema
    description: str
    example: Any = None


@frozen
class Content:
    """A body in one media type, with examples by name."""

    schema: Schema
    media_type: str = JSON
    examples: Mapping[str, Any] = field(factory=dict)


@frozen
class Link:
    """Where an answer leads: another operation, and where in the answer its path parameter is found."""

    operation: str
    parameter: str
    expression: str


@frozen
class Answer:
    """What is answered with one status, beside the headers of every answer.

    `headers` are names of shared headers; those in `sometimes` are not always there.
    """

    description: str
    content: tuple[Content, ...] = ()
    headers: tuple[str, ...] = ()
    sometimes: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()


@frozen
class Operation:
    """All that a description of the API says about a route, beside its method, path and summary.

    `errors` are the statuses that are answered as a problem. `parameters` hold one for each name in the path
    and for each query parameter that the route takes; `filters` describes any others that it takes.
    """

    id: str
    tag: str
    answers: Mapping[int, Answer]
    errors: frozenset[int]
    parameters: tuple[Parameter, ...] = ()
    filters: Parameter | None = None
    body: tuple[Content, ...] = ()
    needs_body: bool = True
