"""What the runner tells the host of a run, and what it gets back, as JSON."""

import json
from typing import Any

import attrs
from attrs import frozen

from omega.ports.notebooks import Failure, JSONObject, Run

JOB_FILE = "job.json"
RESULT_FILE = "result.json"
#: What host and kernel say of themselves if they cannot start.
LOG_FILE = "host.log"
KERNEL_LOG_FILE = "kernel.log"
WORK_DIRECTORY = "work"
TEMPORARY_DIRECTORY = "tmp"


@frozen
class Job:
    """A notebook to run. `deadline` is by the monotonic clock, which all processes of a machine share."""

    notebook: JSONObject
    parameters: JSONObject
    deadline: float
    timeout_s: float
    memory_bytes: int
    output_bytes: int
    notebook_bytes: int

    def to_json(self) -> str:
        """The JSON text."""
        return json.dumps(attrs.asdict(self, recurse=False))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Job":
        """The job that became this text."""
        return cls(**json.loads(text))


def run_to_json(run: Run) -> str:
    """The JSON text of what became of a run."""
    failure = None if run.failure is None else attrs.asdict(run.failure)
    return json.dumps({"notebook": run.notebook, "failure": failure}, ensure_ascii=False)


def run_from_json(text: str | bytes) -> Run:
    """What became of a run. Raises: ValueError, TypeError, KeyError for any other text."""
    found: dict[str, Any] = json.loads(text)
    failure = found["failure"]
    return Run(found["notebook"], None if failure is None else Failure(**failure))
