"""What is damaged in the store is answered with 500 and named; other objects are not affected."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from omega import Omega
from omega.entrypoints.http.app import build
from omega.entrypoints.limits import Limits
from tests.support.wsgi import Reply, call


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("OMEGA_HOME", str(tmp_path))
    monkeypatch.delenv("OMEGA_STORE", raising=False)
    return tmp_path


@pytest.fixture
def omega(home):
    with Omega(home=home) as omega:
        yield omega


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def empty(file: Path) -> None:
    file.write_bytes(b"")


PUTS: dict[str, Callable[[Omega, str], Any]] = {
    "frame": lambda omega, name: omega.datasets.put(pd.DataFrame({"x": range(1000)}), name),
    "schema": lambda omega, name: omega.datasets.put(
        pd.DataFrame({f"{n:0200}": [n] for n in range(99)}), name
    ),
    "value": lambda omega, name: omega.datasets.put({"x": [1, None]}, name),
    "array": lambda omega, name: omega.datasets.put(np.arange(100), name),
    "file": lambda omega, name: omega.datasets.put(bytes(1000), name),
    "model": lambda omega, name: omega.models.create(name, [["Ridge", {}]]),
    "job": lambda omega, name: omega.jobs.create("print(1)", name),
    "script": lambda omega, name: omega.scripts.put("def run(om): return 1", name),
}
ASK = {
    "model": ("/model/NAME/predict/", {"data": {"x": [1]}}),
    "job": ("/job/NAME", None),
    "script": ("/script/NAME", None),
}


def ask(app: Any, kind: str, name: str) -> Reply:
    path, body = ASK.get(kind, ("/dataset/NAME", None))
    content = b"" if body is None else json.dumps(body).encode()
    return call(app, "POST" if body else "GET", "/api/v1" + path.replace("NAME", name), body=content)


@pytest.mark.parametrize("harm", [flip, truncate, empty, Path.unlink])
@pytest.mark.parametrize("kind", PUTS)
def test_damage_is_answered_with_500_that_names_the_object(omega, home, kind, harm):
    blobs = home / "store" / "blobs"
    PUTS[kind](omega, "whole")
    before = set(blobs.glob("??/*"))
    PUTS[kind](omega, "harmed")
    files = set(blobs.glob("??/*")) - before
    assert files
    app = build(omega, Limits())
    for file in files:
        content = file.read_bytes()
        harm(file)
        reply = ask(app, kind, "harmed")
        assert reply.status == 500, reply.body
        assert reply.headers["content-type"] == "application/problem+json"
        detail = reply.json["detail"]
        assert "harmed" in detail and file.name in detail and "damaged" in detail
        assert str(home) not in reply.body.decode() and "Traceback" not in reply.body.decode()
        assert ask(app, kind, "whole").status != 500
        file.write_bytes(content)
        assert ask(app, kind, "harmed").status != 500
