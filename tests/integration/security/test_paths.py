"""Path traversal: no name, however it is spelled, and no method reaches a file."""

import pytest

from tests.support.target import Target

UP = [
    "..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "..%00", "..%5c", "%c0%ae%c0%ae", "..;", "....", "..%2f..",
    "%ef%bc%8e%ef%bc%8e", "%e2%80%a5", "~", "%7e", "file:", "C:", "%00", "\\..", "..%255c..", "%u002e%u002e",
]  # fmt: skip
SLASHES = ["/", "%2f", "%5c", "%252f", "//", "/./", "%c0%af"]
RESOURCES = ["dataset", "model", "job", "script", "job/results", "job/export", "task"]
METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE"]


@pytest.mark.parametrize("resource", RESOURCES)
def test_no_name_climbs(target: Target, resource: str) -> None:
    for up in UP:
        for slash in SLASHES:
            path = f"/api/v1/{resource}/{slash.join([up] * 4)}{slash}beside{slash}canary"
            for method in METHODS[:2] if slash not in ("/", "%2f") else METHODS:
                answer = target.ask(method, path, body=b"{}" if method in ("PUT", "POST") else b"")
                assert answer.status in (400, 404, 405), (method, path, answer.status)


@pytest.mark.parametrize("method", METHODS)
def test_no_absolute_path_is_one(target: Target, method: str) -> None:
    canary = str(target.canary)
    for path in (canary, f"/api/v1/dataset/{canary}", f"/api/v1/dataset/{canary.replace('/', '%2f')}"):
        body = b"{}" if method in ("PUT", "POST") else b""
        target.refuses(method, path, 400, 404, 405, body=body)
        target.refuses(method, "/api/v1/dataset/sample/../../../../../.." + canary, body=body)


@pytest.mark.parametrize(
    "bucket", ["..", "../beside", "a/b", "/etc", "%2e%2e", "a\\b", ".", "x" * 5000, "a:b", "*"]
)
def test_no_bucket_is_a_path(target: Target, bucket: str) -> None:
    for path in ("/api/v1/dataset/", "/api/v1/config", "/api/v1/dataset/x", "/api/v1/task/"):
        assert target.ask("GET", path, headers={"bucket": bucket}).status in (400, 404)
    target.refuses("PUT", "/api/v1/dataset/x", body={"data": {"x": [1]}}, headers={"bucket": bucket})


def test_no_reference_or_body_names_a_file(target: Target) -> None:
    canary = str(target.canary)
    for name in (canary, f"file://{canary}", "../beside/canary", "..", f"sample[{canary}]", f"{canary}@1"):
        quoted = name.replace("/", "%2f")
        target.refuses("GET", f"/api/v1/model/m/predict?datax={quoted}")
        target.refuses("PUT", f"/api/v1/model/m/fit?datax={quoted}&datay={quoted}")
        target.refuses("GET", f"/api/v1/dataset/?name={quoted}x&limit=0")
        target.refuses("POST", "/api/v1/model/", body={"name": name, "pipeline": [["LinearRegression", {}]]})
    body = {"data": {"x": [1]}, "name": "../../beside/canary"}
    renamed = target.ask("PUT", "/api/v1/dataset/safe", body=body)
    assert renamed.status in (202, 400)


def test_names_with_folders_are_no_directories(target: Target) -> None:
    assert target.ask("PUT", "/api/v1/dataset/a/b/c", body={"data": {"x": [1]}}).status == 202
    assert not [path for path in target.home.rglob("*") if path.name in ("a", "b", "c")]
