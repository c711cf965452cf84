"""Two servers and three workers, each on a machine of its own as far as files go, on one replica set and one
Redis: they are started from the units in `deploy/` and answer as one process does.
"""

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
import requests
from attrs import define, frozen

from omega import Omega
from omega.adapters.huey_queue.redis import RedisQueue
from omega.adapters.mongo.database import _parse
from omega.entrypoints.http.app import build
from omega.entrypoints.limits import Limits
from omega.entrypoints.settings import load
from tests.support import tasks
from tests.support.mongo_server import ReplicaSet, replica_set
from tests.support.redis_server import RedisServer
from tests.support.server import OM, Server, environment, free_port
from tests.support.server_process import program
from tests.support.units import INSTALLED_OM, Running, Unit, env_file
from tests.support.wsgi import call

SERVER, WORKER = Unit("omega-server"), Unit("omega-worker")


def test_the_units_are_sound(tmp_path: Path) -> None:
    analyze = program("systemd-analyze", package="systemd")
    for unit in (SERVER, WORKER):
        text = unit.path.read_text()
        assert INSTALLED_OM in text
        (tmp_path / unit.path.name).write_text(text.replace(INSTALLED_OM, OM))
    files = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run([analyze, "verify", *files], capture_output=True, text=True, check=False)
    # Of faults that it can do without, systemd only tells.
    told = [line for line in (done.stdout + done.stderr).splitlines() if str(tmp_path) in line]
    assert done.returncode == 0 and not told, done.stderr


def test_the_settings_of_the_units_are_all_known() -> None:
    given = env_file()
    settings = load(environ=given)
    assert _parse(settings.store) == ("omega", True) and RedisQueue.settings(settings.queue)
    assert {name: settings.environment()[name] for name in given if name.startswith("OMEGA_")} == {
        name: value for name, value in given.items() if name.startswith("OMEGA_")
    }


@frozen
class Machines:
    """What is running where."""

    servers: list[Server]
    workers: list[Running]
    env: dict[str, str]
    home: Path

    @property
    def members(self) -> list[Server]:
        """The servers, for one client alone."""
        return [Server(s.port, s.process, s.log, requests.Session()) for s in self.servers]


@pytest.fixture(scope="module")
def members() -> Iterator[ReplicaSet]:
    with replica_set() as members:
        yield members


