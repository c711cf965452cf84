"""A Redis server for tests: nothing is written to the disk, and whoever comes needs a password."""

from pathlib import Path

import redis

from tests.support.server_process import ServerProcess, program

PASSWORD = "s3cret-of-redis"


class RedisServer(ServerProcess):
    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}"

    @property
    def socket(self) -> Path:
        return self.directory / "redis.sock"

    def command(self) -> list[str]:
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "save": "",
            "appendonly": "no",
            "databases": "1000",
            "requirepass": PASSWORD,
        }
        return [
            program("redis-server", package="redis-server"),
            *(part for name, value in options.items() for part in (f"--{name}", value)),
        ]

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False
