"""Figures, health and logs of a server of two processes with a worker, as `om runtime serve` starts them."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from omega import Omega
from omega.entrypoints.http.app import build
from omega.entrypoints.limits import Limits
from tests.support import tasks
from tests.support.processes import below, command
from tests.support.redis_server import RedisServer
from tests.support.served import eventually
from tests.support.server import Server, running
from tests.support.wsgi import call

ORIGIN = "https://app.example.org"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    env = {
        "OMEGA_LOG_FORMAT": "json",
        "OMEGA_LOG_LEVEL": "info",
        "OMEGA_ACCESS_LOG": "on",
        "OMEGA_ALLOWED_HOSTS": "omega.example.org",
        "OMEGA_ALLOWED_ORIGINS": ORIGIN,
        "OMEGA_QUEUE": "",
    }
    with running(tmp_path_factory.mktemp("watched"), "--workers", "2", env=env) as server:
        yield server


def ask(server: Server, path: str, **headers: str) -> requests.Response:
    """On a connection of its own: whichever process is free answers."""
    url = f"http://127.0.0.1:{server.port}{path}"
    return requests.get(url, headers={n.replace("_", "-"): v for n, v in headers.items()}, timeout=60)


def figure(server: Server, name: str) -> float:
    lines = ask(server, "/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def entries(server: Server, **facts: Any) -> list[dict[str, Any]]:
    lines = server.log.read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return [entry for entry in found if facts.items() <= entry.items()]


PINGS = 'omega_http_requests_total{method="GET",route="/api/v1/ping",status="200"}'


def answering(server: Server) -> list[int]:
    """The processes that answer requests: copies of the one that was started."""
    return [process.pid for process in below(server.process.pid) if "serve" in command(process)]


def test_all_processes_are_counted_together(server: Server) -> None:
    before = figure(server, PINGS)
    for _ in range(40):
        ask(server, "/api/v1/ping").raise_for_status()
    # A request is counted when its answer has been sent, which the client may see first.
    eventually(lambda: figure(server, PINGS) == before + 40)
    assert [figure(server, PINGS) for _ in range(6)] == [before + 40] * 6


def test_the_request_is_found_again_in_the_task_and_in_the_log_of_the_worker(server: Server) -> None:
    name = 'omega_tasks_ended_total{action="fit",resource="model",status="SUCCESS"}'
    before = figure(server, name)
    server.post("/model/", json={"name": "m", "pipeline": [["LinearRegression", {}]]}).raise_for_status()
    data = {"datax": {"x": [1, 2]}, "datay": {"y": [1, 2]}}
    left = server.put("/model/m/fit?async=1", json=data, headers={"X-Request-ID": "trace-1"})
    assert left.headers["X-Request-ID"] == "trace-1"
    id = left.json()["task_id"]
    assert tasks.ended(server, id) == "SUCCESS"
    assert server.get(f"/task/{id}").json()["request_id"] == "trace-1"
    eventually(lambda: len(entries(server, request_id="trace-1", task_id=id, logger="omega.worker")) >= 2)
    (access,) = entries(server, request_id="trace-1", logger="omega.access")
    assert (access["status"], access["route"]) == (202, "/api/v1/model/<name:name>/fit")
    eventually(lambda: figure(server, name) == before + 1)


def test_alive_ready_and_the_workers_that_are_there(server: Server) -> None:
    assert ask(server, "/healthz").json() == {"status": "alive"}
    eventually(lambda: ask(server, "/readyz").status_code == 200, within_s=30)
    eventually(lambda: figure(server, "omega_workers ") == 1, within_s=30)
    assert figure(server, "omega_worker_processes ") == 2


def test_hosts_and_origins_come_from_the_settings(server: Server) -> None:
    assert ask(server, "/api/v1/ping", Host="omega.example.org").status_code == 200
    assert ask(server, "/api/v1/ping", Host="evil.example").status_code == 421
    assert ask(server, "/api/v1/ping", Origin=ORIGIN).headers["Access-Control-Allow-Origin"] == ORIGIN
    config = ask(server, "/api/v1/config").json()
    assert (config["allowed_hosts"], config["allowed_origins"]) == (["omega.example.org"], [ORIGIN])


def test_what_was_counted_outlives_its_process(server: Server) -> None:
    before = figure(server, PINGS)
    (first, *_) = answering(server)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: len(answering(server)) >= 2 and first not in answering(server), within_s=60)
    eventually(lambda: _counted(server) >= before, within_s=60)


def _counted(server: Server) -> float:
    try:
        return figure(server, PINGS)
    except requests.RequestException:
        return -1


def test_not_ready_while_the_queue_is_away_or_says_nothing(tmp_path: Path) -> None:
    with RedisServer() as redis, Omega(queue=redis.url, home=tmp_path) as omega:
        omega.runtime.queued()
        app = build(omega, Limits())
        assert call(app, "GET", "/readyz").status == 200
        redis.freeze()
        reply = call(app, "GET", "/readyz")
        assert (reply.status, reply.json["store"], reply.json["queue"]) == (503, "ok", "unreachable")
        redis.thaw()
        eventually(lambda: call(app, "GET", "/readyz").status == 200, within_s=30)
        redis.kill()
        eventually(lambda: call(app, "GET", "/readyz").status == 503, within_s=30)
        redis.start()
        eventually(lambda: call(app, "GET", "/readyz").status == 200, within_s=30)
