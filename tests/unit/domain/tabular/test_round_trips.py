from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
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


@settings(max_examples=300, deadline=None)
@given(frames())
def test_every_frame_comes_back_the_same(df: pd.DataFrame) -> None:
    table = tabular.from_pandas(df)
    assert_same(df, tabular.to_pandas(table))
    assert_same(df, tabular.to_pandas(through_ipc(table)))
    assert tabular.columns(table.schema) == list(df.columns)
    assert tabular.dtypes(table.schema) == {name: str(df[name].dtype) for name in df.columns}


@settings(max_examples=200, deadline=None)
@given(frames())
def test_a_table_is_adopted_as_the_frame_that_it_was(df: pd.DataFrame) -> None:
    table = tabular.from_pandas(df)
    assert_same(df, tabular.to_pandas(tabular.adopt(through_ipc(table))))
    assert tabular.adopt(table).schema.equals(table.schema, check_metadata=True)


@settings(max_examples=200, deadline=None)
@given(frames())
def test_parquet_changes_nothing_once_adopted(df: pd.DataFrame) -> None:
    assert_same(df, tabular.to_pandas(tabular.adopt(through_parquet(tabular.from_pandas(df)))))


@st.composite
def cut_frames(draw: Any) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    df = draw(frames(rows=st.integers(1, 8)))
    cuts = sorted(draw(st.lists(st.integers(0, len(df)), max_size=3)))
    return df, [df.iloc[a:b] for a, b in zip([0, *cuts], [*cuts, len(df)], strict=True)]


@settings(max_examples=200, deadline=None)
@given(cut_frames())
def test_segments_make_the_frame_that_pandas_would_make(cut: tuple[pd.DataFrame, list[pd.DataFrame]]) -> None:
    df, parts = cut
    whole = tabular.from_pandas(df)
    segments = [tabular.conform(tabular.from_pandas(part), whole) for part in parts if len(part)]
    assert all(s.schema.equals(whole.schema) for s in segments)
    assert_same(df, tabular.to_pandas(pa.concat_tables(segments)))


@settings(max_examples=100, deadline=None)
@given(frames(rows=st.integers(1, 8)), st.data())
def test_a_slice_of_the_table_is_the_slice_of_the_frame(df: pd.DataFrame, data: st.DataObject) -> None:
    a = data.draw(st.integers(0, len(df) - 1))
    b = data.draw(st.integers(a + 1, len(df)))
    assert_same(df.iloc[a:b], tabular.to_pandas(tabular.from_pandas(df).slice(a, b - a)))


@settings(max_examples=100, deadline=None)
@given(frames(rows=st.integers(0, 5)), st.data())
def test_some_columns_of_the_table_are_those_of_the_frame(df: pd.DataFrame, data: st.DataObject) -> None:
    names = data.draw(st.permutations(list(df.columns)))[: data.draw(st.integers(0, df.shape[1]))]
    table = tabular.from_pandas(df)
    assert_same(df[names], tabular.to_pandas(table.select([*names, *tabular.index_fields(table.schema)])))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 5).flatmap(lambda n: st.tuples(arrays(n), indexes(n), LABELS)))
def test_every_series_comes_back_the_same(parts: tuple[Any, pd.Index, Any]) -> None:
    values, index, name = parts
    s = pd.Series(values, index=index, name=name, dtype=values.dtype)
    got = tabular.to_series(through_ipc(tabular.from_series(s)))
    assert told(s.name) == told(got.name) and s.dtype == got.dtype
    assert_same_index(s.index, got.index)
    assert_same_values(raw(s), raw(got))


@settings(max_examples=100, deadline=None)
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
