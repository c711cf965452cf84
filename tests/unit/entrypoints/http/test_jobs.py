"""The resource `job` over WSGI: what is answered, and in which words it is refused. Notebooks are executed in
this process.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import nbformat
import pytest

from omega import Omega
from omega.domain.names import JOB
from omega.domain.tasks import Progress
from omega.entrypoints import settings
from omega.entrypoints.http.jobs import CONTENT_POLICY
from tests.support.jobs import Api, FakeRunner, FakeScripts, refused, without_processes
from tests.support.notebooks import code, notebook, printed, text
from tests.support.services import Still
from tests.support.wsgi import Reply

NOW = datetime(2016, 2, 6, 21, 33, 49, 833000, tzinfo=UTC)
KEY = int(NOW.timestamp())
CREATED = "2016-02-06T21:33:49.833000"
HELLO = notebook("print('hello')")
DECLARING = notebook(code("n = 1\nm = 2", tags=["parameters"]), "print(n, m)")
FAILING = notebook("print('before')", "{}['x']", "print('after')")


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner()


@pytest.fixture
def clock() -> Still:
    return Still(NOW)


@pytest.fixture
def api(runner: FakeRunner, clock: Still) -> Iterator[Api]:
    with without_processes(runner, FakeScripts(), clock):
        yield Api(Omega("memory://"))


@pytest.fixture
def waiting(runner: FakeRunner, clock: Still, tmp_path: Any) -> Iterator[Api]:
    """No worker serves this queue: tasks stay as they are."""
    queue, store = f"sqlite:///{tmp_path}/queue.sqlite", (tmp_path / "store").as_uri()
    with without_processes(runner, FakeScripts(), clock), Omega(store, queue=queue, home=tmp_path) as omega:
        yield Api(omega)


def put(api: Api, body: Any = HELLO, name: str = "testjob", **headers: str) -> Reply:
    reply = api("PUT", f"/job/{name}", body, **headers)
    assert reply.status == 202, reply.body
    return reply


def run(api: Api, name: str = "testjob", body: Any = b"", **headers: str) -> Any:
    reply = api("POST", f"/job/{name}/run/", body, **headers)
    assert reply.status == 201, reply.body
    return reply.json


def some(mapping: Any, *names: str) -> dict[str, Any]:
    return {name: mapping[name] for name in names}


SHOWN = ("job_runs", "job_results", "name", "created")


class TestSeed:
    """The examples of the API's description, as printed."""

    def test_listing_jobs(self, api):
        put(api)
        body = api("GET", "/job/").json
        assert body["meta"] == {"previous": None, "total_count": 1, "offset": 0, "limit": 20, "next": None}
        (listed,) = body["objects"]
        assert some(listed, *SHOWN) == {
            "job_runs": [],
            "job_results": {},
            "name": "testjob.ipynb",
            "created": CREATED,
        }

    def test_running_a_job(self, api, clock):
        put(api)
        clock.move(60)
        ran = {
            "job_runs": {str(KEY + 60): "OK"},
            "job_results": [f"results/testjob_{KEY + 60}.ipynb"],
            "name": "testjob.ipynb",
            "created": CREATED,
        }
        assert some(run(api), *SHOWN) == ran
        assert some(api("GET", "/job/").json["objects"][0], *SHOWN) == ran
        assert some(api("GET", "/job/testjob/").json, *SHOWN) == ran

    def test_getting_results(self, api):
        put(api)
        run(api)
        body = api("GET", f"/job/results/testjob_{KEY}.ipynb/").json
        assert some(body, "source_job", *SHOWN) == {
            "source_job": "testjob",
            "job_results": {},
            "created": CREATED,
            "job_runs": [],
            "name": f"results/testjob_{KEY}.ipynb",
        }
        (cell,) = body["content"]["cells"]
        assert some(cell, "execution_count", "cell_type", "source", "outputs", "metadata") == {
            "execution_count": 1,
            "cell_type": "code",
            "source": "print('hello')",
            "outputs": [{"output_type": "stream", "name": "stdout", "text": "hello\n"}],
            "metadata": {},
        }
        assert body["content"]["nbformat"] == 4 and body["content"]["metadata"] == {}
        nbformat.validate(nbformat.from_dict(body["content"]))

    def test_getting_a_report(self, api):
        put(api)
        run(api)
        body = api("GET", f"/job/export/testjob_{KEY}.ipynb/").json
        assert body["name"] == f"testjob_{KEY}.ipynb" and body.keys() == {"content", "name"}
        assert body["content"].startswith("<!DOCTYPE html>") and "hello" in body["content"]

    def test_information_on_a_job(self, api):
        put(api)
        body = api("GET", "/job/testjob/", {"the printed": "call sends a body"}).json
        assert some(body, *SHOWN) == {
            "job_runs": [],
            "job_results": {},
            "name": "testjob.ipynb",
            "created": CREATED,
        }
        (cell,) = body["content"]["cells"]
        assert some(cell, "execution_count", "cell_type", "source", "outputs", "metadata") == {
            "execution_count": None,
            "cell_type": "code",
            "source": "print('hello')",
            "outputs": [],
            "metadata": {},
        }


