import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.domain import tabular
from omega.domain.errors import BadInput, TooLarge
from omega.entrypoints import formats
from omega.entrypoints.limits import Limits
from tests.support.frames import LIMITS, from_json
from tests.unit.domain.tabular.frames import assert_same

X = {str(i): i for i in range(10)}


def test_the_body_of_the_documentation_is_read() -> None:
    body = {
        "data": {"x": X},
        "dtypes": {"x": "int64"},
        "orient": "dict",
        "index": {"type": "Int64Index", "values": list(range(10))},
        "name": "sample",
    }
    assert_same(from_json(body), pd.DataFrame({"x": range(10)}))


def pandas_to_apidata(df: pd.DataFrame, append: bool = False) -> dict[str, Any]:
    """As it is printed in the documentation; only `iteritems` is `.items()` now."""
    return {
        "append": append,
        "data": json.loads(df.to_json()),
        "dtypes": {k: str(v) for k, v in df.dtypes.to_dict().items()},
        "orient": "columns",
        "index": {"type": type(df.index).__name__, "values": list(df.index.astype("O").values)},
    }


@pytest.mark.filterwarnings("ignore:The default formatting of datetime")
@pytest.mark.parametrize("index", [None, [3, 1, 2], ["b", "a", "c"], [0.5, -1.0, 2.0], [True, False, 7]])
def test_the_snippet_of_the_documentation_works_on_todays_pandas(index: Any) -> None:
    frame = pd.DataFrame(
        {
            "i": [1, 2, 2**53 - 1],
            "f": [0.5, np.nan, -3.0],
            "s": ["a", None, "c"],
            "b": [True, False, True],
            "d": pd.to_datetime(["2020-01-01", None, "1969-12-31"]),
            "z": pd.date_range("2020-07-01", periods=3, tz="Europe/Berlin"),
            "n": pd.array([1, None, 3], dtype="Int64"),
        },
        index=index if index is None else pd.Index(index),
    )
    body = json.loads(json.dumps(pandas_to_apidata(frame)))
    assert_same(from_json(body), frame)


SAME = pd.DataFrame({"x": [1, 2], "y": ["a", None]})
LABELLED = pd.DataFrame({"x": [1, 2]}, index=["r", "q"])


