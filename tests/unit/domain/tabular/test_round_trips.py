from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dateutil import tz
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.domain import tabular
from omega.domain.errors import BadInput
from tests.unit.domain.tabular.frames import (
    LABELS,
    arrays,
    assert_same,
    assert_same_index,
    assert_same_values,
    frames,
    indexes,
    raw,
    told,
)


def through_ipc(table: pa.Table) -> pa.Table:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return pa.ipc.open_stream(sink.getvalue()).read_all()


def through_parquet(table: pa.Table) -> pa.Table:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return pq.read_table(pa.BufferReader(sink.getvalue()))


@settings(max_examples=120, deadline=None)
@given(frames())
def test_every_frame_comes_back_the_same(df: pd.DataFrame) -> None:
    table = tabular.from_pandas(df)
    assert_same(df, tabular.to_pandas(table))
    assert_same(df, tabular.to_pandas(through_ipc(table)))
    assert tabular.columns(table.schema) == list(df.columns)
    assert tabular.dtypes(table.schema) == {name: str(df[name].dtype) for name in df.columns}


@settings(max_examples=80, deadline=None)
@given(frames())
def test_a_table_is_adopted_as_the_frame_that_it_was(df: pd.DataFrame) -> None:
    table = tabular.from_pandas(df)
    assert_same(df, tabular.to_pandas(tabular.adopt(through_ipc(table))))
    assert tabular.adopt(table).schema.equals(table.schema, check_metadata=True)


@settings(max_examples=80, deadline=None)
@given(frames())
def test_parquet_changes_nothing_once_adopted(df: pd.DataFrame) -> None:
    assert_same(df, tabular.to_pandas(tabular.adopt(through_parquet(tabular.from_pandas(df)))))


@st.composite
def cut_frames(draw: Any) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    df = draw(frames(rows=st.integers(1, 8)))
    cuts = sorted(draw(st.lists(st.integers(0, len(df)), max_size=3)))
    return df, [df.iloc[a:b] for a, b in zip([0, *cuts], [*cuts, len(df)], strict=True)]


@settings(max_examples=80, deadline=None)
@given(cut_frames())
def test_segments_make_the_frame_that_pandas_would_make(cut: tuple[pd.DataFrame, list[pd.DataFrame]]) -> None:
    df, parts = cut
    whole = tabular.from_pandas(df)
    segments = [tabular.conform(tabular.from_pandas(part), whole) for part in parts if len(part)]
    assert all(s.schema.equals(whole.schema) for s in segments)
    assert_same(df, tabular.to_pandas(pa.concat_tables(segments)))


@settings(max_examples=60, deadline=None)
@given(frames(rows=st.integers(1, 8)), st.data())
def test_a_slice_of_the_table_is_the_slice_of_the_frame(df: pd.DataFrame, data: st.DataObject) -> None:
    a = data.draw(st.integers(0, len(df) - 1))
    b = data.draw(st.integers(a + 1, len(df)))
    assert_same(df.iloc[a:b], tabular.to_pandas(tabular.from_pandas(df).slice(a, b - a)))


@settings(max_examples=60, deadline=None)
@given(frames(rows=st.integers(0, 5)), st.data())
def test_some_columns_of_the_table_are_those_of_the_frame(df: pd.DataFrame, data: st.DataObject) -> None:
    names = data.draw(st.permutations(list(df.columns)))[: data.draw(st.integers(0, df.shape[1]))]
    table = tabular.from_pandas(df)
    assert_same(df[names], tabular.to_pandas(table.select([*names, *tabular.index_fields(table.schema)])))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5).flatmap(lambda n: st.tuples(arrays(n), indexes(n), LABELS)))
def test_every_series_comes_back_the_same(parts: tuple[Any, pd.Index, Any]) -> None:
    values, index, name = parts
    s = pd.Series(values, index=index, name=name, dtype=values.dtype)
    got = tabular.to_series(through_ipc(tabular.from_series(s)))
    assert told(s.name) == told(got.name) and s.dtype == got.dtype
    assert_same_index(s.index, got.index)
    assert_same_values(raw(s), raw(got))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4).flatmap(lambda n: st.tuples(indexes(n), st.booleans())))
