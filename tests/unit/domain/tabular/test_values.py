import contextlib
import json
import math
from collections import OrderedDict
from enum import IntEnum
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.domain.errors import BadInput
from omega.domain.tabular.values import dumps, loads, plain
from tests.unit.domain.tabular.frames import told, values


@settings(max_examples=80, deadline=None)
@given(values())
def test_every_value_comes_back_the_same(value: Any) -> None:
    data = dumps(value)
    assert told(loads(data)) == told(value)
    assert dumps(loads(data)) == data


class Colour(IntEnum):
    RED = 1


REFUSED = [
    ({"a": [1, 2, 3, object()]}, "$.a[3]"),
    ({"a": {"b": Colour.RED}}, "$.a.b"),
    ([OrderedDict()], "$[0]"),
    ((1, "\ud800"), "$[1]"),
    ({"x": np.array([object()])}, "$.x"),
    ({"x": np.longdouble(1)}, "$.x"),
    ({"x": pd.Series([1])}, "$.x"),
    ({"\ud800": 1}, "ud800"),
    ([len], "$[0]"),
]


@pytest.mark.parametrize(("value", "path"), REFUSED, ids=[path for _, path in REFUSED])
def test_what_cannot_be_kept_is_refused_with_its_path(value: Any, path: str) -> None:
    with pytest.raises(BadInput) as caught:
        dumps(value)
    assert path in str(caught.value)


def test_cycles_and_depth_are_refused() -> None:
    cycle: list[Any] = []
    cycle.append([cycle])
    with pytest.raises(BadInput, match=r"\$\[0\]\[0\]: it holds itself"):
        dumps(cycle)
    deep: Any = 0
    for _ in range(200):
        deep = [deep]
    assert loads(dumps(deep)) == deep
    with pytest.raises(BadInput, match="over 200 deep"):
        dumps([deep])
    with pytest.raises(BadInput):
        loads(b"[" * 100_000 + b"]" * 100_000)
    with pytest.raises(BadInput):
        loads(b"[" * 210 + b"]" * 210)
    shared = [1]
    assert loads(dumps([shared, shared])) == [[1], [1]]


TAGS = [
    *("$tuple", "$set", "$frozenset", "$dict", "$int", "$float", "$complex", "$bytes", "$bytearray", "$date"),
    *("$datetime", "$time", "$timedelta", "$Decimal", "$UUID", "$NA", "$NaT", "$Timestamp", "$Timedelta"),
    *("$Period", "$Interval", "$np", "$np.str", "$np.bytes", "$ndarray", "$unknown", "a", ""),
]
STRANGE = st.recursive(
    st.none()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(
        ["ns", "UTC", "<i8", "|O", "<M8[ns]", "|V8", "<U2", "AAAAAAAAAIA=", "2020-01-01", "M", "../x", 10**30]
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(TAGS), inner, max_size=2)
        | st.tuples(st.sampled_from(TAGS), inner).map(lambda pair: {pair[0]: pair[1]})
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(STRANGE)
def test_forged_documents_are_values_or_refused(document: Any) -> None:
    try:
        value = loads(json.dumps(document))
    except BadInput:
        return
    with contextlib.suppress(BadInput):
        json.dumps(plain(value), allow_nan=False).encode()


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"",
            b"{",
            b"\xff",
            b"NaN",
            b'{"$tuple":1}',
            b'{"$tuple":[],"a":1}',
            b'{"a":1,"$tuple":[]}',
            b'{"a":1,"a":2}',
        ),
        *(
            b'{"$ndarray":["<i8",[1000000000000],""]}',
            b'{"$ndarray":["|O",[1],"AAAAAAAAAAA="]}',
            b'{"$np":["|b1","Ag=="]}',
        ),
        *(
            b'{"$ndarray":["<U1",[1],"////fw=="]}',
            b'{"$set":[[1]]}',
            b'{"$dict":[[[1],2]]}',
            b'{"$dict":[1]}',
        ),
        *(
            b'{"$datetime":["2020-01-01","../../etc/passwd",0]}',
            b'{"$Timestamp":[1,"ns","zone",0]}',
            b'{"$date":"x"}',
        ),
        *(b'{"$Period":[1,"now"]}', b'{"$int":"zz"}', b'{"$Interval":[2,1,"left"]}', b'{"$bytes":"\\u00e9"}'),
    ],
)
def test_malformed_documents_are_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        loads(data)


def test_plain_is_strict_json() -> None:
    value = {
        "t": (1, {2}),
        "n": [math.nan, pd.NA, pd.NaT, None, np.datetime64("NaT")],
        "b": b"\x00\xff",
        1: np.arange(2),
        "d": pd.Timestamp("2020-01-01", tz="UTC"),
        "c": 1j,
        "i": 2**70,
        "f": np.float32(0.5),
    }
    assert plain(value) == {
        "t": [1, [2]],
        "n": [None] * 5,
        "b": "AP8=",
        "1": [0, 1],
        "d": "2020-01-01T00:00:00+00:00",
        "c": [0.0, 1.0],
        "i": 2**70,
        "f": 0.5,
    }
    with pytest.raises(BadInput, match=r"\$\.a\[0\].*infinite"):
        plain({"a": [math.inf]})
    with pytest.raises(BadInput, match="two keys read '1'"):
        plain({1: 0, "1": 0})


@settings(max_examples=60, deadline=None)
@given(values())
def test_plain_gives_json_or_refuses(value: Any) -> None:
    try:
        shown = plain(value)
    except BadInput:
        return
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
