# ruff: noqa: D102  (what a method of an axis does is said once, in `Axis`)
"""Axes: how the values of one column are read from text or taken from Python, and compared.

Reading and taking raise `ValueError` or `TypeError` whose message says in the middle of a sentence what is
wrong.
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

ORDER: Final = frozenset({"lt", "lte", "gt", "gte", "between"})
EQUALITY: Final = frozenset({"eq", "ne", "in"})
TEXT: Final = frozenset({"contains", "startswith", "endswith"})
ALWAYS: Final = frozenset({"isnull"})

_WHOLE: Final = re.compile(r"[+-]?\d{1,60}", re.ASCII)
_NUMBER: Final = re.compile(
    r"[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,5})?|[+-]?inf", re.ASCII
)
_TRUTHS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class Axis(ABC):
    """The values of one column, as filters see them."""

    #: The operators that make sense.
    operators: frozenset[str] = EQUALITY | ORDER | ALWAYS
    #: What a value is called in an error.
    noun: str = "value"

    @abstractmethod
    def read(self, text: str) -> Any:
        """The value that is written as `text`."""

    @abstractmethod
    def take(self, value: Any) -> Any:
        """The value that a Python value stands for."""

    @abstractmethod
    def compare(self, operator: str, value: Any) -> pc.Expression:
        """Rows whose value stands to `value` as eq, lt, lte, gt or gte says; a missing one never does."""

    @abstractmethod
    def among(self, values: Sequence[Any]) -> pc.Expression:
        """Rows whose value is one of these."""

    def text(self, kernel: Callable[..., pc.Expression], pattern: str) -> pc.Expression:
        """Rows whose text matches; only where `operators` has text operators."""
        raise NotImplementedError

    @abstractmethod
    def missing(self) -> pc.Expression:
        """Rows without a value."""


def compared(field: pc.Expression, operator: str, value: Any) -> pc.Expression:
    """`field` compared to an Arrow scalar."""
    found: dict[str, Callable[[], pc.Expression]] = {
        "eq": lambda: field == value,
        "lt": lambda: field < value,
        "lte": lambda: field <= value,
        "gt": lambda: field > value,
        "gte": lambda: field >= value,
    }
    return found[operator]()


@frozen
class Scalars(Axis):
    """Values that Arrow itself compares: bool, text, bytes, dates and times of day."""

    field: pc.Expression
    kind: pa.DataType
    reader: Callable[[str], Any]
    types: tuple[type, ...]
    operators: frozenset[str]
    noun: str

    def read(self, text: str) -> Any:
        return self._scalar(self.reader(text))

    def take(self, value: Any) -> Any:
        if not isinstance(value, self.types):
            raise TypeError(f"it is not a {self.noun}")
        return self._scalar(value.item() if isinstance(value, np.generic) else value)

    def _scalar(self, value: Any) -> pa.Scalar:
        try:
            return pa.scalar(value, type=self.kind)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
            raise ValueError(f"it is not a {self.noun}") from error

    def compare(self, operator: str, value: Any) -> pc.Expression:
        return compared(self.field, operator, value)

    def among(self, values: Sequence[Any]) -> pc.Expression:
        return self.field.isin(pa.array([value.as_py() for value in values], type=self.kind))

    def text(self, kernel: Callable[..., pc.Expression], pattern: str) -> pc.Expression:
        return kernel(self.field, pattern=pattern)

    def missing(self) -> pc.Expression:
        return self.field.is_null()


@frozen
class Floats(Axis):
    """Floating point numbers; a value is rounded to the column's width, as pandas does."""

    field: pc.Expression
    width: int
    noun = "number"

    def read(self, text: str) -> Any:
        if not _NUMBER.fullmatch(text):
            raise ValueError("it is not a number")
        return self._rounded(float(text))

    def take(self, value: Any) -> Any:
        if isinstance(value, bool | np.bool) or not isinstance(
            value, int | float | np.integer | np.floating | Decimal
        ):
            raise TypeError("it is not a number")
        try:
            return self._rounded(float(value))
        except OverflowError as error:
            raise ValueError("it is too large") from error

    def _rounded(self, value: float) -> float:
        if math.isnan(value):
            raise ValueError("it is missing; use isnull")
        with np.errstate(over="ignore"):
            return float(np.dtype(f"f{self.width // 8}").type(value))

    @property
    def _kind(self) -> pa.DataType:
        # There is no comparison of float16, but all of them are float32 too.
        return pa.float64() if self.width == 64 else pa.float32()

    def compare(self, operator: str, value: Any) -> pc.Expression:
        return compared(self.field, operator, pa.scalar(value, self._kind))

    def among(self, values: Sequence[Any]) -> pc.Expression:
        # Arrow looks bits up in a set, where the two zeros differ.
        both = [*values, 0.0, -0.0] if 0.0 in values else list(values)
        return self.field.isin(pa.array(both, type=self._kind))

    def missing(self) -> pc.Expression:
        return self.field.is_null(nan_is_null=True)


@frozen
class Steps(Axis):
    """Exact numbers on a grid: integers, decimals, points in time, durations, periods.

    A value is a fraction, counted in steps of the grid. One between two steps, or outside of the type,
    compares as it should.
    """

    field: pc.Expression
    scalar: Callable[[int], pa.Scalar]
    reader: Callable[[str], Fraction]
    taker: Callable[[Any], Fraction]
    low: int
    high: int
    noun: str

    def read(self, text: str) -> Any:
        return self.reader(text)

    def take(self, value: Any) -> Any:
        return self.taker(value)

    def compare(self, operator: str, value: Any) -> pc.Expression:
        step, exact = math.floor(value), value.denominator == 1
        if operator == "eq" and not (exact and self.low <= step <= self.high):
            return pc.scalar(False)
        if step < self.low or step > self.high:
            below = operator in ("gt", "gte")
            return self.field.is_valid() if below == (step < self.low) else pc.scalar(False)
        if not exact:
            operator = {"lt": "lte", "gte": "gt"}.get(operator, operator)
        return compared(self.field, operator, self.scalar(step))

    def among(self, values: Sequence[Any]) -> pc.Expression:
        steps = [int(v) for v in values if v.denominator == 1 and self.low <= v <= self.high]
        if not steps:
            return pc.scalar(False)
        return self.field.isin(pa.concat_arrays([pa.repeat(self.scalar(step), 1) for step in steps]))

    def missing(self) -> pc.Expression:
        return self.field.is_null()


@frozen
class Opaque(Axis):
    """Values that filters can only tell from missing ones."""

    absent: pc.Expression
    noun: str
    operators = ALWAYS

    def read(self, text: str) -> Any:
        raise ValueError(f"a {self.noun} cannot be compared")

    def take(self, value: Any) -> Any:
        raise ValueError(f"a {self.noun} cannot be compared")

    def compare(self, operator: str, value: Any) -> pc.Expression:
        raise AssertionError

    def among(self, values: Sequence[Any]) -> pc.Expression:
        raise AssertionError

    def missing(self) -> pc.Expression:
        return self.absent


def whole_from_text(text: str) -> Fraction:
    """A whole number.

    Raises: ValueError.
    """
    if not _WHOLE.fullmatch(text):
        raise ValueError("it is not a whole number")
    return Fraction(int(text))


def number_of(value: Any) -> Fraction:
    """A Python or numpy number, exactly.

    Raises: ValueError or TypeError.
    """
    if isinstance(value, bool | np.bool) or not isinstance(
        value, int | float | np.integer | np.floating | Decimal
    ):
        raise TypeError("it is not a number")
    try:
        return Fraction(value.item() if isinstance(value, np.generic) else value)
    except (ValueError, OverflowError) as error:
        raise ValueError("it is not a finite number") from error


def decimal_from_text(text: str) -> Fraction:
    """A decimal number, exactly.

    Raises: ValueError.
    """
    if not _NUMBER.fullmatch(text) or text.endswith("inf") or len(text) > 200:
        raise ValueError("it is not a decimal number")
    value = Decimal(text)
    if abs(value.adjusted()) > 400:
        raise ValueError("it is too large or too small")
    return Fraction(value)


def truth_from_text(text: str) -> bool:
    """`true`, `1` or `yes`, `false`, `0` or `no`, in any case.

    Raises: ValueError.
    """
    if (found := _TRUTHS.get(text.lower())) is None:
        raise ValueError("it is neither true nor false (nor 1 or 0, yes or no)")
    return found
