"""The resources over WSGI, on a store in memory, and where there are data in it on one in MongoDB too: what
is answered, and in which words it is refused.
"""

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from omega import Omega
from omega.adapters.mongo import database as database_module
from omega.entrypoints.http.app import build
from omega.entrypoints.limits import Limits
from tests.support.mongo_mock import MockDatabase
from tests.support.wsgi import Reply, call

SMALL = Limits(body_bytes=2_000_000, decoded_bytes=4_000_000, rows=1000, columns=100, json_depth=20)


class Api:
    def __init__(self, omega: Omega) -> None:
        self.omega = omega
        self.app = build(self.omega, SMALL)

    def __call__(self, method: str, path: str, body: Any = b"", **headers: str) -> Reply:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return call(self.app, method, "/api/v1" + path, body=raw, headers=named)


@pytest.fixture
def api():
    return Api(Omega("memory://"))


@pytest.fixture(params=["memory://", "mongodb://127.0.0.1/omega"])
def filled(request, tmp_path, monkeypatch):
    monkeypatch.setattr(database_module, "connect", lambda url: MockDatabase())
    api = Api(Omega(request.param, queue="memory://", home=tmp_path))
    frame = pd.DataFrame({"x": [1, 2, 3, 4], "y": [2.0, 4.0, 6.0, 8.0], "s": ["a", "b", None, "d"]})
    api.omega.datasets.put(frame, "d")
    api.omega.models.create("m", [["LinearRegression", {}]])
    api.omega.runtime.model("m").fit("d[x]", "d[y]")
    api.omega.models.create("unfitted", [["LogisticRegression", {}]])
    return api


def refused(reply: Reply, status: int, *words: str) -> None:
    assert reply.status == status, reply.body
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json
    assert problem.keys() == {"type", "title", "status", "detail", "request_id", "message"}
    assert problem["status"] == status and problem["message"] == problem["detail"]
    for word in words:
        assert word in problem["detail"]
    for secret in ("Traceback", "/work", "site-packages", " at 0x"):
        assert secret not in reply.body.decode()


class TestNames:
    @pytest.mark.parametrize("resource", ["dataset", "model"])
    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("%2e%2e/x", "'.' or '..' part"),
            ("../x", "'.' or '..' part"),
            ("..%2fx", "'.' or '..' part"),
            ("%252e", "may not hold %"),
            ("a%00b", "control character"),
            ("a%0ab", "control character"),
            ("x" * 300, "300 bytes long, the limit is 255"),
            ("e%CC%81", "normal form C"),
            ("a//b", "empty"),
            ("a*", "may not hold *"),
            ("a%ffb", "not UTF-8"),
            ("a%zz", "not followed by two hex digits"),
        ],
    )
    def test_illegal(self, api, resource, method, name, words):
        refused(api(method, f"/{resource}/{name}"), 400, words)

    def test_illegal_for_writing(self, api):
        refused(api("PUT", "/dataset/a%00", {"data": {"x": [1]}}), 400, "control character")
        refused(api("POST", "/model", {"name": "../m", "pipeline": [["Ridge", {}]]}), 400, "'..' part")
        refused(
            api("POST", "/model", {"name": "predict", "pipeline": [["Ridge", {}]]}),
            400,
            "action word 'predict'",
        )
        refused(api("GET", "/dataset", bucket="a/b"), 400, "illegal bucket name 'a/b'")

    def test_nfd_twin_is_refused_and_the_nfc_one_kept(self, api):
        assert api("PUT", "/dataset/%C3%A9", {"data": {"x": [1]}}).status == 202
        refused(api("PUT", "/dataset/e%CC%81", {"data": {"x": [2]}}), 400, "normal form C")
        assert api("GET", "/dataset/%C3%A9").json["data"] == {"x": {"0": 1}}

    def test_folders_and_hidden_names(self, api):
        for name in ("f/a", "f/b", "_h", ".d"):
            assert api("PUT", f"/dataset/{name}", {"data": {"x": [1]}}).status == 202
        listed = api("GET", "/dataset").json
        assert [item["data"]["name"] for item in listed["objects"]] == ["f/a", "f/b"]
        assert listed["meta"]["total_count"] == 2
        assert api("GET", "/dataset/_h").status == 200


