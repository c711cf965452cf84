"""The servers of all tests that do not harm them, one of each kind for every process that runs tests."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.mongo_server import ReplicaSet, replica_set
from tests.support.server import Server, running
from tests.support.store_kinds import STORES


@pytest.fixture(scope="session")
def mongo() -> Iterator[ReplicaSet]:
    """A replica set of one member: fresh databases are all that a test may ask of it."""
    with replica_set(members=1) as members:
        yield members


@pytest.fixture(scope="module", params=STORES)
def store_of(request: pytest.FixtureRequest) -> Callable[[Path], str]:
    """The URL of the store of a home, empty at first. Who asks for it is run once for each kind of store."""
    if request.param == "embedded":
        return lambda home: (home / "store").as_uri()
    mongo: ReplicaSet = request.getfixturevalue("mongo")
    return lambda home: mongo.url_of(f"home_{sha256(str(home).encode()).hexdigest()[:20]}")


@pytest.fixture(scope="session")
def embedded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture(scope="session")
def mongodb_server(tmp_path_factory: pytest.TempPathFactory, mongo: ReplicaSet) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("home"), env={"OMEGA_STORE": mongo.url_of("served")}) as server:
        yield server


@pytest.fixture(scope="module", params=STORES)
def server(request: pytest.FixtureRequest) -> Server:
    """A server on either kind of store."""
    server: Server = request.getfixturevalue(f"{request.param}_server")
    return server
