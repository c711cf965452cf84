"""The servers of all tests that do not harm them, one of each kind for every process that runs tests."""

from collections.abc import Iterator

import pytest

from tests.support.mongo_server import ReplicaSet, replica_set
from tests.support.server import Server, running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture(scope="session")
def mongo() -> Iterator[ReplicaSet]:
    """A replica set of one member: fresh databases are all that a test may ask of it."""
    with replica_set(members=1) as members:
        yield members
