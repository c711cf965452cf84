"""Little that becomes much: what decodes to more than the limit, and patterns that take for ever."""

import gzip
import io
import zlib
from collections.abc import Callable
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.support.target import Target

#: What refusing may cost; the limit for what is decoded is 64 MiB here, the bombs hold 300 MB and more.
MAY_TAKE_MIB = 250


def parquet(table: pa.Table, **options: object) -> bytes:
    buffer = io.BytesIO()
    pa.parquet.write_table(table, buffer, **options)
    return buffer.getvalue()


def arrow(table: pa.Table, **options: str) -> bytes:
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def dictionary(value: str, rows: int) -> pa.Table:
    return pa.table({"x": pa.DictionaryArray.from_arrays(np.zeros(rows, "int32"), [value])})


def sparse(columns: int) -> bytes:
    """Records that have one value each, all in columns of their own."""
    records = b",".join(b'{"c%d": 1}' % number for number in range(columns))
    return b'{"orient": "records", "data": [' + records + b"]}"


ZEROS = np.zeros(40_000_000)
BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "parquet runs": ("application/vnd.apache.parquet", lambda: parquet(pa.table({"x": ZEROS}))),
    "parquet dictionary": (
        "application/vnd.apache.parquet",
        lambda: parquet(dictionary("x" * 50_000, 1_000_000), compression="zstd"),
    ),
    "arrow zstd": (
        "application/vnd.apache.arrow.stream",
        lambda: arrow(pa.table({"x": ZEROS}), compression="zstd"),
    ),
    "json gaps": ("application/json", lambda: sparse(9000)),
    "json depth": ("application/json", lambda: b'{"data": ' + b"[" * 5_000_000),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "make"), BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused_in_bounded_memory(target: Target, kind: str, make: Callable[[], bytes]) -> None:
    bomb = make()
    assert len(bomb) < 6 << 20
    before = target.peak_mib()
    answer = target.ask("PUT", "/api/v1/dataset/bomb", body=bomb, headers={"Content-Type": kind})
    assert answer.status in (400, 413), answer.body
    assert target.peak_mib() - before < MAY_TAKE_MIB
    target.refuses("GET", "/api/v1/dataset/bomb", 404)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip", "GZIP", "compress"])
def test_compressed_bodies_are_not_opened(target: Target, encoding: str) -> None:
    packed = gzip.compress(bytes(100 << 20)) if "zip" in encoding.lower() else zlib.compress(bytes(100 << 20))
    before = target.peak_mib()
    for kind in ("application/json", "application/octet-stream", "text/csv"):
        headers = {"Content-Encoding": encoding, "Content-Type": kind}
        target.refuses("PUT", "/api/v1/dataset/bomb", 415, body=packed, headers=headers)
    assert target.peak_mib() - before < 20


def test_a_body_over_the_limit_is_refused(target: Target) -> None:
    """From its announced length, or once more than that has come; nothing of it is kept."""
    head = b"PUT /api/v1/dataset/large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    announced = target.raw(head + b"Content-Length: %d\r\n\r\n" % ((32 << 20) + 1))
    assert announced.startswith(b"HTTP/1.1 413")
    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    came = target.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 34)
    assert came == b"" or came.startswith(b"HTTP/1.1 413")
    target.refuses("GET", "/api/v1/dataset/large", 404)


A = "a" * 4000
PATTERNS = {
    "shell stars": ("GET", f"/api/v1/dataset/?name={quote('a*' * 500 + 'b')}", {}),
    "shell classes": ("GET", f"/api/v1/dataset/?name={quote('[a-' * 300)}", {}),
    "many backs": ("GET", "/api/v1/model/m" + quote("^" * 5000), {}),
    "many brackets": ("GET", "/api/v1/model/m/predict?datax=" + quote("sample" + "[" * 5000), {}),
    "accept": ("GET", "/api/v1/dataset/sample", {"Accept": "a/b;" + "q=0.1;" * 500 + "!"}),
    "accept spaces": ("GET", "/api/v1/dataset/sample", {"Accept": "text/csv" + " \t" * 1900 + ";x"}),
    "etags": ("GET", "/api/v1/dataset/sample", {"If-None-Match": '"1" ,' * 5000 + '"'}),
    "host": ("GET", "/api/v1/ping", {"Host": "a." * 20_000}),
    "origin": ("GET", "/api/v1/ping", {"Origin": "https://" + "a." * 20_000}),
    "request id": ("GET", "/api/v1/ping", {"X-Request-ID": "a" * 50_000 + "!"}),
    "digits": ("GET", f"/api/v1/dataset/sample?x={'1' * 20_000}", {}),
    "moments": ("GET", f"/api/v1/dataset/sample?x={quote('2026-01-01T' + '0' * 20_000)}", {}),
}


@pytest.mark.parametrize(("method", "path", "headers"), PATTERNS.values(), ids=PATTERNS)
def test_no_pattern_takes_for_ever(target: Target, method: str, path: str, headers: dict[str, str]) -> None:
    """That an answer comes at all is the test: the client has patience for a minute."""
    target.ask("PUT", f"/api/v1/dataset/{'a' * 200}", body={"data": {"x": [1]}})
    assert target.ask(method, path, headers=headers).status in (200, 304, 400, 404, 406, 412, 414, 421, 431)


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(a|aa)+$", "(.*a){30}$", r"(\w+\s?)*$", "(?=(a+))a*b", r"(a)\1+$", "a{1,9999}{1,9999}"],
)
def test_an_expression_that_could_is_refused(target: Target, pattern: str) -> None:
    spec = [["CountVectorizer", {"token_pattern": pattern}]]
    body = {"name": "redos", "pipeline": spec, "replace": True}
    created = target.ask("POST", "/api/v1/model/", body=body)
    if created.status == 201:
        data = {"datax": {"text": ["a" * 5000 + "!"]}}
        fit = target.ask("PUT", "/api/v1/model/redos/fit?timeout=10", body=data)
        assert fit.status in (202, 400), fit.body
    else:
        assert created.status == 400
    for cron in ("*/1,*/1," * 1000, "1-" * 5000, "0 0 31 2 *", "0" * 5000 + " * * * *"):
        target.refuses("PUT", "/api/v1/job/none/schedule", body={"cron": cron})
