"""The kinds of store on which the same tests run."""

from typing import Final

import pytest

STORES: Final = ("embedded", "mongodb")
#: For a test that is about processes or notebooks and would find out nothing new on another store.
ON_ONE_STORE = pytest.mark.parametrize("store_of", ["embedded"], indirect=True, scope="module")
