"""How often a call asks the MongoDB server: the table of the README, counted by the driver's own monitoring.

A call is made over the REST application, so that all that a face asks for is in the count.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pymongo import MongoClient

from omega import Omega
from omega.adapters.mongo import database as database_module
from omega.entrypoints.http.app import build
from omega.entrypoints.limits import Limits
from tests.support.mongo_commands import Sent
from tests.support.mongo_server import ReplicaSet
from tests.support.wsgi import Reply, call

README = Path(__file__).parents[2] / "README.md"
ROW = re.compile(r"^\| ([^|]+) \| (\d+)(?: \+ (\d+) for each [^|]+)? \|$", re.MULTILINE)
FRAME = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]})
SMALL = {"data": {"x": [1.0]}}
#: What every request reads besides: whether keys are needed.
OF_A_REQUEST = 1
SPEC = [["LinearRegression", {}]]
MIB = 1 << 20


class Api:
    """The REST application on a database, and how many commands a call of it sends."""

    def __init__(self, url: str, home: Path, sent: Sent) -> None:
        self.url, self.home, self._sent = url, home, sent
        self.omega = Omega(url, home=home)
        self._app = build(self.omega, Limits())

    def __call__(self, method: str, path: str, body: Any = None) -> Reply:
        raw = b"" if body is None else json.dumps(body).encode()
        reply = call(self._app, method, f"/api/v1{path}", body=raw)
        assert reply.status < 300, reply.body
        return reply

    def trips(self, method: str, path: str, body: Any = None) -> int:
        return self.count(lambda: self(method, path, body)) - OF_A_REQUEST

    def count(self, use: Callable[[], object]) -> int:
        self._sent.names.clear()
        use()
        return self._sent.names.total()


@pytest.fixture
def api(mongo: ReplicaSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    sent = Sent()
    monkeypatch.setattr(database_module, "MongoClient", partial(MongoClient, event_listeners=[sent]))
    api = Api(mongo.url_of(f"trips_{tmp_path.name}"[:60]), tmp_path, sent)
    datasets, models = api.omega.datasets, api.omega.models
    datasets.put(FRAME, "d")
    models.create("m", SPEC)
    api.omega.runtime.model("m").fit("d[x]", "d[y]")
    yield api
    api.omega.close()


def stated() -> dict[str, tuple[int, int]]:
    """The table of the README: a call's round trips, and those for each of what it counts besides."""
    text = README.read_text(encoding="utf-8")
    table = text[text.index("| call | round trips |") :].partition("\n\n")[0]
    return {call: (int(number), int(each or 0)) for call, number, each in ROW.findall(table)}


def test_a_call_asks_the_server_no_more_often_than_the_readme_says(api: Api) -> None:
    datasets = api.omega.datasets
    for _ in range(3):
        datasets.put(FRAME, "in three")
    for name in ("kept", "dropped"):
        datasets.put(FRAME, name)
    api.omega.runtime.model("m").predict(FRAME[["x"]])
    first = api("GET", "/model/m/predict?datax=d[x]&async=1").json["task_id"]
    found = {
        "predict, data in the request": [
            (api.trips("POST", "/model/m/predict", SMALL), 0),
            (api.trips("GET", "/model/m@2/predict", SMALL), 0),
        ],
        "predict, data in a dataset": [(api.trips("GET", "/model/m/predict?datax=in%20three[x]"), 3)],
        "load a model, at its first use in a process": [(loading(api), 0)],
        "read a dataset": [
            (api.trips("GET", "/dataset/d"), 1),
            (api.trips("GET", "/dataset/in%20three?x__gt=1&sort=-x&format=csv"), 3),
        ],
        "store a new dataset": [(api.trips("PUT", "/dataset/new", SMALL), 0)],
        "append to a dataset, or replace it": [
            (api.trips("PUT", "/dataset/kept", {"data": {"x": [1.5], "y": [1.5]}}), 0),
            (api.trips("PUT", "/dataset/kept", {"data": {"x": [1.5]}, "append": False}), 0),
        ],
        "remove a dataset": [(api.trips("DELETE", "/dataset/dropped"), 1)],
        "create a model": [(api.trips("POST", "/model/", {"name": "n", "pipeline": SPEC}), 0)],
        "fit a model, where it is done": [
            (api.count(lambda: api.omega.runtime.model("m").fit("d[x]", "d[y]")), 2)
        ],
        "store a notebook or a script": [
            (api.trips("PUT", "/job/j", {"code": "1"}), 0),
            (api.trips("PUT", "/script/s", {"code": "def run(om): return 1"}), 0),
        ],
        "a page of a list (of 1,000 or more objects: 3)": [
            (api.trips("GET", "/dataset/?limit=2"), 0),
            (api.trips("GET", "/model/"), 0),
            (api.trips("GET", "/task/"), 0),
            (api.count(datasets.list), 0),
        ],
        "submit a task": [
            (api.trips("GET", "/model/m/predict?datax=d[x]&async=1"), 1),
            (api.trips("PUT", "/model/m/fit?datax=d[x]&datay=d[y]&async=1"), 2),
        ],
        "status of a task": [(api.trips("GET", f"/task/{first}/status"), 0)],
    }
    api.omega._services.work.run_waiting()
    found["result of a task"] = [(api.trips("GET", f"/task/{first}/result"), 0)]
    with ExitStack() as stack:
        opened = api.count(lambda: stack.enter_context(Omega(api.url, home=api.home)))
        found["open the store"] = [(opened, 0)]
    allowed = stated()
    assert found.keys() == allowed.keys()
    over = {
        what: measured
        for what, measured in found.items()
        if any(trips > allowed[what][0] + allowed[what][1] * n for trips, n in measured)
    }
    assert over == {}


def test_the_round_trips_of_a_large_payload_grow_with_its_size(api: Api) -> None:
    """As docs/adr/0016 says."""
    datasets = api.omega.datasets
    for size in (2 * MIB, 40 * MIB):
        put = api.count(partial(datasets.put, np.zeros(size // 8), f"{size}"))
        get = api.count(partial(datasets.get, f"{size}"))
        assert put - 3 <= 8 + size // (32 * MIB)
        assert get - 2 <= 2 + size // (16 * MIB)


def loading(api: Api) -> int:
    """How many more round trips the first prediction of a process makes than the second."""
    with Omega(api.url, home=api.home) as fresh:
        ask = partial(fresh.runtime.model("m").predict, FRAME[["x"]])
        return api.count(ask) - api.count(ask)
