"""The contract of `omega.ports.blobs`: `BlobStore` and `BlobTimes`."""

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from omega.ports.blobs import BlobExists, BlobNotFound
from omega.ports.blobs import DatedBlobStore as BlobStore
from tests.contracts.machines import run_machine

OpenStore = Callable[[str], BlobStore]

MIB = 1 << 20
ILLEGAL_IDS = [
    "", "a" * 65, "A", "a\n", "\n", "a b", " ", "a-b", "a_b", "a.b", ".", "..", "../x", "tmp/x", "a/b",
    "/etc/x", "a\0", "\0", "$a", "%2e", "\u00e9", "\u0660", "\uff41", "\ud800", "a*",
]  # fmt: skip


class Broken(Exception):
    """What a source of chunks may raise."""


class BlobStoreSuite:
    @pytest.fixture
    def open_store(self) -> OpenStore:
        """Opens the store of a name, empty at first. Opened twice, it gives two ways to the same payloads."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, open_store: OpenStore) -> BlobStore:
        return open_store("examples")

    @pytest.fixture
    def other(self, store: BlobStore, open_store: OpenStore) -> BlobStore:
        return open_store("examples")

    @pytest.mark.parametrize(
        "id", ["a", "0", "ab", "abc", "tmp", "con", "z" * 64, "01k2m3n4p5q6r7s8t9v0w1x2y3"]
    )
    def test_a_payload_is_read_as_written(self, store: BlobStore, other: BlobStore, id: str) -> None:
        assert store.write(id, chunks=[b"one", b"", memoryview(b"\0two\xff")]) == 8
        assert b"".join(other.read(id)) == b"one\0two\xff"
        assert list(other.ids()) == [id]

    def test_the_size_of_a_chunk_is_in_bytes_whatever_its_items_are(
        self, store: BlobStore, other: BlobStore
    ) -> None:
        assert (
            store.write("a", chunks=[memoryview(bytes(range(24))).cast("q"), memoryview(bytearray(b"xy"))])
            == 26
        )
        assert b"".join(other.read("a")) == bytes(range(24)) + b"xy"

    @pytest.mark.parametrize("chunks", [[], [b""], [b"", memoryview(b"")]], ids=["none", "one", "two"])
    def test_an_empty_payload_is_a_payload(
        self, store: BlobStore, other: BlobStore, chunks: list[bytes]
    ) -> None:
        assert store.write("a", chunks=chunks) == 0
        assert list(other.read("a")) == []
        assert list(other.ids()) == ["a"]

    def test_chunks_are_consumed_once_and_in_order(self, store: BlobStore) -> None:
        taken = []

        def chunks() -> Iterator[bytes]:
            for n in range(5):
                taken.append(n)
                yield bytes([n])

        assert store.write("a", chunks=chunks()) == 5
        assert taken == [0, 1, 2, 3, 4]
        assert b"".join(store.read("a")) == bytes(range(5))

    @pytest.mark.parametrize("size", [1, MIB - 1, MIB, MIB + 1, 3 * MIB + 5])
    def test_a_payload_is_read_in_chunks_of_at_most_1_mib(self, store: BlobStore, size: int) -> None:
        payload = (bytes(range(251)) * (size // 251 + 1))[:size]
        assert store.write("a", chunks=[payload]) == size
        chunks = list(store.read("a"))
        assert all(isinstance(chunk, bytes) and 0 < len(chunk) <= MIB for chunk in chunks)
        assert b"".join(chunks) == payload

    def test_what_chunks_are_made_of_may_change_afterwards(self, store: BlobStore) -> None:
        source = bytearray(b"abc")
        store.write("a", chunks=[memoryview(source)])
        source[:] = b"xyz"
        assert b"".join(store.read("a")) == b"abc"

    def test_a_payload_is_never_overwritten(self, store: BlobStore, other: BlobStore) -> None:
        store.write("a", chunks=[b"first"])
        for again in (b"second", b"", b"first"):
            with pytest.raises(BlobExists) as error:
                other.write("a", chunks=[again])
            assert error.value.args[0] == "a"
        assert b"".join(other.read("a")) == b"first"
        assert list(other.ids()) == ["a"]

    def test_a_payload_is_not_visible_before_it_is_whole(self, store: BlobStore, other: BlobStore) -> None:
        def chunks() -> Iterator[bytes]:
            yield b"half" * MIB
            with pytest.raises(BlobNotFound):
                other.read("a")
            assert list(other.ids()) == []
            yield b"whole"

        store.write("a", chunks=chunks())
        assert list(other.ids()) == ["a"]

    @pytest.mark.parametrize(
        "error", [Broken("gone"), ConnectionResetError("gone"), KeyboardInterrupt()], ids=repr
    )
    def test_what_chunks_raise_passes_through_and_leaves_nothing(
        self, store: BlobStore, other: BlobStore, error: BaseException
    ) -> None:
        def chunks() -> Iterator[bytes]:
            yield b"half"
            raise error

        with pytest.raises(type(error)) as raised:
            store.write("a", chunks=chunks())
        assert raised.value is error
        assert list(other.ids()) == []
        with pytest.raises(BlobNotFound):
            other.read("a")
        assert store.write("a", chunks=[b"another"]) == 7

    def test_a_chunk_that_is_not_bytes_leaves_nothing(self, store: BlobStore) -> None:
        with pytest.raises(TypeError):
            store.write("a", chunks=[b"x", "text"])  # type: ignore[list-item]
        assert list(store.ids()) == []

    def test_a_missing_payload_is_not_found_at_the_call(self, store: BlobStore) -> None:
        store.write("a1", chunks=[b"x"])
        for id in ("b", "b1", "a"):
            with pytest.raises(BlobNotFound) as error:
                store.read(id)
            assert error.value.args[0] == id

    def test_a_reader_that_has_begun_reads_to_the_end(self, store: BlobStore, other: BlobStore) -> None:
        payload = bytes(2 * MIB) + b"end"
        store.write("a", chunks=[payload])
        called, begun = store.read("a"), store.read("a")
        first = next(begun)
        other.remove("a")
        other.write("a", chunks=[b"another"])
        assert first + b"".join(begun) == payload
        assert b"".join(called) == payload

    def test_two_readers_do_not_disturb_each_other(self, store: BlobStore) -> None:
        payload = b"a" * MIB + b"b" * MIB
        store.write("a", chunks=[payload])
        one, two = store.read("a"), store.read("a")
        next(one)
        assert b"".join(two) == payload
        assert b"".join(one) == b"b" * MIB
        assert list(one) == []

    def test_readers_may_be_given_up(self, store: BlobStore) -> None:
        store.write("a", chunks=[bytes(2 * MIB)])
        store.read("a")
        next(store.read("a"))
        gc.collect()
        assert sum(map(len, store.read("a"))) == 2 * MIB

    def test_a_removed_payload_is_gone(self, store: BlobStore, other: BlobStore) -> None:
        store.write("a", chunks=[b"x"])
        other.remove("a")
        with pytest.raises(BlobNotFound):
            store.read("a")
        assert list(store.ids()) == []

    def test_removing_what_is_not_there_is_no_error(self, store: BlobStore) -> None:
        store.write("b1", chunks=[b"x"])
        for id in ("a", "b", "a1", "b2"):
            store.remove(id)
        assert list(store.ids()) == ["b1"]

    def test_an_id_is_free_again_after_a_removal(self, store: BlobStore) -> None:
        store.write("a", chunks=[b"one"])
        store.remove("a")
        store.write("a", chunks=[b"two"])
        assert b"".join(store.read("a")) == b"two"

    def test_ids_come_in_ascending_order(self, store: BlobStore, other: BlobStore) -> None:
        written = ["b", "a", "ab", "ba", "0", "z9", "9z", "aab", "0" * 64, "tmp"]
        for id in written:
            store.write(id, chunks=[])
        assert list(other.ids()) == sorted(written)

    def test_ids_may_be_taken_while_payloads_come_and_go(self, store: BlobStore) -> None:
        for id in ("a", "b", "c"):
            store.write(id, chunks=[])
        ids = store.ids()
        first = next(ids)
        store.remove("b")
        store.write("bb", chunks=[])
        rest = list(ids)
        assert first == "a"
        assert set(rest) - {"b", "bb"} == {"c"}

    @pytest.mark.parametrize(
        ("after", "limit", "ids"),
        [
            ("", 2, ["0", "a"]),
            ("a", None, ["ab", "b", "ba"]),
            ("a", 2, ["ab", "b"]),
            ("aa", 1, ["ab"]),
            ("b", 9, ["ba"]),
            ("ba", None, []),
        ],
    )
    def test_ids_can_be_taken_some_at_a_time(
        self, store: BlobStore, after: str, limit: int | None, ids: list[str]
    ) -> None:
        for id in ("b", "a", "ab", "0", "ba"):
            store.write(id, chunks=[])
        assert list(store.ids(after=after, limit=limit)) == ids

    @pytest.mark.parametrize("limit", [0, -1])
    def test_ids_are_not_taken_none_at_a_time(self, store: BlobStore, limit: int) -> None:
        with pytest.raises(ValueError, match=str(limit)):
            store.ids(limit=limit)

    def test_a_payload_has_the_age_of_its_last_byte(self, store: BlobStore, other: BlobStore) -> None:
        begun: list[datetime] = []

        def chunks() -> Iterator[bytes]:
            yield b"slow"
            begun.append(datetime.now(UTC))

        store.write("a", chunks=chunks())
        # Clocks of file systems tick coarsely, and databases keep milliseconds.
        assert begun[0] - timedelta(seconds=1) <= other.written("a")
        assert other.written("a") <= datetime.now(UTC) + timedelta(seconds=1)
        for id in ("b", "a1"):
            with pytest.raises(BlobNotFound):
                store.written(id)

    @pytest.mark.parametrize("id", ILLEGAL_IDS, ids=lambda text: ascii(text)[:12])
    def test_an_id_out_of_the_legal_form_is_refused(self, store: BlobStore, id: str) -> None:
        def untouched() -> Iterator[bytes]:
            raise AssertionError("chunks were touched")
            yield b""

        with pytest.raises(ValueError, match="id"):
            store.write(id, chunks=untouched())
        with pytest.raises(ValueError, match="id"):
            store.read(id)
        with pytest.raises(ValueError, match="id"):
            store.remove(id)
        with pytest.raises(ValueError, match="id"):
            store.written(id)
        assert list(store.ids()) == []

    def test_of_concurrent_writers_of_an_id_exactly_one_succeeds(self, open_store: OpenStore) -> None:
        barrier = Barrier(6)

        def write(n: int) -> bytes | None:
            store = open_store("contended")
            payload = bytes([n]) * 100_000
            barrier.wait()
            try:
                store.write("a", chunks=[payload[:50_000], payload[50_000:]])
                return payload
            except BlobExists:
                return None

        with ThreadPoolExecutor(6) as pool:
            (winner,) = [payload for payload in pool.map(write, range(6)) if payload is not None]
        assert b"".join(open_store("contended").read("a")) == winner

    def test_threads_may_write_and_read_at_once(self, store: BlobStore) -> None:
        def write_and_read(n: int) -> bool:
            id = f"x{n:03}"
            store.write(id, chunks=[id.encode()])
            found = b"".join(store.read(id)) == id.encode() and id in store.ids()
            if n % 2:
                store.remove(id)
            return found

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(write_and_read, range(40)))
        assert list(store.ids()) == [f"x{n:03}" for n in range(0, 40, 2)]

    def test_the_store_behaves_as_a_dict(self, open_store: OpenStore) -> None:
        run_machine(_Machine, open_store, examples=40, steps=25)


class _Machine(RuleBasedStateMachine):
    def __init__(self, store: BlobStore, other: BlobStore) -> None:
        super().__init__()
        self.store = store
        self.other = other
        self.model: dict[str, bytes] = {}
        self.readers: list[tuple[Iterator[bytes], bytes]] = []

    ids = st.sampled_from(["a", "b", "ab", "aab", "bab", "0", "tmp"])
    payloads = st.lists(st.binary(max_size=5) | st.sampled_from([MIB, MIB + 1]).map(bytes), max_size=3)

    @rule(id=ids, chunks=payloads)
    def write(self, id: str, chunks: list[bytes]) -> None:
        if id in self.model:
            with pytest.raises(BlobExists):
                self.store.write(id, chunks=iter(chunks))
        else:
            assert self.store.write(id, chunks=iter(chunks)) == sum(map(len, chunks))
            self.model[id] = b"".join(chunks)

    @rule(id=ids, chunks=payloads)
    def fail_to_write(self, id: str, chunks: list[bytes]) -> None:
        def broken() -> Iterator[bytes]:
            yield from chunks
            raise Broken

        with pytest.raises((Broken, BlobExists)):
            self.store.write(id, chunks=broken())

    @rule(id=ids)
    def remove(self, id: str) -> None:
        self.store.remove(id)
        self.model.pop(id, None)

    @rule(id=ids)
    def begin_to_read(self, id: str) -> None:
        if id in self.model:
            self.readers.append((self.other.read(id), self.model[id]))
        else:
            with pytest.raises(BlobNotFound):
                self.other.read(id)

    @rule()
    def read_to_the_end(self) -> None:
        for reader, payload in self.readers:
            assert b"".join(reader) == payload
        self.readers.clear()

    @rule(after=ids | st.just(""), limit=st.integers(1, 4))
    def take_some_ids(self, after: str, limit: int) -> None:
        assert (
            list(self.other.ids(after=after, limit=limit))
            == sorted(i for i in self.model if i > after)[:limit]
        )

    @invariant()
    def holds_what_the_dict_holds(self) -> None:
        assert list(self.other.ids()) == sorted(self.model)

    def teardown(self) -> None:
        self.read_to_the_end()
        for id, payload in self.model.items():
            assert b"".join(self.other.read(id)) == payload
