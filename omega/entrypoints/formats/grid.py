"""Columns of JSON values, and the limits on how many there may be."""

from collections.abc import Sequence
from typing import Any, Final

from attrs import frozen

from omega.domain.errors import BadInput, TooLarge
from omega.domain.tabular.schema import is_index_name
from omega.entrypoints.formats.inference import shown
from omega.entrypoints.limits import Limits

_CELL_BYTES: Final = 8
#: So many cells a table may have whatever is given, and so many for each value that is given.
_FREE_CELLS: Final = 1_000_000
_CELLS_A_VALUE: Final = 20


@frozen(eq=False)
class Grid:
    """Columns of values, all of `rows` values. `labels` are those of the index where the data itself gives
    them."""

    names: list[str]
    columns: list[list[Any]]
    rows: int
    labels: list[Any] | None = None
    named: bool = True


def check_size(rows: int, columns: int, limits: Limits) -> None:
    """Nothing, if a frame of this shape is within the limits.

    Raises: TooLarge naming the limit and the number.
    """
    if columns > limits.columns:
        raise TooLarge(f"{columns:,} columns are over the limit of {limits.columns:,} (columns)")
    if rows > limits.rows:
        raise TooLarge(f"{rows:,} rows are over the limit of {limits.rows:,} (rows)")
    if rows * columns * _CELL_BYTES > limits.decoded_bytes:
        raise TooLarge(
            f"{rows:,} rows of {columns:,} columns take over {rows * columns * _CELL_BYTES:,} bytes, "
            f"the limit is {limits.decoded_bytes:,} (decoded_bytes)"
        )


def check_sparse(rows: int, columns: int, values: int, limits: Limits) -> None:
    """Nothing, if a frame of this shape is within the limits, and not out of proportion to the number of
    values that are given for it.

    Raises: TooLarge naming the limit and the number.
    """
    check_size(rows, columns, limits)
    if (cells := rows * columns) > (most := max(_FREE_CELLS, _CELLS_A_VALUE * values)):
        raise TooLarge(
            f"{rows:,} rows of {columns:,} columns are {cells:,} cells, but {values:,} values are given: "
            f"the limit is {most:,} (cells: {_FREE_CELLS:,}, or {_CELLS_A_VALUE} for each value if more)"
        )


def check_columns(names: Sequence[str], limits: Limits) -> None:
    """Nothing, if there are not too many columns of these names; levels of an index do not count.

    Raises: TooLarge.
    """
    levels = sum(map(is_index_name, names))
    check_size(0, max(levels, len(names) - levels), limits)


def unique_names(given: Any, of: str, limits: Limits) -> list[str]:
    """A list of column names.

    Raises: BadInput for other than a list of text, and for a name that stands twice; TooLarge.
    """
    if not isinstance(given, list) or not all(type(name) is str for name in given):
        raise BadInput(f"'{of}' must be a list of column names")
    check_size(0, len(given), limits)
    if len(set(given)) != len(given):
        seen: set[str] = set()
        twice = next(name for name in given if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise BadInput(f"'{of}' names column {shown(twice)} twice")
    return given
