"""What the routes of the server itself give: its settings, its health, its figures."""

from typing import Any, Final

from omega.entrypoints.http.documented import common
from omega.entrypoints.http.documented.common import TEXT, array, closed
from omega.entrypoints.http.errors import PROBLEM_JSON
from omega.entrypoints.http.operations import Answer, Content, Operation, ref

_TAG: Final = "server"
_LIMIT: Final = {"type": "integer", "minimum": 1}
_SETTINGS: Final[dict[str, Any]] = {
    "bucket": TEXT,
    "store": {"type": "string", "description": "The URL of the store, without what is secret in it."},
    "queue": {"type": "string", "description": "The URL of the queue, without what is secret in it."},
    "max_body_bytes": _LIMIT,
    "max_decoded_bytes": _LIMIT,
    "max_rows": _LIMIT,
    "max_columns": _LIMIT,
    "max_json_depth": _LIMIT,
    "max_model_cache_bytes": _LIMIT,
    "max_model_cells": _LIMIT,
    "max_result_bytes": _LIMIT,
    "max_task_memory_bytes": _LIMIT,
    "max_task_s": _LIMIT,
    "task_lease_s": _LIMIT,
    "task_retention_s": _LIMIT,
    "allowed_hosts": array(TEXT),
    "allowed_origins": array(TEXT),
    "log_format": {"enum": ["text", "json"]},
    "log_level": {"enum": ["debug", "info", "warning", "error"]},
    "access_log": {"enum": ["off", "on"]},
}
_SETTINGS_EXAMPLE: Final = {
    "bucket": "store",
    "store": "file:///home/me/.omega/store",
    "queue": "sqlite:///home/me/.omega/store/queue.sqlite",
    "max_body_bytes": 536_870_912,
    "max_decoded_bytes": 2_147_483_648,
    "max_rows": 20_000_000,
    "max_columns": 10_000,
    "max_json_depth": 64,
    "max_model_cache_bytes": 1_073_741_824,
    "max_model_cells": 50_000_000,
    "max_result_bytes": 268_435_456,
    "max_task_memory_bytes": 4_294_967_296,
    "max_task_s": 86_400,
    "task_lease_s": 10,
    "task_retention_s": 86_400,
    "allowed_hosts": [],
    "allowed_origins": [],
    "log_format": "text",
    "log_level": "warning",
    "access_log": "off",
}
_STATE: Final = {"enum": ["ok", "unreachable"]}
_READY: Final = closed({"status": {"const": "ready"}, "store": {"const": "ok"}, "queue": {"const": "ok"}})
_NOT_READY: Final = {
    "allOf": [ref("Problem")],
    "type": "object",
    "required": ["store", "queue"],
    "properties": {"store": _STATE, "queue": _STATE},
}
_NOT_READY_EXAMPLE: Final = {"store": "ok", "queue": "unreachable", **common.problem_example(503)}
_FIGURES: Final = "# TYPE omega_tasks_open gauge\nomega_tasks_open 0.0\n"


def _json(description: str, schema: Any, example: Any) -> Answer:
    return Answer(description, (Content(schema, examples={"one": example}),))


PING: Final = Operation(
    "ping",
    _TAG,
    {200: _json("It does.", closed({"ping": {"const": "pong"}}), {"ping": "pong"})},
    common.READ_ERRORS - {503},
)
CONFIG: Final = Operation(
    "config",
    "config",
    {200: _json("The settings.", closed(_SETTINGS), _SETTINGS_EXAMPLE)},
    common.READ_ERRORS - {503},
)
ALIVE: Final = Operation(
    "alive",
    _TAG,
    {200: _json("It does.", closed({"status": {"const": "alive"}}), {"status": "alive"})},
    common.READ_ERRORS - {503},
)
READY: Final = Operation(
    "ready",
    _TAG,
    {
        200: _json("They can.", _READY, {"status": "ready", "store": "ok", "queue": "ok"}),
        503: Answer(
            "One of them cannot, and which.",
            (Content(_NOT_READY, PROBLEM_JSON, {"queue": _NOT_READY_EXAMPLE}),),
            ("Retry-After",),
        ),
    },
    common.READ_ERRORS - {503},
)
METRICS: Final = Operation(
    "metrics",
    _TAG,
    {200: Answer("The figures.", (Content(TEXT, "text/plain", {"one": _FIGURES}),))},
    (common.READ_ERRORS - {503}) | {404},
)
