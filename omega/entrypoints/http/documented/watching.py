"""What the routes for those who run a server take and give, and that of its settings."""

from collections.abc import Mapping
from typing import Any, Final

from omega.entrypoints.http.documented import common
from omega.entrypoints.http.documented.common import COUNT, TEXT, array, closed
from omega.entrypoints.http.operations import Answer, Content, Operation, Schema, ref

_TAG: Final = "server"
_NUMBERS: Final = (
    "max_body_bytes",
    "max_decoded_bytes",
    "max_rows",
    "max_columns",
    "max_json_depth",
    "max_model_cache_bytes",
    "max_model_cells",
    "max_result_bytes",
    "max_task_memory_bytes",
    "max_task_s",
    "task_lease_s",
    "task_retention_s",
)
SCHEMAS: Final[Mapping[str, Schema]] = {
    "Config": closed(
        {
            "bucket": TEXT,
            "store": {"type": "string", "description": "Its URL; what may be secret is `***`."},
            "queue": {"type": "string", "description": "Its URL; what may be secret is `***`."},
            **dict.fromkeys(_NUMBERS, COUNT),
            "allowed_hosts": array(TEXT),
            "allowed_origins": array(TEXT),
            "log_format": {"enum": ["text", "json"]},
            "log_level": {"enum": ["debug", "info", "warning", "error"]},
            "access_log": {"enum": ["off", "on"]},
            "batching": {"enum": ["off", "on"]},
        }
    )
}
_CONFIG: Final[Mapping[str, Any]] = {
    "bucket": "store",
    "store": "mongodb://***@db.example.org/omega?replicaSet=rs0",
    "queue": "redis://***@queue.example.org:6379/0",
    **dict.fromkeys(_NUMBERS, 10_000),
    "allowed_hosts": ["omega.example.org"],
    "allowed_origins": [],
    "log_format": "text",
    "log_level": "warning",
    "access_log": "off",
    "batching": "on",
}
_STATE: Final[Mapping[str, Any]] = {"status": "ready", "store": "ok", "queue": "ok"}


def _always(id: str, value: Mapping[str, Any], said: str, errors: frozenset[int]) -> Operation:
    schema = closed({name: {"const": part} for name, part in value.items()})
    return Operation(id, _TAG, {200: Answer(said, (Content(schema, examples={"so": value}),))}, errors)


CONFIG: Final = Operation(
    "readConfig",
    "config",
    {200: Answer("They are these.", (Content(ref("Config"), examples={"some": _CONFIG}),))},
    common.READ_ERRORS,
)
ALIVE: Final = _always("alive", {"status": "alive"}, "It does.", common.READ_ERRORS - {503})
READY: Final = _always("ready", _STATE, "They can.", common.READ_ERRORS)
METRICS: Final = Operation(
    "metrics",
    _TAG,
    {200: Answer("The figures.", (Content(TEXT, "text/plain"),))},
    (common.READ_ERRORS - {503}) | {404},
)
