"""The contract of `omega.ports.frames.FrameStore`."""

import itertools
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from omega.ports.blobs import BlobExists
from omega.ports.frames import FrameStore, Segment, SegmentCorrupt, SegmentNotFound
from tests.contracts.machines import run_machine

OpenStore = Callable[[str], FrameStore]

_BITS = {pa.float16(): pa.int16(), pa.float32(): pa.int32(), pa.float64(): pa.int64()}


def assert_same(found: pa.Table, expected: pa.Table) -> None:
    """The same schema and metadata, dictionaries, nulls and values, floats bit for bit; chunks may differ."""
    assert found.schema.equals(expected.schema, check_metadata=True), (
        f"{found.schema} is not {expected.schema}"
    )
    assert found.num_rows == expected.num_rows
    for name in expected.column_names:
        one, two = found[name].combine_chunks(), expected[name].combine_chunks()
        if one.type in _BITS:
            one, two = one.view(_BITS[one.type]), two.view(_BITS[two.type])
        assert one.equals(two), name
        if pa.types.is_dictionary(one.type):
            assert dictionary(one).equals(dictionary(two)), name


def dictionary(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The dictionary of a column, also of one without rows; without a chunk there is none."""
    return (column.chunk(0) if isinstance(column, pa.ChunkedArray) else column).dictionary


def numbers(*values: int | None) -> pa.Table:
    """A table with a column `n` and a text column `s`, and metadata on the schema and on a field."""
    fields = [pa.field("n", pa.int64(), metadata={"unit": "m"}), pa.field("s", pa.string())]
    return pa.table(
        [pa.array(values, pa.int64()), [f"row {n}" for n in values]], pa.schema(fields, {"of": "table"})
    )


def whole(store: FrameStore, segments: Sequence[Segment], **options: Any) -> list[Any]:
    """The values of `n` in all tables that are read."""
    return [n for table in store.read(segments, **options) for n in table["n"].to_pylist()]


def awkward() -> pa.Table:
    """Every kind of column that is easily lost or changed."""
    nan = struct.unpack("d", struct.pack("Q", 0xFFF8_0000_0000_0001))[0]
    columns: dict[str, pa.Array] = {
        "": pa.array([1, None, 3], pa.int8()),
        "unicode \u00e9 \U0001f642": pa.array([2**64 - 1, 0, None], pa.uint64()),
        "exact": pa.array([2**53 + 1, -(2**63), 2**63 - 1]),
        "float": pa.array([-0.0, nan, None]),
        "float32": pa.array([-0.0, float("nan"), float("-inf")], pa.float32()),
        "float16": pa.array([0.5, None, -0.0], pa.float16()),
        "bool": pa.array([True, None, False]),
        "text": pa.array(["", None, "\0\U0010ffff"]),
        "large": pa.array(["a", "b" * 1000, None], pa.large_string()),
        "view": pa.array(["a", "more than twelve bytes", None], pa.string_view()),
        "binary": pa.array([b"", None, b"\xff\0"]),
        "fixed": pa.array([b"ab", None, b"\0\0"], pa.binary(2)),
        "decimal": pa.array([1, None, -3], pa.decimal128(38, 0)),
        "zoned": pa.array([0, None, 2**62], pa.timestamp("ns", "Europe/Vienna")),
        "naive": pa.array([0, None, -1], pa.timestamp("us")),
        "date": pa.array([0, None, -719162], pa.date32()),
        "duration": pa.array([0, None, -1], pa.duration("ns")),
        "category": pa.DictionaryArray.from_arrays(pa.array([0, None, 0], pa.int8()), ["used", "unused"]),
        "ordered": pa.DictionaryArray.from_arrays(pa.array([2, 1, 0], pa.int32()), [3, 2, 1], ordered=True),
        "list": pa.array([[1], None, []]),
        "struct": pa.array([{"a": 1, "b": [None]}, None, {"a": None, "b": []}]),
        "categories": pa.ListArray.from_arrays([0, 1, 1, 2], pa.array(["x", "y"]).dictionary_encode()),
        "null": pa.nulls(3),
    }
    fields = [pa.field(name, column.type, metadata={"at": name}) for name, column in columns.items()]
    return pa.table(
        list(columns.values()), pa.schema(fields, {b"pandas": b"{}", b"\xff\0": b"\0", b"z": b"", b"a": b""})
    )


class FrameStoreSuite:
    @pytest.fixture
    def open_store(self) -> OpenStore:
        """Opens the store of a name, empty at first. Opened twice, it gives two ways to the same segments."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, open_store: OpenStore) -> FrameStore:
        return open_store("examples")

    @pytest.fixture
    def other(self, store: FrameStore, open_store: OpenStore) -> FrameStore:
        return open_store("examples")

    @pytest.fixture
    def segments(self, store: FrameStore) -> list[Segment]:
        tables = [numbers(0, 1, 2), numbers(), numbers(3), numbers(4, 5, 6, 7)]
        return [store.write(f"s{n}", table=table) for n, table in enumerate(tables)]

    def test_a_table_is_read_as_written(self, store: FrameStore, other: FrameStore) -> None:
        table = numbers(1, None, 3)
        segment = store.write("a", table=table)
        assert (segment.id, segment.rows) == ("a", 3)
        assert segment.size_bytes > 0
        kind, _, digest = segment.checksum.partition(":")
        assert kind == "xxh3"
        assert len(bytes.fromhex(digest)) == 16
        (found,) = other.read([segment])
        assert_same(found, table)

    @pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
    def test_many_tables_are_stored_in_their_order(
        self, store: FrameStore, other: FrameStore, count: int
    ) -> None:
        tables = [numbers(*range(n)) for n in range(count)]
        segments = list(store.write_all((f"s{n}", table) for n, table in enumerate(tables)))
        assert [(segment.id, segment.rows) for segment in segments] == [(f"s{n}", n) for n in range(count)]
        for segment, table in zip(segments, tables, strict=True):
            assert_same(next(other.read([segment])), table)

    @pytest.mark.parametrize("at", range(6))
    def test_of_many_none_is_left_that_was_not_told_of(self, store: FrameStore, at: int) -> None:
        there = store.write(f"s{at}", table=numbers(7))
        told: list[Segment] = []
        with pytest.raises(BlobExists):
            for segment in store.write_all((f"t{n}" if n != at else f"s{n}", numbers(n)) for n in range(6)):
                told.append(segment)
        assert [segment.id for segment in told] == [f"t{n}" for n in range(at)]
        assert whole(store, [*told, there]) == [*range(at), 7]
        for n in range(6):
            if f"t{n}" not in {segment.id for segment in told}:
                with pytest.raises(SegmentNotFound):
                    whole(store, [attrs.evolve(there, id=f"t{n}")])

    def test_who_asks_for_no_more_leaves_nothing(self, store: FrameStore) -> None:
        stored = store.write_all((f"s{n}", numbers(n)) for n in range(6))
        first = next(stored)
        stored.close()  # type: ignore[attr-defined]
        assert whole(store, [first]) == [0]
        for n in range(1, 6):
            with pytest.raises(SegmentNotFound):
                whole(store, [attrs.evolve(first, id=f"s{n}")])

    def test_what_the_tables_raise_passes_through(self, store: FrameStore) -> None:
        def tables() -> Iterator[tuple[str, pa.Table]]:
            yield "a", numbers(1)
            yield "b", numbers(2)
            yield "c", numbers(3)
            raise KeyError("no more")

        told: list[Segment] = []
        with pytest.raises(KeyError):
            for segment in store.write_all(tables()):
                told.append(segment)
        for id in set("abc") - {segment.id for segment in told}:
            with pytest.raises(SegmentNotFound):
                whole(store, [attrs.evolve(store.write(f"x{id}", table=numbers(1)), id=id)])

    def test_every_kind_of_column_comes_back_exactly(self, store: FrameStore, other: FrameStore) -> None:
        table = awkward()
        (found,) = other.read([store.write("a", table=table)])
        assert_same(found, table)

    @pytest.mark.parametrize("rows", [(0, 0), (1, 2), (2, 3)], ids=str)
    def test_a_slice_of_a_table_comes_back_exactly(self, store: FrameStore, rows: tuple[int, int]) -> None:
        table = awkward().slice(rows[0], rows[1] - rows[0])
        (found,) = store.read([store.write("a", table=table)])
        assert_same(found, table)

    def test_a_table_of_several_chunks_comes_back_exactly(self, store: FrameStore) -> None:
        category = pa.chunked_array(
            [pa.array(["x", "y"]).dictionary_encode(), pa.array(["z"]).dictionary_encode()]
        )
        tables = [awkward().slice(n, 1) for n in range(3)]
        table = pa.concat_tables(tables).append_column("chunked", category)
        (found,) = store.read([store.write("a", table=table)])
        assert found["chunked"].to_pylist() == ["x", "y", "z"]
        assert_same(found.drop_columns("chunked"), table.drop_columns("chunked"))

    @pytest.mark.parametrize("chunks", ["one", "none"])
    def test_a_table_without_rows_comes_back_exactly(self, store: FrameStore, chunks: str) -> None:
        table = awkward().slice(0, 0) if chunks == "one" else awkward().schema.empty_table()
        segment = store.write("a", table=table)
        assert segment.rows == 0
        (found,) = store.read([segment])
        assert found.num_rows == 0
        assert found.schema.equals(table.schema, check_metadata=True)
        assert dictionary(found["category"]).to_pylist() == (["used", "unused"] if chunks == "one" else [])

    def test_a_table_without_columns_comes_back_exactly(self, store: FrameStore) -> None:
        for n, table in enumerate([numbers(1, 2, 3).select([]), numbers().select([])]):
            segment = store.write(f"a{n}", table=table)
            assert segment.rows == table.num_rows
            (found,) = store.read([segment])
            assert found.shape == table.shape
            assert found.schema.equals(table.schema, check_metadata=True)

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        columns=st.dictionaries(
            st.text(max_size=3),
            st.tuples(
                st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=4, max_size=4).map(pa.array)
                | st.lists(st.none() | st.floats(), min_size=4, max_size=4).map(
                    lambda xs: pa.array(xs, pa.float64())
                )
                | st.lists(st.none() | st.text(max_size=3), min_size=4, max_size=4).map(pa.array)
                | st.lists(st.sampled_from("xyz"), min_size=4, max_size=4).map(
                    lambda xs: pa.array(xs).dictionary_encode()
                ),
                st.dictionaries(st.binary(max_size=2), st.binary(max_size=2), max_size=2),
            ),
            min_size=1,
            max_size=4,
        ),
        start=st.integers(0, 4),
    )
    def test_any_table_comes_back_exactly(
        self, store: FrameStore, columns: dict[str, Any], start: int
    ) -> None:
        fields = [
            pa.field(name, column.type, metadata=metadata) for name, (column, metadata) in columns.items()
        ]
        table = pa.table([column for column, _ in columns.values()], pa.schema(fields)).slice(start)
        store.remove(["any"])
        (found,) = store.read([store.write("any", table=table)])
        assert_same(found, table)

    def test_a_segment_is_never_overwritten(self, store: FrameStore, other: FrameStore) -> None:
        segment = store.write("a", table=numbers(1))
        with pytest.raises(BlobExists):
            other.write("a", table=numbers(2))
        assert whole(other, [segment]) == [1]

    @pytest.mark.parametrize("id", ["", "A", "../x", "a\n", "a" * 65])
    def test_an_illegal_id_is_refused(self, store: FrameStore, id: str) -> None:
        with pytest.raises(ValueError, match="id"):
            store.write(id, table=numbers(1))

    def test_segments_are_read_in_the_order_given(self, store: FrameStore, segments: list[Segment]) -> None:
        assert whole(store, segments) == [0, 1, 2, 3, 4, 5, 6, 7]
        assert whole(store, segments[::-1]) == [4, 5, 6, 7, 3, 0, 1, 2]
        assert whole(store, [segments[2], segments[2]]) == [3, 3]

    def test_one_table_comes_for_a_segment_and_none_for_an_empty_one(
        self, store: FrameStore, segments: list[Segment]
    ) -> None:
        assert [table.num_rows for table in store.read(segments)] == [3, 1, 4]
        assert [table.num_rows for table in store.read(segments, where=pc.field("n") >= 3)] == [1, 4]
        assert [table.num_rows for table in store.read(segments, offset=4)] == [4]

    def test_offset_and_limit_cut_the_rows_over_all_segments(
        self, store: FrameStore, segments: list[Segment]
    ) -> None:
        for offset, limit in itertools.product(
            [0, 1, 2, 3, 4, 5, 8, 9, 2**70], [None, 0, 1, 2, 4, 5, 8, 9, 2**70]
        ):
            found = whole(store, segments, offset=offset, limit=limit)
            assert found == list(range(8))[offset:][:limit], (offset, limit)

    def test_offset_and_limit_count_the_rows_that_where_leaves(
        self, store: FrameStore, segments: list[Segment]
    ) -> None:
        even = pc.bit_wise_and(pc.field("n"), 1) == 0
        for offset, limit in itertools.product([0, 1, 2, 3, 4, 5], [None, 0, 1, 2, 3, 4, 5]):
            found = whole(store, segments, where=even, offset=offset, limit=limit)
            assert found == [0, 2, 4, 6][offset:][:limit], (offset, limit)

    def test_a_row_for_which_where_is_null_is_left_out(self, store: FrameStore) -> None:
        segment = store.write("a", table=numbers(1, None, 3))
        assert whole(store, [segment], where=pc.field("n") > 0) == [1, 3]
        assert whole(store, [segment], where=pc.field("n") < 0) == []
        assert whole(store, [segment], where=pc.field("n").is_null()) == [None]
        (found,) = store.read([store.write("b", table=awkward())], where=pc.field("bool"))
        assert_same(found, awkward().slice(0, 1))

    def test_where_may_name_columns_that_are_not_chosen(
        self, store: FrameStore, segments: list[Segment]
    ) -> None:
        (table,) = store.read(segments, columns=["s"], where=pc.field("n") == 5)
        assert table.to_pydict() == {"s": ["row 5"]}

    def test_columns_come_in_the_order_given_with_their_metadata(self, store: FrameStore) -> None:
        table = awkward()
        segment = store.write("a", table=table)
        for columns in (["text", "bool", ""], ["category"], table.column_names[::-1]):
            for options in ({}, {"where": pc.field("exact") != 0}):
                (found,) = store.read([segment], columns=columns, **options)
                assert_same(found, table.select(columns))

    def test_no_columns_are_still_rows(self, store: FrameStore, segments: list[Segment]) -> None:
        assert [table.shape for table in store.read(segments, columns=[], offset=1, limit=3)] == [
            (2, 0),
            (1, 0),
        ]
        assert [table.shape for table in store.read(segments, columns=[], where=pc.field("n") > 5)] == [
            (2, 0)
        ]

    @pytest.mark.parametrize(
        "options",
        [
            {"limit": 0},
            {"offset": 3},
            {"offset": 2**70},
            {"where": pc.field("exact") == 7},
            {"where": pc.field("exact") != 0, "offset": 3},
        ],
        ids=["limit", "offset", "large offset", "where", "where and offset"],
    )
    @pytest.mark.parametrize("columns", [None, ["category", "text"]], ids=["all", "some"])
    def test_an_empty_result_is_one_table_of_the_whole_schema(
        self, store: FrameStore, options: dict[str, Any], columns: list[str] | None
    ) -> None:
        table = awkward()
        segments = [store.write("a", table=table.slice(0, 1)), store.write("b", table=table.slice(1))]
        (found,) = store.read(segments, columns=columns, **options)
        assert found.num_rows == 0
        assert found.schema.equals((table.select(columns) if columns else table).schema, check_metadata=True)
        assert dictionary(found["category"]).to_pylist() == ["used", "unused"]

    def test_no_segments_give_no_table(self, store: FrameStore) -> None:
        assert list(store.read([])) == []
        assert list(store.read([], columns=["a"], where=pc.field("a") > 1, offset=1, limit=1)) == []

    def test_a_missing_segment_is_not_found_while_iterating(
        self, store: FrameStore, segments: list[Segment]
    ) -> None:
        missing = attrs.evolve(segments[0], id="missing")
        tables = store.read([segments[0], missing])
        assert next(tables).num_rows == 3
        with pytest.raises(SegmentNotFound) as error:
            next(tables)
        assert error.value.args[0] == "missing"

    def test_segments_that_offset_and_limit_rule_out_are_not_read(
        self, store: FrameStore, segments: list[Segment]
    ) -> None:
        missing = attrs.evolve(segments[0], id="missing", rows=100)
        assert whole(store, [missing, *segments, missing], offset=101, limit=7) == [1, 2, 3, 4, 5, 6, 7]
        assert whole(store, [segments[0], missing], limit=3) == [0, 1, 2]
        assert whole(store, [segments[0], missing], limit=2, where=pc.field("n") > 0) == [1, 2]

    @pytest.mark.parametrize(
        "wrong",
        ["checksum", "kind of checksum", "more bytes", "fewer bytes", "no bytes", "rows", "another segment"],
    )
    def test_what_is_not_as_it_was_written_is_corrupt(
        self, store: FrameStore, segments: list[Segment], wrong: str
    ) -> None:
        good = segments[0]
        another = store.write("another", table=numbers(7, 8, 9))
        bad = {
            "checksum": attrs.evolve(good, checksum="xxh3:" + "0" * 32),
            "kind of checksum": attrs.evolve(good, checksum="md5:" + "0" * 32),
            "more bytes": attrs.evolve(good, size_bytes=good.size_bytes + 1),
            "fewer bytes": attrs.evolve(good, size_bytes=good.size_bytes - 1),
            "no bytes": attrs.evolve(good, size_bytes=0),
            "rows": attrs.evolve(good, rows=4),
            "another segment": attrs.evolve(another, id=good.id),
        }[wrong]
        tables = store.read([segments[2], bad])
        assert next(tables).num_rows == 1
        with pytest.raises(SegmentCorrupt) as error:
            next(tables)
        assert error.value.args[0] == good.id

    def test_an_unknown_column_is_a_key_error(self, store: FrameStore, segments: list[Segment]) -> None:
        for options in (
            {"columns": ["n", "no such"]},
            {"where": pc.field("no such") > 1},
            {"columns": ["n"], "where": (pc.field("n") > 1) & pc.field("no such").is_null()},
            {"columns": ["no such"], "limit": 0},
            {"columns": ["no such"], "offset": 100},
        ):
            with pytest.raises(KeyError) as error:
                list(store.read(segments, **options))  # type: ignore[arg-type]
            assert error.value.args == ("no such",)

    @pytest.mark.parametrize(
        "options", [{"offset": -1}, {"limit": -1}, {"offset": 1, "limit": -(2**70)}], ids=str
    )
    def test_negative_numbers_are_refused_at_the_call(
        self, store: FrameStore, segments: list[Segment], options: dict[str, int]
    ) -> None:
        with pytest.raises(ValueError, match="negative"):
            store.read(segments, **options)

    def test_what_is_no_condition_is_refused(self, store: FrameStore, segments: list[Segment]) -> None:
        with pytest.raises(TypeError):
            list(store.read(segments, where=pc.field("n") + 1))

    def test_removed_segments_are_gone(
        self, store: FrameStore, other: FrameStore, segments: list[Segment]
    ) -> None:
        other.remove(["s0", "missing", "s2", "s0"])
        other.remove([])
        for segment in (segments[0], segments[2]):
            with pytest.raises(SegmentNotFound):
                list(store.read([segment]))
        assert whole(store, [segments[3]]) == [4, 5, 6, 7]
        assert whole(store, [store.write("s0", table=numbers(9))]) == [9]

    def test_the_store_behaves_as_a_dict(self, open_store: OpenStore) -> None:
        run_machine(_Machine, open_store, examples=25, steps=20)


class _Machine(RuleBasedStateMachine):
    def __init__(self, store: FrameStore, other: FrameStore) -> None:
        super().__init__()
        self.store = store
        self.other = other
        self.model: dict[str, tuple[Segment, list[int | None]]] = {}
        self.gone: dict[str, Segment] = {}

    ids = st.sampled_from(["a", "b", "ab", "cab"])
    rows = st.lists(st.none() | st.integers(0, 9), max_size=4)
    cuts = st.integers(0, 6)

    @rule(id=ids, rows=rows)
    def write(self, id: str, rows: list[int | None]) -> None:
        if id in self.model:
            with pytest.raises(BlobExists):
                self.store.write(id, table=numbers(*rows))
        else:
            self.model[id] = (self.store.write(id, table=numbers(*rows)), rows)
            self.gone.pop(id, None)

    @rule(id=ids)
    def remove(self, id: str) -> None:
        self.store.remove([id])
        if id in self.model:
            self.gone[id] = self.model.pop(id)[0]

    @rule(
        order=st.lists(ids, max_size=4),
        above=st.none() | st.integers(-1, 9),
        offset=cuts,
        limit=st.none() | cuts,
    )
    def read(self, order: list[str], above: int | None, offset: int, limit: int | None) -> None:
        there = [self.model[id] for id in order if id in self.model]
        segments = [segment for segment, _ in there]
        where = None if above is None else pc.field("n") > above
        rows = [n for _, rows in there for n in rows if above is None or (n is not None and n > above)]
        tables = list(self.other.read(segments, where=where, offset=offset, limit=limit))
        assert [n for table in tables for n in table["n"].to_pylist()] == rows[offset:][:limit]
        assert [text for table in tables for text in table["s"].to_pylist()] == [
            f"row {n}" for n in rows[offset:][:limit]
        ]
        assert all(table.schema.equals(numbers().schema, check_metadata=True) for table in tables)
        assert len(tables) >= min(1, len(segments))

    @rule()
    def read_what_is_gone(self) -> None:
        for segment in self.gone.values():
            with pytest.raises(SegmentNotFound):
                list(self.other.read([segment]))