def test_every_kind_of_column_label_comes_back_or_is_refused(drawn: tuple[pd.Index, bool]) -> None:
    labels, _ = drawn
    df = pd.DataFrame(np.zeros((2, len(labels))), columns=labels)
    try:
        table = tabular.from_pandas(df)
    except BadInput as error:
        assert "label" in str(error) or "column" in str(error)
        return
    got = tabular.to_pandas(through_ipc(table))
    assert_same_index(df.columns, got.columns)
    assert_same_index(df.columns, tabular.to_pandas(tabular.adopt(through_parquet(table))).columns)


def test_an_empty_table_of_a_schema_keeps_all_types() -> None:
    df = pd.DataFrame({"c": pd.Categorical(["a"], categories=["b", "a"]), "i": [2**53 + 1]}, index=["x"])
    got = tabular.to_pandas(through_ipc(tabular.empty_like(tabular.from_pandas(df).schema)))
    assert_same(df.iloc[:0], got)


@pytest.mark.parametrize(
    "categories", [["b", "a"], [1.5], pd.date_range("2020", periods=2, tz="UTC"), pd.interval_range(0, 2)]
)
def test_categories_outlive_a_table_without_rows(categories: Any) -> None:
    dtype = pd.CategoricalDtype(categories, ordered=True)
    level = pd.CategoricalIndex([], dtype=dtype)
    for index in (level, pd.MultiIndex.from_arrays([level, level])):
        df = pd.DataFrame({"c": pd.Categorical([], dtype=dtype)}, index=index)
        assert_same(df, tabular.to_pandas(through_ipc(tabular.from_pandas(df))))
        assert_same(df, tabular.to_pandas(tabular.adopt(through_parquet(tabular.from_pandas(df)))))


def test_columns_in_several_chunks_are_kept() -> None:
    for dtype, values in [
        (pa.list_(pa.int8()), [[1], None]),
        (pa.string(), ["a", None]),
        (pa.int64(), [1, None]),
    ]:
        chunks = pa.chunked_array([pa.array(values, dtype), pa.array(values, dtype)])
        df = pd.DataFrame({"x": pd.arrays.ArrowExtensionArray(chunks)})
        assert_same(df, tabular.to_pandas(through_ipc(tabular.from_pandas(df))))
    text = pd.concat([pd.Series(["a", None], dtype="str")] * 2, ignore_index=True).to_frame("s")
    assert_same(
        text, tabular.to_pandas(tabular.from_pandas(text.set_index("s", append=True).reset_index("s")))
    )


class Odd:
    def __str__(self) -> str:
        return "odd"


@pytest.mark.parametrize(
    "values",
    [
        pd.arrays.SparseArray([0, 1]),
        np.array([1, 2], dtype=np.longdouble),
        np.array([1, 2], dtype=">i8"),
        pd.Series([Odd(), 1], dtype=object),
        pd.Series(["\ud800", "a"], dtype=object),
        pd.Series(["\ud800", 1], dtype=object),
        pd.Series([[1, [len]], 1], dtype=object),
        pd.Series([np.str_("subclass"), np.array([Odd()])], dtype=object),
        pd.array(["\ud800", "a"], dtype="string[python]"),
        pd.Categorical([Odd(), 1]),
        pd.Series(pd.to_datetime(["2020", "2021"])).dt.tz_localize(tz.gettz("Europe/Berlin")),
        pd.array([b"0" * 16, None], dtype=pd.ArrowDtype(pa.uuid())),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(values: Any) -> None:
    with pytest.raises(BadInput, match="'the column'"):
        tabular.from_pandas(pd.DataFrame({"the column": values}))
    index = pd.Index(values, name="the index", tupleize_cols=False)
    with pytest.raises(BadInput, match="'the index'"):
        tabular.from_pandas(pd.DataFrame(index=index))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        *((["a", "a"], "'a'"), ([1, "1"], "'1'"), (["__index_0__", "b"], "'__index_0__' is reserved")),
        *(
            (["__index_17__", "b"], "reserved"),
            (["\ud800", "b"], "surrogate"),
            ([Odd(), "b"], "'odd'"),
            ([10**5000, 1], "text"),
        ),
    ],
)
def test_labels_that_cannot_be_kept_are_refused(labels: list[Any], words: str) -> None:
    df = pd.DataFrame([[1, 2]])
    df.columns = pd.Index(labels, dtype=object)
    with pytest.raises(BadInput, match=words):
        tabular.from_pandas(df)


