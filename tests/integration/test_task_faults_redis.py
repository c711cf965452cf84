"""kill -9 of the process that carries out a task, of the worker, of the server and of Redis, with Redis as
the queue.
"""

import time

import pytest

from tests.support.faults import Faults, many_clients
from tests.support.redis_server import RedisServer
from tests.support.server import running

ROUNDS = 30


@pytest.fixture(scope="module")
def redis():
    with RedisServer() as redis:
        yield redis


@pytest.fixture(scope="module")
def faults(tmp_path_factory, redis):
    faults = Faults(tmp_path_factory.mktemp("faults"), redis.url)
    yield faults
    if faults.server.process.poll() is None:
        faults.server.stop()


@pytest.mark.parametrize("victim", ["child", "worker", "whole_server"])
def test_every_acknowledged_task_ends_truthfully(faults, victim):
    for _ in range(ROUNDS):
        faults.round(getattr(faults, victim))


def test_a_queue_that_is_killed_loses_no_task(faults, redis):
    def strike():
        redis.kill()
        time.sleep(faults.random.uniform(0, 0.5))
        redis.start()

    for _ in range(ROUNDS):
        faults.round(strike)


def test_while_the_queue_is_down_nothing_is_half_recorded(faults, redis):
    redis.kill()
    before = faults.server.get("/task/").json()["meta"]["total_count"]
    for query in ("&async=1", ""):
        response = faults.server.put(f"/model/m/fit/?datax=slow[^y]&datay=slow[y]{query}")
        assert response.status_code == 503 and int(response.headers["Retry-After"]) > 0
        assert "queue" in response.json()["message"]
    assert faults.server.get("/task/").json()["meta"]["total_count"] == before
    assert faults.server.get("/model/m/predict/?datax=slow[^y]").status_code == 200
    redis.start()
    faults.round(lambda: None)


def test_after_all_that_nothing_is_left(faults):
    assert faults.seen["SUCCESS"] > 0 and faults.seen["FAILURE"] > 0
    faults.check_nothing_is_left()


def test_the_tasks_of_many_clients_are_carried_out_once_each(tmp_path, redis):
    with running(tmp_path, env={"OMEGA_QUEUE": redis.url}) as server:
        many_clients(server)
