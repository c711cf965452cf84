"""Datetimes and durations as JSON writes them: milliseconds, ISO 8601 text, and for durations pandas' own
text."""

import re
from collections.abc import Callable
from datetime import tzinfo
from typing import Any, Final, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Fail = Callable[[int, str], NoReturn]

_NAT: Final = np.iinfo(np.int64).min
_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
#: So many milliseconds fit in an int64 of nanoseconds.
_VECTOR: Final = 9 * 10**12
_ISO = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<clock>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.(?P<fraction>[0-9]{1,9}))?"
    r"(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
#: The same without an offset, in years that nanoseconds can count.
_PLAIN: Final = (
    r"^(?:1[7-9]|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)?$"
)
_DURATION = re.compile(
    r"(?P<sign>[+-]?)P(?:(?P<weeks>[+-]?[0-9]{1,18})W)?(?:(?P<days>[+-]?[0-9]{1,18})D)?"
    r"(?:T(?:(?P<hours>[+-]?[0-9]{1,18})H)?(?:(?P<minutes>[+-]?[0-9]{1,18})M)?"
    r"(?:(?P<seconds>[+-]?[0-9]{1,18})(?:[.,](?P<fraction>[0-9]{1,9}))?S)?)?"
)
_PANDAS_DURATION = re.compile(
    r"(?P<sign>)(?P<days>[+-]?[0-9]{1,18}) days?"
    r"(?: (?P<plus>[+-]?)(?P<hours>[0-9]{2}):(?P<minutes>[0-9]{2}):(?P<seconds>[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,9}))?)?"
)


def read_datetimes(values: list[Any], unit: str, zone: tzinfo | None, *, fail: Fail) -> Any:
    """A datetime64 array, or one with a zone.

    Numbers are milliseconds since 1970 in UTC. With a zone, text without an offset is the time on the wall
    there; without a zone text may not have an offset.
    """
    if zone is None and (plain := _plain_datetimes(values, unit)) is not None:
        return plain
    counts = _milliseconds(values, unit, fail)
    rows = [row for row, value in enumerate(values) if type(value) is str]
    matches = [_iso(row, values[row], fail) for row in rows]
    for offset in (False, True):
        chosen = [
            (row, match)
            for row, match in zip(rows, matches, strict=True)
            if (match["zone"] is not None) is offset
        ]
        if chosen:
            if offset and zone is None:
                fail(chosen[0][0], "it has an offset, and the dtype no zone")
            counts[[row for row, _ in chosen]] = _read_iso(chosen, unit, None if offset else zone, fail)
    moments = counts.view(f"M8[{unit}]")
    if zone is None:
        return moments
    return pd.DatetimeIndex(moments).tz_localize("UTC").tz_convert(zone).array


def _plain_datetimes(values: list[Any], unit: str) -> np.ndarray[Any, Any] | None:
    """The moments of texts without an offset (and nulls), all at once by Arrow; `None` where there is
    anything else, or a moment that Arrow does not read.
    """
    try:
        texts = pa.array(values, type=pa.string())
        if not pc.all(pc.match_substring_regex(texts, _PLAIN)).as_py():
            return None
        counts = pc.cast(pc.cast(texts, pa.timestamp(unit)), pa.int64()).fill_null(_NAT)
        return np.array(counts.to_numpy(), dtype="i8").view(f"M8[{unit}]")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None


def datetime_dtype(values: list[Any]) -> str:
    """The dtype for datetimes that come without one: as precise as the most precise, in UTC if all have an
    offset."""
    matches = [_ISO.fullmatch(value) for value in values if type(value) is str]
    unit = "ns" if any(match and len(match["fraction"] or "") > 6 for match in matches) else "us"
    return (
        f"datetime64[{unit}, UTC]"
        if matches and all(m and m["zone"] for m in matches)
        else f"datetime64[{unit}]"
    )


def read_timedeltas(values: list[Any], unit: str, *, fail: Fail) -> np.ndarray[Any, Any]:
    """A timedelta64 array; numbers are milliseconds."""
    counts = _milliseconds(values, unit, fail)
    for row, value in enumerate(values):
        if type(value) is str:
            counts[row] = _count(_seconds_and_nanoseconds(row, value, fail), unit, row, fail)
    return counts.view(f"m8[{unit}]")


