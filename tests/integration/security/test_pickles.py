"""Nothing that comes over HTTP, or was put into the store by others, is ever unpickled."""

import gzip
import io
import json
import os
import pickle
import sqlite3
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.support.target import Target


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


def joblibbed(evil: Evil) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(evil, buffer)
    return buffer.getvalue()


def as_array(evil: Evil) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([evil], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def zipped(evil: Evil) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../beside/mark", pickle.dumps(evil))
        archive.writestr("data.pkl", pickle.dumps(evil))
    return buffer.getvalue()


def tarred(evil: Evil) -> bytes:
    buffer, content = io.BytesIO(), pickle.dumps(evil)
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo(str(evil.mark))
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def in_metadata(evil: Evil, *, parquet: bool) -> bytes:
    """Where old versions of pyarrow and pandas kept, and loaded, pickles."""
    told = pickle.dumps(evil)
    field = pa.field("x", pa.binary(), metadata={
        b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": told,
    })  # fmt: skip
    schema = pa.schema([field], metadata={b"pandas": told})
    table, buffer = pa.table([pa.array([told])], schema=schema), io.BytesIO()
    if parquet:
        pa.parquet.write_table(table, buffer)
    else:
        with pa.ipc.new_stream(buffer, schema) as writer:
            writer.write_table(table)
    return buffer.getvalue()


MAKERS = {
    **{f"pickle {p}": lambda evil, p=p: pickle.dumps(evil, p) for p in range(pickle.HIGHEST_PROTOCOL + 1)},
    "joblib": joblibbed,
    "npy": as_array,
    "gzip": lambda evil: gzip.compress(pickle.dumps(evil)),
    "zip": zipped,
    "tar": tarred,
    "arrow": lambda evil: in_metadata(evil, parquet=False),
    "parquet": lambda evil: in_metadata(evil, parquet=True),
}
KINDS = [
    "", "application/json", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet",
    "text/csv", "application/x-ndjson", "application/octet-stream", "application/python-pickle",
    "application/zip",
    "application/x-npy", "text/x-python",
]  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_ran(target: Target) -> Iterator[None]:
    assert not target.mark.exists()
    yield
    assert not target.mark.exists()


@pytest.fixture(params=MAKERS)
def evil(request: pytest.FixtureRequest, target: Target) -> bytes:
    content: bytes = MAKERS[request.param](Evil(target.mark))
    return content


def test_the_attack_works_where_somebody_unpickles(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Evil(tmp_path / "made")))
    assert (tmp_path / "made").exists()


def test_uploads(target: Target, evil: bytes) -> None:
    """As a dataset it is refused, or kept as bytes; it comes back as it went in, and is nobody's data."""
    for kind in KINDS:
        path, headers = "/api/v1/dataset/evil", {"Content-Type": kind} if kind else {}
        answer = target.ask("PUT", f"{path}?append=false", body=evil, headers=headers)
        assert answer.status in (202, 400, 415)
        if answer.status == 202:
            for format in ("json", "arrow", "parquet", "csv", "ndjson"):
                assert target.ask("GET", f"{path}?format={format}").status in (200, 400, 406)
            assert target.ask("GET", f"{path}?limit=1").status in (200, 400)
            target.ask("GET", "/api/v1/model/m/predict?datax=evil")
            target.ask("DELETE", path)


def test_the_other_resources_take_no_bytes(target: Target, evil: bytes) -> None:
    for kind in ("application/octet-stream", "application/json"):
        headers = {"Content-Type": kind}
        target.refuses("POST", "/api/v1/model/", 400, 415, body=evil, headers=headers)
        target.refuses("PUT", "/api/v1/model/evil", 400, 404, 405, 415, body=evil, headers=headers)
        target.refuses("POST", "/api/v1/model/m/predict", 400, 415, body=evil, headers=headers)
        target.refuses("PUT", "/api/v1/job/evil", 400, 415, body=evil, headers=headers)
        target.refuses("PUT", "/api/v1/script/evil", 400, 415, body=evil, headers=headers)
    compressed = {"Content-Encoding": "gzip", "Content-Type": "application/octet-stream"}
    target.refuses("PUT", "/api/v1/dataset/evil", 415, body=gzip.compress(evil), headers=compressed)


def test_a_blob_that_was_replaced_is_not_loaded(target: Target) -> None:
    """Whoever can write to the store's files, the records too, still lacks the key."""
    pipeline = [["LinearRegression", {}]]
    assert target.ask("POST", "/api/v1/model/", body={"name": "victim", "pipeline": pipeline}).status == 201
    evil = joblibbed(Evil(target.mark))
    with closing(sqlite3.connect(target.home / "store" / "records.sqlite")) as records:
        query = "SELECT key, value FROM record WHERE key LIKE 'version/%' AND value LIKE '%sklearn.joblib%'"
        rows = [(key, json.loads(value)) for key, value in records.execute(query)]
        key, version = max(rows)
        content = version["payload"]["content"]
        blobs = (target.home / "store" / "blobs").rglob("*")
        (blob,) = [path for path in blobs if content["id"] in path.name]
        blob.chmod(0o600)
        blob.write_bytes(evil)
        fit = "/api/v1/model/victim/fit?datax=sample[x]&datay=sample[y]"
        assert "damaged" in target.refuses("PUT", fit, 500).json["detail"]
        content |= {"size_bytes": len(evil), "sha256": sha256(evil).hexdigest()}
        records.execute("UPDATE record SET value = ? WHERE key = ?", (json.dumps(version), key))
        records.commit()
    for method, path in (("PUT", fit), ("GET", "/api/v1/model/victim/predict?datax=sample[x]")):
        assert "not signed" in target.refuses(method, path, 500).json["detail"]


def test_a_key_that_others_may_read_starts_no_server(target: Target, tmp_path: Path) -> None:
    import subprocess

    from tests.support.server import OM, environment

    (tmp_path / "signing.key").write_text("ab" * 32)
    (tmp_path / "signing.key").chmod(0o644)
    done = subprocess.run(
        [OM, "models", "list"], env=environment(tmp_path), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and "chmod 600" in done.stderr
