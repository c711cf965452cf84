"""The resource `config`: the settings in force, for the caller's bucket."""

from typing import Any

from attrs import asdict, frozen

from omega.domain.access import Right, demand
from omega.entrypoints.api import Omega
from omega.entrypoints.http import fields
from omega.entrypoints.http.documented import watching as documented
from omega.entrypoints.http.routing import Request, Response, Route
from omega.entrypoints.settings import Settings
from omega.entrypoints.uris import without_secrets


@frozen
class ConfigResource:
    """Settings over HTTP."""

    omega: Omega

    def routes(self) -> list[Route]:
        """The routes of this resource."""
        return [
            Route("GET", "/api/v1/config", self.read, summary="The settings in force", doc=documented.CONFIG)
        ]

    def read(self, request: Request) -> Response:
        """The settings, by the names that they have in `omega.toml`; nothing that is secret."""
        omega = fields.asked(request, self.omega)
        demand(request.caller.access, Right("config", "", "get"), bucket=omega.bucket)
        return Response(200, {"bucket": omega.bucket, **described(omega.settings)})


def described(settings: Settings) -> dict[str, Any]:
    """The settings that a caller may know of, by name. Only what is named here is shown: a new setting may be
    a secret.
    """
    return {
        "store": without_secrets(settings.store),
        "queue": without_secrets(settings.queue),
        **{f"max_{name}": limit for name, limit in asdict(settings.limits).items()},
        "max_model_cache_bytes": settings.model_cache_bytes,
        "max_model_cells": settings.model_cells,
        "max_result_bytes": settings.result_bytes,
        "max_task_memory_bytes": settings.task_memory_bytes,
        "max_task_s": settings.task_timeout_s,
        "task_lease_s": settings.task_lease_s,
        "task_retention_s": settings.task_retention_s,
        "allowed_hosts": list(settings.allowed_hosts),
        "allowed_origins": list(settings.allowed_origins),
        "log_format": settings.log_format,
        "log_level": settings.log_level,
        "access_log": settings.access_log,
        "batching": settings.batching,
    }
