import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from omega.domain.errors import BadInput
from omega.entrypoints import formats
from omega.entrypoints.formats.json_write import _Keys
from omega.entrypoints.formats.texts import keyed_texts
from tests.support.frames import reading


def written(frame: pd.DataFrame, orient: str = "dict", *, rows: int = 2) -> Any:
    pieces = formats.encode_json_frame(
        reading(frame, rows=rows), orient=orient, resource_uri="/api/v1/dataset/sample/"
    )
    return json.loads(b"".join(pieces))


def test_the_answer_of_the_documentation_is_given() -> None:
    values = list(range(10)) * 3
    frame = pd.DataFrame({"x": values}, index=values)
    body = written(frame)
    assert body == {
        "data": {"x": {str(i): x for i, x in enumerate(values)}},
        "dtypes": {"x": "int64"},
        "index": {"type": "Int64Index", "values": values},
        "name": "sample",
        "orient": "dict",
        "resource_uri": "/api/v1/dataset/sample/",
        "version": 3,
        "rows": 30,
    }
    # The documentation's own way back; keys are in row order.
    df = pd.DataFrame.from_dict(body.get("data"))
    df.index = body.get("index").get("values")
    pd.testing.assert_frame_equal(df, frame)


FRAME = pd.DataFrame({"x": [1, 2, 3], "s": ["a", None, 'q"']}, index=["r", "p", "q"])


@pytest.mark.parametrize(
    ("orient", "data"),
    [
        ("dict", {"x": {"0": 1, "1": 2, "2": 3}, "s": {"0": "a", "1": None, "2": 'q"'}}),
        ("columns", {"x": {"r": 1, "p": 2, "q": 3}, "s": {"r": "a", "p": None, "q": 'q"'}}),
        ("list", {"x": [1, 2, 3], "s": ["a", None, 'q"']}),
        ("records", [{"x": 1, "s": "a"}, {"x": 2, "s": None}, {"x": 3, "s": 'q"'}]),
        ("values", [[1, "a"], [2, None], [3, 'q"']]),
        (
            "split",
            {"columns": ["x", "s"], "index": ["r", "p", "q"], "data": [[1, "a"], [2, None], [3, 'q"']]},
        ),
        ("index", {"r": {"x": 1, "s": "a"}, "p": {"x": 2, "s": None}, "q": {"x": 3, "s": 'q"'}}),
    ],
)
def test_every_orient_is_written(orient: str, data: Any) -> None:
    body = written(FRAME, orient)
    assert body["data"] == data and body["orient"] == orient
    assert list(body["data"]) == list(data)
    assert body["index"] == {"type": "Index", "values": ["r", "p", "q"]}
    assert body.get("columns") == (["x", "s"] if orient in ("records", "values", "index") else None)


