"""The queue over huey keeps the whole contract on real servers too, and outlives them."""

import socket
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from omega.adapters.huey_queue import postgres as postgres_adapter
from omega.adapters.huey_queue.queue import HueyTaskQueue, open_queue
from omega.ports.queue import QueueUnavailable
from tests.contracts.queue import LONG_S, SharedTaskQueueSuite, take_all, take_one
from tests.support import postgres_server, redis_server
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.server import free_port
from tests.support.server_process import ServerProcess

#: What the port promises, and some time for a slow machine.
WITHIN_S = 5 + 3
Open = Callable[[str], HueyTaskQueue]


@pytest.fixture(scope="module")
def redis_process() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def postgres_process() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@contextmanager
def opener(url_of: Callable[[str], str]) -> Iterator[Open]:
    """Opens queues by their name; only those of the last name stay connected."""
    opened: list[tuple[str, HueyTaskQueue]] = []

    def open_one(name: str) -> HueyTaskQueue:
        for _, queue in opened if opened and opened[-1][0] != name else ():
            queue.close()
        opened.append((name, open_queue(url_of(name))))
        return opened[-1][1]

    yield open_one
    for _, queue in opened:
        queue.close()


class TestRedisQueue(SharedTaskQueueSuite):
    @pytest.fixture
    def url_of(self, redis_process: RedisServer) -> Callable[[str], str]:
        with redis.Redis.from_url(redis_process.url) as client:
            client.flushall()
        databases: dict[str, int] = {}
        return lambda name: f"{redis_process.url}/{databases.setdefault(name, len(databases))}"

    @pytest.fixture
    def open_queue(self, url_of: Callable[[str], str]) -> Iterator[Open]:
        with opener(url_of) as open_one:
            yield open_one

    @pytest.fixture
    def plant(self, url_of: Callable[[str], str]) -> Callable[[str, bytes], None]:
        def plant(name: str, data: bytes) -> None:
            with redis.Redis.from_url(url_of(name)) as client:
                client.lpush("huey.redis.omega", data)

        return plant


class TestPostgresQueue(SharedTaskQueueSuite):
    schemas = count()

    @pytest.fixture
    def url_of(self, postgres_process: PostgresServer) -> Callable[[str], str]:
        urls: dict[str, str] = {}

        def url_of(name: str) -> str:
            if name not in urls:
                schema = f"schema{next(self.schemas)}"
                with closing(psycopg.connect(postgres_process.url, autocommit=True)) as db:
                    db.execute(f"CREATE SCHEMA {schema}".encode())
                urls[name] = f"{postgres_process.url}?options=-csearch_path%3D{schema}"
            return urls[name]

        return url_of

    @pytest.fixture
    def open_queue(self, url_of: Callable[[str], str]) -> Iterator[Open]:
        with opener(url_of) as open_one:
            yield open_one

    @pytest.fixture
    def plant(self, url_of: Callable[[str], str], open_queue: Open) -> Callable[[str, bytes], None]:
        def plant(name: str, data: bytes) -> None:
            open_queue(name).size()
            with closing(psycopg.connect(url_of(name), autocommit=True)) as db:
                db.execute("INSERT INTO omega_task (queue, data) VALUES ('omega', %s)", (data,))

        return plant


