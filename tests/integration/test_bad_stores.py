"""Stores in MongoDB that cannot be used: every face says why, in one sentence, soon, and never a password."""

import http.server
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

import pytest

from omega import BadInput, Omega, StoreUnavailable
from omega.adapters.mongo import database as database_module
from omega.entrypoints.cli.main import main
from tests.support.mongo_server import PASSWORD, MongoServer
from tests.support.old_mongo import old_server
from tests.support.server import OM, environment, free_port

#: "Within a few seconds": the driver is given 5, an idle machine needs 1 besides, and this one may be busy.
SOON_S = 60


@pytest.fixture(scope="module")
def server() -> Iterator[MongoServer]:
    with MongoServer() as server:
        with server.as_root() as client:
            client["theirs"]["things"].insert_one({"_id": 1})
        yield server


class Silent(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    """Where something else listens, and where nobody does."""
    with ExitStack() as stack:
        web = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent))
        threading.Thread(target=web.serve_forever, args=(0.05,), daemon=True).start()
        stack.callback(web.shutdown)
        yield {
            "5.0": stack.enter_context(old_server(13)),
            "3.6": stack.enter_context(old_server(6)),
            "web": web.server_port,
            "nobody": free_port(),
        }


Unusable = Callable[[MongoServer, dict[str, int]], str]


def at(port: str) -> Unusable:
    return lambda _, ports: f"mongodb://writer:{PASSWORD}@127.0.0.1:{ports[port]}/d?authSource=admin"


def open_at(port: str) -> Unusable:
    """At a server that asks for no password: one that does would have to be a real one."""
    return lambda _, ports: f"mongodb://127.0.0.1:{ports[port]}/d"


#: What is wrong: the store's URL, the kind of error in Python, and words of the sentence.
UNUSABLE: dict[str, tuple[Unusable, type[Exception], str]] = {
    "a server that cannot be named so": (
        lambda s, _: s.url_of("d").replace("mongodb:", "mongodb+srv:"), BadInput, "of no known form",
    ),
    "a password with characters that mean something": (
        lambda s, _: s.url_of("d", password=f"{PASSWORD}/@:"), BadInput, "with %XX for characters",
    ),
    "no URL at all": (lambda s, _: f"mongodb://w:{PASSWORD}@[::1/d", BadInput, "cannot be read"),
    "no database": (lambda s, _: s.url_of(""), BadInput, "names no database"),
    "an option that would break promises": (
        lambda s, _: f"{s.url_of('d')}&w=1", BadInput, "holds an option that is not one of",
    ),
    "a refused connection": (at("nobody"), StoreUnavailable, "no MongoDB server can be reached"),
    "a server of something else": (at("web"), StoreUnavailable, "no MongoDB server can be reached"),
    "a server that is older than supported": (open_at("5.0"), BadInput, "older than 6.0, which omega needs"),
    "a server that is older than the driver": (open_at("3.6"), BadInput, "older than 6.0, which omega needs"),
    "a wrong password": (
        lambda s, _: s.url_of("d", password=f"not-{PASSWORD}"), BadInput, "does not accept the user",
    ),
    "a user that nobody knows": (
        lambda s, _: s.url_of("d", user="nobody"), BadInput, "does not accept the user",
    ),
    "a user that may only read": (
        lambda s, _: s.url_of("d", user="reader"), BadInput, "may not read and write in its database",
    ),
    "no user": (lambda s, _: f"{s.url}d", BadInput, "wants a user and a password"),
    "a database that holds something else": (
        lambda s, _: s.url_of("theirs"), BadInput, "what it holds is not omega's",
    ),
}  # fmt: skip
COMMANDS = (("datasets", "list"), ("runtime", "serve"), ("runtime", "worker"))


@pytest.fixture(params=UNUSABLE.values(), ids=UNUSABLE)
def unusable(
    request: pytest.FixtureRequest,
    server: MongoServer,
    ports: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[str, type[Exception], str]:
    # The patience of 5 seconds is for processes below.
    monkeypatch.setitem(database_module._PROMISES, "serverSelectionTimeoutMS", 500)
    make, error, words = request.param
    return make(server, ports), error, words


def is_one_sentence(told: str, words: str) -> None:
    assert words in told and told.count("\n") == 1
    for secret in (PASSWORD, "127.0.0.1", "writer", "theirs", "Traceback", 'File "', "pymongo"):
        assert secret not in told


def run(command: Sequence[str], env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SOON_S
    )


def test_python_raises_one_documented_error(tmp_path, unusable):
    url, error, words = unusable
    with pytest.raises(error) as caught:
        Omega(url, home=tmp_path)
    is_one_sentence(f"{caught.value}\n", words)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_om_ends_with_one_sentence_and_code_1(tmp_path, monkeypatch, capfd, unusable, command):
    url, _, words = unusable
    monkeypatch.setenv("OMEGA_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("OMEGA_STORE", "OMEGA_QUEUE", "OMEGA_BUCKET", "OMEGA_RESTAPI_FILTER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "argv", ["om", *command, "--store", url])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capfd.readouterr()
    assert (ended.value.code, out) == (1, "")
    assert err.startswith("om: ")
    is_one_sentence(err, words)


@pytest.mark.parametrize("command", COMMANDS[:2], ids=" ".join)
def test_a_refused_connection_ends_a_process_soon(tmp_path, command):
    store = f"mongodb://writer:{PASSWORD}@127.0.0.1:{free_port()}/d"
    done = run([OM, *command], environment(tmp_path, OMEGA_STORE=store))
    assert (done.returncode, done.stdout) == (1, "")
    is_one_sentence(done.stderr, "no MongoDB server can be reached")


def test_a_worker_beside_a_server_says_in_one_sentence_why_it_cannot_start(tmp_path):
    """The server was started while the database was there."""
    store = f"mongodb://writer:{PASSWORD}@127.0.0.1:{free_port()}/d"
    worker = [sys.executable, "-m", "omega.entrypoints.worker", "1", "1"]
    done = run(worker, environment(tmp_path, OMEGA_STORE=store))
    assert done.returncode == 1
    is_one_sentence(done.stderr, "cannot start the worker: no MongoDB server can be reached")


def test_the_password_is_not_shown_by_what_starts_well(tmp_path, server):
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen(
            [OM, "runtime", "worker", "--processes", "1", "--grace", "1"],
            env=environment(tmp_path, OMEGA_STORE=server.url_of("good")), stdout=subprocess.PIPE, stderr=log,
            text=True,
        )  # fmt: skip
        try:
            assert worker.stdout is not None
            told = worker.stdout.readline()
        finally:
            worker.terminate()
            worker.communicate(timeout=SOON_S)
    assert told.startswith(f"omega works for mongodb://127.0.0.1:{server.port}/good,")
    assert PASSWORD not in told + (tmp_path / "log").read_text()
