"""The results of the benchmarks, as a file to read and one to go on from."""

import json
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil

from bench.measuring import Finding

_HERE: Final = Path(__file__).parent
_README: Final = _HERE.parent / "README.md"
_BEGIN: Final = "<!-- made by make bench -->"
_END: Final = "<!-- end -->"
_KEPT: Final = _HERE / "results.json"
_SHOWN: Final = _HERE / "RESULTS.md"
#: What the figures depend on most.
_PACKAGES: Final = (
    "granian",
    "bottle",
    "orjson",
    "pyarrow",
    "pandas",
    "numpy",
    "scikit-learn",
    "huey",
    "pymongo",
)


def keep(name: str, findings: Iterable[Finding]) -> None:
    """Put the findings of a benchmark in the place of its last ones."""
    kept: dict[str, Any] = json.loads(_KEPT.read_text()) if _KEPT.exists() else {}
    kept[name] = {**_circumstances(), "findings": [finding.as_json() for finding in findings]}
    _KEPT.write_text(json.dumps(kept, indent=1) + "\n")
    _SHOWN.write_text(page(kept))
    before, _, rest = _README.read_text().partition(_BEGIN)
    _README.write_text(f"{before}{_BEGIN}\n{table(kept)}{_END}{rest.partition(_END)[2]}")


def table(kept: Mapping[str, Any]) -> str:
    """The short table for the README."""
    lines = ["| | seen | promised | |", "|---|---|---|---|"]
    for part in kept.values():
        for found in map(Finding.from_json, part["findings"]):
            against = f" ({found.against})" if found.against else ""
            lines.append(
                f"| {found.what}{against} | {_figure(found)} | {found.bound} {found.target:g} "
                f"| {'met' if found.is_met else 'missed'} |"
            )
    return "\n".join(lines) + "\n"


def _circumstances() -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, "
        f"{platform.system()} {platform.release()}",
        "load": round(psutil.getloadavg()[0], 1),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
    }


def page(kept: Mapping[str, Any]) -> str:
    """The page of results, with ranges, circumstances and, of what is missed, reasons."""
    lines = [
        "# Results of the benchmarks",
        "",
        "Made by `make bench` (`python -m bench`). Medians, with the lowest and highest in brackets; what is",
        "measured and its reference are run in turn. A figure with `x` is ours divided by the reference.",
    ]
    for name, part in kept.items():
        lines += [
            "",
            f"## {name}",
            "",
            f"`python -m bench {name}`, {part['at']}, {part['machine']}, load {part['load']} at its end; "
            + ", ".join(f"{package} {number}" for package, number in part["versions"].items()),
            "",
            "| | what | figure | promised | | omega | reference |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [_row(Finding.from_json(stored)) for stored in part["findings"]]
        if (reasons := _HERE / "reasons" / f"{name}.md").exists():
            lines += ["", reasons.read_text().strip()]
    return "\n".join(lines) + "\n"


def _row(found: Finding) -> str:
    reference = "" if found.reference is None else f"{found.reference} {found.against}"
    return (
        f"| {found.point} | {found.what} | **{_figure(found)}** | {found.bound} {found.target:g} "
        f"| {'met' if found.is_met else 'missed'} | {found.ours} | {reference} |"
    )


def _figure(found: Finding) -> str:
    figure = f"{found.figure:,.0f}" if found.figure >= 1000 else f"{found.figure:.3g}"
    return f"{figure} {found.unit}"
