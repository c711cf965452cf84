"""Health, figures and settings over HTTP."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.entrypoints.api import Omega
from omega.entrypoints.bootstrap import connect, metered
from omega.entrypoints.http.app import build
from omega.entrypoints.http.config import described
from omega.entrypoints.http.health import Probe, answers
from omega.entrypoints.limits import Limits
from omega.entrypoints.settings import Settings, load
from omega.entrypoints.uris import without_secrets
from omega.ports.queue import QueueUnavailable
from omega.ports.records import StoreUnavailable
from tests.support.wsgi import Reply, call


@pytest.fixture
def omega(tmp_path: Path) -> Iterator[Omega]:
    settings = load(store="memory://", home=tmp_path, environ={})
    with Omega(services=connect(settings, bucket="store", meter=metered(settings))) as omega:
        omega.runtime.queued()  # the first use imports much, which may take longer than a probe is waited for
        yield omega


def get(omega: Omega, uri: str, **headers: str) -> Reply:
    return call(build(omega, Limits()), "GET", uri, headers=headers)


def test_alive_and_ready(omega: Omega) -> None:
    assert get(omega, "/healthz").json == {"status": "alive"}
    reply = get(omega, "/readyz/")
    assert (reply.status, reply.json) == (200, {"status": "ready", "store": "ok", "queue": "ok"})


def fails(error: Exception) -> Any:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("store", "queue", "words"),
    [
        (StoreUnavailable("mongodb://u:secret@h"), None, "the store cannot"),
        (None, QueueUnavailable("redis://:secret@h"), "the queue cannot"),
        (StoreUnavailable(), RuntimeError("secret"), "the store and the queue cannot"),
    ],
)
def test_not_ready(omega: Omega, monkeypatch: pytest.MonkeyPatch, store: Any, queue: Any, words: str) -> None:
    from omega.entrypoints.runtime import Runtime

    if store:
        monkeypatch.setattr(Runtime, "open_tasks", fails(store))
    if queue:
        monkeypatch.setattr(Runtime, "queued", fails(queue))
    reply = get(omega, "/readyz")
    assert reply.status == 503
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["retry-after"]
    assert words in reply.json["detail"] and b"secret" not in reply.body
    assert reply.json["store"] == ("unreachable" if store else "ok")
    assert reply.json["queue"] == ("unreachable" if queue else "ok")
    text = get(omega, "/metrics").body
    assert (b"omega_tasks_open" in text) is not bool(store)
    assert (b"omega_queue_messages" in text) is not bool(queue)
    assert get(omega, "/healthz").status == 200


def test_what_hangs_is_asked_once_and_is_no_answer() -> None:
    go, asked = threading.Event(), []

    def hang() -> int:
        asked.append(1)
        go.wait(30)
        return 5

    probes = [Probe("slow", hang), Probe("fast", lambda: None)]
    for _ in range(5):
        assert answers(probes, within_s=0.05) == {"fast": None}
    assert len(asked) == 1
    go.set()
    while not answers(probes[:1], within_s=5):
        time.sleep(0.01)
    assert answers(probes, within_s=5) == {"slow": 5, "fast": None}


def test_figures(omega: Omega) -> None:
    omega.models.create("m", [["LinearRegression", {}]])
    task = omega.runtime.model("m").submit("fit", [[1.0], [2.0]], [1.0, 2.0])
    assert task.status == "SUCCESS"
    omega.runtime.model("m").predict([[3.0]])
    reply = get(omega, "/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = reply.body.decode()
    assert 'omega_tasks_ended_total{action="fit",resource="model",status="SUCCESS"} 1.0' in text
    assert 'omega_model_cache_lookups_total{outcome="miss"} 2.0' in text
    assert "omega_tasks_open 0.0" in text and "omega_queue_messages 0.0" in text


def test_each_end_of_a_task_is_counted_once(omega: Omega) -> None:
    def count() -> dict[str, float]:
        lines = get(omega, "/metrics").body.decode().splitlines()
        found = (line.rsplit(" ", 1) for line in lines if line.startswith("omega_tasks_ended_total{"))
        return {name.split('status="')[1][:-2]: float(value) for name, value in found}

    omega.models.create("m", [["LinearRegression", {}]])
    assert omega.runtime.model("m").submit("fit", [[1.0], [2.0]], [1.0]).status == "FAILURE"
    assert count() == {"FAILURE": 1}
    tasks = omega._services.tasks
    waiting = tasks.submit("model", "m", "predict")
    tasks.cancel(waiting.id)
    assert count() == {"FAILURE": 1, "REVOKED": 1}


def test_where_nobody_counts_there_are_no_figures() -> None:
    with Omega(store="memory://") as omega:
        assert get(omega, "/metrics").status == 404


def test_the_request_is_written_down_with_the_task(omega: Omega) -> None:
    omega.models.create("m", [["LinearRegression", {}]])
    app = build(omega, Limits())
    uri, body = "/api/v1/model/m/fit?async=1", b'{"datax": {"x": [1, 2]}, "datay": {"y": [1, 2]}}'
    reply = call(app, "PUT", uri, body=body, headers={"X-Request-ID": "asked-1"})
    assert reply.status == 202
    task = call(app, "GET", f"/api/v1/task/{reply.json['task_id']}", headers={"X-Request-ID": "asked-2"})
    assert task.json["request_id"] == "asked-1"
    assert omega.runtime.model("m").submit("predict", [[1.0]]).get().request_id is None


class TestConfig:
    def test_the_settings_in_force(self, omega: Omega) -> None:
        found = get(omega, "/api/v1/config/", bucket="team").json
        assert found["bucket"] == "team"
        assert found["store"] == "memory://"
        assert found["max_rows"] == Limits().rows
        assert get(omega, "/api/v1/config", bucket="../x").status == 400
        assert get(omega, "/api/v1/config?x=1").status == 400

    def test_every_setting_is_told_or_known_to_be_untold(self) -> None:
        untold = {"home", "queue_given", "access_rules", "figures_path", "bucket", "signing_key_file"}
        renamed = {"limits", "task_timeout_s", "model_cache_bytes", "model_cells", "result_bytes"}
        renamed |= {"task_memory_bytes"}
        shown = set(described(Settings(home=Path("/x"), store="memory://")))
        assert {field.name for field in attrs.fields(Settings)} - untold - renamed <= shown

    def test_no_secret_is_told(self) -> None:
        settings = Settings(
            home=Path("/x"),
            store="mongodb://me:pass/word@h1:1,h2:2/omega?replicaSet=rs0&authMechanismProperties=a:b",
            queue="redis://:p@ss@h/0?password=word",
            access_rules="model/secret/.*",
        )
        text = repr(described(settings))
        for word in ("me:", "pass/", "word@", "p@ss", "=word", "a:b", "secret"):
            assert word not in text, word
        assert "mongodb://***@h1:1,h2:2/omega?replicaSet=rs0&authMechanismProperties=***" in text


@given(
    scheme=st.sampled_from(["mongodb", "redis", "postgresql", "MONGODB+SRV"]),
    user=st.text("abc", max_size=3),
    password=st.text("xyzXYZ0123456789!$&'()*+,;=:@/?#[]%", min_size=6, max_size=12),
    option=st.sampled_from(["password", "sslpassword", "tlsCertificateKeyFilePassword", "x"]),
)
def test_no_password_is_shown(scheme: str, user: str, password: str, option: str) -> None:
    shown = without_secrets(f"{scheme}://{user}:{password}@host-1:5/db")
    assert shown == f"{scheme}://***@host-1:5/db"
    if not set(password) & set("&@"):
        assert password not in without_secrets(f"{scheme}://host-1/db?{option}={password}")


@pytest.mark.parametrize("url", ["memory://", "file:///a/b", "sqlite:///a%20b", "", "mongodb://h:1/d"])
def test_a_url_without_secrets_is_as_it_was(url: str) -> None:
    assert without_secrets(url) == url
