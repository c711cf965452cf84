"""The examples of the REST API's description, as a client runs them."""

import json
import re

import pandas as pd
import pytest
import requests

ROWS = {str(i): i for i in range(10)}
SAMPLE = {
    "data": {"x": ROWS},
    "dtypes": {"x": "int64"},
    "orient": "dict",
    "index": {"type": "Int64Index", "values": list(range(10))},
    "name": "sample",
}


@pytest.fixture(scope="module")
def http(server):
    """A bucket of its own, reached as the printed examples reach the default one."""
    session = requests.Session()
    session.headers["bucket"] = "seed"
    session.base = server.url
    return session


def pandas_to_apidata(df, append=False):
    return {
        "append": append,
        "data": json.loads(df.to_json()),
        "dtypes": {k: str(v) for k, v in df.dtypes.to_dict().items()},
        "orient": "columns",
        "index": {"type": type(df.index).__name__, "values": list(df.index.astype("O").values)},
    }


def test_writing_reading_and_listing_data(http):
    for expected in (10, 20, 30):
        resp = http.put(f"{http.base}/dataset/sample/", json=SAMPLE)
        assert resp.status_code == 202
        assert resp.json()["rows"] == expected
    resp = http.get(f"{http.base}/dataset/sample")
    assert resp.status_code == 200
    body = resp.json()
    assert {name: body[name] for name in ("data", "dtypes", "index", "name", "orient")} == {
        "data": {"x": {str(i): i % 10 for i in range(30)}},
        "dtypes": {"x": "int64"},
        "index": {"type": "Int64Index", "values": list(range(10)) * 3},
        "name": "sample",
        "orient": "dict",
    }
    assert list(body["data"]["x"]) == [str(i) for i in range(30)]
    assert body["resource_uri"] == "/api/v1/dataset/sample/"
    assert (body["version"], body["rows"]) == (3, 30)

    df = pd.DataFrame.from_dict(resp.json().get("data"))
    df.index = resp.json().get("index").get("values")
    assert df["x"].tolist() == list(range(10)) * 3

    for name in ("sample2", "sample99"):
        http.put(f"{http.base}/dataset/{name}/", json={**SAMPLE, "name": name}).raise_for_status()
    assert http.get(f"{http.base}/dataset/").json() == {
        "meta": {"limit": 20, "next": None, "offset": 0, "previous": None, "total_count": 3},
        "objects": [
            {
                "data": {"kind": "pandas.dfrows", "name": name},
                "dtypes": None,
                "index": None,
                "name": None,
                "orient": None,
                "resource_uri": f"/api/v1/dataset/{name}/",
            }
            for name in ("sample", "sample2", "sample99")
        ],
    }

    resp = http.put(f"{http.base}/dataset/sample/", json={**SAMPLE, "append": False})
    assert resp.status_code == 202
    assert http.get(f"{http.base}/dataset/sample").json()["index"]["values"] == list(range(10))