@pytest.mark.parametrize(
    ("body", "frame"),
    [
        ({"data": {"x": {"0": 1, "1": 2}, "y": {"1": None, "0": "a"}}}, SAME),
        ({"data": {"x": {"1": 2, "0": 1}, "y": {"0": "a", "1": None}}, "orient": "dict"}, SAME),
        ({"data": {"x": [1, 2], "y": ["a", None]}}, SAME),
        ({"data": {"x": [1, 2], "y": ["a", None]}, "orient": "dict"}, SAME),
        ({"data": {"x": [1, 2], "y": ["a", None]}, "orient": "columns"}, SAME),
        ({"data": {"y": ["a", None], "x": [1, 2]}, "orient": "list", "columns": ["x", "y"]}, SAME),
        ({"data": [{"x": 1, "y": "a"}, {"x": 2}]}, SAME),
        ({"data": [{"x": 1, "y": "a"}, {"y": None, "x": 2}], "orient": "records"}, SAME),
        ({"data": [{}, {"x": 2}]}, pd.DataFrame({"x": pd.array([None, 2], dtype="Int64")})),
        ({"data": [{"y": "a", "x": 1}, {"x": 2}], "columns": ["x", "y"]}, SAME),
        ({"data": [[1, "a"], [2, None]], "columns": ["x", "y"]}, SAME),
        ({"data": [[1, "a"], [2, None]], "columns": ["x", "y"], "orient": "values"}, SAME),
        ({"data": {"columns": ["x", "y"], "data": [[1, "a"], [2, None]]}, "orient": "split"}, SAME),
        ({"data": {"0": {"x": 1, "y": "a"}, "1": {"x": 2}}, "orient": "index"}, SAME),
        ({"data": {"x": {"r": 1, "q": 2}}}, LABELLED),
        ({"data": {"x": {"r": 1, "q": 2}}, "orient": "columns"}, LABELLED),
        ({"data": {"x": {"q": 2, "r": 1}}, "index": {"type": "Index", "values": ["r", "q"]}}, LABELLED),
        ({"data": {"columns": ["x"], "index": ["r", "q"], "data": [[1], [2]]}, "orient": "split"}, LABELLED),
        ({"data": {"r": {"x": 1}, "q": {"x": 2}}, "orient": "index"}, LABELLED),
        ({"data": {"x": {"7": 1, "3": 2}}}, pd.DataFrame({"x": [1, 2]}, index=[7, 3])),
        ({"data": {"x": {"07": 1, "3": 2}}}, pd.DataFrame({"x": [1, 2]}, index=["07", "3"])),
        (
            {
                "data": {"x": {"1": 1, "0": 2}},
                "orient": "columns",
                "index": {"type": "Index", "values": [1, 0]},
            },
            pd.DataFrame({"x": [1, 2]}, index=[1, 0]),
        ),
        (
            {"data": {"x": {"1e0": 1, "2.50": 2}}, "orient": "columns", "index": {"values": [1.0, 2.5]}},
            pd.DataFrame({"x": [1, 2]}, index=[1.0, 2.5]),
        ),
        ({"data": {}}, pd.DataFrame(columns=pd.Index([], dtype="str"))),
        ({"data": {"x": {}}, "dtypes": {"x": "int64"}}, pd.DataFrame({"x": np.array([], dtype="i8")})),
        (
            {"data": [], "columns": ["x"], "dtypes": {"x": "str"}},
            pd.DataFrame({"x": pd.Series([], dtype="str")}),
        ),
        (
            {"data": {"x": [1, 1]}, "index": {"type": "Float64Index", "values": [0.5, None], "names": ["k"]}},
            pd.DataFrame({"x": [1, 1]}, index=pd.Index([0.5, np.nan], name="k")),
        ),
    ],
)
def test_every_orient_is_read(body: dict[str, Any], frame: pd.DataFrame) -> None:
    assert_same(from_json(body), frame)


@pytest.mark.parametrize(
    ("data", "columns", "values"),
    [([1, 2, 3], ["0"], [[1], [2], [3]]), ([[1, 2], [3, 4]], ["0", "1"], [[1, 2], [3, 4]]), ([], [], [])],
)
def test_rows_without_names_are_said_to_be_unnamed(data: Any, columns: list[str], values: Any) -> None:
    found = formats.decode_json_frame({"data": data}, limits=LIMITS)
    frame = tabular.to_pandas(found.table)
    assert not found.named and list(frame.columns) == columns and frame.to_numpy().tolist() == values
    assert formats.decode_json_frame({"data": data, "columns": columns}, limits=LIMITS).named


@pytest.mark.parametrize(
    ("values", "dtype", "kept"),
    [
        ([1, 2], "int64", [1, 2]),
        ([1, None], "Int64", [1, pd.NA]),
        ([2**53 + 1, None], "Int64", [2**53 + 1, pd.NA]),
        ([2**63, 0], "uint64", [2**63, 0]),
        ([2**64, -1], "object", [2**64, -1]),
        ([2**63, -1], "object", [2**63, -1]),
        ([1, 2.5], "float64", [1.0, 2.5]),
        ([None, -0.0], "float64", None),
        ([2**53, 0.5], "float64", [2.0**53, 0.5]),
        ([True, False], "bool", [True, False]),
        ([True, None], "boolean", [True, pd.NA]),
        (["a", None], "str", None),
        ([None, None], "object", [None, None]),
        ([True, 1], "object", [True, 1]),
        (["a", 1], "object", ["a", 1]),
        ([[1], {"a": None}], "object", [[1], {"a": None}]),
        ([[1], [2]], "object", [[1], [2]]),
    ],
)
def test_types_are_inferred_without_loss(values: list[Any], dtype: str, kept: list[Any] | None) -> None:
    column = from_json({"data": {"x": values}})["x"]
    assert str(column.dtype) == dtype
    if kept is not None:
        assert column.tolist() == kept and list(map(type, column.tolist())) == list(map(type, kept))


