"""Tasks on a running server, as its clients see them."""

import time
from typing import Any

import numpy as np

from tests.support.server import Server

FINAL = ("SUCCESS", "FAILURE", "REVOKED")


def slow_model(server: Server, name: str, *, steps: int = 300, rows: int = 2000) -> None:
    """A model whose fit takes some tenths of a second for 100 steps, and the dataset `slow` to fit it on."""
    rng = np.random.default_rng(0)
    columns = {f"x{n}": rng.normal(size=rows).tolist() for n in range(5)} | {
        "y": rng.normal(size=rows).tolist()
    }
    if server.get("/dataset/slow", params={"limit": 1}).status_code == 404:
        server.put("/dataset/slow/", json={"data": columns, "append": False}).raise_for_status()
    spec = [["GradientBoostingRegressor", {"n_estimators": steps, "random_state": 0}]]
    server.post("/model/", json={"name": name, "pipeline": spec, "replace": True}).raise_for_status()


def submit(server: Server, name: str, action: str = "fit", **query: Any) -> str:
    """Leave an action on the dataset `slow` to a worker; the task's id."""
    data = {
        "datax": "slow[^y]",
        **({"datay": "slow[y]"} if action in ("fit", "partial_fit", "score") else {}),
    }
    response = server.put(f"/model/{name}/{action}/", params={**data, "async": "1", **query})
    assert response.status_code == 202, response.text
    return str(response.json()["task_id"])


def status(server: Server, id: str) -> dict[str, Any]:
    response = server.get(f"/task/{id}/status")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def ended(server: Server, id: str, *, within_s: float = 60) -> str:
    """The status of a task at its end."""
    deadline = time.monotonic() + within_s
    while (found := status(server, id))["status"] not in FINAL:
        assert time.monotonic() < deadline, f"after {within_s} s the task is still {found}"
        time.sleep(0.02)
    return str(found["status"])


def begun(server: Server, id: str, *, within_s: float = 60) -> None:
    """Wait until a task is being carried out."""
    deadline = time.monotonic() + within_s
    while (found := status(server, id))["status"] in ("PENDING", "RETRY"):
        assert time.monotonic() < deadline, f"after {within_s} s the task is still {found}"
        time.sleep(0.02)


def version(server: Server, name: str) -> int:
    response = server.get(f"/model/{name}/")
    assert response.status_code == 200, response.text
    return int(response.json()["model"]["version"])


def result(server: Server, id: str) -> dict[str, Any]:
    response = server.get(f"/task/{id}/result")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found
