"""Filters on columns, as conditions and as one Arrow expression."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

from omega.domain.errors import BadInput
from omega.domain.tabular.axes import TEXT, Axis, truth_from_text
from omega.domain.tabular.category_axis import axis_of
from omega.domain.tabular.schema import columns, read_column
from omega.domain.tabular.select import split, unknown_column

OPERATORS: Final = (
    *("eq", "ne", "lt", "lte", "gt", "gte", "in", "between"),
    *("contains", "startswith", "endswith", "isnull"),
)
_TEXT_KERNELS: Final[dict[str, Callable[..., pc.Expression]]] = {
    "contains": pc.match_substring,
    "startswith": pc.starts_with,
    "endswith": pc.ends_with,
}


@frozen(eq=False)
class Condition:
    """What one filter demands of a column: an operator, its values as the column's axis reads them, and an
    expression that is true for the rows that meet it.
    """

    name: str
    operator: str
    values: Sequence[Any]
    expression: pc.Expression


def all_hold(conditions: Sequence[Condition]) -> pc.Expression | None:
    """True for the rows that meet every condition; `None` without any."""
    found = [condition.expression for condition in conditions]
    return reduce(lambda a, b: a & b, found) if found else None


def conditions(schema: pa.Schema, filters: Sequence[tuple[str, str]]) -> list[Condition]:
    """Filters as in a URL, `("col__op", "text")`, all of which must hold.

    A bare column name means eq; a name that is a column's is that column, whatever it ends in. Text is read
    as the column's type: whole numbers exactly, `true`/`false` (or `1`/`0`, `yes`/`no`), ISO 8601 (in a
    column with a zone, text without an offset is in that zone; in one without, an offset is an error),
    decimals, categories as their categories' type. `in` takes a comma list quoted as in CSV, `between` two
    values, both inclusive. Ordered categories compare by their order, others by value. `ne` keeps rows
    without a value, `isnull` counts NaN, null and NaT.

    Raises: BadInput naming an unknown column or operator, or the value that cannot be read.
    """

    def values(name: str, operator: str, text: str, axis: Axis) -> list[Any]:
        if operator == "isnull":
            return [_told(name, text, truth_from_text)]
        parts = split(text) if operator in ("in", "between") else [text]
        return [_told(name, part, str if operator in TEXT else axis.read) for part in parts]

    return [_condition(schema, key, text, values) for key, text in filters]


def conditions_python(schema: pa.Schema, where: Mapping[str, Any]) -> list[Condition]:
    """The same for Python values, `{"col__op": value}`; `in` and `between` take lists.

    Dates and times may also be given as text.

    Raises: BadInput, as `conditions`.
    """

    def values(name: str, operator: str, given: Any, axis: Axis) -> list[Any]:
        if operator == "isnull":
            return [_told(name, given, _truth)]
        if operator in ("in", "between"):
            if not isinstance(given, list | tuple | set | frozenset | range | np.ndarray):
                raise BadInput(f"filter on column {name!r}: {operator} takes a list")
            return [_told(name, value, axis.take) for value in given]
        return [_told(name, given, _text if operator in TEXT else axis.take)]

    return [_condition(schema, str(key), value, values) for key, value in where.items()]


def _told(name: str, value: Any, read: Callable[[Any], Any]) -> Any:
    try:
        return read(value)
    except BadInput:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise BadInput(f"filter on column {name!r}: cannot use {_shown(value)}: {error}") from error


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _truth(value: Any) -> bool:
    if not isinstance(value, bool | np.bool):
        raise TypeError("it is neither True nor False")
    return bool(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("it is not text")
    return str(value)


def _condition(
    schema: pa.Schema, key: str, given: Any, values: Callable[[str, str, Any, Axis], list[Any]]
) -> Condition:
    name, operator = _named(key, columns(schema))
    axis = axis_of(pc.field(name), read_column(schema.field(name)).form)
    if operator not in axis.operators:
        raise BadInput(
            f"filter on column {name!r}: {operator!r} does not go with its type; "
            f"what goes is {', '.join(o for o in OPERATORS if o in axis.operators)}"
        )
    read = values(name, operator, given, axis)
    return Condition(
        name, operator, read, _told(name, given, lambda _: _expression(name, operator, read, axis))
    )


def _named(key: str, known: Sequence[str]) -> tuple[str, str]:
    if key in known:
        return key, "eq"
    name, found, operator = key.rpartition("__")
    if not found or name not in known:
        raise unknown_column(name if found and operator in OPERATORS else key, known)
    if operator not in OPERATORS:
        raise BadInput(
            f"unknown operator {operator[:80]!r} for column {name!r}: there are {', '.join(OPERATORS)}"
        )
    return name, operator


def _expression(name: str, operator: str, values: list[Any], axis: Axis) -> pc.Expression:
    if operator == "isnull":
        return axis.missing() if values[0] else ~axis.missing()
    if operator == "in":
        return axis.among(values) if values else pc.scalar(False)
    if operator == "between":
        if len(values) != 2:
            raise BadInput(f"filter on column {name!r}: between takes two values, not {len(values)}")
        return axis.compare("gte", values[0]) & axis.compare("lte", values[1])
    if operator == "ne":
        return ~axis.compare("eq", values[0]) | axis.missing()
    if operator in TEXT:
        return axis.text(_TEXT_KERNELS[operator], values[0])
    return axis.compare(operator, values[0])
