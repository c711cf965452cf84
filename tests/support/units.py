"""The systemd units in `deploy/`, started as systemd starts them, but on loopback."""

import re
import shlex
import subprocess
import time
from collections.abc import Mapping
from configparser import RawConfigParser
from pathlib import Path

import requests
from attrs import define, frozen

from tests.support.server import OM, READY_WITHIN_S, Server, environment

SYSTEMD = Path(__file__).parents[2] / "deploy" / "systemd"
#: Where the units expect it.
INSTALLED_OM = "/opt/omega/bin/om"
ENVIRONMENT_FILE = "/etc/omega/omega.env"


def env_file() -> dict[str, str]:
    """The settings in `omega.env` (systemd.exec(5), EnvironmentFile=)."""
    lines = (SYSTEMD / "omega.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@frozen
class Unit:
    """A unit file."""

    name: str

    @property
    def path(self) -> Path:
        return SYSTEMD / f"{self.name}.service"

    @property
    def service(self) -> Mapping[str, str]:
        parser = RawConfigParser(strict=True)
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        parser.read_string(self.path.read_text(encoding="utf-8"))
        return parser["Service"]

    def command(self, env: Mapping[str, str]) -> list[str]:
        """Its command line, filled as systemd.service(5) says: `${NAME}` is one word, or part of one."""
        assert self.service["EnvironmentFile"] == ENVIRONMENT_FILE
        program, *words = shlex.split(self.service["ExecStart"])
        assert program == INSTALLED_OM
        return [OM, *(re.sub(r"\$\{(\w+)\}", lambda found: env[found[1]], word) for word in words)]

    def start(self, home: Path, env: Mapping[str, str]) -> "Running":
        """Start it on a machine whose `/var/lib/omega` is `home`, with the settings in `env`."""
        log = home / f"{self.name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                self.command(env),
                env=environment(home, **env),
                cwd=home,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Running(process, log)


@define
class Running:
    """A unit that was started."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_for(self, words: str) -> None:
        """Wait until it has said these words."""
        deadline = time.monotonic() + READY_WITHIN_S
        while words not in self.log.read_text():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()[-4000:]
            time.sleep(0.05)

    def served(self, port: int) -> Server:
        """The server that it is."""
        return Server(port, self.process, self.log, requests.Session())

    def stop(self) -> int:
        """End it as systemd does with KillMode=mixed; its exit code."""
        return self.served(0).stop()
