"""A store in MongoDB: how many commands a call sends, and how long it takes, beside one bare write.

    python bench/mongodb.py

The server is a replica set of one member on this machine, so that a round trip costs next to nothing: over a
network each command costs one more.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import pandas as pd
from pymongo import MongoClient

from omega import Omega
from omega.adapters.mongo import database as database_module
from omega.adapters.mongo.blobs import MongoBlobStore
from omega.adapters.mongo.database import connect
from tests.support.mongo_commands import Sent
from tests.support.mongo_server import replica_set

ROUNDS = 40
FRAME = pd.DataFrame({"x": np.arange(10.0), "y": np.arange(10.0) * 2})


def main() -> None:
    sent = Sent()
    database_module.MongoClient = partial(MongoClient, event_listeners=[sent])  # type: ignore[misc, assignment]
    with replica_set(members=1) as members, tempfile.TemporaryDirectory() as home:
        url = members.url_of("bench")
        with Omega(url, home=home) as omega:
            compare(sent, url, omega)


def compare(sent: Sent, url: str, omega: Omega) -> None:
    """Each call in turn with the reference; medians."""
    database = connect(url)
    blobs, bare = MongoBlobStore(database), database.collection("omega.bench")
    omega.datasets.put(FRAME, "read")
    omega.models.create("m", [["LinearRegression", {}]])
    omega.runtime.model("m").fit("read[x]", "read[y]")
    calls: dict[str, Callable[[int], object]] = {
        "one bare insert": lambda n: bare.insert_one({"_id": n}),
        "write a payload of 10 kB": lambda n: blobs.write(f"s{n}", chunks=[bytes(10_000)]),
        "read a payload of 10 kB": lambda n: b"".join(blobs.read(f"s{n}")),
        "remove a payload of 10 kB": lambda n: blobs.remove(f"s{n}"),
        "write a payload of 4 MB": lambda n: blobs.write(f"l{n}", chunks=[bytes(4_000_000)]),
        "read a payload of 4 MB": lambda n: b"".join(blobs.read(f"l{n}")),
        "put a dataset of 10 rows": lambda n: omega.datasets.put(FRAME, f"d{n}"),
        "append 10 rows": lambda n: omega.datasets.put(FRAME, f"d{n}"),
        "read a dataset of 10 rows": lambda n: omega.datasets.get("read"),
        "fit on 10 rows": lambda n: omega.runtime.model("m").fit("read[x]", "read[y]"),
        "predict one row, at first": lambda n: omega.runtime.model("m").predict(FRAME[["x"]][:1]),
        "predict one row, again": lambda n: omega.runtime.model("m").predict(FRAME[["x"]][:1]),
        "page of a list": lambda n: omega.datasets.page(limit=20),
        "open the store": lambda n: connect(url).close(),
    }
    times: dict[str, list[float]] = {what: [] for what in calls}
    trips: dict[str, int] = {}
    for n in range(ROUNDS):
        for what, use in calls.items():
            sent.names.clear()
            started = time.perf_counter()
            use(n)
            times[what].append(time.perf_counter() - started)
            trips[what] = sent.names.total()
    reference = statistics.median(times["one bare insert"])
    for what, seconds in times.items():
        took = statistics.median(seconds)
        print(f"{what:28} {trips[what]:3} commands {took * 1000:7.1f} ms {took / reference:6.1f} x")


if __name__ == "__main__":
    main()
