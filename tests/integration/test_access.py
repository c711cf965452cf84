"""Rules and keys as a person uses them: two servers on one store, and the owner's Python beside them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from omega import Omega
from omega.domain.keys import KeyService
from tests.support.server import Server, start

BODY = {"data": {"x": [1, 2, 3], "y": [2, 4, 6]}}
RULES = ["model/m/.*", "dataset/(d|a;b)/.*"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def keys(home: Path) -> Iterator[KeyService]:
    with Omega(home=home, store=(home / "store").as_uri()) as omega:
        yield omega.keys


@pytest.fixture(scope="module")
def servers(home: Path, keys: KeyService) -> Iterator[tuple[Server, Server]]:
    """One with rules, from its command line and a file, and a worker; one on an address of all networks,
    which it may have since keys are needed.
    """
    (home / "rules.txt").write_text("# more\n\nmodel//create\n(script)s/(a+)+$/run # slow, elsewhere\n")
    one = start(home, *RULES, "--rules", str(home / "rules.txt"), "--processes", "1")
    try:
        keys.add("first")
        other = start(home, "--host", "0.0.0.0", "--no-worker")
        try:
            keys.disable()
            yield one, other
        finally:
            other.stop()
    finally:
        one.stop()


def test_rules_hold_in_the_process_that_serves(servers, keys):
    one, other = servers
    assert one.put("/dataset/d/", json=BODY).status_code == 202
    assert one.put("/dataset/a;b/", json=BODY).status_code == 202
    assert one.put("/dataset/e/", json=BODY).status_code == 403
    assert one.get("/dataset/").status_code == 403
    assert one.get("/ping").status_code == 200
    assert other.get("/dataset/").json()["meta"]["total_count"] == 2
    slow = one.post(f"/script/{'a' * 254}!/run")
    assert slow.status_code == 403
    assert one.get(f"/script/{'a' * 2000}!").status_code == 400


def test_a_worker_does_what_the_call_was_allowed(servers, keys):
    one, other = servers
    created = one.post("/model/", json={"name": "m", "pipeline": [["LinearRegression", {}]]})
    assert created.status_code == 201
    assert one.put("/model/m/fit?datax=d[x]&datay=a;b[y]").json()["result"] == "ok"
    assert one.put("/model/m/fit?datax=e[x]&datay=d[y]&async=1").status_code == 403
    left = one.get("/model/m/predict?datax=d[x]&async=1")
    assert left.status_code == 202
    # The other server has no rules: all tasks are there. Here it is those that one may make.
    other.put("/dataset/e/", json=BODY).raise_for_status()
    hidden = other.get("/model/m/predict?datax=e[x]&async=1").json()["task_id"]
    assert one.get(f"/task/{hidden}/status").status_code == 404
    assert other.get(f"/task/{hidden}/status").status_code == 200
    listed = {task["task_id"] for task in one.get("/task/").json()["objects"]}
    assert hidden not in listed
    assert left.json()["task_id"] in listed


def test_a_key_is_needed_at_once_and_fails_at_once_in_every_process(servers, keys):
    assert [server.get("/dataset/d").status_code for server in servers] == [200, 200]
    _, key = keys.add("alice", rules=["dataset/.*/.*"])
    auth = lambda request: request.headers.update(Authorization=f"ApiKey alice:{key}") or request  # noqa: E731
    assert [server.get("/dataset/d").status_code for server in servers] == [401, 401]
    assert [server.get("/dataset/d", auth=auth).status_code for server in servers] == [200, 200]
    assert [server.get("/dataset/", auth=auth).status_code for server in servers] == [403, 200]
    assert [server.get("/model/m/", auth=auth).status_code for server in servers] == [403, 403]
    assert [server.get("/ping").status_code for server in servers] == [200, 200]
    keys.remove("alice")
    assert [server.get("/dataset/d", auth=auth).status_code for server in servers] == [401, 401]
    keys.remove("first")
    assert [server.get("/dataset/d").status_code for server in servers] == [401, 401]
    keys.disable()
    assert [server.get("/dataset/d").status_code for server in servers] == [200, 200]


def test_neither_keys_nor_what_was_wrong_is_in_the_log(servers, keys):
    one, _ = servers
    _, key = keys.add("bob")
    for _ in range(12):
        answer = one.get("/dataset/d", headers={"Authorization": f"ApiKey bob:{key}x"})
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 61
    ok = one.get("/dataset/d", headers={"Authorization": f"Bearer {key}"})
    assert ok.status_code == 200
    keys.disable()
    log = one.log.read_text()
    assert "a key for user 'bob' is not valid" in log
    assert key not in log
