"""What the routes of tasks take and give."""

from collections.abc import Mapping
from typing import Any, Final

from omega.entrypoints.http.documented import common
from omega.entrypoints.http.documented.common import TEXT, closed, nullable
from omega.entrypoints.http.operations import Answer, Content, Operation, Parameter, Schema, ref

_TAG: Final = "task"
_STATE: Final = {
    "task_id": TEXT,
    "status": ref("TaskStatus"),
    "progress": nullable(closed({"done": common.COUNT, "total": common.COUNT, "message": TEXT})),
    "cancelled": {"type": "boolean", "description": "Whether its end was asked for."},
}
SCHEMAS: Final[Mapping[str, Schema]] = {
    "TaskState": closed(_STATE),
    "Task": closed(
        {
            **_STATE,
            "created": common.STAMP,
            "started": nullable(common.STAMP),
            "ended": nullable(common.STAMP),
            "resource": {"enum": ["model", "job", "script"]},
            "name": TEXT,
            "action": TEXT,
            "bucket": TEXT,
            "attempts": common.COUNT,
            "timeout": nullable({"type": "number"}),
            "request_id": nullable({"type": "string", "description": "Of the request that left it."}),
            "message": nullable({"type": "string", "description": "Why it failed."}),
            "object_uri": {"type": "string", "pattern": "^/api/v1/"},
            "resource_uri": {"type": "string", "pattern": "^/api/v1/task/"},
        }
    ),
    "TaskEvent": {
        "description": "Of the stream, each event.",
        **closed(
            {
                "event": {"const": "status"},
                "data": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": ref("TaskState"),
                },
            }
        ),
    },
    "TaskResult": closed(
        {
            "response": {
                "description": (
                    "What the call would have answered; `null` before its end; the problem where it failed."
                ),
                "type": ["object", "null"],
            },
            "status": ref("TaskStatus"),
            "task_id": TEXT,
        }
    ),
}
_ID: Final = "01a20f7b-56ab-777a-bb6f-1875983f39e7"
_STATED: Final[Mapping[str, Any]] = {
    "task_id": _ID,
    "status": "SUCCESS",
    "progress": {"done": 3, "total": 3, "message": "storing the model"},
    "cancelled": False,
}
_DESCRIBED: Final[Mapping[str, Any]] = {
    **_STATED,
    "created": "2026-11-24 21:34:31.083481",
    "started": "2026-11-24 21:34:31.083786",
    "ended": "2026-11-24 21:34:31.171723",
    "resource": "model",
    "name": "mymodel",
    "action": "fit",
    "bucket": "store",
    "attempts": 1,
    "timeout": 86400,
    "request_id": "3f2a7c0a1c8b4c0f9d0e5b6a7c8d9e0f",
    "message": None,
    "object_uri": "/api/v1/model/mymodel/",
    "resource_uri": f"/api/v1/task/{_ID}/",
}
_RESULT: Final[Mapping[str, Any]] = {
    "response": {
        "model": "mymodel",
        "datax": "sample[x]",
        "datay": "sample[y]",
        "result": "ok",
        "resource_uri": "/api/v1/model/mymodel/",
        "version": 2,
    },
    "status": "SUCCESS",
    "task_id": _ID,
}
_TASK: Final = Parameter(
    "id", "path", {"type": "string", "minLength": 1, "format": "omega-task"}, "The id of a task.", _ID
)
_ONE: Final = common.READ_ERRORS | {404}

LIST: Final = Operation(
    "listTasks",
    _TAG,
    {200: common.page_answer("Task", _DESCRIBED, links=common.TASK_OPERATIONS, where="task_id")},
    common.READ_ERRORS,
    parameters=(common.LIMIT, common.OFFSET),
)
DESCRIBE: Final = Operation(
    "describeTask",
    _TAG,
    {200: Answer("The task.", (Content(ref("Task"), examples={"a fit": _DESCRIBED}),))},
    _ONE,
    parameters=(_TASK,),
)
STATUS: Final = Operation(
    "taskStatus",
    _TAG,
    {200: Answer("Its state.", (Content(ref("TaskState"), examples={"a fit": _STATED}),))},
    _ONE,
    parameters=(_TASK,),
)
RESULT: Final = Operation(
    "taskResult",
    _TAG,
    {200: Answer("What came of it.", (Content(ref("TaskResult"), examples={"a fit": _RESULT}),))},
    _ONE,
    parameters=(
        _TASK,
        Parameter(
            "resource_uri",
            "query",
            TEXT,
            "The object that the call was for; any other is refused.",
            "/api/v1/model/mymodel/",
        ),
    ),
)
EVENTS: Final = Operation(
    "followTask",
    _TAG,
    {
        200: Answer(
            "An event `status` with the task's state whenever it has changed, until the task has ended.",
            (Content(ref("TaskEvent"), "text/event-stream"),),
        )
    },
    _ONE,
    parameters=(_TASK,),
)
CANCEL: Final = Operation(
    "cancelTask",
    _TAG,
    {
        202: Answer(
            "Its end is asked for.",
            (
                Content(
                    ref("TaskState"), examples={"a fit": {**_STATED, "status": "REVOKED", "cancelled": True}}
                ),
            ),
        )
    },
    _ONE | {409, 507},
    parameters=(_TASK,),
)
