"""Which regular expressions a spec may give: only those whose time cannot grow faster than the square of the
text.

Python's `re` tries every way in which a pattern can match and holds the interpreter lock meanwhile. Here the
number of ways is bounded, on the parse tree:

- nothing that is repeated holds a repeat or alternatives, so that `(a+)+` and `(a|a)*` are out
- two repeats of varying length cannot share text: their characters differ, or a character stands between them
  that the first cannot match; so `a*a*b` is out and `\\w+(?:'\\w+)?` is in
- the optional parts and alternatives together have at most `MAX_CHOICES` combinations
- no back-references, no conditionals; lookarounds hold neither repeats nor alternatives

The tree is that of `re._parser` (Python 3.11 to 3.14): kinds of nodes not known here are refused, and all
patterns but scikit-learn's own where there is no such module.
"""

import re
from collections.abc import Iterable
from functools import reduce
from typing import Any, Final

MAX_LENGTH: Final = 200
MAX_REPEATS: Final = 3
MAX_CHOICES: Final = 256

#: Pattern of scikit-learn's text vectorizers.
_DEFAULT: Final = r"(?u)\b\w\w+\b"
_PARSER: Final[Any] = getattr(re, "_parser", None)
_CATEGORIES: Final = {
    f"CATEGORY_{negation}{name}": re.compile(letter.upper() if negation else letter)
    for name, letter in (("DIGIT", r"\d"), ("SPACE", r"\s"), ("WORD", r"\w"))
    for negation in ("", "NOT_")
}
_REPEATS: Final = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})
_CHOICES: Final = _REPEATS | {"BRANCH"}
_CHARACTERS: Final = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN"})

_Chars = frozenset[str]


class _Refused(Exception):
    pass


def refusal(pattern: str) -> str | None:
    """Why this regular expression may not be used, or `None`."""
    if len(pattern) > MAX_LENGTH:
        return f"may have at most {MAX_LENGTH} characters"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is not a regular expression: {error}"
    if pattern == _DEFAULT:
        return None
    if _PARSER is None:
        return f"can only be {_DEFAULT} on this version of Python"
    try:
        _Pattern(pattern).check()
    except (_Refused, RecursionError) as error:
        return f"could take too long: {error or 'nested too deep'}"
    return None


class _Pattern:
    """One pattern under inspection."""

    def __init__(self, pattern: str) -> None:
        self._tree = _PARSER.parse(pattern)
        near = [chr(max(ord(c) + step, 0)) for c in pattern for step in (-1, 0, 1) if ord(c) < 0x10FFFF]
        points = [*range(0x250), *range(0x250, 0x10000, 17), *_codes(self._tree)]
        self._alphabet = frozenset(near).union(map(chr, points))
        self._repeats = 0
        self._choices = 1

    def check(self) -> None:
        self._sequence(self._tree, frozenset())

    def _sequence(self, items: Iterable[Any], pending: _Chars) -> _Chars:
        """`pending` are the characters of the repeats before, whose end is still open; returned after the
        items."""
        for operation, argument in items:
            pending = self._item(str(operation), argument, pending)
        return pending

    def _item(self, name: str, argument: Any, pending: _Chars) -> _Chars:
        if name in _CHARACTERS:
            return pending if pending & self._chars(name, argument) else frozenset()
        if name in _REPEATS:
            least, most, items = argument
            return self._repeat(int(least), int(most), items, pending)
        if name == "BRANCH":
            self._choose(len(argument[1]))
            return frozenset().union(*(self._sequence(items, pending) for items in argument[1]))
        if name == "SUBPATTERN":
            return self._sequence(argument[3], pending)
        if name == "ATOMIC_GROUP":
            return self._sequence(argument, pending)
        if name in ("ASSERT", "ASSERT_NOT"):
            if _names(argument[1]) & _CHOICES:
                raise _Refused("a lookaround holds a repeat or alternatives")
            self._sequence(argument[1], frozenset())
            return pending
        if name == "AT":
            return pending
        known = {"GROUPREF": "a back-reference", "GROUPREF_EXISTS": "a conditional"}
        raise _Refused(f"it holds {known.get(name, name)}")

    def _repeat(self, least: int, most: int, items: Any, pending: _Chars) -> _Chars:
        if most <= 1:
            if least == most:
                return self._sequence(items, pending)
            self._choose(2)
            return pending | self._sequence(items, pending)
        if _names(items) & _CHOICES:
            raise _Refused("what is repeated holds a repeat or alternatives")
        after = self._sequence(items, pending)
        if least == most:
            return after
        self._repeats += 1
        if self._repeats > MAX_REPEATS:
            raise _Refused(f"it holds more than {MAX_REPEATS} repeats of varying length")
        own = self._all_chars(items)
        if own & pending:
            raise _Refused("two repeats can match the same text")
        return pending | own

    def _choose(self, ways: int) -> None:
        self._choices *= ways
        if self._choices > MAX_CHOICES:
            raise _Refused(f"it holds more than {MAX_CHOICES} combinations of alternatives")

    def _all_chars(self, items: Any) -> _Chars:
        sets = (self._chars(name, argument) for name, argument in _walk(items) if name in _CHARACTERS)
        return reduce(frozenset.union, sets, frozenset())

    def _chars(self, name: str, argument: Any) -> _Chars:
        """The characters of the alphabet that this node matches, in either case."""
        if name == "ANY":
            return self._alphabet
        if name == "IN":
            found = frozenset[str]().union(*(self._member(str(kind), value) for kind, value in argument))
            if any(str(kind) == "NEGATE" for kind, _ in argument):
                found = self._alphabet - found
        else:
            found = _either_case(chr(argument))
            if name == "NOT_LITERAL":
                found = self._alphabet - {chr(argument)}
        return found.union(*map(_either_case, found))

    def _member(self, kind: str, value: Any) -> _Chars:
        if kind == "LITERAL":
            return frozenset({chr(value)})
        if kind == "RANGE":
            return frozenset(c for c in self._alphabet if value[0] <= ord(c) <= value[1])
        if kind == "CATEGORY" and str(value) in _CATEGORIES:
            return frozenset(filter(_CATEGORIES[str(value)].fullmatch, self._alphabet))
        if kind == "NEGATE":
            return frozenset()
        raise _Refused(f"it holds {kind}")


def _either_case(char: str) -> _Chars:
    return frozenset({char, char.lower(), char.upper()})


def _walk(items: Any) -> Iterable[tuple[str, Any]]:
    for operation, argument in items:
        name = str(operation)
        yield name, argument
        if name in _REPEATS or name == "SUBPATTERN":
            yield from _walk(argument[-1])
        elif name in ("ASSERT", "ASSERT_NOT"):
            yield from _walk(argument[1])
        elif name == "BRANCH":
            for alternative in argument[1]:
                yield from _walk(alternative)
        elif name == "ATOMIC_GROUP":
            yield from _walk(argument)


def _names(items: Any) -> set[str]:
    return {name for name, _ in _walk(items)}


def _codes(items: Any) -> Iterable[int]:
    """Code points at the ends of ranges and of single characters in the pattern, also escaped ones."""
    for name, argument in _walk(items):
        if name in ("LITERAL", "NOT_LITERAL"):
            yield argument
        elif name == "IN":
            for kind, value in argument:
                if str(kind) == "LITERAL":
                    yield value
                elif str(kind) == "RANGE":
                    yield from value
