"""The resource `script` over WSGI: what is answered, and in which words it is refused. Scripts are called in
this process.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from omega import Omega
from omega.entrypoints import settings
from omega.ports.scripts import ScriptError, ScriptOutcome
from tests.support.jobs import Api, FakeRunner, FakeScripts, refused, without_processes
from tests.support.services import Still
from tests.support.wsgi import Reply

NOW = datetime(2016, 2, 6, 21, 33, 49, 833000, tzinfo=UTC)
CREATED = "2016-02-06 21:33:49.833000"
ECHO = "def run(om, *args, **kwargs):\n    return [list(args), kwargs]\n"
FAILING = """
import sys
def run(om, x=None):
    print('out')
    print('err', file=sys.stderr)
    raise KeyError('größe')
"""
#: The members of the answer of a script that failed, beside those of a problem.
FAILED = (
    *("script", "version", "result", "runtimes", "started", "ended"),
    *("stdout", "stderr", "error", "resource_uri"),
)


@pytest.fixture
def scripts() -> FakeScripts:
    return FakeScripts()


@pytest.fixture
def clock() -> Still:
    return Still(NOW)


@pytest.fixture
def api(scripts: FakeScripts, clock: Still) -> Iterator[Api]:
    with without_processes(FakeRunner(), scripts, clock):
        yield Api(Omega("memory://"))


@pytest.fixture
def waiting(scripts: FakeScripts, clock: Still, tmp_path: Any) -> Iterator[Api]:
    """No worker serves this queue: tasks stay as they are."""
    queue, store = f"sqlite:///{tmp_path}/queue.sqlite", (tmp_path / "store").as_uri()
    with without_processes(FakeRunner(), scripts, clock), Omega(store, queue=queue, home=tmp_path) as omega:
        yield Api(omega)


def put(api: Api, code: str = ECHO, name: str = "s", **headers: str) -> Reply:
    reply = api("PUT", f"/script/{name}", code.encode(), content_type="text/x-python", **headers)
    assert reply.status == 202, reply.body
    return reply


def run(api: Api, query: str = "", body: Any = b"", name: str = "s", **headers: str) -> Any:
    reply = api("POST", f"/script/{name}/run/{query}", body, **headers)
    assert reply.status == 201, reply.body
    return reply.json


# stored


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    "kind", ["text/x-python", "text/plain; charset=utf-8", "Text/X-Python", "application/x-python"]
)
def test_a_script_is_put_as_text(api, kind, slash):
    code = "# Größe\r\n" + ECHO
    reply = api("PUT", f"/script/f/s{slash}", code.encode(), content_type=kind)
    assert reply.status == 202 and reply.headers["etag"] == '"1"'
    described = {
        "name": "f/s",
        "kind": "python.script",
        "bucket": "store",
        "created": CREATED,
        "modified": CREATED,
        "version": 1,
        "resource_uri": "/api/v1/script/f/s/",
        "lines": 4,
    }
    assert reply.json == described
    assert api("GET", f"/script/f/s{slash}").json == {**described, "code": code}


@pytest.mark.parametrize("headers", [{}, {"content_type": "application/json"}, {"content_type": "x/y"}])
def test_a_script_is_put_as_json(api, headers):
    assert api("PUT", "/script/s", {"code": ECHO}, **headers).status == 202
    assert api("GET", "/script/s").json["code"] == ECHO


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"", "", "body is empty"),
        (ECHO.encode(), "", "malformed JSON"),
        (ECHO.encode(), "application/json", "malformed JSON"),
        (b"[]", "", "must be a JSON object"),
        ({}, "", "'code' must be Python source text"),
        ({"code": None}, "", "'code' must be Python source text"),
        ({"code": [ECHO]}, "", "'code' must be Python source text"),
        ({"code": ECHO, "name": "x"}, "", "unknown fields in the body: 'name'"),
        ({"code": ""}, "", "script 's': it has no function run"),
        (b"", "text/x-python", "script 's': it has no function run"),
        (b"x = '\xff'", "text/x-python", "not UTF-8: byte 5"),
        (b"\n\ndef run(om:", "text/x-python", "script 's', line 3: "),
        ({"code": "def walk(om): pass"}, "", "it has no function run"),
    ],
)
def test_bad_bodies_change_nothing(api, body, kind, words):
    put(api)
    refused(api("PUT", "/script/s", body, content_type=kind), 400, words)
    assert api("GET", "/script/s").json["version"] == 1


def test_versions_and_preconditions(api):
    put(api, if_none_match="*")
    put(api, "def run(om): return 2", if_match='"1"')
    refused(api("PUT", "/script/s", {"code": ECHO}, if_match='"1"'), 412, "is at version 2")
    for path in ("/script/s?version=1", "/script/s@1", "/script/s^"):
        assert api("GET", path).json["code"] == ECHO
        assert api("GET", path).headers["etag"] == '"1"'
    assert api("GET", "/script/s", if_none_match='"2"').status == 304
    assert run(api, name="s@1")["version"] == 1 and run(api)["result"] == 2
    refused(api("GET", "/script/s?version=3"), 404, "no version 3")
    refused(api("PUT", "/script/s@1", {"code": ECHO}), 400, "may not hold @")
    refused(api("DELETE", "/script/s", if_match='"1"'), 412)
    reply = api("DELETE", "/script/s/")
    assert (reply.status, reply.json) == (202, {"name": "s", "deleted": True})
    for method, path in [("GET", "/script/s"), ("DELETE", "/script/s"), ("POST", "/script/s/run")]:
        refused(api(method, path), 404, "there is no script 's' in bucket 'store'")


def test_lists(api):
    for name in ("b", "a", "f/c", "_hidden"):
        put(api, name=name)
    body = api("GET", "/script/?limit=2").json
    assert [item["name"] for item in body["objects"]] == ["a", "b"]
    assert body["meta"] == {
        "limit": 2,
        "next": "/api/v1/script/?limit=2&offset=2",
        "offset": 0,
        "previous": None,
        "total_count": 3,
    }
    assert body["objects"][0]["resource_uri"] == "/api/v1/script/a/" and "code" not in body["objects"][0]
    assert [item["name"] for item in api("GET", "/script?name=f/*").json["objects"]] == ["f/c"]
    refused(api("GET", "/script?x=1"), 400, "unknown query parameter 'x'")
    refused(api("GET", "/script/a?x=1"), 400, "unknown query parameter 'x'")
    refused(api("PUT", "/script/a?x=1", {"code": ECHO}), 400, "unknown query parameter 'x'")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("run", "action word 'run'"),
        ("f/list", "action word 'list'"),
        ("..%2fx", "'.' or '..' part"),
        ("a%00b", "control character"),
        ("x" * 256, "the limit is 255"),
        ("e%CC%81", "normal form C"),
        ("a//b", "empty"),
        ("a*", "may not hold *"),
        ("a%ffb", "not UTF-8"),
    ],
)
def test_illegal_names(api, name, words):
    refused(api("PUT", f"/script/{name}", {"code": ECHO}), 400, words)
    if not name.endswith("run"):
        for method, path in [("GET", name), ("DELETE", name), ("POST", f"{name}/run")]:
            refused(api(method, f"/script/{path}"), 400, words)
    assert api("GET", "/script").json["objects"] == []


def test_methods(api):
    put(api)
    for method, path, allow in [
        ("GET", "/script/s/run", "OPTIONS, POST"),
        ("PUT", "/script/s/run", "OPTIONS, POST"),
        ("POST", "/script/s", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("POST", "/script", "GET, HEAD, OPTIONS"),
    ]:
        reply = api(method, path)
        refused(reply, 405)
        assert reply.headers["allow"] == allow


# called


def test_the_answer(api, scripts, clock):
    scripts.om = lambda: clock.move(2.5)
    put(api, "def run(om, x): om(); print('ü'); return {'x': x}")
    assert run(api, body=[1, None, "ü"]) == {
        "script": "s",
        "version": 1,
        "result": {"x": [1, None, "ü"]},
        "runtimes": 2.5,
        "started": CREATED,
        "ended": "2016-02-06 21:33:52.333000",
        "stdout": "ü\n",
        "stderr": "",
        "error": None,
        "resource_uri": "/api/v1/script/s/",
    }


@pytest.mark.parametrize("body", [5, None, [], {}, "text", {"a": [1.5, True, None]}, 2**63 - 1])
def test_the_body_is_the_one_argument(api, body):
    put(api)
    assert run(api, body=body)["result"] == [[body], {}]


def test_without_a_body_there_is_no_argument(api):
    put(api)
    assert run(api)["result"] == [[], {}]
    assert run(api, body=b" \n")["result"] == [[], {}]


def test_the_query_is_keyword_arguments_as_text(api):
    put(api)
    result = run(api, "?x=1&y=&name=gr%C3%B6%C3%9Fe+2&asynchronous=1&self=2&async=0&timeout=9", 5)["result"]
    assert result == [[5], {"x": "1", "y": "", "name": "größe 2", "asynchronous": "1", "self": "2"}]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?x=1&x=2", "'x' stands more than once"),
        ("?timeout=1&timeout=2", "'timeout' stands more than once"),
        ("?timeout=0", "timeout='0'"),
        ("?timeout=1.5", "timeout='1.5'"),
        ("?timeout=2592001", "a timeout of 2592001 s cannot be kept"),
        ("?async=maybe", "neither true nor false"),
        ("?x=%ff", "not UTF-8"),
        ("?x=%zz", "not followed by two hex digits"),
    ],
)
def test_bad_queries(api, query, words):
    put(api)
    refused(api("POST", f"/script/s/run{query}"), 400, words)
    assert api("GET", "/task/").json["objects"] == []


@pytest.mark.parametrize("query", ["", "?async=1"])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "malformed JSON"),
        (b"NaN", "malformed JSON"),
        (b"\xff", "not valid UTF-8"),
        (b"[" * 30 + b"]" * 30, "nested deeper than the limit of 20"),
        (b'{"a": 1, "a": 2}', "stands twice"),
        (2**70, "the arguments of script 's' are not JSON"),
        ({"deep": [2**70]}, "the arguments of script 's' are not JSON"),
    ],
)
def test_arguments_that_are_not_json(api, body, words, query):
    put(api)
    refused(api("POST", f"/script/s/run{query}", body), 400, words)
    assert api("GET", "/task/").json["objects"] == []


@pytest.mark.parametrize(
    ("query", "timeout_s"), [("", 86400), ("?timeout=7", 7), ("?timeout=2592000", 2592000)]
)
def test_a_call_has_a_time_limit_of_its_own(api, scripts, query, timeout_s):
    put(api)
    run(api, query)
    assert scripts.calls[-1].timeout_s == timeout_s
    (task,) = api("GET", "/task/").json["objects"]
    assert task["timeout"] == min(timeout_s + 30, 2592000)


# what fails


def test_a_script_that_fails(api):
    put(api, FAILING)
    reply = api("POST", "/script/s/run", 5)
    refused(reply, 400, "script 's'", "KeyError: 'größe'", more=FAILED)
    body = reply.json
    assert body["error"] == {"name": "KeyError", "message": "'größe'", "line": 1, "failure": "raised"}
    assert (body["stdout"], body["result"], body["script"]) == ("out\n", None, "s")
    assert body["stderr"].startswith("err\n")
    assert body["title"] == "Script failed"


@pytest.mark.parametrize(
    ("code", "failure", "words"),
    [
        ("def run(om): return {1, 2}", "not json", "not JSON serializable"),
        ("def run(om): return float('inf')", "not json", "Out of range"),
        ("def run(om, x, y): pass", "raised", "missing 2 required positional arguments"),
        ("def run(om): pass\nraise SystemError('no')", "raised", "SystemError: no"),
    ],
)
def test_other_failures(api, code, failure, words):
    put(api, code)
    reply = api("POST", "/script/s/run")
    refused(reply, 400, "script 's'", words, more=FAILED)
    assert reply.json["error"]["failure"] == failure


@pytest.mark.parametrize(
    ("failure", "name"), [("timeout", "TimeLimitExceeded"), ("memory", "MemoryLimitExceeded"), ("died", "X")]
)
def test_a_script_that_is_ended(api, scripts, monkeypatch, failure, name):
    outcome = ScriptOutcome(failure=failure, error=ScriptError(name, "it was ended"), stdout="so far")
    monkeypatch.setattr(FakeScripts, "run", lambda *_, **__: outcome)
    put(api)
    reply = api("POST", "/script/s/run?timeout=1")
    refused(reply, 400, f"script 's': {name}: it was ended", more=FAILED)
    assert reply.json["stdout"] == "so far" and reply.json["error"]["failure"] == failure


# tasks


def submitted(api: Api, query: str = "?async=1", body: Any = b"") -> str:
    reply = api("POST", f"/script/s/run{query}", body)
    assert reply.status == 202 and reply.json.keys() == {"task_id", "status"}
    assert reply.headers["location"] == f"/api/v1/task/{reply.json['task_id']}/result"
    return str(reply.json["task_id"])


def test_a_call_that_is_not_waited_for(api):
    put(api)
    id = submitted(api, "?async=yes&x=1", 5)
    result = api("GET", f"/task/{id}/result?resource_uri=/api/v1/script/s/").json
    assert result == {"response": run(api, "?x=1", 5), "status": "SUCCESS", "task_id": id}
    assert result["response"]["result"] == [[5], {"x": "1"}]


def test_a_failure_is_told_as_the_call_would_have_told_it(api):
    put(api, FAILING)
    result = api("GET", f"/task/{submitted(api)}/result").json
    now = api("POST", "/script/s/run").json
    assert result["status"] == "FAILURE"
    assert {**result["response"], "request_id": ""} == {**now, "request_id": ""}


def test_a_script_that_is_dropped_before_it_is_called(waiting):
    put(waiting)
    id = submitted(waiting)
    assert waiting("GET", f"/task/{id}/result").json["response"] is None
    waiting("DELETE", "/script/s")
    waiting.omega._services.work.run_waiting()
    result = waiting("GET", f"/task/{id}/result").json
    assert (result["status"], result["response"]["status"]) == ("FAILURE", 404)


def test_what_waits_can_be_cancelled(waiting, scripts):
    put(waiting)
    id = submitted(waiting)
    waiting("DELETE", f"/task/{id}")
    waiting.omega._services.work.run_waiting()
    assert scripts.calls == [] and waiting("GET", f"/task/{id}/status").json["status"] == "REVOKED"


def test_a_call_whose_worker_is_gone_is_not_made_again(waiting, scripts, clock):
    put(waiting)
    id = submitted(waiting)
    work = waiting.omega._services.work
    work.claim({"bucket": "store", "id": id}, "a worker")
    clock.move(11)
    result = waiting("GET", f"/task/{id}/result").json
    work.run_waiting()
    assert (result["status"], scripts.calls) == ("FAILURE", [])
    assert "the worker was lost" in result["response"]["message"]


# buckets


def test_buckets_are_apart(api, scripts):
    put(api, bucket="team")
    refused(api("GET", "/script/s"), 404, "in bucket 'store'")
    refused(api("POST", "/script/s/run"), 404, "in bucket 'store'")
    run(api, bucket="team")
    assert scripts.calls[0].environment["OMEGA_BUCKET"] == "team"
    assert api("GET", "/script", bucket="team").json["objects"][0]["bucket"] == "team"


def test_a_script_works_where_it_is(waiting, scripts, tmp_path):
    put(waiting, bucket="team")
    waiting("POST", "/script/s/run?async=1", bucket="team")
    waiting.omega._services.work.run_waiting()
    found = settings.load(environ=scripts.calls[0].environment)
    assert (found.store, found.home, found.bucket) == ((tmp_path / "store").as_uri(), tmp_path, "team")
    assert found.queue_in_memory
    with Omega(settings=found) as omega:
        assert omega.scripts.list() == ["s"]


# Python


def test_python(api):
    scripts = api.omega.scripts
    assert scripts.put(ECHO, "s").version == 1
    assert scripts.get("s") == ECHO and scripts.list() == ["s"]
    assert scripts.run("s", 1, "x", k=[2]) == [[1, "x"], {"k": [2]}]
    assert scripts.run("s", name="a", self="b") == [[], {"name": "a", "self": "b"}]
    assert scripts.call("s", [1], timeout_s=5)["result"] == [[1], {}]
    assert scripts.submit("s", [1], {"k": 2}).result()["result"] == [[1], {"k": 2}]
    scripts.put("def run(om): return 2", "s")
    assert scripts.get("s@1") == scripts.get("s", version=1) == ECHO and scripts.run("s@1") == [[], {}]
    scripts.drop("s")
    with pytest.raises(LookupError, match="there is no script 's'"):
        scripts.run("s")


def test_python_raises_what_a_script_raised(api, scripts):
    from omega import ScriptFailed

    api.omega.scripts.put(FAILING, "s")
    with pytest.raises(ScriptFailed, match=r"script 's' .*KeyError: 'größe'"):
        api.omega.scripts.run("s")
    answer = api.omega.scripts.call("s")
    assert answer["error"]["name"] == "KeyError" and answer["stdout"] == "out\n"


@pytest.mark.parametrize("timeout_s", [0, -1, 2592001])
def test_times_that_no_call_can_have(api, timeout_s):
    api.omega.scripts.put(ECHO, "s")
    for call in (api.omega.scripts.call, api.omega.scripts.submit):
        with pytest.raises(ValueError, match=r"a timeout of .* cannot be kept"):
            call("s", timeout_s=timeout_s)


def test_files(api, tmp_path):
    (tmp_path / "clean.py").write_text(ECHO)
    assert api.omega.scripts.put(tmp_path / "clean.py").name == "clean"
    assert api.omega.scripts.put(tmp_path / "clean.py", "other").name == "other"
    (tmp_path / "bad.py").write_bytes(b"\xff")
    for path, words in [("none.py", "cannot read 'none.py'"), ("bad.py", "'bad.py' is no script")]:
        with pytest.raises(ValueError, match=words):
            api.omega.scripts.put(tmp_path / path)
    with pytest.raises(ValueError, match="needs a name"):
        api.omega.scripts.put(ECHO)


def test_over_the_queue(waiting, monkeypatch):
    """Whoever chose a queue leaves calls to its workers."""
    omega, work = waiting.omega, waiting.omega._services.work
    omega.scripts.put(ECHO, "s")
    from omega.entrypoints import waiting as waits

    monkeypatch.setattr(waits.time, "sleep", lambda _: work.run_waiting())
    assert omega.scripts.run("s", 1, k=2) == [[1], {"k": 2}]
    omega.scripts.put(FAILING, "s")
    assert omega.scripts.call("s")["error"]["name"] == "KeyError"
    assert {task.status for task in omega.runtime.tasks().items} == {"SUCCESS", "FAILURE"}
    assert json.dumps(omega.scripts.call("s"))
