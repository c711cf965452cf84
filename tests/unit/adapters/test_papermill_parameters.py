"""What may be given to a notebook: the part of the runner's contract that needs no kernel."""

import ast
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.adapters.papermill_notebooks import parameters
from omega.adapters.papermill_notebooks.notebooks import PapermillNotebookRunner
from omega.adapters.papermill_notebooks.parameters import checked
from omega.ports.notebooks import InvalidParameters, Parameter
from tests.contracts.notebook_runs import NotebookParametersSuite
from tests.support.notebooks import code, notebook

VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


class TestPapermillNotebookRunner(NotebookParametersSuite):
    @pytest.fixture
    def runner(self) -> PapermillNotebookRunner:
        return PapermillNotebookRunner()


def test_what_is_no_identifier_does_not_pass_even_if_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters, "declared", lambda _: (Parameter("import os; a", None, None),))
    with pytest.raises(InvalidParameters, match="no name of a parameter"):
        checked(notebook(), {"import os; a": 1})


@given(value=VALUE)
def test_papermill_writes_every_value_that_passes_as_a_literal(value: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from papermill.translators import PythonTranslator

    document = notebook(code("a = 1", tags=["parameters"]))
    source = PythonTranslator.codify(checked(document, {"a": value}))
    (assignment,) = ast.parse(source).body
    assert isinstance(assignment, ast.Assign)
    assert ast.literal_eval(assignment.value) == value


@given(names=st.lists(st.text(max_size=20), unique=True), given_name=st.text(max_size=20))
def test_only_names_in_the_source_pass(names: list[str], given_name: str) -> None:
    declared = [name for name in names if name.isidentifier()]
    try:
        ast.parse("\n".join(f"{name} = 1" for name in declared))
    except SyntaxError:
        declared = []
    document = notebook(code("\n".join(f"{name} = 1" for name in declared), tags=["parameters"]))
    try:
        passed = checked(document, {given_name: 1})
    except ValueError:
        return
    assert list(passed) == [given_name]
    assert given_name in declared