class TestNames:
    @pytest.mark.parametrize("slash", ["", "/"])
    @pytest.mark.parametrize("name", ["testjob", "testjob.ipynb"])
    def test_with_and_without_the_end(self, api, name, slash):
        assert api("PUT", f"/job/{name}{slash}", HELLO).json["name"] == "testjob.ipynb"
        assert api("GET", f"/job/{name}{slash}").json["name"] == "testjob.ipynb"
        assert api("POST", f"/job/{name}/run{slash}").json["name"] == "testjob.ipynb"
        assert api("GET", f"/job/{name}/results{slash}").json["meta"]["total_count"] == 1
        schedule = {"cron": "* * * * *"}
        assert api("PUT", f"/job/{name}/schedule{slash}", schedule).json["name"] == "testjob.ipynb"
        assert api("GET", f"/job/{name}/schedule{slash}").json["name"] == "testjob.ipynb"
        gone = {"name": "testjob.ipynb", "deleted": True}
        assert api("DELETE", f"/job/{name}/schedule{slash}").json == gone
        reply = api("DELETE", f"/job/{name}{slash}")
        assert (reply.status, reply.json) == (202, gone)
        assert api("GET", f"/job/{name}{slash}").status == 404

    @pytest.mark.parametrize("slash", ["", "/"])
    @pytest.mark.parametrize("end", ["", ".ipynb"])
    @pytest.mark.parametrize("prefix", ["", "results/"])
    def test_of_results(self, api, prefix, end, slash):
        put(api, name="f/testjob")
        run(api, "f/testjob")
        name = f"{prefix}f/testjob_{KEY}{end}{slash}"
        assert api("GET", f"/job/results/{name.removeprefix('results/')}").json["source_job"] == "f/testjob"
        body = api("GET", f"/job/export/{name}").json
        assert body["name"] == f"f/testjob_{KEY}.ipynb" and "hello" in body["content"]
        reply = api("DELETE", f"/job/results/{name.removeprefix('results/')}")
        assert (reply.status, reply.json["deleted"]) == (202, True)
        refused(api("GET", f"/job/export/{name}"), 404, "there is no result")

    def test_folders_and_strange_characters(self, api):
        for name in ("f/g/a", "a b", "größe", "a.py", "run/a", "f/results/a"):
            quoted = quote(name)
            put(api, name=quoted)
            body = run(api, quoted)
            assert body["name"] == f"{name}.ipynb" and body["job_results"] == [f"results/{name}_{KEY}.ipynb"]
        listed = [item["name"] for item in api("GET", "/job/?name=f/*").json["objects"]]
        assert listed == ["f/g/a.ipynb", "f/results/a.ipynb"]
        assert api("GET", f"/job/results/f/g/a_{KEY}.ipynb").json["source_job"] == "f/g/a"

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("run", "action word 'run'"),
            ("run.ipynb", "action word 'run'"),
            ("f/export", "action word 'export'"),
            ("x.ipynb.ipynb", "ends in .ipynb twice"),
            (".ipynb", "empty"),
            ("..%2fx", "'.' or '..' part"),
            ("%252e", "may not hold %"),
            ("a%00b", "control character"),
            ("a%0ab", "control character"),
            ("x" * 250, "256 bytes long, the limit is 255"),
            ("e%CC%81", "normal form C"),
            ("a//b", "empty"),
            ("a*", "may not hold *"),
            ("a%ffb", "not UTF-8"),
        ],
    )
    def test_illegal(self, api, name, words):
        for method, path, body in [
            ("PUT", name, HELLO),
            ("PUT", name, {"code": "1"}),
            ("GET", name, b""),
            ("DELETE", name, b""),
            ("POST", f"{name}/run", b""),
            ("GET", f"{name}/results", b""),
            ("PUT", f"{name}/schedule", {"cron": "* * * * *"}),
            ("GET", f"{name}/schedule", b""),
            ("DELETE", f"{name}/schedule", b""),
            ("GET", f"results/{name}_1", b""),
            ("DELETE", f"results/{name}_1", b""),
            ("GET", f"export/{name}_1", b""),
        ]:
            if name.startswith("f/") and path == name and method != "PUT":
                continue
            if "_1" in path and name in ("x" * 250,):
                continue
            refused(api(method, f"/job/{path}", body), 400, words)
        assert api("GET", "/job/?name=*").json["objects"] == []

    def test_places_of_results_are_no_jobs(self, api):
        for place in ("results", "export"):
            for method, path, body in [
                ("PUT", f"/job/{place}/x", HELLO),
                ("POST", f"/job/{place}/x/run", b""),
                ("PUT", f"/job/{place}/x/schedule", {"cron": "* * * * *"}),
            ]:
                reply = api(method, path, body)
                refused(reply, 405, f"{method} is not allowed here")
                assert "GET" in reply.headers["allow"]
            for method in ("PUT", "GET", "DELETE"):
                refused(api(method, f"/job/{place}", HELLO), 400, f"action word '{place}'")
        with pytest.raises(ValueError, match="first part may not be 'results'"):
            api.omega.jobs.put(HELLO, "results/x")

    def test_unknown_jobs(self, api):
        for method, path, body in [
            ("GET", "/job/none", b""),
            ("DELETE", "/job/none", b""),
            ("POST", "/job/none/run", b""),
            ("POST", "/job/none/run?async=1", b""),
            ("GET", "/job/none/results", b""),
            ("PUT", "/job/none/schedule", {"cron": "* * * * *"}),
            ("GET", "/job/none/schedule", b""),
            ("DELETE", "/job/none/schedule", b""),
            ("GET", "/job/results/none_1.ipynb", b""),
            ("GET", "/job/results/none", b""),
            ("DELETE", "/job/results/none_1", b""),
            ("GET", "/job/export/none_1.ipynb", b""),
            ("GET", "/job/export/none", b""),
        ]:
            refused(api(method, path, body), 404, "none")
        assert api("GET", "/task/").json["objects"] == []

    def test_methods(self, api):
        put(api)
        for method, path, allow in [
            ("GET", "/job/testjob/run", "OPTIONS, POST"),
            ("POST", "/job/testjob", "DELETE, GET, HEAD, OPTIONS, PUT"),
            ("POST", "/job", "GET, HEAD, OPTIONS"),
            ("PUT", "/job/testjob/results", "GET, HEAD, OPTIONS"),
            ("DELETE", "/job/export/testjob", "GET, HEAD, OPTIONS"),
        ]:
            reply = api(method, path)
            refused(reply, 405)
            assert reply.headers["allow"] == allow


