"""schemathesis tries the API by its own descriptions: every answer is described, none is a server's fault.

`python -m tests.integration.test_schemathesis 30` does the same with so many examples of each operation, and
without leaving anything out; that takes long.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import Server, running

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "tests/support/schemathesis.toml"
#: Swagger 2.0 says of an operation which media types it answers with, not of a status: a 304, which has no
#: content and so no type, cannot be described. (By OpenAPI it is checked.)
ONLY_SWAGGER = """
[[operations]]
include-operation-id = ["readDataset", "readModel", "readScript", "documentationAsset"]
checks.content_type_conformance.enabled = false
"""
#: These share one handler and one description with `predict`, which is tried in full.
LIKE_PREDICT = "^(get|put|post)(Transform|Score|DecisionFunction|PredictProba|PredictLogProba)$"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("home")) as server:
        fill(server)
        yield server


def fill(server: Server) -> None:
    """The objects that the examples of the description name."""
    answers = [
        server.put("/dataset/sample", json={"data": {"x": [0, 1, 2], "y": [1, 3, 5]}}),
        server.post("/model/", json={"name": "mymodel", "pipeline": [["LinearRegression", {}]]}),
        server.put("/model/mymodel/fit?datax=sample[x]&datay=sample[y]"),
        server.put("/job/testjob", json={"code": "print(2 + 3)"}),
        server.post("/job/testjob/run"),
        server.put("/script/double", json={"code": "def run(om, *args, **kwargs):\n    return list(args)"}),
    ]
    assert [answer.status_code for answer in answers] == [202, 201, 202, 202, 201, 202]


def tried(server: Server, description: str, *options: str) -> str:
    """What schemathesis says."""
    url = f"http://127.0.0.1:{server.port}/api/doc/v1/specs/{description}.json"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    # Not in our directory: schemathesis and hypothesis keep files where they are started.
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "schemathesis.toml"
        config.write_text(CONFIG.read_text() + (ONLY_SWAGGER if description == "swagger" else ""))
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            *("--no-color", "--config-file", str(config), "run", url, *options),
        ]
        done = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def operations(server: Server) -> list[str]:
    """The names of all that is described."""
    url = f"http://127.0.0.1:{server.port}/api/doc/v1/specs/openapi.json"
    paths = server.session.get(url, timeout=60).json()["paths"]
    return [operation["operationId"] for item in paths.values() for operation in item.values()]


def counted(said: str, what: str) -> int:
    found = re.search(what, said)
    assert found, said[-3000:]
    return int(found[1])


def test_the_server_does_as_openapi_says(server: Server) -> None:
    said = tried(server, "openapi", "--max-examples", "2", "--exclude-operation-id-regex", LIKE_PREDICT)
    wanted = [name for name in operations(server) if not re.match(LIKE_PREDICT, name)]
    assert counted(said, r"Tested: (\d+)") == len(wanted) > 40
    assert counted(said, r"(\d+) generated") > 2000


def test_the_server_does_as_swagger_says(server: Server) -> None:
    said = tried(server, "swagger", "--max-examples", "4", "--phases", "examples,fuzzing,stateful")
    assert counted(said, r"Tested: (\d+)") == len(operations(server)) > 55


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home, running(Path(home)) as server:
        fill(server)
        for description in ("openapi", "swagger"):
            tried(server, description, "--max-examples", sys.argv[1])
