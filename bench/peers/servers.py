"""Start the peers, and say how each is asked."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import requests
from attrs import frozen

from tests.support.server import free_port

HERE: Final = Path(__file__).parent
#: Where their environments are; `make bench` makes them.
ENVIRONMENTS: Final = HERE.parent.parent / ".peers"
COLUMNS: Final = [f"x{i}" for i in range(10)]
READY_WITHIN_S: Final = 90
PEERS: Final = ("fastapi", "mlflow", "mlserver", "bentoml", "bentoml, batching")


@frozen
class Peer:
    """A server that is up, and the request that asks it about rows of ten features."""

    name: str
    url: str

    def body(self, rows: list[list[float]]) -> str:
        if self.name == "mlflow":
            return json.dumps({"dataframe_split": {"columns": COLUMNS, "data": rows}})
        if self.name == "mlserver":
            values = [value for row in rows for value in row]
            shape = [len(rows), len(COLUMNS)]
            tensor = {"name": "x", "shape": shape, "datatype": "FP64", "data": values}
            return json.dumps({"inputs": [{**tensor, "parameters": {"content_type": "np"}}]})
        if self.name.startswith("bentoml"):
            return json.dumps({"rows": rows})
        return json.dumps({"columns": COLUMNS, "data": rows})

    def predictions(self, rows: list[list[float]]) -> list[int]:
        answer = requests.post(
            self.url, data=self.body(rows), headers={"Content-Type": "application/json"}, timeout=30
        )
        answer.raise_for_status()
        found: Any = answer.json()
        if self.name == "mlflow":
            return list(found["predictions"])
        if self.name == "mlserver":
            return list(found["outputs"][0]["data"])
        return list(found["result"] if isinstance(found, dict) else found)


@contextmanager
def serving(names: tuple[str, ...], home: Path) -> Iterator[list[Peer]]:
    """Those of the peers that are installed, each as one process."""
    with ExitStack() as stack:
        up = []
        for name in names:
            environment = ENVIRONMENTS / name.partition(",")[0]
            if (environment / "bin" / "python").exists():
                up.append(stack.enter_context(_started(name, environment, home)))
        yield up


@contextmanager
def _started(name: str, environment: Path, home: Path) -> Iterator[Peer]:
    kind = name.partition(",")[0]
    place = home / name.replace(", ", "-")
    place.mkdir()
    port = free_port()
    command, path = _prepared(kind, environment, place, port)
    env = {**os.environ, "PATH": f"{environment / 'bin'}:{os.environ['PATH']}", "HOME": str(place)}
    env |= {"MODEL": str(place / "model.joblib"), "BATCHING": str(int(name.endswith("batching")))}
    env |= {"MLFLOW_DISABLE_TELEMETRY": "true", "BENTOML_DO_NOT_TRACK": "True", "DO_NOT_TRACK": "1"}
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=place, env=env, stdout=log, stderr=log, start_new_session=True
        )
    peer = Peer(name, f"http://127.0.0.1:{port}{path}")
    try:
        _wait(peer, process, place / "log")
        yield peer
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)


def _prepared(kind: str, environment: Path, place: Path, port: int) -> tuple[list[str], str]:
    """The command that serves, and the path that is asked; what it needs is made in `place`."""
    bin, python = environment / "bin", str(environment / "bin" / "python")
    where = place / ("model" if kind == "mlflow" else "model.joblib")
    form = {"mlflow": "mlflow", "fastapi": "joblib-named"}.get(kind, "joblib")
    subprocess.run([python, str(HERE / "model.py"), form, str(where)], check=True, capture_output=True)
    if kind == "fastapi":
        shutil.copy(HERE / "fastapi_app.py", place)
        serve = ["uvicorn", "fastapi_app:app", "--port", str(port), "--log-level", "error"]
        return [python, "-m", *serve], "/predict"
    if kind == "mlflow":
        serve = ["models", "serve", "-m", str(where), "--port", str(port), "--workers", "1"]
        return [str(bin / "mlflow"), *serve, "--env-manager", "local"], "/invocations"
    if kind == "mlserver":
        settings = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
        # One process, as all others; with a pool of one it is slower.
        settings |= {"parallel_workers": 0, "debug": False, "host": "127.0.0.1"}
        (place / "settings.json").write_text(json.dumps(settings))
        model = {"name": "m", "implementation": "mlserver_sklearn.SKLearnModel"}
        uri = {"parameters": {"uri": str(where), "version": "1"}}
        (place / "model-settings.json").write_text(json.dumps(model | uri))
        return [str(bin / "mlserver"), "start", str(place)], "/v2/models/m/infer"
    shutil.copy(HERE / "bentoml_service.py", place)
    return [str(bin / "bentoml"), "serve", "bentoml_service:Classifier", "--port", str(port)], "/predict"


def _wait(peer: Peer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            peer.predictions([[0.0] * len(COLUMNS)])
            return
        except (requests.RequestException, KeyError, ValueError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(
                    f"{peer.name} did not start ({error}):\n{log.read_text()[-3000:]}"
                ) from None
        time.sleep(0.2)
