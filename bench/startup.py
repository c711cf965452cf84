"""Starts (g): of commands, and of a server to its first answer and its first prediction.

Bytecode is on the disk, as after any installation; stores are small, files in the system's cache. Wall time:
what else the machine does counts too.
"""

import compileall
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import requests

import omega
from bench.measuring import AT_MOST, Finding, Series, in_turn
from tests.support.server import OM, environment, free_port, running

ROW: Final = {"data": [[1.0, 2.0]], "columns": ["a", "b"]}


def findings(*, quick: bool) -> Iterator[Finding]:
    compileall.compile_dir(Path(omega.__file__).parent, quiet=1)
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        with running(home) as server:
            frame = {"a": [1.0, 2.0, 3.0, 4.0], "b": [2.0, 1.0, 4.0, 3.0], "y": [0, 0, 1, 1]}
            server.put("/dataset/d/", json={"data": frame}).raise_for_status()
            model = {"name": "m", "pipeline": [["LogisticRegression", {}]]}
            server.post("/model/", json=model).raise_for_status()
            server.put("/model/m/fit/?datax=d[a,b]&datay=d[y]").raise_for_status()
        yield from commands(home, rounds=5 if quick else 15)
        yield from servers(home, rounds=3 if quick else 9)


def commands(home: Path, *, rounds: int) -> Iterator[Finding]:
    def call(*command: str) -> None:
        subprocess.run(command, env=env(home), check=True, stdout=subprocess.DEVNULL)

    found = in_turn(
        lambda: call(OM, "--help"),
        lambda: call(OM, "datasets", "list"),
        lambda: call(sys.executable, "-c", "import omega"),
        lambda: call(sys.executable, "-c", "pass"),
        rounds=rounds,
    )
    *ours, python = found
    named = (("om --help", 150), ("om datasets list", 400), ("python -c 'import omega'", 100))
    for series, (command, most_ms) in zip(ours, named, strict=True):
        yield Finding("g", f"{command} (python itself: {python.median:.0f} ms)", series, AT_MOST, most_ms)


def servers(home: Path, *, rounds: int) -> Iterator[Finding]:
    answers, predictions = [], []
    for _ in range(rounds):
        answer_s, prediction_s = cold_start(home)
        answers.append(answer_s)
        predictions.append(prediction_s)
    yield Finding("g", "om runtime serve to the first answer", Series(answers, "s"), AT_MOST, 1.5, guard=2.5)
    yield Finding("g", "first prediction of a model after that", Series(predictions, "s"), AT_MOST, 0.3)


def cold_start(home: Path) -> tuple[float, float]:
    """Seconds to the first answer of a server with its worker, and from there to that of a model."""
    port, started = free_port(), time.perf_counter()
    command = [OM, "runtime", "serve", "--port", str(port)]
    server = subprocess.Popen(command, env=env(home), stdout=subprocess.DEVNULL, cwd=home)
    url = f"http://127.0.0.1:{port}/api/v1"
    try:
        while True:
            try:
                requests.get(f"{url}/ping", timeout=30).raise_for_status()
                break
            except requests.ConnectionError:
                assert server.poll() is None
                time.sleep(0.005)
        answered = time.perf_counter()
        answer = requests.put(f"{url}/model/m/predict/", json=ROW, timeout=30)
        assert answer.json()["result"] == [0], answer.text
        return answered - started, time.perf_counter() - answered
    finally:
        server.terminate()
        server.wait(30)


def env(home: Path) -> dict[str, str]:
    kept = environment(home)
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept
