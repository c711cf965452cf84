"""Tasks: calls that are carried out outside the caller's process and always end in a state that is true.

A task is one record, changed only by compare-and-set; the queue only wakes workers. Who carries a task out
holds its *lease*, which lapses if it is not renewed: then the task is tried again, or ends (docs/adr/0007).
"""

from omega.domain.tasks.endings import Endings, LeaseLost
from omega.domain.tasks.inputs import InputStore
from omega.domain.tasks.leases import Leases, Sweep
from omega.domain.tasks.records import TaskRecords
from omega.domain.tasks.runs import NO_RUN, Run
from omega.domain.tasks.service import TaskPage, TaskService
from omega.domain.tasks.task import (
    FAILURE,
    FINAL,
    PENDING,
    RETRY,
    REVOKED,
    STARTED,
    STATES,
    SUCCESS,
    Answer,
    Call,
    Failure,
    Inputs,
    Policy,
    Progress,
    Task,
)
from omega.domain.tasks.workers import WorkerInfo, Workers

__all__ = [
    "FAILURE",
    "FINAL",
    "NO_RUN",
    "PENDING",
    "RETRY",
    "REVOKED",
    "STARTED",
    "STATES",
    "SUCCESS",
    "Answer",
    "Call",
    "Endings",
    "Failure",
    "InputStore",
    "Inputs",
    "LeaseLost",
    "Leases",
    "Policy",
    "Progress",
    "Run",
    "Sweep",
    "Task",
    "TaskPage",
    "TaskRecords",
    "TaskService",
    "WorkerInfo",
    "Workers",
]
