"""The same program on MongoDB: a server and a worker on a replica set, asked over HTTP, by `om` and in
Python.
"""

import subprocess
from collections.abc import Iterator

import pandas as pd
import pytest

from omega import Omega
from tests.support import tasks
from tests.support.mongo_server import ReplicaSet, replica_set
from tests.support.server import OM, Server, environment, running


@pytest.fixture(scope="module")
def members() -> Iterator[ReplicaSet]:
    with replica_set() as members:
        yield members


@pytest.fixture(scope="module")
def served(members: ReplicaSet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("mongo"), env={"OMEGA_STORE": members.url_of("served")}) as server:
        yield server


def test_datasets_models_tasks_jobs_and_scripts(served, members):
    for expected in (3, 6):
        response = served.put("/dataset/d/", json={"data": {"x": [0, 1, 2], "y": [1, 3, 5]}})
        assert (response.status_code, response.json()["rows"]) == (202, expected)
    served.post("/model/", json={"name": "m", "pipeline": [["LinearRegression", {}]]}).raise_for_status()
    assert served.put("/model/m/fit/?datax=d[x]&datay=d[y]").json()["version"] == 2
    response = served.get("/model/m/predict/?datax=d[x]&async=1")
    id = response.json()["task_id"]
    assert tasks.ended(served, id) == "SUCCESS"
    assert tasks.result(served, id)["response"]["result"] == pytest.approx([1, 3, 5, 1, 3, 5])
    code = "import omega as om\nprint(len(om.datasets.get('d')))"
    assert served.put("/job/count", json={"code": code}).status_code == 202
    run = served.post("/job/count/run/").json()
    assert list(run["job_runs"].values()) == ["OK"]
    (cell,) = served.get(f"/job/{run['job_results'][0]}").json()["content"]["cells"]
    assert cell["outputs"][0]["text"] == "6\n"
    script = {"code": "def run(om):\n    return om.datasets.list()"}
    assert served.put("/script/names", json=script).status_code == 202
    assert served.post("/script/names/run/").json()["result"] == ["d"]


def test_om_and_python_see_the_same(served, members):
    url = members.url_of("served")
    frame = pd.DataFrame({"when": pd.date_range("2026-03-29", periods=3, tz="Europe/Berlin"), "n": [1, 2, 3]})
    with Omega(url, home=served.log.parent) as omega:
        omega.datasets.put(frame, "exact")
        pd.testing.assert_frame_equal(omega.datasets.get("exact"), frame)
    done = subprocess.run(
        [OM, "datasets", "list", "--store", url],
        env=environment(served.log.parent),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "exact" in done.stdout
    assert served.get("/dataset/exact?format=csv").text.count("\n") == 4
    assert served.delete("/dataset/exact").status_code == 202


@pytest.mark.parametrize("url", ["mongodb://127.0.0.1:1/x", "mongodb://127.0.0.1/", "mongodb://secret@/x"])
def test_a_url_that_cannot_be_used_ends_in_one_sentence(tmp_path, url):
    done = subprocess.run(
        [OM, "datasets", "list", "--store", url], env=environment(tmp_path), capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("om: ") and done.stderr.count("\n") == 1 and "secret" not in done.stderr