class TestWriting:
    @pytest.mark.parametrize("body", [HELLO, {"content": HELLO}, {"code": "print('hello')"}])
    def test_a_notebook_comes_in_three_ways(self, api, body):
        reply = put(api, body)
        assert reply.json == {
            "name": "testjob.ipynb",
            "kind": "notebook.ipynb",
            "version": 1,
            "created": CREATED,
            "modified": CREATED,
            "cells": 1,
            "parameters": [],
            "resource_uri": "/api/v1/job/testjob.ipynb/",
        }
        assert reply.headers["etag"] == '"1"'
        got = api("GET", reply.json["resource_uri"].removeprefix("/api/v1")).json["content"]
        assert [cell["source"] for cell in got["cells"]] == ["print('hello')"]

    def test_a_notebook_comes_back_as_it_was(self, api):
        given = notebook(text("# Größe 日本\u2028"), "1", number=10**30, deep=[[[{"x": 1e300}]]])
        put(api, given)
        reply = api("GET", "/job/testjob")
        assert reply.json["content"] == given
        assert reply.headers["content-type"] == "application/json"
        run(api)
        assert api("GET", f"/job/results/testjob_{KEY}").json["content"]["metadata"] == given["metadata"]
        shown = api("GET", "/job/export/testjob?format=ipynb").json["content"]
        assert json.loads(shown) == given

    def test_declared_parameters_are_shown(self, api):
        assert put(api, DECLARING).json["parameters"] == ["n", "m"]
        assert api("GET", "/job/testjob").json["parameters"] == ["n", "m"]

    def test_versions(self, api, clock):
        put(api)
        clock.move(1)
        assert put(api, notebook("2")).json["version"] == 2
        for path, version in [("", 2), ("?version=1", 1), ("@1", 1), ("^", 1), (".ipynb@2", 2)]:
            reply = api("GET", f"/job/testjob{path}")
            assert (reply.json["version"], reply.headers["etag"]) == (version, f'"{version}"')
        assert api("GET", "/job/testjob@1").json["content"] == HELLO
        assert api("GET", "/job/testjob").json["modified"] == "2016-02-06T21:33:50.833000"
        refused(api("GET", "/job/testjob?version=3"), 404, "no version 3")
        refused(api("GET", "/job/testjob?version=0"), 400, "version")
        refused(api("GET", "/job/testjob@1?version=2"), 400, "names a version already")
        refused(api("PUT", "/job/testjob@1", HELLO), 400, "may not hold @")
        refused(api("POST", "/job/testjob@1/run"), 400, "may not hold @")

    def test_preconditions(self, api):
        put(api, if_none_match="*")
        refused(api("PUT", "/job/testjob", HELLO, if_none_match="*"), 412, "is at version 1")
        put(api, if_match='"1"')
        refused(api("PUT", "/job/testjob.ipynb", HELLO, if_match='"1"'), 412, "is at version 2")
        refused(api("DELETE", "/job/testjob", if_match='"1"'), 412)
        refused(api("GET", "/job/testjob", if_match='"1"'), 412)
        assert api("GET", "/job/testjob", if_match='"2"').status == 200
        assert api("DELETE", "/job/testjob", if_match='"2"').status == 202

    def test_a_client_that_knows_the_version_does_not_know_the_runs(self, api):
        etag = put(api).headers["etag"]
        run(api)
        reply = api("GET", "/job/testjob", if_none_match=etag)
        assert reply.status == 200 and list(reply.json["job_runs"].values()) == ["OK"]

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b"", "body is empty"),
            (b"{", "malformed JSON"),
            (b"\xff", "not valid UTF-8"),
            (b"[]", "must be a JSON object"),
            (b'"text"', "must be a JSON object"),
            (b"null", "must be a JSON object"),
            ({}, "holds no notebook"),
            ({"notebook": HELLO}, "unknown fields in the body: 'notebook'"),
            ({"content": HELLO, "name": "x"}, "unknown fields in the body: 'name'"),
            ({"content": HELLO, "code": "1"}, "unknown fields in the body: 'content'"),
            ({"content": []}, "'content' must be a notebook"),
            ({"content": None}, "'content' must be a notebook"),
            ({"content": json.dumps(HELLO)}, "'content' must be a notebook"),
            ({"content": {}}, "nbformat null"),
            ({"code": 5}, "'code' must be Python source text"),
            ({"code": None}, "'code' must be Python source text"),
            ({"cells": []}, "nbformat null"),
            ({**HELLO, "nbformat": 99}, "nbformat 99, nbformat_minor 5 cannot be read"),
            ({**HELLO, "nbformat": "4"}, 'nbformat "4"'),
            ({**HELLO, "more": 1}, "not valid"),
            ({**HELLO, "cells": {}}, "a notebook has cells"),
            (notebook({"cell_type": "code", "source": 5, "metadata": {}}), "cell 1 is not valid"),
            (b'{"nbformat": 4, "cells": [NaN]}', "NaN is not a JSON number"),
            (b'{"nbformat": 4, "nbformat": 4}', "stands twice"),
            (b'{"content": ' + b"[" * 30 + b"]" * 30 + b"}", "nested deeper than the limit of 20"),
        ],
    )
    def test_bad_bodies_change_nothing(self, api, body, words):
        put(api)
        refused(api("PUT", "/job/testjob", body), 400, words)
        assert api("GET", "/job/testjob").json["version"] == 1

    def test_an_old_notebook_is_upgraded(self, api):
        cell = {"cell_type": "code", "language": "python", "input": "1", "outputs": [], "metadata": {}}
        sheet = {"cells": [cell], "metadata": {}}
        put(api, {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [sheet]})
        content = api("GET", "/job/testjob").json["content"]
        assert content["nbformat"] == 4 and content["cells"][0]["source"] == "1"

    @pytest.mark.parametrize("path", ["", "/testjob", "/results/a_1", "/export/a_1", "/testjob/schedule"])
    def test_unknown_queries(self, api, path):
        refused(api("GET", f"/job{path}?x=1"), 400, "unknown query parameter 'x'")

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("PUT", "/job/testjob?x=1"),
            ("DELETE", "/job/testjob?x=1"),
            ("POST", "/job/testjob/run?x=1"),
            ("PUT", "/job/testjob/schedule?x=1"),
            ("GET", "/job/testjob/results?name=x"),
        ],
    )
    def test_unknown_queries_of_changes(self, api, method, path):
        put(api)
        refused(api(method, path, {"cron": "* * * * *"}), 400, "unknown query parameter")
        assert api("GET", "/job/testjob").json["job_runs"] == []