@pytest.fixture(scope="module")
def machines(members: ReplicaSet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    home = tmp_path_factory.mktemp("machines")
    started: list[Running] = []
    with RedisServer() as redis:
        env = {**env_file(), "OMEGA_STORE": members.url_of("many"), "OMEGA_QUEUE": redis.url}
        env |= {"SERVE_WORKERS": "1", "WORKER_PROCESSES": "1"}
        ports = [free_port(), free_port()]
        try:
            for unit, port in [*((SERVER, port) for port in ports), *[(WORKER, 0)] * 3]:
                own = env | {"SERVE_PORT": str(port)}
                started.append(_start(unit, home / str(len(started)), own, key_of=home / "0"))
            for running in started[:2]:
                running.wait_for("omega serves")
            for running in started[2:]:
                running.wait_for("omega works")
            servers = [running.served(port) for running, port in zip(started[:2], ports, strict=True)]
            yield Machines(servers, started[2:], env, home)
            assert [running.stop() for running in started] == [0] * 5
        finally:
            for running in started:
                if running.process.poll() is None:
                    running.served(0).kill()


def _start(unit: Unit, home: Path, env: dict[str, str], *, key_of: Path) -> Running:
    """A machine with a copy of the first one's key, which is made as the README says."""
    home.mkdir()
    key = home / "handed-over.key"
    if home == key_of:
        key.write_text("0123456789abcdef" * 4 + "\n")
    else:
        shutil.copy(key_of / key.name, key)
    key.chmod(0o600)
    return unit.start(home, env | {"OMEGA_HOME": str(home), "OMEGA_SIGNING_KEY_FILE": str(key)})


Step = tuple[str, str, Any]
#: What differs from run to run.
VOLATILE = {"created", "modified", "request_id", "task_id", "Location"}


def mixed_calls(chance: Random, prefix: str, *, steps: int) -> Iterator[Step]:
    """Calls on names that begin with `prefix`: method, path and body."""
    names = [f"{prefix}/{letter}" for letter in "ab"]
    yield "POST", "/model/", {"name": f"{prefix}/m", "pipeline": [["LinearRegression", {}]]}
    for _ in range(steps):
        name, k = chance.choice(names), chance.randrange(1, 100)
        rows = {"x": [0, 1, k], "y": [k, 2 * k, k * k + k]}
        yield chance.choice(
            [
                ("PUT", f"/dataset/{name}/", {"data": rows}),
                ("PUT", f"/dataset/{name}/", {"data": rows}),
                ("PUT", f"/dataset/{name}/", {"data": rows, "append": False}),
                ("PUT", f"/dataset/{name}/", {"data": {"z": [k]}}),
                ("DELETE", f"/dataset/{name}/", None),
                ("GET", f"/dataset/{name}?x__gte=1&sort=-y&orient=records", None),
                ("GET", f"/dataset/{name}@2?orient=values", None),
                ("GET", f"/dataset/?name={prefix}*", None),
                ("POST", "/model/", {"name": f"{prefix}/m", "pipeline": [["Ridge", {"alpha": k}]]}),
                ("PUT", f"/model/{prefix}/m/fit/?datax={name}[x]&datay={name}[y]", None),
                ("PUT", f"/model/{prefix}/m/fit/", {"datax": {"x": [0, 1]}, "datay": {"y": [0, k]}}),
                ("GET", f"/model/{prefix}/m/predict/?datax={name}[x]", None),
                ("GET", f"/model/{prefix}/m/predict/?datax={name}[x]&async=1", None),
                ("POST", f"/model/{prefix}/m/predict/", {"data": {"x": [k, 2]}}),
                ("GET", f"/model/{prefix}/m@2/predict/?datax={name}[x]", None),
                ("GET", f"/model/{prefix}/m/", None),
                ("GET", f"/model/{prefix}/m/score/?datax={name}[x]&datay={name}[y]", None),
            ]
        )


Ask = Callable[[str, str, bytes], tuple[int, Any]]


def answers(ask: Ask, calls: Iterator[Step]) -> list[Any]:
    """What the calls are answered, tasks with their results, without what differs from run to run."""
    found = []
    for method, path, body in calls:
        status, said = ask(method, path, b"" if body is None else orjson.dumps(body))
        if status == 202 and "task_id" in said:
            said = ended(ask, said["task_id"])
        found.append((method, path, status, steady(said)))
    return found


def ended(ask: Ask, id: str) -> Any:
    while (result := ask("GET", f"/task/{id}/result", b"")[1])["status"] not in tasks.FINAL:
        pass
    return result


def steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: steady(part) for name, part in value.items() if name not in VOLATILE}
    if isinstance(value, list):
        return [steady(part) for part in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def by_turns(servers: list[Server], chance: Random) -> Ask:
    """Each call goes to one of the servers."""

    def ask(method: str, path: str, body: bytes) -> tuple[int, Any]:
        response = chance.choice(servers).request(method, path, data=body)
        return response.status_code, response.json()

    return ask


def in_one_process() -> Ask:
    """Calls of the application itself, on a store in memory."""
    app = build(Omega("memory://"), Limits())

    def ask(method: str, path: str, body: bytes) -> tuple[int, Any]:
        reply = call(app, method, f"/api/v1{path}", body=body)
        return reply.status, reply.json

    return ask


@define(eq=False)
class Caller(threading.Thread):
    """One client of both servers, with calls of its own."""

    machines: Machines
    number: int
    found: list[Any] | None = None

    def __attrs_post_init__(self) -> None:
        super().__init__(daemon=True)

    def calls(self) -> Iterator[Step]:
        return mixed_calls(Random(self.number), f"c{self.number}", steps=40)

    def run(self) -> None:
        self.found = answers(by_turns(self.machines.members, Random(-self.number)), self.calls())


def test_a_load_of_mixed_calls_is_answered_as_by_one_process(machines: Machines) -> None:
    callers = [Caller(machines, number) for number in range(1, 7)]
    for caller in callers:
        caller.start()
    one = in_one_process()
    expected = [answers(one, caller.calls()) for caller in callers]
    for caller in callers:
        caller.join()
    statuses = set()
    for caller, wanted in zip(callers, expected, strict=True):
        assert caller.found is not None
        for got, want in zip(caller.found, wanted, strict=True):
            assert got == want
            statuses.add(got[2])
    assert statuses >= {200, 201, 202, 400, 404, 409}


def test_what_one_server_has_acknowledged_the_other_answers_with_at_once(machines: Machines) -> None:
    first, second = machines.members
    spec = {"name": "line", "pipeline": [["LinearRegression", {}]]}
    for k in range(1, 16):
        if k % 5 == 1:
            # The version numbers begin again, and the other server has models of these numbers loaded.
            first.delete("/model/line/")
            first.post("/model/", json=spec).raise_for_status()
        data = {"datax": {"x": [0, 1, 2]}, "datay": {"y": [0, k, 2 * k]}}
        made = first.put("/model/line/fit/", json=data)
        assert made.status_code == 202, made.text
        answer = second.post("/model/line/predict/", json={"data": {"x": [1]}}).json()
        assert (answer["version"], answer["result"]) == (made.json()["version"], pytest.approx([k]))
        put = second.put("/dataset/n/", json={"data": {"n": [k]}, "append": k % 2 == 0}).json()
        seen = first.get("/dataset/n?orient=list").json()
        assert (seen["version"], seen["data"]["n"][-1]) == (put["version"], k)
        first, second = second, first
    assert second.delete("/dataset/n").status_code == 202
    assert first.get("/dataset/n").status_code == 404


def test_appends_through_both_servers_all_come_together(machines: Machines) -> None:
    def append(server: Server, numbers: range) -> None:
        for n in numbers:
            server.put("/dataset/together/", json={"data": {"n": [n, n]}}).raise_for_status()

    batches = [range(first, first + 15) for first in (0, 100, 200, 300)]
    threads = [
        threading.Thread(target=append, args=(machines.members[n % 2], batch))
        for n, batch in enumerate(batches)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = machines.servers[0].get("/dataset/together?orient=list").json()["data"]["n"]
    assert sorted(rows) == sorted(n for batch in batches for n in batch for _ in range(2))


def test_all_workers_work(machines: Machines) -> None:
    server = machines.members[0]
    tasks.slow_model(server, "slow", steps=60)
    ids = [tasks.submit(server, "slow") for _ in range(6)]
    assert [tasks.ended(server, id) for id in ids] == ["SUCCESS"] * 6
    assert tasks.version(server, "slow") == 7
    home = machines.home / "1"
    own = {"OMEGA_HOME": str(home), "OMEGA_SIGNING_KEY_FILE": str(home / "handed-over.key")}
    env = environment(home, **machines.env | own)
    told = subprocess.run([OM, "runtime", "status", "--json"], env=env, capture_output=True, check=True)
    assert len(orjson.loads(told.stdout)["workers"]) == 3


@pytest.mark.parametrize("unit", [SERVER, WORKER], ids=lambda unit: unit.name)
def test_a_machine_with_a_key_of_its_own_does_not_start(
    machines: Machines, tmp_path: Path, unit: Unit
) -> None:
    env = {**machines.env, "SERVE_PORT": str(free_port()), "OMEGA_HOME": str(tmp_path)}
    del env["OMEGA_SIGNING_KEY_FILE"]
    running = unit.start(tmp_path, env)
    assert running.process.wait(60) == 1
    # The same sentence twice, where another process of the server was tried.
    (told,) = set(running.log.read_text().splitlines())
    assert "signed with another key" in told and str(tmp_path / "signing.key") in told
