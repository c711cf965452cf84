"""The contract of `omega.ports.upkeep.StoreUpkeep`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from omega.ports.upkeep import Leftover, StoreUpkeep

#: Leaves what a writer leaves that dies in the middle.
Leave = Callable[[], Any]


class StoreUpkeepSuite:
    @pytest.fixture
    def upkeep(self) -> StoreUpkeep:
        """That of a store which holds something."""
        raise NotImplementedError

    @pytest.fixture
    def leave(self) -> Leave:
        raise NotImplementedError

    @pytest.fixture
    def content(self) -> Callable[[], Any]:
        """What the store holds."""
        raise NotImplementedError

    def test_a_healthy_store_has_no_faults_and_no_leftovers(self, upkeep: StoreUpkeep) -> None:
        assert list(upkeep.faults()) == []
        assert list(upkeep.leftovers()) == []

    def test_what_the_dead_have_left_is_found(self, upkeep: StoreUpkeep, leave: Leave) -> None:
        leave()
        (left,) = upkeep.leftovers()
        # Databases keep seconds or milliseconds, file systems tick coarsely.
        assert abs(left.since - datetime.now(UTC)) < timedelta(seconds=60)
        assert left.since.tzinfo is not None
        assert left.what and left.key and "/" not in left.key
        assert list(upkeep.leftovers()) == [left]
        assert list(upkeep.faults()) == []

    def test_it_is_discarded_once_and_nothing_else_with_it(
        self, upkeep: StoreUpkeep, leave: Leave, content: Callable[[], Any]
    ) -> None:
        before = content()
        leave()
        (left,) = upkeep.leftovers()
        leave()
        assert upkeep.discard(left) is True
        (other,) = upkeep.leftovers()
        assert other.key != left.key
        assert upkeep.discard(left) is False
        assert list(upkeep.leftovers()) == [other]
        assert upkeep.discard(other) is True
        assert list(upkeep.leftovers()) == []
        assert content() == before

    @pytest.mark.parametrize("key", ["", ".", "..", "../blobs", "records.sqlite", "a", "0" * 32, "0" * 24])
    def test_what_is_none_of_its_leftovers_is_not_discarded(
        self, upkeep: StoreUpkeep, leave: Leave, content: Callable[[], Any], key: str
    ) -> None:
        leave()
        (left,) = upkeep.leftovers()
        before = content()
        assert upkeep.discard(Leftover(left.what, key, left.since)) is False
        assert list(upkeep.leftovers()) == [left]
        assert content() == before
