"""What is shown of the benchmarks is what they found."""

import json
from pathlib import Path

import pytest

from bench import report
from bench.__main__ import BENCHES
from bench.measuring import AT_LEAST, AT_MOST, Finding, Series

ROOT = Path(__file__).parents[2]
KEPT = json.loads((ROOT / "bench/results.json").read_text())


def test_the_page_and_the_table_are_of_the_last_run() -> None:
    assert (ROOT / "bench/RESULTS.md").read_text() == report.page(KEPT)
    assert report.table(KEPT) in (ROOT / "README.md").read_text()


def test_every_benchmark_has_results() -> None:
    assert set(KEPT) == set(BENCHES)


def test_what_is_missed_has_a_reason() -> None:
    missed = {
        name
        for name, part in KEPT.items()
        if not all(Finding.from_json(stored).is_met for stored in part["findings"])
    }
    assert all((ROOT / f"bench/reasons/{name}.md").exists() for name in missed)


@pytest.mark.parametrize(
    ("ours", "reference", "bound", "target", "met"),
    [
        (3.0, 2.0, AT_MOST, 1.5, True),
        (3.1, 2.0, AT_MOST, 1.5, False),
        (3.0, None, AT_MOST, 3.0, True),
        (8.0, 2.0, AT_LEAST, 4.0, True),
        (7.9, 2.0, AT_LEAST, 4.0, False),
    ],
)
def test_what_is_met(ours: float, reference: float | None, bound: str, target: float, met: bool) -> None:
    beside = None if reference is None else Series([reference])
    found = Finding("1", "it", Series([ours]), bound, target, beside, guard=2 * target)  # type: ignore[arg-type]
    assert found.is_met == met
    assert Finding.from_json(json.loads(json.dumps(found.as_json()))).figure == found.figure
