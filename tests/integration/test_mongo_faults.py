"""A server and its worker on a replica set whose primary is killed, told to step down, frozen, cut off or
suspended together with the server, while five clients are at work.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from omega.adapters.mongo.database import connect
from omega.adapters.mongo.records import MongoRecordStore
from omega.ports.records import Record, RecordNotFound, RecordStore, StoreUnavailable
from tests.support.mongo_server import ReplicaSet, replica_set
from tests.support.server import Server, running
from tests.support.storm import Storm

LONG_S = 30


@pytest.fixture(scope="module")
def members() -> Iterator[ReplicaSet]:
    with replica_set(breakable=True) as members:
        yield members


@pytest.fixture(scope="module")
def server(members: ReplicaSet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    env = {"OMEGA_STORE": members.url_of("faults"), "OMEGA_TASK_LEASE_S": "5"}
    with running(tmp_path_factory.mktemp("faults"), env=env) as server:
        yield server


@pytest.fixture(scope="module")
def storm(server: Server) -> Storm:
    return Storm(server)


def kill(members: ReplicaSet, storm: Storm) -> None:
    killed = members.primary()
    killed.kill()
    storm.goes_on()
    killed.start()


def step_down(members: ReplicaSet, storm: Storm) -> None:
    members.step_down()


def freeze(members: ReplicaSet, storm: Storm) -> None:
    frozen = members.primary()
    frozen.freeze()
    try:
        members.primary(but=frozen)
        storm.goes_on()
    finally:
        frozen.thaw()


def break_line(members: ReplicaSet, storm: Storm) -> None:
    _cut(members, "broken", seconds=0.5)


def silence_line(members: ReplicaSet, storm: Storm) -> None:
    _cut(members, "silent", seconds=1.5)


def _cut(members: ReplicaSet, how: str, *, seconds: float) -> None:
    line = members.primary().line
    assert line is not None
    line.cut(how)
    time.sleep(seconds)
    line.mend()


@pytest.mark.parametrize(
    ("strike", "rounds"), [(kill, 6), (step_down, 6), (freeze, 3), (break_line, 5), (silence_line, 5)]
)
def test_nothing_acknowledged_is_lost_and_the_server_heals(members, storm, strike, rounds):
    for _ in range(rounds):
        members.wait_until_whole()
        with storm.blowing():
            strike(members, storm)


def test_without_a_primary_the_answer_is_503_until_there_is_one(members, storm):
    for _ in range(2):
        members.wait_until_whole()
        with storm.blowing():
            killed = [members.primary()]
            killed += [member for member in members.members if member is not killed[0]][:1]
            for member in killed:
                member.kill()
            storm.is_told()
            for member in killed:
                member.start()


def test_a_primary_that_says_nothing_for_half_a_minute(members, storm):
    members.wait_until_whole()
    with storm.blowing():
        frozen = members.primary()
        frozen.freeze()
        try:
            ends = time.monotonic() + LONG_S
            storm.goes_on()
            time.sleep(max(0.0, ends - time.monotonic()))
        finally:
            frozen.thaw()


def test_a_primary_that_the_server_cannot_reach_for_half_a_minute(members, storm):
    """Nothing is wrong with it, so no other is elected: all are told so, and none waits for the end."""
    members.wait_until_whole()
    line = members.primary().line
    with storm.blowing():
        ends = time.monotonic() + LONG_S
        line.cut("silent")
        try:
            storm.is_told()
            time.sleep(max(0.0, ends - time.monotonic()))
        finally:
            line.mend()


def is_removed(store: RecordStore, record: Record) -> bool:
    """Remove it; an earlier try may have done so, for all that is known."""
    with suppress(RecordNotFound):
        store.remove(record.key, expected=record.revision)
    return True


def test_a_server_that_was_suspended_with_the_primary_wakes_up_to_the_present(members, server):
    """As those on one machine are: what the primary knew is old by then."""
    with closing(connect(members.url_of("faults"))) as database:
        elsewhere = MongoRecordStore(database)
        for n in range(1, 4):
            members.wait_until_whole()
            before = Server(server.port, server.process, server.log)
            put = before.put("/dataset/awake/", json={"data": {"n": [0]}, "append": False})
            head = elsewhere.read("object/store/dataset/visible/awake")
            frozen = members.primary()
            frozen.freeze()
            os.killpg(server.process.pid, signal.SIGSTOP)
            try:
                members.primary(but=frozen)
                gone = False
                while not gone:
                    with suppress(StoreUnavailable):
                        gone = is_removed(elsewhere, head)
            finally:
                os.killpg(server.process.pid, signal.SIGCONT)
                frozen.thaw()
            assert put.status_code == 202
            # Connections that were open are too old for the server by now.
            anew = Server(server.port, server.process, server.log)
            while (response := anew.get("/dataset/awake")).status_code == 503:
                pass
            assert response.status_code == 404, f"round {n}: {response.text}"


def test_after_all_that_every_part_was_under_way(storm):
    """And nothing of it is left open."""
    assert min(storm.seen[name] for name in ("Appender", "Replacer", "Deleter", "Fitter", "Reader")) >= 150
    assert storm.seen["unavailable"] > 0
    for version in range(1, storm.server.get("/dataset/swap").json()["version"] + 1, 25):
        assert storm.server.get(f"/dataset/swap@{version}").status_code == 200