class TestRuns:
    def test_the_answer_has_the_whole_record(self, api, runner, clock):
        runner.names["pause"] = lambda: clock.move(2.5)
        put(api, DECLARING)
        put(api, {"code": '# %% tags=["parameters"]\nn = 1\n# %%\npause()'})
        body = run(api, body={"parameters": {"n": [1, {"ü": None}]}})
        assert body["run"] == {
            "run": str(KEY),
            "status": "OK",
            "started": CREATED,
            "ended": "2016-02-06T21:33:52.333000",
            "duration": 2.5,
            "parameters": {"n": [1, {"ü": None}]},
            "version": 2,
            "result": f"results/testjob_{KEY}.ipynb",
            "error": None,
            "task_id": body["run"]["task_id"],
        }
        assert "message" not in body
        assert api("GET", f"/job/results/testjob_{KEY}").json["run"] == body["run"]
        assert api("GET", "/job/testjob/results").json["objects"] == [body["run"]]
        task = api("GET", f"/task/{body['run']['task_id']}").json
        assert (task["status"], task["name"], task["action"]) == ("SUCCESS", "testjob.ipynb", "run")

    def test_runs_are_listed_latest_first(self, api, clock):
        put(api, name="a%20b")
        keys = []
        for _ in range(3):
            keys.append(next(iter(run(api, "a%20b")["job_runs"])))
            clock.move(60)
        page = api("GET", "/job/a%20b/results?limit=2").json
        assert [one["run"] for one in page["objects"]] == keys[:0:-1]
        assert page["meta"] == {
            "limit": 2,
            "next": "/api/v1/job/a%20b/results/?limit=2&offset=2",
            "offset": 0,
            "previous": None,
            "total_count": 3,
        }
        rest = api("GET", page["meta"]["next"].removeprefix("/api/v1")).json
        assert [one["run"] for one in rest["objects"]] == keys[:1]
        assert list(api("GET", "/job/a%20b").json["job_runs"]) == keys
        put(api, name="new")
        assert api("GET", "/job/new/results").json["objects"] == []

    def test_two_runs_in_one_second(self, api):
        put(api)
        assert [next(iter(run(api)["job_runs"])) for _ in range(2)] == [str(KEY), str(KEY + 1)]
        body = api("GET", "/job/testjob").json
        assert body["job_runs"] == {str(KEY): "OK", str(KEY + 1): "OK"}
        assert body["job_results"] == [f"results/testjob_{key}.ipynb" for key in (KEY, KEY + 1)]

    def test_a_notebook_that_fails(self, api):
        put(api, FAILING)
        body = run(api)
        assert body["job_runs"] == {str(KEY): "ERROR"}
        assert body["job_results"] == [f"results/testjob_{KEY}.ipynb"]
        assert body["message"] == "cell 2 of 3: KeyError: 'x'"
        assert body["run"]["status"] == "ERROR"
        assert body["run"]["error"] == {
            "reason": "cell",
            "message": "cell 2 of 3: KeyError: 'x'",
            "cell": 2,
            "name": "KeyError",
            "value": "'x'",
        }
        assert api("GET", "/job/testjob").json["job_runs"] == {str(KEY): "ERROR"}
        result = api("GET", f"/job/results/testjob_{KEY}").json
        assert printed(result["content"]) == ["before\n", "", ""]
        assert result["run"] == body["run"]
        assert "before" in api("GET", f"/job/export/testjob_{KEY}").json["content"]

    def test_a_job_that_removes_itself(self, api, runner):
        runner.names["drop"] = lambda: api.omega.jobs.drop("testjob")
        put(api, notebook("drop()", "print('still here')"))
        body = run(api)
        assert list(body["job_runs"].values()) == ["OK"]
        assert api("GET", "/job/testjob").status == 404
        result = api("GET", f"/job/results/testjob_{KEY}").json
        assert printed(result["content"])[1] == "still here\n"

    def test_runs_stay_when_their_job_is_dropped(self, api, clock):
        put(api)
        run(api)
        api("DELETE", "/job/testjob")
        assert api("GET", f"/job/results/testjob_{KEY}").status == 200
        assert api("GET", f"/job/export/testjob_{KEY}").status == 200
        assert [one["status"] for one in api("GET", "/job/testjob/results").json["objects"]] == ["OK"]
        clock.move(60)
        put(api, notebook("another"))
        assert api("GET", "/job/testjob").json["job_runs"] == {str(KEY): "OK"}

    def test_a_result_can_be_dropped(self, api):
        put(api)
        run(api)
        run(api)
        reply = api("DELETE", f"/job/results/testjob_{KEY}.ipynb")
        assert (reply.status, reply.json) == (202, {"name": f"results/testjob_{KEY}.ipynb", "deleted": True})
        assert api("GET", "/job/testjob").json["job_runs"] == {str(KEY + 1): "OK"}
        refused(api("GET", f"/job/results/testjob_{KEY}"), 404)
        refused(api("DELETE", f"/job/results/testjob_{KEY}"), 404)

    def test_a_run_that_goes_on_is_not_shown_as_a_result(self, api, runner):
        seen: list[Reply] = []

        def look() -> None:
            for method, path in [
                ("GET", "/job/testjob"),
                ("GET", "/job/testjob/results"),
                ("GET", f"/job/results/testjob_{KEY}"),
                ("DELETE", f"/job/results/testjob_{KEY}"),
            ]:
                seen.append(api(method, path))

        runner.names["look"] = look
        put(api, notebook("look()"))
        run(api)
        job, runs, result, drop = seen
        assert (job.json["job_runs"], job.json["job_results"]) == ([], {})
        assert [one["status"] for one in runs.json["objects"]] == ["RUNNING"]
        refused(result, 404, "has no result: it is RUNNING")
        refused(drop, 400, "cancel its task first")
        assert api("GET", "/job/testjob").json["job_runs"] == {str(KEY): "OK"}

    @pytest.mark.parametrize("body", [b"", b"  ", {"parameters": {}, "timeout": None}, {"parameters": None}])
    def test_a_body_need_not_be_sent(self, api, body):
        put(api, DECLARING)
        run(api, body=body)

    @pytest.mark.parametrize(
        ("query", "body", "timeout_s"),
        [("", b"", 86400), ("?timeout=7", b"", 7), ("", {"timeout": 2.5}, 2.5), ("", {"timeout": 3}, 3)],
    )
    def test_a_run_has_a_time_limit_of_its_own(self, api, runner, query, body, timeout_s):
        put(api)
        reply = api("POST", f"/job/testjob/run{query}", body)
        assert reply.status == 201
        assert runner.calls[-1].limits.timeout_s == timeout_s
        assert api("GET", f"/task/{reply.json['run']['task_id']}").json["timeout"] == timeout_s + 30

    def test_a_run_over_its_time(self, api):
        put(api, notebook("raise Ended('timeout', 'over the time limit of 5 s, in cell 1 of 1')"))
        body = run(api, body={"timeout": 5})
        assert body["message"] == "over the time limit of 5 s, in cell 1 of 1"
        assert body["run"]["error"]["reason"] == "timeout" and body["job_runs"] == {str(KEY): "ERROR"}

    @pytest.mark.parametrize("query", ["", "?async=0", "?async=1"])
    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b"{", "malformed JSON"),
            (b"[]", "must be a JSON object"),
            (b"5", "must be a JSON object"),
            ({"parameter": {}}, "unknown fields in the body: 'parameter'"),
            ({"parameters": []}, "'parameters' must be an object"),
            ({"parameters": 0}, "'parameters' must be an object"),
            ({"parameters": False}, "'parameters' must be an object"),
            ({"parameters": ""}, "'parameters' must be an object"),
            ({"parameters": "n=1"}, "'parameters' must be an object"),
            ({"parameters": {"n": 2**70}}, "not JSON"),
            ({"timeout": 0}, "'timeout'"),
            ({"timeout": -1}, "'timeout'"),
            ({"timeout": "5"}, "'timeout'"),
            ({"timeout": True}, "'timeout'"),
            ({"timeout": [5]}, "'timeout'"),
            ({"timeout": 1e300}, "timeout of 1e+300 s cannot be kept"),
            ({"timeout": 30 * 86400 + 1}, "at most 2592000"),
        ],
    )
    def test_bad_bodies(self, api, query, body, words):
        put(api, DECLARING)
        refused(api("POST", f"/job/testjob/run{query}", body), 400, words)
        assert api("GET", "/job/testjob/results").json["objects"] == []
        assert api("GET", "/task/").json["objects"] == []

    @pytest.mark.parametrize(
        ("query", "body", "words"),
        [
            ("timeout=0", b"", "timeout='0'"),
            ("timeout=x", b"", "timeout='x'"),
            ("timeout=99999999", b"", "at most 2592000"),
            ("timeout=5", {"timeout": 5}, "given twice"),
            ("async=maybe", b"", "neither true nor false"),
            ("parameters=1", b"", "unknown query parameter 'parameters'"),
            ("n=1", b"", "unknown query parameter 'n'"),
        ],
    )
    def test_bad_queries(self, api, query, body, words):
        put(api, DECLARING)
        refused(api("POST", f"/job/testjob/run?{query}", body), 400, words)
        assert api("GET", "/task/").json["objects"] == []

    @pytest.mark.parametrize("name", ["x", "N", "n=1;import os", "__import__('os')", "n m", "", "é"])
    def test_parameters_that_are_not_declared(self, api, name):
        put(api, DECLARING)
        refused(api("POST", "/job/testjob/run", {"parameters": {name: 1}}), 400, "declared: n, m")
        put(api, name="plain")
        refused(api("POST", "/job/plain/run", {"parameters": {"n": 1}}), 400, "declared: none")
        for job in ("testjob", "plain"):
            body = api("GET", f"/job/{job}").json
            assert (body["job_runs"], body["job_results"]) == ([], {})
            assert api("GET", f"/job/{job}/results").json["objects"] == []


