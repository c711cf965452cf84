"""The same description in Swagger 2.0, made from that in OpenAPI 3.1 (https://swagger.io/specification/v2/).

Swagger 2.0 cannot say everything. What is lost, where it matters also said in words:

- links between operations;
- all schemas of a body but one: that of JSON, or of the first media type; the others are in `consumes` and
  `produces`, and a body that is not JSON has no schema of its own;
- alternatives (`anyOf`), lists whose items differ (`prefixItems`): what they have in common is left;
- `null` beside a type, which is `x-nullable`;
- query parameters with any name;
- what an event of a stream is;
- keys that are sent as `Bearer`;
- all examples but one, and that too where a body may be of several media types: it would be one of each;
- whether a header of an answer is always there.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from omega.entrypoints.http.operations import JSON

Document = dict[str, Any]
_REFS: Final = {
    "#/components/schemas/": "#/definitions/",
    "#/components/responses/": "#/responses/",
    "#/components/parameters/": "#/parameters/",
}
#: What schemas have in both, and the ones of parameters and headers too.
_PLAIN: Final = {
    *("type", "format", "default", "enum", "pattern", "minimum", "maximum"),
    *("minLength", "maxLength", "minItems", "maxItems"),
}
_IN_SCHEMAS: Final = _PLAIN | {
    "title",
    "description",
    "required",
    "maxProperties",
    "minProperties",
    "exclusiveMinimum",
}
_NOTE: Final = (
    "\nThis is Swagger 2.0, which cannot say everything: "
    "/api/doc/v1/specs/openapi.json, in OpenAPI 3.1, has the "
    "alternatives of each body, the conditions on columns as query parameters, links, and more examples.\n"
)


def swagger(document: Mapping[str, Any]) -> Document:
    """The description `document` in Swagger 2.0, as a JSON value."""
    components, info = document["components"], document["info"]
    headers = components["headers"]
    return {
        "swagger": "2.0",
        "info": {**info, "description": info["description"] + _NOTE},
        "basePath": "/",
        "tags": document["tags"],
        "paths": {
            path: {method: _operation(operation, headers) for method, operation in item.items()}
            for path, item in document["paths"].items()
        },
        "definitions": {name: schema_of(schema) for name, schema in components["schemas"].items()},
        "responses": {name: _response(found, headers) for name, found in components["responses"].items()},
        "parameters": {name: _parameter(found) for name, found in components["parameters"].items()},
        "securityDefinitions": dict(_keys(document)),
        "security": [way for way in document["security"] if way.keys() <= _keys(document).keys()],
    }


def _keys(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The ways to send a key that Swagger 2.0 knows."""
    found = document["components"]["securitySchemes"]
    return {name: way for name, way in found.items() if way["type"] == "apiKey"}


def _operation(operation: Mapping[str, Any], headers: Mapping[str, Any]) -> Document:
    made = {
        name: operation[name]
        for name in ("operationId", "tags", "summary", "description", "security")
        if name in operation
    }
    made["parameters"] = [
        _parameter(parameter) for parameter in operation["parameters"] if not _is_open(parameter)
    ]
    if (body := operation.get("requestBody")) is not None:
        made["consumes"] = list(body["content"])
        made["parameters"].append(_body(body))
    open_ = [parameter["description"] for parameter in operation["parameters"] if _is_open(parameter)]
    if open_:
        made["description"] = "\n\n".join([made.get("description", ""), *open_]).strip()
    responses = operation["responses"]
    # A problem comes whatever was asked for.
    kinds = [kind for response in responses.values() for kind in response.get("content", ())]
    made["produces"] = list(dict.fromkeys([*kinds, "application/problem+json"]))
    made["responses"] = {status: _response(found, headers) for status, found in responses.items()}
    return made


def _is_open(parameter: Mapping[str, Any]) -> bool:
    return bool(parameter.get("schema", {}).get("type") == "object")


def _parameter(parameter: Mapping[str, Any]) -> Document:
    if "$ref" in parameter:
        return {"$ref": _renamed(parameter["$ref"])}
    made = {name: parameter[name] for name in ("name", "in", "required", "description")}
    plain = {name: value for name, value in parameter["schema"].items() if name in _PLAIN}
    example = {"x-example": parameter["example"]} if "example" in parameter else {}
    return {**made, "type": "string", **plain, **example}


