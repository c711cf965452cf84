"""The exact form of a pandas frame as one Arrow table, and everything that is done to tables."""

from omega.domain.tabular.adopt import adopt
from omega.domain.tabular.append import conform, widen, widened
from omega.domain.tabular.bounds import bounds, bounds_schema, may_hold
from omega.domain.tabular.frame import from_pandas, from_series, to_pandas, to_series
from omega.domain.tabular.schema import columns, dtypes, empty_like, index_fields
from omega.domain.tabular.select import select
from omega.domain.tabular.sort import sort
from omega.domain.tabular.where import Condition, all_hold, conditions, conditions_python

__all__ = [
    "Condition",
    "adopt",
    "all_hold",
    "bounds",
    "bounds_schema",
    "columns",
    "conditions",
    "conditions_python",
    "conform",
    "dtypes",
    "empty_like",
    "from_pandas",
    "from_series",
    "index_fields",
    "may_hold",
    "select",
    "sort",
    "to_pandas",
    "to_series",
    "widen",
    "widened",
]