@pytest.mark.parametrize(
    ("column", "dtype", "texts"),
    [
        ([1.0, -0.0, np.nan, 5e-324, 1e16], "float64", "1.0 -0.0 null 5e-324 1e+16"),
        (pd.Series([0.1, np.nan], dtype="float32"), "float32", "0.1 null"),
        ([2**53 + 1, -(2**63)], "int64", "9007199254740993 -9223372036854775808"),
        (np.array([2**64 - 1], dtype="u8"), "uint64", "18446744073709551615"),
        (pd.Series([2**70], dtype=object), "object", "1180591620717411303424"),
        ([True, False], "bool", "true false"),
        (pd.array([1, None], dtype="Int8"), "Int8", "1 null"),
        (pd.array([True, None], dtype="boolean"), "boolean", "true null"),
        (pd.array([0.5, None], dtype="Float64"), "Float64", "0.5 null"),
        (pd.Categorical(["b", None, "a"]), "category", '"b" null "a"'),
        (pd.Categorical([3, 1]), "category", "3 1"),
        (np.array(["2020-01-31", "NaT"], "M8[s]"), "datetime64[s]", '"2020-01-31T00:00:00" null'),
        (
            np.array([1500, 10**18], "M8[ns]"),
            "datetime64[ns]",
            '"1970-01-01T00:00:00.0000015" "2001-09-09T01:46:40"',
        ),
        (
            pd.DatetimeIndex(["2020-07-01T12:00:00.25"], tz="Europe/Berlin"),
            "datetime64[us, Europe/Berlin]",
            '"2020-07-01T10:00:00.25Z"',
        ),
        (
            np.array([93784500, -1, 0, "NaT"], "m8[ms]"),
            "timedelta64[ms]",
            '"P1DT2H3M4.5S" "-P0DT0H0M0.001S" "P0DT0H0M0S" null',
        ),
        (pd.PeriodIndex(["2020-01", None], freq="M"), "period[M]", '"2020-01" null'),
        (pd.Series([b"\x00\xff", None], dtype=object), "object", '"AP8=" null'),
        (pd.Series([{"a": [1, None]}, (1, 2)], dtype=object), "object", '{"a":[1,null]} [1,2]'),
        (
            pd.Series(['a\x1f\\u001f"', "\u2028\U0001f600", ""]),
            "str",
            r'"a\u001f\\u001f\"" "' + "\u2028\U0001f600" + '" ""',
        ),
        (pd.Series(["\x1f", "b"]), "str", r'"\u001f" "b"'),
        (pd.Series([r"\u001f", "b"]), "str", r'"\\u001f" "b"'),
    ],
)
def test_values_are_exact(column: Any, dtype: str, texts: str) -> None:
    frame = pd.DataFrame({"x": column})
    body = b"".join(
        formats.encode_json_frame(reading(frame, rows=99), orient="list", resource_uri="/")
    ).decode()
    assert body.startswith('{"data":{"x":[' + texts.replace(" ", ",") + ']},"dtypes":{"x":"' + dtype + '"},')


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (pd.RangeIndex(5, 11, 3), {"type": "Int64Index", "values": [5, 8]}),
        (pd.Index([1, 1], name="k"), {"type": "Int64Index", "values": [1, 1], "names": ["k"]}),
        (pd.Index([1, 2], dtype="u1"), {"type": "Int64Index", "values": [1, 2], "dtype": "uint8"}),
        (pd.Index([1, None], dtype="Int64"), {"type": "Int64Index", "values": [1, None], "dtype": "Int64"}),
        (pd.Index([0.5, np.nan]), {"type": "Index", "values": [0.5, None]}),
        (pd.Index([np.nan, np.nan]), {"type": "Index", "values": [None, None], "dtype": "float64"}),
        (pd.Index(["a", "b"], dtype=object), {"type": "Index", "values": ["a", "b"], "dtype": "object"}),
        (
            pd.DatetimeIndex(["2020-01-01", None]).as_unit("ns"),
            {"type": "DatetimeIndex", "values": ["2020-01-01T00:00:00", None], "dtype": "datetime64[ns]"},
        ),
        (pd.MultiIndex.from_arrays([["b", "a"]]), {"type": "MultiIndex", "values": [["b"], ["a"]]}),
        (pd.CategoricalIndex(["b", "a"]), {"type": "CategoricalIndex", "values": ["b", "a"]}),
        (
            pd.MultiIndex.from_arrays([["a", None], [2**53 + 1, None]], names=["k", None]),
            {
                "type": "MultiIndex",
                "values": [["a", 2**53 + 1], [None, None]],
                "names": ["k", None],
            },
        ),
    ],
)
def test_the_index_says_as_much_as_it_takes(index: pd.Index, expected: dict[str, Any]) -> None:
    assert written(pd.DataFrame({"x": [1, 2]}, index=index))["index"] == expected


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ([0.5, 1.5, float("inf")], "column 'x' holds an infinity"),
        (pd.array([None, float("-inf")], dtype="Float64"), "column 'x' holds an infinity"),
        (pd.Series([1, float("inf")], dtype=object), "column 'x': .* infinite"),
        (pd.Categorical([float("inf"), 1.0]), "column 'x' holds an infinity"),
        ([1j, 2], "column 'x' is of dtype complex128, which JSON cannot hold"),
    ],
)
@pytest.mark.parametrize("orient", ["dict", "records"])
def test_what_json_cannot_hold_is_refused_before_the_first_piece(
    column: Any, words: str, orient: str
) -> None:
    source = reading(pd.DataFrame({"ok": [1] * len(column), "x": column}))
    with pytest.raises(BadInput, match=f"{words}.*Arrow or Parquet"):
        formats.encode_json_frame(source, orient=orient, resource_uri="/")


def test_an_infinite_label_is_refused() -> None:
    with pytest.raises(BadInput, match="the index holds an infinity"):
        written(pd.DataFrame({"x": [1]}, index=[float("inf")]))


