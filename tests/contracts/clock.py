"""The contract of `omega.ports.clock.Clock`."""

from datetime import UTC, datetime, timedelta

import pytest

from omega.ports.clock import Clock


class ClockSuite:
    @pytest.fixture
    def clock(self) -> Clock:
        """A clock that tells the true time."""
        raise NotImplementedError

    def test_the_time_is_aware_and_in_utc(self, clock: Clock) -> None:
        assert clock.now().tzinfo is UTC
        assert clock.now().utcoffset() == timedelta(0)

    def test_the_time_is_now(self, clock: Clock) -> None:
        before = datetime.now(UTC)
        now = clock.now()
        assert before <= now <= datetime.now(UTC)

    def test_the_time_is_told_to_the_microsecond(self, clock: Clock) -> None:
        assert any(clock.now().microsecond % 1000 for _ in range(100))
