"""Memory and disk over time (i): a server after very many predictions, and after very many datasets that
came and went.

The figure is how much memory a server has after the work, as a multiple of what it had after a first part
of it: what it takes once is not what it loses. Of the disk, what the store keeps of datasets that were
deleted is shown as a share of what they had.
"""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pymongo

from bench.measuring import AT_MOST, Finding, Series
from tests.support.mongo_server import replica_set
from tests.support.server import Server, running

ARROW: Final = {"Content-Type": "application/vnd.apache.arrow.stream"}
_FIRST_CYCLES: Final = 300
#: For wrk: one row to a model.
SCRIPT: Final = """
wrk.method = "PUT"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"data": [[1.0]], "columns": ["x"]}'
response = function(status) if status ~= 202 then os.exit(1) end end
"""


def findings(*, quick: bool) -> Iterator[Finding]:
    fits_itself = {"OMEGA_QUEUE": "memory://"}
    with tempfile.TemporaryDirectory() as home, running(Path(home), env=fits_itself) as server:
        yield predictions(server, Path(home), count=20_000 if quick else 200_000)
    for name, mongod in (("embedded", nullcontext()), ("mongod", replica_set(members=1))):
        with mongod as members, tempfile.TemporaryDirectory() as home:
            store = None if members is None else members.url_of("memory")
            env = {} if store is None else {"OMEGA_STORE": store}
            with running(Path(home), "--no-worker", env=env) as server:
                yield from cycles(server, Path(home), name, store, count=200 if quick else 2_000)


def predictions(server: Server, home: Path, *, count: int) -> Finding:
    server.put("/dataset/d/", json={"data": {"x": [1.0, 2], "y": [2.0, 4]}}).raise_for_status()
    server.post("/model/", json={"name": "m", "pipeline": [["LinearRegression", {}]]}).raise_for_status()
    server.put("/model/m/fit/?datax=d[x]&datay=d[y]").raise_for_status()

    script = home / "one_row.lua"
    script.write_text(SCRIPT)
    command = ["wrk", "-t1", "-c8", "-d2s", "-s", str(script), f"{server.url}/model/m/predict/"]

    def ask(count: int) -> None:
        while count > 0:
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            match = re.search(r"(\d+) requests in", told)
            assert match is not None, told
            count -= int(match[1])

    ask(count // 10)
    before = rss(server)
    ask(count)
    grown = Series([rss(server) / before], "x")
    return Finding(
        "i", f"memory after {count:,} predictions over HTTP, in sizes before", grown, AT_MOST, 1.05
    )


def cycles(server: Server, home: Path, name: str, store: str | None, *, count: int) -> Iterator[Finding]:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(draw.normal(size=(5_000, 10))).set_axis(list("abcdefghij"), axis=1)
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pandas(frame)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content = sink.getvalue().to_pybytes()

    def cycle(times: int) -> None:
        for number in range(times):
            server.put(f"/dataset/d{number % 7}/", data=content, headers=ARROW).raise_for_status()
            server.delete(f"/dataset/d{number % 7}/").raise_for_status()

    # By then SQLite's log has the length that it keeps: 4 MB, whatever comes after.
    cycle(_FIRST_CYCLES)
    before, disk = rss(server), used(home, store)
    cycle(count)
    grown = Series([rss(server) / before], "x")
    told = f"memory after {count:,} datasets that were put and deleted, {name}, in sizes before"
    yield Finding("i", told, grown, AT_MOST, 1.05)
    left = Series([100 * (used(home, store) - disk) / (count * len(content))], "%")
    told = f"disk use left by {count:,} datasets of {len(content) / 1e3:.0f} kB that were deleted, {name}"
    yield Finding("i", f"{told}, of what they had", left, AT_MOST, 1)


def rss(server: Server) -> int:
    """What the processes that answer have in memory."""
    found = psutil.Process(server.process.pid).children(recursive=True)
    return sum(process.memory_info().rss for process in found)


def used(home: Path, store: str | None) -> int:
    """Bytes of files; of a database in MongoDB those of its documents and indexes (WiredTiger keeps the files
    for what comes).
    """
    if store is None:
        return sum(file.stat().st_blocks * 512 for file in (home / "store").rglob("*") if file.is_file())
    with pymongo.MongoClient[dict[str, Any]](store) as client:
        found = client.get_default_database().command("dbStats")
        return int(found["dataSize"] + found["indexSize"])
