"""Migrations between the embedded store and a real MongoDB server, killed in the middle, and the doctor on
either.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bson import ObjectId

from omega import Omega
from omega.adapters.mongo.blobs import MongoBlobStore
from omega.adapters.mongo.database import MongoDatabase, connect
from omega.adapters.mongo.upkeep import MongoUpkeep
from omega.domain.errors import Corrupt
from omega.domain.migration import Report, StorePlace
from omega.domain.names import Reference
from omega.entrypoints import settings
from omega.entrypoints.care import opened_doctor, opened_migration
from omega.ports.upkeep import StoreUpkeep
from tests.contracts.upkeep import Leave, StoreUpkeepSuite
from tests.support.mongo_server import MongoServer
from tests.support.server import OM, environment
from tests.support.stores import blobs_of, values_of

DATASETS = 30
MIB = 1 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[MongoServer]:
    with MongoServer() as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose store has something of everything in it."""
    home = tmp_path_factory.mktemp("home")
    random = np.random.default_rng(7)
    with Omega(home=home) as omega:
        for n in range(DATASETS):
            omega.datasets.put(pd.DataFrame({"x": random.random(10_000)}), f"many/{n:03}")
        omega.datasets.put(pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]}), "d")
        omega.datasets.put(pd.DataFrame({"x": [4.0], "y": [8.0]}), "d")
        omega["team"].datasets.put(random.bytes(9 * MIB + 5), "folder/file")
        omega.models.create("m", [["LinearRegression", {}]])
        omega.runtime.model("m").fit("d[x]", "d[y]")
        omega.scripts.put("def run(om, n):\n    return n + 1", "inc")
        omega.jobs.create("print(6 * 7)", "answer")
        omega.jobs.run("answer")
        omega.jobs.schedule("answer", "30 6 * * *")
        assert omega.runtime.model("m").submit("predict", "d[x]").status == "PENDING"
    return home