class TestTasks:
    def test_a_run_that_is_not_waited_for(self, api):
        put(api, DECLARING)
        reply = api("POST", "/job/testjob/run/?async=1", {"parameters": {"n": 5}})
        assert reply.status == 202 and reply.json.keys() == {"task_id", "status"}
        id = reply.json["task_id"]
        assert reply.headers["location"] == f"/api/v1/task/{id}/result"
        for uri in ("/api/v1/job/testjob.ipynb/", "/api/v1/job/testjob.ipynb"):
            result = api("GET", f"/task/{id}/result?resource_uri={uri}").json
            assert (result["status"], result["task_id"]) == ("SUCCESS", id)
        sync = run(api, body={"parameters": {"n": 5}})
        own = {"job_runs", "job_results", "run"}
        assert result["response"].keys() == sync.keys()
        assert {n: v for n, v in result["response"].items() if n not in own} == {
            n: v for n, v in sync.items() if n not in own
        }
        assert result["response"]["run"] == {
            **sync["run"],
            "run": str(KEY),
            "result": f"results/testjob_{KEY}.ipynb",
            "task_id": id,
        }
        assert api("GET", f"/job/results/testjob_{KEY}").json["run"]["task_id"] == id

    def test_a_run_that_fails_answers_all_the_same(self, api):
        put(api, FAILING)
        id = api("POST", "/job/testjob/run?async=1").json["task_id"]
        assert api("GET", f"/task/{id}/status").json["status"] == "FAILURE"
        result = api("GET", f"/task/{id}/result")
        assert (result.status, result.json["status"]) == (200, "FAILURE")
        response = result.json["response"]
        assert response["message"] == "cell 2 of 3: KeyError: 'x'"
        assert response["job_runs"] == {str(KEY): "ERROR"}
        assert response["job_results"] == [f"results/testjob_{KEY}.ipynb"]
        assert api("GET", f"/task/{id}").json["message"] == response["message"]

    def test_bad_parameters_fail_the_task_as_the_call_would_have_failed(self, api):
        put(api, DECLARING)
        id = api("POST", "/job/testjob/run?async=1", {"parameters": {"x": 1}}).json["task_id"]
        result = api("GET", f"/task/{id}/result").json
        assert (result["status"], result["response"]["status"]) == ("FAILURE", 400)
        assert "declared: n, m" in result["response"]["message"]
        assert api("GET", "/job/testjob").json["job_runs"] == []

    def test_progress(self, api, runner):
        seen: list[Any] = []
        runner.names["look"] = lambda: seen.append(api("GET", "/task/").json["objects"][0]["progress"])
        put(api, notebook("look()", text("between"), "look()"))
        run(api)
        assert seen == [
            {"done": 1, "total": 3, "message": "cell 1 of 3"},
            {"done": 3, "total": 3, "message": "cell 3 of 3"},
        ]

    def test_what_waits_can_be_cancelled(self, waiting):
        put(waiting)
        id = waiting("POST", "/job/testjob/run?async=1").json["task_id"]
        assert waiting("GET", f"/task/{id}/result").json["response"] is None
        assert waiting("DELETE", f"/task/{id}").json["status"] == "REVOKED"
        waiting.omega._services.work.run_waiting()
        assert waiting("GET", "/job/testjob").json["job_runs"] == []
        assert waiting("GET", f"/task/{id}/result").json["response"]["status"] == 409

    def test_a_job_that_is_dropped_before_its_run(self, waiting):
        put(waiting)
        id = waiting("POST", "/job/testjob/run?async=1").json["task_id"]
        waiting("DELETE", "/job/testjob")
        waiting.omega._services.work.run_waiting()
        result = waiting("GET", f"/task/{id}/result").json
        assert (result["status"], result["response"]["status"]) == ("FAILURE", 404)
        assert "testjob.ipynb" in result["response"]["message"]

    @pytest.mark.parametrize("cancelled", [False, True])
    def test_a_run_whose_worker_is_gone_ends_as_lost(self, waiting, clock, cancelled):
        put(waiting)
        id = waiting("POST", "/job/testjob/run?async=1").json["task_id"]
        work = waiting.omega._services.work
        task = work.claim({"bucket": "store", "id": id}, "a worker")
        jobs = waiting.omega._services.jobs
        jobs.runs.begin(waiting.omega.jobs.metadata("testjob"), parameters={}, task=task.id)
        if cancelled:
            waiting("DELETE", f"/task/{id}")
        assert waiting("GET", "/job/testjob/results").json["objects"][0]["status"] == "RUNNING"
        clock.move(11)
        result = waiting("GET", f"/task/{id}/result").json
        assert result["status"] == ("REVOKED" if cancelled else "FAILURE")
        (lost,) = waiting("GET", "/job/testjob/results").json["objects"]
        assert (lost["status"], lost["error"]["reason"], lost["result"]) == ("ERROR", "lost", None)
        body = waiting("GET", "/job/testjob").json
        assert (body["job_runs"], body["job_results"]) == ({str(KEY): "ERROR"}, [])
        refused(waiting("GET", f"/job/results/testjob_{KEY}"), 404, "has no result: it is ERROR")
        assert waiting("DELETE", f"/job/results/testjob_{KEY}").status == 202

    def test_a_run_that_was_recorded_before_its_worker_went_is_the_answer(self, waiting, clock):
        put(waiting)
        id = waiting("POST", "/job/testjob/run?async=1").json["task_id"]
        work = waiting.omega._services.work
        task = work.claim({"bucket": "store", "id": id}, "a worker")
        work.attempt(task, "a worker", lambda _: None)
        clock.move(11)
        result = waiting("GET", f"/task/{id}/result").json
        assert result["status"] == "SUCCESS" and result["response"]["job_runs"] == {str(KEY): "OK"}

    def test_a_run_that_was_handed_back_is_not_run_again(self, waiting, runner, clock):
        put(waiting)
        id = waiting("POST", "/job/testjob/run?async=1").json["task_id"]
        work = waiting.omega._services.work
        task = work.claim({"bucket": "store", "id": id}, "a worker")
        waiting.omega._services.jobs.runs.begin(
            waiting.omega.jobs.metadata("testjob"), parameters={}, task=task.id
        )
        work.leases.give_back(task, holder="a worker", counts=False)
        clock.move(60)
        work.run_waiting()
        result = waiting("GET", f"/task/{id}/result").json
        assert result["status"] == "FAILURE"
        assert result["response"]["job_runs"] == {str(KEY): "ERROR"}
        assert result["response"]["run"]["error"]["reason"] == "lost"
        assert runner.calls == []

    def test_progress_is_in_the_words_of_the_run(self, waiting):
        put(waiting, notebook(*["1"] * 12))
        id = waiting("POST", "/job/testjob/run?async=1").json["task_id"]
        work = waiting.omega._services.work
        task = work.claim({"bucket": "store", "id": id}, "a worker")
        said: list[Progress] = []
        work.attempt(task, "a worker", said.append)
        assert said[0] == Progress(0, 12, "starting the kernel")
        assert said[3] == Progress(3, 12, "cell 3 of 12")


