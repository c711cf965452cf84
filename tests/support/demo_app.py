"""A small application for tests of the server; `make` builds it."""

import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omega.domain.errors import BadInput
from omega.entrypoints import strict_json
from omega.entrypoints.http.routing import FILTERS, Request, Response, Route, build_app
from omega.entrypoints.limits import Limits

LIMITS = Limits(body_bytes=32 * 2**20)
CHUNK = b"x" * 65_536


def make() -> Any:
    return build_app(
        [
            Route("GET", "/ping", lambda _: Response(200, {"ping": "pong"})),
            Route("GET", "/process", _process),
            Route(
                "GET",
                "/names/<name:name>",
                lambda r: Response(200, dict(r.path)),
                query=frozenset(),
                filters=FILTERS,
            ),
            Route("PUT", "/size", _size),
            Route("PUT", "/json", lambda r: Response(200, strict_json.parse_json(r.body()))),
            Route("GET", "/sleep", _sleep, query=frozenset({"s"})),
            Route("GET", "/stream", _stream, query=frozenset({"chunks", "mark", "fail"})),
            Route("POST", "/die", _die),
        ],
        limits=LIMITS,
    )


def make_broken() -> Any:
    raise BadInput("the store cannot be opened")


def make_buggy() -> Any:
    raise RuntimeError("planted")


def _process(request: Request) -> Response:
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Response(
        200,
        {
            "pid": os.getpid(),
            "peak_mib": peak_kib / 1024,
            "files": len(list(Path("/proc/self/fd").iterdir())),
        },
    )


def _size(request: Request) -> Response:
    return Response(200, {"size": sum(map(len, iter(lambda: request.stream().read(1 << 20), b"")))})


def _sleep(request: Request) -> Response:
    time.sleep(float(request.query["s"]))
    return Response(200, {"slept": request.query["s"]})


def _stream(request: Request) -> Response:
    chunks = int(request.query["chunks"])
    return Response(200, _chunks(chunks, request.query.get("mark"), request.query.get("fail")))


def _chunks(count: int, mark: str | None, fail: str | None) -> Iterator[bytes]:
    try:
        yield from (CHUNK for _ in range(count))
        if fail:
            raise RuntimeError("planted")
    finally:
        if mark:
            Path(mark).write_text("closed")


def _die(request: Request) -> Response:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError
