"""Omega: data, models and notebooks behind a REST API, the `om` command and Python.

    import omega as om

    om.datasets.put(frame, "sample")
    om.runtime.model("mymodel").predict("sample[x]")
    om["other"].datasets.list()

Nothing heavy is imported and no store is opened before first use.
"""

import sys
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omega.entrypoints.api import Datasets, Models, Omega
    from omega.entrypoints.jobs import Jobs
    from omega.entrypoints.runtime import Runtime
    from omega.entrypoints.scripts import Scripts

    datasets: Datasets
    jobs: Jobs
    models: Models
    runtime: Runtime
    scripts: Scripts

_STORE_ERRORS = ("StoreFull", "StoreUnavailable")
_FACES = ("datasets", "jobs", "models", "runtime", "scripts")
_QUEUE_ERRORS = ("QueueUnavailable",)
_ERRORS = (
    "AlreadyExists",
    "BadInput",
    "Cancelled",
    "Conflict",
    "Corrupt",
    "JobFailed",
    "NoWorker",
    "NotFitted",
    "NotFound",
    "OmegaError",
    "PreconditionFailed",
    "ScriptFailed",
    "TaskFailed",
    "TimedOut",
    "TooLarge",
)
__all__ = ["Omega", *_ERRORS, *_FACES, *_STORE_ERRORS, *_QUEUE_ERRORS]
_lock = Lock()


class _OmegaModule(ModuleType):
    """This module, with `om["bucket"]` and with its faces made at first use."""

    def __getitem__(self, bucket: str) -> "Omega":
        default: Omega = self._default
        return default[bucket]

    def __getattr__(self, name: str) -> Any:
        if name == "_default":
            with _lock:
                if "_default" not in vars(self):
                    self._default = self.Omega()
                return vars(self)["_default"]
        if name in _FACES:
            return getattr(self._default, name)
        if name == "Omega":
            from omega.entrypoints import api

            return api.Omega
        if name in _ERRORS:
            from omega.domain import errors

            return getattr(errors, name)
        if name in _STORE_ERRORS:
            from omega.ports import records

            return getattr(records, name)
        if name in _QUEUE_ERRORS:
            from omega.ports import queue

            return getattr(queue, name)
        raise AttributeError(f"module 'omega' has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *__all__]


sys.modules[__name__].__class__ = _OmegaModule
