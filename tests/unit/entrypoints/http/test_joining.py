"""Predictions that are asked for at the same time are made together; each client gets its own answer."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from omega import Omega
from omega.adapters.sklearn_models.models import SklearnModelExecutor
from omega.entrypoints.http.app import build
from omega.entrypoints.http.asgi import WSGIBridge
from omega.entrypoints.http.threads import Threads
from omega.entrypoints.limits import Limits

Got = list[dict[str, Any]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many rows the models were asked about, each time."""
    rows: list[int] = []
    apply = SklearnModelExecutor.apply

    def counting(self: Any, model: Any, **given: Any) -> Any:
        rows.append(given["x"].num_rows)
        return apply(self, model, **given)

    monkeypatch.setattr(SklearnModelExecutor, "apply", counting)
    yield rows


def filled() -> Omega:
    om = Omega("memory://")
    om.datasets.put(pd.DataFrame({"x": np.arange(20.0), "y": np.arange(20.0) * 2}), "d")
    for name in ("m", "männlich"):
        om.models.create(name, [["LinearRegression", {}]])
        om.runtime.model(name).fit("d[x]", "d[y]")
    return om


def answers(om: Omega, *requests: tuple[str, str, Any]) -> list[tuple[int, dict[bytes, bytes], Any]]:
    """Status, headers and JSON of requests that come while the only thread is held up."""
    threads, gate = Threads(1), threading.Event()
    bridge = WSGIBridge(build(om, Limits()), threads=threads, max_body_bytes=10_000)

    async def one(method: str, path: str, content: Any) -> Got:
        got: Got = []
        body = b"" if content is None else json.dumps(content).encode()
        headers = [(b"host", b"localhost"), (b"content-length", str(len(body)).encode())]
        scope = {"type": "http", "method": method, "path": path, "http_version": "1.1", "headers": headers}
        target, _, query = path.partition("?")
        scope |= {"raw_path": target.encode(), "query_string": query.encode()}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            got.append(dict(message))

        await bridge(scope, receive, send)
        return got

    async def main() -> list[Got]:
        held = asyncio.ensure_future(threads.run(gate.wait))
        await asyncio.sleep(0)
        waiting = [asyncio.ensure_future(one(*request)) for request in requests]
        for _ in range(5):
            await asyncio.sleep(0)
        gate.set()
        await held
        return await asyncio.gather(*waiting)

    found = []
    for start, *parts in asyncio.run(main()):
        body = b"".join(part["body"] for part in parts)
        headers = dict(start["headers"])
        assert len(start["headers"]) == len(headers)
        assert not body or headers[b"content-length"] == str(len(body)).encode()
        found.append((start["status"], headers, json.loads(body) if body else None))
    return found


def predict(*x: Any, method: str = "PUT", name: str = "m", query: str = "") -> tuple[str, str, Any]:
    return method, f"/api/v1/model/{name}/predict/{query}", {"data": {"x": list(x)}}


def test_all_are_asked_at_once(asked: list[int]) -> None:
    found = answers(filled(), *[predict(float(n), n + 0.5) for n in range(10)])
    assert asked == [20]
    for n, (status, headers, body) in enumerate(found):
        assert status == 202
        assert headers[b"content-type"] == b"application/json"
        assert headers[b"x-content-type-options"] == b"nosniff"
        assert body["model"] == "m"
        assert body["result"] == pytest.approx([2 * n, 2 * n + 1])
    assert len({headers[b"x-request-id"] for _, headers, _ in found}) == 10


def test_the_answer_is_that_of_one_alone(asked: list[int]) -> None:
    om = filled()
    ((_, alone, body),) = answers(om, predict(1.5))
    together = answers(om, *[predict(1.5)] * 3)
    for _, headers, same in together:
        assert same == body
        assert headers.keys() == alone.keys()
    assert asked == [1, 3]


def test_only_who_asks_what_cannot_be_answered_has_an_error(asked: list[int]) -> None:
    found = answers(filled(), predict(1.0), predict(1.0, None), predict("a"), predict(3.0))
    assert [status for status, _, _ in found] == [202, 400, 400, 202]
    assert "NaN" in found[1][2]["detail"]
    assert found[1][1][b"content-type"] == b"application/problem+json"
    assert found[0][2]["result"] + found[3][2]["result"] == pytest.approx([2.0, 6.0])


def test_of_those_asked_together_only_one_has_an_error(asked: list[int]) -> None:
    """All are columns of floats that were not only floats as they came, so that they are asked together."""
    found = answers(filled(), predict(1, 2.5), predict(1.5, None), predict(3, 4.5))
    assert [status for status, _, _ in found] == [202, 400, 202]
    assert found[2][2]["result"] == pytest.approx([6.0, 9.0])
    assert asked == [6, 2, 2, 2]


def test_methods_and_models_keep_apart(asked: list[int]) -> None:
    requests = [
        predict(1.0),
        predict(1.0, method="POST"),
        predict(2.0, name="m%C3%A4nnlich"),
        predict(None, 1.0, name="m%C3%A4nnlich"),
        ("PUT", "/api/v1/model/m/predict_proba/", {"data": {"x": [1.0]}}),
        ("GET", "/api/v1/model/m/predict/?datax=d[x]", None),
        ("HEAD", "/api/v1/model/m/predict/?datax=d[x]", None),
        ("PUT", "/api/v1/model/none/predict/", {"data": {"x": [1.0]}}),
    ]
    found = answers(filled(), *requests)
    assert [status for status, _, _ in found] == [202, 201, 202, 400, 400, 200, 200, 404]
    assert found[2][2]["model"] == "männlich"
    assert len(found[5][2]["result"]) == 20
    # As GET, without the body.
    assert found[6][2] is None
    assert int(found[6][1][b"content-length"]) > 100


def test_batching_can_be_turned_off(asked: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMEGA_BATCHING", "off")
    found = answers(filled(), *[predict(float(n)) for n in range(4)])
    assert [body["result"][0] for _, _, body in found] == pytest.approx([0, 2, 4, 6])
    assert asked == [1, 1, 1, 1]
