"""The arrows of the house: who may import whom, and that the contracts notice who does otherwise."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = "entrypoints -> {domain | adapters} -> ports"
PURE = "domain and ports reach the world only through ports"
INDEPENDENT = "adapters do not know each other"
PROTECTED = "only the composition root names adapters"
ACYCLIC = "no cycles among siblings"

#: Contract, module to which a line is added, that line, and what must then be reported of the module.
PLANTS = [
    (
        LAYERS,
        "domain/names.py",
        "import omega.adapters.memory.records",
        "MODULE -> omega.adapters.memory.records",
    ),
    (LAYERS, "domain/errors.py", "import omega.entrypoints.limits", "MODULE -> omega.entrypoints.limits"),
    (LAYERS, "domain/metadata.py", "from omega import Omega", "MODULE -> omega"),
    (LAYERS, "adapters/memory/blobs.py", "import omega.domain.names", "MODULE -> omega.domain.names"),
    (LAYERS, "ports/clock.py", "import omega.domain.errors", "MODULE -> omega.domain.errors"),
    (LAYERS, "helpers.py", "", "MODULE"),
    (PURE, "domain/names.py", "import os.path", "MODULE -> os"),
    (PURE, "domain/names.py", "from sklearn.base import BaseEstimator", "MODULE -> sklearn"),
    (PURE, "ports/ids.py", "def f():\n    from uuid import uuid4", "MODULE -> uuid"),
    (
        INDEPENDENT,
        "adapters/memory/blobs.py",
        "import omega.adapters.embedded.blobs",
        "MODULE -> omega.adapters.embedded",
    ),
    (
        PROTECTED,
        "entrypoints/limits.py",
        "import omega.adapters.memory.blobs",
        "MODULE -> omega.adapters.memory.blobs",
    ),
    (ACYCLIC, "domain/errors.py", "import omega.domain.names", "No cycles are allowed in omega.domain"),
]


def lint(directory: Path) -> str:
    """What import-linter reports of the package in `directory`."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    environment = {**os.environ, "PYTHONPATH": str(directory), "COLUMNS": "200", "NO_COLOR": "1"}
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == (0 if re.search(r"Contracts: \d+ kept, 0 broken", done.stdout) else 1), (
        done.stderr
    )
    return done.stdout


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is reported for each contract when all of `PLANTS` are there."""
    directory = tmp_path_factory.mktemp("broken")
    shutil.copytree(ROOT / "omega", directory / "omega", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", directory)
    for _, module, line, _ in PLANTS:
        with (directory / "omega" / module).open("a") as file:
            file.write(f"\n{line}\n")
    _, *sections = re.split(r"\n([^\n]+)\n-{10,}\n", lint(directory).partition("Broken contracts")[2])
    return dict(zip(sections[::2], sections[1::2], strict=True))


def test_all_contracts_are_kept() -> None:
    report = lint(ROOT)
    for contract in (LAYERS, PURE, INDEPENDENT, PROTECTED, ACYCLIC):
        assert f"{contract} KEPT" in report, report
    assert "0 broken" in report, report


@pytest.mark.parametrize(
    ("contract", "module", "line", "reported"), PLANTS, ids=[p[2] or p[1] for p in PLANTS]
)
def test_who_breaks_a_contract_is_noticed(
    broken: dict[str, str], contract: str, module: str, line: str, reported: str
) -> None:
    expected = reported.replace("MODULE", "omega." + module.removesuffix(".py").replace("/", "."))
    assert re.search(rf"\W{re.escape(expected)}\b", broken[contract]), (
        f"{line!r} in {module}: {broken[contract]}"
    )


def test_all_adapters_are_among_those_that_must_not_know_each_other() -> None:
    adapters = {path.parent.name for path in (ROOT / "omega" / "adapters").glob("*/__init__.py")}
    named = set(re.findall(r'"omega\.adapters\.(\w+)"', (ROOT / "pyproject.toml").read_text()))
    assert adapters == named
