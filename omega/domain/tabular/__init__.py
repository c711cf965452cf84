"""The exact form of a pandas frame as one Arrow table, and everything that is done to tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


def from_pandas(df: pd.DataFrame) -> pa.Table:
    """The table that keeps `df` exactly."""
    raise NotImplementedError


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """The exact inverse of `from_pandas`."""
    raise NotImplementedError


def from_series(s: pd.Series) -> pa.Table:
    """The one-column table that keeps `s` exactly, its name included."""
    raise NotImplementedError


def to_series(table: pa.Table) -> pd.Series:
    """The exact inverse of `from_series`."""
    raise NotImplementedError


def adopt(table: pa.Table) -> pa.Table:
    """Any Arrow table from outside, in our form."""
    raise NotImplementedError


def empty_like(schema: pa.Schema) -> pa.Table:
    """A table of this schema without rows."""
    raise NotImplementedError


def columns(schema: pa.Schema) -> list[str]:
    """The user-visible column names in order, index fields left out."""
    raise NotImplementedError


def dtypes(schema: pa.Schema) -> dict[str, str]:
    """Column name to pandas dtype name."""
    raise NotImplementedError


def index_fields(schema: pa.Schema) -> list[str]:
    """The Arrow field names of the index levels."""
    raise NotImplementedError


def conform(table: pa.Table, like: pa.Table) -> pa.Table:
    """`table` made fit to be appended to the frame that `like` is a segment of."""
    raise NotImplementedError


def widened(stored: pa.Schema, conformed: pa.Schema) -> list[str]:
    """The columns that must be read as another type from now on."""
    raise NotImplementedError


def widen(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """An older segment cast to `schema`."""
    raise NotImplementedError


def select(schema: pa.Schema, selector: str) -> list[str]:
    """The column names that `selector` means."""
    raise NotImplementedError


def where(schema: pa.Schema, filters: Sequence[tuple[str, str]]) -> pc.Expression | None:
    """Filters as written in a URL, as one expression."""
    raise NotImplementedError


def where_python(schema: pa.Schema, where: Mapping[str, Any]) -> pc.Expression | None:
    """Filters on Python values, as one expression."""
    raise NotImplementedError


def sort(table: pa.Table, by: str) -> pa.Table:
    """`table` in the order of `by`."""
    raise NotImplementedError