@pytest.mark.parametrize("orient", ["columns", "index"])
@pytest.mark.parametrize("labels", [["a", "b", "a"], [1, "1", 2], [0, 0, 1]])
def test_a_label_that_stands_twice_is_no_key(orient: str, labels: list[Any]) -> None:
    with pytest.raises(BadInput, match=r"twice.*ask for orient dict, split or records"):
        written(pd.DataFrame({"x": [1, 2, 3]}, index=pd.Index(labels, dtype=object)), orient)


def test_an_unknown_orient_is_refused() -> None:
    with pytest.raises(
        BadInput, match="unknown orient 'table': there are dict, columns, list, records, split, index, values"
    ):
        written(FRAME, "table")


def test_an_empty_frame_keeps_its_columns() -> None:
    empty = pd.DataFrame({"x": pd.Series([], dtype="int64"), "%": pd.Series([], dtype="str")})
    for orient in ("dict", "columns", "list", "records", "split", "index", "values"):
        body = written(empty, orient)
        assert body["dtypes"] == {"x": "int64", "%": "str"} and body["rows"] == 0
        assert body["index"] == {"type": "Int64Index", "values": []}
    assert written(pd.DataFrame({"a%b": [1]}), "records")["data"] == [{"a%b": 1}]


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (np.array([0.0, 2.0, np.nan]), "[0.0,2.0,null]"),
        (np.array([[1.5], [2.5]]), "[1.5,2.5]"),
        (np.array([[1, 2], [3, 4]], order="F"), "[[1,2],[3,4]]"),
        (np.arange(12).reshape(2, 3, 2)[:, ::2], "[[[0,1],[4,5]],[[6,7],[10,11]]]"),
        (np.array([2**53 + 1]), "[9007199254740993]"),
        (np.array([True, False]), "[true,false]"),
        (np.array(["a", 'b"']), r'["a","b\""]'),
        (np.array(["a", 1, None], dtype=object), '["a",1,null]'),
        (np.array([["a", "b"], ["c", "d"]]), '[["a","b"],["c","d"]]'),
        (np.array(["2020-01-01", "NaT"], "M8[ns]"), '["2020-01-01T00:00:00",null]'),
        (np.array([0.1], "f4"), "[0.1]"),
        (np.array([0.5], "f2"), "[0.5]"),
        (np.array([1, 2], ">i4"), "[1,2]"),
        (np.array([0.5], "g"), "[0.5]"),
        (np.array([]), "[]"),
        (np.empty((2, 0)), "[[],[]]"),
        (np.empty((2, 0), dtype=object), "[[],[]]"),
        (np.empty((0, 3)), "[]"),
        ([np.array([1, 2]), np.array([[3, 4]])], "[[1,2],[[3,4]]]"),
        (0.25, "0.25"),
        (np.float64("nan"), "null"),
    ],
)
def test_answers_of_models_are_exact(result: Any, text: str) -> None:
    assert formats.encode_array(result).decode() == text


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (np.array([0.0, -np.inf]), "infinity in row 1, .*predict_proba"),
        (np.array([[0.0, 1.0], [0.5, np.inf]]), "infinity in row 1"),
        (np.array([[[0.0], [np.inf]]]), "infinity in row 1"),
        (float("inf"), "the result has an infinity, which"),
        (np.array([1j]), "the result is of dtype complex128"),
        (np.array([object()]), "the result: "),
    ],
)
def test_answers_that_json_cannot_hold_are_refused(result: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        formats.encode_array(result)


@pytest.mark.parametrize("orient", ["dict", "columns"])
@pytest.mark.parametrize("strange", ["plain", "a\\b", 'a"b', "a\nb", "", "ü", None])
def test_columns_of_text_are_written_whole(orient: str, strange: str | None) -> None:
    texts = ["one", strange, "three", "", "five"]
    frame = pd.DataFrame({"s": pd.array(texts, dtype="str"), "t": ["x"] * 5}, index=list("abcde"))
    keys = list("abcde") if orient == "columns" else list("01234")
    assert written(frame, orient)["data"]["s"] == dict(zip(keys, texts, strict=True))
    # Parts of what is stored are written alone.
    part = keyed_texts(frame["s"][2:], _Keys([b",2:", b",3:", b",4:"]))
    assert part == b',2:"three",3:"",4:"five"'
    assert keyed_texts(frame["s"][:0], _Keys([])) == b""
