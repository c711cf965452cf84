"""2b: a frame of 1,000,000 x 10 as Arrow over HTTP, beside the same file in process, synced and read.

The client is a bare socket, which takes what comes and does nothing with it; what bytes of that length take
over the loopback alone is shown too. Memory is the most that the server process has, over what it had before.
"""

import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import requests

from bench.measuring import AT_MOST, Finding, Series, in_turn
from tests.support.mongo_server import replica_set
from tests.support.server import Server, running

ROWS: Final = 1_000_000
ARROW: Final = "application/vnd.apache.arrow.stream"
_PART: Final = 1 << 20
#: What was seen when it was measured last, and a third more.
_GUARDS: Final = {"PUT embedded": 4.5, "GET embedded": 14.0, "PUT mongod": 12.0, "GET mongod": 45.0}


def findings(*, quick: bool) -> Iterator[Finding]:
    """Both stores, in turn with the file."""
    rounds = 3 if quick else 9
    content = stream(frame())
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        embedded = server(stack, Path(home) / "embedded")
        members = stack.enter_context(replica_set(members=1))
        mongod = server(stack, Path(home) / "mongod", OMEGA_STORE=members.url_of("transfer"))
        file = Path(home) / "reference"
        written, put, put_mongo = in_turn(
            partial(write, file, content),
            partial(send, embedded, content),
            partial(send, mongod, content),
            rounds=rounds,
        )
        read, got, got_mongo, bare = in_turn(
            lambda: pa.ipc.open_stream(pa.OSFile(str(file))).read_all(),
            partial(receive, embedded, len(content)),
            partial(receive, mongod, len(content)),
            partial(loopback, content),
            rounds=rounds,
        )
        same(embedded, content)
        same(mongod, content)
        size = f"{len(content) / 1e6:.0f} MB as Arrow"
        for store, ours, theirs in (("embedded", put, got), ("mongod", put_mongo, got_mongo)):
            beside = (written, "written and fsynced in process")
            yield finding(f"PUT {store}", f"PUT of {size}, {store}", ours, *beside)
            yield finding(f"GET {store}", f"GET of {size}, {store}", theirs, read, "read in process")
        floor = "GET of the same beside the bytes alone over the loopback"
        yield Finding("2b", floor, got, AT_MOST, 6.0, bare, "sent and received by two bare sockets")
        table = float(pa.ipc.open_stream(content).read_all().nbytes)
        for what, call in (("PUT", partial(send, embedded, content)), ("GET", partial(receive, embedded, 1))):
            more = Series([grown(embedded, call) / 1e6], "MB")
            frame_size = Series([table / 1e6], "MB")
            yield Finding(
                "2b", f"memory for a {what} as Arrow", more, AT_MOST, 1.5, frame_size, "the frame", guard=1.7
            )


def finding(key: str, what: str, ours: Series, reference: Series, against: str) -> Finding:
    return Finding("2b", what, ours, AT_MOST, 2.0, reference, against, guard=_GUARDS[key])


def frame() -> pd.DataFrame:
    draw = np.random.default_rng(1)
    columns: dict[str, object] = {f"f{n}": draw.normal(size=ROWS) for n in range(5)}
    columns |= {f"i{n}": draw.integers(0, 1000, ROWS) for n in range(3)}
    columns["s"] = [f"name {n % 1000}" for n in range(ROWS)]
    columns["t"] = pd.date_range("2020", periods=ROWS, freq="s")
    return pd.DataFrame(columns)


def stream(frame: pd.DataFrame) -> bytes:
    table, sink = pa.Table.from_pandas(frame, preserve_index=False), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def server(stack: ExitStack, home: Path, **env: str) -> Server:
    home.mkdir()
    return stack.enter_context(running(home, env=env))


def write(file: Path, content: bytes) -> None:
    with file.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def send(to: Server, content: bytes) -> None:
    head = f"PUT /api/v1/dataset/big/?append=0 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {ARROW}\r\n"
    with socket.create_connection(("127.0.0.1", to.port)) as line:
        line.sendall(f"{head}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode())
        line.sendall(content)
        answer = b"".join(iter(lambda: line.recv(_PART), b""))
    assert answer.startswith(b"HTTP/1.1 202 "), answer[:500]


def receive(source: Server, least: int) -> None:
    head = f"GET /api/v1/dataset/big/ HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {ARROW}\r\n"
    with socket.create_connection(("127.0.0.1", source.port)) as line:
        line.sendall(f"{head}Connection: close\r\n\r\n".encode())
        assert taken(line) > least


def taken(line: socket.socket) -> int:
    room, size = bytearray(_PART), 0
    while got := line.recv_into(room):
        size += got
    return size


def loopback(content: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with listening.accept()[0] as line:
                line.sendall(content)

        thread = threading.Thread(target=serve)
        thread.start()
        with socket.create_connection(listening.getsockname()) as line:
            assert taken(line) == len(content)
        thread.join()


def same(source: Server, content: bytes) -> None:
    """What comes back has the values that were sent."""
    answer = requests.get(f"{source.url}/dataset/big/", headers={"Accept": ARROW}, timeout=60)
    got = pa.ipc.open_stream(answer.content).read_all()
    sent = pa.ipc.open_stream(content).read_all()
    for name in sent.column_names:
        assert got.column(name).cast(sent.column(name).type).equals(sent.column(name)), name


def grown(of: Server, call: Callable[[], object]) -> float:
    """The most that the process that answers has had during the call, over what it had before, in bytes."""
    process = answering(of)
    call()
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # the peak is what it has now
    before = process.memory_info().rss
    call()
    status = Path(f"/proc/{process.pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return peak * 1024 - before


def answering(of: Server) -> psutil.Process:
    """The one process of a server that takes requests: the child that was forked, not started anew."""
    parent = psutil.Process(of.process.pid)
    return next(child for child in parent.children() if child.cmdline() == parent.cmdline())
