"""Points in time, durations and periods read from text or taken from Python values, as whole numbers."""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from fractions import Fraction
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from omega.domain.tabular.zones import zone_from_text

#: How many of each unit a second has.
PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ISO: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?(Z|z|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
_DURATION: Final = re.compile(r"[-+ .:,\dPTDHMSWa-z]{1,60}", re.ASCII)


def seconds_from_text(text: str, zone: tzinfo | None) -> Fraction:
    """An ISO 8601 date or date and time as seconds since 1970, in UTC where there is a zone.

    In a column with a zone, text without an offset is in that zone; in a column without, an offset is an
    error.

    Raises: ValueError saying what is wrong.
    """
    if (match := _ISO.fullmatch(text)) is None:
        raise ValueError("it is not an ISO 8601 date or date and time")
    day, clock, seconds, fraction, offset = match.groups()
    moment = datetime.fromisoformat(f"{day}T{clock or '00:00'}:{seconds or '00'}")
    rest = Fraction(int(fraction), 10 ** len(fraction)) if fraction else Fraction(0)
    if offset is None:
        return _seconds(moment, zone) + rest
    if zone is None:
        raise ValueError("the column has no time zone, so the value may not have one")
    return _seconds(moment, _offset(offset)) + rest


def timestamps_from_text(texts: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """A column of ISO 8601 texts as timestamps of an Arrow type: with an offset each where that has a zone,
    else without.

    Raises: ValueError for a text that is none, or is not exact in the type.
    """
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid as error:
        zone = "an offset" if kind.tz is not None else "no offset"
        raise ValueError(
            f"not every text is an ISO 8601 date and time with {zone}: {str(error)[:120]}"
        ) from error


def _offset(text: str) -> tzinfo:
    if text in "Zz":
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    return zone_from_text(f"{text[0]}{digits[:2]}:{digits[2:]}")


def _seconds(moment: datetime, zone: tzinfo | None) -> Fraction:
    """The seconds of a naive time on the clock of `zone` (`None`: as if in UTC)."""
    placed = moment.replace(tzinfo=UTC if zone is None else zone)
    if placed.utcoffset() != placed.replace(fold=1).utcoffset():
        raise ValueError("the clock of the column's time zone shows this twice or never; give an offset")
    return duration_seconds(placed - _EPOCH)


def duration_seconds(value: Any) -> Fraction:
    """A Python, numpy or pandas duration in seconds.

    Raises: ValueError or TypeError for anything else.
    """
    if isinstance(value, pd.Timedelta | np.timedelta64):
        taken: Any = pd.Timedelta(value)
        if taken is pd.NaT:
            raise ValueError("it is missing; use isnull")
        return Fraction(int(taken.asm8.view("i8")), PER_SECOND[taken.unit])
    if isinstance(value, timedelta):
        return Fraction(value.days * 86400 + value.seconds) + Fraction(value.microseconds, 10**6)
    raise TypeError("it is not a duration")


def duration_from_text(text: str) -> Fraction:
    """A duration as pandas reads it (`1 days 02:00:00`, `90s`) or in ISO 8601 (`P1DT2H`), in seconds.

    Raises: ValueError.
    """
    if not _DURATION.fullmatch(text) or not any(character.isdigit() for character in text):
        raise ValueError("it is not a duration")
    try:
        return duration_seconds(pd.Timedelta(text))
    except (ValueError, OverflowError) as error:
        raise ValueError("it is not a duration") from error


def seconds_of(value: Any, zone: tzinfo | None) -> Fraction:
    """A Python, numpy or pandas point in time as seconds since 1970, by the zone rules of
    `seconds_from_text`.

    Raises: ValueError or TypeError saying what is wrong.
    """
    if isinstance(value, str):
        return seconds_from_text(value, zone)
    if type(value) is date:
        return _seconds(datetime(value.year, value.month, value.day), zone)
    if not isinstance(value, datetime | np.datetime64):
        raise TypeError("it is not a date and time")
    taken: Any = pd.Timestamp(value)
    if taken is pd.NaT:
        raise ValueError("it is missing; use isnull")
    if taken.tzinfo is not None and zone is None:
        raise ValueError("the column has no time zone, so the value may not have one")
    counted = Fraction(int(taken.asm8.view("i8")), PER_SECOND[taken.unit])
    if taken.tzinfo is None and zone is not None:
        whole = counted.numerator // counted.denominator
        naive = (_EPOCH + timedelta(seconds=whole)).replace(tzinfo=None)
        return _seconds(naive, zone) + (counted - whole)
    return counted


def period_ordinal(value: Any, dtype: Any) -> int:
    """The ordinal of a period of this dtype, from a Period or its text.

    Raises: ValueError or TypeError.
    """
    if isinstance(value, str):
        # pandas would read "now" and "today" off the clock.
        if not re.fullmatch(r"\d[-\d\w:. /]{0,40}", value, re.ASCII):
            raise ValueError("it is not a period")
        try:
            value = pd.Period(value, freq=dtype.freq)
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError("it is not a period") from error
    if not isinstance(value, pd.Period) or value.freq != dtype.freq:
        raise TypeError(f"it is not a period of {dtype}")
    return value.ordinal
