"""Tasks: how long from the call to its end, how many a second, and what a list costs when it is long.

    python bench/tasks.py

Each figure stands beside its reference, measured in turn in the same run: a task beside the same call
answered at once, the list of 10,000 tasks beside that of 100.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import requests

from omega.adapters.embedded.records import SqliteRecordStore
from omega.adapters.system.clock import SystemClock
from omega.adapters.system.ids import TimeOrderedIds
from omega.domain.tasks import Call, Task, TaskRecords
from omega.domain.tasks.records import new_id
from tests.support.server import running

ROUNDS = 100
BATCH = 400


def main() -> None:
    with tempfile.TemporaryDirectory() as home, running(Path(home)) as server:
        server.put("/dataset/d/", json={"data": {"x": [1, 2], "y": [2, 4]}}).raise_for_status()
        server.post("/model/", json={"name": "m", "pipeline": [["LinearRegression", {}]]}).raise_for_status()
        server.put("/model/m/fit/?datax=d[x]&datay=d[y]").raise_for_status()
        wait_for_processes(server.url)
        compare("predict, one row", lambda: at_once(server), lambda: as_task(server))
        started = time.perf_counter()
        ids = [submitted(server) for _ in range(BATCH)]
        for id in ids:
            ended(server, id)
        print(
            f"{BATCH} tasks, 2 processes, one client: {BATCH / (time.perf_counter() - started):.0f} a second"
        )
    with tempfile.TemporaryDirectory() as home:
        few, many = filled(Path(home) / "few", 100), filled(Path(home) / "many", 10_000)
        page = {"offset": 0, "limit": 20}
        compare(
            "list of 100 and of 10,000 tasks",
            lambda: few.page("store", **page),
            lambda: many.page("store", **page),
        )


def compare(what: str, reference: Callable[[], object], measured: Callable[[], object]) -> None:
    """Both in turn; medians, and how often the reference fits into the other."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for call, found in zip((reference, measured), times, strict=True):
            started = time.perf_counter()
            call()
            found.append((time.perf_counter() - started) * 1000)
    first, second = map(statistics.median, times)
    p90 = sorted(times[1])[ROUNDS * 9 // 10]
    print(f"{what}: {first:.2f} ms and {second:.2f} ms (p90 {p90:.2f}), {second / first:.1f} x")


def at_once(server) -> None:
    server.get("/model/m/predict/?datax=d[x]").raise_for_status()


def submitted(server) -> str:
    return server.get("/model/m/predict/?datax=d[x]&async=1").json()["task_id"]


def as_task(server) -> None:
    ended(server, submitted(server))


def ended(server, id: str) -> None:
    while server.get(f"/task/{id}/status").json()["status"] != "SUCCESS":
        time.sleep(0.001)


def wait_for_processes(url: str) -> None:
    """Until both processes are warm."""
    for _ in range(20):
        requests.get(f"{url}/model/m/predict/?datax=d[x]&async=1", timeout=10)
    time.sleep(3)


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


if __name__ == "__main__":
    print(f"python {sys.version.split()[0]}, {os.cpu_count()} cores")
    main()