def _milliseconds(values: list[Any], unit: str, fail: Fail) -> np.ndarray[Any, Any]:
    """The numbers among the values as counts of `unit`, nulls as NaT; text is left to be filled in."""
    if set(map(type, values)) == {int} and min(values) > -_VECTOR and max(values) < _VECTOR and unit != "s":
        return np.array(values, dtype="i8") * (_PER_SECOND[unit] // 1000)
    counts = np.full(len(values), _NAT, dtype="i8")
    for row, value in enumerate(values):
        kind = type(value)
        if kind is float and value.is_integer():
            value, kind = int(value), int
        if kind is int:
            counts[row] = _count(divmod(value * 10**6, 10**9), unit, row, fail)
        elif kind is float:
            fail(row, "milliseconds have no fraction here: send ISO 8601 text")
        elif value is not None and kind is not str:
            fail(row, "it is neither a number of milliseconds nor ISO 8601 text")
    return counts


def _count(moment: tuple[int, int], unit: str, row: int, fail: Fail) -> int:
    """Seconds and nanoseconds as an exact count of `unit`."""
    seconds, nanoseconds = moment
    count, lost = divmod(seconds * 10**9 + nanoseconds, 10**9 // _PER_SECOND[unit])
    if lost:
        fail(row, f"it is not a whole number of {unit}")
    if not _NAT < count < 2**63:
        fail(row, f"it is out of the range of {unit}")
    return count


def _iso(row: int, text: str, fail: Fail) -> re.Match[str]:
    match = _ISO.fullmatch(text)
    if match is None:
        fail(row, "it is not ISO 8601, such as 2020-01-31T12:30:00.5")
    return match


def _read_iso(
    chosen: list[tuple[int, re.Match[str]]], unit: str, zone: tzinfo | None, fail: Fail
) -> np.ndarray[Any, Any]:
    """The counts of `unit` for texts that either all have an offset or all have none."""
    per = 10**9 // _PER_SECOND[unit]
    whole = [f"{m['date']}T{m['clock'] or '00:00'}{m['zone'] or ''}" for _, m in chosen]
    try:
        seconds = pd.DatetimeIndex(
            pd.to_datetime(whole, format="ISO8601", utc=chosen[0][1]["zone"] is not None)
        )
        if zone is not None:
            seconds = seconds.tz_localize(zone)
    except (ValueError, OverflowError) as error:
        if len(chosen) == 1:
            reason = (
                "there is no such day or time"
                if zone is None
                else "there is no such day or time, or two, in this zone"
            )
            fail(chosen[0][0], reason)
        half = len(chosen) // 2
        for part in (chosen[:half], chosen[half:]):
            _read_iso(part, unit, zone, fail)
        raise AssertionError("each half can be read, but not the whole") from error
    counts = seconds.as_unit("s").asi8.tolist()
    nanoseconds = [int((m["fraction"] or "0").ljust(9, "0")) for _, m in chosen]
    found = np.empty(len(chosen), dtype="i8")
    for i, (second, nanosecond) in enumerate(zip(counts, nanoseconds, strict=True)):
        if nanosecond % per or not _NAT < second * (10**9 // per) < 2**63 - 10**9:
            _count((second, nanosecond), unit, chosen[i][0], fail)
        found[i] = second * (10**9 // per) + nanosecond // per
    return found


def _seconds_and_nanoseconds(row: int, text: str, fail: Fail) -> tuple[int, int]:
    match = _DURATION.fullmatch(text)
    if match is None or text[-1:] in "PT":
        match = _PANDAS_DURATION.fullmatch(text)
    if match is None:
        fail(row, "it is not an ISO 8601 duration, such as P1DT2H30M0.5S")
    found = match.groupdict(default="0")
    days = int(found["days"]) + 7 * int(found.get("weeks", 0))
    seconds, fraction = (
        int(found["seconds"]),
        int(match.groupdict()["fraction"].ljust(9, "0")) if match["fraction"] else 0,
    )
    clock = int(found["hours"]) * 3600 + int(found["minutes"]) * 60 + seconds
    if found["seconds"].startswith("-"):
        fraction = -fraction
    total = (days * 86400 + clock) * 10**9 + fraction
    if found.get("plus") == "-":
        total = (days * 86400 - clock) * 10**9 - fraction
    return divmod(-total if found["sign"] == "-" else total, 10**9)
