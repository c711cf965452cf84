"""The notebooks in `examples`, run as a job runs them: on the store of a home of their own."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import omega as om
from omega.adapters.nbconvert_notebooks.notebooks import NbconvertNotebookConverter
from omega.adapters.papermill_notebooks.notebooks import PapermillNotebookRunner
from omega.ports.notebooks import InvalidParameters, Run
from tests.support.notebooks import printed, run
from tests.support.server import environment
from tests.support.store_kinds import ON_ONE_STORE

EXAMPLES = Path(__file__).parents[2] / "examples"
StoreOf = Callable[[Path], str]
RunExample = Callable[..., Run]
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.ipynb"))
CONVERTER = NbconvertNotebookConverter()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, store_of: StoreOf) -> Path:
    """A home whose store holds what the README of the examples says."""
    home = tmp_path_factory.mktemp("home")
    (program,) = re.findall(r"^```python\n(.*?)^```$", (EXAMPLES / "README.md").read_text(), re.M | re.S)
    subprocess.run(
        [sys.executable, "-c", program],
        env=environment(home, OMEGA_STORE=store_of(home)),
        cwd=home,
        check=True,
    )
    return home


@pytest.fixture(scope="module")
def store(home: Path, store_of: StoreOf) -> Iterator[om.Omega]:
    with om.Omega(home=home, store=store_of(home)) as omega:
        yield omega


def example(name: str) -> dict[str, Any]:
    return dict(CONVERTER.read(json.loads((EXAMPLES / f"{name}.ipynb").read_text())))


@pytest.fixture
def run_example(home: Path, store_of: StoreOf) -> RunExample:
    here = {"OMEGA_HOME": str(home), "OMEGA_STORE": store_of(home)}
    runner = PapermillNotebookRunner()
    return lambda name, **parameters: run(runner, example(name), parameters=parameters, environment=here)


def pictures(done: Run) -> int:
    outputs = [output for cell in done.notebook["cells"] for output in cell.get("outputs", ())]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def test_all_five_are_here_and_listed() -> None:
    assert len(NAMES) == 5
    assert sorted(re.findall(r"\((\w+)\.ipynb\)", (EXAMPLES / "README.md").read_text())) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_they_are_clean_and_of_today(name: str) -> None:
    stored = json.loads((EXAMPLES / f"{name}.ipynb").read_text())
    read = example(name)
    assert [cell["id"] for cell in stored["cells"]] == [cell["id"] for cell in read["cells"]]
    assert (stored["nbformat"], stored["nbformat_minor"]) == (4, 5)
    for cell in read["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_load_and_summarise(run_example: RunExample, store: om.Omega) -> None:
    done = run_example("load_and_summarise")
    assert done.failure is None
    assert printed(done.notebook)[1].startswith("543 rows from 01 January 2026 to 30 June 2026\n")
    assert printed(done.notebook)[-1] == "sales-by-month, version 1: 18 rows\n"
    summary, sales = store.datasets.get("sales-by-month"), store.datasets.get("sales")
    assert summary.units.sum() == sales.units.sum()
    assert list(summary.columns) == ["month", "region", "days", "units", "amount"]


@ON_ONE_STORE
def test_explore_with_plots(run_example: RunExample) -> None:
    done = run_example("explore_with_plots")
    assert done.failure is None
    assert pictures(done) == 3
    page = CONVERTER.render(done.notebook, format="html", title="Sales")
    assert page.count('src="data:image/png;base64,') == 3


def test_fit_and_store_model(run_example: RunExample, store: om.Omega) -> None:
    done = run_example("fit_and_store_model")
    assert done.failure is None
    train, test = re.findall(r"R² = ([\d.]+)", "".join(printed(done.notebook)))
    assert min(float(train), float(test)) > 0.5
    assert store.models.metadata("units-sold").version == 2
    score = store.runtime.model("units-sold").score("units-test[^units]", "units-test[units]")
    assert score == pytest.approx(float(test), abs=0.001)
    expected = store.datasets.get("sales-expected")
    assert len(expected) == 30
    assert (expected.units - expected.expected).abs().mean() < 40


@ON_ONE_STORE
@pytest.mark.parametrize(
    ("parameters", "title", "days", "plots"),
    [
        ({}, "North, March 2026", 31, 1),
        ({"region": "west", "month": "2026-02", "top": 5, "with_plot": False}, "West, February 2026", 28, 0),
    ],
)
def test_monthly_report(
    run_example: RunExample, store: om.Omega, parameters: dict[str, Any], title: str, days: int, plots: int
) -> None:
    done = run_example("monthly_report", **parameters)
    assert done.failure is None
    region, month = parameters.get("region", "north"), parameters.get("month", "2026-03")
    sales = store.datasets.get("sales", where={"region": region})
    amount = sales.amount[sales.day.dt.strftime("%Y-%m") == month].sum()
    page = CONVERTER.render(done.notebook, format="html", title=title)
    assert title in page
    assert f"<strong>{amount:,.0f}</strong> in {days} days" in page
    assert pictures(done) == plots
    (table,) = [text for text in printed(done.notebook) if "day" in text and "units" in text and "\n" in text]
    assert table.count("\n") == parameters.get("top", 3)


@ON_ONE_STORE
def test_monthly_report_takes_what_it_declares(run_example: RunExample) -> None:
    names = [parameter.name for parameter in PapermillNotebookRunner().parameters(example("monthly_report"))]
    assert names == ["region", "month", "top", "with_plot"]
    with pytest.raises(InvalidParameters, match="declares: region, month, top, with_plot"):
        run_example("monthly_report", regions="west")
    with pytest.raises(InvalidParameters, match="top is declared int"):
        run_example("monthly_report", top="5")
    done = run_example("monthly_report", month="2031-01")
    assert done.failure is not None
    assert done.failure.message == "cell 4 of 7: ValueError: there are no sales of 'north' in 2031-01"


def test_fails_half_way(run_example: RunExample) -> None:
    done = run_example("fails_half_way")
    assert done.failure is not None
    assert (done.failure.reason, done.failure.cell, done.failure.name) == ("cell", 4, "NotFound")
    assert "targets-2026-Q3" in (done.failure.value or "")
    texts = printed(done.notebook)
    assert "south" in texts[1]
    assert texts[2].endswith(" in all\n")
    assert texts[4] == ""
    assert "NotFound" in CONVERTER.render(done.notebook, format="html", title="Targets")