def test_working_with_models(http):
    data = {"name": "mymodel", "pipeline": [["LinearRegression", {}]]}
    resp = http.post(f"{http.base}/model/", json=data)
    assert resp.status_code == 201
    model = resp.json()["model"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", model.pop("created"))
    assert model == {"bucket": "seed", "kind": "sklearn.joblib", "name": "mymodel"}

    df = pd.DataFrame({"x": range(10)})
    df["y"] = df["x"] * 2
    datax = pandas_to_apidata(df[["x"]])
    datay = pandas_to_apidata(df[["y"]])
    assert http.put(f"{http.base}/dataset/datax/", data=json.dumps(datax)).status_code == 202
    assert http.put(f"{http.base}/dataset/datay/", json=datay).status_code == 202

    resp = http.put(f"{http.base}/model/mymodel/fit/?datax=datax&datay=datay", data={})
    assert resp.status_code == 202
    assert {k: resp.json()[k] for k in ("datax", "datay", "result")} == {
        "datax": "datax",
        "datay": "datay",
        "result": "ok",
    }

    resp = http.get(f"{http.base}/model/mymodel/predict/?datax=datax", data={})
    assert resp.status_code == 200
    answer = resp.json()
    assert (answer["datax"], answer["datay"]) == ("datax", None)
    assert answer["result"] == pytest.approx([2.0 * x for x in range(10)], abs=1e-9)

    # The model answers without an action too, and for columns of a dataset.
    http.put(f"{http.base}/dataset/both/", json=pandas_to_apidata(df)).raise_for_status()
    resp = http.get(f"{http.base}/model/mymodel/?datax=both[x]&datay=both[y]")
    assert (resp.status_code, resp.json()["result"]) == (200, answer["result"])
    assert resp.json()["datay"] == "both[y]"
    assert http.get(f"{http.base}/model/mymodel/?datax=both[x]&datay=none").status_code == 404
    assert http.get(f"{http.base}/model/mymodel/?datax=both[x]").json()["result"] == answer["result"]


def test_frames_as_pandas_sends_them(http):
    frame = pd.DataFrame(
        {
            "f": [0.1, None, -2.5],
            "s": ["a", None, "ü"],
            "b": [True, False, True],
            "t": pd.Series(["2020-01-01T12:00:00.123", None, "1969-12-31"], dtype="datetime64[ms]").array,
        },
        index=["r1", "r2", "r3"],
    )
    with pytest.warns(pd.errors.Pandas4Warning):
        body = pandas_to_apidata(frame)
    http.put(f"{http.base}/dataset/mixed/", json=body).raise_for_status()
    got = http.get(f"{http.base}/dataset/mixed").json()
    assert got["dtypes"] == {"f": "float64", "s": "str", "b": "bool", "t": "datetime64[ms]"}
    assert got["index"] == {"type": "Index", "values": ["r1", "r2", "r3"]}
    assert got["data"]["t"] == {"0": "2020-01-01T12:00:00.123", "1": None, "2": "1969-12-31T00:00:00"}
    assert got["data"]["s"] == {"0": "a", "1": None, "2": "ü"}
    assert got["data"]["f"] == {"0": 0.1, "1": None, "2": -2.5}


def hello():
    cell = {"cell_type": "code", "source": "print('hello')", "execution_count": None, "outputs": []}
    return {"nbformat": 4, "nbformat_minor": 0, "metadata": {}, "cells": [{**cell, "metadata": {}}]}


def test_working_with_jobs(http):
    created = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}"
    assert http.put(f"{http.base}/job/testjob/", json=hello()).status_code == 202

    # Listing jobs
    resp = http.get(f"{http.base}/job/")
    assert resp.status_code == 200
    body = resp.json()
    assert body["meta"] == {"previous": None, "total_count": 1, "offset": 0, "limit": 20, "next": None}
    (listed,) = body["objects"]
    assert re.fullmatch(created, listed["created"])
    assert {name: listed[name] for name in ("job_runs", "job_results", "name")} == {
        "job_runs": [],
        "job_results": {},
        "name": "testjob.ipynb",
    }

    # Running a job
    resp = http.post(f"{http.base}/job/testjob/run/")
    assert resp.status_code == 201, resp.text
    ran = resp.json()
    ((second, how),) = ran["job_runs"].items()
    assert re.fullmatch(r"\d{10}", second) and how == "OK"
    assert (ran["job_results"], ran["name"]) == ([f"results/testjob_{second}.ipynb"], "testjob.ipynb")
    assert re.fullmatch(created, ran["created"])

    # Getting job results
    resp = http.get(f"{http.base}/job/results/testjob_{second}.ipynb/")
    assert resp.status_code == 200
    body = resp.json()
    assert {name: body[name] for name in ("source_job", "job_results", "job_runs", "name")} == {
        "source_job": "testjob",
        "job_results": {},
        "job_runs": [],
        "name": f"results/testjob_{second}.ipynb",
    }
    assert re.fullmatch(created, body["created"]) and body["content"]["nbformat"] == 4
    (cell,) = body["content"]["cells"]
    assert {name: cell[name] for name in ("execution_count", "cell_type", "source", "outputs")} == {
        "execution_count": 1,
        "cell_type": "code",
        "source": "print('hello')",
        "outputs": [{"output_type": "stream", "name": "stdout", "text": "hello\n"}],
    }

    # Getting a job report
    resp = http.get(f"{http.base}/job/export/testjob_{second}.ipynb/")
    assert resp.status_code == 200
    assert resp.json()["name"] == f"testjob_{second}.ipynb" and "hello" in resp.json()["content"]

    # Getting information on a job
    data = {"anything": "the printed call sends a body"}
    resp = http.get(f"{http.base}/job/testjob/", json=data)
    assert resp.status_code == 200
    body = resp.json()
    (cell,) = body["content"]["cells"]
    assert {name: cell[name] for name in ("execution_count", "cell_type", "source", "outputs")} == {
        "execution_count": None,
        "cell_type": "code",
        "source": "print('hello')",
        "outputs": [],
    }
    assert (body["job_runs"], body["job_results"]) == (ran["job_runs"], ran["job_results"])
    assert (body["name"], body["created"]) == ("testjob.ipynb", listed["created"])


def test_information_on_a_job_before_its_first_run(http):
    http.put(f"{http.base}/job/fresh/", data=json.dumps(hello())).raise_for_status()
    body = http.get(f"{http.base}/job/fresh/").json()
    assert (body["job_runs"], body["job_results"], body["name"]) == ([], {}, "fresh.ipynb")


@pytest.mark.parametrize("slash", ["", "/"])
def test_every_route_answers_with_and_without_a_slash(http, slash):
    assert http.get(f"{http.base}/dataset{slash}").status_code == 200
    assert http.get(f"{http.base}/model{slash}").status_code == 200
    assert http.get(f"{http.base}/job{slash}").status_code == 200
    assert http.get(f"{http.base}/script{slash}").status_code == 200
    assert http.get(f"{http.base}/ping{slash}").json() == {"ping": "pong"}
    assert http.get(f"{http.base}/dataset/nowhere{slash}").status_code == 404


def test_statuses(http):
    assert http.get(f"{http.base}/model/mymodel/fit/").status_code == 405
    assert http.get(f"{http.base}/model/mymodel/fit/").headers["Allow"] == "OPTIONS, PUT"
    assert http.get(f"{http.base}/nothing/").status_code == 404
    assert (
        http.post(f"{http.base}/model/", json={"name": "mymodel", "pipeline": [["Ridge", {}]]}).status_code
        == 409
    )
    assert http.delete(f"{http.base}/dataset/sample99/").status_code == 202
    assert http.get(f"{http.base}/dataset/sample99/").status_code == 404
    for answer in (
        http.get(f"{http.base}/nothing/"),
        http.post(f"{http.base}/dataset/"),
        http.get(f"{http.base}/dataset/..%2fx"),
    ):
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert {"type", "title", "status", "detail", "request_id", "message"} == problem.keys()
        assert problem["message"] == problem["detail"]
        assert problem["status"] == answer.status_code
