"""What the routes of datasets take and give."""

from collections.abc import Mapping
from typing import Any, Final

from omega.entrypoints.formats import FORMATS
from omega.entrypoints.http.documented import common, frames
from omega.entrypoints.http.documented.common import TEXT, VERSION, array, closed, nullable
from omega.entrypoints.http.operations import Answer, Content, Link, Operation, Parameter, Schema, ref

_TAG: Final = "dataset"
_BYTES: Final[Schema] = {"type": "string", "format": "binary"}
_FILE: Final = Content(_BYTES, "application/octet-stream")
_URI: Final = {"type": "string", "pattern": "^/api/v1/dataset/"}
_STATED: Final = ("name", "append", "resource_uri", "version", "rows")

SCHEMAS: Final[Mapping[str, Schema]] = {
    "DatasetItem": closed(
        {
            "data": closed({"kind": TEXT, "name": TEXT}),
            **{name: {"type": "null"} for name in ("dtypes", "index", "name", "orient")},
            "resource_uri": _URI,
        }
    ),
    "Dataset": {
        "description": "A frame with `dtypes`, `index` and `orient`; a value or an array without.",
        **closed(
            {
                "data": common.ANYTHING,
                "dtypes": {"type": ["object", "string", "null"], "additionalProperties": TEXT},
                "columns": array(TEXT),
                "index": nullable(ref("FrameIndex")),
                "name": TEXT,
                "orient": nullable({"enum": list(frames.ORIENTS)}),
                "resource_uri": _URI,
                "version": VERSION,
                "rows": nullable(common.COUNT),
            },
            optional=("columns",),
        ),
    },
    "DatasetWrite": {
        "description": "A frame. What a GET answered can be sent back as it is.",
        **closed(
            {
                **frames.FRAME,
                "append": {
                    "type": "boolean",
                    "default": True,
                    "description": "Add to the rows that are there; false replaces them in one step.",
                },
                "name": {**nullable(TEXT), "description": "The name in the URL, or nothing."},
                "resource_uri": common.ANYTHING,
                "version": common.ANYTHING,
                "rows": common.ANYTHING,
            },
            optional=(*(name for name in frames.FRAME if name != "data"), *_STATED),
        ),
    },
    "DatasetWritten": closed(
        {"name": TEXT, "kind": TEXT, "rows": nullable(common.COUNT), "version": VERSION, "resource_uri": _URI}
    ),
}

_ITEM: Final[Mapping[str, Any]] = {
    "data": {"kind": "pandas.dfrows", "name": "sample"},
    "dtypes": None,
    "index": None,
    "name": None,
    "orient": None,
    "resource_uri": "/api/v1/dataset/sample/",
}
_FRAME: Final[Mapping[str, Any]] = {
    "data": {"x": {"0": 0, "1": 1}},
    "dtypes": {"x": "int64"},
    "index": {"type": "Int64Index", "values": [0, 1]},
    "name": "sample",
    "orient": "dict",
    "resource_uri": "/api/v1/dataset/sample/",
    "version": 1,
    "rows": 2,
}
_WRITTEN: Final[Mapping[str, Any]] = {
    "name": "sample",
    "kind": "pandas.dfrows",
    "rows": 3,
    "version": 1,
    "resource_uri": "/api/v1/dataset/sample/",
}
_NAME: Final = common.name_parameter("dataset", "sample")
_SELECTED: Final = Parameter(
    "name",
    "path",
    {"type": "string", "minLength": 1, "format": "omega-dataset-selection"},
    "The name of a dataset, which may hold slashes; then, if wanted, columns "
    "(`sample[x,y]`, `[^y]`: all but y, "
    "`[a:b]`: from a to b) and a version (`@3`, or `^` for each step back).",
    "sample",
)
_COLUMNS: Final = Parameter("columns", "query", TEXT, "Only these columns, separated by commas.", "x,y")
_SORT: Final = Parameter(
    "sort", "query", TEXT, "Order by these columns, stably; `-` before one for descending.", "-x"
)
_FORMAT: Final = Parameter(
    "format", "query", {"enum": list(FORMATS)}, "The format of the answer; it wins over `Accept`.", "json"
)
_ORIENT: Final = Parameter(
    "orient",
    "query",
    {"enum": list(frames.ORIENTS)},
    "How the JSON is laid out; `dict` by default.",
    "records",
)
_ROWS: Final = Parameter(
    "limit", "query", {**common.COUNT, "maximum": 10**15 - 1}, "At most so many rows; all by default."
)
_FILTERS: Final = Parameter(
    "filters",
    "query",
    {"type": "object", "additionalProperties": TEXT},
    "Any other parameter is a condition on a column, `x=1` or `x__lt=3`; all must "
    "hold. The operators are `eq ne lt "
    "lte gt gte in between contains startswith endswith isnull`; `in` and `between` take values separated by "
    "commas. Text is taken literally. An unknown column or operator is refused.",
)
_APPEND: Final = Parameter(
    "append",
    "query",
    {"type": "string", "enum": ["1", "true", "yes", "0", "false", "no"]},
    "The same as `append` in a JSON body, for the other formats. Give it once.",
)
_FORMATS: Final = tuple(
    Content(TEXT if format.media_type.startswith("text/") else _BYTES, format.media_type)
    for format in FORMATS.values()
    if format.name != "json"
)

LIST: Final = Operation(
    "listDatasets",
    _TAG,
    {200: common.page_answer("DatasetItem", _ITEM, links=("readDataset",), where="data/name")},
    common.READ_ERRORS,
    parameters=common.PAGE,
)
READ: Final = Operation(
    "readDataset",
    _TAG,
    {
        200: Answer(
            "The dataset: a frame in the format asked for, a value or an array in JSON, a file as its bytes.",
            (Content(ref("Dataset"), examples={"frame": _FRAME}), *_FORMATS, _FILE),
            ("ETag", "Vary"),
            ("Content-Disposition",),
        ),
        304: Answer(common.NOT_MODIFIED.description, headers=("ETag", "Vary")),
    },
    common.NAMED_ERRORS | {406, 412},
    parameters=(
        _SELECTED,
        _FORMAT,
        _ORIENT,
        _COLUMNS,
        _SORT,
        _ROWS,
        common.OFFSET,
        common.AT_VERSION,
        *common.PRECONDITIONS,
    ),
    filters=_FILTERS,
)
WRITE: Final = Operation(
    "writeDataset",
    _TAG,
    {
        202: Answer(
            "It is written, as the next version.",
            (Content(ref("DatasetWritten"), examples={"written": _WRITTEN}),),
            ("ETag",),
            links=(
                Link("readDataset", "name", "$response.body#/name"),
                Link("deleteDataset", "name", "$response.body#/name"),
            ),
        )
    },
    common.WRITE_ERRORS | common.BODY_ERRORS,
    parameters=(_NAME, _APPEND, *common.PRECONDITIONS, common.IDEMPOTENCY_KEY),
    body=(Content(ref("DatasetWrite"), examples=frames.EXAMPLES), *_FORMATS, _FILE),
)
DROP: Final = Operation(
    "deleteDataset",
    _TAG,
    {202: common.deleted("sample")},
    common.WRITE_ERRORS,
    parameters=(_NAME, *common.PRECONDITIONS),
)
