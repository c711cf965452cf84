import json
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.domain import tabular
from omega.domain.errors import BadInput
from tests.unit.domain.tabular.frames import assert_same, frames

PLAIN_CASES: list[tuple[pa.Array, Any]] = [
    (pa.array([1, 2]), "int64"),
    (pa.array([2**53 + 1, None]), "Int64"),
    (pa.array([2**64 - 1, None], pa.uint64()), "UInt64"),
    (pa.array([True, False]), "bool"),
    (pa.array([True, None]), "boolean"),
    (pa.array([0.5, None]), "float64"),
    (pa.array([0.5, None], pa.float16()), "float16"),
    (pa.array(["a", None]), "str"),
    (pa.array(["a", None], pa.string_view()), "str"),
    (pa.array([1, None], pa.timestamp("s")), "datetime64[s]"),
    (pa.array([1, None], pa.timestamp("us", "Europe/Berlin")), "datetime64[us, Europe/Berlin]"),
    (pa.array([1, None], pa.duration("ms")), "timedelta64[ms]"),
    (pa.array(["b", None, "a"]).dictionary_encode(), "category"),
    (pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.uint64()), pa.array([5, 7])), "category"),
    (pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", "a"])), "str"),
    (pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None])), "str"),
    (pa.array([None, None]), "object"),
    (pa.array([Decimal("1.10"), None]), pd.ArrowDtype(pa.decimal128(3, 2))),
    (pa.array([date(2020, 1, 1), None]), pd.ArrowDtype(pa.date32())),
    (pa.array([[1], None]), pd.ArrowDtype(pa.list_(pa.int64()))),
    (pa.array([{"a": 1}, None]), pd.ArrowDtype(pa.struct([("a", pa.int64())]))),
    (pa.array([b"x", None]), pd.ArrowDtype(pa.binary())),
    (pa.array([b"x", None], pa.binary_view()), pd.ArrowDtype(pa.large_binary())),
    (pa.RunEndEncodedArray.from_arrays([2, 3], [1, None]), "Int64"),
]


@pytest.mark.parametrize(
    ("column", "dtype"), PLAIN_CASES, ids=[str(c.type) + str(c.null_count) for c, _ in PLAIN_CASES]
)
def test_plain_arrow_becomes_the_natural_dtype(column: pa.Array, dtype: Any) -> None:
    table = tabular.adopt(pa.table({"x": column}))
    df = tabular.to_pandas(table)
    assert df["x"].dtype == dtype
    assert isinstance(df.index, pd.RangeIndex)
    found = [None if isinstance(v, float) and np.isnan(v) else v for v in table["x"].to_pylist()]
    assert found == column.to_pylist()
    again = tabular.adopt(table)
    assert again.schema.equals(table.schema, check_metadata=True)
    assert_same(df, tabular.to_pandas(again))


@pytest.mark.parametrize(
    "column",
    [
        pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]),
        pa.array([b"0" * 16], pa.uuid()),
        pa.array(["{}"], pa.json_()),
        pa.array([1], pa.timestamp("s", "Mars/Phobos")),
        pa.array([1], pa.timestamp("s", "../../etc/passwd")),
        pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
    ],
    ids=["union", "uuid", "json", "zone", "hostile zone", "months"],
)
def test_what_has_no_exact_form_is_refused_by_name(column: pa.Array) -> None:
    with pytest.raises(BadInput, match="'odd one'"):
        tabular.adopt(pa.table({"odd one": column}))


def test_bad_column_names_are_refused() -> None:
    with pytest.raises(BadInput, match="'x'"):
        tabular.adopt(pa.table([pa.array([1]), pa.array([2])], names=["x", "x"]))
    with pytest.raises(BadInput, match="reserved"):
        tabular.adopt(pa.table({"__index_0__": [1]}))