def test_floats_keep_their_bits() -> None:
    values = [-0.0, 5e-324, 0.1, 1.7976931348623157e308, 2.0**53]
    assert from_json({"data": {"x": values}})["x"].to_numpy().tobytes() == np.array(values).tobytes()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "has no 'data'"),
        ({"data": 3}, "'data' must be an object or a list, not 3"),
        ({"data": "abc"}, "'data' must be an object or a list"),
        ({"data": {"x": 1}}, "column 'x' must be a list of values"),
        ({"data": {"x": [1], "y": {"0": 1}}}, "column 'y' must be a list of values, as the others are"),
        ({"data": {"x": {"0": 1}, "y": [1]}}, "column 'y' must be an object of rows"),
        ({"data": {"x": [1, 2], "y": [1]}}, "columns differ in length: 'x' has 2 rows, 'y' has 1"),
        (
            {"data": {"x": {"0": 1, "1": 2}, "y": {"0": 1}}},
            "column 'y' has 1 rows where others have 2: it lacks row '1'",
        ),
        ({"data": {"x": {"0": 1}, "y": {"7": 1}}}, "column 'y' .* lacks row '0'"),
        ({"data": {"x": {"0": 1}, "y": {"0": 1, "b": 2}}}, "column 'y' .* has row 'b'"),
        (
            {"data": {"x": {"0": 1, "2": 2}}, "orient": "dict"},
            "column 'x': .*row positions \"0\" to \"1\", '2' is none",
        ),
        ({"data": {"x": {"00": 1}}, "orient": "dict"}, "'00' is none"),
        ({"data": [1], "orient": "dict"}, "orient 'dict' 'data' must be an object"),
        ({"data": {"x": [1]}, "orient": "records"}, "orient 'records' 'data' must be a list of objects"),
        ({"data": {"x": [1]}, "orient": "values"}, "orient 'values' 'data' must be a list of rows"),
        ({"data": [[1], [1, 2]]}, "rows differ in length: row 0 has 1 values, row 1 has 2"),
        ({"data": [{"x": 1}, [2]]}, r"row 1 must be an object"),
        ({"data": [[1], 2]}, "row 1 must be a list"),
        ({"data": [[1]], "columns": ["a", "b"]}, "'columns' has 2 names, but the rows have 1 values"),
        ({"data": {"x": [1]}, "columns": ["y"]}, "'columns' names 'y', which the data has not"),
        ({"data": {"x": [1], "y": [2]}, "columns": ["y"]}, "the data has 'x', which 'columns' does not name"),
        ({"data": [{"x": 1}], "columns": ["y"]}, "the data has 'x', which 'columns' does not name"),
        ({"data": [[1, 2]], "columns": ["x", "x"]}, "'columns' names column 'x' twice"),
        ({"data": [[1]], "columns": [1]}, "'columns' must be a list of column names"),
        ({"data": [[1]], "columns": "x"}, "'columns' must be a list"),
        ({"data": {"x": [1]}, "orient": "xyz"}, "unknown orient 'xyz': there are dict, columns, list"),
        ({"data": {"x": [1]}, "orient": ["dict"]}, "unknown orient"),
        ({"data": {"data": [[1]]}, "orient": "split"}, "must have 'columns'"),
        ({"data": {"columns": ["x"], "data": [1]}, "orient": "split"}, "a list of rows in 'data'"),
        (
            {"data": {"columns": ["x"], "data": [[1]], "index": [1, 2]}, "orient": "split"},
            "index has 2 labels",
        ),
        ({"data": {"columns": ["x"], "data": [[1]], "rows": 3}, "orient": "split"}, "'rows' is none of them"),
        ({"data": {"x": [1]}, "dtypes": {"y": "int64"}}, "'dtypes' names columns that the data has not: 'y'"),
        ({"data": {"x": [1]}, "dtypes": ["int64"]}, "'dtypes' must be an object"),
        ({"data": {"__index_0__": [1]}}, "'__index_0__' is reserved"),
        (
            {"data": {"x": [2**53 + 1, 0.5]}},
            "column 'x': the integer 9007199254740993 in row 0 is no exact float64",
        ),
        ({"data": {"x": [10**400, 0.5]}}, "column 'x': the integer with more than 300 digits in row 0"),
    ],
)
def test_malformed_data_is_refused_by_name(body: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        from_json(body)


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ([1, 2], "'index' must be an object with 'type' and 'values'"),
        ({"type": "Index"}, "list of labels in 'values'"),
        (
            {"type": "Nonsense", "values": [1, 2]},
            "unknown index type 'Nonsense': there are Index, RangeIndex",
        ),
        ({"type": ["Index"], "values": [1, 2]}, "unknown index type"),
        ({"type": "Index", "values": [1, 2, 3]}, "the index has 3 labels, but there are 2 rows"),
        ({"type": "Index", "values": [1, 2], "freq": "D"}, "'freq' is none of them"),
        ({"type": "Int64Index", "values": [1, "a"]}, "the index: cannot read 'a' in row 1 as int64"),
        ({"type": "Index", "values": [[1], [2]]}, "labels of several levels are lists in a MultiIndex"),
        (
            {"type": "MultiIndex", "values": [[1], [2, 3]]},
            "labels of a MultiIndex are lists, all of one length",
        ),
        ({"type": "MultiIndex", "values": [1, 2]}, "labels of a MultiIndex are lists"),
        (
            {"type": "MultiIndex", "values": [[1, 2], [1, 2]], "names": ["a"]},
            "1 names, but the labels have 2 levels",
        ),
        ({"type": "MultiIndex", "values": [[1], [2]], "dtype": "int64"}, "is a list of 1 dtypes"),
        ({"type": "Index", "values": [1, 2], "names": ["a", "b"]}, "2 names, but a Index has one level"),
        ({"type": "Index", "values": [1, 2], "names": "a"}, "index.names must be a list of names"),
        ({"type": "Index", "values": [1, 2], "dtype": "void"}, "the index: unknown dtype 'void'"),
        ({"type": "PeriodIndex", "values": ["2020", "2021"]}, "needs its 'dtype'"),
        ({"type": "IntervalIndex", "values": ["a", "b"]}, "send Arrow or Parquet"),
    ],
)
def test_a_malformed_index_is_refused(index: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        from_json({"data": {"x": [1, 2]}, "index": index})


@pytest.mark.parametrize(
    ("keys", "labels", "words"),
    [
        (["a", "b"], ["a", "a"], "label twice"),
        (["1", "b"], [1, "1"], "label twice"),
        (["a", "b"], ["a", "c"], "label 'b' is a key of column 'x', but not in index.values"),
        (["a", "b"], ["a", "b", "c"], "label 'c' is in index.values, but not a key"),
    ],
)
def test_keys_must_be_the_labels(keys: list[str], labels: list[Any], words: str) -> None:
    body = {
        "data": {"x": dict.fromkeys(keys, 1)},
        "orient": "columns",
        "index": {"type": "Index", "values": labels},
    }
    with pytest.raises(BadInput, match=words):
        from_json(body)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ({"type": "RangeIndex", "values": [0, 1]}, pd.RangeIndex(2)),
        ({"type": "Int64Index", "values": [0, 1]}, pd.RangeIndex(2)),
        ({"type": "UInt64Index", "values": [0, 1]}, pd.Index([0, 1], dtype="u8")),
        ({"type": "Index", "values": [1, 1]}, pd.Index([1, 1])),
        ({"type": "DatetimeIndex", "values": ["2020-01-01", None]}, pd.DatetimeIndex(["2020-01-01", None])),
        (
            {"type": "DatetimeIndex", "values": [0, 1500]},
            pd.DatetimeIndex(["1970", "1970-01-01T00:00:01.5"]).as_unit("us"),
        ),
        (
            {"type": "DatetimeIndex", "values": ["2020-01-01T00:00:00Z", "2020-01-01T02:00:00+01:00"]},
            pd.DatetimeIndex(["2020-01-01T00:00", "2020-01-01T01:00"], tz="UTC"),
        ),
        ({"type": "TimedeltaIndex", "values": ["P1D", 5]}, pd.TimedeltaIndex([86400 * 10**9, 5 * 10**6])),
        (
            {"type": "PeriodIndex", "values": ["2020-01", None], "dtype": "period[M]"},
            pd.PeriodIndex(["2020-01", None], freq="M"),
        ),
        ({"type": "CategoricalIndex", "values": ["b", "a"]}, pd.CategoricalIndex(["b", "a"])),
        ({"type": "Index", "values": [None, None], "dtype": "float64"}, pd.Index([np.nan, np.nan])),
        ({"type": "Index", "values": [1, 2], "dtype": "object"}, pd.Index([1, 2], dtype=object)),
        (
            {"type": "MultiIndex", "values": [["a", 1], [None, 2]], "names": ["k", None]},
            pd.MultiIndex.from_arrays([["a", None], [1, 2]], names=["k", None]),
        ),
        (
            {
                "type": "MultiIndex",
                "values": [["2020-01-01", 1], ["2020-01-01", 2]],
                "dtype": ["datetime64[us]", None],
            },
            pd.MultiIndex.from_arrays([pd.DatetimeIndex(["2020-01-01"] * 2).as_unit("us"), [1, 2]]),
        ),
    ],
)
def test_every_class_of_index_is_restored(index: dict[str, Any], expected: pd.Index) -> None:
    got = from_json({"data": {"x": [1, 2]}, "index": index}).index
    pd.testing.assert_index_equal(got, expected, exact=True)


