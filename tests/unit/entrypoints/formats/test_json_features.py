"""Features from JSON are the columns of the frame that the same body makes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.domain.errors import BadInput
from omega.domain.features import Numbers, as_features
from omega.entrypoints.formats import decode_json_features, decode_json_frame
from omega.entrypoints.limits import Limits

NUMBERS = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**70), 2**70))
VALUES = st.one_of(NUMBERS, st.none(), st.booleans(), st.text(max_size=3))
COLUMNS = st.one_of(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2),
    st.lists(st.integers(-5, 5), min_size=2, max_size=2),
    st.lists(NUMBERS, min_size=2, max_size=2),
    st.lists(VALUES, min_size=2, max_size=2),
)
NAMES = st.one_of(st.sampled_from(["a", "b", "__index_0__"]), st.text(max_size=3))
FRAMES = st.dictionaries(NAMES, COLUMNS, max_size=4)


def outcome(read: Any) -> Any:
    try:
        features = as_features(read(), source="datax")
    except BadInput as error:
        return type(error), str(error)
    table = features.table
    # NaN is equal to nothing, not even to itself.
    return table.column_names, table.schema.types, repr(table.to_pydict()), features.named, features.source


def by_way_of_a_frame(body: dict[str, Any], limits: Limits) -> Any:
    decoded = decode_json_frame(body, limits=limits)
    features = as_features(decoded.table, source="datax")
    return type(features)(features.table, "datax", decoded.named)


@given(data=FRAMES, form=st.sampled_from(["list", "dict", "records", "values", "split"]), named=st.booleans())
def test_the_same_columns_as_those_of_the_frame(data: dict[str, Any], form: str, named: bool) -> None:
    rows = [list(row) for row in zip(*data.values(), strict=True)]
    body: dict[str, Any] = {
        "list": {"data": data},
        "dict": {"data": {n: {str(i): v for i, v in enumerate(c)} for n, c in data.items()}},
        "records": {"data": [dict(zip(data, row, strict=True)) for row in rows]},
        "values": {"data": rows},
        "split": {"orient": "split", "data": {"columns": list(data), "data": rows}},
    }[form]
    if named and form == "values":
        body["columns"] = list(data)
    limits = Limits()
    found = outcome(lambda: decode_json_features(body, source="datax", limits=limits))
    assert found == outcome(lambda: by_way_of_a_frame(body, limits))


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"a": [1.5]}, "dtypes": {"a": "float32"}},
        {"data": {"a": [1, 2]}, "index": {"values": [5, 6]}},
        {"data": {"a": {"x": 1.5}}},
        {"data": [], "columns": ["a"]},
        {"data": {}},
        {"data": [[1.5], [2.5, 3.5]]},
        {"data": {"a": [1.5, 2**53 + 1]}},
    ],
)
def test_what_is_not_plain_is_read_as_a_frame_is(body: dict[str, Any]) -> None:
    limits = Limits()
    found = outcome(lambda: decode_json_features(body, source="datax", limits=limits))
    assert found == outcome(lambda: by_way_of_a_frame(body, limits))


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=3))
def test_floats_stay_as_they_came(values: list[float]) -> None:
    numbers = decode_json_features({"data": {"a": values, "b": values}}, source="datax", limits=Limits())
    assert isinstance(numbers, Numbers)
    assert numbers.rows == len(values)
    both = numbers.followed_by([numbers, numbers])
    assert both.table.to_pydict() == {"a": values * 3, "b": values * 3}
    assert numbers.table.to_pydict() == {"a": values, "b": values}
