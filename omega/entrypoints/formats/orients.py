"""The `data` of a JSON body in any orient, as columns of values.

| orient    | `data`                                                            |
|-----------|-------------------------------------------------------------------|
| `dict`    | `{column: {row position: value}}`, positions "0" to "n-1"         |
| `columns` | `{column: {index label: value}}`                                  |
| `list`    | `{column: [value, ...]}`; taken under `dict` and `columns` too    |
| `records` | `[{column: value, ...}, ...]`; a missing key is null, within the  |
|           | limit that `grid.check_sparse` sets                               |
| `values`  | `[[value, ...], ...]`, names in the body's `columns`              |
| `split`   | `{"columns": [...], "index": [...], "data": [[value, ...], ...]}` |
| `index`   | `{index label: {column: value}}`                                  |
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from omega.domain.errors import BadInput
from omega.entrypoints.formats.grid import Grid, check_size, check_sparse, unique_names
from omega.entrypoints.formats.inference import shown
from omega.entrypoints.formats.labels import rows_by_label
from omega.entrypoints.limits import Limits

_NO_COLUMN: Final[tuple[str | None, Mapping[str, Any]]] = (None, {})


def read_grid(body: Mapping[str, Any], limits: Limits) -> Grid:
    """The columns of a body.

    Raises: BadInput, TooLarge.
    """
    if body.get("data") is None:
        raise BadInput("the body has no 'data'")
    data, orient = body["data"], body.get("orient")
    if orient is not None and orient not in tuple(ORIENTS):
        raise BadInput(f"unknown orient {shown(orient)}: there are {', '.join(ORIENTS)}")
    names = None if body.get("columns") is None else unique_names(body["columns"], "columns", limits)
    orient = orient or _detected(data)
    return ORIENTS[orient](data, names, _index_values(body.get("index")), limits)


def _detected(data: Any) -> str:
    if isinstance(data, list):
        return "records" if data and isinstance(data[0], dict) else "values"
    if not isinstance(data, dict):
        raise BadInput(f"'data' must be an object or a list, not {shown(data)}")
    first: Any = next(iter(data.values()), {})
    if not isinstance(first, dict):
        return "list"
    keys = _positions(len(first))
    return "dict" if list(first) == keys or first.keys() == set(keys) else "columns"


def _index_values(index: Any) -> list[Any] | None:
    values = index.get("values") if isinstance(index, Mapping) else None
    return values if isinstance(values, list) else None


def _positions(rows: int) -> list[str]:
    return list(map(str, range(rows)))


def _by_position(data: Any, names: list[str] | None, index: list[Any] | None, limits: Limits) -> Grid:
    if _is_lists(data, "dict"):
        return _lists(data, names, index, limits)
    data = _of_dicts(data, names, "dict", limits)
    first, column = next(iter(data.items()), _NO_COLUMN)
    keys = _positions(len(column))
    if list(column) != keys and column.keys() != set(keys):
        positions = set(keys)
        strange = next(key for key in column if key not in positions)
        raise BadInput(
            f'column {shown(first)}: with orient \'dict\' keys are row positions "0" to "{len(keys) - 1}", '
            f"{shown(strange)} is none (with orient 'columns' they are index labels)"
        )
    return _grid(data, keys, None, index, limits)


def _by_label(data: Any, names: list[str] | None, index: list[Any] | None, limits: Limits) -> Grid:
    if _is_lists(data, "columns"):
        return _lists(data, names, index, limits)
    data = _of_dicts(data, names, "columns", limits)
    first, column = next(iter(data.items()), _NO_COLUMN)
    if first is None:
        return _grid(data, [], None, index, limits)
    keys, labels = rows_by_label(list(column), index, f"column {shown(first)}")
    return _grid(data, keys, labels, index, limits)


def _grid(
    data: Mapping[str, Any],
    keys: list[str],
    labels: list[Any] | None,
    index: list[Any] | None,
    limits: Limits,
) -> Grid:
    rows = len(keys) if data or index is None else len(index)
    check_size(rows, len(data), limits)
    columns = [_in_order(name, column, keys) for name, column in data.items()]
    return Grid(list(data), columns, rows, labels)


def _in_order(name: str, column: Mapping[str, Any], keys: list[str]) -> list[Any]:
    if list(column) == keys:
        return list(column.values())
    if len(column) == len(keys):
        try:
            return [column[key] for key in keys]
        except KeyError:
            pass
    missing = [key for key in keys if key not in column]
    known = set(keys)
    extra = [key for key in column if key not in known]
    what = (
        f"lacks row {shown(missing[0])}" if missing else f"has row {shown(extra[0])}, which others have not"
    )
    raise BadInput(
        f"column {shown(name)} has {len(column):,} rows where others have {len(keys):,}: it {what}"
    )


def _is_lists(data: Any, orient: str) -> bool:
    return isinstance(data, dict) and bool(data) and isinstance(next(iter(data.values())), list)


def _object(data: Any, orient: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise BadInput(f"with orient {orient!r} 'data' must be an object, not {shown(data)}")
    return data


def _of_dicts(data: Any, names: list[str] | None, orient: str, limits: Limits) -> dict[str, Any]:
    found = _chosen(_object(data, orient), names, limits)
    for name, column in found.items():
        if not isinstance(column, dict):
            raise BadInput(
                f"column {shown(name)} must be an object of rows with orient {orient!r}, as the others "
                f"are: it is {shown(column)}"
            )
    return found


def _chosen(data: dict[str, Any], names: list[str] | None, limits: Limits) -> dict[str, Any]:
    """The columns in the order of `names`."""
    check_size(0, len(data), limits)
    if names is None:
        return data
    _same_names(set(data), names)
    return {name: data[name] for name in names}


def _same_names(found: set[str], names: list[str]) -> None:
    if missing := [name for name in names if name not in found]:
        raise BadInput(f"'columns' names {', '.join(map(shown, missing[:10]))}, which the data has not")
    if extra := sorted(found - set(names)):
        raise BadInput(f"the data has {', '.join(map(shown, extra[:10]))}, which 'columns' does not name")


def _lists(data: Any, names: list[str] | None, index: list[Any] | None, limits: Limits) -> Grid:
    data = _chosen(_object(data, "list"), names, limits)
    rows = len(index) if index is not None and not data else None
    for name, column in data.items():
        if not isinstance(column, list):
            raise BadInput(
                f"column {shown(name)} must be a list of values, as the others are: it is {shown(column)}"
            )
        rows = len(column) if rows is None else rows
        if len(column) != rows:
            first = next(iter(data))
            raise BadInput(
                f"columns differ in length: {shown(first)} has {rows:,} rows, {shown(name)} has "
                f"{len(column):,}"
            )
    check_size(rows or 0, len(data), limits)
    return Grid(list(data), list(data.values()), rows or 0)


def read_records(data: Any, names: list[str] | None, index: list[Any] | None, limits: Limits) -> Grid:
    """Rows that are objects.

    Raises: BadInput, TooLarge.
    """
    if not isinstance(data, list):
        raise BadInput(f"with orient 'records' 'data' must be a list of objects, not {shown(data)}")
    first = data[0] if data and isinstance(data[0], dict) else ()
    found: dict[str, None] = dict.fromkeys(first if names is None else names)
    same = True
    for row, record in enumerate(data):
        if not isinstance(record, dict):
            raise BadInput(
                f"row {row} must be an object, as with orient 'records' all are: it is {shown(record)}"
            )
        if found.keys() != record.keys():
            same = False
            found.update(dict.fromkeys(record))
            check_size(row, len(found), limits)
    if names is not None and len(found) != len(names):
        _same_names(set(found), names)
    columns = list(found)
    check_sparse(len(data), len(columns), sum(map(len, data)), limits)
    if same:
        return Grid(columns, [[record[name] for record in data] for name in columns], len(data))
    return Grid(columns, [[record.get(name) for record in data] for name in columns], len(data))


def _values(data: Any, names: list[str] | None, index: list[Any] | None, limits: Limits) -> Grid:
    if not isinstance(data, list):
        raise BadInput(f"with orient 'values' 'data' must be a list of rows, not {shown(data)}")
    if not any(isinstance(row, list | dict) for row in data):
        data = [[value] for value in data]
    width = len(data[0]) if data and isinstance(data[0], list) else len(names or ())
    for row, values in enumerate(data):
        if not isinstance(values, list):
            raise BadInput(f"row {row} must be a list, as the others are: it is {shown(values)}")
        if len(values) != width:
            raise BadInput(
                f"rows differ in length: row 0 has {width:,} values, row {row} has {len(values):,}"
            )
    if names is not None and len(names) != width:
        raise BadInput(f"'columns' has {len(names):,} names, but the rows have {width:,} values")
    check_size(len(data), width, limits)
    columns = [list(column) for column in zip(*data, strict=True)] if data else [[] for _ in range(width)]
    return Grid(
        names if names is not None else _positions(width), columns, len(data), named=names is not None
    )


def _split(data: Any, names: list[str] | None, index: list[Any] | None, limits: Limits) -> Grid:
    data = _object(data, "split")
    if unknown := sorted(data.keys() - {"columns", "index", "data", "name"}):
        raise BadInput(
            f"with orient 'split' 'data' has columns, index and data: {shown(unknown[0])} is none of them"
        )
    if "columns" not in data and names is None:
        raise BadInput("with orient 'split' 'data' must have 'columns'")
    own = unique_names(data["columns"], "columns", limits) if "columns" in data else names
    labels, rows = data.get("index"), data.get("data")
    if labels is not None and not isinstance(labels, list):
        raise BadInput("with orient 'split' 'index' must be a list of labels")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise BadInput("with orient 'split' 'data' must have a list of rows in 'data', each a list of values")
    grid = _values(rows, own, None, limits)
    if labels is not None and len(labels) != grid.rows:
        raise BadInput(f"the index has {len(labels):,} labels, but there are {grid.rows:,} rows")
    if names is not None and names != own:
        by_name = _chosen(dict(zip(grid.names, grid.columns, strict=True)), names, limits)
        grid = Grid(names, list(by_name.values()), grid.rows)
    return Grid(grid.names, grid.columns, grid.rows, labels)


def _by_row(data: Any, names: list[str] | None, index: list[Any] | None, limits: Limits) -> Grid:
    data = _object(data, "index")
    keys, labels = rows_by_label(list(data), index, "'data'")
    grid = read_records([data[key] for key in keys], names, None, limits)
    return Grid(grid.names, grid.columns, grid.rows, labels)


#: Reads `data`, with the body's column names and index labels.
ORIENTS: Final[dict[str, Callable[[Any, list[str] | None, list[Any] | None, Limits], Grid]]] = {
    "dict": _by_position,
    "columns": _by_label,
    "list": _lists,
    "records": read_records,
    "split": _split,
    "index": _by_row,
    "values": _values,
}
