"""The contract of `omega.ports.ids.Ids`."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from omega.ports.ids import Ids


class IdsSuite:
    @pytest.fixture
    def ids(self) -> Ids:
        """A maker of identifiers."""
        raise NotImplementedError

    @pytest.fixture
    def others(self) -> Ids:
        """Another one, as another process would have."""
        raise NotImplementedError

    def test_an_identifier_is_26_characters(self, ids: Ids) -> None:
        assert all(re.fullmatch("[0-9a-z]{26}", ids.new()) for _ in range(100))

    def test_no_identifier_comes_twice(self, ids: Ids, others: Ids) -> None:
        made = [maker.new() for _ in range(2000) for maker in (ids, others)]
        assert len(set(made)) == len(made)

    def test_no_identifier_comes_twice_from_many_threads(self, ids: Ids) -> None:
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda _: ids.new(), range(2000)))
        assert len(set(made)) == len(made)

    def test_later_identifiers_sort_after_earlier_ones(self, ids: Ids, others: Ids) -> None:
        made = []
        for maker in (ids, others) * 3:
            made.append(maker.new())
            this_ms = time.time_ns() // 1_000_000
            while time.time_ns() // 1_000_000 == this_ms:
                pass
        assert made == sorted(made)
