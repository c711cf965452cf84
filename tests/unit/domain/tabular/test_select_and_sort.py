from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.domain import tabular
from omega.domain.errors import BadInput
from tests.unit.domain.tabular.frames import arrays, assert_same


def schema(*names: Any) -> pa.Schema:
    return tabular.from_pandas(
        pd.DataFrame([range(len(names))], columns=pd.Index(names, tupleize_cols=False))
    ).schema


ABC = schema("a", "b", "c", "d")
ODD = schema("a,b", "^a", "a:b", "a", "b", "-a", 'q"uote', "", "\u00e9")


@pytest.mark.parametrize(
    ("known", "selector", "expected"),
    [
        *(
            (ABC, "b", ["b"]),
            (ABC, "c,a", ["c", "a"]),
            (ABC, "^b", ["a", "c", "d"]),
            (ABC, "^b,d", ["a", "c"]),
        ),
        *(
            (ABC, "b:d", ["b", "c", "d"]),
            (ABC, "a,c:d", ["a", "c", "d"]),
            (ABC, "^b:c", ["a", "d"]),
            (ABC, "b:b", ["b"]),
        ),
        *(
            (ABC, "a,a,a:b", ["a", "b"]),
            (ODD, "a,b", ["a,b"]),
            (ODD, '"a,b",b', ["a,b", "b"]),
        ),
        *(
            (ODD, "^a", ["^a"]),
            (ODD, "^a,b", ["^a", "b"]),
            (ODD, "a:b", ["a:b"]),
            (ODD, "", [""]),
            (ODD, "b:-a", ["b", "-a"]),
        ),
        *((ODD, "^^a", [n for n in tabular.columns(ODD) if n != "^a"]), (ODD, "\u00e9", ["\u00e9"])),
        *((ODD, 'q"uote', ['q"uote']), (ODD, "a:b:b", ["a:b", "a", "b"])),
        *(
            (schema(1, ("x", 2), None), "1,None", ["1", "None"]),
            (schema(1, ("x", 2)), "\"('x', 2)\"", ["('x', 2)"]),
        ),
    ],
)
def test_selectors(known: pa.Schema, selector: str, expected: list[str]) -> None:
    assert tabular.select(known, selector) == expected


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        *(
            ("x", "'x'"),
            ("a,x", "'x'"),
            ("^x", "'x'"),
            ("a:x", "'x' in 'a:x'"),
            ("d:a", "'a' comes before 'd'"),
            ("", "''"),
            ("^a:d", "'^a:d' leaves no column"),
            ("^d,c,b,a", "leaves no column"),
        ),
        *(("a,,b", "''"), ("__index_0__", "__index_0__"), ('"a', "list"), ("a b", "'a b'"), ("A", "'A'")),
    ],
)
def test_unknown_columns_are_named(selector: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        tabular.select(ABC, selector)
    assert words in str(caught.value)


def test_a_long_unknown_name_is_cut_short() -> None:
    with pytest.raises(BadInput) as caught:
        tabular.select(ABC, "x" * 500)
    assert "x" * 100 not in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text('ab^:,-" \u00e9', max_size=3), unique=True, min_size=1, max_size=5), st.data())
def test_every_list_of_names_can_be_written(names: list[str], data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    text = ",".join('"' + name.replace('"', '""') + '"' for name in wanted)
    found = tabular.select(schema(*names), text)
    if text not in names and len(wanted) > 1:
        assert found == wanted


SORTABLE = [
    *(
        "bool",
        "int8",
        "int64",
        "uint64",
        "float16",
        "float32",
        "float64",
        "datetime",
        "timedelta",
        "zoned",
        "masked",
    ),
    *("masked_float", "boolean", "string", "object_text", "category", "period", "complex128"),
]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 8), st.data())
def test_sorting_is_that_of_pandas(n: int, data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(SORTABLE), min_size=1, max_size=2))
    down = [data.draw(st.booleans()) for _ in kinds]
    columns = {}
    for i, kind in enumerate(kinds):
        found = data.draw(arrays(n, [kind]))
        if n:
            # So that there are ties.
            found = found[
                np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=n, max_size=n)), dtype="i8")
            ]
        columns[f"k{i}"] = pd.Series(found, dtype=found.dtype)
    df = pd.DataFrame(columns).assign(row=range(n))
    by = ",".join(f"{'-' if d else ''}k{i}" for i, d in enumerate(down))
    keys = {f"k{i}": _key(df[f"k{i}"]) for i in range(len(kinds))}
    order = pd.DataFrame({k: pd.Series(v) for k, v in keys.items()}).reset_index(drop=True)
    expected = order.sort_values(
        list(keys), ascending=[not d for d in down], kind="stable", na_position="last"
    ).index
    got = tabular.to_pandas(tabular.sort(tabular.from_pandas(df), by))
    assert got["row"].tolist() == list(expected)
    assert_same(df.loc[expected].reset_index(drop=True), got.reset_index(drop=True))


def _key(column: pd.Series) -> Any:
    """A key that pandas itself can sort: the rank among the values present."""
    if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
        present = sorted({v for v in column if isinstance(v, str)})
        return [present.index(v) if isinstance(v, str) else None for v in column]
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [c if c >= 0 else None for c in column.cat.codes]
    if column.dtype.kind == "c":
        pairs = [None if pd.isna(v) else (v.real, v.imag) for v in column]
        present = sorted({p for p in pairs if p is not None})
        return [None if p is None else present.index(p) for p in pairs]
    if column.dtype == "Float64":
        return [None if pd.isna(v) or v != v else float(v) for v in column]
    if column.dtype == np.dtype("float16"):
        return column.astype("float32")
    return column


def test_sort_names_what_is_wrong() -> None:
    df = pd.DataFrame({"-a": [2, 1], "a": [1, 2], "m": pd.Series([1, "x"], dtype=object), "x,y": [2, 1]})
    df["l"] = pd.array([[1], [2]], dtype=pd.ArrowDtype(pa.list_(pa.int8())))
    table = tabular.from_pandas(df)
    assert tabular.sort(table, "-a")["a"].to_pylist() == [2, 1]
    assert tabular.sort(table, "--a")["-a"].to_pylist() == [2, 1]
    assert tabular.sort(table, "x,y")["a"].to_pylist() == [2, 1]
    assert tabular.sort(table, '"x,y",a')["a"].to_pylist() == [2, 1]
    for by, words in [
        ("b", "'b'"),
        ("-b", "'b'"),
        ("m", "'m'.*no order"),
        ("l", "'l'.*no order"),
        ("", "''"),
    ]:
        with pytest.raises(BadInput, match=words):
            tabular.sort(table, by)


@pytest.mark.parametrize("by", ["x", "-x"])
def test_nan_and_na_are_alike_in_order(by: str) -> None:
    mask = np.array([False, True, False, True, False])
    x = pd.arrays.FloatingArray(np.array([np.nan, 0, 1, 0, np.nan]), mask)
    table = tabular.from_pandas(pd.DataFrame({"x": x, "row": range(5)}))
    assert tabular.sort(table, by)["row"].to_pylist() == [2, 0, 1, 3, 4]