class TestLists:
    def test_pages(self, api):
        for i in range(7):
            api("PUT", f"/dataset/d{i}", {"data": {"x": [1]}})
        page = api("GET", "/dataset/?limit=3&offset=3&name=d*").json
        assert [item["data"]["name"] for item in page["objects"]] == ["d3", "d4", "d5"]
        assert page["meta"] == {
            "limit": 3,
            "offset": 3,
            "total_count": 7,
            "next": "/api/v1/dataset/?limit=3&offset=6&name=d%2A",
            "previous": "/api/v1/dataset/?limit=3&offset=0&name=d%2A",
        }
        last = api("GET", page["meta"]["next"].removeprefix("/api/v1")).json
        assert [item["data"]["name"] for item in last["objects"]] == ["d6"] and last["meta"]["next"] is None

    @pytest.mark.parametrize(
        ("query", "words"),
        [
            ("limit=0", "limit='0' is not a whole number from 1"),
            ("limit=1001", "maximum of 1000"),
            ("offset=-1", "offset='-1' is not a whole number"),
            ("limit=x", "limit='x'"),
            ("color=red", "unknown query parameter 'color'"),
            ("limit=1&limit=2", "'limit' stands more than once"),
        ],
    )
    def test_bad_queries(self, api, query, words):
        refused(api("GET", f"/dataset/?{query}"), 400, words)
        refused(api("GET", f"/model/?{query}"), 400, words)


class TestReading:
    def test_selection_filters_sort_and_page(self, filled):
        def data(uri):
            return filled("GET", uri).json["data"]

        assert data("/dataset/d[x]") == {"x": {"0": 1, "1": 2, "2": 3, "3": 4}}
        assert list(data("/dataset/d[%5Ex]")) == ["y", "s"]
        assert list(data("/dataset/d[x:y]")) == ["x", "y"]
        assert list(data("/dataset/d?columns=s,x")) == ["s", "x"]
        assert data("/dataset/d?x__gte=2&y__lt=8&orient=list") == {
            "x": [2, 3],
            "y": [4.0, 6.0],
            "s": ["b", None],
        }
        assert data("/dataset/d?sort=-x&limit=2&offset=1&orient=values") == [[3, 6.0, None], [2, 4.0, "b"]]
        assert data("/dataset/d?s__isnull=true&columns=x&orient=list") == {"x": [3]}
        assert data("/dataset/d?s__in=a,d&columns=x&orient=list") == {"x": [1, 4]}
        assert data("/dataset/d?limit=0&orient=list") == {"x": [], "y": [], "s": []}

    @pytest.mark.parametrize(
        ("uri", "words"),
        [
            ("/dataset/d[z]", "'z'"),
            ("/dataset/d?columns=x,z", "'z'"),
            ("/dataset/d?z=1", "'z'"),
            ("/dataset/d?x__like=1", "like"),
            ("/dataset/d?x=abc", "abc"),
            ("/dataset/d?x__contains=1", "contains"),
            ("/dataset/d?sort=z", "'z'"),
            ("/dataset/d?orient=upwards", "upwards"),
            ("/dataset/d?orient=", "''"),
            ("/dataset/d?format=xml", "xml"),
            ("/dataset/d?version=0", "version='0'"),
            ("/dataset/d@x", "'x' is not a version"),
            ("/dataset/d@1?version=1", "names a version already"),
            ("/dataset/d?format=csv&orient=list", "orient is for json"),
            ("/dataset/d?limit=1&limit=2", "stands more than once"),
            ("/dataset/d[x", "cannot read 'd[x'"),
        ],
    )
    def test_bad_requests(self, filled, uri, words):
        refused(filled("GET", uri), 400, words)

    def test_versions_and_etags(self, filled):
        filled("PUT", "/dataset/d", {"data": {"x": [9], "y": [9.5], "s": ["z"]}})
        new = filled("GET", "/dataset/d?columns=x&orient=list")
        assert (new.json["version"], new.json["rows"], new.headers["etag"]) == (2, 5, '"2"')
        for uri in ("/dataset/d@1", "/dataset/d%5E", "/dataset/d?version=1"):
            old = filled("GET", uri)
            assert (old.json["version"], old.json["rows"], old.headers["etag"]) == (1, 4, '"1"')
        refused(filled("GET", "/dataset/d@3"), 404, "no version 3: its versions are 1 to 2")
        refused(filled("GET", "/dataset/d%5E%5E"), 404, "no version 0")
        assert filled("GET", "/dataset/d", If_None_Match='"2"').status == 304
        assert filled("GET", "/dataset/d", If_None_Match='"1"').status == 200
        refused(filled("GET", "/dataset/d", If_Match='"1"'), 412, "is at version 2")

    def test_formats(self, filled):
        arrow = filled("GET", "/dataset/d", Accept="application/vnd.apache.arrow.stream")
        frame = pa.ipc.open_stream(arrow.body).read_pandas()
        pd.testing.assert_frame_equal(frame, filled.omega.datasets.get("d"))
        parquet = filled("GET", "/dataset/d?format=parquet")
        pd.testing.assert_frame_equal(pq.read_table(pa.BufferReader(parquet.body)).to_pandas(), frame)
        assert filled("GET", "/dataset/d?format=csv").body == b"x,y,s\n1,2.0,a\n2,4.0,b\n3,6.0,\n4,8.0,d\n"
        lines = filled("GET", "/dataset/d", Accept="application/x-ndjson").body.splitlines()
        assert json.loads(lines[2]) == {"x": 3, "y": 6.0, "s": None}
        refused(filled("GET", "/dataset/d", Accept="image/png"), 406)

    def test_other_kinds(self, api):
        api.omega.datasets.put({"a": [1, None]}, "v")
        api.omega.datasets.put(np.arange(4).reshape(2, 2), "n")
        assert (
            api("PUT", "/dataset/f", b"\x00\x01raw", Content_Type="application/octet-stream").json["kind"]
            == "python.file"
        )
        assert api("GET", "/dataset/v").json["data"] == {"a": [1, None]}
        assert api("GET", "/dataset/n").json["data"] == [[0, 1], [2, 3]]
        raw = api("GET", "/dataset/f")
        assert raw.body == b"\x00\x01raw" and raw.headers["x-content-type-options"] == "nosniff"
        assert raw.headers["content-disposition"] == "attachment"
        refused(api("GET", "/dataset/v?x=1"), 400, "only frames have columns")
        refused(api("GET", "/dataset/v?orient=list"), 400, "orient is for frames")
        refused(api("GET", "/dataset/f?format=csv"), 400, "is a file: format is for frames")
        refused(api("GET", "/dataset/v?format=csv"), 406, "json only")
        refused(
            api("PUT", "/dataset/v", {"data": {"x": [1]}}), 409, "cannot append pandas.dfrows", "python.data"
        )
        assert api("PUT", "/dataset/v", {"data": {"x": [1]}, "append": False}).json["version"] == 2


