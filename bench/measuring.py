"""Figures taken in turn, and what is demanded of them.

What is measured and its reference are called A B A B ... in one run, so that what else the machine does
falls on both alike; only the ratio of their medians is judged. Where a promise is a time or a size by itself
there is no reference.
"""

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

from attrs import asdict, field, frozen

AT_MOST: Final = "at most"
AT_LEAST: Final = "at least"


@frozen
class Series:
    """What one thing gave, round after round."""

    values: tuple[float, ...] = field(converter=tuple)
    unit: str = "ms"

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        if len(self.values) == 1:
            return f"{_figure(self.values[0])} {self.unit}"
        low, high = _figure(min(self.values)), _figure(max(self.values))
        return f"{_figure(self.median)} {self.unit} ({low} to {high})"


@frozen
class Finding:
    """One promise (`point` is its number), what was seen, and whether it holds.

    `figure` is the median of `ours`, as a multiple of that of the `reference` where there is one; `bound` is
    `AT_MOST` or `AT_LEAST`, `target` what is promised. A check fails beyond `guard`, which is the target
    unless the figure is so far on the right side of it that a regression would not show, or on the wrong one.
    """

    point: str
    what: str
    ours: Series
    bound: Literal["at most", "at least"]
    target: float
    reference: Series | None = None
    against: str = ""
    guard: float = field(kw_only=True)

    @guard.default
    def _as_promised(self) -> float:
        return self.target

    @property
    def figure(self) -> float:
        return self.ours.median / (1.0 if self.reference is None else self.reference.median)

    @property
    def unit(self) -> str:
        return self.ours.unit if self.reference is None else "x"

    @property
    def is_met(self) -> bool:
        return self._holds(self.target)

    @property
    def is_guarded(self) -> bool:
        """Whether the guard holds."""
        return self._holds(self.guard)

    def _holds(self, limit: float) -> bool:
        return self.figure <= limit if self.bound == AT_MOST else self.figure >= limit

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Finding":
        reference = stored["reference"]
        series = {
            "ours": Series(**stored["ours"]),
            "reference": None if reference is None else Series(**reference),
        }
        return cls(**{**stored, **series})

    def __str__(self) -> str:
        told = "met" if self.is_met else "MISSED"
        beside = "" if self.reference is None else f" beside {self.reference} {self.against}"
        return (
            f"{self.point:4} {self.what}: {_figure(self.figure)} {self.unit}, {self.bound} "
            f"{_figure(self.target)}: {told} ({self.ours}{beside})"
        )


def in_turn(*calls: Callable[[], object], rounds: int, warmup: int = 1) -> list[Series]:
    """How long each call takes, in milliseconds, all of them called in turn in each round."""
    return values_in_turn(*(_timed(call) for call in calls), rounds=rounds, warmup=warmup, unit="ms")


def values_in_turn(*calls: Callable[[], float], rounds: int, warmup: int = 0, unit: str) -> list[Series]:
    """What each call returns, all of them called in turn in each round."""
    for _ in range(warmup):
        for call in calls:
            call()
    found: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, values in zip(calls, found, strict=True):
            values.append(call())
    return [Series(values, unit) for values in found]


def percentile(values: Iterable[float], share: float) -> float:
    """The value that this share of the values does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _timed(call: Callable[[], object]) -> Callable[[], float]:
    def timed() -> float:
        started = time.perf_counter()
        call()
        return (time.perf_counter() - started) * 1000

    return timed


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