class TestReports:
    def test_a_browser_is_given_a_page_that_can_do_nothing(self, api):
        put(api)
        run(api)
        browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
        for name in (f"testjob_{KEY}.ipynb", f"results/testjob_{KEY}", "testjob"):
            for accept in (browser, "text/html", " text/html;q=1"):
                reply = api("GET", f"/job/export/{name}", accept=accept)
                assert reply.status == 200 and reply.body.startswith(b"<!DOCTYPE html>")
                assert reply.headers["content-type"] == "text/html; charset=utf-8"
                assert reply.headers["content-security-policy"] == CONTENT_POLICY
                assert reply.headers["x-content-type-options"] == "nosniff"
                assert reply.headers["vary"] == "Accept"
        policy = {part.split()[0]: part.split()[1:] for part in CONTENT_POLICY.split("; ")}
        assert policy["sandbox"] == [] and policy["default-src"] == ["'none'"]
        assert policy["img-src"] == policy["font-src"] == ["data:"]
        assert "script-src" not in policy and "connect-src" not in policy

    @pytest.mark.parametrize("accept", ["", "*/*", "application/json", "application/json, text/html", "x/y"])
    def test_others_are_given_json(self, api, accept):
        put(api)
        reply = api("GET", "/job/export/testjob", accept=accept)
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["vary"] == "Accept"
        assert reply.json["content"].startswith("<!DOCTYPE html>")

    @pytest.mark.parametrize(
        ("format", "kind", "begin"),
        [
            ("html", "text/html; charset=utf-8", "<!DOCTYPE html>"),
            ("md", "text/markdown; charset=utf-8", "# Größe"),
            ("py", "text/x-python; charset=utf-8", "# %% [markdown]"),
            ("ipynb", "application/x-ipynb+json", "{"),
        ],
    )
    def test_formats(self, api, format, kind, begin):
        put(api, notebook(text("# Größe"), "print('hello')"))
        shown = api("GET", f"/job/export/testjob?format={format}").json
        assert shown["content"].startswith(begin) and shown["name"] == "testjob.ipynb"
        reply = api("GET", f"/job/export/testjob?format={format}", accept=kind.partition(";")[0])
        assert reply.headers["content-type"] == kind
        assert reply.body.decode() == shown["content"]
        assert reply.headers["content-security-policy"] == CONTENT_POLICY
        if format != "html":
            reply = api("GET", f"/job/export/testjob?format={format}", accept="text/html")
            assert reply.headers["content-type"] == "application/json"

    @pytest.mark.parametrize("format", ["pdf", "", "HTML", "../html", "html5"])
    def test_formats_that_there_are_not(self, api, format):
        put(api)
        reply = api("GET", f"/job/export/testjob?format={format}", accept="text/html")
        refused(reply, 400, "there are html, ipynb, md, py")
        refused(api("GET", "/job/export/testjob?format=md&format=py"), 400, "more than once")

    def test_what_a_notebook_brings_does_not_run(self, api):
        put(api, notebook(text("<script>alert(1)</script><img src=x onerror=alert(1)>"), "1"))
        page = api("GET", "/job/export/testjob", accept="text/html").body
        assert b"<script" not in page and b"onerror" not in page

    def test_a_version_of_a_job(self, api):
        put(api)
        put(api, notebook("2"))
        assert "hello" in api("GET", "/job/export/testjob@1").json["content"]
        assert "hello" not in api("GET", "/job/export/testjob").json["content"]