def test_other_things_are_refused() -> None:
    for thing in (None, {"a": [1]}, pd.Series([1]), np.zeros((2, 2))):
        with pytest.raises(BadInput, match="DataFrame"):
            tabular.from_pandas(thing)
    with pytest.raises(BadInput, match="Series"):
        tabular.from_series(pd.DataFrame())
    with pytest.raises(BadInput, match="one column"):
        tabular.to_series(tabular.from_pandas(pd.DataFrame({"a": [1], "b": [1]})))
    with pytest.raises(BadInput, match="metadata"):
        tabular.to_pandas(pa.table({"a": [1]}))


def test_the_frame_that_comes_back_can_be_changed() -> None:
    df = pd.DataFrame(
        {"f": [0.5, 1.5], "i": [1, 2], "d": pd.to_datetime(["2020", "2021"]), "b": [True, False]}
    )
    got = tabular.to_pandas(tabular.from_pandas(df))
    for name in got.columns:
        got.loc[0, name] = got.loc[1, name]
    s = tabular.to_series(tabular.from_series(df["f"]))
    s.iloc[0] = 7.0
    assert got["f"].tolist() == [1.5, 1.5] and s.tolist() == [7.0, 1.5] and df["f"].tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        *(
            ([range(3), range(3, 5)], range(5)),
            ([range(0, 6, 2), range(6, 8, 2)], range(0, 8, 2)),
            ([range(3), range(3)], None),
        ),
        *(
            ([range(1), range(1, 4)], range(4)),
            ([range(1), range(5, 6)], range(0, 10, 5)),
            ([range(5, 0, -1), range(0, -2, -1)], range(5, -2, -1)),
        ),
        *(
            ([range(0), range(2)], range(2)),
            ([range(2), range(0)], range(2)),
            ([range(2), range(4, 6)], None),
        ),
    ],
)
def test_ranges_join_as_in_pandas(parts: list[range], expected: range | None) -> None:
    dfs = [pd.DataFrame(index=pd.RangeIndex(p.start, p.stop, p.step)) for p in parts]
    got = tabular.to_pandas(pa.concat_tables([tabular.from_pandas(df) for df in dfs])).index
    want = (
        pd.RangeIndex(expected.start, expected.stop, expected.step)
        if expected is not None
        else pd.concat(dfs).index
    )
    assert_same_index(want, got)
    assert got.equals(pd.concat(dfs).index)


def test_subclasses_of_text_in_an_object_column_stay_what_they_are() -> None:
    for values in ([np.str_("a"), None], [np.str_("a"), "b"], [np.bytes_(b"a"), b"b"]):
        df = pd.DataFrame({"x": pd.Series(values, dtype=object)})
        assert_same(df, tabular.to_pandas(tabular.from_pandas(df)))


def test_codes_into_another_order_of_the_categories_are_understood() -> None:
    df = pd.DataFrame({"c": pd.Categorical(["a", None, "b"], categories=["a", "b"])})
    table = tabular.from_pandas(df)
    codes, labels = pa.array([1, None, 0], pa.int8()), pa.array(["b", "a"], pa.large_string())
    turned = table.set_column(0, table.field(0), pa.DictionaryArray.from_arrays(codes, labels))
    assert_same(df, tabular.to_pandas(turned))
