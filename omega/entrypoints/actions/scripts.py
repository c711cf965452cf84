"""Calls of scripts, as tasks."""

from typing import Any

import orjson
from attrs import asdict

from omega.domain.errors import ScriptFailed
from omega.domain.names import SCRIPT, Reference
from omega.domain.scripts import ScriptCall, ScriptService
from omega.domain.tasks import Answer, Failure, Run, Task
from omega.entrypoints.uris import resource_uri, stamp


def perform(service: ScriptService, task: Task, run: Run) -> Answer:
    """Call a script.

    Raises: the errors of the call; what `run.check` raises.
    """
    options, reference = task.call.options, Reference.parse(task.call.name, resource=SCRIPT)
    timeout_s = options["timeout_s"]
    made = service.run(reference, options["args"], options["kwargs"], timeout_s=timeout_s, run=run)
    answer = orjson.dumps(script_answer(made))
    if made.outcome.error is None:
        return Answer(answer)
    return Answer(answer, Failure(ScriptFailed.__name__, made.words))


def script_answer(call: ScriptCall) -> dict[str, Any]:
    """The answer of a script, also of one that failed: then it says why in `error` and `message`."""
    outcome = call.outcome
    return {
        "script": call.metadata.name,
        "version": call.metadata.version,
        "result": outcome.result,
        "runtimes": (call.ended - call.started).total_seconds(),
        "started": stamp(call.started),
        "ended": stamp(call.ended),
        "stdout": outcome.stdout,
        "stderr": outcome.stderr,
        "error": outcome.error and {**asdict(outcome.error), "failure": outcome.failure},
        "resource_uri": resource_uri(SCRIPT, call.metadata.name),
        **({} if outcome.error is None else {"message": call.words}),
    }
