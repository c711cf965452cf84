"""A page of a long list and of one of a tenth of its length (point h): from the catalogue and over REST, of
datasets and of models.

To put 100,000 objects would take an hour, so the records of most are written as the catalogue writes them, by
copying those of one that was put, under other names. That it is the same is checked: what is listed differs
in the name alone, and the copies can be read.
"""

import secrets
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from attrs import evolve

from bench.measuring import AT_MOST, Finding, in_turn
from omega import Omega
from omega.adapters.mongo.counts import RECORDS
from omega.adapters.mongo.database import connect
from omega.domain.catalogue import LISTS
from omega.ports.record_form import encode
from tests.support.mongo_server import replica_set
from tests.support.server import Server, running

_LIMIT = 20
_FRAME = pd.DataFrame({"x": [1.0, 2.0]})


def findings(*, quick: bool) -> Iterator[Finding]:
    """The first page, and one in the middle."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        yield from _findings(home, f"file://{home}/store", "embedded", quick)
    with replica_set(members=1) as members, tempfile.TemporaryDirectory() as directory:
        yield from _findings(Path(directory), members.url_of("bench"), "mongod", quick)


def _findings(home: Path, store: str, where: str, quick: bool) -> Iterator[Finding]:
    sizes = {"long": 30_000, "short": 3_000} if quick else {"long": 100_000, "short": 10_000}
    with Omega(store, home=home) as omega:
        for bucket, size in sizes.items():
            _fill(omega[bucket], store, size)
            _check(omega[bucket], size)
        for resource in ("datasets", "models"):
            lists = [getattr(omega[bucket], resource) for bucket in sizes]
            calls = [partial(each.page, limit=_LIMIT) for each in lists]
            yield _finding(f"{resource} from the catalogue, {where}", *calls, sizes=sizes, quick=quick)
    with running(home, "--no-worker", env={"OMEGA_STORE": store}) as server:
        for resource in ("dataset", "model"):
            calls = [partial(_page, server, resource, bucket, size, 0) for bucket, size in sizes.items()]
            yield _finding(f"{resource}s over REST, {where}", *calls, sizes=sizes, quick=quick)
        calls = [partial(_page, server, "dataset", bucket, size, size // 2) for bucket, size in sizes.items()]
        # Promised of a page; one far down has to be gone down to.
        yield _finding(
            f"datasets over REST from the middle, {where}", *calls, sizes=sizes, quick=quick, guard=4.5
        )


def _finding(
    what: str, long: Any, short: Any, *, sizes: dict[str, int], quick: bool, guard: float = 1.5
) -> Finding:
    ours, reference = in_turn(long, short, rounds=50 if quick else 300, warmup=5)
    title = f"page of {_LIMIT} of {sizes['long']:,} {what}"
    return Finding("h", title, ours, AT_MOST, 1.3, reference, f"of {sizes['short']:,}", guard=guard)


def _page(server: Server, resource: str, bucket: str, size: int, offset: int) -> None:
    answer = server.get(f"/{resource}/?limit={_LIMIT}&offset={offset}", headers={"bucket": bucket})
    answer.raise_for_status()
    body = answer.json()
    assert body["meta"]["total_count"] == size and len(body["objects"]) == _LIMIT


def _fill(omega: Omega, store: str, size: int) -> None:
    """So many datasets and models: one of each is put, the others are its records under other names."""
    omega.datasets.put(_FRAME, "first")
    omega.models.create("first", [["LinearRegression", {}]])
    records: dict[str, Any] = {}
    walkable: Any = omega._services.datasets.catalogue.records
    for resource in ("dataset", "model"):
        head = walkable.read(f"object/{omega.bucket}/{resource}/visible/first")
        (version,) = walkable.page(f"version/{head.value['uid']}/").records
        shelf = LISTS.match(head.key)
        assert shelf is not None
        for n in range(1, size):
            uid = f"{omega.bucket}{resource}{n:06d}"
            records[f"{shelf[0]}team {n % 50}/{n:06d}"] = {**head.value, "uid": uid}
            records[f"version/{uid}/{version.key.split('/', 2)[2]}"] = version.value
    if store.startswith("file://"):
        _into_sqlite(Path(store.removeprefix("file://")) / "records.sqlite", records)
    else:
        _into_mongodb(store, records)


def _into_sqlite(path: Path, records: dict[str, Any]) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        rows = ((key, secrets.token_hex(16), encode(key, value)[0]) for key, value in records.items())
        db.executemany("INSERT INTO record (key, revision, value) VALUES (?, ?, ?)", rows)


def _into_mongodb(url: str, records: dict[str, Any]) -> None:
    database = connect(url)
    try:
        database.collection(RECORDS).insert_many(
            {"_id": key, "revision": secrets.token_hex(16), "value": encode(key, value)[0]}
            for key, value in records.items()
        )
    finally:
        database.close()


def _check(omega: Omega, size: int) -> None:
    """The copies are as what was put, and what is put now is counted with them."""
    before = omega.datasets.page(limit=3)
    assert before.total == size
    *copies, _ = before.items
    put = omega.datasets.metadata("first")
    for copy in copies:
        assert evolve(copy, name="first") == evolve(put, attributes=copy.attributes)
        pd.testing.assert_frame_equal(omega.datasets.get(copy.name), _FRAME)
    omega.datasets.put(_FRAME, "last")
    assert omega.datasets.page(limit=1).total == size + 1
    omega.datasets.drop("last")
    assert omega.datasets.page(limit=1).total == omega.models.page(limit=1).total == size