def test_damaged_arrays_are_refused() -> None:
    offsets = pa.array([0, 1], pa.int32()).buffers()[1]
    damaged = pa.StringArray.from_buffers(1, offsets, pa.py_buffer(b"\xff"))
    with pytest.raises(BadInput, match="damaged"):
        tabular.adopt(pa.table({"x": damaged}))
    coded = pa.DictionaryArray.from_arrays(pa.array([7], pa.int8()), pa.array(["a"]), safe=False)
    with pytest.raises(BadInput, match="damaged"):
        tabular.adopt(pa.table({"x": coded}))


FOREIGN = pd.DataFrame(
    {
        "i": [2**53 + 1, 2],
        "I": pd.array([2**53 + 1, None], dtype="Int64"),
        "f": [0.5, np.nan],
        "s": ["a", None],
        "S": pd.array(["a", None], dtype="string"),
        "b": pd.array([True, None], dtype="boolean"),
        "c": pd.Categorical(["a", None], categories=["b", "a"], ordered=True),
        "d": pd.to_datetime(["2020", None]),
        "z": pd.to_datetime(["2020", None]).tz_localize("Europe/Berlin"),
        "p": pd.PeriodIndex(["2020", None], freq="M"),
        "iv": pd.arrays.IntervalArray.from_breaks([0.5, 1, 2]),
        "a": pd.array([1, None], dtype="int64[pyarrow]"),
    }
)


@pytest.mark.parametrize(
    "df",
    [
        FOREIGN,
        FOREIGN.set_axis(pd.Index(["x", "y"], name="key")),
        FOREIGN.set_axis(pd.date_range("2020", periods=2, freq=None, name="when")),
        FOREIGN.set_axis(pd.MultiIndex.from_tuples([("a", 1), ("a", 2)], names=["k", None])),
        FOREIGN.set_axis(pd.RangeIndex(5, 9, 2, name="n")),
        pd.DataFrame(np.zeros((2, 3))),
        pd.DataFrame({3: [1], 1: [2]}),
        pd.DataFrame({"a": [1]}).rename_axis(columns="named"),
        pd.DataFrame(index=["a"]),
    ],
)
def test_frames_that_pyarrow_wrote_come_back_the_same(df: pd.DataFrame) -> None:
    got = tabular.to_pandas(tabular.adopt(pa.Table.from_pandas(df)))
    if isinstance(df.index, pd.DatetimeIndex):
        df = df.set_axis(df.index._with_freq(None))
    pd.testing.assert_frame_equal(df, got, check_exact=True, check_column_type=False)
    assert list(df.columns) == list(got.columns) and type(df.index) is type(got.index)


def test_third_parties_read_our_tables_with_pyarrow_alone() -> None:
    for df in (
        FOREIGN.drop(columns="iv"),
        FOREIGN[["i"]].set_axis(pd.Index(["x", "y"], name="key")),
        pd.DataFrame({3: [1], 1: [2]}),
    ):
        got = tabular.from_pandas(df).to_pandas()
        pd.testing.assert_frame_equal(df, got, check_index_type="equiv", check_exact=True)


def test_ints_with_nulls_never_become_floats() -> None:
    for metadata in (None, pa.Table.from_pandas(pd.DataFrame({"x": [1, 2]})).schema.metadata):
        table = pa.table({"x": pa.array([2**53 + 1, None])}).replace_schema_metadata(metadata)
        df = tabular.to_pandas(tabular.adopt(table))
        assert df["x"].dtype == "Int64" and df["x"][0] == 2**53 + 1


