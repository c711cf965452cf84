"""The contract of `omega.ports.records`: `RecordStore` and `RecordScan`."""

import copy
import itertools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from omega.ports.records import Record, RecordConflict, RecordNotFound, RecordPage
from omega.ports.records import WalkableRecordStore as RecordStore
from tests.contracts.machines import run_machine

OpenStore = Callable[[str], RecordStore]

#: Legal keys that are awkward in one way or another.
KEYS = [
    "a", "A", "a/", "a/b", "a/c", "a0", "ab", "b", " ", "a\n", "$a", ".", "..", "../x", "%", "_", "*", "\x01",
    "\x7f", "'; DROP TABLE record; --", "\u00e9", "e\u0301", "\ud7ff", "\ud7ff\ud7ff", "\ue000", "\uffff",
    "\U00010000", "\U0010ffff", "\U0010ffff\U0010ffff", "\U0010ffffa", "a\U0010ffff", "a\U0010ffffb",
    "k" * 1024, "\u00e9" * 512,
]  # fmt: skip
ILLEGAL_KEYS = ["", "\0", "a\0", "a\0b", "\ud800", "a\udfff", "k" * 1025, "\u00e9" * 513, "\U0010ffff" * 257]
ILLEGAL_VALUES: list[Any] = [
    None, [], "text", 1, [("a", 1)], {1: "a"}, {"a": {None: 1}}, {"a": [{True: 1}]}, {"a": (1, 2)},
    {"a": {1, 2}}, {"a": b"x"}, {"a": object()}, {"a": float("nan")}, {"a": float("inf")},
    {"a": [-float("inf")]}, {"a": 2**63}, {"a": [-(2**63) - 1]}, {"a": 10**5000}, {"a": "\ud800"},
    {"\udfff": 1},
]  # fmt: skip
AWKWARD_VALUE: dict[str, Any] = {
    "": None,
    "$set": {"$gt": ""},
    "a.b": {".": 1, "": {"": []}},
    "integers": [2**63 - 1, -(2**63), 2**53 + 1, 1, 0],
    "floats": [1.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2],
    "booleans": [True, False],
    "text": "\0 \n \u2028 \U0010ffff \u00e9 e\u0301 ' \" \\",
    "nested": [[], {}, [[{"z": 1, "a": 2}]]],
    "order": {"z": 1, "a": 2, "m": 3},
    "__proto__": {"_id": 1},
    "\0": "\0",
}

_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
_names = st.sampled_from(["", "$x", "a.b", "a", "\0"]) | st.text(max_size=3)
_json = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=5,
)
json_objects = st.dictionaries(_names, _json, max_size=3)


def exactly(value: object) -> str:
    """A text that tells apart what `==` does not: 1 from 1.0 and True, 0.0 from -0.0, the order of keys."""
    return json.dumps(value)


