"""A worker beside a server: tasks end when they are to end, whatever they do, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path

import psutil
import pytest

from omega import Omega
from omega.entrypoints.settings import load
from tests.support import tasks
from tests.support.processes import CHILD, GUARD, SUPERVISOR, below, busy, kill, of_home
from tests.support.served import alive, eventually
from tests.support.server import OM, environment, running, start
from tests.support.store_kinds import ON_ONE_STORE

CANCELLED_WITHIN_S = 2
HAS_STARTED_S = 30


@pytest.fixture(scope="module")
def served(tmp_path_factory, store_of):
    home = tmp_path_factory.mktemp("worker")
    with running(home, env={"OMEGA_STORE": store_of(home), "OMEGA_TASK_LEASE_S": "3"}) as server:
        tasks.slow_model(server, "quick", steps=10)
        tasks.slow_model(server, "slow", steps=10_000)
        # The second process starts once the first is ready. What is promised in seconds is not promised for
        # the time in which a machine of two cores has both busy with starts.
        eventually(lambda: len(children(server)) == 2 and all(map(rests, children(server))), within_s=60)
        yield server


def rests(process):
    with suppress(psutil.NoSuchProcess):
        return process.cpu_percent(interval=0.2) < 10
    return False


def children(served):
    return below(served.process.pid, CHILD)


def test_a_cancelled_fit_ends_within_two_seconds(served):
    before = tasks.version(served, "slow")
    id = tasks.submit(served, "slow")
    tasks.begun(served, id)
    response = served.delete(f"/task/{id}")
    assert response.status_code == 202
    assert tasks.ended(served, id, within_s=CANCELLED_WITHIN_S) == "REVOKED"
    assert tasks.version(served, "slow") == before
    assert tasks.result(served, id)["response"]["status"] == 409


@ON_ONE_STORE
def test_a_fit_over_its_time_ends(served):
    before = tasks.version(served, "slow")
    id = tasks.submit(served, "slow", timeout=1)
    tasks.begun(served, id)
    assert tasks.ended(served, id, within_s=1 + CANCELLED_WITHIN_S) == "FAILURE"
    assert "1 s" in tasks.result(served, id)["response"]["message"]
    assert tasks.version(served, "slow") == before
    response = served.put("/model/slow/fit/?datax=slow[^y]&datay=slow[y]&timeout=1")
    assert response.status_code == 413 and "1 s" in response.json()["message"]


@ON_ONE_STORE
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT, signal.SIGTERM])
def test_a_crash_fails_its_task_and_no_other(served, number):
    lost = tasks.submit(served, "slow")
    tasks.begun(served, lost)
    victim = busy(lambda: children(served))
    other = tasks.submit(served, "quick")
    kill([victim], number)
    assert tasks.ended(served, lost, within_s=5) == "FAILURE"
    assert f"signal {int(number)}" in tasks.result(served, lost)["response"]["message"]
    assert tasks.ended(served, other) == "SUCCESS"


def test_predictions_go_on_while_fits_run_and_wait(served):
    assert tasks.ended(served, tasks.submit(served, "quick")) == "SUCCESS"
    running_or_waiting = [tasks.submit(served, "slow") for _ in range(3)]
    for _ in range(20):
        response = served.get("/model/quick/predict/?datax=slow[^y]")
        assert response.status_code == 200
    for id in running_or_waiting:
        served.delete(f"/task/{id}")
        assert tasks.ended(served, id) == "REVOKED"


@ON_ONE_STORE
def test_more_fits_are_waited_for_than_the_server_has_threads(served):
    """Each of them holds a connection, none of them a thread."""
    command = [
        sys.executable,
        "-c",
        "import socket, sys\n"
        "socks = []\n"
        "for _ in range(50):\n"
        f"    s = socket.create_connection(('127.0.0.1', {served.port}))\n"
        "    s.sendall(b'PUT /api/v1/model/slow/fit/?datax=slow%5B%5Ey%5D&datay=slow%5By%5D HTTP/1.1\\r\\n'"
        " b'Host: localhost\\r\\nContent-Length: 0\\r\\n\\r\\n')\n"
        "    socks.append(s)\n"
        "print('sent', flush=True)\n"
        "sys.stdin.read()\n",
    ]

    def count() -> int:
        return int(served.get("/task/?limit=1").json()["meta"]["total_count"])

    before = count()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as clients:
        assert clients.stdout is not None and clients.stdout.readline() == "sent\n"
        eventually(lambda: count() == before + 50, within_s=60)
        assert served.get("/model/quick/").status_code == 200
        clients.stdin.close()  # type: ignore[union-attr]
    objects = served.get("/task/?limit=1000").json()["objects"]
    for task in (task for task in objects if task["status"] not in tasks.FINAL):
        served.delete(f"/task/{task['task_id']}")
    for task in objects:
        tasks.ended(served, task["task_id"])


def test_progress_and_events(served):
    id = tasks.submit(served, "slow")
    with served.get(f"/task/{id}/events", stream=True) as events:
        assert events.headers["Content-Type"] == "text/event-stream"
        lines = (line for line in events.iter_lines(decode_unicode=True) if line.startswith("data: "))
        fitting = next(line for line in lines if '"fitting"' in line)
        assert '"done":1,"total":3' in fitting
        assert tasks.status(served, id)["progress"] == {"done": 1, "total": 3, "message": "fitting"}
        served.delete(f"/task/{id}")
        assert list(lines)[-1].find('"REVOKED"') > 0


def test_following_a_task_on_the_command_line(served):
    env = served.env
    id = tasks.submit(served, "quick")
    done = subprocess.run([OM, "runtime", "result", id, "--follow"], env=env, capture_output=True, text=True)
    assert done.returncode == 0 and '"result":"ok"' in done.stdout
    assert done.stderr.splitlines()[-1] == "SUCCESS"
    failing = tasks.submit(served, "quick", "transform")
    done = subprocess.run(
        [OM, "runtime", "result", failing, "--follow"], env=env, capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith("om: GradientBoostingRegressor")


@ON_ONE_STORE
def test_a_guard_that_is_killed_takes_its_process_along(served):
    id = tasks.submit(served, "slow")
    tasks.begun(served, id)
    kill(below(served.process.pid, GUARD))
    assert tasks.ended(served, id, within_s=5) == "FAILURE"
    other = tasks.submit(served, "quick")
    assert tasks.ended(served, other) == "SUCCESS"
    eventually(lambda: len(children(served)) == 2 and len(below(served.process.pid, GUARD)) == 2)


@pytest.fixture
def alone(tmp_path, store_of):
    """A server without a worker, and how to start one."""
    env = {"OMEGA_STORE": store_of(tmp_path), "OMEGA_TASK_LEASE_S": "3"}
    workers: list[subprocess.Popen[bytes]] = []

    def start_worker(*options: str) -> subprocess.Popen[bytes]:
        log = (tmp_path / f"worker{len(workers)}.log").open("wb")
        worker = subprocess.Popen(
            [OM, "runtime", "worker", *options], env=environment(tmp_path, **env), stdout=log, stderr=log
        )
        log.close()
        workers.append(worker)
        eventually(lambda: b"works for" in Path(log.name).read_bytes(), within_s=HAS_STARTED_S)
        return worker

    with running(tmp_path, "--no-worker", env=env) as server:
        tasks.slow_model(server, "quick", steps=10)
        tasks.slow_model(server, "half", steps=1000)
        tasks.slow_model(server, "slow", steps=10_000)
        yield server, start_worker
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()
        eventually(lambda: len(of_home(str(tmp_path))) == len([server.process, *server_workers(server)]))


def server_workers(server):
    return below(server.process.pid)


@ON_ONE_STORE
def test_a_worker_that_is_told_to_stop_ends_what_it_has_begun(alone):
    server, start_worker = alone
    worker = start_worker("--processes", "1")
    first, second = tasks.submit(server, "half"), tasks.submit(server, "quick")
    tasks.begun(server, first)
    worker.terminate()
    assert worker.wait(30) == 0
    assert tasks.status(server, first)["status"] == "SUCCESS"
    assert tasks.status(server, second)["status"] == "PENDING"
    start_worker()
    assert tasks.ended(server, second) == "SUCCESS"


@ON_ONE_STORE
@pytest.mark.parametrize("how", ["grace", "second signal"])
def test_what_cannot_be_ended_is_handed_back_and_loses_no_attempt(alone, how):
    server, start_worker = alone
    worker = start_worker("--grace", "1" if how == "grace" else "600")
    id = tasks.submit(server, "slow")
    tasks.begun(server, id)
    worker.terminate()
    if how == "second signal":
        time.sleep(0.3)
        worker.terminate()
    assert worker.wait(10) == 0
    task = server.get(f"/task/{id}").json()
    assert (task["status"], task["attempts"]) == ("RETRY", 0)
    start_worker()
    tasks.begun(server, id)
    server.delete(f"/task/{id}")
    assert tasks.ended(server, id) == "REVOKED"


def test_a_worker_that_vanishes_is_replaced_by_another(alone):
    server, start_worker = alone
    worker = start_worker()
    id = tasks.submit(server, "half")
    tasks.begun(server, id)
    grandchildren = below(worker.pid)
    worker.kill()
    worker.wait()
    eventually(lambda: not any(alive(process.pid) for process in grandchildren), within_s=5)
    start_worker()
    assert tasks.ended(server, id) == "SUCCESS"
    assert server.get(f"/task/{id}").json()["attempts"] == 2
    assert tasks.version(server, "half") == 2


@ON_ONE_STORE
def test_without_a_worker_a_fit_is_refused_after_a_while(alone):
    server, start_worker = alone
    response = server.put("/model/quick/fit/?datax=slow[^y]&datay=slow[y]")
    assert response.status_code == 503 and "om runtime worker" in response.json()["message"]
    assert int(response.headers["Retry-After"]) > 0
    (task,) = server.get("/task/").json()["objects"]
    assert task["status"] == "REVOKED"
    start_worker()
    response = server.put("/model/quick/fit/?datax=slow[^y]&datay=slow[y]")
    assert response.status_code == 202
    assert tasks.version(server, "quick") == 2


def test_python_leaves_a_fit_to_the_queue_that_it_was_given(alone, tmp_path):
    server, start_worker = alone
    start_worker()
    settings = load(environ=server.env)
    with Omega(home=tmp_path, store=settings.store, queue=settings.queue) as omega:
        metadata = omega.runtime.model("quick").fit("slow[^y]", "slow[y]")
        assert metadata.version == 2
        (task,) = omega.runtime.tasks().items
        assert (task.status, task.call.action) == ("SUCCESS", "fit")
        handle = omega.runtime.model("quick").submit(
            "predict", omega.datasets.get("slow", columns="^y", limit=3)
        )
        assert len(handle.result(timeout_s=60)["result"]) == 3
        with pytest.raises(TimeoutError):
            omega.runtime.model("slow").submit("fit", "slow[^y]", "slow[y]").result(timeout_s=0.5)


def test_the_end_of_the_server_is_the_end_of_all_its_processes(tmp_path):
    server = start(tmp_path)
    tasks.slow_model(server, "slow", steps=10_000)
    tasks.begun(server, tasks.submit(server, "slow"))
    assert len(below(server.process.pid, SUPERVISOR)) == 1
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    eventually(lambda: not of_home(str(tmp_path)), within_s=5)


def test_a_server_that_is_told_to_stop_hands_its_tasks_back(tmp_path, store_of):
    server = start(tmp_path, env={"OMEGA_STORE": store_of(tmp_path)})
    tasks.slow_model(server, "slow", steps=10_000)
    id = tasks.submit(server, "slow")
    tasks.begun(server, id)
    assert server.stop() == 0
    assert not of_home(str(tmp_path))
    with Omega(home=tmp_path, store=store_of(tmp_path)) as omega:
        assert omega.runtime.task(id).status == "RETRY"


def test_a_guard_ends_whatever_its_process_has_started(tmp_path):
    """Also in sessions of their own, whose parents are gone, and that start others all the time."""
    ours, theirs = Pipe()
    guard = subprocess.Popen(
        [sys.executable, "-m", "omega.entrypoints.worker.guard", str(theirs.fileno()), "tests.support.wild"],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    theirs.close()
    assert ours.recv_bytes() == b"wild"
    found = below(guard.pid)
    assert len(found) > 4
    guard.stdin.close()  # type: ignore[union-attr]
    assert guard.wait(10) == 128 + signal.SIGKILL
    assert not [process for process in found if psutil.pid_exists(process.pid)]
