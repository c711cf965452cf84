"""`om doctor` and `om migrate`, called in process: what they print, and their exit codes."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from omega import Omega
from omega.entrypoints.cli.main import main


@pytest.fixture
def om(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("OMEGA_HOME", str(tmp_path / "home"))
    for name in ("OMEGA_STORE", "OMEGA_QUEUE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    with Omega() as omega:
        omega.datasets.put({"a": 1}, "value")
        omega["team"].datasets.put(b"bytes", "folder/file")
        omega.datasets.put({"a": 2}, "value", append=False)

    def run(*arguments, code=0):
        monkeypatch.setattr(sys, "argv", ["om", *arguments])
        with pytest.raises(SystemExit) as done:
            main()
        out, err = capfd.readouterr()
        assert done.value.code == code, (done.value.code, out, err)
        assert "Traceback" not in err
        return err if code and not out else out

    return run


def blobs(store: Path) -> list[Path]:
    return sorted(store.glob("blobs/??/*"))


def url(path: Path) -> str:
    return path.absolute().as_uri()


def test_a_healthy_store(om):
    assert om("doctor") == "checked 5 records and 3 payloads (19 bytes); damaged: 0, orphans: 0, recent: 0\n"
    found = json.loads(om("doctor", "--json"))
    assert found == {
        "records": 5, "payloads": 3, "size_bytes": 19, "damaged": [], "orphans": [], "recent": []
    }  # fmt: skip


def test_damage_is_named_and_ends_with_1(om, tmp_path):
    (file,) = [file for file in blobs(tmp_path / "home/store") if file.read_bytes() == b"bytes"]
    file.write_bytes(b"Bytes")
    (found,) = json.loads(om("doctor", "--json", code=1))["damaged"]
    what = (
        f"version 1 of dataset 'folder/file' in bucket 'team': payload {file.name} is not what was written: "
        "its checksum differs"
    )
    assert found == {
        "what": what, "resource": "dataset", "bucket": "team", "name": "folder/file", "version": 1,
        "payload": file.name, "since": None, "fixed": False,
    }  # fmt: skip
    out = om("doctor", "--fix", code=1)
    assert what in out and "damaged: 1, orphans: 0, recent: 0" in out


def test_orphans_go_once_they_are_old_and_are_no_failure(om, tmp_path):
    blob = tmp_path / "home/store/blobs/zz/0zz"
    blob.parent.mkdir(exist_ok=True)
    blob.write_bytes(b"x")
    left = tmp_path / "home/store/blobs/tmp" / ("0" * 32)
    left.write_bytes(b"half")
    assert "damaged: 0, orphans: 0, recent: 2" in om("doctor", "--fix")
    os.utime(blob, (0, time.time() - 3700))
    (found,) = json.loads(om("doctor", "--json"))["orphans"]
    assert found["what"] == "payload 0zz is in no record" and found["payload"] == "0zz" and not found["fixed"]
    assert blob.exists()
    out = om("doctor", "--fix")
    assert ["orphan", "payload", "0zz", "is", "in", "no", "record", "fixed"] in map(
        str.split, out.splitlines()
    )
    assert "orphans: 1, recent: 1" in out
    assert not blob.exists() and left.exists()


def test_a_store_in_memory_and_one_that_is_not_there(om):
    assert om("doctor", "--store", "memory://").startswith("checked 0 records")
    assert "is of no known form" in om("doctor", "--store", "ftp://x", code=1)
    assert "unexpected extra argument" in om("doctor", "x", code=2)


def test_a_migration_from_plan_to_copy(om, tmp_path):
    target = tmp_path / "new"
    assert om("migrate", "--to", url(target), "--dry-run") == (
        "to copy: 2 objects, 5 records, 3 payloads (19 bytes)\n"
    )
    plan = json.loads(om("migrate", "--to", url(target), "--dry-run", "--json"))
    assert plan == {"to_copy": {"objects": 2, "records": 5, "payloads": 3, "size_bytes": 19}}
    assert not target.exists()
    assert om("migrate", "--to", url(target)).splitlines() == [
        "found: 2 objects, 5 records, 3 payloads (19 bytes)",
        "copied: 5 records, 3 payloads (19 bytes)",
        "the copy is whole: every record and every checksum is the same",
    ]
    again = json.loads(om("migrate", "--to", url(target), "--json"))
    assert again["copied"] == {"records": 0, "payloads": 0, "size_bytes": 0} and again["finished"] is True
    with Omega(url(target)) as omega:
        assert omega.datasets.get("value@1") == {"a": 1} and omega.datasets.get("value") == {"a": 2}
        assert omega["team"].datasets.get("folder/file") == b"bytes"


def test_what_is_damaged_in_the_source_ends_with_1(om, tmp_path):
    lost = blobs(tmp_path / "home/store")[0]
    lost.unlink()
    out = om("migrate", "--to", url(tmp_path / "new"), code=1)
    assert "damaged: version " in out and f"payload {lost.name} is missing" in out
    assert out.endswith("the copy is whole, but for what is damaged in the source as well\n")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--to", "STORE"), 1, "om: the target is"),
        (("--to", "OTHER"), 1, "om: the target is not empty: it holds dataset 'x' in bucket 'store'"),
        (("--from", "NONE", "--to", "NEW"), 1, "om: there is no store to copy in"),
        (("--to", "memory://"), 1, "om: a memory:// store is gone"),
        (("--from", "memory://", "--to", "NEW"), 1, "om: a memory:// store is gone"),
        (("--to", "ftp://x"), 1, "is of no known form"),
        ((), 2, "Missing option '--to'"),
        (("NEW",), 2, "Missing option '--to'"),
    ],
)
def test_refusals_are_one_sentence(om, tmp_path, arguments, code, words):
    with Omega(url(tmp_path / "other")) as omega:
        omega.datasets.put({}, "x")
    places = {
        "STORE": url(tmp_path / "home/store"), "OTHER": url(tmp_path / "other"),
        "NONE": url(tmp_path / "none"), "NEW": url(tmp_path / "new"),
    }  # fmt: skip
    err = om("migrate", *(places.get(argument, argument) for argument in arguments), code=code)
    assert words in err
    assert code == 2 or err.count("\n") == 1
    assert not (tmp_path / "none").exists()


def test_the_unfinished_copy_of_another_store_is_neither_served_nor_worked_for(om, tmp_path):
    from omega.entrypoints import settings
    from omega.entrypoints.care import opened_migration

    places = settings.load(), settings.load(store=url(tmp_path / "new"))
    with opened_migration(*places, create=True) as migration:
        mark = {"source": "x", "began": "2026-01-01T00:00:00+00:00", "finished": None}
        migration.target.records.write("migration", value=mark, expected=None)
    for command in ("serve", "worker"):
        err = om("runtime", command, "--store", url(tmp_path / "new"), code=1)
        assert err == "om: the store is the unfinished copy of another one: run om migrate again first\n"
