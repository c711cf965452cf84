"""The REST API as one WSGI application."""

from typing import Any

import bottle

from omega.entrypoints import settings as settings_module
from omega.entrypoints.api import Omega
from omega.entrypoints.http.datasets import DatasetResource
from omega.entrypoints.http.documented import pages as documented
from omega.entrypoints.http.jobs import JobResource
from omega.entrypoints.http.models import ModelResource
from omega.entrypoints.http.pages import documented_routes
from omega.entrypoints.http.routing import Request, Response, Route, build_app
from omega.entrypoints.http.scripts import ScriptResource
from omega.entrypoints.http.tasks import TaskResource
from omega.entrypoints.limits import Limits


def routes(omega: Omega, limits: Limits) -> list[Route]:
    """Every route that is served: what serves is what is documented."""
    served = [
        Route("GET", "/api/v1/ping", _ping, summary="Whether the server answers", doc=documented.PING),
        *DatasetResource(omega, limits).routes(),
        *ModelResource(omega, limits).routes(),
        *JobResource(omega, limits).routes(),
        *ScriptResource(omega, limits).routes(),
        *TaskResource(omega).routes(),
    ]
    return documented_routes(served)


def build(omega: Omega, limits: Limits) -> bottle.Bottle:
    """The application on these services."""
    return build_app(routes(omega, limits), limits=limits)


def from_environment() -> Any:
    """The application on the settings of the environment: how a server process makes its own."""
    settings = settings_module.load()
    omega = Omega(settings=settings)
    # The first use imports scikit-learn, which takes a second: better now than in somebody's request.
    _ = omega.models
    return build(omega, settings.limits)


def _ping(request: Request) -> Response:
    return Response(200, {"ping": "pong"})
