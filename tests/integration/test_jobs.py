"""Jobs and scripts on a real server, with real kernels and workers."""

import contextlib
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from attrs import evolve

from omega import Omega
from omega.ports.records import RecordConflict
from tests.support import tasks
from tests.support.notebooks import code, notebook, printed
from tests.support.processes import CHILD, SUPERVISOR, below, kill, of_home
from tests.support.served import alive, eventually
from tests.support.server import OM, Server, environment, running
from tests.support.store_kinds import ON_ONE_STORE

#: "Ends within 5 s", whatever a notebook does to its own process.
ENDS_WITHIN_S = 5
HAS_STARTED_S = 60
#: Tells its process to whoever can read the store, and does not end.
SLEEPING = notebook(
    "import os, time, omega as om\nom.datasets.put([os.getpid(), os.getppid()], 'pids')\ntime.sleep(600)"
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, store_of: Callable[[Path], str]) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("jobs")
    with running(home, env={"OMEGA_STORE": store_of(home), "OMEGA_TASK_LEASE_S": "3"}) as server:
        yield server


ADDS = """
import sys
def run(om, x, k='0'):
    print('out')
    print('err', file=sys.stderr)
    return x + int(k)
"""


def put(server: Server, name: str, *cells: Any) -> None:
    body = cells[0] if isinstance(cells[0], dict) and "cells" in cells[0] else notebook(*cells)
    assert server.put(f"/job/{name}/", json=body).status_code == 202


def run(server: Server, name: str, **more: Any) -> dict[str, Any]:
    response = server.post(f"/job/{name}/run/", **more)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


def result(server: Server, answer: dict[str, Any], **more: Any) -> list[str]:
    """What the cells of a run have printed."""
    (name,) = answer["job_results"]
    return printed(server.get(f"/job/{name}/", **more).json()["content"])


def submitted(server: Server, name: str, **query: Any) -> str:
    response = server.post(f"/job/{name}/run/", params={"async": "1", **query})
    assert response.status_code == 202, response.text
    assert response.headers["Location"] == f"/api/v1/task/{response.json()['task_id']}/result"
    return str(response.json()["task_id"])


def runs(server: Server, name: str) -> list[dict[str, Any]]:
    """The latest first."""
    body = server.get(f"/job/{name}/results/", params={"limit": 1000}).json()
    return list(body["objects"])


def asleep(server: Server, name: str, **query: Any) -> tuple[str, list[int]]:
    """A run that does not end: its task, and the processes of its notebook."""
    server.delete("/dataset/pids/")
    put(server, name, SLEEPING)
    id = submitted(server, name, **query)
    found: list[int] = []

    def began() -> bool:
        response = server.get("/dataset/pids/")
        found[:] = response.json()["data"] if response.status_code == 200 else []
        return bool(found)

    eventually(began, within_s=HAS_STARTED_S)
    return id, found


def is_lost(server: Server, name: str) -> None:
    """The one run of a job was cut off, and is shown so."""
    (one,) = runs(server, name)
    assert (one["status"], one["error"]["reason"], one["result"]) == ("ERROR", "lost", None)
    body = server.get(f"/job/{name}/").json()
    assert (body["job_runs"], body["job_results"]) == ({one["run"]: "ERROR"}, [])


# runs


def test_parameters_results_and_reports(served):
    put(served, "f/report", code("n = 1\nm = 2", tags=["parameters"]), "print(n, m)")
    answer = run(served, "f/report", json={"parameters": {"n": "ü"}, "timeout": 100})
    assert result(served, answer)[-1] == "ü 2\n"
    assert answer["run"]["parameters"] == {"n": "ü"} and answer["run"]["duration"] > 0
    response = served.post("/job/f/report/run/", json={"parameters": {"x": 1}})
    assert response.status_code == 400 and "n, m" in response.json()["message"]
    response = served.post("/job/f/report/run/", json={"parameters": {"n; import os": 1}})
    assert response.status_code == 400
    assert len(runs(served, "f/report")) == 1
    page = served.get(f"/job/export/{answer['job_results'][0]}", headers={"Accept": "text/html"})
    assert page.headers["Content-Type"] == "text/html; charset=utf-8" and "ü 2" in page.text
    assert page.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_a_notebook_that_fails(served):
    put(served, "failing", "print('before')", "import json\njson.loads('x')", "print('after')")
    answer = run(served, "failing")
    assert list(answer["job_runs"].values()) == ["ERROR"]
    assert answer["message"].startswith("cell 2 of 3: JSONDecodeError: Expecting value")
    assert result(served, answer) == ["before\n", "", ""]
    id = submitted(served, "failing")
    assert tasks.ended(served, id) == "FAILURE"
    told = tasks.result(served, id)
    assert told["response"]["message"] == answer["message"]
    assert list(told["response"]["job_runs"].values()) == ["ERROR"]
    for answered in (answer, told):
        for secret in ("/work", "site-packages", "/tmp", str(served.log.parent)):
            assert secret not in json.dumps(answered)