class TestWriting:
    def test_append_replace_and_delete(self, api):
        for body, rows, version in [
            ({"data": {"x": [1, 2]}}, 2, 1),
            ({"data": {"x": [3]}}, 3, 2),
            ({"data": {"x": [9]}, "append": False}, 1, 3),
        ]:
            reply = api("PUT", "/dataset/d/", body)
            assert reply.status == 202
            assert reply.json == {
                "name": "d",
                "kind": "pandas.dfrows",
                "rows": rows,
                "version": version,
                "resource_uri": "/api/v1/dataset/d/",
            }
        assert api("GET", "/dataset/d@2?orient=list").json["data"] == {"x": [1, 2, 3]}
        assert api("DELETE", "/dataset/d").status == 202
        refused(api("GET", "/dataset/d"), 404, "there is no dataset 'd' in bucket 'store'")
        refused(api("DELETE", "/dataset/d"), 404, "'d'")

    def test_delete_takes_no_wildcards(self, filled):
        refused(filled("DELETE", "/dataset/%2A"), 400, "may not hold *")
        refused(filled("DELETE", "/dataset/d@1"), 400, "may not hold @")
        assert filled("GET", "/dataset/d").status == 200

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b"", "empty"),
            (b"{", "line 1"),
            (b'{"data": {"x": [1', "line 1"),
            (b'{"data": {"x": [1]}, "data": {}}', "data"),
            (b'{"data": {"x": [NaN]}}', "NaN"),
            (b'{"data": {"x": [1e999]}}', "1e999"),
            (b'{"data": {"x": ["\xff"]}}', "UTF-8"),
            (b'{"data": ' + b"[" * 50 + b"]" * 50 + b"}", "deeper"),
            (b"[" * 100_000, "de"),
            (b"[1]", "object"),
            (b'{"data": {"x": [1, 2], "y": [1]}}', "'y'"),
            (b'{"data": {"x": {"0": 1}, "y": {"1": 1}}}', "'y'"),
            (b'{"data": {"x": [1]}, "dtypes": {"x": "datetime32"}}', "datetime32"),
            (b'{"data": {"x": ["a"]}, "dtypes": {"x": "int64"}}', "'x'"),
            (b'{"data": {"x": [1]}, "dtypes": {"z": "int64"}}', "'z'"),
            (b'{"data": {"x": [1]}, "index": {"type": "Index", "values": [1, 2]}}', "index"),
            (b'{"data": {"x": [1]}, "color": 1}', "unknown fields in the body: 'color'"),
            (b'{"data": {"x": [1]}, "append": "yes"}', "'append'"),
            (b'{"data": {"x": [1]}, "name": "other"}', "'other'"),
            (b'{"data": {"x": [1]}, "orient": "up"}', "up"),
            (b'{"data": 5}', "data"),
            (b"{}", "data"),
        ],
    )
    def test_bad_bodies_change_nothing(self, filled, body, words):
        refused(filled("PUT", "/dataset/d", body), 400, words)
        assert filled("GET", "/dataset/d").json["version"] == 1
        refused(filled("PUT", "/dataset/new", body), 400, words)
        refused(filled("GET", "/dataset/new"), 404)

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            ({"x": [1], "y": [1.0]}, "'s'"),
            ({"x": [1], "y": [1.0], "s": ["a"], "z": [0]}, "'z'"),
            ({"x": ["one"], "y": [1.0], "s": ["a"]}, "'x'"),
            ({"x": [1], "y": ["much"], "s": ["a"]}, "'y'"),
            ({"x": [1], "y": [1.0], "s": [5]}, "'s'"),
        ],
    )
    def test_an_append_that_does_not_fit(self, filled, data, words):
        refused(filled("PUT", "/dataset/d", {"data": data}), 400, words)
        assert filled("GET", "/dataset/d").json["version"] == 1

    def test_widening_keeps_old_versions(self, api):
        api("PUT", "/dataset/d", {"data": {"x": [1, 2]}})
        assert api("PUT", "/dataset/d", {"data": {"x": [0.5]}}).status == 202
        assert api("GET", "/dataset/d?orient=list").json["data"] == {"x": [1.0, 2.0, 0.5]}
        assert api("GET", "/dataset/d?x__gt=1&orient=list").json["data"] == {"x": [2.0]}
        assert api("GET", "/dataset/d@1").json["dtypes"] == {"x": "int64"}
        api("PUT", "/dataset/big", {"data": {"x": [2**53 + 1]}})
        refused(api("PUT", "/dataset/big", {"data": {"x": [0.5]}}), 400, "'x'")
        assert api("GET", "/dataset/big?orient=list").json["data"] == {"x": [2**53 + 1]}

    def test_empty_frames(self, api):
        assert api("PUT", "/dataset/e", {"data": {"x": []}, "dtypes": {"x": "int64"}}).json["rows"] == 0
        assert api("GET", "/dataset/e").json["dtypes"] == {"x": "int64"}
        assert api("PUT", "/dataset/e", {"data": {"x": [1]}}).json["rows"] == 1

    def test_limits(self, api):
        refused(api("PUT", "/dataset/d", {"data": {f"c{i}": [1] for i in range(101)}}), 413, "100", "columns")
        refused(api("PUT", "/dataset/d", {"data": {"x": [1] * 1001}}), 413, "1,000", "rows")
        refused(api("PUT", "/dataset/d", b" " * 2_000_001), 413, "2,000,000 bytes")
        refused(api("GET", "/dataset/d"), 404)

    def test_media_types(self, api):
        refused(api("PUT", "/dataset/d", b"x", Content_Type="image/png"), 415, "image/png")
        csv = api("PUT", "/dataset/d", b"x,y\n1,a\n2,\n", Content_Type="text/csv")
        assert csv.json["rows"] == 2
        assert (
            api("PUT", "/dataset/d?append=false", b'{"x": 1}\n', Content_Type="application/x-ndjson").json[
                "rows"
            ]
            == 1
        )
        refused(api("PUT", "/dataset/d", b"PAR1junk", Content_Type="application/vnd.apache.parquet"), 400)
        refused(api("PUT", "/dataset/d", b"junk", Content_Type="application/vnd.apache.arrow.stream"), 400)

    def test_preconditions(self, filled):
        body = {"data": {"x": [1], "y": [1.0], "s": ["a"]}}
        refused(filled("PUT", "/dataset/d", body, If_Match='"2"'), 412, "is at version 1")
        refused(filled("PUT", "/dataset/d", body, If_None_Match="*"), 412, "is at version 1")
        refused(filled("PUT", "/dataset/new", body, If_Match="*"), 412, "does not exist")
        refused(filled("DELETE", "/dataset/d", If_Match='"2", W/"7"'), 412, "is at version 1")
        refused(filled("PUT", "/dataset/d", body, If_Match="2"), 400, "malformed")
        for name in ("If_Match", "If_None_Match"):
            # An empty list of versions would be a condition that says nothing, or one that never holds.
            refused(filled("PUT", "/dataset/d", body, **{name: ""}), 400, "malformed")
        for asked in ("orient=null", "format=xml"):
            refused(filled("GET", f"/dataset/d?{asked}", If_None_Match="*"), 400, "unknown")
        assert filled("PUT", "/dataset/d", body, If_Match='"1"').status == 202
        refused(filled("PUT", "/dataset/d", body, If_Match='W/"2"'), 412, "is at version 2")
        refused(filled("PUT", "/dataset/d?append=true", {**body, "append": False}), 400, "given twice")
        assert filled("DELETE", "/dataset/d", If_Match='"2"').status == 202

    def test_idempotency_keys(self, filled):
        body = {"data": {"x": [7], "y": [7.0], "s": ["q"]}}
        first = filled("PUT", "/dataset/d", body, Idempotency_Key="k1")
        filled("PUT", "/dataset/d", body)
        again = filled("PUT", "/dataset/d", body, Idempotency_Key="k1")
        assert (again.status, again.json) == (first.status, first.json)
        assert filled("GET", "/dataset/d").json["rows"] == 6
        other = {"data": {"x": [8], "y": [7.0], "s": ["q"]}}
        refused(filled("PUT", "/dataset/d", other, Idempotency_Key="k1"), 409, "idempotency key")
        assert filled("PUT", "/dataset/d", other, Idempotency_Key="k2").json["version"] == 4
        refused(filled("PUT", "/dataset/d", other, Idempotency_Key="k" * 256), 400, "1 to 255 characters")
        raw = {"Idempotency_Key": "k", "Content_Type": "application/octet-stream"}
        assert [filled("PUT", "/dataset/f", b"x", **raw).json["version"] for _ in range(2)] == [1, 1]