def om(home: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [OM, *arguments], env=environment(home), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stdout


def migrate(home: Path, source: str, target: str) -> Report:
    """To the end, in this process."""
    places = [settings.load(store=url, home=home, environ={}) for url in (source, target)]
    with opened_migration(*places, create=True) as migration:
        return migration.run()


def kill_at(payloads: int, copied: Callable[[], int], home: Path, source: str, target: str) -> None:
    """Begin a migration, and kill it (-9) once it has copied so many payloads."""
    process = subprocess.Popen(
        [OM, "migrate", "--from", source, "--to", target],
        env=environment(home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while copied() < payloads:
            assert process.poll() is None, "the migration has ended before it was killed"
            assert time.monotonic() < deadline, "the migration does not come on"
            time.sleep(0.002)
    finally:
        process.kill()
        process.wait()


def place(home: Path, url: str) -> Any:
    return opened_doctor(settings.load(store=url, home=home, environ={}))


def damage(home: Path, url: str) -> list[str]:
    with place(home, url) as doctor:
        return [finding.words for finding in doctor.examine() if finding.kind == "damaged"]


def content(home: Path, url: str) -> Any:
    with place(home, url) as doctor:
        where = StorePlace(doctor.records, doctor.blobs)
        return values_of(where), blobs_of(where)


def check_in_use(home: Path, url: str) -> None:
    """The copy does what its source did."""
    with Omega(url, home=home) as omega:
        assert omega.runtime.model("m").predict("d[x]") == pytest.approx([2, 4, 6, 8])
        assert omega.datasets.metadata("d").version == 2
        assert len(omega.datasets.get("d@1")) == 3
        assert omega.scripts.run("inc", 1) == 2
        (run,), _ = omega.jobs.page_of_runs("answer")
        assert "42" in omega.jobs.export(run.result_name)
        assert omega.jobs.scheduled("answer").schedule.cron == "30 6 * * *"
        assert [task.status for task in omega.runtime.tasks().items] == ["PENDING"]


def test_there_and_back_with_kills_in_the_middle(home, server, tmp_path):
    embedded, mongo, back = (home / "store").as_uri(), server.url_of("moved"), (tmp_path / "back").as_uri()
    with closing(connect(mongo)) as database:
        files = database.collection("omega.blobs.files")
        for payloads in (3, DATASETS - 5):
            kill_at(payloads, lambda: files.count_documents({}), home, embedded, mongo)
            assert damage(home, mongo) == []
    assert om(home, "runtime", "serve", "--store", mongo, code=1) == ""
    report = json.loads(om(home, "migrate", "--from", embedded, "--to", mongo, "--json"))
    assert report["finished"] and report["differing"]["total"] == report["damaged"]["total"] == 0
    assert 0 < report["copied"]["payloads"] < report["found"]["payloads"]
    assert content(home, mongo) == content(home, embedded)
    again = migrate(home, embedded, mongo)
    assert (again.records, again.payloads, again.finished) == (0, 0, True)
    blobs = tmp_path / "back" / "blobs"
    for payloads in (5, DATASETS - 3):
        kill_at(payloads, lambda: len(list(blobs.glob("??/*"))), home, mongo, back)
        assert damage(home, back) == []
    assert migrate(home, mongo, back).finished
    assert content(home, back) == content(home, embedded)
    for url in (mongo, back):
        check_in_use(home, url)
    assert "damaged: 0, orphans: 0" in om(home, "doctor", "--store", mongo)


@pytest.fixture
def database(server: MongoServer) -> Iterator[MongoDatabase]:
    with closing(connect(server.url_of(f"d{ObjectId()}"))) as database:
        yield database


def test_damage_in_gridfs_is_named_by_the_doctor_and_where_it_is_read(server, home):
    url = server.url_of("harmed")
    with Omega(url, home=home) as omega, closing(connect(url)) as database:
        for name in ("whole", "chunk", "bit", "file"):
            omega.datasets.put(os.urandom(3 * MIB), name)
        root = database.collection("omega.blobs")

        def file_of(name: str) -> dict[str, Any]:
            version = omega.datasets._service.catalogue.version(Reference(name))
            return dict(root.files.find_one({"filename": version.payload["content"]["id"]}))

        found = {name: file_of(name) for name in ("chunk", "bit", "file")}
        root.chunks.delete_one({"files_id": found["chunk"]["_id"], "n": 1})
        harmed = root.chunks.find_one({"files_id": found["bit"]["_id"], "n": 1})
        flipped = bytes([harmed["data"][0] ^ 1]) + harmed["data"][1:]
        root.chunks.update_one({"_id": harmed["_id"]}, {"$set": {"data": flipped}})
        root.files.delete_one({"_id": found["file"]["_id"]})
        report = json.loads(om(home, "doctor", "--store", url, "--json", code=1))
        said = {entry["name"]: (entry["payload"], entry["what"]) for entry in report["damaged"]}
        assert {name: payload for name, (payload, _) in said.items()} == {
            name: file["filename"] for name, file in found.items()
        }
        assert "parts of it are missing" in said["chunk"][1]
        assert "is not what was written" in said["bit"][1] and "is missing" in said["file"][1]
        # The chunks of the file that is gone are too young to be removed.
        assert [entry["name"] for entry in report["recent"]] == [str(found["file"]["_id"])]
        for name in found:
            with pytest.raises(Corrupt, match=f"{name}' is damaged.*{found[name]['filename']}"):
                omega.datasets.get(name)
        assert len(omega.datasets.get("whole")) == 3 * MIB


class TestUpkeepOnAServer(StoreUpkeepSuite):
    @pytest.fixture
    def upkeep(self, database: MongoDatabase) -> StoreUpkeep:
        MongoBlobStore(database).write("whole", chunks=[bytes(3 * MIB)])
        return MongoUpkeep(database)

    @pytest.fixture
    def leave(self, database: MongoDatabase) -> Leave:
        def leave() -> None:
            root, number = database.collection("omega.blobs"), ObjectId()
            root.chunks.insert_many([{"files_id": number, "n": n, "data": b"x"} for n in range(3)])

        return leave

    @pytest.fixture
    def content(self, database: MongoDatabase) -> Callable[[], Any]:
        blobs = MongoBlobStore(database)
        return lambda: {id: b"".join(blobs.read(id)) for id in blobs.ids()}
