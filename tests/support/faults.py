"""kill -9 of everything that has to do with a task, at random moments, again and again."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import requests
from attrs import define, field

from omega.adapters.embedded.records import SqliteRecordStore
from tests.support import tasks
from tests.support.processes import CHILD, GUARD, SUPERVISOR, below, kill, of_home
from tests.support.served import eventually
from tests.support.server import Server, start

LEASE_S = 1
#: "Within lease + 5 s of the restart"; the machine that runs these tests is busy with them, and has to start
#: servers and import scikit-learn in that time.
ENDS_WITHIN_S = LEASE_S + 5
FIT_S = 0.5


@define
class Faults:
    """A server with a worker, whose parts are killed while fits run. `queue` is empty for the embedded
    one."""

    home: Path
    queue: str = ""
    random: Random = field(factory=lambda: Random(7))
    server: Server = field(init=False)
    #: The version of the model and the acknowledged fits that made it.
    version: int = 1
    seen: Counter[str] = field(factory=Counter)

    def __attrs_post_init__(self) -> None:
        self.start()
        tasks.slow_model(self.server, "m", steps=200)
        self.settle([tasks.submit(self.server, "m")])

    def start(self) -> None:
        env = {"OMEGA_TASK_LEASE_S": str(LEASE_S)} | ({"OMEGA_QUEUE": self.queue} if self.queue else {})
        self.server = start(self.home, env=env)

    def round(self, strike: Callable[[], Any]) -> None:
        """Two fits and a prediction are under way when something is killed; all of them end, and
        truthfully."""
        ids = [tasks.submit(self.server, "m"), tasks.submit(self.server, "m")]
        ids.append(tasks.submit(self.server, "m", "predict"))
        time.sleep(self.random.uniform(0, FIT_S))
        strike()
        self.settle(ids)

    def settle(self, ids: list[str]) -> None:
        statuses = [tasks.ended(self.server, id, within_s=60) for id in ids]
        results = [tasks.result(self.server, id) for id in ids]
        for id, status, result in zip(ids, statuses, results, strict=True):
            assert status in ("SUCCESS", "FAILURE"), result
            assert result["status"] == status and result["response"] is not None
            # It is read again, and is the same.
            assert tasks.result(self.server, id)["response"].get("result") == result["response"].get("result")
        self.seen.update(statuses)
        made = [
            result["response"]["version"]
            for result in results
            if result["status"] == "SUCCESS" and result["response"]["result"] == "ok"
        ]
        now = tasks.version(self.server, "m")
        assert sorted(made) == list(range(self.version + 1, now + 1)), "a fit made no version, or two"
        self.version = now

    # what is killed

    def child(self) -> None:
        """A process that carries out tasks, or its guard."""
        victims = below(self.server.process.pid, self.random.choice([CHILD, CHILD, GUARD]))
        if victims:
            kill([self.random.choice(victims)])

    def worker(self) -> None:
        """The worker's supervisor: the server starts another."""
        kill(below(self.server.process.pid, SUPERVISOR))

    def whole_server(self) -> None:
        """All of the server's own processes; its worker sees that it is gone."""
        self.server.kill()
        self.start()

    # at the end

    def check_nothing_is_left(self) -> None:
        listed = []
        while page := self.server.get("/task/", params={"limit": 1000, "offset": len(listed)}).json()[
            "objects"
        ]:
            listed += page
        assert {task["status"] for task in listed} <= {"SUCCESS", "FAILURE"}
        self.server.stop()
        eventually(lambda: not of_home(str(self.home)))
        store = SqliteRecordStore(self.home / "store" / "records.sqlite")
        assert store.page("task-open/").total == 0
        assert store.page("task/").total == store.page("task-ended/").total == len(listed)
        store.close()


def many_clients(server: Server, *, clients: int = 8, each: int = 50) -> None:
    """Tasks of many clients at once: each is carried out once, and has the answer that it should have."""
    tasks.slow_model(server, "m", steps=1, rows=200)
    server.post(
        "/model/", json={"name": "twice", "pipeline": [["LinearRegression", {}]], "replace": True}
    ).raise_for_status()
    fit = {"datax": {"x": [0, 1, 2]}, "datay": {"y": [0, 2, 4]}}
    assert server.put("/model/twice/fit/", json=fit).status_code == 202
    wrong: list[str] = []

    def client(number: int) -> None:
        mine = Server(server.port, server.process, server.log, requests.Session())
        wanted = {}
        for n in range(each):
            value = number * each + n
            response = mine.post("/model/twice/predict/?async=1", json={"data": {"x": [value]}})
            wanted[response.json()["task_id"]] = 2 * value
        for id, value in wanted.items():
            status = tasks.ended(mine, id, within_s=120)
            found = tasks.result(mine, id)
            if status != "SUCCESS" or abs(found["response"]["result"][0] - value) > 1e-6:
                wrong.append(f"{value}: {found}")
            if mine.get(f"/task/{id}").json()["attempts"] != 1:
                wrong.append(f"{id} was carried out more than once")

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:5]
    predicted = [
        task
        for offset in range(0, 1000, 1000)
        for task in server.get("/task/", params={"limit": 1000, "offset": offset}).json()["objects"]
        if task["name"] == "twice" and task["action"] == "predict"
    ]
    assert len(predicted) == clients * each