def test_progress_is_told(served):
    put(served, "steps", *["1"] * 3, "import time\ntime.sleep(600)", *["1"] * 8)
    id = submitted(served, "steps")
    told = {"done": 4, "total": 12, "message": "cell 4 of 12"}
    eventually(lambda: tasks.status(served, id)["progress"] == told, within_s=HAS_STARTED_S)
    assert [one["status"] for one in runs(served, "steps")] == ["RUNNING"]
    assert served.get("/job/steps/").json()["job_runs"] == []
    assert served.delete(f"/task/{id}").status_code == 202
    assert tasks.ended(served, id) == "REVOKED"
    is_lost(served, "steps")


def test_a_notebook_and_a_script_work_where_they_are(served):
    """`omega`, imported there, is on the same store and in the bucket that was asked for."""
    team = {"bucket": "team"}
    say = "import omega as om\nom.datasets.put([om['team'].datasets.list(), om.jobs.list()], 'seen')"
    served.put("/dataset/d/", json={"data": {"x": [1]}}, headers=team).raise_for_status()
    served.put("/job/looks/", json=notebook(say), headers=team).raise_for_status()
    assert list(run(served, "looks", headers=team)["job_runs"].values()) == ["OK"]
    assert served.get("/dataset/seen/", headers=team).json()["data"] == [["d"], ["looks.ipynb"]]
    assert served.get("/dataset/seen/").status_code == 404

    script = "def run(om, name, **kw):\n    return [om.bucket, om.datasets.get(name), om.jobs.list(), kw]"
    served.put("/script/looks/", json={"code": script}, headers=team).raise_for_status()
    response = served.post("/script/looks/run/?k=v", json="seen", headers=team)
    assert response.status_code == 201, response.text
    assert response.json()["result"] == ["team", [["d"], ["looks.ipynb"]], ["looks.ipynb"], {"k": "v"}]


def test_a_job_runs_another(served):
    put(served, "inner", code("n = 0", tags=["parameters"]), "print(n)")
    put(served, "outer", "import omega as om\nprint(om.jobs.run('inner', {'n': 7}).status)")
    assert result(served, run(served, "outer")) == ["OK\n"]
    (one,) = runs(served, "inner")
    assert one["parameters"] == {"n": 7}


def test_a_job_that_removes_itself(served):
    put(served, "fleeting", "import omega as om\nom.jobs.drop('fleeting')\nprint('still here')")
    answer = run(served, "fleeting")
    assert list(answer["job_runs"].values()) == ["OK"]
    assert served.get("/job/fleeting/").status_code == 404
    assert result(served, answer) == ["still here\n"]


@ON_ONE_STORE
def test_twenty_runs_at_once(served):
    put(served, "many", code("n = 0", tags=["parameters"]), "print(n)")
    answers: dict[int, dict[str, Any]] = {}

    def one(number: int) -> None:
        mine = Server(served.port, served.process, served.log, requests.Session())
        answers[number] = run(mine, "many", json={"parameters": {"n": number}})

    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 20
    for number, answer in answers.items():
        assert result(served, answer)[-1] == f"{number}\n"
    body = served.get("/job/many/").json()
    assert body["job_runs"] == {one["run"]["run"]: "OK" for one in answers.values()}
    assert len(body["job_runs"]) == 20
    assert sorted(body["job_results"]) == sorted(one["job_results"][0] for one in answers.values())


# ends


@ON_ONE_STORE
def test_a_run_over_its_time_ends(served):
    id, pids = asleep(served, "slow", timeout=8)
    task = served.get(f"/task/{id}").json()
    assert task["timeout"] == 38
    # It has its time first, part of which the kernel needed to start.
    assert tasks.ended(served, id, within_s=8 + ENDS_WITHIN_S) == "FAILURE"
    response = tasks.result(served, id)["response"]
    assert response["message"] == "over the time limit of 8 s, in cell 1 of 1"
    assert response["run"]["error"]["reason"] == "timeout"
    assert list(response["job_runs"].values()) == ["ERROR"] and len(response["job_results"]) == 1
    assert not any(alive(pid) for pid in pids)