def _body(body: Mapping[str, Any]) -> Document:
    content = body["content"]
    chosen = content.get(JSON) or next(iter(content.values()))
    schema = schema_of(chosen["schema"])
    examples = list(chosen.get("examples", {}).values()) if len(content) == 1 else []
    if examples:
        # An example beside a reference would not be looked at.
        schema = {**({"allOf": [schema]} if "$ref" in schema else schema), "example": examples[0]["value"]}
    return {"name": "body", "in": "body", "required": body["required"], "schema": schema}


def _response(response: Mapping[str, Any], headers: Mapping[str, Any]) -> Document:
    if "$ref" in response:
        return {"$ref": _renamed(response["$ref"])}
    made: Document = {"description": response["description"]}
    made["headers"] = {name: _header(found, headers) for name, found in response["headers"].items()}
    content: Mapping[str, Any] = response.get("content", {})
    if content:
        # JSON has its own schema; what is sent beside it is not JSON, and is not looked at by it.
        kind = JSON if JSON in content else next(iter(content))
        schema = schema_of(content[kind]["schema"])
        # What is no JSON and no text, such as a stream of events, has no schema in Swagger 2.0.
        made["schema"] = schema if kind == JSON or schema.get("type") == "string" else {}
        examples = {
            kind: next(iter(found["examples"].values()))["value"]
            for kind, found in content.items()
            if "examples" in found
        }
        if examples:
            made["examples"] = examples
    return made


def _header(header: Mapping[str, Any], headers: Mapping[str, Any]) -> Document:
    if "$ref" in header:
        header = headers[header["$ref"].rpartition("/")[2]]
    plain = {name: value for name, value in header["schema"].items() if name in _PLAIN}
    return {"type": "string", **plain, "description": header["description"]}


def schema_of(schema: Mapping[str, Any]) -> Document:
    """The part of a JSON Schema 2020-12 that Swagger 2.0 can say; never more than the schema itself asks."""
    if "$ref" in schema:
        return {"$ref": _renamed(schema["$ref"])}
    made = {name: value for name, value in schema.items() if name in _IN_SCHEMAS}
    if "const" in schema:
        made["enum"] = [schema["const"]]
    _take_types(made)
    for name, taken in _NESTED.items():
        if name in schema:
            made[name] = taken(schema[name])
    _take_alternatives(made, schema.get("anyOf", ()))
    if made.get("type") == "array" and "items" not in made:
        made["items"] = {}
    if not made.get("required", True):
        del made["required"]
    return made


def _take_types(made: Document) -> None:
    """One type, and `x-nullable` where null may stand; of several types nothing can be said."""
    kinds = made.get("type")
    if kinds == "null":
        del made["type"]
        made["x-nullable"] = True
        made["enum"] = [None]
    elif isinstance(kinds, list):
        rest = [kind for kind in kinds if kind != "null"]
        del made["type"]
        if len(rest) == 1:
            made["type"] = rest[0]
        if "null" in kinds:
            made["x-nullable"] = True
    exclusive = made.pop("exclusiveMinimum", None)
    if exclusive is not None:
        made |= {"minimum": exclusive, "exclusiveMinimum": True}


def _take_alternatives(made: Document, alternatives: Iterable[Mapping[str, Any]]) -> None:
    """The one alternative to null; of several the type that all have, in so far as all have one."""
    given = list(alternatives)
    others = [one for one in given if one.get("type") != "null"]
    if len(others) < len(given):
        made["x-nullable"] = True
    if len(others) == 1:
        one = schema_of(others[0])
        made |= {**({"allOf": [one]} if "$ref" in one else one), **made}
    elif others and len(kinds := {str(one.get("type")) for one in others}) == 1 and kinds != {"None"}:
        made["type"] = kinds.pop()


def _renamed(ref: str) -> str:
    return next(new + ref.removeprefix(old) for old, new in _REFS.items() if ref.startswith(old))


def _items(found: Any) -> Any:
    return schema_of(found) if isinstance(found, Mapping) else {}


_NESTED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "properties": lambda found: {name: schema_of(one) for name, one in found.items()},
    "additionalProperties": lambda found: found if isinstance(found, bool) else schema_of(found),
    "items": _items,
}
