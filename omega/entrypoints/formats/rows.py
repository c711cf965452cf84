"""Frames cut into pieces small enough to become text: columns of texts, and what an index is called."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from omega.domain import tabular
from omega.domain.errors import BadInput
from omega.entrypoints.formats.inference import shown
from omega.entrypoints.formats.texts import NULL, json_texts

#: How many values are text at once.
MAX_CELLS: Final = 1 << 18
#: So many of a slice: more take more memory, in each of the threads that have sent some.
_SLICE_CELLS: Final = 1 << 16

#: Texts of values: of a Series, Index or array; the name is for errors.
Texts = Callable[..., list[bytes]]


def row_slices(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The tables cut into slices of a bounded number of values, without copying; one without rows gives no
    slice."""
    for table in tables:
        rows = max(1, _SLICE_CELLS // max(1, table.num_columns))
        for start in range(0, table.num_rows, rows):
            # Without columns, Arrow slices past the end.
            yield table.slice(start, min(rows, table.num_rows - start))


def column_texts(table: pa.Table, *, index: bool, texts: Texts = json_texts) -> list[list[bytes]]:
    """The texts of the levels of the index (if they are wanted), then of all columns.

    Raises: BadInput naming the column of a value that has no text.
    """
    names = tabular.columns(table.schema)
    frame = tabular.to_pandas(table if index else table.select(names))
    found = index_texts(frame.index, texts=texts) if index else []
    for place, name in enumerate(names):
        found.append(texts(frame.iloc[:, place], of=f"column {shown(name)}"))
    return found


def index_texts(index: Any, *, texts: Texts = json_texts) -> list[list[bytes]]:
    """The texts of each level of an index."""
    if not isinstance(index, pd.MultiIndex):
        return [texts(index, of="the index")]
    found = []
    for number, (level, codes) in enumerate(zip(index.levels, index.codes, strict=True)):
        missing = NULL if texts is json_texts else b""
        # A missing label has code -1: the last of the texts.
        labels = [*texts(level, of=f"level {number} of the index"), missing]
        found.append([labels[code] for code in codes.tolist()])
    return found


def stored_index(schema: pa.Schema) -> Any:
    """The pandas index of a table of this schema without rows: its class, dtypes and names."""
    return tabular.to_pandas(tabular.empty_like(schema).select(tabular.index_fields(schema))).index


def is_default(index: Any) -> bool:
    """Whether the frame was put without an index of its own; rows that are left out or appended do not
    change that."""
    return isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1 and index.name is None


def level_names(index: Any, columns: Sequence[str]) -> list[str]:
    """What the levels of the index are called as columns, as `DataFrame.reset_index` does it.

    Raises: BadInput where a column has that name already.
    """
    several = isinstance(index, pd.MultiIndex)
    fallback = "level_0" if several or "index" in columns else "index"
    names = [
        str(name) if name is not None else f"level_{level}" if several else fallback
        for level, name in enumerate(index.names)
    ]
    taken = set(columns)
    for place, name in enumerate(names):
        if name in taken:
            raise BadInput(
                f"the index level {shown(name)} has the name of a column: ask for another format, such "
                "as Arrow"
            )
        taken.add(names[place])
    return names
