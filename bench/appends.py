"""Appends to a long and to a short dataset, and how one reads that was made by many of them (point d).

Both datasets take the same batches in turn.
"""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd

from bench.logbook import logbook, put_long
from bench.measuring import AT_MOST, Finding, in_turn
from omega import Omega
from tests.support.mongo_server import replica_set

_BATCH = 100
_LONG_ROWS = 10_000_000
_SHORT_ROWS = 1000


def findings(*, quick: bool) -> Iterator[Finding]:
    """Both promises, on the embedded store and on MongoDB."""
    with tempfile.TemporaryDirectory() as home:
        store = f"file://{home}/store"
        yield from _findings(store, Path(home), "embedded", quick)
        if not quick:
            with replica_set(members=1) as members:
                yield from _findings(members.url_of("bench"), Path(home), "mongod", quick)


def _findings(store: str, home: Path, where: str, quick: bool) -> Iterator[Finding]:
    with Omega(store, home=home) as omega:
        yield _long_and_short(omega, where, 2_000_000 if quick else _LONG_ROWS, 40 if quick else 200)
        for rows in (1, _BATCH):
            yield _many_and_one(omega, where, rows, quick)


def _long_and_short(omega: Omega, where: str, rows: int, rounds: int) -> Finding:
    put_long(omega, "long", rows)
    omega.datasets.put(logbook(_SHORT_ROWS), "short")
    batch = logbook(_BATCH, start=rows)

    def append(name: str) -> None:
        omega.datasets.put(batch, name)

    long, short = in_turn(partial(append, "long"), partial(append, "short"), rounds=rounds, warmup=5)
    assert omega.datasets.metadata("long").attributes["rows"] == rows + (rounds + 5) * _BATCH
    what = f"append of {_BATCH} rows to {rows:,}, {where}"
    return Finding("d", what, long, AT_MOST, 1.2, short, f"to {_SHORT_ROWS:,}", guard=1.35)


def _many_and_one(omega: Omega, where: str, rows: int, quick: bool) -> Finding:
    whole = logbook(1000 * rows)
    many, one = f"{rows} by {rows}", f"{rows} at once"
    for start in range(0, len(whole), rows):
        omega.datasets.put(whole.iloc[start : start + rows].reset_index(drop=True), many)
    omega.datasets.put(whole, one)
    pd.testing.assert_frame_equal(omega.datasets.get(many).reset_index(drop=True), omega.datasets.get(one))
    appended, at_once = in_turn(
        lambda: omega.datasets.get(many),
        lambda: omega.datasets.get(one),
        rounds=20 if quick else 100,
        warmup=3,
    )
    what = f"read what 1,000 appends of {rows} rows made, {where}"
    return Finding("d", what, appended, AT_MOST, 2.0, at_once, "put at once")
