"""Operators of databases are text, in names, filters, bodies and headers, on SQLite and on MongoDB."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from omega import Omega
from omega.entrypoints.http.app import build
from omega.entrypoints.limits import Limits
from tests.support.mongo_server import replica_set
from tests.support.wsgi import Reply, call

OPERATORS: dict[str, Any] = {
    "$where": "sleep(10000) || true", "$gt": "", "$ne": None, "$regex": ".*", "__proto__": {"admin": True},
    "constructor": {"prototype": {}}, "a.$b": 1, "$set": {"kind": "x"}, "_id": {"$gt": ""}, "a.b.c": 1, "": 0,
    "' OR '1'='1": 1, "'; DROP TABLE record; --": 1, "%00": 1, "key": {"$in": []}, "$function": {"body": "f"},
}  # fmt: skip
TEXTS = [name for name in OPERATORS if name] + [
    "' UNION SELECT value FROM record --",
    '{"$gt": ""}',
    "1; --",
    "%",
]


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def omega(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Omega]:
    home: Path = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        with Omega(queue="memory://", home=home) as omega:
            yield omega
        return
    with replica_set() as members, Omega(members.url_of("omega"), queue="memory://", home=home) as omega:
        yield omega


@pytest.fixture(scope="module")
def app(omega: Omega) -> Any:
    app = build(omega, Limits())
    omega.datasets.put(list(range(3)), "other")
    rows = {"data": {"x": TEXTS, "n": list(range(len(TEXTS)))}}
    assert ask(app, "PUT", "/api/v1/dataset/texts", rows).status == 202
    return app


def ask(app: Any, method: str, uri: str, body: Any = None, **headers: str) -> Reply:
    import orjson

    content = b"" if body is None else orjson.dumps(body)
    return call(app, method, uri, body=content, headers={n.replace("_", "-"): v for n, v in headers.items()})


@pytest.fixture(autouse=True)
def all_is_there(app: Any) -> Iterator[None]:
    yield
    names = [
        found["data"]["name"] for found in ask(app, "GET", "/api/v1/dataset/?limit=1000").json["objects"]
    ]
    assert {"other", "texts"} <= set(names)


@pytest.fixture(autouse=True, scope="module")
def unharmed() -> None:
    """Not of the server that the other files attack."""


def test_filters_are_values(app: Any) -> None:
    for number, text in enumerate(TEXTS):
        for operator in ("", "__eq", "__in", "__startswith", "__endswith"):
            reply = ask(app, "GET", f"/api/v1/dataset/texts?x{operator}={quote(text, safe='')}&orient=list")
            assert reply.status == 200, (text, operator, reply.body)
            if operator in ("", "__eq"):
                assert reply.json["data"]["n"] == [number]


@pytest.mark.parametrize("name", [*OPERATORS, "x__$gt", "x__where", "x[$gt]", "$or", "x.$"])
def test_no_filter_is_an_operator(app: Any, name: str) -> None:
    reply = ask(app, "GET", f"/api/v1/dataset/texts?{quote(name, safe='')}=1")
    assert reply.status == 400, reply.body
    for parameter in ("sort", "columns", "limit", "version", "orient"):
        assert (
            ask(app, "GET", f"/api/v1/dataset/texts?{parameter}={quote(name or '$', safe='')}").status == 400
        )


def test_objects_of_operators_come_back_as_they_went_in(app: Any, omega: Omega) -> None:
    omega.datasets.put(OPERATORS, "operators")
    assert omega.datasets.get("operators") == OPERATORS
    columns = {name: [1] for name in OPERATORS}
    assert ask(app, "PUT", "/api/v1/dataset/columns?append=false", {"data": columns}).status in (202, 400)
    body = {"data": {"x": [1]}, "dtypes": {"$where": "int64"}}
    assert ask(app, "PUT", "/api/v1/dataset/d", body).status == 400


@pytest.mark.parametrize("name", [name for name in OPERATORS if name])
def test_names_are_names(app: Any, name: str) -> None:
    """Found, listed and removed is the one of exactly this name, if it is legal at all."""
    uri = f"/api/v1/dataset/{quote(name, safe='')}"
    written = ask(app, "PUT", uri, {"data": {"x": [1]}})
    assert written.status in (202, 400)
    assert ask(app, "GET", uri).status == (200 if written.status == 202 else 400)
    pattern = ask(app, "GET", f"/api/v1/dataset/?name={quote(name, safe='')}")
    assert pattern.status == 200 and pattern.json["meta"]["total_count"] <= 1
    assert ask(app, "DELETE", uri).status == written.status
    for resource in ("model", "job", "script", "task"):
        assert ask(app, "GET", f"/api/v1/{resource}/{quote(name, safe='')}").status in (400, 404)
        assert ask(app, "DELETE", f"/api/v1/{resource}/{quote(name, safe='')}").status in (400, 404)


@pytest.mark.parametrize("text", TEXTS)
def test_headers_are_text(app: Any, text: str) -> None:
    for name in ("bucket", "If_Match", "If_None_Match", "Idempotency_Key"):
        reply = ask(app, "PUT", "/api/v1/dataset/h", {"data": {"x": [1]}}, **{name: text})
        assert reply.status in (202, 400, 412), (name, reply.body)
    assert ask(app, "GET", "/api/v1/dataset/other", bucket=text).status in (400, 404)


@pytest.mark.parametrize(
    "value", [{"$gt": ""}, {"$ne": None}, ["$where"], {"__proto__": {}}, {"$regex": ".*"}]
)
def test_objects_in_the_place_of_texts_are_refused(app: Any, value: Any) -> None:
    linear = [["LinearRegression", {}]]
    for method, uri, body in (
        ("POST", "/api/v1/model/", {"name": value, "pipeline": linear}),
        ("POST", "/api/v1/model/", {"name": "m", "pipeline": value}),
        ("POST", "/api/v1/model/", {"name": "m", "pipeline": linear, "replace": value}),
        ("PUT", "/api/v1/dataset/d", {"data": {"x": [1]}, "orient": value}),
        ("PUT", "/api/v1/dataset/d", {"data": {"x": [1]}, "append": value}),
        ("PUT", "/api/v1/job/j", {"code": value}),
        ("PUT", "/api/v1/script/s", {"code": value}),
        ("PUT", "/api/v1/job/j/schedule", {"cron": value}),
    ):
        assert ask(app, method, uri, body).status in (400, 404), (uri, body)
