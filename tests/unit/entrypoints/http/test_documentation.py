"""The API's descriptions say what is served, all of it; the pages that show them bring all that they need."""

import copy
import gzip
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV31SpecValidator

from omega import Omega
from omega.entrypoints.http import errors
from omega.entrypoints.http.app import build, routes
from omega.entrypoints.http.documented import common, datasets
from omega.entrypoints.http.openapi import openapi
from omega.entrypoints.http.operations import Answer
from omega.entrypoints.http.routing import Response, Route
from omega.entrypoints.http.swagger import schema_of, swagger
from omega.entrypoints.limits import Limits
from tests.support.wsgi import Reply, call

ASSETS = Path(errors.__file__).parent / "assets"
LIST = Route(
    "GET",
    "/api/v1/dataset",
    lambda _: Response(200),
    query=frozenset({"limit", "offset", "name"}),
    summary="List datasets",
    doc=datasets.LIST,
)


@pytest.fixture(scope="module")
def served() -> list[Route]:
    return routes(Omega("memory://"), Limits())


@pytest.fixture(scope="module")
def document(served) -> dict[str, Any]:
    return openapi(served, version="1.2.3")


@pytest.fixture(scope="module")
def older(document) -> dict[str, Any]:
    return swagger(document)


@pytest.fixture(scope="module")
def app():
    return build(Omega("memory://"), Limits())


def get(app: Any, path: str, method: str = "GET", **headers: str) -> Reply:
    return call(app, method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})


# what is described


def test_both_descriptions_are_valid(document, older):
    OpenAPIV31SpecValidator(document).validate()
    OpenAPIV2SpecValidator(older).validate()


def test_every_route_is_described_and_nothing_else(served, document, older):
    wanted = {
        (route.method.lower(), re.sub(r"<(\w+)(:name)?>", r"{\1}", route.path))
        for route in served
        if not route.internal
    }
    for description in (document, older):
        found = {(method, path) for path, item in description["paths"].items() for method in item}
        assert found == wanted
    assert ("get", "/api/v1/ping") in wanted and ("get", "/api/redoc") in wanted


def test_both_descriptions_say_the_same_of_statuses_and_parameters(document, older):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            other = older["paths"][path][method]
            assert operation["responses"].keys() == other["responses"].keys()
            assert operation["operationId"] == other["operationId"]
            assert ("requestBody" in operation) == any(p.get("in") == "body" for p in other["parameters"])
            if "requestBody" in operation:
                assert list(operation["requestBody"]["content"]) == other["consumes"]


def test_keys_can_be_sent_as_they_are_described(document, older):
    assert document["components"]["securitySchemes"].keys() == {"bearer", "userAndKey"}
    assert document["security"] == [{"bearer": []}, {"userAndKey": []}, {}]
    assert older["securityDefinitions"].keys() == {"userAndKey"}
    assert older["security"] == [{"userAndKey": []}, {}]
    for description in (document, older):
        assert description["paths"]["/api/v1/ping"]["get"]["security"] == []
        assert "security" not in description["paths"]["/api/v1/dataset"]["get"]


@pytest.mark.parametrize(
    ("route", "fault"),
    [
        (evolve(LIST, doc=None), "GET /api/v1/dataset is not described"),
        (evolve(LIST, summary=""), "has no summary"),
        (evolve(LIST, query=frozenset({"limit", "colour"})), r"differ in \['colour', 'name', 'offset'\]"),
        (evolve(LIST, path="/api/v1/dataset/<name:name>"), r"describes the parameters \[\] of its path"),
        (evolve(LIST, filters=True), "further query parameters"),
        (evolve(LIST, doc=evolve(datasets.LIST, tag="zoo")), "unknown tag 'zoo'"),
        (
            evolve(LIST, doc=evolve(datasets.LIST, answers={400: Answer("So.")})),
            r"describes the statuses \[400\] twice",
        ),
    ],
)
def test_a_route_that_is_not_described_as_it_is_is_refused(route, fault):
    with pytest.raises(ValueError, match=fault):
        openapi([route], version="1")
    openapi([LIST], version="1")


def test_an_internal_route_is_not_described():
    assert openapi([evolve(LIST, internal=True, doc=None)], version="1")["paths"] == {}


