"""The nbconvert converter keeps the whole contract."""

import pytest

from omega.adapters.nbconvert_notebooks.notebooks import NbconvertNotebookConverter
from tests.contracts.notebooks import NotebookConverterSuite


class TestNbconvertNotebookConverter(NotebookConverterSuite):
    @pytest.fixture
    def converter(self) -> NbconvertNotebookConverter:
        return NbconvertNotebookConverter()
