"""The right that each route takes: one table, by method and path (docs/adr/0017).

The gates in the domain decide all of this again, with what they find in bodies. Here it is said beforehand:
so that a refused request costs nothing, so that `om rules check` can answer without a server, and so that a
route which is not in the table is refused to all whom rules or keys restrict.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from attrs import frozen

from omega.domain.access import Access, Right, demand
from omega.domain.job_runs import named
from omega.domain.jobs import rights_to_export
from omega.domain.models import ASK, FIT
from omega.domain.names import DATASET, JOB, MODEL, SCRIPT, Reference, job_name


@frozen
class Asked:
    """What a request says of itself before its body is read: the parameters of its path, and of its query."""

    path: Mapping[str, str]
    query: Mapping[str, str]


#: What must be allowed for a request, each being one of several rights of which one is enough.
Needs = Sequence[Sequence[Right]]
Rights = Callable[[Asked], Needs]


def demand_all(access: Access, needs: Needs, *, bucket: str) -> None:
    """Nothing, if the caller has what a request needs.

    Raises: Forbidden.
    """
    for right in unmet(access, needs, bucket=bucket):
        demand(access, right, bucket=bucket)


def unmet(access: Access, needs: Needs, *, bucket: str) -> Sequence[Right]:
    """The rights that the caller would need and has not."""
    return [need[0] for need in needs if not any(access.allows(right, bucket=bucket) for right in need)]


def object_name(resource: str, text: str) -> str:
    """The name of the object that a path or a query means, without version and columns.

    Raises: BadInput for an illegal name.
    """
    name = Reference.parse(text, resource=resource).name
    return job_name(name) if resource == JOB else name


def _list(resource: str) -> Rights:
    return lambda asked: [[Right(resource, "", "list")]]


def _one(resource: str, action: str) -> Rights:
    return lambda asked: [[Right(resource, object_name(resource, asked.path["name"]), action)]]


def _call(action: str) -> Rights:
    """An action of a model, and the datasets that it is to work on."""

    def rights(asked: Asked) -> Needs:
        named = [asked.query[which] for which in ("datax", "datay") if which in asked.query]
        datasets = dict.fromkeys(object_name(DATASET, data) for data in named)
        model = Right(MODEL, object_name(MODEL, asked.path["name"]), action)
        return [[model], *([Right(DATASET, name, "get")] for name in datasets)]

    return rights


def _metadata(asked: Asked) -> Needs:
    return _call("predict" if "datax" in asked.query else "metadata")(asked)


def _result(action: str) -> Rights:
    """A right to a result of a job is one to that job."""

    def rights(asked: Asked) -> Needs:
        found = named(asked.path["name"])
        return [[Right(JOB, job_name(asked.path["name"]) if found is None else found[0], action)]]

    return rights


def _export(asked: Asked) -> Needs:
    return [rights_to_export(asked.path["name"])]


def _later(asked: Asked) -> Needs:
    """What is known only to the domain: of a model that is made its name is in the body, and a task is that
    of the call which made it.
    """
    return []


_API: Final = "/api/v1"
_TASK: Final = f"{_API}/task/<id>"
#: By method and path of a route. HEAD is as GET.
RIGHTS: Final[Mapping[tuple[str, str], Rights]] = {
    **{("GET", f"{_API}/{resource}"): _list(resource) for resource in (DATASET, MODEL, JOB, SCRIPT)},
    **{
        (method, f"{_API}/{resource}/<name:name>"): _one(resource, action)
        for resource in (DATASET, JOB, SCRIPT)
        for method, action in (("GET", "get"), ("PUT", "put"), ("DELETE", "delete"))
    },
    ("POST", f"{_API}/model"): _later,
    ("GET", f"{_API}/model/<name:name>"): _metadata,
    ("DELETE", f"{_API}/model/<name:name>"): _one(MODEL, "delete"),
    **{(method, f"{_API}/model/<name:name>"): _one(MODEL, "metadata") for method in ("PUT", "POST")},
    **{("PUT", f"{_API}/model/<name:name>/{action}"): _call(action) for action in FIT},
    **{
        (method, f"{_API}/model/<name:name>/{action}"): _call(action)
        for action in ASK
        for method in ("GET", "PUT", "POST")
    },
    ("POST", f"{_API}/job/<name:name>/run"): _one(JOB, "run"),
    ("GET", f"{_API}/job/<name:name>/results"): _one(JOB, "results"),
    **{
        (method, f"{_API}/job/<name:name>/schedule"): _one(JOB, "schedule")
        for method in ("GET", "PUT", "DELETE")
    },
    ("GET", f"{_API}/job/results/<name:name>"): _result("results"),
    ("DELETE", f"{_API}/job/results/<name:name>"): _result("delete"),
    ("GET", f"{_API}/job/export/<name:name>"): _export,
    ("POST", f"{_API}/script/<name:name>/run"): _one(SCRIPT, "run"),
    ("GET", f"{_API}/task"): _later,
    ("GET", _TASK): _later,
    ("DELETE", _TASK): _later,
    **{("GET", f"{_TASK}/{what}"): _later for what in ("status", "result", "events")},
    ("GET", f"{_API}/config"): lambda asked: [[Right("config", "", "get")]],
    # No rule gives this one: figures are for callers whom nothing restricts.
    ("GET", "/metrics"): lambda asked: [[Right("server", "", "metrics")]],
}
