"""The clock of the machine."""

from datetime import UTC, datetime


class SystemClock:
    """A `Clock` that tells what the operating system tells."""

    def now(self) -> datetime:
        """The time now, aware, in UTC, to the microsecond."""
        return datetime.now(UTC)
