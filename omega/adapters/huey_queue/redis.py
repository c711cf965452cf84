"""A queue in a Redis server, of version 6 or later."""

import re
import time
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, urlsplit

from huey.storage import RedisStorage
from redis import ConnectionPool, RedisError
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

from omega.adapters.huey_queue.urls import UnusableQueueURL

#: A server that cannot be reached costs the first of these, one that does not answer the second; that is less
#: than the 5 seconds of the port together.
_CONNECT_TIMEOUT_S: Final = 2.0
_ANSWER_TIMEOUT_S: Final = 2.5
#: The server answers a blocking pop after this at the latest, so that its silence means that it is gone.
_LONGEST_POP_S: Final = 1.0
#: Redis 6 takes less than a millisecond for 0, which means to wait for ever.
_SHORTEST_POP_S: Final = 0.01
#: Of redis-py's, those that take a text and cannot break a promise of the port.
_OPTIONS: Final = frozenset(
    {
        "client_name",
        "db",
        "max_connections",
        "password",
        "ssl_ca_certs",
        "ssl_ca_path",
        "ssl_cert_reqs",
        "ssl_certfile",
        "ssl_check_hostname",
        "ssl_keyfile",
        "ssl_password",
        "username",
    }
)


class RedisQueue(RedisStorage):  # type: ignore[misc]  # huey has no types
    """huey's `RedisStorage`, which waits as long as it is told and never for a server that is gone."""

    # OSError: files of certificates; UnicodeError: a host that cannot be looked up.
    errors: ClassVar[tuple[type[Exception], ...]] = (RedisError, OSError, UnicodeError)

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        super().__init__(name, connection_pool=ConnectionPool(**options))

    @staticmethod
    def settings(url: str) -> dict[str, Any]:
        """What a `redis://`, `rediss://` or `unix://` URL says, with the timeouts of the port.

        Raises: UnusableQueueURL.
        """
        try:
            options = _options(url)
            ConnectionPool(**options).make_connection()
        except (TypeError, ValueError, RedisError):
            # Their words may quote the password, so they are left out of the traceback as well.
            raise UnusableQueueURL(
                "The URL of a queue in Redis is redis://[USER:PASSWORD@]HOST:PORT/DATABASE, rediss:// for "
                f"TLS, or unix:///PATH?db=DATABASE; after ? are allowed {', '.join(sorted(_OPTIONS))}."
            ) from None
        return {"options": options}

    def explain(self, error: Exception) -> str:
        """What kind of error it was: the driver's words hold addresses."""
        return f"the queue in Redis cannot be used ({type(error).__name__})"

    def take(self, timeout_s: float) -> object | None:
        """What has waited longest, or `None` after `timeout_s`."""
        data: object | None
        if timeout_s <= 0:
            data = self.conn.rpop(self.queue_key)
            return data
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            popped = self.conn.brpop(
                self.queue_key, timeout=max(_SHORTEST_POP_S, min(left_s, _LONGEST_POP_S))
            )
            if popped:
                data = popped[1]
                return data
        return None

    def close(self) -> None:
        """Close the connections that are idle."""
        self.pool.disconnect(inuse_connections=False)


def _options(url: str) -> dict[str, Any]:
    said = parse_url(url)  # type: ignore[no-untyped-call]
    parts = urlsplit(url)
    # Of a database that is no number redis-py makes 0.
    path = r"/.+" if parts.scheme == "unix" else r"/?\d*"
    if not set(parse_qs(parts.query)) <= _OPTIONS or not re.fullmatch(path, parts.path):
        raise ValueError("not a queue in Redis")
    return {
        "max_connections": 2**31,
        **said,
        "socket_connect_timeout": _CONNECT_TIMEOUT_S,
        "socket_timeout": _ANSWER_TIMEOUT_S,
        # A command that was sent twice could leave its message twice.
        "retry": Retry(NoBackoff(), 0),
        # With 3, redis-py asks the server for notices, some of which make it wait longer.
        "protocol": 2,
    }
