"""The files of the store: for nobody else to read, and no way out of its directory."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.support.target import Target, modes


def blob_of(target: Target, name: str) -> Path:
    """The file that alone came with a dataset of this name."""
    blobs = target.home / "store" / "blobs"
    before = set(blobs.rglob("*"))
    headers = {"Content-Type": "application/octet-stream"}
    assert (
        target.ask("PUT", f"/api/v1/dataset/{name}", body=b"content of ours", headers=headers).status == 202
    )
    (file,) = [path for path in set(blobs.rglob("*")) - before if path.is_file()]
    return file


def test_all_files_are_private(target: Target) -> None:
    """Whatever the umask of whoever starts the server is: here it lets everybody read and write."""
    for path, body in (
        ("job/private", {"code": "1"}),
        ("script/private", {"code": "def run(om):\n    return 1"}),
    ):
        assert target.ask("PUT", f"/api/v1/{path}", body=body).status == 202
    blob_of(target, "private")
    found = modes(target.home)
    del found[str(target.home / "server.log")]  # the shell's that started the server
    assert len(found) > 8
    assert {path: oct(mode) for path, mode in found.items() if mode} == {}


def test_a_link_in_the_place_of_a_payload_is_not_followed(target: Target) -> None:
    blob = blob_of(target, "linked")
    blob.unlink()
    for elsewhere in (target.canary, target.home / "signing.key", Path("/etc/hostname"), Path("/dev/zero")):
        blob.symlink_to(elsewhere)
        target.refuses("GET", "/api/v1/dataset/linked", 500, 503)
        blob.unlink()
    blob.symlink_to(target.canary)
    assert target.ask("DELETE", "/api/v1/dataset/linked").status == 202
    assert target.canary.read_bytes() == target.SECRET


def test_a_link_in_the_place_of_a_directory_lets_nothing_out(target: Target) -> None:
    """Nor what is there under the name of a payload, which is not what was written."""
    blob = blob_of(target, "moved")
    shard, away = blob.parent, target.canary.parent / "shard"
    away.mkdir(mode=0o700)
    (away / blob.name).write_bytes(target.SECRET)
    kept = shard.with_name(shard.name + ".kept")
    shard.rename(kept)
    try:
        shard.symlink_to(away, target_is_directory=True)
        assert target.ask("GET", "/api/v1/dataset/moved").status == 500
    finally:
        shard.unlink()
        kept.rename(shard)
        shutil.rmtree(away)
    assert target.ask("GET", "/api/v1/dataset/moved").body == b"content of ours"


def test_an_id_in_a_record_is_no_path(target: Target) -> None:
    blob = blob_of(target, "bent")
    for id in ("../../../beside/canary", str(target.canary), "..", "", "a/b"):
        with closing(sqlite3.connect(target.home / "store" / "records.sqlite", timeout=30)) as records:
            (key, value), *_ = records.execute(
                "SELECT key, value FROM record WHERE key LIKE 'version/%' AND value LIKE ?",
                (f"%{blob.name[:26]}%",),
            ).fetchall() or [(None, None)]
            assert key is not None
            records.execute(
                "UPDATE record SET value = ? WHERE key = ?", (value.replace(blob.name[:26], id), key)
            )
            records.commit()
        target.refuses("GET", "/api/v1/dataset/bent", 500)
        with closing(sqlite3.connect(target.home / "store" / "records.sqlite", timeout=30)) as records:
            records.execute("UPDATE record SET value = ? WHERE key = ?", (value, key))
            records.commit()
