"""Frames in JSON, as datasets and the data of models are sent and read."""

from collections.abc import Mapping
from typing import Any, Final

from omega.entrypoints.http.documented.common import ANYTHING, TEXT, array, closed, nullable
from omega.entrypoints.http.operations import Schema, ref

_MAP: Final = {"type": "object"}
ORIENTS: Final = ("dict", "columns", "list", "records", "split", "index", "values")
_INDEX_TYPES: Final = [
    "Index",
    "RangeIndex",
    "Int64Index",
    "UInt64Index",
    "Float64Index",
    "NumericIndex",
    "DatetimeIndex",
    "TimedeltaIndex",
    "PeriodIndex",
    "CategoricalIndex",
    "IntervalIndex",
    "MultiIndex",
]

DTYPES: Final[Schema] = {
    "type": "object",
    "additionalProperties": TEXT,
    "description": "The dtype of each column, as pandas calls it.",
}
#: The fields of a body that hold a frame.
FRAME: Final[Mapping[str, Schema]] = {
    "data": ref("FrameData"),
    "dtypes": nullable(
        {**DTYPES, "description": "Dtypes that columns are cast to; the others are inferred."}
    ),
    "orient": nullable(
        {"enum": list(ORIENTS), "description": "How `data` is laid out, where that is not plain."}
    ),
    "index": nullable(ref("FrameIndex")),
    "columns": nullable({**array(TEXT), "description": "Names and order of the columns."}),
}
SCHEMAS: Final[Mapping[str, Schema]] = {
    "FrameData": {
        "description": "The values of a frame. All columns have as many rows.",
        "anyOf": [
            {
                "title": "dict, columns or index",
                "description": (
                    "`{column: {row position or index label: value}}`; `index`: `{label: {column: value}}`"
                ),
                **_MAP,
                "additionalProperties": _MAP,
            },
            {
                "title": "list",
                "description": "`{column: [value, ...]}`",
                **_MAP,
                "additionalProperties": array(ANYTHING),
            },
            {
                "title": "split",
                **closed({"columns": array(TEXT), "index": array(ANYTHING), "data": array(array(ANYTHING))}),
                "required": ["data"],
            },
            {"title": "records", "description": "`[{column: value}, ...]`", **array(_MAP)},
            {"title": "values", "description": "`[[value, ...], ...]`", **array(array(ANYTHING))},
            {
                "title": "one column",
                "description": "`[value, ...]`",
                **array({"type": ["string", "number", "boolean", "null"]}),
            },
        ],
    },
    "FrameIndex": {
        "description": "The labels of the rows; 0 to n-1 by default.",
        **closed(
            {
                "type": {"enum": _INDEX_TYPES, "description": "The pandas class of the index."},
                "values": array(ANYTHING),
                "names": array({"type": ["string", "integer", "null"]}),
                "dtype": {"type": ["string", "array"], "items": nullable(TEXT)},
            },
        ),
        "required": ["values"],
    },
}
EXAMPLES: Final[Mapping[str, Any]] = {
    "columns as lists": {"data": {"x": [0, 1, 2], "y": [1, 3, 5]}},
    "records": {"data": [{"x": 0, "y": 1}, {"x": 1, "y": 3}]},
    "as pandas writes it": {
        "data": {"x": {"0": 0, "1": 1}, "y": {"0": 1, "1": 3}},
        "dtypes": {"x": "int64", "y": "int64"},
        "orient": "columns",
        "index": {"type": "Int64Index", "values": [0, 1]},
    },
}