class TestSchedules:
    def schedule(self, api: Api, **body: Any) -> Any:
        put(api, DECLARING)
        reply = api("PUT", "/job/testjob/schedule", {"cron": "30 6 * * mon-fri", **body})
        assert reply.status == 202, reply.body
        return reply.json

    def test_a_schedule_is_put_shown_and_removed(self, api):
        found = self.schedule(api, tz="Europe/Berlin", parameters={"n": 5}, timeout=60)
        assert api("GET", "/job/testjob/schedule/").json == found
        times = [datetime.fromisoformat(time) for time in found.pop("next")]
        assert found == {
            "name": "testjob.ipynb",
            "cron": "30 6 * * mon-fri",
            "tz": "Europe/Berlin",
            "parameters": {"n": 5},
            "timeout": 60,
            "last": None,
            "task_id": None,
            "missed": [],
            "missed_count": 0,
        }
        assert len(times) == 5 and times == sorted(times)
        assert all(time.isoweekday() <= 5 and time.hour in (4, 5) and time.minute == 30 for time in times)
        assert times[0] > datetime.now(UTC).replace(tzinfo=None)
        reply = api("DELETE", "/job/testjob/schedule")
        assert (reply.status, reply.json) == (202, {"name": "testjob.ipynb", "deleted": True})
        for method in ("GET", "DELETE"):
            refused(api(method, "/job/testjob/schedule"), 404, "job 'testjob.ipynb'", "has no schedule")

    def test_by_default_it_is_in_utc_and_without_parameters(self, api):
        found = self.schedule(api, cron="@daily")
        assert some(found, "cron", "tz", "parameters", "timeout") == {
            "cron": "0 0 * * *",
            "tz": "UTC",
            "parameters": {},
            "timeout": None,
        }

    def test_a_worker_runs_it(self, api, clock):
        self.schedule(api, cron="0 * * * *", parameters={"n": 5}, timeout=60)
        work = api.omega._services.work
        clock.at = NOW + timedelta(hours=3)
        work.scheduler.tick()
        work.run_waiting()
        found = api("GET", "/job/testjob/schedule").json
        assert found["last"] == "2016-02-07T00:00:00.000000" and found["missed_count"] == 2
        assert found["missed"][0] == {
            "due": "2016-02-06T22:00:00.000000",
            "reason": "nobody was there to run it in time",
        }
        (one,) = api("GET", "/job/testjob/results").json["objects"]
        assert (one["task_id"], one["parameters"], one["status"]) == (found["task_id"], {"n": 5}, "OK")

    def test_a_job_that_is_dropped_has_no_schedule(self, api):
        self.schedule(api)
        refused(api("DELETE", "/job/testjob", if_match='"7"'), 412)
        assert api("GET", "/job/testjob/schedule").status == 200
        api("DELETE", "/job/testjob")
        put(api)
        refused(api("GET", "/job/testjob/schedule"), 404)

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b"", ["body is empty"]),
            (b"{", ["malformed JSON"]),
            ([], ["must be a JSON object"]),
            ({}, ["'cron'"]),
            ({"cron": None}, ["'cron'"]),
            ({"cron": 5}, ["'cron'"]),
            ({"cron": ["* * * * *"]}, ["'cron'"]),
            ({"cron": "* * * * *", "tz": None}, ["'tz'"]),
            ({"cron": "* * * * *", "tz": 5}, ["'tz'"]),
            ({"cron": "* * * * *", "more": 1}, ["unknown fields in the body: 'more'"]),
            ({"cron": "* * * *"}, ["cron", "five fields"]),
            ({"cron": ""}, ["cron"]),
            ({"cron": "61 * * * *"}, ["cron", "minute '61'"]),
            ({"cron": "* 25 * * *"}, ["hour '25'"]),
            ({"cron": "* * 32 * *"}, ["day-of-month '32'"]),
            ({"cron": "* * * 13 *"}, ["month '13'"]),
            ({"cron": "* * * * 8"}, ["day-of-week '8'"]),
            ({"cron": "* * 30 2 *"}, ["never due"]),
            ({"cron": "@reboot"}, ["cron '@reboot'"]),
            ({"cron": "* * * * * *"}, ["cron"]),
            ({"cron": "* * * * *\n0 0 0 0 0"}, ["cron"]),
            ({"cron": "* * * * *", "tz": "Mars/Base"}, ["timezone 'Mars/Base' is unknown"]),
            ({"cron": "* * * * *", "tz": ""}, ["timezone '' is unknown"]),
            ({"cron": "* * * * *", "tz": "../etc/passwd"}, ["timezone"]),
            ({"cron": "* * * * *", "tz": "/etc/localtime"}, ["timezone"]),
            ({"cron": "* * * * *", "parameters": []}, ["'parameters' must be an object"]),
            ({"cron": "* * * * *", "parameters": {"n": 2**70}}, ["not JSON"]),
            ({"cron": "* * * * *", "timeout": 0}, ["'timeout'"]),
            ({"cron": "* * * * *", "timeout": "5"}, ["'timeout'"]),
            ({"cron": "* * * * *", "timeout": 1e300}, ["timeout"]),
        ],
    )
    def test_what_cannot_be_read_is_refused_and_names_the_field(self, api, body, words):
        before = self.schedule(api)
        refused(api("PUT", "/job/testjob/schedule", body), 400, *words)
        assert some(api("GET", "/job/testjob/schedule").json, "cron", "tz") == some(before, "cron", "tz")


class TestBuckets:
    def test_they_are_apart(self, api, runner):
        put(api, bucket="team")
        refused(api("GET", "/job/testjob"), 404, "in bucket 'store'")
        body = run(api, bucket="team")
        assert runner.calls[0].environment["OMEGA_BUCKET"] == "team"
        result = f"/job/results/testjob_{KEY}"
        assert api("GET", result, bucket="team").status == 200
        refused(api("GET", result), 404, "in bucket 'store'")
        put(api)
        assert api("GET", "/job/testjob").json["job_runs"] == []
        id = body["run"]["task_id"]
        assert api("GET", f"/task/{id}", bucket="team").status == 200
        refused(api("GET", f"/task/{id}"), 404)
        api("PUT", "/job/testjob/schedule", {"cron": "* * * * *"}, bucket="team")
        refused(api("GET", "/job/testjob/schedule"), 404)
        refused(api("GET", "/job", bucket="a/b"), 400, "illegal bucket name")

    def test_a_notebook_works_where_its_job_is(self, waiting, runner, tmp_path):
        """Whoever reads the settings that it is given comes to the same store, bucket and key."""
        put(waiting, bucket="team")
        waiting("POST", "/job/testjob/run?async=1", bucket="team")
        waiting.omega._services.work.run_waiting()
        (call,) = runner.calls
        found = settings.load(environ=call.environment)
        assert (found.store, found.home, found.bucket) == ((tmp_path / "store").as_uri(), tmp_path, "team")
        assert found.queue_in_memory
        with Omega(settings=found) as omega:
            assert omega.bucket == "team" and omega.jobs.list() == ["testjob.ipynb"]
            assert omega.jobs.metadata("testjob").resource == JOB


