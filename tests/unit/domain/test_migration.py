"""Migrations: the copy is the same, however often it is made, whatever dies, and whoever writes meanwhile."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import define
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.domain.catalogue import version_key
from omega.domain.errors import Conflict
from omega.domain.inventory import MIGRATION, STORE, Inventory
from omega.domain.migration import Migration, Plan, Report, StorePlace, is_unfinished_copy
from omega.domain.migration.copying import Copying
from omega.domain.tasks.workers import WorkerInfo
from omega.ports.records import StoreFull
from tests.support.services import Counting, Still, World
from tests.support.stores import (
    EVERYTHING,
    Filler,
    Hooked,
    blobs_of,
    doctor,
    empty_place,
    empty_world,
    fill,
    findings,
    histories,
    place,
    records_of,
    values_of,
)


def migrate(world: World, target: StorePlace, **more: Any) -> Report:
    return Migration(place(world), target, world.clock, world.ids).run(**more)


def state(where: StorePlace) -> Any:
    """Everything, with revisions and the records of the place."""
    return where.records.page("", limit=100_000).records, blobs_of(where)


@pytest.fixture
def world() -> World:
    return fill(empty_world(), EVERYTHING)


def damage(where: StorePlace) -> list[str]:
    return [finding.words for finding in findings(where) if finding.kind == "damaged"]


@given(histories)
@settings(max_examples=30)
def test_the_copy_is_the_same_and_a_second_run_changes_nothing(history):
    world, target = fill(empty_world(), history), empty_place()
    report = migrate(world, target)
    assert report.finished and not report.damaged.total
    assert values_of(target) == values_of(place(world))
    assert blobs_of(target) == blobs_of(place(world))
    assert report.found.records == report.records == len(records_of(target))
    assert report.found.payloads == report.payloads == len(blobs_of(target))
    assert report.found.size_bytes == report.size_bytes == sum(map(len, blobs_of(target).values()))
    before = state(target), state(place(world))
    again = migrate(world, target)
    assert again.finished and (again.records, again.payloads, again.removed) == (0, 0, 0)
    assert (state(target), state(place(world))) == before
    assert findings(target) == []


def test_something_of_everything_is_copied_and_back_again(world):
    there, back = empty_place(), empty_place()
    migrate(world, there)
    shelves = {key.partition("/")[0] for key in values_of(there)}
    assert shelves == {"object", "version", "job-run", "schedule", "task", "task-open", "task-ended"}
    Migration(there, back, world.clock, Counting()).run()
    assert values_of(back) == values_of(place(world)) and blobs_of(back) == blobs_of(place(world))
    assert back.records.read(STORE).value == world.records.read(STORE).value


class Died(BaseException):
    """The process is gone."""


@define
class Mortal:
    """A store whose process dies before or after its change number `left`; it says how many it made."""

    store: Any
    fuse: list[int]
    after: bool

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)
        return method if name not in ("write", "remove") else lambda *a, **k: self.change(method, *a, **k)

    def change(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        self.fuse[0] -= 1
        if self.fuse[0] == -1:
            if self.after:
                method(*args, **kwargs)
            raise Died
        return method(*args, **kwargs)


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_at_any_step_leaves_what_can_be_read_and_a_second_run_completes_it(world, after):
    expected = None
    for step in range(1000):
        target, fuse = empty_place(), [step]
        dying = StorePlace(Mortal(target.records, fuse, after), Mortal(target.blobs, fuse, after))
        try:
            migrate(world, dying)
        except Died:
            # All but the very last change leaves an unfinished copy.
            assert damage(target) == []
            whole = all(
                uid in {key.split("/")[1] for key in values_of(target) if key.startswith("version/")}
                for uid in (v["uid"] for k, v in values_of(target).items() if k.startswith("object/"))
            )
            assert whole
        else:
            break
        report = migrate(world, target)
        assert report.finished and not is_unfinished_copy(target)
        expected = expected or (values_of(place(world)), blobs_of(place(world)))
        assert (values_of(target), blobs_of(target)) == expected
        assert findings(target) == []
    assert step > len(records_of(place(world)))


MEDDLING = st.tuples(
    st.integers(0, 60),
    st.sampled_from(
        [
            ("frame", ("a", 1, True)),
            ("frame", ("a", 2, False)),
            ("frame", ("new", 1, True)),
            ("drop", ("a",)),
            ("drop", ("wide",)),
            ("model", ("é",)),
            ("task", ("done",)),
        ]
    ),
)


@given(st.lists(MEDDLING, min_size=1, max_size=3))
@settings(max_examples=20)
def test_whoever_writes_meanwhile_leaves_a_copy_that_can_be_read_and_that_a_later_run_completes(meddling):
    world, target, calls = fill(empty_world(), EVERYTHING), empty_place(), [0]

    def meddle(_: str) -> None:
        calls[0] += 1
        for at, (action, arguments) in meddling:
            if at == calls[0]:
                getattr(Filler(world), action)(*arguments)

    source = StorePlace(Hooked(world.records, meddle), Hooked(world.blobs, meddle))
    first = Migration(source, target, world.clock, world.ids).run()
    assert damage(target) == [] and not first.damaged.total
    if not first.finished:
        assert migrate(world, target).finished
    # Of what was dropped meanwhile, orphans may be left.
    for finding in doctor(target).examine(fix=True):
        assert finding.kind == "orphan" and finding.fixed
    assert (values_of(target), blobs_of(target)) == (values_of(place(world)), blobs_of(place(world)))


def test_an_object_that_is_made_anew_once_it_was_copied_can_be_read_in_the_copy_all_the_same(world):
    target, done = empty_place(), []

    def make_anew(_: str) -> None:
        if not done and "object/store/dataset/visible/a" in values_of(target):
            done.append(True)
            Filler(world).drop("a")
            Filler(world).frame("a", 3, True)

    source = StorePlace(Hooked(world.records, make_anew), world.blobs)
    report = Migration(source, target, world.clock, world.ids).run()
    assert done and not report.finished
    assert report.differing.first[0] == "version 1 of dataset 'a' in bucket 'store'"
    assert damage(target) == []
    assert migrate(world, target).finished


@pytest.mark.parametrize("versions", [1, 2])
def test_an_object_that_is_dropped_while_it_is_copied_is_left_out(versions):
    world = fill(empty_world(), [("store", ("frame", ("a", 1, True)))] * versions)
    target, gone = empty_place(), []

    def drop(name: str) -> None:
        if name == "read" and not gone:
            gone.append(True)
            Filler(world).drop("a")

    source = StorePlace(world.records, Hooked(world.blobs, drop))
    Copying(source, target, Report(Plan()), lambda size_bytes: None).run()
    assert gone and "object/store/dataset/visible/a" not in values_of(target)
    assert damage(target) == []


def test_what_a_dead_writer_left_is_not_copied(world):
    expected = values_of(place(world)), blobs_of(place(world))
    uid = next(v["uid"] for k, v in values_of(place(world)).items() if k.startswith("object/"))
    world.blobs.write("orphan", chunks=[b"x"])
    stray = {"kind": "x", "modified": "2026-01-01T00:00:00+00:00", "parent": None, "attributes": {}}
    world.records.write(version_key(uid, 9, "stray"), value={**stray, "payload": {}}, expected=None)
    target = empty_place()
    assert migrate(world, target).finished
    assert (values_of(target), blobs_of(target)) == expected


def test_a_dry_run_counts_and_writes_nothing(world):
    target, before = empty_place(), state(place(world))
    plan = Migration(place(world), target, world.clock, world.ids).plan()
    assert (plan.records, plan.payloads) == (len(records_of(place(world))), len(blobs_of(place(world))))
    assert plan.objects == sum(key.startswith("object/") for key in values_of(place(world)))
    assert state(target) == ((), {}) and state(place(world)) == before


def refused(world: World, target: StorePlace, words: str) -> None:
    before = state(target)
    for use in (lambda: migrate(world, target), Migration(place(world), target, world.clock, world.ids).plan):
        with pytest.raises(Conflict, match=words):
            use()
    assert state(target) == before


def test_a_target_that_holds_something_else_is_refused(world):
    other = fill(empty_world(), [("team", ("frame", ("folder/b", 1, True)))])
    refused(world, place(other), r"not empty: it holds dataset 'folder/b' in bucket 'team'")
    other.task_records().store_id(Counting(99))
    refused(world, place(other), "an id of its own")
    copy_of_other = empty_place()
    migrate(other, copy_of_other)
    refused(world, copy_of_other, "a copy of another store")


def test_the_source_itself_and_an_unfinished_source_are_refused(world):
    with pytest.raises(Conflict, match="the source itself"):
        migrate(world, place(world))
    target = empty_place()
    migrate(world, target)
    with pytest.raises(Conflict, match="the source itself, or what the source was copied from"):
        Migration(target, place(world), world.clock, world.ids).run()
    half = empty_place()
    with pytest.raises(Died):
        migrate(world, StorePlace(Mortal(half.records, [3], False), half.blobs))
    with pytest.raises(Conflict, match="unfinished"):
        Migration(half, empty_place(), world.clock, world.ids).run()


def test_an_empty_source_and_the_traces_of_workers_do_no_harm():
    world, target = empty_world(), empty_place()
    target.records.write("worker/old", value={}, expected=None)
    assert migrate(world, target).finished
    with pytest.raises(Conflict, match="the source itself"):
        migrate(world, place(world))


@pytest.mark.parametrize("who", ["source", "target"])
def test_a_finished_copy_is_never_changed_again(world, who):
    target = empty_place()
    migrate(world, target)
    used = (
        world if who == "source" else World(records=target.records, blobs=target.blobs, ids=Counting(10**6))
    )
    Filler(used).frame("later", 1, True)
    before = state(target)
    with pytest.raises(Conflict, match=r"differ since \(.*dataset 'later'"):
        migrate(world, target)
    assert state(target) == before


def test_while_workers_are_alive_the_copy_is_not_finished(world):
    now = world.clock.now()
    world.workers().announce(WorkerInfo("w", "host", 1, 2, 0, now, now))
    target = empty_place()
    report = migrate(world, target)
    assert (report.workers, report.finished) == (1, False) and not report.differing.total
    assert is_unfinished_copy(target)
    world.clock.at += timedelta(seconds=60)
    assert migrate(world, target).finished
    assert target.records.page("worker/").total == 0


def some_payload(world: World) -> tuple[str, str]:
    """The id of a segment of version 2 of dataset `a`, and of the only payload of another object."""
    entries = [entry for entry in Inventory(world.records).entries() if entry.fresh]
    a = next(e for e in entries if e.owner.name == "a" and e.owner.version == 2)
    v = next(e for e in entries if e.owner.name == "w/v")
    return a.fresh[-1].id, v.fresh[0].id


def harm(where: StorePlace, id: str, content: bytes | None) -> None:
    where.blobs.remove(id)
    if content is not None:
        where.blobs.write(id, chunks=[content])


def test_what_is_damaged_in_the_source_is_named_and_the_rest_is_copied(world):
    flipped, missing = some_payload(world)
    content = b"".join(world.blobs.read(flipped))
    harm(place(world), flipped, bytes([content[0] ^ 1]) + content[1:])
    harm(place(world), missing, None)
    target = empty_place()
    report = migrate(world, target)
    assert report.finished
    assert report.damaged.first == [
        f"version 2 of dataset 'a' in bucket 'store': payload {flipped} is not what was written: "
        "its checksum differs",
        f"version 1 of dataset 'w/v' in bucket 'store': payload {missing} is missing",
    ]
    assert values_of(target) == values_of(place(world))
    assert blobs_of(place(world)).keys() - blobs_of(target).keys() == {flipped}
    before = state(target)
    assert migrate(world, target).damaged.total == 2
    assert state(target) == before


def test_bounds_of_segments_are_copied_too():
    world, target = fill(empty_world(), [("store", ("long", ("long",)))]), empty_place()
    assert len(blobs_of(place(world))) == 3
    migrate(world, target)
    assert blobs_of(target) == blobs_of(place(world))


def test_a_payload_that_comes_to_harm_in_the_copy_is_copied_again_until_the_copy_is_finished(world):
    target, (id, _) = empty_place(), some_payload(world)
    with pytest.raises(Died):
        migrate(world, StorePlace(Mortal(target.records, [20], False), target.blobs))
    whole = b"".join(target.blobs.read(id))
    harm(target, id, whole[:-1])
    assert migrate(world, target).finished
    assert blobs_of(target) == blobs_of(place(world))
    harm(target, id, whole[:-1])
    with pytest.raises(Conflict, match=f"payload {id} is not in the copy as it is in the source"):
        migrate(world, target)


def test_a_record_that_the_target_has_no_room_for_is_named(world):
    target = empty_place()

    def full(name: str) -> None:
        if name == "write" and "object/store/dataset/visible/a" in values_of(target):
            raise StoreFull("it is larger than it may be")

    with pytest.raises(StoreFull, match=r"'.*': it is larger"):
        migrate(world, StorePlace(Hooked(target.records, full), target.blobs))


def test_progress_is_told_in_bytes(world):
    steps: list[tuple[str, int, int]] = []
    report = migrate(world, empty_place(), progress=lambda *step: steps.append(step))
    size = report.found.size_bytes
    assert [s for s in steps if s[1] == size] == [("copying", size, size), ("checking", size, size)]
    assert steps == sorted(steps, key=lambda step: (step[0] == "checking", step[1]))


def test_a_payload_is_never_held_as_a_whole(world):
    alive: list[int] = []

    class Streamed:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.blobs, name)

        def read(self, id: str) -> Any:
            for chunk in world.blobs.read(id):
                alive.append(1)
                yield chunk

    class Sink:
        def __init__(self, blobs: Any) -> None:
            self.blobs = blobs

        def __getattr__(self, name: str) -> Any:
            return getattr(self.blobs, name)

        def write(self, id: str, *, chunks: Any) -> int:
            def consumed() -> Any:
                for chunk in chunks:
                    assert len(alive) == 1
                    alive.clear()
                    yield chunk

            return int(self.blobs.write(id, chunks=consumed()))

    world.datasets().put("big", _file(5))
    target = empty_place()
    streams = StorePlace(world.records, Streamed()), StorePlace(target.records, Sink(target.blobs))
    Migration(*streams, world.clock, world.ids).run()
    assert max(map(len, blobs_of(target).values())) == 5 << 20


def _file(mib: int) -> Any:
    from omega.domain.contents import Bytes

    return Bytes([bytes(1 << 20)] * mib)


def test_the_mark_of_a_copy_says_of_what_and_when(world):
    target = empty_place()
    migrate(world, target)
    mark = target.records.read(MIGRATION).value
    assert mark["source"] == world.records.read(STORE).value["id"]
    assert datetime.fromisoformat(mark["began"]) < datetime.fromisoformat(mark["finished"])
    assert Still(datetime.now(UTC)).now() > datetime.fromisoformat(mark["began"]) - timedelta(days=1)
