"""What the values of some rows lie between, and which conditions no row between such bounds can meet.

Bounds are a table with a row for each lot of rows: how many they are (`rows`) and, of the column in place
n, the lowest value `n.low`, the highest `n.high`, and how many rows have none (`n.missing`). A bound that is
null is no bound; where `n.missing` is null nothing is known of the column. What a value is, how it compares
and when it is missing is what filters say (`axes`), so that NaN, zones and text go by the same rules here and
there. See docs/adr/0024.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.acero as ac
import pyarrow.compute as pc

from omega.domain.tabular.axes import Axis, Floats, Scalars, Steps
from omega.domain.tabular.category_axis import axis_of
from omega.domain.tabular.schema import KEY, is_index_name, read_column
from omega.domain.tabular.where import Condition

ROWS: Final = "rows"
#: Longer text is bounded by what it begins with.
_TEXT_CHARS: Final = 32
#: A longer list of values is not looked up.
_MOST_VALUES: Final = 64
_LAST_CHARACTER: Final = "\U0010ffff"
#: Of these Arrow tells the lowest and the highest. Durations are their counts.
_ORDERED: Final = (
    *(pa.types.is_boolean, pa.types.is_integer, pa.types.is_float32, pa.types.is_float64),
    *(pa.types.is_decimal128, pa.types.is_decimal256, pa.types.is_string, pa.types.is_large_string),
    *(pa.types.is_timestamp, pa.types.is_date, pa.types.is_time, pa.types.is_duration),
)


def bounds_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of the bounds of rows of this schema, which must be in our form."""
    fields = [pa.field(ROWS, pa.int64())]
    for place, field in enumerate(schema):
        if _has_bounds(field):
            # What a value means depends on more than its Arrow type: bounds count only in the same form.
            form = {KEY: (field.metadata or {})[KEY]}
            fields += [pa.field(f"{place}.{part}", field.type, metadata=form) for part in ("low", "high")]
            fields.append(pa.field(f"{place}.missing", pa.int64()))
    return pa.schema(fields)


def bounds(table: pa.Table) -> pa.Table:
    """The bounds of all rows of `table`, of shape (1, 1 + 3 for each column that has bounds)."""
    schema = bounds_schema(table.schema)
    values: dict[str, Any] = {ROWS: pa.array([table.num_rows])}
    for place, (field, column) in enumerate(zip(table.schema, table.itercolumns(), strict=True)):
        if _has_bounds(field):
            low, high = _extremes(column)
            missing = pc.sum(pc.is_null(column, nan_is_null=True)).as_py() or 0
            values |= {f"{place}.low": low, f"{place}.high": high, f"{place}.missing": pa.array([missing])}
    return pa.table(values, schema=schema)


def may_hold(known: pa.Table, schema: pa.Schema, conditions: Sequence[Condition]) -> pa.ChunkedArray:
    """For each row of the bounds `known` whether rows within them may meet all conditions, of shape (lots,).

    Never false where one row does. `schema` is that of the rows, in which the conditions were read.
    """
    told = [_may_meet(condition, schema, known.schema) for condition in conditions]
    return _truth(reduce(lambda a, b: a & b, told, pc.scalar(True)), known)


def _truth(expression: pc.Expression, table: pa.Table) -> pa.ChunkedArray:
    source = ac.Declaration("table_source", ac.TableSourceNodeOptions(table))
    project = ac.Declaration("project", ac.ProjectNodeOptions([expression], ["truth"]))
    # To start threads for so few rows takes longer than the rows.
    return ac.Declaration.from_sequence([source, project]).to_table(use_threads=False).column(0)


def _has_bounds(field: pa.Field) -> bool:
    if is_index_name(field.name) or not any(is_ordered(field.type) for is_ordered in _ORDERED):
        return False
    return isinstance(axis_of(pc.field(""), read_column(field).form), Floats | Steps | Scalars)


