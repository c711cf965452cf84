import io
import json
from contextlib import suppress
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omega.domain import tabular
from omega.domain.errors import BadInput, TooLarge
from omega.entrypoints import formats, strict_json
from omega.entrypoints.limits import Limits
from tests.support.frames import LIMITS, decoded, encoded, from_json, json_frames, reading
from tests.unit.domain.tabular.frames import assert_same, frames

ORIENTS = ("dict", "columns", "list", "records", "split", "index", "values")
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def as_json(frame: pd.DataFrame, orient: str, *, rows: int = 2) -> bytes:
    return b"".join(formats.encode_json_frame(reading(frame, rows=rows), orient=orient, resource_uri="/x/"))


def put_back(text: bytes) -> pd.DataFrame:
    body = strict_json.parse_json(text)
    decoded = formats.decode_json_frame(body, limits=LIMITS)
    assert decoded.named
    return tabular.to_pandas(decoded.table)


@settings(max_examples=80, deadline=None, suppress_health_check=SLOW)
@given(
    frame=json_frames(),
    orient=st.sampled_from(["dict", "list", "records", "split", "values"]),
    rows=st.integers(1, 4),
)
def test_what_json_gives_it_takes_back_equal(frame: pd.DataFrame, orient: str, rows: int) -> None:
    assert_same(frame, put_back(as_json(frame, orient, rows=rows)))


@settings(max_examples=50, deadline=None, suppress_health_check=SLOW)
@given(frame=json_frames(several=False), orient=st.sampled_from(["columns", "index"]))
def test_what_json_gives_by_label_it_takes_back_equal(frame: pd.DataFrame, orient: str) -> None:
    try:
        text = as_json(frame, orient)
    except BadInput as error:
        assert "twice" in str(error) and frame.index.duplicated().any()
        return
    assert_same(frame, put_back(text))


@settings(max_examples=80, deadline=None, suppress_health_check=SLOW)
@given(frame=frames(), orient=st.sampled_from(ORIENTS))
def test_any_frame_is_strict_json_or_refused(frame: pd.DataFrame, orient: str) -> None:
    try:
        text = as_json(frame, orient)
    except BadInput:
        return
    body = strict_json.parse_json(text, max_depth=300)
    assert list(body["dtypes"]) == list(frame.columns) and body["rows"] == len(frame)
    assert orient not in ("dict", "list") or list(body["data"]) == list(frame.columns)
    assert len(body["index"]["values"]) == len(frame)
    with suppress(BadInput):
        formats.decode_json_frame(body, limits=LIMITS)


@pytest.mark.parametrize("name", ["arrow", "parquet"])
def test_binary_formats_keep_every_frame(name: str) -> None:
    @settings(max_examples=50, deadline=None, suppress_health_check=SLOW)
    @given(frame=frames(), rows=st.integers(1, 4))
    def check(frame: pd.DataFrame, rows: int) -> None:
        table = tabular.from_pandas(frame)
        body = encoded(name, table, rows=rows)
        got = formats.decode(formats.FORMATS[name], io.BytesIO(body), limits=LIMITS)
        assert got.schema.equals(table.schema, check_metadata=True)
        assert_same(tabular.to_pandas(table), tabular.to_pandas(got.combine_chunks()))

    check()


@settings(max_examples=50, deadline=None, suppress_health_check=SLOW)
@given(frame=frames(), name=st.sampled_from(["csv", "ndjson"]))
def test_text_formats_write_any_frame_or_refuse(frame: pd.DataFrame, name: str) -> None:
    try:
        body = encoded(name, frame)
    except BadInput:
        return
    if not (name == "csv" and len(frame.columns) == 0 and "," not in body.decode().split("\n")[0]):
        try:
            got = decoded(name, body)
        except BadInput as error:
            assert "name" in str(error) or "header" in str(error) or "twice" in str(error)
            return
        assert len(got) == len(frame) or len(frame.columns) == 0


SIMPLE = ["bool", "int64", "uint64", "float64", "masked", "boolean", "string"]


