"""JSON frames on the wire (c): what GET writes and what PUT reads, of 100,000 rows in the API's own form.

References are what a data scientist would write: `json.dumps(df.astype("O").to_dict())` and
`DataFrame.from_dict(json.loads(body))`. The same over HTTP stands beside them; and of 1,000,000 x 10 how much
more memory the server takes at most than the frame has.
"""

import json
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pandas as pd
import psutil

from bench.measuring import AT_LEAST, AT_MOST, Finding, Series, in_turn
from omega.entrypoints import formats
from omega.entrypoints.api import Omega
from omega.entrypoints.limits import Limits
from tests.support.server import Server, running

ROWS: Final = 100_000
LIMITS: Final = Limits()
#: Where the target is missed (bench/reasons/wire_json.md), what was seen, and some more.
GUARDS: Final = {"PUT text": 2.3, "PUT mixed": 2.3, "PUT request": 1.5}
MEMORY_GUARDS: Final = {"PUT": 20.0, "GET": 3.0}
_MIB: Final = 1 << 20


def findings(*, quick: bool) -> Iterator[Finding]:
    rounds = 3 if quick else 7
    for name, frame in frames(ROWS).items():
        yield from in_process(name, frame, rounds=rounds)
    with tempfile.TemporaryDirectory() as home, running(Path(home), "--no-worker") as server:
        yield from over_http(server, frames(ROWS)["mixed"], rounds=rounds)
    if not quick:
        yield from memory(frames(1_000_000)["mixed"])


def frames(rows: int) -> dict[str, pd.DataFrame]:
    """Floats; text; and five columns of floats, three of integers, one of text, one of datetimes."""
    draw = np.random.default_rng(0)
    numbers = draw.integers(0, 10**6, (rows, 10))
    floats = pd.DataFrame(draw.normal(size=(rows, 10))).set_axis([f"f{i}" for i in range(10)], axis=1)
    text = {f"s{i}": [f"entry {n} of {i}" for n in numbers[:, i]] for i in range(10)}
    mixed = {
        **floats.iloc[:, :5],
        **{f"i{i}": numbers[:, i] for i in range(3)},
        "s": [f"customer {n}" for n in numbers[:, 3] % 5000],
        "d": pd.Timestamp("2020-01-01") + pd.to_timedelta(numbers[:, 4], unit="s"),
    }
    return {"floats": floats, "text": pd.DataFrame(text), "mixed": pd.DataFrame(mixed)}


def in_process(name: str, frame: pd.DataFrame, *, rounds: int) -> Iterator[Finding]:
    with Omega(store="memory://") as omega:
        omega.datasets.put(frame, name)

        def encode() -> bytes:
            return b"".join(formats.encode_json_frame(omega.datasets.open(name), resource_uri=f"/{name}/"))

        def plain_encode() -> str:
            return json.dumps(frame.astype("O").to_dict(), default=str)

        answer = orjson.loads(encode())
        expected = {c: [str(v) if c == "d" else v for v in frame[c]] for c in frame}
        written = {c: list(values.values()) for c, values in answer["data"].items()}
        assert written == {c: [v.replace(" ", "T") if c == "d" else v for v in expected[c]] for c in expected}
        ours, theirs = in_turn(encode, plain_encode, rounds=rounds)
        told = f"GET of {ROWS:,} x 10, {name}, encoded in process: so many times as fast"
        yield faster(told, ours, theirs, 4, "json.dumps(df.astype('O').to_dict())")
    # As a client sends it that knows of dtypes.
    body = json.dumps({"data": answer["data"], "dtypes": answer["dtypes"]}).encode()
    pd.testing.assert_frame_equal(decode(body), frame)
    ours, theirs = in_turn(lambda: decode_table(body), lambda: plain_decode(body), rounds=rounds)
    told = f"PUT of {ROWS:,} x 10, {name}, decoded in process: so many times as fast"
    yield faster(told, ours, theirs, 3, "DataFrame.from_dict(json.loads(...))", f"PUT {name}")