@ON_ONE_STORE
def test_a_kernel_that_dies_ends_its_run(served):
    id, (kernel, _) = asleep(served, "dying")
    psutil.Process(kernel).kill()
    assert tasks.ended(served, id, within_s=ENDS_WITHIN_S) == "FAILURE"
    assert tasks.result(served, id)["response"]["run"]["error"]["reason"] == "kernel died"


def worker_of(served: Server, pid: int) -> psutil.Process:
    """The process of the worker that has started this one."""
    parents = {parent.pid for parent in psutil.Process(pid).parents()}
    (found,) = (process for process in below(served.process.pid, CHILD) if process.pid in parents)
    return found


@ON_ONE_STORE
def test_a_worker_that_is_killed_ends_its_run_and_leaves_no_process(served):
    id, pids = asleep(served, "killed")
    kill([worker_of(served, pids[0])])
    assert tasks.ended(served, id, within_s=ENDS_WITHIN_S) == "FAILURE"
    assert "signal 9" in tasks.result(served, id)["response"]["message"]
    is_lost(served, "killed")
    assert not any(alive(pid) for pid in pids)


def test_a_run_that_is_cancelled_ends_and_leaves_no_process(served):
    id, pids = asleep(served, "cancelled")
    assert served.delete(f"/task/{id}").status_code == 202
    assert tasks.ended(served, id, within_s=ENDS_WITHIN_S) == "REVOKED"
    is_lost(served, "cancelled")
    assert not any(alive(pid) for pid in pids)


@ON_ONE_STORE
def test_a_supervisor_that_is_killed_ends_its_runs_and_none_is_run_again(served):
    """It has nobody who could end them but its successor, once the lease has lapsed."""
    id, pids = asleep(served, "orphaned")
    kill(below(served.process.pid, SUPERVISOR))
    eventually(lambda: not any(alive(pid) for pid in pids), within_s=ENDS_WITHIN_S)
    assert tasks.ended(served, id, within_s=60) == "FAILURE"
    is_lost(served, "orphaned")
    put(served, "orphaned", "print('works again')")
    assert result(served, run(served, "orphaned")) == ["works again\n"]


