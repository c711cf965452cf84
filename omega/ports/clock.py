"""The time."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time of day."""

    def now(self) -> datetime:
        """The time now, aware, in UTC, to the microsecond."""
