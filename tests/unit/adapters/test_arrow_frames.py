"""Frames as Arrow streams keep the whole contract over either blob store, and hold no more than a segment."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import xxhash

from omega.adapters.arrow_frames.frames import ArrowFrameStore
from omega.adapters.embedded.blobs import DirectoryBlobStore
from omega.adapters.memory.blobs import MemoryBlobStore
from omega.ports.frames import SegmentCorrupt
from omega.ports.records import StoreFull, StoreUnavailable
from tests.contracts.frames import FrameStoreSuite, assert_same, numbers

MIB = 1 << 20


class TestArrowFrameStoreInMemory(FrameStoreSuite):
    @pytest.fixture
    def open_store(self) -> Callable[[str], ArrowFrameStore]:
        blobs: defaultdict[str, MemoryBlobStore] = defaultdict(MemoryBlobStore)
        return lambda name: ArrowFrameStore(blobs[name])


class TestArrowFrameStoreInDirectory(FrameStoreSuite):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Callable[[str], ArrowFrameStore]:
        return lambda name: ArrowFrameStore(DirectoryBlobStore(tmp_path / name))


class WatchedBlobs(MemoryBlobStore):
    """Notes which blobs are read, and how much memory Arrow holds as each read begins."""

    def __init__(self) -> None:
        super().__init__()
        self.read_ids: list[str] = []
        self.held_bytes: list[int] = []

    def read(self, id: str) -> Iterator[bytes]:
        self.read_ids.append(id)
        self.held_bytes.append(pa.total_allocated_bytes())
        return super().read(id)


@pytest.fixture
def blobs() -> WatchedBlobs:
    return WatchedBlobs()


@pytest.fixture
def store(blobs: WatchedBlobs) -> ArrowFrameStore:
    return ArrowFrameStore(blobs)


def test_a_stored_segment_is_an_arrow_stream_that_anyone_can_read(
    store: ArrowFrameStore, blobs: WatchedBlobs
) -> None:
    table = numbers(1, 2, None)
    segment = store.write("a", table=table)
    stream = b"".join(blobs.read("a"))
    assert len(stream) == segment.size_bytes
    assert_same(pa.ipc.open_stream(stream).read_all(), table)


def test_nothing_is_read_before_it_is_asked_for(store: ArrowFrameStore, blobs: WatchedBlobs) -> None:
    segments = [store.write(id, table=numbers(1, 2)) for id in ("a", "b", "c")]
    tables = store.read(segments, offset=2)
    assert blobs.read_ids == []
    next(tables)
    assert blobs.read_ids == ["b"]
    list(tables)
    assert blobs.read_ids == ["b", "c"]


def test_an_empty_result_costs_at_most_one_read_of_each_segment(
    store: ArrowFrameStore, blobs: WatchedBlobs
) -> None:
    segments = [store.write(id, table=numbers(1, 2)) for id in ("a", "b")]
    list(store.read(segments, where=pc.field("n") > 2))
    assert blobs.read_ids == ["a", "b"]
    blobs.read_ids.clear()
    list(store.read(segments, limit=0))
    assert blobs.read_ids == ["a"]


@pytest.mark.parametrize(
    "where", [None, pc.field("x") >= 0.5, pc.field("x") > 2], ids=["all", "some", "none"]
)
def test_at_most_one_segment_is_held(
    store: ArrowFrameStore, blobs: WatchedBlobs, where: pc.Expression | None
) -> None:
    table = pa.table({"x": np.linspace(0, 1, MIB // 8), "y": np.zeros(MIB // 8)})
    segments = [store.write(f"s{n}", table=table) for n in range(4)]
    before = pa.total_allocated_bytes()
    tables = store.read(segments, where=where, columns=["y"])
    while next(tables, None) is not None:
        pass
    assert blobs.read_ids == ["s0", "s1", "s2", "s3"]
    assert max(blobs.held_bytes) - before < MIB // 2


def test_an_empty_result_holds_no_segment(store: ArrowFrameStore) -> None:
    category = pa.array(["x", "y"] * (MIB // 2)).dictionary_encode()
    segment = store.write("a", table=pa.table({"c": category}))
    before = pa.total_allocated_bytes()
    found = list(store.read([segment], limit=0))
    assert pa.total_allocated_bytes() - before < MIB // 2
    assert found[0]["c"].chunk(0).dictionary.to_pylist() == ["x", "y"]


def test_columns_are_handed_over_one_by_one_and_without_a_copy() -> None:
    class Sizes(MemoryBlobStore):
        def write(self, id: str, *, chunks: Iterable[bytes | memoryview]) -> int:
            for chunk in chunks:
                sizes.append(memoryview(chunk).nbytes)
                held.append(pa.total_allocated_bytes() - before)
            return sum(sizes)

    table = pa.table({f"c{n}": np.zeros(MIB) for n in range(4)})
    sizes: list[int] = []
    held: list[int] = []
    before = pa.total_allocated_bytes()
    segment = ArrowFrameStore(Sizes()).write("a", table=table)
    assert segment.size_bytes == sum(sizes)
    assert sorted(sizes)[-4:] == [8 * MIB] * 4
    assert max(held) < MIB


def test_any_changed_byte_is_found_before_it_is_decoded(
    store: ArrowFrameStore, blobs: WatchedBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = store.write("a", table=numbers(1, 2, None))
    stream = b"".join(blobs.read("a"))

    def decoded(*args: object) -> None:
        raise AssertionError("what is not ours was decoded")

    monkeypatch.setattr(pa.ipc, "open_stream", decoded)
    for at in range(0, len(stream), 7):
        blobs.remove("a")
        blobs.write("a", chunks=[stream[:at], bytes([stream[at] ^ 1]), stream[at + 1 :]])
        with pytest.raises(SegmentCorrupt):
            list(store.read([segment]))


def test_signed_bytes_that_are_no_stream_are_corrupt(store: ArrowFrameStore, blobs: WatchedBlobs) -> None:
    good = store.write("a", table=numbers(1, 2, None))
    stream = b"".join(blobs.read("a"))
    for content in (b"", b"notes", stream[:-20], stream[:50], stream[200:]):
        blobs.remove("a")
        blobs.write("a", chunks=[content])
        digest = xxhash.xxh3_128(content).hexdigest()
        with pytest.raises(SegmentCorrupt):
            list(store.read([attrs.evolve(good, size_bytes=len(content), checksum=f"xxh3:{digest}")]))


def test_the_first_error_is_told_also_where_nothing_can_be_removed() -> None:
    class Failing(MemoryBlobStore):
        def write(self, id: str, *, chunks: Iterable[bytes | memoryview]) -> int:
            if id == "b":
                raise StoreFull("no room")
            return super().write(id, chunks=chunks)

        def remove(self, id: str) -> None:
            raise StoreUnavailable("gone")

    store = ArrowFrameStore(Failing())
    with pytest.raises(StoreFull):
        list(store.write_all((id, numbers(1)) for id in "abcde"))


def test_a_segment_with_another_kind_of_checksum_is_read(store: ArrowFrameStore, blobs: WatchedBlobs) -> None:
    good = store.write("a", table=numbers(1, 2, None))
    digest = hashlib.sha256(b"".join(blobs.read("a"))).hexdigest()
    (found,) = store.read([attrs.evolve(good, checksum=f"sha256:{digest}")])
    assert found["n"].to_pylist() == [1, 2, None]
    with pytest.raises(SegmentCorrupt):
        list(store.read([attrs.evolve(good, checksum=f"sha256:{digest[::-1]}")]))
