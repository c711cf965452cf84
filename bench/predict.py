"""2a: predictions of one row, sent as JSON, beside the model in process and beside other servers.

LogisticRegression on ten columns of the breast cancer data; every server is one process and keeps the model
loaded. All give the same predictions, or nothing is measured. Load comes from wrk; servers take turns.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench import plot
from bench.load import Load, load
from bench.measuring import AT_LEAST, AT_MOST, Finding, Series
from bench.peers.model import fitted
from bench.peers.servers import COLUMNS, PEERS, Peer, serving
from tests.support.server import Server, running

CONNECTIONS: Final = 8
#: For the plot.
STEPS: Final = (1, 2, 4, 8, 16, 32, 64)
PATH: Final = "/model/m/predict/"


def findings(*, quick: bool) -> Iterator[Finding]:
    """One server after the other, again and again."""
    rounds, seconds = (3, 1) if quick else (7, 3)
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        peers = stack.enter_context(serving(PEERS, Path(home)))
        (Path(home) / "omega").mkdir()
        omega = stack.enter_context(running(Path(home) / "omega"))
        model, rows = filled(omega)
        same_predictions(omega, model, rows, peers)
        loads: dict[str, list[Load]] = {name: [] for name in ("omega", *(peer.name for peer in peers))}
        in_process: list[float] = []
        for _ in range(rounds + 1):
            in_process.append(rate_of(model, rows[:1], seconds / 3))
            loads["omega"].append(asked(omega, rows, seconds))
            for peer in peers:
                found = load(peer.url, peer.body(rows[:1].tolist()), connections=CONNECTIONS, seconds=seconds)
                loads[peer.name].append(found)
        # The first round warms up.
        yield from judged({name: found[1:] for name, found in loads.items()}, in_process[1:])
        if not quick:
            write_curve(omega, rows, peers, plot.CURVE)
            plot.draw()


def filled(omega: Server) -> tuple[Any, np.ndarray]:
    """The model in process, and the rows; the same model on the server."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    rows = data.data[:, :10]
    columns = {name: rows[:, at].tolist() for at, name in enumerate(COLUMNS)}
    omega.put("/dataset/d/", json={"data": {**columns, "y": data.target.tolist()}}).raise_for_status()
    spec = [["LogisticRegression", {"max_iter": 5000}]]
    omega.post("/model/", json={"name": "m", "pipeline": spec}).raise_for_status()
    omega.put(f"/model/m/fit/?datax=d[{','.join(COLUMNS)}]&datay=d[y]").raise_for_status()
    return fitted(named=False), rows


def body_of(rows: np.ndarray) -> str:
    return json.dumps({"columns": COLUMNS, "data": rows.tolist()})


def same_predictions(omega: Server, model: Any, rows: np.ndarray, peers: list[Peer]) -> None:
    wanted = model.predict(rows).tolist()
    answer = omega.post(PATH, data=body_of(rows), headers={"Content-Type": "application/json"})
    assert answer.json()["result"] == wanted, "omega predicts otherwise"
    for peer in peers:
        assert peer.predictions(rows.tolist()) == wanted, f"{peer.name} predicts otherwise"


def asked(omega: Server, rows: np.ndarray, seconds: int, connections: int = CONNECTIONS) -> Load:
    return load(omega.url + PATH, body_of(rows[:1]), connections=connections, seconds=seconds)


def rate_of(model: Any, row: np.ndarray, seconds: float) -> float:
    """How often a second the model answers in process."""
    count, end = 0, (started := time.perf_counter()) + seconds
    while time.perf_counter() < end:
        for _ in range(100):
            model.predict(row)
        count += 100
    return count / (time.perf_counter() - started)


def judged(loads: dict[str, list[Load]], in_process: list[float]) -> Iterator[Finding]:
    assert not sum(found.errors for series in loads.values() for found in series), "errors under load"
    rates = {name: Series([found.rate for found in series], "/s") for name, series in loads.items()}
    what = f"one-row predict over HTTP, {CONNECTIONS} connections, requests"
    inside = Series(in_process, "/s")
    yield Finding(
        "2a", what, rates["omega"], AT_LEAST, 0.6, inside, "predict(ndarray) in process", guard=0.12
    )
    for name, rate in rates.items():
        if name != "omega":
            target, guard = (4.0, 1.8) if name == "fastapi" else (3.0, 0.8 if name == "mlserver" else 2.0)
            yield Finding("2a", what, rates["omega"], AT_LEAST, target, rate, name, guard=guard)
    slowest = Series([found.p99_ms for found in loads["omega"]])
    typical = Series([found.p50_ms for found in loads["omega"]])
    yield Finding("2a", "p99 of the same", slowest, AT_MOST, 5.0, typical, "p50")


def write_curve(omega: Server, rows: np.ndarray, peers: list[Peer], where: Path) -> None:
    """Throughput and latency against connections, for the plot."""
    curve: dict[str, list[dict[str, float]]] = {}
    for connections in STEPS:
        for name in ("omega", *(peer.name for peer in peers)):
            peer = next((peer for peer in peers if peer.name == name), None)
            found = (
                asked(omega, rows, 2, connections)
                if peer is None
                else load(peer.url, peer.body(rows[:1].tolist()), connections=connections, seconds=2)
            )
            point = {"connections": connections, "rate": found.rate, "p50": found.p50_ms, "p99": found.p99_ms}
            curve.setdefault(name, []).append(point)
    where.write_text(json.dumps(curve, indent=1) + "\n")
