"""How a server gets its port; all else about it is tested on one that runs (`tests/integration`)."""

import socket

import pytest

from omega.entrypoints.http import server


def test_a_port_that_is_taken_for_a_moment_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    other = socket.create_server(("127.0.0.1", 0))
    port = other.getsockname()[1]
    monkeypatch.setattr("time.sleep", lambda _: other.close())
    address, found, held = server._claim("127.0.0.1", port)
    with held:
        assert (address, found) == ("127.0.0.1", port)


def test_a_port_that_stays_taken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_CLAIM_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SystemExit, match=f"cannot serve on 127.0.0.1:{port}: address already in use"):
            server._claim("127.0.0.1", port)