def test_every_status_of_an_error_has_a_description():
    known = {int(answer.status) for answer in errors.ANSWERS.values()}
    for cls in (errors.RouteNotFound, errors.MethodNotAllowed, errors.RequestTimeout, errors.HttpError):
        known.add(int(cls.status))
    assert known <= common.ERRORS.keys()


def test_names_of_operations_and_links_are_sound(document):
    operations = {o["operationId"]: o for item in document["paths"].values() for o in item.values()}
    assert len(operations) == sum(map(len, document["paths"].values()))
    links = [
        link
        for operation in operations.values()
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert len(links) > 20
    for link in links:
        target = operations[link["operationId"]]
        assert link["parameters"].keys() == {p["name"] for p in target["parameters"] if p.get("in") == "path"}


def test_every_shared_part_is_used(document):
    text = str(document)
    for kind, parts in document["components"].items():
        for name in parts:
            assert f"#/components/{kind}/{name}'" in text or kind in ("headers", "securitySchemes"), name


def test_every_answer_of_the_api_with_content_has_an_example(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for response in operation["responses"].values():
                content = response.get("content", {}).get("application/json")
                if content and "/specs/" not in path:
                    assert content["examples"], f"{method} {path}"


# examples


def examples(document: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """Each example of an OpenAPI 3.1 description, and its schema."""
    stack: list[Any] = [document]
    while stack:
        found = stack.pop()
        if isinstance(found, list):
            stack += found
        elif isinstance(found, dict):
            if "schema" in found:
                yield from ((found["schema"], one["value"]) for one in found.get("examples", {}).values())
                if "example" in found:
                    yield found["schema"], found["example"]
            stack += found.values()


def test_every_example_is_as_its_schema_says(document, served):
    found = list(examples(document))
    assert len(found) > 60
    parameters = [p for route in served if route.doc for p in route.doc.parameters if p.example is not None]
    assert len(parameters) > 60
    for schema, value in [*found, *((p.schema, p.example) for p in parameters)]:
        whole = {**schema, "components": document["components"]}
        jsonschema.Draft202012Validator(whole).validate(value)


def test_an_example_that_is_wrong_would_be_found(document):
    wrong = copy.deepcopy(document)
    content = wrong["paths"]["/api/v1/ping"]["get"]["responses"]["200"]["content"]["application/json"]
    content["examples"]["pong"]["value"] = {"ping": "pang"}
    schema, value = next((s, v) for s, v in examples(wrong) if v == {"ping": "pang"})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(value)


def test_examples_of_the_older_description_are_as_its_schemas_say(older):
    count = 0
    for item in older["paths"].values():
        for operation in item.values():
            bodies = [p["schema"] for p in operation["parameters"] if p.get("in") == "body"]
            pairs = [(schema, schema["example"]) for schema in bodies if "example" in schema]
            for response in operation["responses"].values():
                if "schema" in response:
                    pairs += [(response["schema"], value) for value in response.get("examples", {}).values()]
            for schema, value in pairs:
                draft4({**schema, "definitions": older["definitions"]}).validate(value)
                count += 1
    assert count > 40


# schemas in Swagger 2.0


def draft4(schema: Any) -> jsonschema.Draft4Validator:
    """A validator for a schema of Swagger 2.0, in which null may stand where `x-nullable` says so."""
    return jsonschema.Draft4Validator(_plain(schema))


def _plain(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    rest = {name: _plain(value) for name, value in schema.items() if name != "x-nullable"}
    return {"anyOf": [{"type": "null"}, rest]} if schema.get("x-nullable") is True else rest


LEAVES = st.sampled_from(
    [
        {},
        {"type": "null"},
        {"type": "string", "pattern": "^a"},
        {"type": "integer", "minimum": 1, "maximum": 2},
        {"type": "number", "exclusiveMinimum": 0},
        {"type": ["string", "null"]},
        {"type": ["string", "integer"]},
        {"const": True},
        {"enum": ["a", 1]},
    ]
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(
            lambda items: {"type": "array", "prefixItems": items, "items": False}, st.lists(inner, min_size=1)
        ),
        st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(
            lambda properties: {"type": "object", "additionalProperties": False, "properties": properties},
            st.dictionaries(st.sampled_from("ab"), inner),
        ),
        st.builds(lambda more: {"type": "object", "required": ["a"], "additionalProperties": more}, inner),
    ),
    max_leaves=5,
)
SCALARS = st.sampled_from([None, True, "a", "b", 0, 1, 2, 0.5])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)


@given(SCHEMAS, VALUES)
def test_swagger_never_refuses_what_the_schema_allows(schema, value):
    derived = schema_of(schema)
    assert not {"anyOf", "prefixItems", "const"} & set(re.findall(r"'(\w+)':", str(derived)))
    if jsonschema.Draft202012Validator(schema).is_valid(value):
        draft4(derived).validate(value)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "number", "exclusiveMinimum": 0}, 0),
        ({"const": True}, False),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1),
        ({"anyOf": [{"type": "array"}, {"type": "array", "maxItems": 1}]}, "a"),
        ({"type": ["integer", "null"]}, "a"),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, {"a": 1}),
        ({"type": "array", "items": {"type": "string"}}, [1]),
        ({"type": "object", "additionalProperties": False}, {"a": 1}),
    ],
)
def test_swagger_still_refuses_what_it_can(schema, value):
    assert not draft4(schema_of(schema)).is_valid(value)


