"""Schedules: cron lines in a time zone, and what is due of them.

A line has five fields, as in Debian's crontab(5): minute, hour, day-of-month, month, day-of-week; `*`, lists,
ranges, steps, `JAN` to `DEC`, `SUN` to `SAT`; and of cronsim's extensions `L`, `LW`, `MON#2`, `5L`. Where one
of the two day fields begins with `*` a day must match both, otherwise either. `@hourly`, `@daily`
(`@midnight`), `@weekly`, `@monthly` and `@yearly` (`@annually`) stand for lines; `@reboot` and a field of
seconds are refused.

When the clocks change, schedules do as Debian's cron does:

- Neither minute nor hour begins with `*` (`30 2 * * *`): each time on the wall clock is due once. One that
  the clocks skip is due when they have been put forward; of two that they repeat, the first is due.
- Otherwise (`*/10 * * * *`, `0 * * * *`, `* 2 * * *`): due whenever the wall clock shows a matching time. So
  what runs hourly runs each hour that passes, neither skipped nor crowded.
"""

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Final
from zoneinfo import ZoneInfo

from attrs import Factory, field, frozen
from cronsim import CronSim, CronSimError

from omega.domain.errors import BadInput

STALENESS_S: Final = 3600.0
MAX_MISSED: Final = 100
MAX_COUNTED: Final = 10_000
MAX_CRON_LENGTH: Final = 200
MAX_ZONE_LENGTH: Final = 64
_NICKNAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
#: The fields, what each may hold, and its greatest step.
_FIELDS: Final = (
    ("minute", "0 to 59", 59),
    ("hour", "0 to 23", 23),
    ("day-of-month", "1 to 31", 30),
    ("month", "1 to 12 or JAN to DEC", 11),
    ("day-of-week", "0 to 7 or SUN to SAT", 7),
)
_CRON = re.compile(r"[0-9A-Za-z*,/# -]+")
_STEP = re.compile(r"/([0-9]+)")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")
#: Files beside those of the zones: zones with leap seconds, and whatever this machine's zone is.
_NO_ZONE = re.compile(r"(?:posix|right)/.*|localtime|posixrules|Factory")
#: From here on every day of the year falls on every day of the week within 28 years.
_EPOCH: Final = datetime(2000, 1, 1)
_SECOND: Final = timedelta(seconds=1)
_DAY: Final = timedelta(days=1)


@frozen
class Due:
    """What a schedule asks for: `run`, the due time to run now, `None` where there is none, and those missed.

    `missed` has the newest 100, oldest first; `missed_count` counts all of them, up to 10,000. Times are UTC.
    """

    run: datetime | None = None
    missed: tuple[datetime, ...] = ()
    missed_count: int = 0


def _cron(text: str) -> str:
    """The line with single spaces, nicknames written out."""
    if not isinstance(text, str) or len(text) > MAX_CRON_LENGTH:
        raise BadInput(f"cron is text of at most {MAX_CRON_LENGTH} characters")
    line = " ".join(text.split())
    if line.startswith("@") and (line := _NICKNAMES.get(line.lower(), line)).startswith("@"):
        raise BadInput(f"cron {line!r}: of the nicknames there are {', '.join(_NICKNAMES)}")
    fields = line.split(" ")
    if not _CRON.fullmatch(line) or len(fields) != len(_FIELDS):
        names = " ".join(name for name, *_ in _FIELDS)
        raise BadInput(f"cron {line!r} does not have these five fields of numbers, names and *,-/#: {names}")
    for place, (name, allowed, greatest_step) in enumerate(_FIELDS):
        alone = ["*"] * len(_FIELDS)
        alone[place] = value = fields[place]
        try:
            CronSim(" ".join(alone), _EPOCH)
        except CronSimError as error:
            raise BadInput(f"cron {line!r}: {name} {value!r} is not made of {allowed}") from error
        # A step over the range means the first value alone; who writes */90 means something else.
        if any(int(step) > greatest_step for step in _STEP.findall(value)):
            raise BadInput(f"cron {line!r}: {name} {value!r} has a step over {greatest_step}")
    try:
        next(CronSim(line, _EPOCH))
    except (CronSimError, StopIteration) as error:
        raise BadInput(
            f"cron {line!r} is never due: there is no day-of-month {fields[2]!r} in month {fields[3]!r} "
            f"on day-of-week {fields[4]!r}"
        ) from error
    return line


