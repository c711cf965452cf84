"""Columns put together as a table in omega's form."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from omega.domain import tabular


def table_of(names: Sequence[str], arrays: Sequence[Any], index: Any) -> pa.Table:
    """The table of these columns and this index, dtypes as they are.

    Raises: BadInput naming the column that cannot be kept.
    """
    columns = {
        # pandas would look for another dtype in a bare object array.
        name: pd.Series(array, index=index, dtype=object) if array.dtype == np.dtype(object) else array
        for name, array in zip(names, arrays, strict=True)
    }
    # Without a column pandas would number the columns that there are not.
    labels = None if columns else pd.Index([], dtype="str")
    return tabular.from_pandas(pd.DataFrame(columns, index=index, columns=labels, copy=False))


def counts_from_zero(array: Any) -> bool:
    """Whether these are the numbers from 0 on, as a frame without an index of its own has them."""
    if array.dtype != np.dtype("i8") or not len(array):
        return False
    return (
        int(array[0]) == 0
        and int(array[-1]) == len(array) - 1
        and np.array_equal(array, np.arange(len(array)))
    )
