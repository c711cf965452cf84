import threading

import pytest

from omega.domain.catalogue import Draft, Raced
from omega.domain.errors import BadInput, Corrupt, NotFound, PreconditionFailed
from omega.domain.metadata import Precondition
from omega.domain.names import Reference
from tests.support.services import World


@pytest.fixture
def world():
    return World()


def draft(n):
    return Draft("test.kind", {"n": n}, {"rows": n})


def write(catalogue, name, n):
    return catalogue.commit(name, draft(n), base=catalogue.peek(name))


def test_versions_are_kept_and_found(world):
    catalogue = world.catalogue()
    for n in range(1, 5):
        assert write(catalogue, "a", n).metadata.version == n
    assert [catalogue.version(Reference("a", at=n)).payload for n in range(1, 5)] == [
        {"n": n} for n in range(1, 5)
    ]
    assert catalogue.version(Reference("a")).payload == {"n": 4}
    assert catalogue.version(Reference("a", back=2)).payload == {"n": 2}
    for beyond in (Reference("a", at=5), Reference("a", back=4)):
        with pytest.raises(NotFound, match="its versions are 1 to 4"):
            catalogue.version(beyond)


def test_times_and_attributes(world):
    catalogue = world.catalogue()
    first, second = write(catalogue, "a", 1).metadata, write(catalogue, "a", 2).metadata
    assert first.created == first.modified == second.created < second.modified
    assert catalogue.version(Reference("a", at=1)).metadata == first
    assert second.attributes == {"rows": 2}


def test_an_unknown_name_is_named_with_its_bucket(world):
    with pytest.raises(NotFound, match="there is no dataset 'a' in bucket 'store'"):
        world.catalogue().head("a")


def test_a_lost_race_changes_nothing_and_leaves_no_candidate(world):
    catalogue = world.catalogue()
    base = catalogue.peek("a")
    write(catalogue, "a", 1)
    with pytest.raises(Raced):
        catalogue.commit("a", draft(2), base=base)
    assert catalogue.version(Reference("a")).payload == {"n": 1}
    assert world.records.page("version/").total == 1


def test_a_dead_writers_candidate_is_never_taken_for_a_version(world):
    catalogue = world.catalogue()
    write(catalogue, "a", 1)
    uid = catalogue.head("a").uid
    candidate = {
        "kind": "k",
        "modified": "2026-01-01T00:00:00+00:00",
        "parent": None,
        "payload": {"n": -1},
        "attributes": {},
    }
    for number in (2, 3):
        for tip in ("0", "z"):
            world.records.write(f"version/{uid}/{number:012d}/{tip}", value=candidate, expected=None)
    for n in (2, 3, 4):
        write(catalogue, "a", n)
    assert [catalogue.version(Reference("a", at=n)).payload["n"] for n in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert [payload["n"] for payload in catalogue.drop("a")] == [4, 3, 2, 1]
    assert world.records.page("").total == 0


def test_a_missing_version_record_is_damage_that_is_named(world):
    catalogue = world.catalogue()
    write(catalogue, "a", 1)
    (record,) = world.records.page("version/").records
    world.records.remove(record.key, expected=record.revision)
    with pytest.raises(Corrupt, match="version 1 of dataset 'a' is damaged"):
        catalogue.version(Reference("a"))


@pytest.mark.parametrize(
    ("precondition", "absent", "first", "second"),
    [
        (Precondition(), True, True, True),
        (Precondition(match="*"), False, True, True),
        (Precondition(match=frozenset({1})), False, True, False),
        (Precondition(match=frozenset()), False, False, False),
        (Precondition(none_match="*"), True, False, False),
        (Precondition(none_match=frozenset({1})), True, False, True),
    ],
)
def test_preconditions(world, precondition, absent, first, second):
    assert [precondition.holds(version) for version in (None, 1, 2)] == [absent, first, second]
    catalogue = world.catalogue()
    if not absent:
        with pytest.raises(PreconditionFailed, match="does not exist"):
            catalogue.commit("a", draft(1), base=None, precondition=precondition)
    write(catalogue, "a", 1)
    if not first:
        with pytest.raises(PreconditionFailed, match="is at version 1"):
            catalogue.drop("a", precondition=precondition)
        assert catalogue.peek("a")


def test_drop_removes_all_and_gives_back_the_payloads(world):
    catalogue = world.catalogue()
    for n in (1, 2):
        write(catalogue, "a", n)
    write(catalogue, "b", 3)
    assert list(catalogue.drop("a")) == [{"n": 2}, {"n": 1}]
    with pytest.raises(NotFound):
        catalogue.drop("a")
    assert write(catalogue, "a", 9).metadata.version == 1
    assert catalogue.version(Reference("b")).payload == {"n": 3}


def test_lists_are_ordered_paged_and_hide(world):
    catalogue = world.catalogue()
    for name in ("b", "a/x", "a/y", "_h", ".d", "ab"):
        write(catalogue, name, 1)
    write(world.catalogue(bucket="other"), "z", 1)
    write(world.catalogue("model"), "m", 1)

    def names(*args, **kwargs):
        listing = catalogue.list(*args, **kwargs)
        return [item.name for item in listing.items], listing.total

    assert names() == (["a/x", "a/y", "ab", "b"], 4)
    assert names(offset=1, limit=2) == (["a/y", "ab"], 4)
    assert names("a*") == (["a/x", "a/y", "ab"], 3)
    assert names("a/?", limit=1) == (["a/x"], 2)
    assert names("[bc]") == (["b"], 1)
    assert names("zz*") == ([], 0)
    assert names("_*") == (["_h"], 1)
    assert names(".*") == ([".d"], 1)
    with pytest.raises(BadInput, match="pattern has 1025 characters"):
        names("*" * 1025)


def test_buckets_are_apart(world):
    write(world.catalogue(), "a", 1)
    with pytest.raises(NotFound, match="in bucket 'other'"):
        world.catalogue(bucket="other").head("a")
    with pytest.raises(BadInput, match="illegal bucket name"):
        world.catalogue(bucket="a/b")


def test_concurrent_writers_each_get_a_version_of_their_own(world):
    catalogue = world.catalogue()

    def writer(n):
        for i in range(10):
            while True:
                try:
                    write(catalogue, "a", n * 10 + i)
                    break
                except Raced:
                    continue

    threads = [threading.Thread(target=writer, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert catalogue.head("a").version == 40
    assert sorted(catalogue.version(Reference("a", at=n)).payload["n"] for n in range(1, 41)) == list(
        range(40)
    )


@pytest.mark.parametrize("recreated", [False, True])
def test_what_is_dropped_while_it_is_read_is_not_found(world, recreated):
    catalogue = world.catalogue()
    write(catalogue, "a", 1)
    head = catalogue.head("a")
    list(catalogue.drop("a"))
    if recreated:
        write(catalogue, "a", 2)
    with pytest.raises(NotFound, match="there is no dataset 'a'"):
        catalogue.version_of(head, Reference("a"))
