"""Every route, with every set of rules: the table of what is allowed, written down here a second time."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from omega import Omega
from omega.domain.access import Right
from omega.domain.errors import BadInput
from omega.entrypoints.http.app import build, routes
from omega.entrypoints.http.callers import Entry
from omega.entrypoints.http.requested import needs_of
from omega.entrypoints.http.rights import RIGHTS
from omega.entrypoints.http.routing import Route, build_app
from omega.entrypoints.limits import Limits
from tests.support.wsgi import Reply, call

ONE = {"data": {"x": [1.0]}}
D_AND_E = ["dataset/d/get", "dataset/e/get"]
SPEC = [["LinearRegression", {}]]
Needs = Sequence[str]

#: Route: a request to it, its body, and the rights that this takes (`a or b`: one of them).
REQUESTS: dict[tuple[str, str], tuple[str, Any, Needs]] = {
    ("GET", "dataset"): ("/dataset/", None, ["dataset//list"]),
    ("GET", "dataset/<name:name>"): ("/dataset/d@1[x]?limit=1", None, ["dataset/d/get"]),
    ("PUT", "dataset/<name:name>"): ("/dataset/d", {"data": {"x": [1], "y": [2]}}, ["dataset/d/put"]),
    ("DELETE", "dataset/<name:name>"): ("/dataset/gone/", None, ["dataset/gone/delete"]),
    ("GET", "model"): ("/model", None, ["model//list"]),
    ("POST", "model"): ("/model/", {"name": "m", "pipeline": SPEC, "replace": True}, ["model/m/create"]),
    ("GET", "model/<name:name>"): ("/model/m^", None, ["model/m/metadata"]),
    ("DELETE", "model/<name:name>"): ("/model/gone/", None, ["model/gone/delete"]),
    ("PUT", "model/<name:name>"): ("/model/m/", None, ["model/m/metadata"]),
    ("POST", "model/<name:name>"): ("/model/m", None, ["model/m/metadata"]),
    **{
        ("PUT", f"model/<name:name>/{action}"): (
            f"/model/m/{action}/?datax=d[x]&datay=d@1[y]&async=1",
            None,
            [f"model/m/{action}", "dataset/d/get"],
        )
        for action in ("fit", "partial_fit")
    },
    **{
        (method, f"model/<name:name>/{action}"): (
            f"/model/m@2/{action}?datax=d[x]",
            None,
            [f"model/m/{action}", "dataset/d/get"],
        )
        for action in (
            "predict",
            "predict_proba",
            "predict_log_proba",
            "transform",
            "score",
            "decision_function",
        )
        for method in ("GET", "PUT", "POST")
    },
    ("GET", "job"): ("/job", None, ["job//list"]),
    ("GET", "job/<name:name>"): ("/job/j", None, ["job/j/get"]),
    ("PUT", "job/<name:name>"): ("/job/j.ipynb/", {"code": "1"}, ["job/j/put"]),
    ("DELETE", "job/<name:name>"): ("/job/gone/", None, ["job/gone/delete"]),
    ("POST", "job/<name:name>/run"): ("/job/j/run/?async=1", None, ["job/j/run"]),
    ("GET", "job/<name:name>/results"): ("/job/j/results", None, ["job/j/results"]),
    ("GET", "job/<name:name>/schedule"): ("/job/j/schedule", None, ["job/j/schedule"]),
    ("PUT", "job/<name:name>/schedule"): ("/job/j.ipynb/schedule", {"cron": "0 6 * * *"}, ["job/j/schedule"]),
    ("DELETE", "job/<name:name>/schedule"): ("/job/j/schedule/", None, ["job/j/schedule"]),
    ("GET", "job/results/<name:name>"): ("/job/results/j_100.ipynb/", None, ["job/j/results"]),
    ("DELETE", "job/results/<name:name>"): ("/job/results/j_999.ipynb", None, ["job/j/delete"]),
    ("GET", "job/export/<name:name>"): ("/job/export/results/j_100.ipynb?format=py", None, ["job/j/export"]),
    ("GET", "config"): ("/config", None, ["config//get"]),
    ("GET", "script"): ("/script/", None, ["script//list"]),
    ("GET", "script/<name:name>"): ("/script/s/", None, ["script/s/get"]),
    ("PUT", "script/<name:name>"): ("/script/s", {"code": "def run(om): pass"}, ["script/s/put"]),
    ("DELETE", "script/<name:name>"): ("/script/gone/", None, ["script/gone/delete"]),
    ("POST", "script/<name:name>/run"): ("/script/s/run?async=1&k=v", None, ["script/s/run"]),
}
#: Other requests to these routes.
MORE: list[tuple[str, str, Any, Needs]] = [
    ("HEAD", "/dataset/d", None, ["dataset/d/get"]),
    ("HEAD", "/model/m/predict/?datax=d[x]", None, ["model/m/predict", "dataset/d/get"]),
    ("GET", "/model/m/?datax=d[x]", None, ["model/m/predict", "dataset/d/get"]),
    ("GET", "/model/m/?datax=d[x]&datay=e&async=1", None, ["model/m/predict", *D_AND_E]),
    ("PUT", "/model/m/fit/?datax=d[x]&datay=e&async=1", None, ["model/m/fit", *D_AND_E]),
    ("POST", "/model/m/score?datax=d[x]&datay=e", None, ["model/m/score", *D_AND_E]),
    ("PUT", "/model/m/fit/?async=1", {"datax": "d[x]", "datay": "e"}, ["model/m/fit", *D_AND_E]),
    ("POST", "/model/m/score", {"datax": "d[x]", "datay": "e"}, ["model/m/score", *D_AND_E]),
    ("POST", "/model/m/predict/", ONE, ["model/m/predict"]),
    ("POST", "/model/m%2Fx/predict/", ONE, ["model/m/x/predict"]),
    ("GET", "/dataset/%64", None, ["dataset/d/get"]),
    ("GET", "/dataset/a/b", None, ["dataset/a/b/get"]),
    ("GET", "/dataset/get/d", None, ["dataset/get/d/get"]),
    ("GET", "/dataset/D", None, ["dataset/D/get"]),
    ("GET", "/dataset/%C3%A9", None, ["dataset/é/get"]),
    ("GET", "/model/m/nonsense", None, ["model/m/nonsense/metadata"]),
    ("GET", "/job/export/j_100?format=py", None, ["job/j/export or job/j_100/export"]),
    ("GET", "/job/export/j?format=py", None, ["job/j/export"]),
    ("GET", "/job/results/a/b_5", None, ["job/a/b/results"]),
]  # fmt: skip
RULES = [
    [".*/.*/.*"],
    ["model"],
    ["models/.*/.*"],
    ["model/m/.*"],
    ["model/m/predict"],
    ["model/m/predict", "dataset/d/get"],
    ["model/m/(fit|partial_fit|score)", "dataset/(d|e)/get"],
    ["dataset"],
    ["dataset/.*/get"],
    ["datasets//list", "jobs//list"],
    ["job/j/.*"],
    ["job/j.ipynb/results"],
    ["job/j_100/export"],
    ["job/j/(export|run|schedule)", "scripts/.*/run"],
    ["script/s"],
    ["(?i)MODEL/M.*/(?i)PREDICT"],
    ["mod/m/.*", "model/.*/pred", "odel/.*/.*"],
    [".*/.*/list"],
    ["config"],
]


def allowed(rules: list[str], need: str) -> bool:
    """What the contract says, as slowly as it says it."""
    return any(
        re.fullmatch(parts[0], known) and re.fullmatch(parts[1], name) and re.fullmatch(parts[2], action)
        for parts in map(split, rules)
        for resource, name, action in [re.fullmatch("([^/]*)/(.*)/([^/]*)", need).groups()]  # type: ignore[union-attr]
        for known in (resource, f"{resource}s")
        for name in ((name, f"{name}.ipynb") if resource == "job" and name else (name,))
    )


def split(rule: str) -> tuple[str, str, str]:
    if "/" not in rule:
        return rule, ".*", ".*"
    first, last = rule.index("/"), rule.rindex("/")
    return (
        (rule[:first], rule[first + 1 : last], rule[last + 1 :]) if last > first else (*rule.split("/"), ".*")
    )  # type: ignore[return-value]


def all_requests() -> list[tuple[str, str, Any, Needs]]:
    return [(method, *request) for (method, _), request in REQUESTS.items()] + MORE


@pytest.fixture(scope="module")
def omega(tmp_path_factory):
    """Objects in bucket `store`, none in bucket `empty`; a queue that nobody serves."""
    home = tmp_path_factory.mktemp("home")
    with Omega((home / "s").as_uri(), queue=f"sqlite:///{home}/q.sqlite", home=home) as omega:
        omega.datasets.put({"x": [1.0, 2.0], "y": [2.0, 4.0]}, "json")
        app = build(omega, Limits())
        for name in ("d", "e", "a/b", "get/d", "é"):
            assert (
                ask(
                    app,
                    "PUT",
                    f"/dataset/{name.replace('é', '%C3%A9')}",
                    {"data": {"x": [1.0, 2.0], "y": [2.0, 4.0]}},
                ).status
                == 202
            )
        omega.models.create("m", SPEC)
        local = omega._services.models
        local.fit("m", "d[x]", "d[y]")
        omega.jobs.create("1", "j")
        runs = omega._services.jobs.runs
        notebook = json.dumps(omega.jobs.get("j")).encode()
        begun = runs.begin(omega.jobs.metadata("j"), parameters={}, task=None)
        ended = runs.finish(begun, error=None, notebook=notebook)
        value = dict(omega._services.jobs.runs.records.read(runs._key(ended)).value)
        runs.records.write(runs._key(evolve(ended, key=100)), value=value, expected=None)
        omega.scripts.put("def run(om): pass", "s")
        yield omega


def ask(app: Any, method: str, uri: str, body: Any = None, **headers: str) -> Reply:
    raw = b"" if body is None else json.dumps(body).encode()
    return call(app, method, "/api/v1" + uri, body=raw, headers=headers)


def names_of(route: Route) -> tuple[str, str]:
    return route.method, route.path.removeprefix("/api/v1/")


def domain_alone(omega: Omega, rules: list[str]) -> Any:
    """The application without what is said beforehand: only the gates in the domain refuse."""
    found = [evolve(route, rights=lambda asked: []) for route in routes(omega, Limits())]
    return build_app(found, limits=Limits(), enter=Entry(omega.callers(rules)))


def test_every_route_names_its_right_or_is_public(omega):
    found = routes(omega, Limits())
    assert [route.path for route in found if route.rights is None and not route.public] == []
    unknown = {names_of(route) for route in found if not route.public} - REQUESTS.keys()
    assert [path for _, path in unknown if not path.startswith("task")] == ["/metrics"]
    assert RIGHTS.keys() <= {(route.method, route.path) for route in found}


@pytest.mark.parametrize("rules", RULES, ids=";".join)
def test_every_route_with_every_set_of_rules(omega, rules):
    """With what is said beforehand, and by the domain alone; a refusal does not depend on what there is."""
    app, alone = build(omega, Limits(), rules=rules), domain_alone(omega, rules)
    for method, uri, body, needs in all_requests():
        expected = all(any(allowed(rules, one) for one in need.split(" or ")) for need in needs)
        reply = ask(app, method, uri, body)
        assert (reply.status != 403) == expected, (method, uri, reply.status, reply.body)
        if expected:
            assert reply.status < 500, (method, uri, reply.body)
            continue
        assert ask(app, "OPTIONS", uri.partition("?")[0]).status == 204
        if not (body and "datax" in body):  # else the model is allowed, and looked for before the datasets
            elsewhere = ask(app, method, uri, body, bucket="empty")
            assert elsewhere.status == 403
            assert method == "HEAD" or said(reply) == said(elsewhere)
        if method == "HEAD":
            continue
        if (method, uri) in (("PUT", "/model/m/"), ("POST", "/model/m")):
            continue  # there is no such method; nothing is reached
        by_domain = ask(alone, method, uri, body)
        assert by_domain.status == 403, (method, uri, by_domain.status, by_domain.body)


def said(reply: Reply) -> str:
    assert reply.headers["content-type"] == "application/problem+json"
    return str(reply.json["detail"]).replace("'empty'", "'store'")


def test_what_a_request_needs_is_told_beforehand():
    for method, uri, body, needs in all_requests():
        if body is not None and "datax" in body:
            continue  # the domain alone can tell
        found = needs_of(method, "http://host:1" * (method == "PUT") + "/api/v1" + uri, name="m")
        assert [" or ".join(map(str, need)).replace(".ipynb", "") for need in found] == list(needs), uri


@pytest.mark.parametrize(
    ("method", "url", "words"),
    [
        ("GET", "/api/v1/nothing", "nothing at"),
        ("PATCH", "/api/v1/dataset/d", "only DELETE, GET, PUT"),
        ("POST", "/api/v1/model", "--name"),
        ("GET", "/api/v1/task/1/result", "belongs to the call"),
        ("GET", "/api/v1/dataset/a:b", "illegal dataset name"),
        ("GET", "/api/v1/dataset/%ff", "not UTF-8"),
    ],
)
def test_what_rules_say_nothing_about(method, url, words):
    with pytest.raises(BadInput, match=words):
        needs_of(method, url)


PARTS = st.sampled_from(
    ["m", "d", "fit", "predict", "run", "results", "export", "schedule", "j_1", "x.ipynb", "@1"]
)
PATHS = st.tuples(
    st.sampled_from(["dataset", "model", "job", "script", "task", "config", "ping"]),
    st.lists(PARTS, max_size=4),
).map(lambda found: "/api/v1/" + "/".join([found[0], *found[1]]))


@given(PATHS, st.booleans(), st.sampled_from(["GET", "PUT", "POST", "DELETE"]))
def test_a_url_is_read_as_the_server_reads_it(path, slash, method):
    """The route that the server finds is the one whose right is told."""
    seen: list[Route] = []

    def noted(route: Route) -> Route:
        def handle(request: Any) -> Any:
            seen.append(route)
            raise BadInput(json.dumps([[str(right) for right in need] for need in rights(request)]))

        def rights(request: Any) -> Any:
            return RIGHTS[route.method, route.path](request)

        return evolve(route, handler=handle, rights=lambda asked: [])

    table = [Route(*key, lambda request: None) for key in RIGHTS]  # type: ignore[arg-type, return-value]
    app = build_app([noted(route) for route in table], limits=Limits())
    uri = path + "/" * slash
    reply = call(app, method, uri)
    try:
        needs = needs_of(method, uri, name="m")
    except BadInput as error:
        named = "--name" in str(error) or "belongs to" in str(error)
        assert named or reply.status in (404, 405) or reply.json["detail"] == str(error)
        return
    if (method, seen[0].path) != ("POST", "/api/v1/model"):
        assert reply.json["detail"] == json.dumps([[str(right) for right in need] for need in needs])


# tasks


def submitted(app: Any, uri: str, method: str = "PUT") -> str:
    reply = ask(app, method, uri)
    assert reply.status == 202, reply.body
    return str(reply.json["task_id"])


TASK_ROUTES = [
    ("GET", ""),
    ("GET", "/"),
    ("GET", "/status"),
    ("GET", "/result"),
    ("GET", "/events"),
    ("DELETE", ""),
]


def test_every_task_route_is_tried(omega):
    found = {names_of(route) for route in routes(omega, Limits()) if "/task" in route.path}
    tried = {(method, f"task/<id>{rest.rstrip('/')}") for method, rest in TASK_ROUTES}
    assert found == tried | {("GET", "task")}


@pytest.mark.parametrize(
    ("rules", "sees"),
    [
        ([".*/.*/.*"], True),
        (["model/m/fit", "dataset/[de]/get"], True),
        (["model/.*/fit", "dataset/.*/.*"], True),
        (["model/m/fit", "dataset/d/get"], False),
        (["model/m/predict", "dataset/.*/get"], False),
        (["dataset/.*/get"], False),
        (["task/.*/.*"], False),
    ],
)
def test_a_task_belongs_to_the_call_that_made_it(omega, rules, sees):
    everybody = build(omega, Limits())
    app = build(omega, Limits(), rules=rules)
    for method, rest in TASK_ROUTES:
        id = submitted(everybody, "/model/m/fit/?datax=d[x]&datay=e[y]@1&async=1")
        if rest == "/events":
            submitted_and_over = ask(everybody, "DELETE", f"/task/{id}")
            assert submitted_and_over.status == 202
        reply = ask(app, method, f"/task/{id}{rest}")
        unknown = ask(app, method, f"/task/{id[::-1]}{rest}")
        assert unknown.status == 404
        assert reply.status == ((202 if method == "DELETE" else 200) if sees else 404), (rest, reply.body)
        if not sees:
            assert reply.json["detail"].replace(id, "") == unknown.json["detail"].replace(id[::-1], "")
        listed = ask(app, "GET", "/task/?limit=1000").json
        assert (id in {task["task_id"] for task in listed["objects"]}) == sees
        assert listed["meta"]["total_count"] == len(listed["objects"])
    # In another bucket there is none of them.
    assert ask(app, "GET", "/task/", bucket="empty").json["objects"] == []


def test_a_page_of_the_tasks_that_one_may_see(omega):
    everybody = build(omega, Limits())
    ids = [
        submitted(everybody, f"/model/m/{action}/?datax=d[x]&datay=d[y]&async=1")
        for action in ("fit", "partial_fit", "fit", "partial_fit", "fit")
    ]
    app = build(omega, Limits(), rules=["model/m/fit", "dataset/d/get"])
    whole = [task["task_id"] for task in ask(app, "GET", "/task?limit=1000").json["objects"]]
    assert whole[:3] == [ids[4], ids[2], ids[0]]
    page = ask(app, "GET", "/task?limit=2&offset=1").json
    assert [task["task_id"] for task in page["objects"]] == whole[1:3]
    assert page["meta"]["total_count"] == len(whole)


def test_the_rights_of_a_job_and_a_script_go_for_their_tasks(omega):
    everybody = build(omega, Limits())
    job, script = (submitted(everybody, f"/{one}/run?async=1", "POST") for one in ("job/j", "script/s"))
    for rules, seen in [(["job/j/run"], job), (["job/j.ipynb/run"], job), (["scripts/s/run"], script)]:
        app = build(omega, Limits(), rules=rules)
        found = {task["task_id"] for task in ask(app, "GET", "/task?limit=1000").json["objects"]}
        assert found & {job, script} == {seen}


# handlers and routes of tomorrow


def test_a_route_without_a_right_is_refused_to_whom_rules_restrict(omega):
    extra = Route("GET", "/api/v1/new", lambda request: pytest.fail("it was called"))
    app = build_app([extra], limits=Limits(), enter=Entry(omega.callers(["dataset/.*/.*"])))
    assert ask(app, "GET", "/new").status == 403


def test_a_handler_that_forgets_who_asks_reaches_nothing(omega):
    handlers = {
        (route.method, route.path): route.handler.__self__
        for route in routes(omega, Limits())
        if hasattr(route.handler, "__self__")
    }
    resource = handlers["GET", "/api/v1/dataset"]
    forgetful = Route(
        "GET", "/api/v1/new", lambda request: resource.omega.datasets.get("d"), rights=lambda asked: []
    )
    app = build_app([forgetful], limits=Limits())
    assert ask(app, "GET", "/new").status == 403


def test_figures_are_for_those_whom_nothing_restricts(omega):
    """No rule speaks of them; 404 is that nobody counts here."""
    for rules, status in [
        (None, 404),
        ([".*/.*/.*"], 404),
        (["dataset", "model", "job", "script", "config"], 403),
    ]:
        assert call(build(omega, Limits(), rules=rules), "GET", "/metrics").status == status


def test_a_public_route_reaches_nothing(omega):
    app = build(omega, Limits(), rules=["model/x/fit"])
    assert ask(app, "GET", "/ping").status == 200


def test_right_is_shown_as_a_rule():
    assert str(Right("model", "a/b", "fit")) == "model/a/b/fit"