class RecordStoreSuite:
    @pytest.fixture
    def open_store(self) -> OpenStore:
        """Opens the store of a name, empty at first. Opened twice, it gives two ways to the same records."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, open_store: OpenStore) -> RecordStore:
        return open_store("examples")

    @pytest.fixture
    def other(self, store: RecordStore, open_store: OpenStore) -> RecordStore:
        return open_store("examples")

    def test_a_record_is_read_as_written(self, store: RecordStore, other: RecordStore) -> None:
        written = store.write("a", value={"x": [1, "two"]}, expected=None)
        assert written == Record("a", written.revision, {"x": [1, "two"]})
        assert isinstance(written.revision, str)
        assert other.read("a") == written

    def test_every_json_value_comes_back_exactly(self, store: RecordStore, other: RecordStore) -> None:
        written = store.write("a", value=AWKWARD_VALUE, expected=None)
        assert exactly(written.value) == exactly(AWKWARD_VALUE)
        assert exactly(other.read("a").value) == exactly(AWKWARD_VALUE)
        assert exactly(other.page("").records[0].value) == exactly(AWKWARD_VALUE)

    def test_a_large_and_a_deep_value_come_back(self, store: RecordStore, other: RecordStore) -> None:
        deep: dict[str, Any] = {}
        for _ in range(60):
            deep = {"inside": [deep]} if len(deep) % 2 == 0 else {"inside": deep}
        value = {"deep": deep["inside"], "large": [{"n": n, "text": "x" * 50} for n in range(3000)]}
        store.write("a", value=value, expected=None)
        assert other.read("a").value == value

    def test_an_empty_value_is_a_value(self, store: RecordStore, other: RecordStore) -> None:
        store.write("a", value={}, expected=None)
        assert other.read("a").value == {}

    @pytest.mark.parametrize("value", ILLEGAL_VALUES, ids=range(len(ILLEGAL_VALUES)))
    def test_what_is_not_a_json_object_is_refused(self, store: RecordStore, value: Any) -> None:
        with pytest.raises(ValueError, match="record 'a'"):
            store.write("a", value=value, expected=None)
        assert store.page("").total == 0

    def test_a_value_that_holds_itself_or_is_deeper_than_can_be_read_is_refused(
        self, store: RecordStore
    ) -> None:
        circle: dict[str, Any] = {}
        circle["again"] = [circle, circle]
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        for value in (circle, {"deep": deep}):
            with pytest.raises(ValueError, match="record 'a'"):
                store.write("a", value=value, expected=None)
        while deep:
            deep = deep.pop()
        assert store.page("").total == 0

    @pytest.mark.parametrize("depth", [90, 500, 800])
    def test_what_was_accepted_can_be_read_where_the_call_stack_is_deep(
        self, store: RecordStore, depth: int
    ) -> None:
        value: dict[str, Any] = {}
        for _ in range(depth):
            value = {"a": value}
        try:
            store.write("a", value=value, expected=None)
        except ValueError:
            assert depth > 100
            return

        def read(frames: int) -> Record:
            return read(frames - 1) if frames else store.read("a")

        assert len(repr(read(600))) > depth

    def test_values_are_copied_on_the_way_in_and_out(self, store: RecordStore) -> None:
        value: dict[str, Any] = {"x": [1]}
        written = store.write("a", value=value, expected=None)
        value["x"].append(2)
        assert written.value == {"x": [1]}
        written.value["x"].append(3)
        store.read("a").value["x"].append(4)
        store.page("").records[0].value["x"].append(5)
        assert store.read("a").value == {"x": [1]}

    @pytest.mark.parametrize("key", KEYS, ids=ascii)
    def test_any_legal_key_names_its_own_record(
        self, store: RecordStore, other: RecordStore, key: str
    ) -> None:
        record = store.write(key, value={"key": key}, expected=None)
        assert other.read(key) == record
        assert other.page(key).records == (record,)
        other.remove(key, expected=record.revision)
        with pytest.raises(RecordNotFound):
            store.read(key)

    @pytest.mark.parametrize("key", ILLEGAL_KEYS, ids=lambda text: ascii(text)[:12])
    def test_a_key_out_of_the_legal_form_is_refused(self, store: RecordStore, key: str) -> None:
        with pytest.raises(ValueError, match="key"):
            store.read(key)
        with pytest.raises(ValueError, match="key"):
            store.write(key, value={}, expected=None)
        with pytest.raises(ValueError, match="key"):
            store.remove(key, expected="x")
        assert store.page("").total == 0

    def test_a_missing_record_is_not_found(self, store: RecordStore) -> None:
        with pytest.raises(RecordNotFound) as error:
            store.read("no such")
        assert error.value.args[0] == "no such"

    def test_a_write_of_a_record_that_exists_already_conflicts(
        self, store: RecordStore, other: RecordStore
    ) -> None:
        first = store.write("a", value={"n": 1}, expected=None)
        with pytest.raises(RecordConflict) as error:
            other.write("a", value={"n": 2}, expected=None)
        assert error.value.args[0] == "a"
        assert store.read("a") == first

    @pytest.mark.parametrize("stale", ["", "0", "no such", "\ud800", "\0"], ids=ascii)
    def test_a_write_that_expects_another_revision_conflicts(self, store: RecordStore, stale: str) -> None:
        first = store.write("a", value={"n": 1}, expected=None)
        with pytest.raises(RecordConflict):
            store.write("a", value={"n": 2}, expected=stale)
        with pytest.raises(RecordConflict):
            store.remove("a", expected=stale)
        assert store.read("a") == first

    def test_a_write_that_expects_an_earlier_revision_conflicts(
        self, store: RecordStore, other: RecordStore
    ) -> None:
        first = store.write("a", value={"n": 1}, expected=None)
        second = other.write("a", value={"n": 2}, expected=first.revision)
        with pytest.raises(RecordConflict) as error:
            store.write("a", value={"n": 3}, expected=first.revision)
        assert error.value.args[0] == "a"
        assert store.read("a") == second

    def test_the_revision_of_another_key_is_not_this_one_s(self, store: RecordStore) -> None:
        a = store.write("a", value={}, expected=None)
        b = store.write("b", value={}, expected=None)
        with pytest.raises(RecordConflict):
            store.write("b", value={"n": 1}, expected=a.revision)
        assert store.read("b") == b

    def test_a_write_that_expects_a_revision_of_a_record_that_is_gone_conflicts(
        self, store: RecordStore
    ) -> None:
        record = store.write("a", value={}, expected=None)
        store.remove("a", expected=record.revision)
        with pytest.raises(RecordConflict):
            store.write("a", value={}, expected=record.revision)
        with pytest.raises(RecordConflict):
            store.write("never there", value={}, expected=record.revision)
        assert store.page("") == RecordPage((), total=0)

    def test_writing_an_equal_value_is_a_write_too(self, store: RecordStore) -> None:
        first = store.write("a", value={"n": 1}, expected=None)
        second = store.write("a", value={"n": 1}, expected=first.revision)
        assert second.revision != first.revision
        with pytest.raises(RecordConflict):
            store.write("a", value={"n": 1}, expected=first.revision)

    def test_no_revision_of_a_key_comes_again_not_even_after_a_removal(self, store: RecordStore) -> None:
        seen = set()
        for _ in range(10):
            first = store.write("a", value={}, expected=None)
            second = store.write("a", value={}, expected=first.revision)
            store.remove("a", expected=second.revision)
            seen |= {first.revision, second.revision}
        assert len(seen) == 20

    def test_a_removed_record_is_gone(self, store: RecordStore, other: RecordStore) -> None:
        record = store.write("a", value={}, expected=None)
        other.remove("a", expected=record.revision)
        with pytest.raises(RecordNotFound):
            store.read("a")
        with pytest.raises(RecordNotFound) as error:
            store.remove("a", expected=record.revision)
        assert error.value.args[0] == "a"

    def test_a_removal_that_expects_an_earlier_revision_conflicts(self, store: RecordStore) -> None:
        first = store.write("a", value={}, expected=None)
        second = store.write("a", value={}, expected=first.revision)
        with pytest.raises(RecordConflict) as error:
            store.remove("a", expected=first.revision)
        assert error.value.args[0] == "a"
        assert store.read("a") == second

    def test_keys_are_ordered_by_code_point(self, store: RecordStore, other: RecordStore) -> None:
        for key in KEYS:
            store.write(key, value={}, expected=None)
        assert [record.key for record in other.page("").records] == sorted(KEYS)

    @pytest.mark.parametrize(
        "prefix",
        ["", *KEYS, "\ud800", "\udfff", "a\udfff", "\0", "a\0", "z", "k" * 2000],
        ids=lambda text: ascii(text)[:12],
    )
    def test_a_page_holds_the_records_under_its_prefix(self, store: RecordStore, prefix: str) -> None:
        for key in KEYS:
            store.write(key, value={}, expected=None)
        expected = sorted(key for key in KEYS if key.startswith(prefix))
        page = store.page(prefix)
        assert [record.key for record in page.records] == expected
        assert page.total == len(expected)

    def test_offset_and_limit_cut_a_page_and_leave_its_total(self, store: RecordStore) -> None:
        for n in range(5):
            store.write(f"a{n}", value={}, expected=None)
            store.write(f"b{n}", value={}, expected=None)
        for offset, limit in itertools.product([0, 1, 4, 5, 6, 2**70], [0, 1, 3, 5, 9, 2**70]):
            page = store.page("b", offset=offset, limit=limit)
            assert [record.key for record in page.records] == [f"b{n}" for n in range(5)][
                offset : offset + limit
            ]
            assert page.total == 5

    @pytest.mark.parametrize("prefix", ["", "b"])
    def test_a_descending_page_begins_with_the_last_key(self, store: RecordStore, prefix: str) -> None:
        for key in ("a", "b0", "b1", "b2", "c"):
            store.write(key, value={}, expected=None)
        found = [record.key for record in store.page(prefix).records][::-1]
        for offset in range(4):
            for limit in range(4):
                page = store.page(prefix, offset=offset, limit=limit, descending=True)
                assert [record.key for record in page.records] == found[offset : offset + limit]
                assert page.total == len(found)

    def test_a_page_has_at_most_1000_records_unless_told(self, store: RecordStore) -> None:
        for n in range(1001):
            store.write(f"{n:04}", value={}, expected=None)
        page = store.page("")
        assert [record.key for record in page.records] == [f"{n:04}" for n in range(1000)]
        assert page.total == 1001

    def test_a_page_of_no_records_is_empty(self, store: RecordStore) -> None:
        assert store.page("") == RecordPage((), total=0)
        store.write("a", value={}, expected=None)
        assert store.page("b") == RecordPage((), total=0)
        assert store.page("", offset=1) == RecordPage((), total=1)

    @pytest.mark.parametrize(
        "numbers", [{"offset": -1}, {"limit": -1}, {"offset": -(2**70)}, {"offset": -1, "limit": -1}], ids=str
    )
    def test_negative_numbers_are_refused(self, store: RecordStore, numbers: dict[str, int]) -> None:
        with pytest.raises(ValueError, match="negative"):
            store.page("", **numbers)

    @pytest.mark.parametrize("prefix", ["", "a", "a/", "\ud7ff", "\U0010ffff", "no such"], ids=ascii)
    @pytest.mark.parametrize("limit", [1, 3, 1000])
    def test_a_walk_meets_all_records_under_its_prefix_in_order(
        self, store: RecordStore, other: RecordStore, prefix: str, limit: int
    ) -> None:
        for key in reversed(KEYS):
            store.write(key, value={"key": key}, expected=None)
        met: list[Record] = []
        while some := other.scan(prefix, after=met[-1].key if met else "", limit=limit):
            assert len(some) <= limit
            met += some
        assert tuple(met) == other.page(prefix).records

    def test_a_walk_goes_on_where_the_key_it_came_to_is_gone(self, store: RecordStore) -> None:
        for key in ("a/1", "a/2", "a/3", "b"):
            store.write(key, value={}, expected=None)
        (first,) = store.scan("a/", limit=1)
        store.remove(first.key, expected=first.revision)
        store.write("a/0", value={}, expected=None)
        store.write("a/4", value={}, expected=None)
        assert [record.key for record in store.scan("a/", after=first.key)] == ["a/2", "a/3", "a/4"]

    @pytest.mark.parametrize(("after", "keys"), [("", ["b/1"]), ("a", ["b/1"]), ("b/1", []), ("c", [])])
    def test_a_walk_may_begin_anywhere(self, store: RecordStore, after: str, keys: list[str]) -> None:
        for key in ("a", "b/1", "c/1"):
            store.write(key, value={}, expected=None)
        assert [record.key for record in store.scan("b/", after=after)] == keys

    @pytest.mark.parametrize("limit", [0, -1])
    def test_a_walk_in_steps_of_nothing_is_refused(self, store: RecordStore, limit: int) -> None:
        with pytest.raises(ValueError, match=str(limit)):
            store.scan("a", limit=limit)

    def test_of_concurrent_writers_exactly_one_succeeds(self, open_store: OpenStore) -> None:
        first = open_store("contended").write("a", value={}, expected=None)
        barrier = Barrier(8)

        def write(n: int) -> Record | None:
            store = open_store("contended")
            barrier.wait()
            try:
                created = n % 2 == 0
                return store.write(
                    "new" if created else "a", value={"n": n}, expected=None if created else first.revision
                )
            except RecordConflict:
                return None

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(write, range(8)))
        for outcome, key in ((outcomes[0::2], "new"), (outcomes[1::2], "a")):
            (winner,) = [record for record in outcome if record is not None]
            assert open_store("contended").read(key) == winner

    def test_of_concurrent_removers_exactly_one_succeeds(self, open_store: OpenStore) -> None:
        barrier = Barrier(4)

        def remove(rounds: list[Record]) -> list[bool]:
            store = open_store("contended")
            barrier.wait()
            return [self._removed(store, record) for record in rounds]

        rounds = [open_store("contended").write(f"{n}", value={}, expected=None) for n in range(20)]
        with ThreadPoolExecutor(4) as pool:
            outcomes = list(pool.map(remove, [rounds] * 4))
        assert [sum(outcome) for outcome in zip(*outcomes, strict=True)] == [1] * 20

    def _removed(self, store: RecordStore, record: Record) -> bool:
        try:
            store.remove(record.key, expected=record.revision)
        except RecordNotFound:
            return False
        return True

    def test_no_update_of_many_threads_is_lost(self, store: RecordStore) -> None:
        store.write("n", value={"n": 0}, expected=None)
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(increment, store, 25) for _ in range(4)]:
                done.result()
        assert store.read("n").value == {"n": 100}

    def test_a_page_sees_one_state_of_the_store(self, store: RecordStore, other: RecordStore) -> None:
        # A writer keeps exactly one of two records there, but for moments in which there are both.
        def swap() -> None:
            there = store.write("swap/0", value={}, expected=None)
            for n in range(1, 100):
                following = store.write(f"swap/{n % 2}", value={}, expected=None)
                store.remove(there.key, expected=there.revision)
                there = following

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(swap)
            while not writing.done():
                page = other.page("swap/")
                assert len(page.records) == page.total
                assert page.total in (0, 1, 2)
            writing.result()

    def test_the_store_behaves_as_a_dict(self, open_store: OpenStore) -> None:
        run_machine(_Machine, open_store, examples=40, steps=25)


def increment(store: RecordStore, times: int) -> None:
    """Add 1 to `n` of the record `n`, that many times, against all others who do the same."""
    for _ in range(times):
        while True:
            record = store.read("n")
            try:
                store.write("n", value={"n": record.value["n"] + 1}, expected=record.revision)
                break
            except RecordConflict:
                continue


class _Machine(RuleBasedStateMachine):
    def __init__(self, store: RecordStore, other: RecordStore) -> None:
        super().__init__()
        self.store = store
        self.other = other
        self.model: dict[str, Record] = {}
        self.revisions: list[str] = ["no such"]

    keys = st.sampled_from([*KEYS[:8], "\ud7ff", "\ue000", "\U0010ffff", "\U0010ffff\U0010ffff"])

    @rule(key=keys, value=json_objects)
    def create(self, key: str, value: dict[str, Any]) -> None:
        self._write(key, value, None)

    @rule(key=keys, value=json_objects)
    def update(self, key: str, value: dict[str, Any]) -> None:
        self._write(key, value, self.model[key].revision if key in self.model else self.revisions[-1])

    @rule(key=keys, value=json_objects, which=st.integers(0, 1000))
    def update_from_any_revision(self, key: str, value: dict[str, Any], which: int) -> None:
        self._write(key, value, self.revisions[which % len(self.revisions)])

    @rule(key=keys)
    def remove(self, key: str) -> None:
        self._remove(key, self.model[key].revision if key in self.model else self.revisions[-1])

    @rule(key=keys, which=st.integers(0, 1000))
    def remove_at_any_revision(self, key: str, which: int) -> None:
        self._remove(key, self.revisions[which % len(self.revisions)])

    @rule(key=keys)
    def read(self, key: str) -> None:
        if key in self.model:
            assert self.other.read(key) == self.model[key]
            assert exactly(self.other.read(key).value) == exactly(self.model[key].value)
        else:
            with pytest.raises(RecordNotFound):
                self.other.read(key)

    @rule(
        prefix=st.sampled_from(["", "a", "a/", "\ud7ff", "\U0010ffff", "k"]),
        offset=st.integers(0, 4),
        limit=st.integers(0, 4),
        descending=st.booleans(),
    )
    def page(self, prefix: str, offset: int, limit: int, descending: bool) -> None:
        keys = sorted(self.model, reverse=descending)
        found = [self.model[key] for key in keys if key.startswith(prefix)]
        page = self.other.page(prefix, offset=offset, limit=limit, descending=descending)
        assert page == RecordPage(tuple(found[offset : offset + limit]), total=len(found))

    @rule(
        prefix=st.sampled_from(["", "a", "a/", "\ud7ff", "\U0010ffff", "k"]),
        after=st.just("") | keys,
        limit=st.integers(1, 4),
    )
    def scan(self, prefix: str, after: str, limit: int) -> None:
        keys = [key for key in sorted(self.model) if key.startswith(prefix) and key > after]
        found = self.other.scan(prefix, after=after, limit=limit)
        assert list(found) == [self.model[key] for key in keys[:limit]]

    @invariant()
    def holds_what_the_dict_holds(self) -> None:
        assert self.other.page("").records == tuple(self.model[key] for key in sorted(self.model))

    def _write(self, key: str, value: dict[str, Any], expected: str | None) -> None:
        there = self.model[key].revision if key in self.model else None
        if there != expected:
            with pytest.raises(RecordConflict):
                self.store.write(key, value=value, expected=expected)
            return
        record = self.store.write(key, value=value, expected=expected)
        assert record.revision not in self.revisions
        self.revisions.append(record.revision)
        self.model[key] = Record(key, record.revision, copy.deepcopy(value))

    def _remove(self, key: str, expected: str) -> None:
        if key not in self.model or self.model[key].revision != expected:
            with pytest.raises(RecordConflict if key in self.model else RecordNotFound):
                self.store.remove(key, expected=expected)
            return
        self.store.remove(key, expected=expected)
        del self.model[key]
