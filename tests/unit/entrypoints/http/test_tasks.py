"""Tasks over WSGI, on a store in memory, where they are carried out at once; or, with a queue that nobody
serves, never.
"""

import json
import re
from typing import Any

import pytest

from omega import Omega
from omega.domain.tasks import Failure, Progress
from omega.entrypoints.http.app import build
from omega.entrypoints.http.wsgi_call import CAN_WAIT, WAIT, WAITED, Pause
from omega.entrypoints.limits import Limits
from omega.ports.queue import QueueUnavailable
from tests.support.wsgi import Reply, call, environ_for

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Api:
    def __init__(self, omega: Omega) -> None:
        self.omega = omega
        self.app = build(omega, Limits())

    def __call__(self, method: str, path: str, body: Any = b"", **headers: str) -> Reply:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return call(self.app, method, "/api/v1" + path, body=raw, headers=headers)


def filled(omega: Omega) -> Api:
    omega.datasets.put({"x": [1, 2]}, "other")
    api = Api(omega)
    assert api("PUT", "/dataset/d/", {"data": {"x": [1, 2, 3], "y": [2, 4, 6]}}).status == 202
    assert api("POST", "/model/", {"name": "m", "pipeline": [["LinearRegression", {}]]}).status == 201
    return api


@pytest.fixture
def api():
    return filled(Omega("memory://"))


@pytest.fixture
def waiting(tmp_path):
    """No worker serves this queue: tasks stay as they are."""
    with Omega(
        (tmp_path / "store").as_uri(), queue=f"sqlite:///{tmp_path}/queue.sqlite", home=tmp_path
    ) as omega:
        yield filled(omega)


def submitted(
    api: Api, method: str = "PUT", path: str = "/model/m/fit/?datax=d[x]&datay=d[y]&async=1"
) -> str:
    reply = api(method, path)
    assert reply.status == 202
    id = reply.json["task_id"]
    assert reply.headers["location"] == f"/api/v1/task/{id}/result"
    return str(id)


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_a_fit_that_is_not_waited_for(api, value):
    id = submitted(api, path=f"/model/m/fit/?datax=d[x]&datay=d[y]&async={value}")
    assert UUID7.fullmatch(id)
    status = api("GET", f"/task/{id}/status").json
    assert (status["task_id"], status["status"]) == (id, "SUCCESS")
    answer = {
        "model": "m",
        "datax": "d[x]",
        "datay": "d[y]",
        "result": "ok",
        "resource_uri": "/api/v1/model/m/",
        "version": 2,
    }
    result = {"response": answer, "status": "SUCCESS", "task_id": id}
    for query in ("", "?resource_uri=/api/v1/model/m/", "?resource_uri=/api/v1/model/m"):
        assert api("GET", f"/task/{id}/result{query}").json == result
        assert api("GET", f"/task/{id}/result/{query}").json == result


@pytest.mark.parametrize(
    ("method", "action"),
    [
        ("GET", ""),
        *(
            (m, a)
            for m in ("GET", "PUT", "POST")
            for a in ("predict", "score", "transform", "decision_function")
        ),
        ("PUT", "partial_fit"),
    ],
)
def test_a_task_answers_what_the_same_call_would_have_answered(api, method, action):
    spec = {
        "transform": ["StandardScaler", {}],
        "decision_function": ["LinearSVC", {"random_state": 0}],
        "partial_fit": ["SGDRegressor", {"random_state": 0}],
    }.get(action, ["LinearRegression", {}])
    labels = "d[y]" if action != "transform" else None
    for name in ("one", "two"):
        api("POST", "/model/", {"name": name, "pipeline": [spec]})
        if action != "partial_fit":
            api.omega.runtime.model(name).fit("d[x]", labels)
    query = "?datax=d[x]" + ("&datay=d[y]" if action in ("score", "partial_fit", "") else "")
    path = f"/{action}/" if action else "/"
    now = api(method, f"/model/one{path}{query}").json
    later = api("GET", f"/task/{submitted(api, method, f'/model/two{path}{query}&async=1')}/result").json
    now = {**now, "model": "two", "resource_uri": "/api/v1/model/two/"}
    assert later["response"] == now


