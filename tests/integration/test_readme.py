"""The README, run from top to bottom: its commands against a server started by `make serve`, its Python as
doctests.
"""

import doctest
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

import omega
from tests.support.server import environment, free_port

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CHECK = doctest.OutputChecker()
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, store_of: Callable[[Path], str]
) -> Iterator[tuple[Path, dict[str, str], int]]:
    """A home in which `make serve` is running, as the first block of the README says."""
    home, port = tmp_path_factory.mktemp("readme"), free_port()
    (home / "examples").symlink_to(ROOT / "examples")
    env = environment(home, OMEGA_STORE=store_of(home))
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    with (home / "serve.log").open("wb") as log:
        make = subprocess.Popen(
            ["make", "serve", f"PORT={port}"],
            cwd=ROOT,
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                requests.get(f"http://127.0.0.1:{port}/api/v1/ping", timeout=5)
                break
            except requests.ConnectionError:
                assert make.poll() is None and time.monotonic() < deadline, (home / "serve.log").read_text()
                time.sleep(0.05)
        yield home, env, port
    finally:
        os.killpg(make.pid, signal.SIGTERM)
        make.wait(30)


def test_every_block_does_what_it_prints(world, monkeypatch):
    home, env, port = world
    for name in [name for name in os.environ if name.startswith("OMEGA_")]:
        monkeypatch.delenv(name)
    for name in ("OMEGA_HOME", "OMEGA_STORE"):
        monkeypatch.setenv(name, env[name])
    # `om` is a module's face, made at first use: that of the store before is another's.
    vars(omega).pop("_default", None)
    monkeypatch.chdir(home)
    monkeypatch.setenv("COLUMNS", "80")
    names: dict[str, object] = {}
    blocks = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert {language for language, _ in blocks} <= {"sh", "console", "python", "text"}
    assert next(block for language, block in blocks if language == "sh").split()[:2] == ["make", "serve"]
    for language, block in blocks:
        if language == "console":
            run_console(block, env, home, port)
        elif language == "python":
            run_python(block, names)


def run_console(block: str, env: dict[str, str], home: Path, port: int) -> None:
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n?)*)", block, re.MULTILINE):
        done = subprocess.run(
            ["bash", "-c", command.replace("127.0.0.1:8000", f"127.0.0.1:{port}")],
            env=env,
            cwd=home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert CHECK.check_output(expected.strip() + "\n", done.stdout.strip() + "\n", FLAGS), (
            f"$ {command}\nexpected:\n{expected}\ngot:\n{done.stdout}{done.stderr}"
        )


def run_python(block: str, names: dict[str, object]) -> None:
    test = doctest.DocTestParser().get_doctest(block, names, "README.md", "README.md", 0)
    failures: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    runner.run(test, out=failures.append, clear_globs=False)
    assert not failures, "".join(failures)
    names.update(test.globs)