def decode_table(body: bytes) -> Any:
    parsed = formats.parse_json_frame(body, max_depth=LIMITS.json_depth)
    return formats.decode_json_frame(parsed, limits=LIMITS).table


def decode(body: bytes) -> pd.DataFrame:
    from omega.domain import tabular

    return tabular.to_pandas(decode_table(body))


def plain_decode(body: bytes) -> pd.DataFrame:
    return pd.DataFrame.from_dict(json.loads(body)["data"])


def faster(told: str, ours: Series, theirs: Series, target: float, against: str, guard: str = "") -> Finding:
    """A figure that is how many times the reference takes as long."""
    least = GUARDS.get(guard, target)
    return Finding("c", told, theirs, AT_LEAST, target, ours, f"of omega; of {against}", guard=least)


def over_http(server: Server, frame: pd.DataFrame, *, rounds: int) -> Iterator[Finding]:
    """Whole requests, with what the store does, beside the same references."""
    text = frame.assign(d=frame["d"].astype(str).str.replace(" ", "T"))
    body = json.dumps(
        {"data": {c: dict(zip(map(str, range(ROWS)), text[c], strict=True)) for c in text}, "append": False}
    )
    content = body.encode()

    def put() -> None:
        server.put("/dataset/d/", data=content).raise_for_status()

    def get() -> bytes:
        return server.get("/dataset/d/").content

    put()
    assert orjson.loads(get())["data"] == json.loads(content)["data"]
    whole = "the whole request over HTTP: so many times as fast"
    ours, theirs = in_turn(get, lambda: json.dumps(frame.astype("O").to_dict(), default=str), rounds=rounds)
    yield faster(f"GET of {ROWS:,} x 10, mixed, {whole}", ours, theirs, 4, "json.dumps in process")
    ours, theirs = in_turn(put, lambda: plain_decode(content), rounds=rounds)
    yield faster(
        f"PUT of {ROWS:,} x 10, mixed, {whole}", ours, theirs, 3, "json.loads in process", "PUT request"
    )


def memory(frame: pd.DataFrame) -> Iterator[Finding]:
    size = int(frame.memory_usage(deep=True).sum())
    names = f"of the frame ({size / _MIB:.0f} MiB)"
    with tempfile.TemporaryDirectory() as home, running(Path(home), "--no-worker") as server:
        body = json.dumps(
            {
                c: dict(
                    zip(
                        map(str, range(len(frame))),
                        frame[c].astype(str) if c == "d" else frame[c].tolist(),
                        strict=True,
                    )
                )
                for c in frame
            }
        )
        content = ('{"append":false,"data":' + body + "}").encode()
        del body
        server.get("/ping")

        def put() -> None:
            server.put("/dataset/d/", data=content).raise_for_status()

        def get() -> None:
            with server.get("/dataset/d/", stream=True) as answer:
                for _ in answer.iter_content(1 << 20):
                    pass

        for verb, call in (("PUT", put), ("GET", get)):
            grown = Series([grown_bytes(server, call) / size], "x")
            body = f"body: {len(content) / _MIB:.0f} MiB"
            told = f"memory of a JSON {verb} of 1,000,000 x 10 ({body}), in sizes {names}"
            yield Finding("b", told, grown, AT_MOST, 3, guard=MEMORY_GUARDS[verb])


def grown_bytes(server: Server, call: Callable[[], None]) -> int:
    """By how much the server's processes grow at most while a call is answered."""
    processes = psutil.Process(server.process.pid).children(recursive=True)
    over, seen = threading.Event(), [0]

    def rss() -> int:
        return sum(process.memory_info().rss for process in processes)

    before = rss()

    def watch() -> None:
        while not over.wait(0.005):
            seen[0] = max(seen[0], rss())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        call()
    finally:
        over.set()
        watcher.join()
    return seen[0] - before
