import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.domain import tabular
from omega.domain.errors import BadInput, TooLarge
from omega.entrypoints.formats import delimited
from omega.entrypoints.limits import Limits
from tests.support.frames import decoded, encoded
from tests.unit.domain.tabular.frames import assert_same


def csv(text: str | bytes, **limits: int) -> pd.DataFrame:
    return decoded("csv", text.encode() if isinstance(text, str) else text, limits=Limits(**limits))


def ndjson(text: str | bytes, **limits: int) -> pd.DataFrame:
    return decoded("ndjson", text.encode() if isinstance(text, str) else text, limits=Limits(**limits))


@pytest.mark.parametrize(
    ("fields", "dtype", "values"),
    [
        (["1", "-2", "+3", " 4 ", "007"], "int64", [1, -2, 3, 4, 7]),
        (["9007199254740993", ""], "Int64", [9007199254740993, pd.NA]),
        (["18446744073709551615", "0"], "uint64", [2**64 - 1, 0]),
        (["18446744073709551616", "-1"], "str", ["18446744073709551616", "-1"]),
        (
            ["0.1", "1e3", ".5", "1.", "+2.5", "inf", "-Infinity"],
            "float64",
            [0.1, 1e3, 0.5, 1.0, 2.5, np.inf, -np.inf],
        ),
        (["5e-324", "-0.0", "0.30000000000000004"], "float64", [5e-324, -0.0, 0.30000000000000004]),
        (["True", "false", "TRUE"], "bool", [True, False, True]),
        (["true", "NA"], "boolean", [True, pd.NA]),
        (["a", "=1+2", "@x", "-y"], "str", ["a", "=1+2", "@x", "-y"]),
        (["0x10", "1_000", "1,5".replace(",", ";")], "str", ["0x10", "1_000", "1;5"]),
        (["2020-01-01"], "str", ["2020-01-01"]),
        (['"a,b"', '"say ""x"""', '"two\nlines"'], "str", ["a,b", 'say "x"', "two\nlines"]),
        (['a"b', '"a"b'], "str", ['a"b', "ab"]),
        (["True", "1"], "str", ["True", "1"]),
    ],
)
def test_csv_means_what_pandas_says(fields: list[str], dtype: str, values: list[Any]) -> None:
    column = csv("\n".join(["k,x", *(f"k,{field}" for field in fields)]))["x"]
    assert str(column.dtype) == dtype
    assert repr(column.tolist()) == repr(values)


def _loses_digits(column: list[str]) -> bool:
    """Whether pandas would read integers among fractions as other integers."""
    present = [text for text in column if text not in ("", "NA", "nan", "null")]
    whole = [text for text in present if text.lstrip("-").isdigit()]
    others = {text for text in present if text not in whole}
    return bool(others) and others <= {"0.5", "1e5", "inf"} and any(int(float(t)) != int(t) for t in whole)