@pytest.mark.parametrize(
    ("body", "limits", "words"),
    [
        ({"data": {"a": [1], "b": [1]}}, Limits(columns=1), r"2 columns are over the limit of 1 \(columns\)"),
        ({"data": [{"a": 1}, {"b": 1}]}, Limits(columns=1), "2 columns"),
        ({"data": [[1, 2]]}, Limits(columns=1), "2 columns"),
        ({"data": {"columns": ["a", "b"], "data": []}, "orient": "split"}, Limits(columns=1), "2 columns"),
        ({"data": {"a": [1, 2]}}, Limits(rows=1), r"2 rows are over the limit of 1 \(rows\)"),
        ({"data": {"a": {"0": 1, "1": 1}}}, Limits(rows=1), "2 rows"),
        (
            {"data": [{f"c{i}": 1} for i in range(100)]},
            Limits(decoded_bytes=4000),
            r"the limit is 4,000 \(decoded_bytes\)",
        ),
        ({"data": [{f"c{i}": 1} for i in range(1001)]}, Limits(), r"1,000,000 \(cells"),
        (
            {"data": {str(i): {f"c{i}": 1} for i in range(1001)}, "orient": "index"},
            Limits(),
            r"1,000,000 \(cells",
        ),
    ],
)
def test_limits_are_kept(body: dict[str, Any], limits: Limits, words: str) -> None:
    with pytest.raises(TooLarge, match=words):
        from_json(body, limits=limits)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["0", "1", "x", "columns", "data"]), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(["data", "dtypes", "orient", "index", "columns"])
WORDS = JSON | st.sampled_from(["dict", "columns", "split", "records", "index", "values", "int64", "str"])
INDEX = st.fixed_dictionaries(
    {"type": st.sampled_from(["Index", "MultiIndex", "DatetimeIndex"]) | JSON, "values": JSON}
)


@settings(max_examples=150, deadline=None)
@given(
    body=st.fixed_dictionaries(
        {"data": JSON}, optional={"orient": WORDS, "index": INDEX | JSON, "dtypes": JSON, "columns": JSON}
    )
)
def test_no_body_crashes(body: dict[str, Any]) -> None:
    try:
        formats.decode_json_frame(body, limits=LIMITS).table.validate(full=True)
    except BadInput:
        return


@pytest.mark.parametrize("dtype", ["float64", "str", "datetime64[us]", "object"])
def test_an_empty_index_keeps_its_dtype(dtype: str) -> None:
    body = {"data": {"x": []}, "index": {"type": "Index", "values": [], "dtype": dtype}}
    assert str(from_json(body).index.dtype) == dtype
    unsaid = from_json({"data": {"x": []}, "index": {"type": "Index", "values": []}}).index
    assert isinstance(unsaid, pd.RangeIndex)
