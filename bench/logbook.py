"""The frame that the benchmarks of the store use: a log of five measurements, three whole numbers, a name and
a time, 10 columns. `i0` and `t` go up with the rows, as ids and times do; the others are in no order.
"""

from typing import Final

import numpy as np
import pandas as pd

from omega import Omega

#: So many rows have the same `i0`.
ROWS_OF_AN_ID: Final = 100
_AT_ONCE: Final = 1_000_000
_NAMES: Final = np.array([f"station {n}" for n in range(1000)])


def logbook(rows: int, *, start: int = 0) -> pd.DataFrame:
    """The rows from `start` on."""
    draw, number = np.random.default_rng(start), np.arange(start, start + rows)
    columns = {f"f{n}": draw.normal(size=rows) for n in range(5)}
    return pd.DataFrame(
        {
            **columns,
            "i0": number // ROWS_OF_AN_ID,
            "i1": draw.integers(0, 1_000_000, rows),
            "i2": draw.integers(0, 100, rows),
            "s": draw.choice(_NAMES, rows),
            "t": pd.Timestamp("2020-01-01") + pd.to_timedelta(number, unit="s"),
        }
    )


def put_long(omega: Omega, name: str, rows: int) -> None:
    """Put so many rows, a million at a time."""
    for start in range(0, rows, _AT_ONCE):
        omega.datasets.put(logbook(min(_AT_ONCE, rows - start), start=start), name)