class TestModels:
    def test_metadata(self, filled):
        body = filled("GET", "/model/m").json
        model = body["model"]
        assert (model["name"], model["kind"], model["bucket"], model["version"]) == (
            "m",
            "sklearn.joblib",
            "store",
            2,
        )
        assert model["fitted"] is True
        assert model["features"] == [{"name": "x", "dtype": "int64", "type": "numeric"}]
        assert model["estimator"]["class"] == "LinearRegression"
        assert filled("GET", "/model/m", If_None_Match='"2"').status == 304
        refused(filled("GET", "/model/m", If_Match='"1"'), 412, "is at version 2")
        assert filled("GET", "/model/unfitted").json["model"]["fitted"] is False
        listed = filled("GET", "/model/").json
        assert [item["model"]["name"] for item in listed["objects"]] == ["m", "unfitted"]

    def test_create_and_replace(self, filled):
        spec = {"name": "m", "pipeline": [["Ridge", {"alpha": 0.1}]]}
        refused(filled("POST", "/model", spec), 409, "'m' exists already")
        assert filled("POST", "/model", {**spec, "replace": True}).status == 201
        refused(filled("GET", "/model/m/predict?datax=d[x]"), 409, "'m' is not fitted")
        assert filled("GET", "/model/m%5E/predict?datax=d[x]").status == 200
        assert filled("DELETE", "/model/m").status == 202
        refused(filled("GET", "/model/m"), 404, "there is no model 'm'")

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"pipeline": [["Ridge", {}]]}, "'name'"),
            ({"name": "n"}, "'pipeline'"),
            ({"name": "n", "pipeline": []}, "step"),
            ({"name": "n", "pipeline": [["Ridge", {}]], "x": 1}, "'x'"),
            ({"name": "n", "pipeline": [["NoSuch", {}]]}, "NoSuch"),
            ({"name": "n", "pipeline": [["os.system", {}]]}, "os.system"),
            ({"name": "n", "pipeline": [["sklearn.datasets.load_files", {}]]}, "load_files"),
            ({"name": "n", "pipeline": [["Ridge", {"beta": 1}]]}, "beta"),
            ({"name": "n", "pipeline": [["Ridge", {"alpha": "much"}]]}, "alpha"),
            ({"name": "n", "pipeline": [["CountVectorizer", {"input": "filename"}]]}, "input"),
            ({"name": "n", "pipeline": [["Pipeline", {"steps": [], "memory": "/tmp/x"}]]}, "memory"),
            (
                {
                    "name": "n",
                    "pipeline": [
                        [
                            "GridSearchCV",
                            {
                                "estimator": {"class": "CountVectorizer", "params": {}},
                                "param_grid": {"input": ["filename"]},
                            },
                        ]
                    ],
                },
                "input",
            ),
        ],
    )
    def test_bad_specs(self, api, body, words):
        refused(api("POST", "/model", body), 400, words)
        assert api("GET", "/model").json["meta"]["total_count"] == 0

    def test_answers(self, filled):
        reply = filled("GET", "/model/m/predict?datax=d[x]")
        assert reply.status == 200
        answer = reply.json
        assert answer.pop("result") == pytest.approx([2, 4, 6, 8])
        assert answer == {
            "model": "m",
            "datax": "d[x]",
            "datay": None,
            "resource_uri": "/api/v1/model/m/",
            "version": 2,
        }
        assert filled("PUT", "/model/m/predict?datax=d[x]").status == 202
        assert filled("POST", "/model/m/predict?datax=d[x]", {}).status == 201
        assert filled("GET", "/model/m/?datax=d[x]").json == reply.json
        assert filled("GET", "/model/m/score?datax=d[x]&datay=d[y]").json["result"] == pytest.approx(1)
        fitted = filled("PUT", "/model/unfitted/fit?datax=d[x,y]&datay=d[x]")
        assert (fitted.status, fitted.json["result"], fitted.json["version"]) == (202, "ok", 2)
        proba = filled("GET", "/model/unfitted/predict_proba?datax=d[y,x]").json
        assert proba["classes"] == [1, 2, 3, 4] and np.shape(proba["result"]) == (4, 4)
        assert filled("GET", "/model/unfitted/predict?datax=d[y,x]").json["result"] == [1, 2, 3, 4]

    @pytest.mark.parametrize(
        "body",
        [
            {"data": {"x": [1, 2]}},
            {"data": {"x": {"0": 1, "1": 2}}},
            {"data": [{"x": 1}, {"x": 2}]},
            {"data": [[1], [2]], "columns": ["x"]},
            {"data": [[1], [2]]},
            {"data": [1, 2]},
            {"datax": {"data": {"x": [1, 2]}, "dtypes": {"x": "float64"}}},
            {"datax": [{"x": 1}, {"x": 2}]},
        ],
    )
    def test_inline_data(self, filled, body):
        reply = filled("POST", "/model/m/predict", body)
        assert reply.json["result"] == pytest.approx([2, 4]), reply.body
        assert reply.json["datax"] is None
        assert filled("GET", "/dataset").json["meta"]["total_count"] == 1

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({}, "datax is missing"),
            ({"data": {"z": [1]}}, "missing columns: 'x'; extra columns: 'z'"),
            ({"data": {"x": [1], "z": [1]}}, "extra columns: 'z'"),
            ({"data": [[1, 2]]}, "2 columns, the model was fitted with 1: 'x'"),
            ({"data": {"x": ["one"]}}, "column 'x' of datax is text, the model was fitted with numeric"),
            ({"data": {"x": [2**70]}}, "integers of more than 64 bits"),
            ({"data": {"x": [1], "w": [1, 2]}}, "'w'"),
            ({"data": {"x": [1]}, "datax": "d"}, "both 'data' and 'datax'"),
            ({"data": {"x": [1]}, "classes": [1]}, "unknown fields"),
            ({"data": {"x": [1]}, "datay": [1]}, "predict takes none"),
            ({"datax": 5}, "data"),
        ],
    )
    def test_bad_inline_data(self, filled, body, words):
        refused(filled("POST", "/model/m/predict", body), 400, words)

    @pytest.mark.parametrize(
        ("method", "uri", "status", "words"),
        [
            ("GET", "/model/none/predict?datax=d", 404, "there is no model 'none'"),
            ("GET", "/model/m/predict?datax=none", 404, "there is no dataset 'none'"),
            ("GET", "/model/m/predict?datax=d[q]", 400, "'q'"),
            ("GET", "/model/m/predict?datax=d", 400, "extra columns: 'y', 's'"),
            ("GET", "/model/m@9/predict?datax=d[x]", 404, "no version 9"),
            ("GET", "/model/m%5E%5E/predict?datax=d[x]", 404, "no version 0"),
            ("GET", "/model/m@1/predict?datax=d[x]", 409, "not fitted"),
            (
                "GET",
                "/model/unfitted/predict?datax=d[x]",
                409,
                "'unfitted' is not fitted: fit it before predict",
            ),
            ("GET", "/model/m/transform?datax=d[x]", 400, "has no 'transform'"),
            ("PUT", "/model/m/partial_fit?datax=d[x]&datay=d[y]", 400, "has no 'partial_fit'"),
            ("PUT", "/model/m@1/fit?datax=d[x]&datay=d[y]", 400, "only the current version"),
            ("PUT", "/model/m/fit?datax=d[x]", 400, "datay"),
            ("PUT", "/model/m/fit?datax=d[x]&datay=d[s]", 400, ""),
            ("PUT", "/model/m/frobnicate?datax=d[x]", 400, "unknown"),
            ("GET", "/model/m/frobnicate", 400, "unknown action 'frobnicate'"),
            ("GET", "/model/m/predict?data=d", 400, "unknown query parameter 'data'"),
            ("GET", "/model/m/fit?datax=d", 405, "not allowed"),
            ("POST", "/model/m/fit?datax=d", 405, "not allowed"),
            ("DELETE", "/model/m/predict", 405, "not allowed"),
            ("PUT", "/model/m?datax=d", 405, "for a model's actions"),
            ("PUT", "/model/m", 405, "ACTION"),
            ("GET", "/model/m?datay=d", 400, "without datax"),
            ("PATCH", "/dataset/d", 405, "only DELETE, GET, HEAD, OPTIONS, PUT"),
            ("POST", "/dataset/d", 405, "only DELETE, GET, HEAD, OPTIONS, PUT"),
            ("GET", "/nothing", 404, "nothing"),
        ],
    )
    def test_refusals(self, filled, method, uri, status, words):
        refused(filled(method, uri), status, words)
        assert filled("GET", "/model/m").json["model"]["version"] == 2

    def test_data_without_a_value_is_refused_by_name(self, filled):
        refused(filled("PUT", "/model/m/fit", {"columns": []}), 400, "'columns'", "no 'data'")
        for values in ([], [None]):
            body = {"datax": {"x": values}, "datay": {"y": values}}
            assert filled("PUT", "/model/m/fit", body).status == 400

    def test_rows_must_match(self, filled):
        filled("PUT", "/dataset/short", {"data": {"y": [1.0]}})
        refused(filled("PUT", "/model/m/fit?datax=d[x]&datay=short"), 400, "datax has 4 rows but datay has 1")

    def test_partial_fit_goes_on(self, filled):
        filled("POST", "/model", {"name": "p", "pipeline": [["SGDClassifier", {"random_state": 0}]]})
        body = {"data": [[0.0], [1.0]], "columns": ["x"], "datay": [0, 1], "classes": [0, 1, 2]}
        assert filled("PUT", "/model/p/partial_fit", body).json["version"] == 2
        body = {"data": [[2.0]], "columns": ["x"], "datay": [2]}
        assert filled("PUT", "/model/p/partial_fit", body).json["version"] == 3
        assert filled("GET", "/model/p").json["model"]["classes"] == [0, 1, 2]
        refused(filled("PUT", "/model/p/partial_fit", {**body, "columns": ["z"]}), 400, "extra columns: 'z'")

    def test_infinite_answers_are_refused_in_json(self, filled):
        filled("POST", "/model", {"name": "t", "pipeline": [["DecisionTreeClassifier", {}]]})
        filled("PUT", "/model/t/fit?datax=d[x]&datay=d[y]")
        refused(filled("GET", "/model/t/predict_log_proba?datax=d[x]"), 400, "infinit")


def test_head_and_options(filled):
    head = filled("HEAD", "/dataset/d")
    assert head.status == 200 and head.body == b"" and head.headers["etag"] == '"1"'
    options = filled("OPTIONS", "/dataset/d")
    assert (options.status, options.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, PUT")
