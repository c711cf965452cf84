"""What `om runtime serve` hands on to the processes that it starts."""

import os
from pathlib import Path

import attrs
import pytest

from omega.entrypoints.cli.serving import _exported, _reachable_at
from omega.entrypoints.http.shield import Shield, WrongHost
from omega.entrypoints.settings import load
from tests.support.wsgi import environ_for


def answers_for(served_at: str, host: str) -> bool:
    settings = _reachable_at(served_at, load(environ={"OMEGA_ALLOWED_HOSTS": "omega.example.org"}))
    shield = Shield.of(hosts=settings.allowed_hosts)
    try:
        shield.check(environ_for("GET", "/", headers={"Host": host}))
    except WrongHost:
        return False
    return True


@pytest.mark.parametrize("served_at", ["127.0.0.1", "localhost", "::1", "0.0.0.0", "::", "10.1.2.3", "cafe"])
def test_the_hosts_that_a_server_answers_for(served_at: str) -> None:
    loopback = served_at in ("127.0.0.1", "localhost", "::1")
    assert answers_for(served_at, "localhost:8000") and answers_for(served_at, "omega.example.org")
    assert answers_for(served_at, "10.1.2.3:8000") is not loopback
    assert answers_for(served_at, "[2001:db8::1]") is not loopback
    assert answers_for(served_at, "cafe") is (served_at == "cafe")
    assert not answers_for(served_at, "evil.example")


def test_settings_and_figures_are_found_again_by_child_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("OMEGA_", "PROMETHEUS_"))]:
        monkeypatch.delenv(name)
    # So that what is exported here is forgotten after the test.
    monkeypatch.setattr(os, "environ", dict(os.environ))
    settings = load(home=tmp_path, environ={"OMEGA_ACCESS_LOG": "on", "OMEGA_ALLOWED_HOSTS": "a, 10.0.0.0/8"})
    with _exported(settings):
        found = load()
        assert found.figures_path is not None and found.figures_path.is_dir()
        assert found.figures_path.stat().st_mode & 0o077 == 0
        same = attrs.evolve(found, figures_path=None, queue_given=settings.queue_given)
        assert same == settings
    assert not found.figures_path.exists()
