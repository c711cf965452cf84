"""From what an estimator answers to arrays and numbers."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from omega.ports.models import InvalidModelInput


def dense(answer: Any, *, max_cells: int) -> np.ndarray | list[np.ndarray]:
    """The answer as one array; as several, when it is one array per output and these differ in shape.

    Raises: InvalidModelInput, when a sparse answer would have more than `max_cells` values.
    """
    if sparse.issparse(answer):
        rows, columns = answer.shape
        if rows * columns > max_cells:
            raise InvalidModelInput(
                f"the result would be {rows:,} x {columns:,} values, the limit is {max_cells:,} values in all"
            )
        return np.asarray(answer.toarray())
    if isinstance(answer, pd.DataFrame | pd.Series):
        return np.asarray(answer.to_numpy())
    if isinstance(answer, list | tuple) and answer and all(np.ndim(part) == 2 for part in answer):
        parts = [np.asarray(part) for part in answer]
        return np.stack(parts) if len({part.shape for part in parts}) == 1 else parts
    return np.asarray(answer)


def number(answer: Any) -> float:
    """The answer of `score` as a float."""
    return float(answer)
