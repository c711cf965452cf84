"""The REST API as one WSGI application."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import bottle
from attrs import evolve

from omega.domain.access import NOBODY
from omega.entrypoints import logs
from omega.entrypoints import settings as settings_module
from omega.entrypoints.api import Omega
from omega.entrypoints.bootstrap import connect, metered
from omega.entrypoints.http.callers import Entry
from omega.entrypoints.http.config import ConfigResource
from omega.entrypoints.http.datasets import DatasetResource
from omega.entrypoints.http.documented import pages as documented
from omega.entrypoints.http.health import HealthResource
from omega.entrypoints.http.jobs import JobResource
from omega.entrypoints.http.models import ModelResource
from omega.entrypoints.http.observing import observer
from omega.entrypoints.http.pages import documented_routes
from omega.entrypoints.http.rights import RIGHTS
from omega.entrypoints.http.routing import Request, Response, Route, build_app
from omega.entrypoints.http.scripts import ScriptResource
from omega.entrypoints.http.shield import Shield
from omega.entrypoints.http.tasks import TaskResource
from omega.entrypoints.limits import Limits
from omega.ports.queue import QueueUnavailable
from omega.ports.records import StoreFull, StoreUnavailable


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
        *ConfigResource(omega).routes(),
        *HealthResource(omega).routes(),
    ]
    found = documented_routes(served)
    return [evolve(route, rights=RIGHTS.get((route.method, route.path))) for route in found]


def build(omega: Omega, limits: Limits, *, rules: Sequence[str] | None = None) -> bottle.Bottle:
    """The application on these services, with these access rules (`None`: with none).

    Raises: BadInput for rules that cannot be used, and for hosts and origins in the settings that cannot be
    read.
    """
    allowed = omega.settings
    shield = Shield.of(hosts=allowed.allowed_hosts, origins=allowed.allowed_origins)
    entry = Entry(omega.callers(rules))
    return build_app(routes(omega, limits), limits=limits, shield=shield, enter=entry)


def from_environment() -> Any:
    """The application on the settings of the environment: how a server process makes its own."""
    settings = settings_module.load()
    logs.configure(settings)
    meter = metered(settings)
    omega = Omega(services=connect(settings, bucket=settings.bucket, meter=meter))
    # The first use imports scikit-learn, which takes a second, and connects: better now than in somebody's
    # request. What cannot be reached now may be later.
    _ = omega.models
    with suppress(QueueUnavailable, StoreUnavailable, StoreFull):
        omega.runtime.queued()
    app = build(omega, settings.limits, rules=settings.access_rules)
    app.observe = observer(meter)
    return app


def _ping(request: Request) -> Response:
    return Response(200, {"ping": "pong"})
