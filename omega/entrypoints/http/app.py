"""The REST API as one WSGI application."""

from collections.abc import Sequence
from typing import Any

import bottle
from attrs import evolve

from omega.domain.access import NOBODY
from omega.entrypoints import settings as settings_module
from omega.entrypoints.api import Omega
from omega.entrypoints.http.callers import Entry
from omega.entrypoints.http.datasets import DatasetResource
from omega.entrypoints.http.documented import pages as documented
from omega.entrypoints.http.jobs import JobResource
from omega.entrypoints.http.models import ModelResource
from omega.entrypoints.http.pages import documented_routes
from omega.entrypoints.http.rights import RIGHTS
from omega.entrypoints.http.routing import Request, Response, Route, build_app
from omega.entrypoints.http.scripts import ScriptResource
from omega.entrypoints.http.tasks import TaskResource
from omega.entrypoints.limits import Limits


def routes(omega: Omega, limits: Limits) -> list[Route]:
    """Every route that is served: what serves is what is documented. Handlers have the rights of whoever
    calls; one that forgets to take them has none.
    """
    omega = omega.as_(NOBODY)
    served = [
        Route(
            "GET",
            "/api/v1/ping",
            _ping,
            public=True,
            summary="Whether the server answers",
            doc=documented.PING,
        ),
        *DatasetResource(omega, limits).routes(),
        *ModelResource(omega, limits).routes(),
        *JobResource(omega, limits).routes(),
        *ScriptResource(omega, limits).routes(),
        *TaskResource(omega).routes(),
    ]
    found = documented_routes(served)
    return [evolve(route, rights=RIGHTS.get((route.method, route.path))) for route in found]


def build(omega: Omega, limits: Limits, *, rules: Sequence[str] | None = None) -> bottle.Bottle:
    """The application on these services, with these access rules (`None`: with none).

    Raises: BadInput for rules that cannot be used.
    """
    return build_app(routes(omega, limits), limits=limits, enter=Entry(omega.callers(rules)))


def from_environment() -> Any:
    """The application on the settings of the environment: how a server process makes its own."""
    settings = settings_module.load()
    omega = Omega(settings=settings)
    # The first use imports scikit-learn, which takes a second: better now than in somebody's request.
    _ = omega.models
    return build(omega, settings.limits, rules=settings.access_rules)


def _ping(request: Request) -> Response:
    return Response(200, {"ping": "pong"})
