"""Columns that are objects of rows, `{"0": 1.5, "1": 2.5}`, made the lists that they mean before they are
parsed.

A key for each value is most of the work of parsing such a body and most of its memory, and tells nothing
where the keys are the positions 0 to n-1 in order, as everybody writes them. So the keys are compared with
those positions, many at once and as bytes, and overwritten with white space, and the braces around them with
brackets (docs/adr/0026).

What is made can be parsed if and only if the body can, and means the same, for nothing is made of a body
unless

- each key is directly after a comma (the first of a column: after its brace), so that the list has no commas
  but those before keys, and so one value between each two;
- inside a column there is no brace or bracket, not even in a string, so that nothing ends before the column
  does or goes on after it;
- the white space has a newline in it, which no JSON string may hold, so that no key was part of one.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import orjson
from attrs import field, frozen

#: Columns of fewer rows are parsed as they are.
LEAST_ROWS: Final = 1000
_FIRST: Final = b'"0":'
#: What comes before the first key.
_OPENING: Final = re.compile(rb'"data":\s*\{\s*"(?:[^"\\]|\\.)*":\s*\{\Z')
_OPENING_BYTES: Final = 1 << 16
_QUOTE, _COLON, _COMMA, _SPACE = b'":, '
#: So much is looked at together: what is made of it stays in the processor's cache.
_BLOCK: Final = 1 << 18
_Array = np.ndarray[Any, Any]


@frozen(eq=False)
class Listed:
    """A body with lists in place of objects: its text, and the number of its columns and rows."""

    text: bytearray = field(repr=False)
    columns: int
    rows: int

    def is_in(self, body: Any) -> bool:
        """Whether the parsed text has these columns in `data`, and there only."""
        data = body.get("data") if isinstance(body, dict) else None
        if not isinstance(data, dict) or len(data) != self.columns:
            return False
        return all(isinstance(column, list) and len(column) == self.rows for column in data.values())


def listed(raw: bytes) -> Listed | None:
    """The body with lists for columns; `None` where it is not all as said above, JSON or not."""
    first = raw.find(_FIRST)
    if first < 0 or not _OPENING.search(raw, max(0, first - _OPENING_BYTES), first):
        return None
    keys = _Keys(raw)
    place = int(np.searchsorted(keys.ends, first))
    second = raw.find(_FIRST, first + 1)
    rows = keys.run(place) if second < 0 else int(np.searchsorted(keys.ends, second)) - place - 1
    if rows < LEAST_ROWS:
        return None
    text, columns = bytearray(raw), 0
    written = _Words(text)
    for columns, start in enumerate(keys.columns(place, rows), 1):  # noqa: B007
        ends = keys.ends[start : start + rows]
        if keys.matching(ends) < rows or not _bracketed(raw, text, int(ends[0]), int(ends[-1])):
            return None
        written.blank(ends)
    return Listed(text, columns, rows)


def _bracketed(raw: bytes, text: bytearray, first: int, last: int) -> bool:
    """Put brackets around a column whose first and last key end at these places, if it is a flat one."""
    opening, closing = first - 3, raw.find(b"}", last)
    if raw[opening] != ord("{") or closing < 0:
        return False
    if any(raw.find(bracket, opening + 1, closing) >= 0 for bracket in (b"{", b"}", b"[", b"]")):
        return False
    try:
        # The brace is not one in a string.
        orjson.loads(raw[last + 2 : closing])
    except orjson.JSONDecodeError:
        return False
    text[opening], text[closing] = b"[]"
    return True


class _Words:
    """Any eight bytes of a text, by where they begin; `ends` are where keys end (their second quote)."""

    def __init__(self, text: bytes | bytearray) -> None:
        self._text = text
        self._words: _Array = np.ndarray((max(0, len(text) - 7),), dtype="<u8", buffer=text, strides=(1,))

    def at(self, places: _Array) -> _Array:
        """Those that begin there."""
        return self._words[places]

    def blank(self, ends: _Array) -> None:
        """Overwrite the keys of rows 0 to n-1, and their colons."""
        assert isinstance(self._text, bytearray)
        for row, end in enumerate(ends[:LEAST_ROWS].tolist()):
            width = len(str(row)) + 3
            self._text[end + 2 - width : end + 2] = b"\n".ljust(width)
        for begin, stop, digits in _widths(len(ends)):
            some = ends[begin:stop]
            if digits == 4:
                # Seven bytes: what is before them stays as it is, a comma or a space.
                self._words[some - 6] = self._words[some - 6] & 0xFF | _word(b"\0\n      ")
            else:
                self._words[some - 6] = _word(b"\n       ")
                self._words[some - digits - 1] = _word(b"\n       ")


class _Keys:
    """The keys in a text: `ends` are where a quote stands before a colon."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._words = raw, _Words(raw)
        self._expected: dict[tuple[int, int, bytes], tuple[_Array, _Array]] = {}
        text = np.frombuffer(raw, dtype=np.uint8)
        parts = (text[start : start + _BLOCK + 1] for start in range(0, len(text), _BLOCK))
        found = [np.flatnonzero((part[:-1] == _QUOTE) & (part[1:] == _COLON)) for part in parts]
        self.ends = np.concatenate([some + number * _BLOCK for number, some in enumerate(found)])

    def columns(self, place: int, rows: int) -> Iterator[int]:
        """The places of first keys, each this many rows and the name of a column after the one before."""
        while place + rows <= len(self.ends) and self._is_first(place):
            yield place
            place += rows + 1

    def run(self, place: int) -> int:
        """How many keys from a first one on are 0, 1, 2 and so on."""
        return self.matching(self.ends[place:])

    def matching(self, ends: _Array) -> int:
        """How many of the keys are those of the rows from 0 on, each but the first after a comma."""
        if len(ends) < LEAST_ROWS:
            return 0
        comma = b", " if self._raw[ends[1] - 3] == _SPACE else b","
        for row, end in enumerate(ends[1:LEAST_ROWS].tolist(), 1):
            key = b'%b"%d":' % (comma, row)
            if self._raw[end + 2 - len(key) : end + 2] != key:
                return row
        for begin, stop, digits in _widths(len(ends)):
            if (begin, stop, comma) not in self._expected:
                self._expected[begin, stop, comma] = _expected(begin, stop, digits, comma)
            heads, tails = self._expected[begin, stop, comma]
            some = ends[begin:stop]
            same = self._words.at(some - 6) == tails
            same &= self._words.at(some - len(comma) - digits - 1) == heads
            if not same.all():
                return begin + int(same.argmin())
        return len(ends)

    def _is_first(self, place: int) -> bool:
        end = int(self.ends[place])
        return self._raw[end - 2 : end + 2] == _FIRST


def _widths(rows: int) -> Iterator[tuple[int, int, int]]:
    """The rows from `LEAST_ROWS` on by the number of their digits: from, to, and that number."""
    begin = LEAST_ROWS
    while begin < rows:
        digits = len(str(begin))
        yield begin, min(rows, 10**digits), digits
        begin = 10**digits


def _expected(begin: int, stop: int, digits: int, comma: bytes) -> tuple[_Array, _Array]:
    """The first eight bytes of the keys of these rows, from the comma on, and the last, up to the colon."""
    keys = np.empty((stop - begin, len(comma) + digits + 3), dtype=np.uint8)
    rows = np.arange(begin, stop)
    keys[:, : len(comma) + 1] = np.frombuffer(comma + b'"', dtype=np.uint8)
    for digit in range(digits):
        keys[:, len(comma) + digits - digit] = rows % 10 + ord("0")
        rows //= 10
    keys[:, -2:] = np.frombuffer(b'":', dtype=np.uint8)
    head, tail = (np.ascontiguousarray(part).view("<u8").ravel() for part in (keys[:, :8], keys[:, -8:]))
    return head, tail


def _word(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))