def test_lists(api, clock):
    for number in range(5):
        put(api, name=f"f/{number}")
        clock.move(1)
    put(api, name="_hidden")
    run(api, "f/3")
    page = api("GET", "/job/?limit=2&offset=2&name=f/*").json
    assert [item["name"] for item in page["objects"]] == ["f/2.ipynb", "f/3.ipynb"]
    assert page["meta"] == {
        "limit": 2,
        "offset": 2,
        "total_count": 5,
        "next": "/api/v1/job/?limit=2&offset=4&name=f%2F%2A",
        "previous": "/api/v1/job/?limit=2&offset=0&name=f%2F%2A",
    }
    assert [bool(item["job_runs"]) for item in page["objects"]] == [False, True]
    assert api("GET", "/job").json["meta"]["total_count"] == 5
    assert [item["name"] for item in api("GET", "/job/?name=_*").json["objects"]] == ["_hidden.ipynb"]
    for item in page["objects"]:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", item["created"])
        assert api("GET", item["resource_uri"].removeprefix("/api/v1")).status == 200


class TestPython:
    """`om.jobs`, on the same services."""

    def test_a_notebook_comes_in_many_ways(self, api, tmp_path):
        jobs = api.omega.jobs
        path = tmp_path / "report.ipynb"
        path.write_text(json.dumps(HELLO), encoding="utf-8")
        node = nbformat.from_dict(HELLO)
        for number, given in enumerate([HELLO, node, json.dumps(HELLO), json.dumps(HELLO).encode(), path], 1):
            assert jobs.put(given, "report").version == number
            assert jobs.get("report") == node
        assert jobs.put(path).name == "report.ipynb"
        assert jobs.create("print('hello')", "made").attributes == {"cells": 1, "parameters": []}
        assert jobs.list() == ["made.ipynb", "report.ipynb"] and jobs.list("m*") == ["made.ipynb"]
        assert jobs.metadata("report", version=1).version == jobs.metadata("report.ipynb@1").version == 1
        assert jobs.get("report", version=1).cells[0].source == "print('hello')"
        nbformat.validate(jobs.get("report"))

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ("{", "malformed JSON"),
            (b"\xff", "not valid UTF-8"),
            (5, "is a JSON object"),
            ("none.ipynb", "cannot read 'none.ipynb'"),
            ("notebook.txt", "'notebook.txt' is no notebook"),
            ("folder.ipynb", "cannot read 'folder.ipynb'"),
        ],
    )
    def test_what_is_no_notebook(self, api, tmp_path, given, words):
        (tmp_path / "folder.ipynb").mkdir()
        (tmp_path / "notebook.txt").write_text(json.dumps(HELLO))
        value = tmp_path / given if str(given).endswith(("ipynb", "txt")) else given
        with pytest.raises(ValueError, match=re.escape(words)):
            api.omega.jobs.put(value, "x")
        with pytest.raises(ValueError, match="needs a name"):
            api.omega.jobs.put(HELLO)
        assert api.omega.jobs.list() == []

    def test_runs(self, api, runner):
        jobs = api.omega.jobs
        jobs.put(DECLARING, "a")
        done = jobs.run("a", {"n": 5}, timeout_s=7)
        assert (done.status, done.parameters, runner.calls[0].limits.timeout_s) == ("OK", {"n": 5}, 7)
        assert jobs.run("a.ipynb").key == KEY + 1
        assert [one.key for one in jobs.runs("a")] == [KEY + 1, KEY]
        assert [one.key for one in jobs.runs("a.ipynb", offset=1, limit=1)] == [KEY]
        assert printed(jobs.result(done.result_name)) == ["", "5 2\n"]
        assert "5 2" in jobs.export(done.result_name, format="md")
        assert jobs.drop_result(f"a_{KEY}") == done
        assert len(jobs.runs("a")) == 1 and api.omega.runtime.tasks().total == 0
        with pytest.raises(LookupError, match="there is no result"):
            jobs.result(done.result_name)
        with pytest.raises(ValueError, match="declared: n, m"):
            jobs.run("a", {"x": 1})
        for timeout_s in (0, -1, 2592001):
            with pytest.raises(ValueError, match="timeout"):
                jobs.run("a", timeout_s=timeout_s)
            with pytest.raises(ValueError, match="timeout"):
                jobs.submit("a", timeout_s=timeout_s)
        with pytest.raises(LookupError, match="there is no job"):
            jobs.submit("none")

    def test_a_run_that_fails_is_returned(self, api):
        api.omega.jobs.put(FAILING, "a")
        done = api.omega.jobs.run("a")
        assert (done.status, done.error.cell, done.error.name) == ("ERROR", 2, "KeyError")

    @pytest.mark.parametrize(("cells", "status"), [(HELLO, "OK"), (FAILING, "ERROR")])
    def test_over_the_queue(self, waiting, monkeypatch, cells, status):
        """Whoever chose a queue leaves runs to its workers."""
        from omega.entrypoints import waiting as waits

        omega, work = waiting.omega, waiting.omega._services.work
        omega.jobs.put(cells, "a")
        monkeypatch.setattr(waits.time, "sleep", lambda _: work.run_waiting())
        done = omega.jobs.run("a", timeout_s=5)
        (task,) = omega.runtime.tasks().items
        assert (done.status, done.task, task.timeout_s) == (status, task.id, 35)
        omega.jobs.put(DECLARING, "b")
        with pytest.raises(ValueError, match="declared: n, m"):
            omega.jobs.run("b", {"x": 1})

    def test_schedules(self, api):
        jobs = api.omega.jobs
        jobs.put(DECLARING, "a")
        made = jobs.schedule("a", "30 6 * * mon-fri", tz="Europe/Berlin", parameters={"n": 1}, timeout_s=5)
        assert jobs.scheduled("a.ipynb") == made and made.timeout_s == 5
        for cron, tz, words in [("x", "UTC", "cron 'x'"), ("* * * * *", "Mars", "timezone 'Mars'")]:
            with pytest.raises(ValueError, match=words):
                jobs.schedule("a", cron, tz=tz)
        with pytest.raises(LookupError, match="there is no job"):
            jobs.schedule("none", "* * * * *")
        assert jobs.scheduled("a") == made
        jobs.unschedule("a")
        for call in (jobs.scheduled, jobs.unschedule):
            with pytest.raises(LookupError, match="has no schedule"):
                call("a")
        jobs.schedule("a", "* * * * *")
        jobs.drop("a")
        with pytest.raises(LookupError, match="has no schedule"):
            jobs.scheduled("a")
