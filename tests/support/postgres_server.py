"""A PostgreSQL server for tests: nothing is synced to the disk, and whoever comes needs a password.

It refuses to run as root, so there it runs as the user that Debian's package makes.
"""

import os
import shutil
import signal
import subprocess
from typing import Any, ClassVar

import psycopg

from tests.support.server_process import ServerProcess, program

PASSWORD = "s3cret-of-postgres"


class PostgresServer(ServerProcess):
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    @property
    def url(self) -> str:
        return f"postgresql://omega:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def prepare(self) -> None:
        password = self.directory / "password"
        password.write_text(PASSWORD)
        if identity := self.identity():
            for path in (self.directory, password):
                shutil.chown(path, identity["user"], identity["group"])
        subprocess.run(
            [
                *(_program("initdb"), "--pgdata", "data", "--username", "omega", "--pwfile", "password"),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ],
            cwd=self.directory,
            check=True,
            stdout=subprocess.DEVNULL,
            **identity,
        )

    def command(self) -> list[str]:
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "shared_buffers": "16MB",
            "fsync": "off",
            "autovacuum": "off",
        }
        return [
            *(_program("postgres"), "-D", "data"),
            *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
        ]

    def identity(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        return {"user": "postgres", "group": "postgres", "extra_groups": []}

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url).close()
        except psycopg.OperationalError:
            return False
        return True


def _program(name: str) -> str:
    return program(name, package="postgresql", places=f"usr/lib/postgresql/*/bin/{name}")
