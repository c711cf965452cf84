"""Which columns a selector means."""

import csv
from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from omega.domain.errors import BadInput
from omega.domain.tabular.schema import columns

_SHOWN: Final = 20


def select(schema: pa.Schema, selector: str) -> list[str]:
    """The column names that `selector` means: `x,y`, `^y` (all but y), `a:b` (from a to b inclusive, in
    column order).

    A part that is the exact name of a column means that column, whatever is in it. Names with commas are
    quoted as in CSV. `^` stands first and is for all that follows. The order is that of the selector, for
    `^` and ranges that of the columns; no name comes twice.

    Raises: BadInput naming what is unknown, and where no column is left.
    """
    known = columns(schema)
    if selector in known:
        return [selector]
    excluding = selector.startswith("^") and split(selector)[0] not in known
    chosen = [name for part in split(selector[1:] if excluding else selector) for name in _part(part, known)]
    if excluding:
        left_out = set(chosen)
        if not (left := [name for name in known if name not in left_out]):
            raise BadInput(f"{selector[:80]!r} leaves no column: it must leave at least one")
        return left
    return list(dict.fromkeys(chosen))


def split(text: str) -> list[str]:
    """The parts of a comma list, quoted as in CSV (RFC 4180).

    Raises: BadInput.
    """
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise BadInput(f"cannot read the list {text[:80]!r}: {error}") from error
    parts = rows[0] if rows else []
    return parts or [""]


def _part(part: str, known: Sequence[str]) -> list[str]:
    if part in known:
        return [part]
    for place in (i for i, character in enumerate(part) if character == ":"):
        first, last = part[:place], part[place + 1 :]
        if first in known and last in known:
            a, b = known.index(first), known.index(last)
            if a > b:
                raise BadInput(f"the column range {part!r} is empty: {last!r} comes before {first!r}")
            return list(known[a : b + 1])
    raise unknown_column(part, known)


def unknown_column(name: str, known: Sequence[str]) -> BadInput:
    """The error for a column that is not there, with those that are (at most 20)."""
    shown = ", ".join(map(repr, known[:_SHOWN])) + (", ..." if len(known) > _SHOWN else "")
    what = f"unknown column {name[:80]!r}"
    parts = [part for part in name.split(":") if part not in known]
    if ":" in name and len(parts) == 1:
        what = f"unknown column {parts[0][:80]!r} in {name[:80]!r}"
    return BadInput(f"{what}: the columns are {shown}" if known else f"{what}: there are no columns")
