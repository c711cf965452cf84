"""MongoDB servers for tests: one that wants a password, and replica sets, which can lose their primary."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Self

from pymongo import MongoClient
from pymongo.errors import AutoReconnect, PyMongoError

from tests.support.breakable_line import BreakableLine
from tests.support.server import READY_WITHIN_S
from tests.support.server_process import ServerProcess

MONGOD = Path(__file__).parents[2] / ".mongo" / "fiftyone" / "db" / "bin" / "mongod"
PASSWORD = "s3cret-of-mongo"


class _Mongod(ServerProcess):
    #: Its data is thrown away, so it need not take leave of its peers.
    stop_signal: ClassVar[signal.Signals] = signal.SIGKILL
    options: ClassVar[tuple[str, ...]] = ()

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/"

    def command(self) -> list[str]:
        assert MONGOD.exists(), "mongod is missing: `make integration` installs it"
        options = {
            "dbpath": str(self.directory),
            "port": str(self.port),
            "bind_ip": "127.0.0.1",
            "wiredTigerCacheSizeGB": "0.5",
            "networkMessageCompressors": "disabled",
        }
        return [
            str(MONGOD),
            "--nounixsocket",
            *(part for name, value in options.items() for part in (f"--{name}", value)),
            *self.options,
        ]

    def answers(self) -> bool:
        try:
            with self.client(serverSelectionTimeoutMS=100) as client:
                return bool(client.admin.command("ping"))
        except PyMongoError:
            return False

    def client(self, **options: Any) -> "MongoClient[dict[str, Any]]":
        """A client of this server alone, whatever set it is in."""
        return MongoClient("127.0.0.1", self.port, directConnection=True, **options)


class MongoServer(_Mongod):
    """A server without a replica set, which knows three users in its database `admin`."""

    options: ClassVar[tuple[str, ...]] = ("--auth",)

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            with self.client() as client:
                # Without users a server lets those who come from loopback make the first one.
                self._make_user(client, "root", "root")
            with self.as_root() as client:
                self._make_user(client, "writer", "readWriteAnyDatabase")
                self._make_user(client, "reader", "readAnyDatabase")
        except BaseException:
            self.__exit__()
            raise
        return self

    def as_root(self) -> "MongoClient[dict[str, Any]]":
        return self.client(username="root", password=PASSWORD)

    def url_of(self, database: str, *, user: str = "writer", password: str = PASSWORD) -> str:
        return f"mongodb://{user}:{password}@127.0.0.1:{self.port}/{database}?authSource=admin"

    def _make_user(self, client: "MongoClient[dict[str, Any]]", name: str, role: str) -> None:
        client.admin.command("createUser", name, pwd=PASSWORD, roles=[role])


class _Member(_Mongod):
    options: ClassVar[tuple[str, ...]] = ("--replSet", "rs0", "--oplogSize", "64")

    def __init__(self) -> None:
        super().__init__()
        #: What others reach it through, if anything is between.
        self.line: BreakableLine | None = None

    @property
    def address(self) -> str:
        """As all others know it."""
        return f"127.0.0.1:{self.line.port if self.line else self.port}"


class ReplicaSet:
    """Servers of which most elect a new primary within seconds."""

    def __init__(self, members: list[_Member]) -> None:
        self.members = members

    def url_of(self, database: str) -> str:
        hosts = ",".join(member.address for member in self.members)
        return f"mongodb://{hosts}/{database}?replicaSet=rs0"

    def initiate(self) -> None:
        hosts = [{"_id": n, "host": member.address} for n, member in enumerate(self.members)]
        settings = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 300}
        with self.members[0].client() as client:
            client.admin.command("replSetInitiate", {"_id": "rs0", "members": hosts, "settings": settings})

    def primary(self, *, but: _Member | None = None) -> _Member:
        """The member that takes writes, once there is one, `but` the one that cannot be asked."""
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            for member in self.members:
                if member.runs and member is not but and self._hello(member).get("isWritablePrimary"):
                    return member
            time.sleep(0.05)
        raise AssertionError("the replica set has no primary")

    def step_down(self) -> None:
        """Make the primary give up, and leave it to the others to elect one."""
        with self.primary().client() as client, suppress(AutoReconnect):
            client.admin.command("replSetStepDown", 5, force=True)

    def wait_until_whole(self) -> None:
        """Until all members follow a primary."""
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            states = [self._hello(member) for member in self.members]
            primaries = sum(bool(state.get("isWritablePrimary")) for state in states)
            if primaries == 1 and all(
                state.get("isWritablePrimary") or state.get("secondary") for state in states
            ):
                return
            time.sleep(0.05)
        raise AssertionError("the replica set does not come together")

    def _hello(self, member: _Member) -> dict[str, Any]:
        try:
            with member.client(
                serverSelectionTimeoutMS=500, connectTimeoutMS=500, socketTimeoutMS=500
            ) as client:
                return dict(client.admin.command("hello"))
        except PyMongoError:
            return {}


@contextmanager
def replica_set(members: int = 3, *, breakable: bool = False) -> Iterator[ReplicaSet]:
    """A replica set of so many members for the time of the block; `breakable`, one whose members can be cut
    off from omega.
    """
    with ExitStack() as stack:
        found = ReplicaSet([stack.enter_context(_Member()) for _ in range(members)])
        for member in found.members if breakable else ():
            member.line = stack.enter_context(BreakableLine(member.port, client=b"omega\0"))
        found.initiate()
        found.wait_until_whole()
        yield found
