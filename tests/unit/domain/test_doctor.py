"""The doctor finds every damage that is planted, and what nothing points to; on a healthy store nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.adapters.system.signer import HmacSigner
from omega.domain.catalogue import version_key
from omega.domain.doctor import Doctor, Finding, Tally
from omega.domain.inventory import Entry, Inventory
from omega.domain.migration import StorePlace
from omega.ports.blobs import BlobDamaged
from omega.ports.upkeep import Leftover
from tests.support.services import Still, World
from tests.support.stores import (
    EVERYTHING,
    Filler,
    Hooked,
    blobs_of,
    doctor,
    empty_world,
    fill,
    findings,
    histories,
    place,
    records_of,
    values_of,
)

NOW = timedelta(0)
LATER = timedelta(hours=2)


@pytest.fixture
def world() -> World:
    return fill(empty_world(), EVERYTHING)


def state(world: World) -> Any:
    return records_of(place(world)), blobs_of(place(world))


def entries(world: World) -> list[Entry]:
    return [entry for entry in Inventory(world.records).entries() if isinstance(entry, Entry)]


def entry_of(world: World, resource: str, name: str, version: int | None = None) -> Entry:
    (found,) = [
        entry
        for entry in entries(world)
        if (entry.owner.resource, entry.owner.name, entry.owner.version) == (resource, name, version)
        and entry.owner.bucket == "store"
    ]
    return found


def put(world: World, id: str, content: bytes) -> None:
    world.blobs.remove(id)
    world.blobs.write(id, chunks=[content])


def change(world: World, key: str, value: Any) -> None:
    world.records.write(key, value=value, expected=world.records.read(key).revision)


def remove(world: World, key: str) -> None:
    world.records.remove(key, expected=world.records.read(key).revision)


def said(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.kind, finding.words) for finding in found]


@given(histories, st.booleans(), st.sampled_from([1, 3, 1000]), st.sampled_from([NOW, LATER]))
@settings(max_examples=30)
def test_nothing_is_found_on_a_healthy_store_and_nothing_is_changed(history, fix, window, later):
    world = fill(empty_world(), history)
    before, tally = state(world), Tally()
    assert list(doctor(place(world), window=window, later=later).examine(fix=fix, tally=tally)) == []
    assert state(world) == before
    assert tally.payloads == len(before[1]) and tally.size_bytes == sum(map(len, before[1].values()))
    assert tally.records == len(before[0])


FAULTS = {
    "flip": (lambda content: bytes([content[0] ^ 1]) + content[1:], "is not what was written"),
    "last bit": (lambda content: content[:-1] + bytes([content[-1] ^ 128]), "is not what was written"),
    "truncate": (lambda content: content[:-1], "bytes, and not the"),
    "empty": (lambda content: b"", "has 0 bytes, and not the"),
    "extend": (lambda content: content + b"x", "bytes, and not the"),
    "remove": (None, "is missing"),
}


@given(histories, st.data())
@settings(max_examples=60)
def test_every_payload_that_comes_to_harm_is_named_with_whom_it_belongs_to(history, data):
    world = fill(empty_world(), history)
    pointed = [(entry, payload) for entry in entries(world) for payload in entry.fresh if payload.size_bytes]
    if not pointed:
        return
    entry, payload = data.draw(st.sampled_from(pointed))
    harm, words = FAULTS[data.draw(st.sampled_from(sorted(FAULTS)))]
    content = b"".join(world.blobs.read(payload.id))
    world.blobs.remove(payload.id)
    if harm is not None:
        world.blobs.write(payload.id, chunks=[harm(content)])
    (found,) = findings(place(world), later=NOW)
    assert (found.kind, found.owner, found.payload, found.fixed) == (
        "damaged",
        entry.owner,
        payload.id,
        False,
    )
    assert found.words.startswith(f"{entry.owner}: payload {payload.id} ") and words in found.words


def test_every_payload_of_a_long_frame_is_checked_its_bounds_too():
    world = fill(empty_world(), [("store", ("long", ("long",)))])
    assert findings(place(world)) == []
    for id in list(world.blobs.ids()):
        content = b"".join(world.blobs.read(id))
        world.blobs.remove(id)
        (found,) = findings(place(world))
        assert (found.kind, found.payload) == ("damaged", id)
        world.blobs.write(id, chunks=[content])


@pytest.mark.parametrize(
    ("resource", "name", "version", "title"),
    [
        ("dataset", "a", 2, "version 2 of dataset 'a' in bucket 'store'"),
        ("dataset", "wide", 1, "version 1 of dataset 'wide' in bucket 'store'"),
        ("model", "é", 1, "version 1 of model 'é' in bucket 'store'"),
        ("script", "_hidden", 1, "version 1 of script '_hidden' in bucket 'store'"),
        ("job", "f/j.ipynb", 1, "version 1 of job 'f/j.ipynb' in bucket 'store'"),
    ],
)
def test_objects_are_named_in_words(world, resource, name, version, title):
    world.blobs.remove(entry_of(world, resource, name, version).fresh[0].id)
    (found,) = findings(place(world), later=NOW)
    assert found.words.startswith(f"{title}: payload ")


def test_results_of_jobs_and_tasks_are_named_in_words(world):
    for entry in entries(world):
        if entry.owner.resource in ("job", "task") and entry.owner.version is None:
            for payload in entry.fresh:
                world.blobs.remove(payload.id)
    words = sorted(finding.words for finding in findings(place(world), later=NOW))
    assert len(words) == 4
    assert words[0].startswith("job 'results/f/j_") and ".ipynb' in bucket 'store': payload " in words[0]
    assert all(text.startswith("task '0") and text.endswith("is missing") for text in words[1:])


def test_a_payload_that_the_store_itself_finds_damaged_is_named(world):
    payload = entry_of(world, "script", "_hidden", 1).fresh[0]

    class Broken:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.blobs, name)

        def read(self, id: str) -> Any:
            if id == payload.id:
                raise BlobDamaged(id)
            return world.blobs.read(id)

    (found,) = findings(StorePlace(world.records, Broken()))
    assert (found.kind, found.payload) == ("damaged", payload.id) and "parts of it are missing" in found.words


def test_a_missing_version_record_is_named_and_the_versions_before_it_are_still_checked(world):
    Filler(world).frame("a", 1, False)
    middle, oldest = entry_of(world, "dataset", "a", 2), entry_of(world, "dataset", "a", 1)
    remove(world, middle.record.key)
    world.blobs.remove(oldest.payloads[0].id)
    found = findings(place(world))
    damaged = [finding for finding in found if finding.kind == "damaged"]
    assert [finding.owner for finding in damaged] == [middle.owner, oldest.owner]
    assert damaged[0].words == "version 2 of dataset 'a' in bucket 'store': its record is missing"
    # The history below the gap is not taken for orphans.
    assert not any(f.owner and f.owner.name.startswith("version/") for f in found)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("object/store/dataset/visible/a", {}),
        ("object/store/dataset/visible/a", {"uid": 1, "created": 2, "version": "x", "tip": None}),
        ("VERSION", {"payload": {"segments": [{"id": 1}]}}),
        ("VERSION", {"payload": None}),
        ("TASK", {"result": 7}),
        ("TASK", {}),
    ],
)
def test_a_record_that_is_not_one_of_omega_s_is_named_and_nothing_else_is_touched(world, key, value):
    keys = {
        "VERSION": entry_of(world, "dataset", "a", 2).record.key,
        "TASK": next(e.record.key for e in entries(world) if e.owner.resource == "task"),
    }
    change(world, keys.get(key, key), value)
    found = [finding for finding in findings(place(world), later=NOW) if finding.kind == "damaged"]
    assert [finding.words.partition(": ")[2] for finding in found] == [
        "its record is not one of omega's: parts of it are missing or changed"
    ]


def orphan(world: World, id: str = "orphan") -> None:
    world.blobs.write(id, chunks=[b"x"])


def test_orphaned_payloads_are_listed_and_fixed_once_they_are_an_hour_old(world):
    before = state(world)
    orphan(world)
    orphan(world, "0first")
    for window in (1, 2, 1000):
        found = findings(place(world), window=window)
        assert said(found) == [("orphan", f"payload {id} is in no record") for id in ("0first", "orphan")]
    young = list(doctor(place(world), later=timedelta(minutes=59)).examine(fix=True))
    assert [(f.kind, f.fixed) for f in young] == [("recent", False)] * 2
    fixed = list(doctor(place(world), later=timedelta(minutes=61)).examine(fix=True))
    assert [(f.kind, f.fixed) for f in fixed] == [("orphan", True)] * 2
    assert state(world) == before


def stray(world: World, uid: str, number: int, payload: Any, modified: datetime) -> None:
    value = {"kind": "k", "modified": modified.isoformat(), "parent": None, "attributes": {}}
    world.records.write(version_key(uid, number, "stray"), value={**value, "payload": payload}, expected=None)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_version_records_without_a_head_go_and_their_payloads_with_them(world, number):
    before = state(world)
    head = values_of(place(world))["object/store/dataset/visible/a"]
    segments = entry_of(world, "dataset", "a", 2).record.value["payload"]["segments"]
    orphan(world)
    lost = [*segments, {"id": "orphan", "size_bytes": 1, "sha256": "", "rows": 1}]
    stray(world, head["uid"], number, {"segments": lost}, datetime.now(UTC))
    stray(world, "dropped", number, {"segments": segments}, datetime.now(UTC))
    assert [f.kind for f in findings(place(world), later=NOW)] == ["recent", "recent"]
    assert [f.kind for f in findings(place(world))] == ["orphan", "orphan"]
    fixed = list(doctor(place(world), window=1).examine(fix=True))
    assert [(f.kind, f.payload, f.fixed) for f in fixed] == [
        ("orphan", None, True), ("orphan", None, True), ("orphan", "orphan", True)
    ]  # fmt: skip
    assert state(world) == before


def test_what_a_record_of_an_unknown_kind_points_to_is_checked_and_kept(world):
    orphan(world)
    deep = {"deep": [{"x": {"id": "orphan", "size_bytes": 1, "sha256": "0"}}]}
    world.records.write("novel/thing", value=deep, expected=None)
    (found,) = list(doctor(place(world)).examine(fix=True))
    assert (found.kind, found.payload) == ("damaged", "orphan")
    assert found.words.startswith("record 'novel/thing': payload orphan is not what was written")


def test_entries_of_tasks_that_are_gone_go(world):
    before = state(world)
    created = datetime.now(UTC)
    open_, ended = "task-open/gone", f"task-ended/{created.isoformat(timespec='microseconds')}/store/gone"
    world.records.write(open_, value={"bucket": "store", "created": created.isoformat()}, expected=None)
    world.records.write(ended, value={}, expected=None)
    assert [f.kind for f in findings(place(world), later=NOW)] == ["recent", "recent"]
    fixed = list(doctor(place(world)).examine(fix=True))
    assert [(f.kind, f.words, f.fixed) for f in fixed] == [
        ("orphan", f"index entry {key} points to no task", True) for key in (open_, ended)
    ]
    assert state(world) == before


def test_an_entry_that_says_that_a_task_goes_on_which_has_ended_is_moved(world):
    before = values_of(place(world))
    ended = next(key for key in before if key.startswith("task-ended/"))
    id, bucket = ended.split("/")[3], ended.split("/")[2]
    remove(world, ended)
    entry = {"bucket": bucket, "created": datetime.now(UTC).isoformat()}
    world.records.write(f"task-open/{id}", value=entry, expected=None)
    assert [f.kind for f in findings(place(world), later=NOW)] == ["recent"]
    (found,) = list(doctor(place(world)).examine(fix=True))
    assert found.fixed and found.words.endswith(f"says that task {id} has not ended")
    assert values_of(place(world)) == before


@pytest.mark.parametrize("shelf", ["task-open/", "task-ended/"])
def test_tasks_that_are_in_no_index_are_named_and_entered(world, shelf):
    before = values_of(place(world))
    key = next(key for key in before if key.startswith(shelf))
    remove(world, key)
    (found,) = findings(place(world), later=NOW)
    assert found.kind == "damaged" and key.rpartition("/")[2] in found.words and "no index" in found.words
    (found,) = list(doctor(place(world), later=NOW).examine(fix=True))
    assert found.fixed
    assert values_of(place(world)) == before


class Leaving:
    """A store whose own files are not all right."""

    def __init__(self, since: datetime) -> None:
        self.left, self.at_work = [Leftover("half-written payload", "x", since)], False

    def faults(self) -> Any:
        return iter(["the record file is damaged: page 7"])

    def leftovers(self) -> Any:
        return iter(self.left)

    def discard(self, leftover: Leftover) -> bool:
        if self.at_work:
            return False
        self.left.remove(leftover)
        return True


def test_the_stores_themselves_are_asked():
    world, now = empty_world(), Still(datetime.now(UTC))
    store = Leaving(now.at - timedelta(minutes=59))
    asked = Doctor(world.records, world.blobs, [store], now)
    fault = ("damaged", "the record file is damaged: page 7")
    assert said(list(asked.examine(fix=True))) == [fault, ("recent", "half-written payload x")]
    now.move(60)
    store.at_work = True
    assert [f.fixed for f in asked.examine(fix=True)] == [False, False]
    store.at_work = False
    found = list(asked.examine(fix=True))
    assert said(found) == [fault, ("orphan", "half-written payload x")]
    assert [f.fixed for f in found] == [False, True] and store.left == []


def test_a_model_that_is_signed_with_another_key_is_named(world):
    def signed_with(key: bytes) -> list[Finding]:
        signer = HmacSigner(key)
        return list(Doctor(world.records, world.blobs, (), Still(datetime.now(UTC)), signer).examine())

    assert signed_with(world.key) == []
    found = signed_with(b"another key of 32 bytes or longer")
    assert [(f.kind, f.owner and f.owner.version) for f in found] == [("damaged", 2), ("damaged", 1)]
    assert all("not signed by this installation" in f.words for f in found)


def test_in_the_unfinished_copy_of_another_store_nothing_is_removed(world):
    orphan(world)
    world.records.write("migration", value={"source": "x", "finished": None}, expected=None)
    (found,) = list(doctor(place(world)).examine(fix=True))
    assert (found.kind, found.fixed) == ("recent", False)
    change(world, "migration", {"source": "x", "finished": "2026-01-01T00:00:00+00:00"})
    (found,) = list(doctor(place(world)).examine(fix=True))
    assert found.fixed


def test_a_task_that_ends_while_its_data_are_read_is_not_taken_for_damaged():
    world, ended = empty_world(), []
    task = Filler(world).task("runs")

    def end(name: str) -> None:
        if name == "read" and not ended:
            ended.append(world.endings().succeed(task, "h", world.payloads().write([b"{}"])))

    found = findings(StorePlace(world.records, Hooked(world.blobs, end)), later=NOW)
    assert ended and found == []


@pytest.mark.parametrize("store", ["records", "blobs"])
def test_an_object_that_is_dropped_at_any_step_is_not_taken_for_damaged(store):
    history = [("store", ("frame", ("a", 1, True))), ("store", ("frame", ("a", 1, True)))]
    last = False
    for at in range(1, 1000):
        world, calls = fill(empty_world(), history), [0]

        def drop(_: str, world: World = world, calls: list[int] = calls, at: int = at) -> None:
            calls[0] += 1
            if calls[0] == at:
                Filler(world).drop("a")

        where = StorePlace(world.records, world.blobs)
        hooked = {"records": where.records, "blobs": where.blobs} | {
            store: Hooked(getattr(where, store), drop)
        }
        found = list(doctor(StorePlace(**hooked), later=NOW).examine())
        assert [finding for finding in found if finding.kind != "recent"] == []
        last = calls[0] < at
        if last:
            break
    assert last and at > 3


@given(
    st.integers(0, 120),
    st.sampled_from(
        [
            ("frame", ("a", 1, True)),
            ("frame", ("a", 2, False)),
            ("drop", ("a",)),
            ("drop", ("wide",)),
            ("model", ("é",)),
            ("task", ("done",)),
        ]
    ),
    st.booleans(),
)
@settings(max_examples=25)
def test_a_store_in_use_is_not_taken_for_damaged(at, action, fix):
    world, calls = fill(empty_world(), EVERYTHING), [0]

    def use(_: str) -> None:
        calls[0] += 1
        if calls[0] == at:
            getattr(Filler(world), action[0])(*action[1])

    where = StorePlace(Hooked(world.records, use), Hooked(world.blobs, use))
    # Two readers of one chain of events: orphans may be seen of what is just being dropped, and are recent.
    found = list(doctor(where, later=NOW).examine(fix=fix))
    assert [finding for finding in found if finding.kind != "recent"] == []
    assert findings(place(world)) == []