# what is served


def test_the_descriptions_are_served(app, document, older):
    for name, wanted in (("openapi", document), ("swagger", older)):
        reply = get(app, f"/api/doc/v1/specs/{name}.json")
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
        assert reply.json["paths"] == wanted["paths"]
        assert reply.json["info"]["version"] != "1.2.3"
        assert get(app, f"/api/doc/v1/specs/{name}.json", "HEAD").status == 200
        assert get(app, f"/api/doc/v1/specs/{name}.json", "PUT").headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("path", ["/api/doc/v1", "/api/doc/v1/", "/api/redoc", "/api/redoc/"])
def test_a_page_names_nothing_that_is_not_here(app, path):
    reply = get(app, path)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    text = reply.body.decode()
    named = re.findall(r'(?:href|src)="([^"]*)"', text)
    assert len(named) >= 7
    for uri in named:
        assert uri == "data:," or get(app, uri).status == 200, uri
    assert "://" not in text and "<script>" not in text and " style=" not in text and " on" not in text
    directives = dict(
        part.strip().partition(" ")[::2] for part in reply.headers["content-security-policy"].split(";")
    )
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["connect-src"] == "'self'"
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert "http" not in reply.headers["content-security-policy"]


def test_every_file_is_served_whole_and_compressed_for_those_who_take_it(app):
    files = [file for file in ASSETS.iterdir() if file.suffix != ".py"]
    assert len(files) >= 11 and sum(file.stat().st_size for file in files) < 1_000_000
    for file in files:
        name, packed = file.name.removesuffix(".gz"), file.suffix == ".gz"
        plain = get(app, f"/api/doc/v1/assets/{name}")
        assert plain.status == 200 and "content-encoding" not in plain.headers
        assert plain.body == (gzip.decompress(file.read_bytes()) if packed else file.read_bytes())
        small = get(app, f"/api/doc/v1/assets/{name}", Accept_Encoding="br, gzip")
        assert small.body == file.read_bytes()
        assert small.headers.get("content-encoding") == ("gzip" if packed else None)
        again = get(app, f"/api/doc/v1/assets/{name}", If_None_Match=plain.headers["etag"])
        assert (again.status, again.body) == (304, b"")
        assert small.headers["vary"] == "Accept-Encoding"


def test_licences_come_with_the_files():
    for name in ("swagger-ui.LICENSE.txt", "redoc.LICENSE.txt", "swagger-ui.NOTICE.txt"):
        assert (ASSETS / name).stat().st_size > 50


@pytest.mark.parametrize("name", ["no.js", "..", "__init__.py", "%2e%2e%2fpages.py", "swagger-ui.css.gz"])
def test_other_files_are_not_there(app, name):
    reply = get(app, f"/api/doc/v1/assets/{name}")
    assert reply.status == 404 and reply.headers["content-type"] == "application/problem+json"


def test_the_files_ask_no_other_server_for_a_picture():
    text = gzip.decompress((ASSETS / "redoc.standalone.js.gz").read_bytes())
    assert b"cdn.redoc.ly" not in text
    assert b"validatorUrl: null" in (ASSETS / "swagger-page.js").read_bytes()
