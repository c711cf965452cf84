"""Figures of what a running installation does, for those who watch over it.

All methods are safe to call from many threads at once, cost microseconds and never fail. Figures of processes
that share a place to keep them are one: sums, since the first of them began.
"""

from collections.abc import Mapping
from typing import Protocol


class Meter(Protocol):
    """Takes note of what happens."""

    def answered(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered. `route` is a path of the route table, empty where there is none; methods
        that no route has count as one.
        """

    def ended(self, *, resource: str, action: str, status: str) -> None:
        """A task has ended, with this state."""

    def looked_up(self, *, found: bool) -> None:
        """A loaded model was looked for."""

    def holds(self, *, size_bytes: int) -> None:
        """The models that this process keeps loaded have this size now."""


class Figures(Protocol):
    """What was noted."""

    def exposition(self, *, levels: Mapping[str, float]) -> bytes:
        """All figures in the text format of Prometheus, and `levels`: what holds just now, by the name of the
        metric (https://prometheus.io/docs/instrumenting/exposition_formats/).
        """