@settings(max_examples=50, deadline=None, suppress_health_check=SLOW)
@given(data=st.data(), name=st.sampled_from(["csv", "ndjson"]))
def test_text_formats_keep_the_values_of_plain_columns(data: st.DataObject, name: str) -> None:
    values: dict[str, st.SearchStrategy[Any]] = {
        "i": st.integers(-(2**63), 2**63 - 1),
        "f": st.floats(allow_nan=False, allow_infinity=False).map(
            lambda x: x if x != int(x) or abs(x) > 2**60 else x + 0.0
        ),
        "s": st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6).map(
            lambda t: f"t{t}"
        ),
        "b": st.booleans(),
    }
    n = data.draw(st.integers(1, 6))
    columns = {k: data.draw(st.lists(s, min_size=n, max_size=n)) for k, s in values.items()}
    columns["n"] = [*columns["i"][1:], None]
    columns["t"] = [*columns["s"][1:], None]
    frame = pd.DataFrame({k: v for k, v in columns.items() if k != "n"})
    frame["n"] = (
        pd.array(columns["n"], dtype="Int64")
        if n > 1
        else pd.Series([None], dtype="object" if name == "ndjson" else "float64")
    )
    if n == 1:
        frame["t"] = pd.Series([None], dtype="object" if name == "ndjson" else "float64")
    assert_same(frame, decoded(name, encoded(name, frame)))


def test_other_pyarrow_users_get_the_index_back() -> None:
    index = pd.MultiIndex.from_arrays([["a", "b", "a"], [3, 1, 2]], names=["k", None])
    frame = pd.DataFrame(
        {
            "x": [1.5, float("nan"), -0.0],
            "s": ["a", None, "c"],
            "n": pd.array([1, None, 3], dtype="Int64"),
            "z": pd.date_range("2020", periods=3, tz="Europe/Berlin"),
            "c": pd.Categorical(["u", "v", None]),
        },
        index=index,
    )
    over_arrow = pa.ipc.open_stream(encoded("arrow", frame)).read_pandas()
    over_parquet = pq.read_table(io.BytesIO(encoded("parquet", frame))).to_pandas()
    for got in (over_arrow, over_parquet):
        pd.testing.assert_frame_equal(got, frame)


def test_a_plain_pandas_parquet_file_comes_with_its_index() -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", "b"], name="k"))
    file = io.BytesIO()
    frame.to_parquet(file)
    assert_same(frame, decoded("parquet", file.getvalue()))


def test_streamed_formats_hold_one_segment_at_a_time() -> None:
    table = tabular.from_pandas(pd.DataFrame({"x": range(8)}))
    for name in ("arrow", "parquet", "csv", "ndjson"):
        taken: list[int] = []
        source = reading(table, rows=2)

        def tables(parts: Any = source.tables, taken: list[int] = taken) -> Any:
            for part in parts:
                taken.append(part.num_rows)
                yield part

        object.__setattr__(source, "tables", tables())
        pieces = formats.encode(formats.FORMATS[name], source)
        next(pieces)
        assert len(taken) <= 1, name
        list(pieces)
        assert sum(taken) == 8


def test_json_text_is_not_changed_by_how_it_is_stored() -> None:
    frame = pd.DataFrame({"x": range(7), "s": list("abcdefg")}, index=list("tuvwxyz"))
    for orient in ORIENTS:
        assert len({as_json(frame, orient, rows=rows) for rows in (1, 3, 100)}) == 1
        assert json.loads(as_json(frame, orient))["orient"] == orient


@pytest.mark.parametrize("name", ["json", "arrow", "parquet", "csv", "ndjson"])
def test_a_frame_as_wide_as_the_limit_comes_back(name: str) -> None:
    frame = pd.DataFrame({f"c{i}": [0.5] for i in range(300)}, index=["a"])
    limits = Limits(columns=300 if name in ("json", "arrow", "parquet") else 301)
    if name == "json":
        assert_same(frame, from_json(json.loads(as_json(frame, "dict")), limits=limits))
        return
    got = decoded(name, encoded(name, frame), limits=limits)
    assert got.shape[1] == limits.columns
    with pytest.raises(TooLarge, match="columns are over the limit of 299"):
        decoded(name, encoded(name, frame), limits=Limits(columns=299))
