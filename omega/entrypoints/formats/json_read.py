"""JSON bodies as frames: `data`, and how `orient`, `columns`, `index` and `dtypes` say to read it."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import pyarrow as pa
from attrs import frozen

from omega.domain.errors import BadInput
from omega.entrypoints.formats.assembly import table_of
from omega.entrypoints.formats.casts import cast
from omega.entrypoints.formats.dtypes import parse_dtype
from omega.entrypoints.formats.grid import Grid
from omega.entrypoints.formats.inference import infer, shown
from omega.entrypoints.formats.json_index import read_index
from omega.entrypoints.formats.orients import read_grid
from omega.entrypoints.formats.row_keys import listed
from omega.entrypoints.limits import Limits
from omega.entrypoints.strict_json import parse_json

#: The fields of a body that `decode_json_frame` understands.
JSON_FRAME_FIELDS: Final = frozenset({"data", "dtypes", "orient", "index", "columns"})


@frozen(eq=False)
class Decoded:
    """A table in omega's form, and whether its columns came with names (else they are called "0", "1" and
    so on)."""

    table: pa.Table
    named: bool


def parse_json_frame(raw: bytes, *, max_depth: int) -> Any:
    """The value of a body with a frame, as `parse_json`; columns that are objects of row positions may come
    as the lists that they mean.

    Raises: BadInput, as `parse_json`.
    """
    found = listed(raw)
    if found is not None:
        # What is wrong is said of the body itself.
        with suppress(BadInput):
            value = parse_json(found.text, max_depth=max_depth)
            if found.is_in(value) and _takes_lists(value):
                return value
    return parse_json(raw, max_depth=max_depth)


def _takes_lists(body: Mapping[str, Any]) -> bool:
    """Whether lists and objects of row positions mean the same: not where the keys are labels, which an index
    may give in another order.
    """
    orient = body.get("orient")
    return orient is None or orient == "dict" or (orient == "columns" and body.get("index") is None)


def decode_json_frame(body: Mapping[str, Any], *, limits: Limits) -> Decoded:
    """The frame in a JSON body; fields that are not in `JSON_FRAME_FIELDS` are not looked at.

    Raises: BadInput naming the column, row, label or field at fault; TooLarge naming the limit.
    """
    return decode_grid(read_grid(body, limits), body)


def decode_grid(grid: Grid, body: Mapping[str, Any]) -> Decoded:
    """The frame of a grid that was read from a body, as `decode_json_frame`."""
    dtypes = _dtypes(body.get("dtypes"), grid.names)
    arrays = []
    for name, values in zip(grid.names, grid.columns, strict=True):
        of = f"column {shown(name)}"
        arrays.append(cast(values, dtypes[name], of=of) if name in dtypes else infer(values, of=of))
    table = table_of(grid.names, arrays, read_index(body.get("index"), grid))
    return Decoded(table, grid.named)


def _dtypes(given: Any, names: list[str]) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise BadInput("'dtypes' must be an object of column names and dtypes")
    known = set(names)
    if unknown := [name for name in given if name not in known]:
        raise BadInput(f"'dtypes' names columns that the data has not: {', '.join(map(shown, unknown[:10]))}")
    return {name: parse_dtype(text, of=f"column {shown(name)}") for name, text in given.items()}