@contextlib.contextmanager
def worker(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (home / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [OM, "runtime", "worker", "--grace", "1", "--processes", "1"],
            env=environment(home),
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def test_a_run_that_a_worker_hands_back_is_not_run_again(tmp_path):
    """What its notebook has done cannot be undone."""
    with running(tmp_path, "--no-worker") as server:
        with worker(tmp_path) as first:
            id, pids = asleep(server, "long")
            first.terminate()
            assert first.wait(30) == 0
        assert not any(alive(pid) for pid in pids)
        server.delete("/dataset/pids/")
        with worker(tmp_path):
            assert tasks.ended(server, id) == "FAILURE"
        assert tasks.result(server, id)["response"]["run"]["error"]["reason"] == "lost"
        is_lost(server, "long")
        assert server.get("/dataset/pids/").status_code == 404
    eventually(lambda: not of_home(str(tmp_path)))


# schedules


def test_a_worker_runs_a_job_by_the_clock(served):
    put(served, "clockwork", code("n = 0", tags=["parameters"]), "print(n)")
    body = {"cron": "* * * * *", "parameters": {"n": 5}, "timeout": 100}
    response = served.put("/job/clockwork/schedule/", json=body)
    assert response.status_code == 202 and len(response.json()["next"]) == 5
    # As if nobody had looked for three minutes: the latest time is run, the others were missed.
    home = served.log.parent
    with Omega(served.env["OMEGA_STORE"], home=home) as omega:
        schedules = omega._services.schedules

        def move_back() -> bool:
            found = schedules.get("clockwork.ipynb")
            try:
                schedules.write(evolve(found, considered=found.considered - timedelta(minutes=3)))
            except RecordConflict:  # the worker is looking just now
                return False
            return True

        eventually(move_back, within_s=HAS_STARTED_S)
    eventually(
        lambda: [one["status"] for one in runs(served, "clockwork")][-1:] == ["OK"], within_s=HAS_STARTED_S
    )
    assert served.delete("/job/clockwork/schedule/").status_code == 202
    first = runs(served, "clockwork")[-1]
    assert first["parameters"] == {"n": 5} and first["task_id"] is not None
    # The run is recorded before its task ends.
    assert tasks.ended(served, first["task_id"]) == "SUCCESS"
    listed = served.get("/task/", params={"limit": 1000}).json()["objects"]
    assert first["task_id"] in [one["task_id"] for one in listed]


# scripts


def test_scripts(served):
    response = served.put("/script/adds/", data=ADDS.encode(), headers={"Content-Type": "text/x-python"})
    assert response.status_code == 202
    response = served.post("/script/adds/run/?k=5", json=2)
    assert response.status_code == 201
    body = response.json()
    assert (body["script"], body["result"], body["stdout"], body["stderr"]) == ("adds", 7, "out\n", "err\n")
    assert body["runtimes"] > 0 and body["resource_uri"] == "/api/v1/script/adds/"
    id = served.post("/script/adds/run/?k=5&async=1", data="2").json()["task_id"]
    assert tasks.ended(served, id) == "SUCCESS"
    assert tasks.result(served, id)["response"]["result"] == 7
    assert served.put("/script/bad/", json={"code": "def run(om):"}).status_code == 400


@ON_ONE_STORE
@pytest.mark.parametrize(
    ("code", "query", "failure", "words"),
    [
        (
            "import json\ndef run(om):\n    json.loads('x')",
            "",
            "raised",
            "(line 3): JSONDecodeError",
        ),
        ("def run(om):\n    return om.datasets.get('none')", "", "raised", "(line 2): NotFound: there is no"),
        ("def run(om):\n    import time\n    time.sleep(600)", "?timeout=2", "timeout", "after 2 s"),
        ("def run(om):\n    import os\n    os.kill(os.getpid(), 9)", "", "died", "SIGKILL"),
        ("def run(om):\n    return object()", "", "not json", "object"),
        ("def run(om): pass\ndel run", "", "no run", "run"),
    ],
)
def test_scripts_that_fail(served, code, query, failure, words):
    served.put("/script/fails/", json={"code": code}).raise_for_status()
    response = served.post(f"/script/fails/run/{query}")
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["error"]["failure"] == failure and words in body["message"] == body["detail"]
    assert body["error"]["name"] in body["message"]
    if failure == "raised":
        assert "Traceback" in body["stderr"]
    for secret in ("/work", "site-packages", "/tmp", str(served.log.parent)):
        assert secret not in response.text
    id = served.post(f"/script/fails/run/{query or '?'}&async=1").json()["task_id"]
    assert tasks.ended(served, id) == "FAILURE"
    assert tasks.result(served, id)["response"]["error"] == body["error"]


# the command line


def test_the_command_line(served, tmp_path):
    (tmp_path / "job.py").write_text('# %% tags=["parameters"]\nn = 1\n# %%\nprint(1 / n)\n')

    def om(*arguments: str, code: int = 0) -> tuple[str, str]:
        done = subprocess.run(
            [OM, *arguments], env=served.env, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stdout, done.stderr

    om("jobs", "put", "job.py", "cli")
    out, _ = om("runtime", "job", "cli", "run", "--param", "n=4")
    name = out.split()[1]
    assert out.startswith("OK results/cli_")
    om("jobs", "export", name, "-o", "report.html")
    assert "0.25" in (tmp_path / "report.html").read_text()
    out, err = om("runtime", "job", "cli", "run", "--param", "n=0", code=1)
    assert out.startswith("ERROR results/cli_") and "ZeroDivisionError: division by zero" in err
    assert [one["status"] for one in runs(served, "cli")] == ["ERROR", "OK"]
    id = om("runtime", "job", "cli", "run", "--async", "--param", "n=2")[0].strip()
    assert tasks.ended(served, id) == "SUCCESS"
    assert result(served, tasks.result(served, id)["response"])[-1] == "0.5\n"


def test_nothing_is_left_under_way(served):
    """Whatever the tests before have done."""
    eventually(
        lambda: all(
            task["status"] in tasks.FINAL
            for task in served.get("/task/", params={"limit": 1000}).json()["objects"]
        ),
        within_s=30,
    )
    for job in served.get("/job/", params={"limit": 1000}).json()["objects"]:
        assert "RUNNING" not in [one["status"] for one in runs(served, job["name"])]