def test_data_in_the_body_comes_along(api):
    submitted(api)
    reply = api("POST", "/model/m/predict/?async=1", {"data": {"x": [10]}})
    response = api("GET", f"/task/{reply.json['task_id']}/result").json["response"]
    assert response["result"] == pytest.approx([20.0]) and response["datax"] is None
    fit = {"datax": {"x": [0, 1]}, "datay": {"y": [1, 2]}}
    reply = api("PUT", "/model/m/fit/?async=1", fit)
    assert api("GET", f"/task/{reply.json['task_id']}/status").json["status"] == "SUCCESS"


def test_a_failure_is_told_as_the_call_would_have_told_it(api):
    id = submitted(api, path="/model/m/fit/?datax=d[x]&datay=other&async=1")
    assert api("GET", f"/task/{id}/status").json["status"] == "FAILURE"
    told = api("GET", f"/task/{id}/result")
    assert (told.status, told.json["status"]) == (200, "FAILURE")
    now = api("PUT", "/model/m/fit/?datax=d[x]&datay=other")
    assert now.status == told.json["response"]["status"] == 400
    assert now.json["message"] == told.json["response"]["message"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/model/none/fit/?datax=d&async=1", 404),
        ("/model/m/fit/?datax=none&async=1", 404),
        ("/model/m/fit/?datax=d[x]&async=maybe", 400),
        ("/model/m/fit/?datax=d[x]&async=1&timeout=0", 400),
        ("/model/m/fit/?datax=d[x]&async=1&timeout=99999999", 400),
        ("/model/m/fit/?async=1", 400),
        ("/model/m@1/fit/?datax=d[x]&async=1", 400),
        ("/model/m/predict/?datax=d[x]&timeout=3", 400),
        ("/model/m/predict/?datax=d[x]&datay=d[y]&async=1", 400),
    ],
)
def test_what_cannot_succeed_is_refused_at_once(api, path, status):
    before = api("GET", "/task/").json["meta"]["total_count"]
    reply = api("PUT", path)
    assert reply.status == status and reply.json["message"]
    assert api("GET", "/task/").json["meta"]["total_count"] == before


@pytest.mark.parametrize(
    "id", ["01a20ee6-2763-793e-ad7c-da76206462d0", "x", "..%2fworker", "%00", "a" * 2000, "*", "é"]
)
@pytest.mark.parametrize(
    ("method", "rest"),
    [("GET", ""), ("GET", "/status"), ("GET", "/result"), ("GET", "/events"), ("DELETE", "")],
)
def test_ids_that_there_are_not(api, id, method, rest):
    reply = api(method, f"/task/{id}{rest}")
    assert reply.status == (400 if id == "%00" else 404)
    assert reply.headers["content-type"] == "application/problem+json"


def test_a_task_is_one_of_its_bucket(api):
    id = submitted(api)
    assert api("GET", f"/task/{id}/status", bucket="team").status == 404
    assert api("DELETE", f"/task/{id}", bucket="team").status == 404
    assert api("GET", "/task/", bucket="team").json["objects"] == []


def test_the_list_begins_with_the_latest(api):
    ids = [submitted(api) for _ in range(3)]
    page = api("GET", "/task/?limit=2").json
    assert [task["task_id"] for task in page["objects"]] == ids[:0:-1]
    assert page["meta"] == {
        "limit": 2,
        "next": "/api/v1/task/?limit=2&offset=2",
        "offset": 0,
        "previous": None,
        "total_count": 3,
    }
    assert api("GET", page["meta"]["next"].removeprefix("/api/v1")).json["objects"][0]["task_id"] == ids[0]
    assert api("GET", f"/task/{ids[0]}").json == api("GET", "/task/?offset=2").json["objects"][0]
    assert api("GET", "/task/?name=x").status == 400


def test_a_resource_uri_of_another_object_is_refused(api):
    reply = api("GET", f"/task/{submitted(api)}/result?resource_uri=/api/v1/model/other/")
    assert reply.status == 400 and "/api/v1/model/m/" in reply.json["message"]


def test_cancelling(waiting):
    id = submitted(waiting)
    assert waiting("GET", f"/task/{id}/result").json == {"response": None, "status": "PENDING", "task_id": id}
    reply = waiting("DELETE", f"/task/{id}")
    assert (reply.status, reply.json["status"]) == (202, "REVOKED")
    result = waiting("GET", f"/task/{id}/result").json
    assert (result["status"], result["response"]["status"]) == ("REVOKED", 409)
    again = waiting("DELETE", f"/task/{id}")
    assert again.status == 409 and "REVOKED" in again.json["message"]


