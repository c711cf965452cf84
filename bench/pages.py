"""Pages and filters of a long dataset and of a short one, and the memory that it takes to stream the long one
(point e).

Over HTTP, in turn. `i0` goes up with the rows, so that bounds tell where a value can be; `i1` is in no order,
and all of it has to be read: beside the same of a short dataset, and beside Arrow's own filter on files.
"""

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.feather

from bench.logbook import ROWS_OF_AN_ID, put_long
from bench.measuring import AT_MOST, Finding, Series, in_turn
from omega import Omega
from omega.domain.datasets import Query
from omega.domain.names import Reference
from tests.support.mongo_server import replica_set
from tests.support.server import Server, running

_LONG_ROWS = 10_000_000
_SHORT_ROWS = 100_000
_ARROW = "application/vnd.apache.arrow.stream"
_MEASURED_EVERY_S = 0.02


def findings(*, quick: bool) -> Iterator[Finding]:
    """All of it on the embedded store, the pages on MongoDB too."""
    rows = 2_000_000 if quick else _LONG_ROWS
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        with Omega(home=home) as omega:
            _fill(omega, rows)
            yield _segments_read(omega, rows)
            yield _beside_arrow(omega, home / "files", quick)
        with running(home, "--no-worker") as server:
            yield from _pages(server, rows, "embedded", quick)
            yield _in_no_order(server, rows, quick)
            yield from _streams(server, rows)
    if not quick:
        yield from _on_mongodb(rows)


def _on_mongodb(rows: int) -> Iterator[Finding]:
    with replica_set(members=1) as members, tempfile.TemporaryDirectory() as directory:
        home, store = Path(directory), members.url_of("bench")
        with Omega(store, home=home) as omega:
            _fill(omega, rows)
        with running(home, "--no-worker", env={"OMEGA_STORE": store}) as server:
            yield from _pages(server, rows, "mongod", False)


def _fill(omega: Omega, rows: int) -> None:
    put_long(omega, "long", rows)
    put_long(omega, "short", _SHORT_ROWS)


def _get(server: Server, path: str, rows: int) -> None:
    answer = server.get(path)
    answer.raise_for_status()
    assert len(answer.json()["data"]["i0"]) == rows


def _pages(server: Server, rows: int, where: str, quick: bool) -> Iterator[Finding]:
    """A page in the middle, and the rows of one id in the middle."""
    for what, query, found in (
        ("limit=100&offset in the middle", lambda n: f"limit=100&offset={n // 2}", 100),
        ("i0=7", lambda n: "i0=7", ROWS_OF_AN_ID),
        ("i0 in the middle", lambda n: f"i0={n // 2 // ROWS_OF_AN_ID}", ROWS_OF_AN_ID),
    ):
        long, short = in_turn(
            partial(_get, server, f"/dataset/long?{query(rows)}", found),
            partial(_get, server, f"/dataset/short?{query(_SHORT_ROWS)}", found),
            rounds=15 if quick else 50,
            warmup=3,
        )
        title = f"{what} of {rows:,} rows, {where}"
        yield Finding("e", title, long, AT_MOST, 3.0, short, f"of {_SHORT_ROWS:,}")


def _in_no_order(server: Server, rows: int, quick: bool) -> Finding:
    """Values that few rows have and that are everywhere."""

    path = "/dataset/{}?i1=500000&format=arrow"
    long, short = in_turn(
        lambda: server.get(path.format("long")).raise_for_status(),
        lambda: server.get(path.format("short")).raise_for_status(),
        rounds=3 if quick else 10,
    )
    what = f"i1=500000 (in no order) of {rows:,} rows, embedded"
    return Finding("e", what, long, AT_MOST, 3.0, short, f"of {_SHORT_ROWS:,}", guard=40)


def _segments_read(omega: Omega, rows: int) -> Finding:
    """How many segments are read for one id in the middle."""
    datasets = omega._services.datasets
    segments, read = datasets.segments.frames, []
    payload = datasets.catalogue.allow("get", "long").version(Reference("long")).payload
    known = {segment["id"] for segment in payload["segments"]}
    blobs: Any = segments._blobs  # type: ignore[attr-defined]
    inner = blobs.read
    blobs.read = lambda payload: (read.append(payload), inner(payload))[1]
    try:
        assert len(omega.datasets.get("long", where={"i0": rows // 2 // ROWS_OF_AN_ID})) == ROWS_OF_AN_ID
    finally:
        del blobs.read
    seen = Series([len(known.intersection(read))], "segments")
    return Finding("e", f"segments read for one id, of {len(known)}", seen, AT_MOST, 2)


def _beside_arrow(omega: Omega, files: Path, quick: bool) -> Finding:
    """A filter that finds little and has to look at everything, beside the same in the same rows as files."""
    files.mkdir()
    reading = omega.datasets.open("long")
    for number, table in enumerate(reading.tables):
        pyarrow.feather.write_feather(table, files / f"{number}.arrow", compression="uncompressed")
    rows = pads.dataset(sorted(files.iterdir()), format="ipc")

    query = Query(where={"i1": 500_000})

    def ours() -> int:
        return sum(table.num_rows for table in omega.datasets.open("long", query).tables)

    def arrows() -> int:
        return int(rows.to_table(filter=pc.field("i1") == 500_000).num_rows)

    assert ours() == arrows()
    own, arrow = in_turn(ours, arrows, rounds=3 if quick else 10)
    what = "i1=500000 (in no order), in process"
    return Finding("e", what, own, AT_MOST, 3.0, arrow, "pyarrow.dataset on files", guard=6)


def _streams(server: Server, rows: int) -> Iterator[Finding]:
    for name, media in (("CSV", "text/csv"), ("Arrow", _ARROW)):
        with _growth(server) as grown:
            _consume(server, "/dataset/short", media)
        with _growth(server) as grown:
            size = _consume(server, "/dataset/long", media)
        seen = Series([grown() / 1e6], "MB")
        yield Finding(
            "e", f"memory to stream {rows:,} rows as {name} ({size / 1e6:,.0f} MB)", seen, AT_MOST, 200
        )


def _consume(server: Server, path: str, media: str) -> int:
    with server.get(path, headers={"Accept": media}, stream=True) as answer:
        answer.raise_for_status()
        return sum(map(len, answer.iter_content(1 << 20)))


@contextmanager
def _growth(server: Server) -> Iterator[Callable[[], int]]:
    """By how many bytes the memory of the server's processes grows at most meanwhile."""
    ended, most = threading.Event(), [before := _memory(server)]

    def watch() -> None:
        while not ended.wait(_MEASURED_EVERY_S):
            most.append(max(most.pop(), _memory(server)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield lambda: most[0] - before
    finally:
        ended.set()
        watcher.join()


def _memory(server: Server) -> int:
    process = psutil.Process(server.process.pid)
    total = 0
    for each in (process, *process.children(recursive=True)):
        try:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
