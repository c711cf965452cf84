"""Tasks (f): how long a trivial one takes from its submission to the SUCCESS that the client sees, and how
many a second two processes carry out, on the embedded queue and on Redis.

The task is a prediction of one row (`async=1`); the same prediction answered at once is measured in turn.
What a list of tasks costs when it is long stands beside a short one.
"""

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import requests

from bench.measuring import AT_LEAST, AT_MOST, Finding, Series, in_turn
from omega.adapters.embedded.records import SqliteRecordStore
from omega.adapters.system.clock import SystemClock
from omega.adapters.system.ids import TimeOrderedIds
from omega.domain.tasks import Call, Task, TaskRecords
from omega.domain.tasks.records import new_id
from tests.support.redis_server import RedisServer
from tests.support.server import Server, running

ROW: Final = {"data": [[1.0]], "columns": ["x"]}
CLIENTS: Final = 4


def findings(*, quick: bool) -> Iterator[Finding]:
    for name, queue in (("embedded queue", nullcontext()), ("redis", RedisServer())):
        with queue as redis, tempfile.TemporaryDirectory() as home:
            env = {} if redis is None else {"OMEGA_QUEUE": redis.url}
            with running(Path(home), env=env) as server:
                prepare(server)
                yield latency(server, name, rounds=30 if quick else 200)
                yield throughput(server, name, count=200 if quick else 1000)
    yield long_list(rounds=20 if quick else 100)


def prepare(server: Server) -> None:
    """A model, and both processes of the worker warm."""
    server.put("/dataset/d/", json={"data": {"x": [1.0, 2], "y": [2.0, 4]}}).raise_for_status()
    server.post("/model/", json={"name": "m", "pipeline": [["LinearRegression", {}]]}).raise_for_status()
    server.put("/model/m/fit/?datax=d[x]&datay=d[y]").raise_for_status()
    # The first tasks wait for the processes, and load the model in each.
    for id in [submitted(server.session, server.url) for _ in range(40)]:
        ended(server.session, server.url, id)


def latency(server: Server, name: str, *, rounds: int) -> Finding:
    def at_once() -> None:
        answer = server.put("/model/m/predict/", json=ROW)
        assert is_right(answer.json()["result"])

    def as_task() -> None:
        assert is_right(ended(server.session, server.url, submitted(server.session, server.url)))

    task, answered = in_turn(as_task, at_once, rounds=rounds, warmup=5)
    told = f"trivial task on the {name}, submission to SUCCESS (the same at once: {answered.median:.1f} ms)"
    return Finding("f", told, task, AT_MOST, 30)


def throughput(server: Server, name: str, *, count: int) -> Finding:
    """Tasks a second, submitted and asked for by several clients at once."""

    def client(count: int) -> None:
        with requests.Session() as session:
            ids = [submitted(session, server.url) for _ in range(count)]
            for id in reversed(ids):
                # To ask again at once would take the time of those who work.
                assert is_right(ended(session, server.url, id, pause_s=0.05))

    with ThreadPoolExecutor(CLIENTS) as clients:
        started = time.perf_counter()
        list(clients.map(client, [count // CLIENTS] * CLIENTS))
        a_second = count / (time.perf_counter() - started)
    told = f"tasks a second on the {name}, 2 processes, {CLIENTS} clients that submit and ask"
    # All of the machine is at work then: the figure moves with it by half, from one run to the next.
    return Finding("f", told, Series([a_second], "/s"), AT_LEAST, 100, guard=60)


def is_right(result: Any) -> bool:
    return [round(value, 9) for value in result] == [2.0]


def submitted(session: requests.Session, url: str) -> str:
    answer = session.put(f"{url}/model/m/predict/?async=1", json=ROW, timeout=30)
    assert answer.status_code == 202, answer.text
    id: str = answer.json()["task_id"]
    return id


def ended(session: requests.Session, url: str, id: str, *, pause_s: float = 0.001) -> Any:
    """The result of a task, once there is one."""
    while True:
        told = session.get(f"{url}/task/{id}/result", timeout=30).json()
        if told["status"] == "SUCCESS":
            return told["response"]["result"]
        assert told["status"] in ("PENDING", "STARTED"), told
        time.sleep(pause_s)


def long_list(*, rounds: int) -> Finding:
    with tempfile.TemporaryDirectory() as home:
        few, many = filled(Path(home) / "few", 100), filled(Path(home) / "many", 10_000)
        found = in_turn(
            lambda: many.page("store", offset=0, limit=20),
            lambda: few.page("store", offset=0, limit=20),
            rounds=rounds,
        )
    return Finding(
        "f", "a page of a list of 10,000 tasks", found[0], AT_MOST, 1.3, found[1], "of 100 tasks", guard=2.0
    )


def filled(path: Path, count: int) -> TaskRecords:
    path.mkdir()
    records, ids, clock = (
        TaskRecords(SqliteRecordStore(path / "records.sqlite")),
        TimeOrderedIds(),
        SystemClock(),
    )
    for _ in range(count):
        records.create(Task("store", new_id(ids), Call("model", "m", "fit"), clock.now(), 60, 3))
    return records
