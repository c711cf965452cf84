"""What tasks can be asked to do, and how they answer: in the JSON that the same call over HTTP answers
with."""

from typing import Protocol

from omega.domain.catalogue import Catalogue
from omega.domain.errors import BadInput
from omega.domain.job_runs import JobRuns
from omega.domain.jobs import JobService
from omega.domain.models import ModelService
from omega.domain.names import JOB, MODEL, SCRIPT
from omega.domain.scripts import ScriptService
from omega.domain.tasks import Answer, InputStore, Run, Task
from omega.entrypoints.actions import jobs, models, scripts
from omega.entrypoints.work import Attempt


class Services(Protocol):
    """The services that tasks are carried out by, in the bucket of a task."""

    @property
    def models(self) -> ModelService:
        """Models."""

    @property
    def jobs(self) -> JobService:
        """Jobs."""

    @property
    def scripts(self) -> ScriptService:
        """Scripts."""


def perform(services: Services, inputs: InputStore, task: Task, run: Run) -> Answer:
    """Carry a task out.

    Raises: the errors of the call; what `run.check` raises.
    """
    match task.call.resource:
        case "model":
            return models.ModelActions(services.models, inputs).perform(task, run)
        case "job":
            return jobs.perform(services.jobs, task, run)
        case "script":
            return scripts.perform(services.scripts, task, run)
    raise BadInput(f"nothing of a {task.call.resource} can be a task")


def left_by(catalogue: Catalogue, runs: JobRuns, task: Task) -> Answer | None:
    """What a task that was cut off has made: its answer, or `None`, and then it can make nothing any more.
    `catalogue` is that of the models, `runs` are those of the jobs of its bucket.
    """
    run = Attempt.over(task)
    match task.call.resource:
        case "model":
            return models.left_by(catalogue, task, run)
        case "job":
            return jobs.left_by(runs, task, run)
    return None


__all__ = ["JOB", "MODEL", "SCRIPT", "left_by", "perform"]