def test_a_changed_table_of_ours_keeps_what_still_goes() -> None:
    table = tabular.from_pandas(
        pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=pd.Index([5, 6], name="k"))
    )
    changed = table.append_column("new", pa.array([0.5, None])).drop_columns(["a"])
    df = tabular.to_pandas(tabular.adopt(changed))
    expected = pd.DataFrame({"b": ["x", "y"], "new": [0.5, np.nan]}, index=pd.Index([5, 6], name="k"))
    assert_same(expected, df)
    recast = table.set_column(0, table.field(0).with_type(pa.string()), pa.array(["1", None]))
    assert tabular.dtypes(tabular.adopt(recast).schema) == {"a": "str", "b": "str"}
    nulled = table.set_column(0, table.field(0), pa.array([2**53 + 1, None]))
    assert tabular.dtypes(tabular.adopt(nulled).schema)["a"] == "Int64"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(10**18, 10**30) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def paths(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(document, dict):
        found += [p for key, inner in document.items() for p in paths(inner, (*path, key))]
    if isinstance(document, list):
        found += [p for key, inner in enumerate(document) for p in paths(inner, (*path, key))]
    return found


def forged(data: Any, text: bytes) -> bytes:
    """The JSON with one part of it replaced, or not JSON at all."""
    document = json.loads(text)
    if data.draw(st.integers(0, 9)) == 0:
        return data.draw(st.binary(max_size=10) | st.just(b"[" * 5000))
    path = data.draw(st.sampled_from(paths(document)))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = data.draw(JSON_VALUES)
    return json.dumps(document).encode()


@settings(max_examples=120, deadline=None)
@given(frames(rows=st.integers(0, 3), columns=2), st.data())
def test_forged_metadata_is_refused_or_ignored(df: pd.DataFrame, data: st.DataObject) -> None:
    table = tabular.from_pandas(df)
    place = data.draw(st.integers(-1, table.num_columns - 1))
    if place < 0:
        metadata = dict(table.schema.metadata)
        if data.draw(st.booleans()):
            del metadata[b"omega"]
        key = data.draw(st.sampled_from(sorted(metadata)))
        metadata[key] = forged(data, metadata[key])
        table = table.replace_schema_metadata(metadata)
    else:
        field = table.schema.field(place)
        text = forged(data, field.metadata[b"omega"])
        table = table.set_column(place, field.with_metadata({b"omega": text}), table.column(place))
    try:
        adopted = tabular.adopt(table)
    except BadInput:
        return
    got = tabular.to_pandas(adopted)
    assert len(got) == len(df)
    tabular.dtypes(adopted.schema)
    tabular.empty_like(adopted.schema)


def test_a_swapped_type_is_refused_or_ignored() -> None:
    kinds = [
        json.loads(field.metadata[b"omega"])["type"] for field in tabular.from_pandas(FOREIGN).schema
    ] + [{"object": "values"}, {"object": "bytes"}, {"complex": "complex64"}, {"zoned": ["ns", "No/Where"]}]
    for name in FOREIGN.columns:
        table = tabular.from_pandas(FOREIGN[[name]])
        for kind in kinds:
            field = table.schema.field(0).with_metadata({b"omega": json.dumps({"type": kind}).encode()})
            adopted = tabular.adopt(table.set_column(0, field, table.column(0)))
            assert len(tabular.to_pandas(adopted)) == 2


def test_a_huge_range_in_metadata_takes_no_memory() -> None:
    table = tabular.from_pandas(pd.DataFrame(np.zeros((1, 1))))
    metadata = dict(table.schema.metadata)
    text = metadata[b"omega"].replace(b"[0,1,1]", b"[0,100000000000000,1]")
    assert text != metadata[b"omega"]
    adopted = tabular.adopt(table.replace_schema_metadata({**metadata, b"omega": text}))
    assert tabular.to_pandas(adopted).columns.tolist() == [0]
    category = tabular.from_pandas(pd.DataFrame({"c": pd.Categorical([0], categories=pd.RangeIndex(2))}))
    field = category.schema.field(0)
    text = field.metadata[b"omega"].replace(b'"range":[0,2,1]', b'"range":[0,1000000000000,1]')
    assert text != field.metadata[b"omega"]
    adopted = tabular.adopt(category.set_column(0, field.with_metadata({b"omega": text}), category.column(0)))
    assert tabular.dtypes(adopted.schema) == {"c": "category"}