@settings(max_examples=80, deadline=None)
@given(
    columns=st.lists(
        st.lists(
            st.sampled_from(["", "NA", "nan", "null", "1", "-7", "0.5", "1e5", "abc", "12a", "inf", "a b"])
            | st.integers(-(2**63), 2**63 - 1).map(str),
            min_size=3,
            max_size=3,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_csv_agrees_with_pandas(columns: list[list[str]]) -> None:
    text = "k," + ",".join(f"c{i}" for i in range(len(columns))) + "\n"
    text += "".join("k," + ",".join(row) + "\n" for row in zip(*columns, strict=True))
    if lossy := [name for name, column in zip(range(3), columns, strict=False) if _loses_digits(column)]:
        with pytest.raises(BadInput, match=f"column 'c{lossy[0]}': the integer .* is no exact float64"):
            csv(text)
        return
    got, expected = csv(text), pd.read_csv(io.StringIO(text))
    for name in expected:
        if got[name].dtype == expected[name].dtype:
            pd.testing.assert_series_equal(got[name], expected[name], check_exact=True)
        else:
            # Integers are kept: with missing values, and as text where they are over 64 bits.
            assert str(got[name].dtype) in ("Int64", "UInt64", "str")
            assert [str(v) for v in got[name].dropna()] == [
                str(int(f)) if str(got[name].dtype) != "str" else f
                for f in pd.read_csv(io.StringIO(text), dtype=str)[name].dropna()
            ]


def test_line_ends_bom_and_blank_lines_do_not_matter() -> None:
    expected = pd.DataFrame({"a": [1, 3], "b": [2, 4]})
    for text in (
        "a,b\n1,2\n3,4\n",
        "a,b\r\n1,2\r\n3,4",
        "a,b\r1,2\r3,4\r",
        "\ufeffa,b\n1,2\n3,4",
        "\n\na,b\n\n1,2\n\n\n3,4\n\n",
    ):
        assert_same(csv(text), expected)
    assert_same(csv('"a","b"\n1,2\n3,4'), expected)
    assert list(csv('"two\nlines",b\n1,2')) == ["two\nlines", "b"]


def test_a_first_column_without_a_name_is_the_index() -> None:
    frame = pd.DataFrame({"x": [1.5, 2.5]}, index=["b", "a"])
    assert_same(csv(frame.to_csv()), frame)
    assert_same(csv(pd.DataFrame({"x": [1.5, 2.5]}).to_csv()), pd.DataFrame({"x": [1.5, 2.5]}))
    assert csv(",x\n3,1\n2,1")["x"].index.tolist() == [3, 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is no header"),
        ("\n\n", "there is no header"),
        ("a,a\n1,2", "the header names column 'a' twice"),
        ("a,,b\n1,2,3", "column 2 of the header has no name"),
        ("a,b\n1,2\n3\n", "row 3 has 1 values, the header 2"),
        ("a,b\n1,2,3\n", "row 2 has 3 values, the header 2"),
        ("a,b\n" + "1,2\n" * 5000 + "1\n", "row 5002 has 1 values"),
        ('a,b\n1,"2\n', "a quote is left open"),
        ('a\n1\n"2\n3', "a quote is left open"),
        ('"a,b\n1,2\n', "not valid CSV"),
        (b"a,b\n1,\xff\n", "row 2 is not UTF-8"),
        (b"a\xe9,b\n1,2\n", "the header is not UTF-8"),
        ("a,b\n1,1e400", "column 'b': the number '1e400' is out of the range"),
        ("__index_0__\n1", "reserved"),
    ],
)
def test_malformed_csv_is_refused_by_place(text: str | bytes, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        csv(text)


@pytest.mark.parametrize("text", ["9007199254740993", "-9007199254740993", "+09007199254740993", "1" * 300])
def test_an_integer_among_fractions_keeps_its_digits(text: str) -> None:
    with pytest.raises(BadInput, match=r"column 'a': the integer '.* is no exact float64"):
        csv(f"a\n0.5\n {text}\n")


def test_exact_integers_go_among_fractions() -> None:
    exact = [2**53, -(2**60), 10**22, 999_999_999_999_999]
    column = csv("\n".join(["a", "0.5", *map(str, exact), "9007199254740993.0"]))["a"]
    assert column.tolist() == [0.5, *map(float, exact), 9007199254740992.0]


def test_csv_limits_are_kept() -> None:
    with pytest.raises(TooLarge, match=r"3 columns are over the limit of 2 \(columns\)"):
        csv("a,b,c\n1,2,3", columns=2)
    with pytest.raises(TooLarge, match=r"over the limit of 2 \(rows\)"):
        csv("a\n1\n2\n3", rows=2)
    assert len(csv("a\n1\n2", rows=2)) == 2
    with pytest.raises(TooLarge, match="decoded_bytes"):
        csv("a\n" + "x\n" * 1000, decoded_bytes=1000)
    with pytest.raises(BadInput, match="a row is over 16,777,216 bytes long"):
        csv("a\n" + "x" * 40_000_000)


def test_csv_is_written_as_it_is_read() -> None:
    frame = pd.DataFrame(
        {
            "f": [0.1, -0.0, np.nan, np.inf],
            "s": ["=1+2", None, "", 'a,"b"\n'],
            "b": [True, False, True, True],
            "n": pd.array([1, None, 2**53 + 1, 4], dtype="Int64"),
            "d": pd.DatetimeIndex(["2020-01-01", None, "2020-01-01T00:00:00.5", "1969-01-01"]),
            "c": pd.Categorical(["u", None, "v,", "u"]),
            "o": pd.Series([[1, "x"], None, {"a": 1}, "t"], dtype=object),
        }
    )
    assert encoded("csv", frame).decode().split("\n", 4) == [
        "f,s,b,n,d,c,o",
        '0.1,=1+2,True,1,2020-01-01T00:00:00,u,"[1,""x""]"',
        "-0.0,,False,,,,",
        ',"",True,9007199254740993,2020-01-01T00:00:00.5,"v,","{""a"":1}"',
        'inf,"a,""b""\n",True,4,1969-01-01T00:00:00,u,t\n',
    ]


def test_a_single_column_keeps_its_missing_values() -> None:
    frame = pd.DataFrame({"x": [1.0, np.nan, 2.0]})
    assert encoded("csv", frame) == b'x\n1.0\n""\n2.0\n'
    assert_same(csv(encoded("csv", frame)), frame)


@pytest.mark.parametrize(
    ("index", "header", "keys"),
    [
        (pd.RangeIndex(2), "x", ["x"]),
        (pd.RangeIndex(1, 3), "index,x", ["index", "x"]),
        (pd.RangeIndex(2, name="k"), "k,x", ["k", "x"]),
        (pd.Index(["a", "b"]), "index,x", ["index", "x"]),
        (
            pd.MultiIndex.from_arrays([["a", None], [1, 2]], names=["k", None]),
            "k,level_1,x",
            ["k", "level_1", "x"],
        ),
    ],
)
def test_an_index_of_ones_own_is_written_as_columns(index: pd.Index, header: str, keys: list[str]) -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=index)
    for rows in (1, 2):
        assert encoded("csv", frame, rows=rows).decode().split("\n")[0] == header
        assert list(ndjson(encoded("ndjson", frame, rows=rows))) == keys
    # What is left out by a filter does not change the columns.
    assert encoded("csv", frame.iloc[:0]).decode() == header + "\n" or isinstance(index, pd.MultiIndex)


def test_an_index_with_the_name_of_a_column_is_refused() -> None:
    frame = pd.DataFrame({"x": [1]}, index=pd.Index(["a"], name="x"))
    for name in ("csv", "ndjson"):
        with pytest.raises(BadInput, match="index level 'x' has the name of a column"):
            encoded(name, frame)
    assert encoded("csv", pd.DataFrame({"index": [1]}, index=["a"])) == b"level_0,index\na,1\n"


def test_an_empty_frame_has_a_header() -> None:
    assert encoded("csv", pd.DataFrame({"x": [], "y,": []})) == b'x,"y,"\n'
    assert list(csv('x,"y,"\n')) == ["x", "y,"]
    assert encoded("ndjson", pd.DataFrame({"x": []})) == b""


def test_ndjson_lines_are_rows() -> None:
    got = ndjson('{"a": 1, "b": "x"}\r\n\n{"c": [1], "a": 9007199254740993}\n{"a": null}')
    expected = pd.DataFrame(
        {
            "a": pd.array([1, 9007199254740993, None], dtype="Int64"),
            "b": ["x", None, None],
            "c": pd.Series([None, [1], None], dtype=object),
        }
    )
    assert_same(got, expected)
    assert_same(ndjson('\ufeff{"a": 1}'), pd.DataFrame({"a": [1]}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1}\n{"a": 1, "a": 2}', "line 2: .*'a' stands twice"),
        ('{"a": 1}\n\n{"a": NaN}', "line 3: "),
        ('{"a": 1}\n[1]', "line 2 is not a JSON object"),
        ('{"a": 1},{"a": 2}\n', "line 1: malformed JSON"),
        ('{"a": 1e999}', "line 1: .*range"),
        ('{"a": "\\ud800"}', "line 1: "),
        (b'{"a": "\xff"}', "line 1: .*UTF-8"),
        ('{"a": ' + "[" * 70 + "]" * 70 + "}", "line 1: .*nested"),
        ('{"a": 1.5}\n{"a": 9007199254740993}', "column 'a': the integer"),
    ],
)
def test_malformed_ndjson_is_refused_by_line(text: str | bytes, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        ndjson(text)


def test_ndjson_limits_are_kept() -> None:
    with pytest.raises(TooLarge, match=r"over 2 rows, the limit \(rows\)"):
        ndjson('{"a":1}\n' * 3, rows=2)
    with pytest.raises(TooLarge, match="columns"):
        ndjson('{"a":1}\n{"b":1}', columns=1)
    with pytest.raises(TooLarge, match="decoded_bytes"):
        ndjson("".join(f'{{"c{i}":1}}\n' for i in range(100)), decoded_bytes=10_000)
    with pytest.raises(TooLarge, match="a line is over 1,000 bytes"):
        ndjson('{"a":"' + "x" * 3_000_000 + '"}', body_bytes=1000)


def test_few_values_make_no_large_table() -> None:
    diagonal = "".join(f'{{"c{i}":1}}\n' for i in range(1001))
    with pytest.raises(TooLarge, match=r"1,002,001 cells.* 1,001 values .* limit is 1,000,000 \(cells"):
        ndjson(diagonal)
    assert ndjson(diagonal[: diagonal.index('{"c40"')]).shape == (40, 40)


def test_rows_without_columns_are_counted() -> None:
    frame = pd.DataFrame({"x": [1, 2]})
    bare = tabular.from_pandas(frame).select([])
    assert encoded("ndjson", bare, rows=2) == b"{}\n{}\n"


def test_ndjson_refuses_infinities() -> None:
    with pytest.raises(BadInput, match="column 'x' holds an infinity"):
        encoded("ndjson", pd.DataFrame({"x": [1.0, np.inf]}))


@settings(max_examples=80, deadline=None)
@given(
    body=st.binary(max_size=60) | st.text(st.sampled_from('ab,"\n\r 1.{}[]:'), max_size=40).map(str.encode),
    name=st.sampled_from(["csv", "ndjson"]),
)
def test_no_text_crashes(body: bytes, name: str) -> None:
    try:
        decoded(name, body)
    except BadInput:
        return


def test_streams_may_come_in_small_pieces() -> None:
    class Trickle(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(3, size if size and size > 0 else 3))

    limits = Limits()
    table = delimited.decode(Trickle(b'k,"x\ny"\n1,"two\nlines"\n2,"z"\n'), limits=limits)
    assert table.column_names[:2] == ["k", "x\ny"] and table["x\ny"].to_pylist() == ["two\nlines", "z"]
