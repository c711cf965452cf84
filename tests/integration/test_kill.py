"""kill -9 in the middle of put, append, replace and delete: nothing acknowledged is lost, no half state is
seen. (Fits are tasks: they are killed in `test_task_faults.py`.)
"""

import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import requests
from attrs import define, field

from tests.support.server import Server, start

ROUNDS = 60


def frame(**columns: list[int]) -> dict[str, Any]:
    return {"data": columns, "append": False}


@define
class Client(threading.Thread):
    """Sends requests one after the other until the server is gone. `acknowledged` counts, `attempted` may be
    one ahead.
    """

    server: Server
    attempted: int = 0
    acknowledged: int = 0
    errors: list[str] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        self.server.session = requests.Session()
        try:
            while True:
                self.attempted += 1
                response = self.send(self.attempted)
                if response.status_code >= 300:
                    self.errors.append(response.text)
                    return
                self.acknowledged = self.attempted
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            return

    def send(self, number: int) -> requests.Response:
        raise NotImplementedError

    def check(self) -> None:
        raise NotImplementedError


class Appender(Client):
    """Every batch has three rows of its own number: it is there once and whole, or not at all."""

    def send(self, number):
        return self.server.put("/dataset/log/", json={"data": {"batch": [number] * 3, "part": [0, 1, 2]}})

    def check(self):
        rows = self.server.get("/dataset/log", params={"orient": "values"})
        found = Counter(batch for batch, _ in rows.json()["data"]) if rows.status_code == 200 else Counter()
        assert set(found.values()) <= {3}, "a batch is there in part, or twice"
        assert set(range(1, self.acknowledged + 1)) <= found.keys() <= set(range(1, self.attempted + 1))
        self.acknowledged = self.attempted = max(found, default=0)


class Replacer(Client):
    """Generation n has n % 50 + 1 rows, all n: readers see one generation, the last acknowledged or the one
    on its way.
    """

    def send(self, number):
        return self.server.put("/dataset/swap/", json=frame(n=[number] * (number % 50 + 1)))

    def check(self):
        response = self.server.get("/dataset/swap", params={"orient": "values"})
        rows = [row[0] for row in response.json()["data"]] if response.status_code == 200 else [0]
        assert len(set(rows)) == 1, "a mix of generations"
        assert rows[0] in (self.acknowledged, self.attempted)
        assert rows[0] == 0 or len(rows) == rows[0] % 50 + 1
        self.acknowledged = self.attempted = rows[0]


class Deleter(Client):
    """Odd requests put, even requests delete the dataset."""

    def send(self, number):
        if number % 2:
            return self.server.put("/dataset/brief/", json=frame(x=[number, number]))
        return self.server.delete("/dataset/brief/")

    def check(self):
        response = self.server.get("/dataset/brief")
        present = response.status_code == 200
        assert response.status_code in (200, 404), response.text
        if present:
            values = set(response.json()["data"]["x"].values())
            assert values <= {self.acknowledged, self.attempted, self.acknowledged - 1} and len(values) == 1
        done = self.acknowledged % 2 == 1
        pending = self.attempted % 2 == 1
        assert present in (done, pending)
        # Go on with the request that fits what is there.
        self.attempted = self.acknowledged = self.attempted if present == pending else self.acknowledged


def test_kill_at_any_moment(tmp_path: Path) -> None:
    chance = random.Random(20261123)
    clients: list[Client] = []
    server = start(tmp_path)
    progress = Counter[str]()
    for _ in range(ROUNDS):
        before = {type(client): client for client in clients}
        clients = [kind(server) for kind in (Appender, Replacer, Deleter)]
        for client in clients:
            if old := before.get(type(client)):
                client.attempted, client.acknowledged = old.attempted, old.acknowledged
            client.server = Server(server.port, server.process, server.log)
            client.start()
        time.sleep(chance.uniform(0.02, 0.4))
        server.kill()
        for client in clients:
            client.join(30)
            assert not client.errors
            progress[type(client).__name__] += client.acknowledged
        server = start(tmp_path)
        for client in clients:
            client.server = server
            client.check()
    assert set(progress) == {"Appender", "Replacer", "Deleter"} and min(progress.values()) > ROUNDS
    for number in range(1, server.get("/dataset/swap").json()["version"] + 1):
        assert server.get(f"/dataset/swap@{number}").status_code == 200
    assert server.stop() == 0
