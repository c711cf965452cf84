"""Objects of row positions as lists: read if and only if the body itself is, and the same."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.domain.errors import BadInput
from omega.entrypoints.formats import decode_json_frame, parse_json_frame
from omega.entrypoints.formats.row_keys import LEAST_ROWS, listed
from omega.entrypoints.limits import Limits
from omega.entrypoints.strict_json import parse_json

DEPTH = 64
#: The second is without spaces.
WRITTEN = ((", ", ": "), (",", ":"))
VALUES = ["text", 1.5, None, True, -3, 1e-7, "", "1,2", "ü\n", 10**17]


def body(rows=LEAST_ROWS + 5, columns=("a", "b c"), separators=WRITTEN[0], **more):
    column = {str(row): VALUES[row % len(VALUES)] for row in range(rows)}
    return json.dumps({"data": dict.fromkeys(columns, column), **more}, separators=separators).encode()


def with_lists(value):
    """A body as it was parsed, with objects of row positions as lists."""
    data = value.get("data") if isinstance(value, dict) else None
    if not isinstance(data, dict):
        return value
    as_lists = {
        name: list(column.values())
        if isinstance(column, dict) and list(column) == list(map(str, range(len(column))))
        else column
        for name, column in data.items()
    }
    return {**value, "data": as_lists}


def outcome(parse, raw):
    """What comes of a body: its value and its frame, and where there is none the error."""
    try:
        value = parse(raw, max_depth=DEPTH)
        frame = decode_json_frame(value, limits=Limits()).table if isinstance(value, dict) else None
        return repr(with_lists(value)), frame
    except BadInput as error:
        return error.args


def check(raw):
    assert outcome(parse_json_frame, raw) == outcome(parse_json, raw)


@pytest.mark.parametrize("separators", WRITTEN)
@pytest.mark.parametrize("rows", [LEAST_ROWS, 9_999, 10_000, 10_001, 100_001, 1_000_001])
def test_lists_are_made_however_many_rows_there_are(rows, separators):
    columns = ("a",) if rows > 200_000 else ("a", 'b"\\: {', "0")
    raw = body(rows, columns, separators, dtypes={"a": "object"})
    found = listed(raw)
    assert found is not None
    assert (found.columns, found.rows) == (len(columns), rows)
    assert json.loads(found.text) == with_lists(json.loads(raw))
    assert len(found.text) == len(raw)


@pytest.mark.parametrize("orient", ["dict", "columns", None, "list", "split", 1])
@pytest.mark.parametrize("index", [None, {"type": "Index", "values": [1]}])
def test_objects_stay_where_lists_would_mean_something_else(orient, index):
    raw = body(orient=orient, index=index)
    lists = isinstance(parse_json_frame(raw, max_depth=DEPTH)["data"]["a"], list)
    assert lists == (orient in ("dict", None) or (orient == "columns" and index is None))


#: What may stand in the place of `"7":7,"8":8,"9":9`. Of each that is no JSON one could make lists that are.
GAPS = [
    '"7":[7,"8":8],"9":9,9',
    '"7":[7,"8":8,8],"9":9',
    '"7":"7,"8":8","9":9,9',
    '"7":7,7,"8":"9":9',
    '"7":,"8":8,8,"9":9',
    '"7":7],"x" :["8":8,"9":9',
    '"7":7]},"dtypes" :{"q" :["8":8,"9":9',
    '"7":7},"x":{"8":8,"9":9',
    '"7":7"8":8,"9":9',
    '"7":7,,"8":8,"9":9',
    '"7":7,"8",8,"9":9',
    '"7":7,"8" :8,"9":9',
    '"7" :7,"8":8,"9":9',
    '"7":7 ,"8":8,  "9":9',
    '"7":7,\t"8":8,"9":9',
    '"7":7,"\\u0038":8,"9":9',
    '"7":7,"08":8,"9":9',
    '"7":7,"9":9,"8":8',
    '"7":7,"8":8,"8":8',
    '"7":7,"8":"\n","9":9',
    '"7":7,"8":"}","9":9',
    '"7":7,"8":"]","9":9',
    '"7":7,"8":"\\",\\"8\\":","9":9',
    '"7":7,"8":{"0":1},"9":9',
    '"7":7,"8":[1],"9":9',
    '"7":7,"8":NaN,"9":9',
    '"7":7,"8":1e999,"9":9',
    '"7":7,"8":123456789012345678901234567890,"9":9',
    '"7":7,"8":"\\ud800","9":9',
]


@pytest.mark.parametrize("first", [7, LEAST_ROWS + 1, 10_001])
@pytest.mark.parametrize("gap", GAPS)
def test_what_is_refused_is_refused_as_ever(gap, first):
    rows = [f'"{row}":{row}' for row in range(max(LEAST_ROWS, first) + 9)]
    for digit in (9, 8, 7):
        gap = gap.replace(f'"{digit}"', f'"{digit - 7 + first}"')
    rows[first : first + 3] = [gap]
    check(('{"data":{"a":{' + ",".join(rows) + '}},"append":true}').encode())


@pytest.mark.parametrize(
    "end",
    ['"}"}', '"}"]', '"}', "5]", "5}]", "[5}", '"a\\"}"}', '5}},"append":{"q":{"0":1}', "5},5}", "", "5"],
)
def test_the_end_of_a_column_is_no_brace_in_a_string(end):
    rows = [f'"{row}":{row}' for row in range(LEAST_ROWS)]
    check(('{"data":{"a":{' + ",".join(rows) + f',"{LEAST_ROWS}":' + end + "}}").encode())


ROWS = json.dumps({str(row): row for row in range(LEAST_ROWS)}).encode()
LIST = json.dumps(list(range(LEAST_ROWS))).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b'{"data":{"a":%b},"index":{"type":"Index","values":%b}}' % (LIST, ROWS),
        b'{"index":{"type":"Index","values":%b},"data":{"a":%b}}' % (ROWS, LIST),
        b'{"index":{"data":{"values":%b}},"data":{"a":%b}}' % (ROWS, LIST),
        b'{"x":{"data":{"values":%b}},"data":{"a":[1]}}' % ROWS,
        b'{"dtypes":{"a":%b},"data":{"a":%b}}' % (ROWS, LIST),
        b'{"data":{"a":%b,"b":%b}}' % (ROWS, LIST),
        b'{"data":{"a":%b,"b":%b}}' % (LIST, ROWS),
        b'{"data":{"a":%b,"b":{"0":1}}}' % ROWS,
        b'{"data":{"a":%b},"index":{"0":1}}' % ROWS,
        b'{"data":{"a":%b},"data":{"b":%b}}' % (ROWS, ROWS),
        b'{"data":{"a":%b,"a":%b}}' % (ROWS, ROWS),
        b'[{"data":{"a":%b}}]' % ROWS,
        b'"data":{"a":%b}' % ROWS,
        body()[:-2],
        b"\xef\xbb\xbf" + body(),
        body().replace(b"text", b"te\xfft"),
        body() + b"x",
    ],
)
def test_only_data_is_made_lists(raw):
    check(raw)


@given(
    st.sampled_from(WRITTEN),
    st.lists(
        st.tuples(
            st.integers(0, 400),
            st.integers(0, 3),
            st.sampled_from(list('",:{}[]\\ 0123456789\n')),
            st.booleans(),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_a_body_that_was_changed_somewhere_is_read_as_ever(separators, changes):
    raw = body(separators=separators, columns=("a",), append=True)
    for place, removed, added, at_end in changes:
        place = len(raw) - place if at_end else place
        raw = raw[:place] + added.encode() + raw[place + removed :]
    check(raw)
