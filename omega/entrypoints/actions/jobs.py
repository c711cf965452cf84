"""Runs of jobs, as tasks."""

from datetime import UTC, datetime
from typing import Any

import orjson
from attrs import asdict

from omega.domain import jobs
from omega.domain.errors import JobFailed
from omega.domain.job_runs import RUNNING, JobRun, JobRuns
from omega.domain.job_schedules import JobSchedule
from omega.domain.jobs import JobService
from omega.domain.tasks import Answer, Failure, Run, Task


def stamp(time: datetime) -> str:
    """A time as the API's description prints it for jobs, in UTC: `2016-02-06T21:33:49.833000`."""
    return time.replace(tzinfo=None).isoformat(timespec="microseconds")


def described_run(run: JobRun) -> dict[str, Any]:
    """All that is said about a run."""
    return {
        "run": str(run.key),
        "status": run.status,
        "started": stamp(run.started),
        "ended": run.ended and stamp(run.ended),
        "duration": run.duration_s,
        "parameters": run.parameters,
        "version": run.version,
        "result": None if run.result is None else run.result_name,
        "error": run.error and asdict(run.error),
        "task_id": run.task,
    }


def described_schedule(found: JobSchedule) -> dict[str, Any]:
    """All that is said about a schedule."""
    now = datetime.now(UTC)
    return {
        "name": found.job,
        "cron": found.schedule.cron,
        "tz": found.schedule.timezone,
        "parameters": found.parameters,
        "timeout": found.timeout_s,
        "next": [stamp(time) for time in found.next_times(now)],
        "last": found.due and stamp(found.due),
        "task_id": found.task,
        "missed": [{"due": stamp(missed.due), "reason": missed.reason} for missed in found.missed],
        "missed_count": found.missed_count,
    }


def perform(service: JobService, task: Task, run: Run) -> Answer:
    """Run a job.

    Raises: the errors of the call; what `run.check` raises.
    """
    options = task.call.options
    made = service.run(task.call.name, options["parameters"], timeout_s=options["timeout_s"], run=run)
    return _answer(made)


def left_by(runs: JobRuns, task: Task, run: Run) -> Answer | None:
    """What a task that was cut off has made: the run, if it came to its end. One that did not is ended."""
    left = jobs.left_by(runs, task.call.name, run)
    return None if left is None else _answer(left)


def _answer(run: JobRun) -> Answer:
    assert run.status != RUNNING
    answer = {
        "job_runs": {str(run.key): run.status},
        "job_results": [] if run.result is None else [run.result_name],
        "name": run.job,
        "created": run.created and stamp(run.created),
        "run": described_run(run),
    }
    if run.error is None:
        return Answer(orjson.dumps(answer))
    answer["message"] = run.error.message
    return Answer(orjson.dumps(answer), Failure(JobFailed.__name__, run.error.message))
