"""JSON bodies as frames: `data`, and how `orient`, `columns`, `index` and `dtypes` say to read it."""

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa
from attrs import frozen

from omega.domain.errors import BadInput
from omega.entrypoints.formats.assembly import table_of
from omega.entrypoints.formats.casts import cast
from omega.entrypoints.formats.dtypes import parse_dtype
from omega.entrypoints.formats.inference import infer, shown
from omega.entrypoints.formats.json_index import read_index
from omega.entrypoints.formats.orients import read_grid
from omega.entrypoints.limits import Limits

#: The fields of a body that `decode_json_frame` understands.
JSON_FRAME_FIELDS: Final = frozenset({"data", "dtypes", "orient", "index", "columns"})


@frozen(eq=False)
class Decoded:
    """A table in omega's form, and whether its columns came with names (else they are called "0", "1" and
    so on)."""

    table: pa.Table
    named: bool


def decode_json_frame(body: Mapping[str, Any], *, limits: Limits) -> Decoded:
    """The frame in a JSON body; fields that are not in `JSON_FRAME_FIELDS` are not looked at.

    Raises: BadInput naming the column, row, label or field at fault; TooLarge naming the limit.
    """
    grid = read_grid(body, limits)
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