def _extremes(column: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """The lowest and the highest value, or bounds beyond them; null, or NaN, where there is no value."""
    kind = column.type
    if pa.types.is_floating(kind) and column.null_count == 0 and (whole := _of_floats(column)):
        return whole
    counted = column.cast(pa.int64()) if pa.types.is_duration(kind) else column
    found = pc.min_max(counted)
    low, high = (pa.repeat(found[part], 1) for part in ("min", "max"))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _cut(low, high)
    return low.cast(kind), high.cast(kind)


def _of_floats(column: pa.ChunkedArray) -> tuple[pa.Array, pa.Array] | None:
    """The same of floats without nulls, in a tenth of the time; `None` if one is a NaN, or there is none."""
    parts = [chunk.to_numpy() for chunk in column.chunks if len(chunk)]
    # numpy's least of values with a NaN is NaN.
    low = np.min([np.min(part) for part in parts]) if parts else np.nan
    if np.isnan(low):
        return None
    high = np.max([np.max(part) for part in parts])
    return pa.array([low], column.type), pa.array([high], column.type)


def _cut(low: pa.Array, high: pa.Array) -> tuple[pa.Array, pa.Array]:
    least, most = low[0].as_py(), high[0].as_py()
    if most is not None and len(most) > _TEXT_CHARS:
        most = _following(most[:_TEXT_CHARS])
    return pa.array([least and least[:_TEXT_CHARS]], low.type), pa.array([most], high.type)


def _following(text: str) -> str | None:
    """The least text, by code points, above all that begin with `text`; `None` if there is none."""
    start = text.rstrip(_LAST_CHARACTER)
    if not start:
        return None
    # The code points after U+D7FF are the surrogates, which no text holds.
    return start[:-1] + ("\ue000" if start[-1] == "\ud7ff" else chr(ord(start[-1]) + 1))


def _may_meet(condition: Condition, schema: pa.Schema, known: pa.Schema) -> pc.Expression:
    place, field = schema.get_field_index(condition.name), schema.field(condition.name)
    at = known.get_field_index(f"{place}.low")
    if at < 0 or not _has_bounds(field) or read_column(known.field(at)).form != read_column(field).form:
        return pc.scalar(True)
    missing, rows = pc.field(f"{place}.missing"), pc.field(ROWS)
    if condition.operator == "isnull":
        found = missing > 0 if condition.values[0] else missing < rows
    else:
        form = read_column(field).form
        low, high = (axis_of(pc.field(f"{place}.{part}"), form) for part in ("low", "high"))
        found = _may_be(condition, low, high, missing)
        if condition.operator != "ne":
            found = (missing < rows) & found
    return missing.is_null() | found


def _may_be(condition: Condition, low: Axis, high: Axis, missing: pc.Expression) -> pc.Expression:
    """Whether a value between these bounds, or a missing one, may be as the condition wants it."""

    def within(least: Any, most: Any) -> pc.Expression:
        return _reaches(high, "gte", least) & _reaches(low, "lte", most)

    values = condition.values
    match condition.operator:
        case "eq":
            return within(values[0], values[0])
        case "between" if len(values) == 2:
            return within(*values)
        case "in" if len(values) <= _MOST_VALUES:
            return reduce(lambda a, b: a | b, (within(v, v) for v in values), pc.scalar(False))
        case "lt" | "lte":
            return _reaches(low, condition.operator, values[0])
        case "gt" | "gte":
            return _reaches(high, condition.operator, values[0])
        case "startswith":
            return _may_start(low, high, values[0])
    return pc.scalar(True)


def _may_start(low: Axis, high: Axis, beginning: str) -> pc.Expression:
    beyond, reached = _following(beginning), _reaches(high, "gte", high.take(beginning))
    return reached if beyond is None else reached & _reaches(low, "lt", low.take(beyond))


def _reaches(bound: Axis, operator: str, value: Any) -> pc.Expression:
    return bound.missing() | bound.compare(operator, value)
