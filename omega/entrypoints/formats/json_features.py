"""JSON bodies as features of a model: what `decode_json_frame` reads and, of those that a model is only asked
about, nothing that it does not look at.
"""

from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from omega.domain.features import Features, Numbers, as_features
from omega.domain.tabular.schema import is_index_name
from omega.entrypoints.formats.grid import Grid
from omega.entrypoints.formats.inference import infer, shown
from omega.entrypoints.formats.json_read import decode_grid
from omega.entrypoints.formats.orients import read_grid
from omega.entrypoints.limits import Limits


def decode_json_features(
    body: Mapping[str, Any], *, source: str, limits: Limits, kept: bool = False
) -> Features | Numbers:
    """The features in a JSON body; errors call them `source`. Those that are only asked about, not `kept`,
    need not be in omega's form: they may lack what is noted of a frame's columns.

    Raises: as `decode_json_frame`.
    """
    grid = read_grid(body, limits)
    if not kept and "dtypes" not in body and "index" not in body:
        numbers = _of_numbers(grid, source)
        if numbers is not None:
            return numbers
    decoded = decode_grid(grid, body)
    features = as_features(decoded.table, source=source)
    return Features(features.table, source, named=decoded.named)


def _of_numbers(grid: Grid, source: str) -> Features | Numbers | None:
    """Features of columns that are all plain numbers, as most requests for predictions have them; `None` for
    all else. No DataFrame is made on the way: for one row that takes ten times as long as all the rest.
    """
    if grid.labels is not None or not grid.columns or not grid.rows or any(map(is_index_name, grid.names)):
        return None
    if set(map(type, chain.from_iterable(grid.columns))) == {float}:
        return Numbers(grid.names, grid.columns, source, grid.named)
    found = [_numbers(name, values) for name, values in zip(grid.names, grid.columns, strict=True)]
    arrays = [array for array in found if array is not None]
    if len(arrays) < len(found):
        return None
    return Features(pa.Table.from_arrays(arrays, grid.names), source, grid.named)


def _numbers(name: str, values: list[Any]) -> pa.Array | None:
    if not isinstance(values[0], float | int):
        return None
    array = infer(values, of=f"column {shown(name)}")
    return pa.array(array) if isinstance(array, np.ndarray) and array.dtype.kind in "iuf" else None