@pytest.fixture(params=["redis", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """One after the other, with an empty queue."""
    server: ServerProcess = request.getfixturevalue(f"{request.param}_process")
    with closing(open_queue(server.url)) as queue:
        while queue.consume(timeout_s=0) is not None:
            pass
    yield server
    server.start()


@pytest.fixture
def queue(server: ServerProcess) -> Iterator[HueyTaskQueue]:
    with closing(open_queue(server.url)) as queue:
        yield queue


def assert_unavailable(queue: HueyTaskQueue) -> None:
    """Each call says so, in time, and shows neither password nor address."""

    def check(call: Callable[[], object]) -> float:
        started = time.monotonic()
        with pytest.raises(QueueUnavailable) as error:
            call()
        assert not any(part in str(error.value) for part in ("s3cret", "127.0.0.1", "/"))
        assert "s3cret" not in "".join(traceback.format_exception(error.value))
        return time.monotonic() - started

    calls = [
        lambda: queue.submit({"n": 1}),
        queue.size,
        lambda: queue.consume(timeout_s=0),
        lambda: queue.consume(timeout_s=0.5),
    ]
    with ThreadPoolExecutor(len(calls)) as pool:
        assert max(pool.map(check, calls)) < WITHIN_S


def test_a_server_that_was_killed_and_came_back_is_used_again(
    server: ServerProcess, queue: HueyTaskQueue
) -> None:
    for _ in range(2):
        queue.submit({"n": 1})
        assert queue.consume(timeout_s=0.1) == {"n": 1}
        server.kill()
        assert_unavailable(queue)
        server.start()
        take_all(queue)
        queue.submit({"n": 2})
        assert take_one(queue) == 2


def test_a_server_that_came_back_unnoticed_costs_no_call(server: ServerProcess, queue: HueyTaskQueue) -> None:
    with ThreadPoolExecutor(4) as pool:
        # Several connections are idle then, all of which the restart ends.
        assert list(pool.map(lambda _: queue.consume(timeout_s=0.2), range(4))) == [None] * 4
        for end in (server.kill, server.stop):
            end()
            server.start()
            list(pool.map(lambda n: queue.submit({"n": n}), range(4)))
            assert sorted(take_all(queue)) == [0, 1, 2, 3]


def test_who_waits_when_the_server_is_killed_is_told(server: ServerProcess, queue: HueyTaskQueue) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.consume, timeout_s=LONG_S)
        assert queue.consume(timeout_s=0.3) is None
        server.kill()
        with pytest.raises(QueueUnavailable):
            waiting.result(WITHIN_S)


def test_a_wait_may_be_longer_than_the_patience_for_an_answer(queue: HueyTaskQueue) -> None:
    assert queue.consume(timeout_s=3) is None


def test_a_server_that_freezes_is_told_in_time_and_used_again(
    server: ServerProcess, queue: HueyTaskQueue
) -> None:
    queue.submit({"n": 1})
    with ThreadPoolExecutor(1) as pool:
        assert queue.consume(timeout_s=0) == {"n": 1}
        waiting = pool.submit(queue.consume, timeout_s=LONG_S)
        assert queue.consume(timeout_s=0.3) is None
        server.freeze()
        try:
            assert_unavailable(queue)
            with pytest.raises(QueueUnavailable):
                waiting.result(WITHIN_S)
        finally:
            server.thaw()
    # What was called while the server was frozen may be done now.
    while queue.consume(timeout_s=0.3) is not None:
        pass
    queue.submit({"n": 2})
    assert take_one(queue) == 2


@pytest.mark.parametrize("scheme", ["redis", "rediss", "postgresql"])
def test_a_host_that_accepts_and_never_answers_is_told_in_time(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{scheme}://u:s3cret@127.0.0.1:{silent.getsockname()[1]}/0"
        with closing(open_queue(url)) as queue:
            assert_unavailable(queue)


@pytest.mark.parametrize("scheme", ["redis", "rediss", "postgresql"])
def test_a_host_that_does_not_even_accept_is_told_in_time(scheme: str) -> None:
    # A connection more than the backlog holds is neither accepted nor refused.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        url = f"{scheme}://u:s3cret@127.0.0.1:{full.getsockname()[1]}/0"
        with closing(open_queue(url)) as queue:
            assert_unavailable(queue)
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize("scheme", ["redis", "rediss", "postgresql"])
@pytest.mark.parametrize("host", ["127.0.0.1", "no-such.invalid", "h" * 64, "a..b"])
def test_where_nobody_listens_it_is_told(scheme: str, host: str) -> None:
    with closing(open_queue(f"{scheme}://u:s3cret@{host}:{free_port()}/0")) as queue:
        assert_unavailable(queue)


def test_a_wrong_password_is_told_and_not_shown(
    redis_process: RedisServer, postgres_process: PostgresServer
) -> None:
    for process, module in ((redis_process, redis_server), (postgres_process, postgres_server)):
        with closing(open_queue(process.url.replace(module.PASSWORD, "s3cret-wrong"))) as queue:
            assert_unavailable(queue)


def test_a_server_of_something_else_is_told(
    redis_process: RedisServer, postgres_process: PostgresServer
) -> None:
    with closing(open_queue(f"redis://127.0.0.1:{postgres_process.port}")) as queue:
        assert_unavailable(queue)
    with closing(open_queue(f"postgresql://127.0.0.1:{redis_process.port}/d")) as queue:
        assert_unavailable(queue)
    with closing(open_queue(f"rediss://127.0.0.1:{redis_process.port}")) as queue:
        assert_unavailable(queue)


def test_redis_is_reached_by_its_socket_too(redis_process: RedisServer) -> None:
    url = f"unix://{redis_process.socket}?db=1&password={redis_server.PASSWORD}"
    with closing(open_queue(url)) as queue, closing(open_queue(redis_process.url + "/1")) as other:
        queue.submit({"n": 1})
        assert take_one(other) == 1
        assert queue.consume(timeout_s=0.1) is None


def test_a_key_of_another_type_in_redis_is_told(redis_process: RedisServer) -> None:
    with redis.Redis.from_url(redis_process.url + "/2") as client:
        client.set("huey.redis.omega", "text")
    with closing(open_queue(redis_process.url + "/2")) as queue:
        assert_unavailable(queue)


def test_a_table_in_postgres_that_has_gone_is_made_again(
    postgres_process: PostgresServer, postgres: Any
) -> None:
    with closing(open_queue(postgres_process.url)) as queue:
        queue.size()
        postgres.execute("DROP TABLE omega_task")
        with pytest.raises(QueueUnavailable, match="UndefinedTable"):
            queue.submit({"n": 1})
        queue.submit({"n": 2})
        assert take_all(queue) == [2]


def test_a_locked_table_in_postgres_is_told_in_time(postgres_process: PostgresServer, postgres: Any) -> None:
    with closing(open_queue(postgres_process.url)) as queue:
        queue.size()
        with postgres.transaction():
            postgres.execute("LOCK TABLE omega_task IN ACCESS EXCLUSIVE MODE")
            assert_unavailable(queue)
            # Nothing goes on that could take a message later, for nobody.
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            assert postgres.execute(waiting).fetchone() == (0,)
        queue.submit({"n": 2})
        assert take_one(queue) == 2


def test_a_waiting_consumer_leaves_no_connection_listening(
    postgres_process: PostgresServer, postgres: Any
) -> None:
    with closing(open_queue(postgres_process.url)) as queue:
        assert queue.consume(timeout_s=0.1) is None
        queue.submit({"n": 1})
        assert take_one(queue) == 1
        assert len(queue._task().huey.storage._idle) <= 2
        for connection in queue._task().huey.storage._idle:
            assert connection.execute("SELECT pg_listening_channels()").fetchall() == []


def test_a_consumer_of_postgres_is_woken_and_does_not_look_by_itself(
    postgres_process: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_adapter, "_LONGEST_WAIT_S", LONG_S)
    with closing(open_queue(postgres_process.url)) as queue, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.consume, timeout_s=LONG_S)
        assert queue.consume(timeout_s=0.3) is None
        queue.submit({"n": 1})
        assert waiting.result() == {"n": 1}


def test_what_comes_before_a_consumer_of_postgres_listens_is_taken(
    postgres_process: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = postgres_adapter._Connection.execute
    with (
        closing(open_queue(postgres_process.url)) as queue,
        closing(open_queue(postgres_process.url)) as other,
    ):

        def submit_before(self: Any, query: Any, *args: Any) -> Any:
            if str(query).startswith("listen"):
                other.submit({"n": 1})
            return execute(self, query, *args)

        monkeypatch.setattr(postgres_adapter._Connection, "execute", submit_before)
        monkeypatch.setattr(postgres_adapter, "_LONGEST_WAIT_S", LONG_S)
        assert take_one(queue) == 1


def test_who_finds_another_making_the_table_in_postgres_waits_for_it(
    postgres_process: PostgresServer, postgres: Any
) -> None:
    postgres.execute("CREATE SCHEMA made_at_once")
    url = f"{postgres_process.url}?options=-csearch_path%3Dmade_at_once"
    with (
        closing(open_queue(url)) as queue,
        ThreadPoolExecutor(1) as pool,
        closing(psycopg.connect(url, autocommit=True)) as maker,
    ):
        with maker.transaction():
            maker.execute("SELECT pg_advisory_xact_lock(%s)", (postgres_adapter._LOCK_OF_TABLES,))
            for sql in queue._task().huey.storage.ddl:
                maker.execute(sql)
            size = pool.submit(queue.size)
            while postgres.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
                assert not size.done()
        assert size.result() == 0


def test_a_message_of_postgres_is_not_lost_with_the_connection_that_waited(
    postgres_process: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = postgres_adapter._Connection.execute

    def fail_to_unlisten(self: Any, query: Any, *args: Any) -> Any:
        if query == "unlisten *":
            raise psycopg.OperationalError("gone")
        return execute(self, query, *args)

    monkeypatch.setattr(postgres_adapter._Connection, "execute", fail_to_unlisten)
    with closing(open_queue(postgres_process.url)) as queue, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.consume, timeout_s=LONG_S)
        assert queue.consume(timeout_s=0.3) is None
        queue.submit({"n": 1})
        assert waiting.result() == {"n": 1}


@pytest.fixture
def postgres(postgres_process: PostgresServer) -> Iterator[Any]:
    with closing(psycopg.connect(postgres_process.url, autocommit=True)) as db:
        yield db


@pytest.mark.parametrize("kind", ["redis", "postgres", "sqlite"])
def test_stores_that_share_a_server_have_queues_of_their_own(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    url = (
        f"sqlite://{tmp_path}/queue.sqlite"
        if kind == "sqlite"
        else request.getfixturevalue(f"{kind}_process").url
    )
    with (
        closing(open_queue(url, name="omega_one")) as one,
        closing(open_queue(url, name="omega_two")) as two,
    ):
        one.submit({"n": 1})
        assert two.consume(timeout_s=0) is None and two.size() == 0
        assert one.consume(timeout_s=0) == {"n": 1}
