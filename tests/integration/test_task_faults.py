"""kill -9 of the process that carries out a task, of the worker and of the server, on the embedded queue."""

import pytest

from tests.support.faults import Faults, many_clients
from tests.support.server import running

ROUNDS = 30


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    faults = Faults(tmp_path_factory.mktemp("faults"))
    yield faults
    if faults.server.process.poll() is None:
        faults.server.stop()


@pytest.mark.parametrize("victim", ["child", "worker", "whole_server"])
def test_every_acknowledged_task_ends_truthfully(faults, victim):
    for _ in range(ROUNDS):
        faults.round(getattr(faults, victim))


def test_after_all_that_nothing_is_left(faults):
    assert faults.seen["SUCCESS"] > 0 and faults.seen["FAILURE"] > 0
    faults.check_nothing_is_left()


def test_the_tasks_of_many_clients_are_carried_out_once_each(tmp_path):
    with running(tmp_path) as server:
        many_clients(server)
