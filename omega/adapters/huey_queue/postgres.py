"""A queue in a PostgreSQL server."""

import select
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar, Final, TypeVar

import psycopg
from huey.storage import PostgresStorage
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict

from omega.adapters.huey_queue.urls import UnusableQueueURL

#: A server that cannot be reached costs the first of these, one that does not answer the second; that is less
#: than the 5 seconds of the port together.
_CONNECT_TIMEOUT_S: Final = 2
_ANSWER_TIMEOUT_S: Final = 2.5
_STATEMENT_TIMEOUT_S: Final = 2
#: A message whose consumer gave it back, by ending, wakes nobody: it is looked for after this at the latest.
_LONGEST_WAIT_S: Final = 1.0
_LOCK_OF_TABLES: Final = 0x6F6D7175

_T = TypeVar("_T")
_Cursor = psycopg.Cursor[tuple[Any, ...]]


class PostgresQueue(PostgresStorage):  # type: ignore[misc]  # huey has no types
    """huey's `PostgresStorage` with connections that are shared among threads, made when they are needed and
    closed after every error.
    """

    # UnicodeError: a host that cannot be looked up.
    errors: ClassVar[tuple[type[Exception], ...]] = (psycopg.Error, UnicodeError)

    def __init__(self, name: str, url: str) -> None:
        connect = partial(_Connection.connect, url, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S)
        super().__init__(name, connection=connect, blocking=False, table_prefix="omega", create_tables=False)
        self._idle: deque[_Connection] = deque()

    @staticmethod
    def settings(url: str) -> dict[str, Any]:
        """The URL, as libpq understands it.

        Raises: UnusableQueueURL.
        """
        try:
            ports = str(conninfo_to_dict(url).get("port", "")).split(",")
            if not all(1 <= int(port) <= 65535 for port in ports if port):
                raise ValueError("no such port")
        except (ValueError, psycopg.Error):
            # Its words may quote the password, so they are left out of the traceback as well.
            raise UnusableQueueURL(
                "The URL of a queue in PostgreSQL is postgresql://[USER:PASSWORD@]HOST:PORT/DATABASE; "
                "what follows a ? must be an option of libpq."
            ) from None
        return {"url": url}

    def explain(self, error: Exception) -> str:
        """What kind of error it was: the driver's words hold addresses."""
        return f"the queue in PostgreSQL cannot be used ({type(error).__name__})"

    def take(self, timeout_s: float) -> object | None:
        """What has waited longest, or `None` after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        data: object | None = self.dequeue()
        if data is not None or timeout_s <= 0:
            return data
        with self._connection() as connection:
            connection.execute(f'listen "{self.channel}"')
            while (data := self.dequeue()) is None and (left_s := deadline - time.monotonic()) > 0:
                list(connection.notifies(timeout=min(left_s, _LONGEST_WAIT_S), stop_after=1))
            try:
                connection.execute("unlisten *")
            except psycopg.Error:
                # What was taken must not be lost for it.
                connection.close()
        return data

    @contextmanager
    def db(self, commit: bool = False, close: bool = False) -> Iterator[_Cursor]:
        """A cursor that no other thread uses meanwhile, in a transaction of its own for `commit`."""
        with self._connection() as connection, connection.cursor() as cursor:
            if commit:
                cursor.execute("begin")
            yield cursor
            if commit:
                connection.commit()

    def close(self) -> None:
        """Close the connections that are idle."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _connection(self) -> Iterator["_Connection"]:
        connection = self._from_idle() or self._connect_to_tables()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if not connection.closed:
            self._idle.append(connection)

    def _from_idle(self) -> "_Connection | None":
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if not connection.has_ended():
                return connection
            connection.close()

    def _connect_to_tables(self) -> "_Connection":
        connection: _Connection = self.connection()
        try:
            # The server gives up before us, so that no statement goes on that nobody waits for.
            found = connection.execute(
                "select set_config('statement_timeout', %s, false), to_regclass(%s)",
                (f"{_STATEMENT_TIMEOUT_S}s", self.table_task),
            ).fetchone()
            if found is None or found[1] is None:
                with connection.transaction():
                    # Of two who create one table at once one fails, "if not exists" or not.
                    connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK_OF_TABLES,))
                    for sql in self.ddl:
                        if self.table_task in sql:
                            connection.execute(sql)
        except BaseException:
            connection.close()
            raise
        return connection


class _Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that waits `_ANSWER_TIMEOUT_S` for an answer, where psycopg's waits without end."""

    def wait(self, gen: PQGen[_T], *args: Any, **kwargs: Any) -> _T:
        """psycopg's, for a limited time."""
        return super().wait(_limited(gen), *args, **kwargs)

    def has_ended(self) -> bool:
        """Whether the server has closed it; there is nothing else that it says unasked."""
        if self.closed:
            return True
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return bool(poll.poll(0))


def _limited(steps: PQGen[_T]) -> PQGen[_T]:
    """The same steps, until there has been no answer for too long.

    psycopg sends one of its generators what its socket is ready for, and about ten times a second that it is
    ready for nothing.
    """
    deadline = time.monotonic() + _ANSWER_TIMEOUT_S
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                raise psycopg.OperationalError("the server does not answer")
            wanted = steps.send(ready)
    except StopIteration as done:
        result: _T = done.value
        return result
