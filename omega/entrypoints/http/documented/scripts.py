"""What the routes of scripts take and give."""

from collections.abc import Mapping
from typing import Any, Final

from omega.entrypoints.http.documented import common
from omega.entrypoints.http.documented.common import ANYTHING, TEXT, VERSION, closed, nullable
from omega.entrypoints.http.operations import Answer, Content, Link, Operation, Parameter, Schema, ref

_TAG: Final = "script"
_URI: Final = {"type": "string", "pattern": "^/api/v1/script/"}
_ITEM: Final = {
    "name": TEXT,
    "kind": TEXT,
    "bucket": TEXT,
    "created": common.STAMP,
    "modified": common.STAMP,
    "version": VERSION,
    "resource_uri": _URI,
}
_SOURCE: Final = {
    "type": "string",
    "format": "python-script",
    "description": "A Python module with a function `run(om, *args, **kwargs)`.",
}
_RAN: Final = {
    "script": TEXT,
    "version": VERSION,
    "result": {"description": "What `run` returned."},
    "runtimes": {"type": "number", "minimum": 0, "description": "How many seconds it took."},
    "started": common.STAMP,
    "ended": common.STAMP,
    "stdout": TEXT,
    "stderr": TEXT,
    "error": nullable(
        closed({"name": TEXT, "message": TEXT, "line": nullable({"type": "integer"}), "failure": TEXT})
    ),
    "resource_uri": _URI,
}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "ScriptItem": closed({**_ITEM, "lines": common.COUNT}, optional=("lines",)),
    "Script": closed({**_ITEM, "lines": common.COUNT, "code": _SOURCE}),
    "ScriptWrite": closed({"code": _SOURCE}),
    "ScriptRan": closed(_RAN),
}

_STORED: Final[Mapping[str, Any]] = {
    "name": "double",
    "kind": "python.script",
    "bucket": "store",
    "created": "2026-11-24 21:34:31.943837",
    "modified": "2026-11-24 21:34:31.943837",
    "version": 1,
    "resource_uri": "/api/v1/script/double/",
    "lines": 2,
}
_CODE: Final = "def run(om, values, factor=2):\n    return [int(factor) * value for value in values]"
_ANSWER: Final[Mapping[str, Any]] = {
    "script": "double",
    "version": 1,
    "result": [2, 4],
    "runtimes": 0.2,
    "started": "2026-11-24 21:34:31.943837",
    "ended": "2026-11-24 21:34:32.143837",
    "stdout": "",
    "stderr": "",
    "error": None,
    "resource_uri": "/api/v1/script/double/",
}
_NAME: Final = common.name_parameter("script", "double")
_REFERENCE: Final = common.name_parameter("script", "double", versions=True)
_ARGUMENTS: Final = Parameter(
    "kwargs",
    "query",
    {"type": "object", "additionalProperties": TEXT},
    "Any other parameter is a keyword argument of `run`, as text.",
)

LIST: Final = Operation(
    "listScripts",
    _TAG,
    {200: common.page_answer("ScriptItem", _STORED, links=("readScript", "runScript"))},
    common.READ_ERRORS,
    parameters=common.PAGE,
)
READ: Final = Operation(
    "readScript",
    _TAG,
    {
        200: Answer(
            "The script and its source text.",
            (Content(ref("Script"), examples={"a script": {**_STORED, "code": _CODE}}),),
            ("ETag",),
        ),
        304: common.NOT_MODIFIED,
    },
    common.NAMED_ERRORS | {412},
    parameters=(_REFERENCE, common.AT_VERSION, *common.PRECONDITIONS),
)
WRITE: Final = Operation(
    "writeScript",
    _TAG,
    {
        202: Answer(
            "It is stored, as the next version.",
            (Content(ref("ScriptItem"), examples={"stored": _STORED}),),
            ("ETag",),
            links=tuple(
                Link(operation, "name", "$response.body#/name")
                for operation in ("readScript", "runScript", "deleteScript")
            ),
        )
    },
    common.WRITE_ERRORS | common.BODY_ERRORS,
    parameters=(_NAME, *common.PRECONDITIONS),
    body=(
        Content(ref("ScriptWrite"), examples={"in JSON": {"code": _CODE}}),
        Content(_SOURCE, "text/x-python", examples={"as it is": _CODE}),
        Content(_SOURCE, "text/plain", examples={"as it is": _CODE}),
    ),
)
DROP: Final = Operation(
    "deleteScript",
    _TAG,
    {202: common.deleted("double")},
    common.WRITE_ERRORS,
    parameters=(_NAME, *common.PRECONDITIONS),
)
RUN: Final = Operation(
    "runScript",
    _TAG,
    {
        201: Answer("What it returned.", (Content(ref("ScriptRan"), examples={"ran": _ANSWER}),)),
        202: common.ACCEPTED,
    },
    common.NAMED_ERRORS | common.BODY_ERRORS | {409},
    parameters=(_REFERENCE, common.ASYNC, common.TIMEOUT),
    filters=_ARGUMENTS,
    body=(Content(ANYTHING, examples={"the first argument": [1, 2]}),),
    needs_body=False,
)