def _zone(name: str) -> ZoneInfo:
    known = isinstance(name, str) and len(name) <= MAX_ZONE_LENGTH and _ZONE.fullmatch(name)
    if known and not _NO_ZONE.fullmatch(name):
        with suppress(KeyError, ValueError, OSError):
            return ZoneInfo(name)
    shown = repr(name if isinstance(name, str) else type(name).__name__)[: MAX_ZONE_LENGTH + 2]
    raise BadInput(f"timezone {shown} is unknown: give an IANA name such as Europe/Berlin")


@frozen
class Schedule:
    """When something is due: a cron line, read on the clocks of a time zone (IANA name).

    `cron` is kept with single spaces and nicknames written out.

    Raises: BadInput, naming the field at fault, for what cannot be read or is never due.
    """

    cron: str = field(converter=_cron)
    timezone: str = "UTC"
    _tz: ZoneInfo = field(
        init=False, repr=False, eq=False, default=Factory(lambda self: _zone(self.timezone), takes_self=True)
    )

    def next_times(self, after: datetime, count: int) -> list[datetime]:
        """The first `count` due times after `after`, in order, in UTC; fewer only at the end of the calendar.

        Raises: ValueError for a time without a zone.
        """
        return list(islice(self._after(_utc(after)), count))

    def due(self, last_considered: datetime, now: datetime, staleness_s: float = STALENESS_S) -> Due:
        """What is due of the times after `last_considered`, up to and including `now`.

        The latest of them is to be run if it is at most `staleness_s` old; all others were missed. If `now`
        is not after `last_considered`, nothing is due.

        Raises: ValueError for times without a zone.
        """
        times = self._newest(_utc(last_considered), _utc(now))
        run = times.pop() if times and (_utc(now) - times[-1]).total_seconds() <= staleness_s else None
        return Due(run, tuple(times[-MAX_MISSED:]), min(len(times), MAX_COUNTED))

    def _newest(self, start: datetime, end: datetime) -> list[datetime]:
        """The due times from after `start` to `end`; where they are more than 10,000, that many newest ones
        or some more.
        """
        times: list[datetime] = []
        span = _DAY
        while start < end and len(times) <= MAX_COUNTED:
            since = end - span if end - start > span else start
            times[:0] = takewhile(end.__ge__, self._after(since))
            end, span = since, 2 * span
        return times

    def _after(self, after: datetime) -> Iterator[datetime]:
        minute, hour, *_ = self.cron.split(" ")
        follows_clock = minute.startswith("*") or hour.startswith("*")
        with suppress(OverflowError):  # year 9999
            yield from self._shown(after) if follows_clock else self._once(after)

    def _once(self, after: datetime) -> Iterator[datetime]:
        """Each matching time on the wall clock, once."""
        for wall in CronSim(self.cron, after.astimezone(self._tz).replace(tzinfo=None)):
            instants = self._instants(wall)
            due = instants[0] if instants else self._end_of_gap(wall)
            if due > after:  # not the end of a gap again, nor the first showing of a time shown again
                yield due
                after = due

    def _shown(self, after: datetime) -> Iterator[datetime]:
        """Each instant at which the wall clock shows a matching time."""
        local = after.astimezone(self._tz)
        # What the clock is about to show again is before what it shows now.
        back = _offset(local) - _offset(local.replace(fold=1))
        again: deque[datetime] = deque()
        for wall in CronSim(self.cron, local.replace(tzinfo=None) - back):
            if (instants := self._instants(wall)) is None:
                continue
            first, second = instants
            while again and again[0] < first:
                yield again.popleft()
            if first > after:
                yield first
            if second > after and second != first:
                again.append(second)

    def _instants(self, wall: datetime) -> tuple[datetime, datetime] | None:
        """When the clock shows `wall` first and last; `None` where it skips it (PEP 495)."""
        local = wall.replace(tzinfo=self._tz)
        first = local.astimezone(UTC)
        if first.astimezone(self._tz).replace(tzinfo=None) != wall:
            return None
        return first, local.replace(fold=1).astimezone(UTC)

    def _end_of_gap(self, wall: datetime) -> datetime:
        """When the clock is put forward over `wall`."""
        local = wall.replace(tzinfo=self._tz)
        after = _offset(local.replace(fold=1))
        start, length = wall - after, after - _offset(local)

        def is_over(seconds: int) -> bool:
            instant = start.replace(tzinfo=UTC) + seconds * _SECOND
            return _offset(instant.astimezone(self._tz)) == after

        seconds = bisect_left(range(int(length.total_seconds())), True, key=is_over)
        return start.replace(tzinfo=UTC) + seconds * _SECOND


def _offset(local: datetime) -> timedelta:
    return local.utcoffset() or timedelta()


def _utc(time: datetime) -> datetime:
    if time.utcoffset() is None:
        raise ValueError(f"{time} has no time zone")
    return time.astimezone(UTC)