def test_a_queue_that_is_down_leaves_nothing_behind(waiting, monkeypatch):
    queue = waiting.omega._services.work.queue
    monkeypatch.setattr(type(queue), "submit", lambda *_: (_ for _ in ()).throw(QueueUnavailable("down")))
    for path in ("/model/m/fit/?datax=d[x]&datay=d[y]&async=1", "/model/m/fit/?datax=d[x]&datay=d[y]"):
        reply = waiting("PUT", path)
        assert reply.status == 503 and int(reply.headers["retry-after"]) > 0
    assert waiting("GET", "/task/").json["objects"] == []
    assert waiting.omega._services.work.leases.records.store.page("task").total == 0


def test_a_result_over_the_limit_is_a_failure_that_names_it(monkeypatch):
    monkeypatch.setenv("OMEGA_MAX_RESULT_BYTES", "300")
    api = filled(Omega("memory://"))
    submitted(api)
    reply = api("POST", "/model/m/predict/?async=1", {"data": {"x": list(range(100))}})
    result = api("GET", f"/task/{reply.json['task_id']}/result").json
    assert result["status"] == "FAILURE" and result["response"]["status"] == 413
    assert "300" in result["response"]["message"]


def test_a_server_that_can_wait_holds_no_thread_for_a_fit(waiting):
    """The first call gives the server something to wait for; the second, once that is ready, answers."""
    environ = environ_for("PUT", "/api/v1/model/m/fit/?datax=d[x]&datay=d[y]")
    environ[CAN_WAIT] = True
    started: list[Any] = []
    b"".join(waiting.app(environ, lambda *answer: started.append(answer)))
    wait = environ[WAIT]
    assert not wait.ready()
    work = waiting.omega._services.work
    work.run_waiting()
    assert wait.ready()
    environ = environ_for("PUT", "/api/v1/model/m/fit/?datax=d[x]&datay=d[y]") | {
        CAN_WAIT: True,
        WAITED: wait,
    }
    body = b"".join(waiting.app(environ, lambda *answer: started.append(answer)))
    assert started[-1][0].startswith("202") and ("Etag", '"2"') in started[-1][1]
    assert json.loads(body)["result"] == "ok"


def test_events_tell_each_change_and_end_with_the_task(waiting):
    id = submitted(waiting)
    work = waiting.omega._services.work
    environ = environ_for("GET", f"/api/v1/task/{id}/events") | {CAN_WAIT: True}
    started: list[Any] = []
    events = iter(waiting.app(environ, lambda *answer: started.append(answer)))
    told = [next(events)]
    assert ("Content-Type", "text/event-stream") in started[0][1]
    assert isinstance(next(events), Pause)
    task = work.claim({"bucket": "store", "id": id}, "w")
    told.append(next(events))
    work.leases.renew(task, holder="w", progress=Progress(1, 3, "fitting"))
    assert isinstance(next(events), Pause)
    told.append(next(events))
    work.leases.endings.fail(task, "w", Failure("BadInput", "no"))
    assert isinstance(next(events), Pause)
    told += events
    parsed = [json.loads(re.fullmatch(rb"event: status\ndata: (.*)\n\n", event)[1]) for event in told]
    assert [event["status"] for event in parsed] == ["PENDING", "STARTED", "STARTED", "FAILURE"]
    assert parsed[2]["progress"] == {"done": 1, "total": 3, "message": "fitting"}


def test_a_fit_of_a_model_that_was_deleted_meanwhile(waiting):
    id = submitted(waiting)
    waiting("DELETE", "/model/m/")
    waiting.omega._services.work.run_waiting()
    result = waiting("GET", f"/task/{id}/result").json
    assert result["status"] == "FAILURE" and result["response"]["status"] == 404
    assert "'m'" in result["response"]["message"]


@pytest.mark.parametrize("query", ["", "&async=1"])
def test_labels_that_no_record_can_hold_are_refused_by_name(api, query):
    reply = api("POST", "/model/", {"name": "c", "pipeline": [["SGDClassifier", {}]]})
    assert reply.status == 201
    body = {"datax": {"x": [1, 2]}, "datay": {"y": [0, 1]}, "classes": [0, 2**70]}
    refused = api("PUT", f"/model/c/partial_fit/?{query}", body)
    assert refused.status == 400 and "partial_fit" in refused.json["message"]
    assert api.omega._services.work.leases.records.store.page("task-open/").total <= 1
