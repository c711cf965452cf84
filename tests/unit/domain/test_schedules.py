"""Schedules against a walk through all minutes, against cronsim's own clock changes, and by their rules."""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from omega.domain.errors import BadInput
from omega.domain.schedules import MAX_COUNTED, MAX_MISSED, Due, Schedule

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
#: Zones whose clocks change by an hour, by half an hour, by two, at midnight, and never.
ZONES = [
    BERLIN,
    NEW_YORK,
    LORD_HOWE,
    "Antarctica/Troll",
    "America/Santiago",
    "Africa/Cairo",
    "Asia/Kolkata",
    "UTC",
]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shown(times: list[datetime], zone: str) -> list[str]:
    """The times as a clock of the zone shows them."""
    return [f"{time.astimezone(ZoneInfo(zone)):%d %H:%M%z}" for time in times]


def within(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    """The due times from after `start` to `end`."""
    times = schedule.next_times(start, 5)
    while times and times[-1] <= end:
        times += schedule.next_times(times[-1], 200)
    return [time for time in times if time <= end]


# what is accepted


@pytest.mark.parametrize(
    ("cron", "kept"),
    [
        ("0 0 * * *", "0 0 * * *"),
        ("  */5\t0-6/2,12  1,15 * MON-FRI ", "*/5 0-6/2,12 1,15 * MON-FRI"),
        ("0 0 * jan sun", "0 0 * jan sun"),
        ("0 0 L * *", "0 0 L * *"),
        ("0 0 LW * *", "0 0 LW * *"),
        ("0 0 * * MON#2", "0 0 * * MON#2"),
        ("0 0 * * 5L", "0 0 * * 5L"),
        ("0 0 29 2 *", "0 0 29 2 *"),
        ("0 0 29 2 */7", "0 0 29 2 */7"),
        ("0 0 31 1-12 *", "0 0 31 1-12 *"),
        ("0 0 30 2 MON", "0 0 30 2 MON"),
        ("0 0 * * 7", "0 0 * * 7"),
        ("@daily", "0 0 * * *"),
        ("@Midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ],
)
def test_cron_lines_are_kept(cron: str, kept: str) -> None:
    schedule = Schedule(cron, BERLIN)
    assert (schedule.cron, schedule.timezone) == (kept, BERLIN)
    assert schedule == Schedule(kept, BERLIN)
    assert schedule != Schedule(kept, NEW_YORK)
    assert schedule.next_times(utc("2026-01-01"), 3) == Schedule(kept, BERLIN).next_times(
        utc("2026-01-01"), 3
    )


@pytest.mark.parametrize(
    ("cron", "told"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("0 0 0 * * * 2026", "five fields"),
        ("@reboot", "@hourly"),
        ("@every 5m", "@hourly"),
        ("@daily *", "@hourly"),
        ("60 * * * *", "minute '60' is not made of 0 to 59"),
        ("-1 * * * *", "minute '-1'"),
        ("5-1 * * * *", "minute '5-1'"),
        ("*/0 * * * *", "minute '*/0'"),
        ("*/90 * * * *", "minute '*/90' has a step over 59"),
        ("1,,2 * * * *", "minute '1,,2'"),
        (",".join(["1"] * 90) + ",60 * * * *", "minute "),
        ("x * * * *", "minute 'x'"),
        ("L * * * *", "minute 'L'"),
        ("0 24 * * *", "hour '24' is not made of 0 to 23"),
        ("0 */24 * * *", "hour '*/24' has a step over 23"),
        ("0 0 0 * *", "day-of-month '0'"),
        ("0 0 32 * *", "day-of-month '32'"),
        ("0 0 */31 * *", "day-of-month '*/31' has a step"),
        ("0 0 * 13 *", "month '13'"),
        ("0 0 * 0 *", "month '0'"),
        ("0 0 * JUNE *", "month 'JUNE'"),
        ("0 0 * MON *", "month 'MON'"),
        ("0 0 * * 8", "day-of-week '8'"),
        ("0 0 * * MON#6", "day-of-week 'MON#6'"),
        ("0 0 * * L", "day-of-week 'L'"),
        ("0 0 ? * *", "five fields of numbers"),
        ("0 0 * * *; rm", "five fields"),
        ("0 0 30 2 *", "never due: there is no day-of-month '30' in month '2'"),
        ("0 0 31 4,6,9,11 *", "never due: there is no day-of-month '31' in month '4,6,9,11'"),
        ("0 0 1 1 *#6", "day-of-week '*#6'"),
        (
            "0 0 */30 2 MON#5",
            "never due: there is no day-of-month '*/30' in month '2' on day-of-week 'MON#5'",
        ),
        ("\u0661 * * * *", "five fields of numbers"),
        ("0 0 * * fr\u0131", "five fields of numbers"),
        ("0 0 * * *\n0 1 * * *", "five fields"),
        ("* " * 101, "at most 200 characters"),
        ("1" * 10_000_000, "at most 200 characters"),
        (None, "cron is text"),
        (5, "cron is text"),
    ],
)
def test_other_lines_are_refused_naming_the_field(cron: str, told: str) -> None:
    with pytest.raises(BadInput) as caught:
        Schedule(cron, "UTC")
    assert told in str(caught.value)
    assert "cron" in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "zone", [*ZONES, "Etc/GMT+5", "America/Argentina/Buenos_Aires", "Etc/UTC", "EST5EDT"]
)
def test_zones_are_kept(zone: str) -> None:
    assert Schedule("0 0 * * *", zone).timezone == zone


@pytest.mark.parametrize(
    "zone",
    [
        "",
        "Europe",
        "Europe/",
        "Europe/Nowhere",
        "europe/berlin",
        "Berlin",
        "CEST-2",
        "../etc/passwd",
        "/etc/localtime",
        "Europe/../Europe/Berlin",
        "localtime",
        "posixrules",
        "Factory",
        "right/Europe/Berlin",
        "posix/Europe/Berlin",
        "zone.tab",
        "tzdata.zi",
        "Europe/Berlin\0",
        "Europe/Berlin\n",
        "Europe/\ud800",
        "A" * 10_000,
        "A/" * 30 + "B",
        None,
        1,
        UTC,
    ],
)
def test_other_zones_are_refused(zone: str) -> None:
    with pytest.raises(BadInput, match=r"timezone .* is unknown") as caught:
        Schedule("0 0 * * *", zone)
    assert len(str(caught.value)) < 200


@settings(max_examples=150)
@given(
    st.text(max_size=30) | st.from_regex(r"([0-9*,/#LW-]{1,5} ){4}[0-9*,/#LWMON-]{1,5}", fullmatch=True),
    st.text(),
)
def test_any_text_is_a_schedule_or_bad_input(cron: str, zone: str) -> None:
    try:
        schedule = Schedule(cron, BERLIN)
    except BadInput:
        pass
    else:
        assert len(schedule.next_times(utc("2026-01-01"), 3)) == 3
    with pytest.raises(BadInput):
        Schedule("0 0 * * *", zone + "?")


# lines for the tests below


@st.composite
def fields(draw: st.DrawFn, least: int, most: int) -> str:
    number = st.integers(least, most)
    kind = draw(st.sampled_from(["*", "*/", "number", "list", "range", "range/"]))
    if kind == "*":
        return "*"
    if kind == "*/":
        return f"*/{draw(st.integers(1, most - least))}"
    if kind in ("number", "list"):
        return ",".join(map(str, draw(st.lists(number, min_size=1, max_size=1 if kind == "number" else 5))))
    first, last = sorted((draw(number), draw(number)))
    step = f"/{draw(st.integers(1, 20))}" if kind == "range/" and first < last else ""
    return f"{first}-{last}" + (step if int(step[1:] or 0) <= most - least else "")


@cache
def values(text: str, least: int, most: int) -> frozenset[int]:
    """What a field allows, read in a second way."""
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{least}-{most}" if span == "*" else span).partition("-")
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return frozenset(found)


def matches(cron: str, wall: datetime) -> bool:
    minute, hour, day, month, weekday = cron.split()
    days = wall.day in values(day, 1, 31)
    weekdays = bool({wall.isoweekday(), wall.isoweekday() % 7} & values(weekday, 0, 7))
    both = day.startswith("*") or weekday.startswith("*")
    return (
        wall.minute in values(minute, 0, 59)
        and wall.hour in values(hour, 0, 23)
        and wall.month in values(month, 1, 12)
        and ((days and weekdays) if both else (days or weekdays))
    )


lines = st.tuples(
    fields(0, 59),
    fields(0, 23),
    st.sampled_from(["*", "*/2", "1-31"]),
    st.just("*"),
    st.sampled_from(["*", "0-6"]),
).map(" ".join)
sparse_lines = st.tuples(fields(0, 59), fields(0, 23), fields(1, 28), fields(1, 12), fields(0, 7)).map(
    " ".join
)
zones = st.sampled_from(ZONES)
moments = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))


@cache
def changes(zone: str) -> tuple[datetime, ...]:
    """The hours of UTC in which the clocks of the zone change, 2024 to 2027."""
    hours = [utc("2024-01-01") + n * HOUR for n in range(4 * 366 * 24)]
    offsets = [hour.astimezone(ZoneInfo(zone)).utcoffset() for hour in hours]
    return tuple(hours[n] for n in range(len(hours) - 1) if offsets[n] != offsets[n + 1])


@st.composite
def near_changes(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone and a time within some hours of a change of its clocks."""
    zone = draw(st.sampled_from(ZONES[:-2]))
    return zone, draw(st.sampled_from(changes(zone))) + draw(st.integers(-600, 600)) * MINUTE


def walk(cron: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """The due times, found by a look at every minute."""
    margin = 30 * HOUR  # a gap, and what stands in it, may begin before
    instants = [start - margin + n * MINUTE for n in range(int((end - start + 2 * margin) / MINUTE))]
    walls = [instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for instant in instants]
    if cron.startswith("*") or cron.split()[1].startswith("*"):
        found = [instant for instant, wall in zip(instants, walls, strict=True) if matches(cron, wall)]
    else:
        firsts: dict[datetime, datetime] = {}
        furthest: list[datetime] = []  # the latest wall time up to each instant
        for instant, wall in zip(instants, walls, strict=True):
            firsts.setdefault(wall, instant)
            furthest.append(max(wall, furthest[-1]) if furthest else wall)
        every = [walls[0] + n * MINUTE for n in range(int((furthest[-1] - walls[0]) / MINUTE))]
        # A time that no clock shows is due at the first instant after it.
        found = [
            firsts.get(wall) or instants[bisect_left(furthest, wall)] for wall in every if matches(cron, wall)
        ]
    return sorted({time for time in found if start < time <= end})


# next times


@settings(max_examples=60)
@given(lines, near_changes())
@example("30 2 * * *", (BERLIN, utc("2026-03-29T00:30")))
@example("45 * * * *", (LORD_HOWE, utc("2026-04-04T13:00")))
@example("0 */2 * * *", (LORD_HOWE, utc("2026-04-04T13:00")))
def test_around_changes_of_the_clock_they_are_those_of_a_walk(cron: str, place: tuple[str, datetime]) -> None:
    zone, start = place
    end = start + 14 * HOUR
    assert within(Schedule(cron, zone), start, end) == walk(cron, zone, start, end)


@settings(max_examples=30)
@given(lines, zones, moments)
def test_anywhere_they_are_those_of_a_walk(cron: str, zone: str, start: datetime) -> None:
    start = start.replace(second=0, microsecond=0)
    assert within(Schedule(cron, zone), start, start + DAY) == walk(cron, zone, start, start + DAY)


@given(sparse_lines, zones, moments)
def test_they_increase_and_match_the_fields_on_the_clock(cron: str, zone: str, after: datetime) -> None:
    try:
        schedule = Schedule(cron, zone)
    except BadInput:
        assume(False)
    times = schedule.next_times(after, 20)
    assert len(times) == 20
    assert all(one < other for one, other in pairwise([after, *times]))
    for time in times:
        assert time.tzinfo is UTC
        assert (time.second, time.microsecond) == (0, 0)
        local = time.astimezone(ZoneInfo(zone))
        if all((local + n * HOUR).utcoffset() == local.utcoffset() for n in (-3, 3)):
            assert matches(cron, local)


@settings(max_examples=60)
@given(lines, near_changes(), st.integers(0, 3600 * 6))
def test_they_do_not_depend_on_where_one_starts(cron: str, place: tuple[str, datetime], seconds: int) -> None:
    zone, start = place
    schedule, later = Schedule(cron, zone), start + timedelta(seconds=seconds)
    assert within(schedule, later, start + DAY) == [
        t for t in within(schedule, start, start + DAY) if t > later
    ]


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK])
@pytest.mark.parametrize(
    "cron",
    ["30 2 * * *", "0 * * * *", "*/20 * * * *", "15,45 1-3 * * *", "*/30 2 * * *", "7 */2 * * *",
     "0 3 * * SUN", "59 1 * * *", "0 0 1 */3 *", "0 2 L * *"],
)  # fmt: skip
def test_they_are_those_of_cronsim_where_clocks_change_by_an_hour(cron: str, zone: str) -> None:
    for start, end in ((utc("2026-02-27"), utc("2026-04-05")), (utc("2026-10-20"), utc("2026-11-05"))):
        expected = []
        for time in CronSim(cron, start.astimezone(ZoneInfo(zone))):
            if time.astimezone(UTC) > end:
                break
            expected.append(time.astimezone(UTC))
        assert within(Schedule(cron, zone), start, end) == expected


def test_a_time_is_not_after_itself() -> None:
    schedule = Schedule("0 12 * * *", BERLIN)
    noon = utc("2026-01-01T11:00")
    assert schedule.next_times(noon - timedelta(microseconds=1), 2) == [noon, noon + DAY]
    assert schedule.next_times(noon, 1) == [noon + DAY]
    assert schedule.next_times(noon + timedelta(microseconds=1), 1) == [noon + DAY]
    assert schedule.next_times(noon, 0) == []


def test_times_in_another_zone_are_the_same_times() -> None:
    schedule = Schedule("0 12 * * *", BERLIN)
    after = utc("2026-06-01T09:59")
    expected = [utc("2026-06-01T10:00")]
    assert schedule.next_times(after.astimezone(timezone(timedelta(hours=-7))), 1) == expected
    assert (
        schedule.due(after.astimezone(ZoneInfo(NEW_YORK)), expected[0].astimezone(ZoneInfo(BERLIN))).run
        == expected[0]
    )


def test_times_without_a_zone_are_refused() -> None:
    schedule = Schedule("0 12 * * *")
    naive = datetime(2026, 1, 1)
    with pytest.raises(ValueError, match="no time zone"):
        schedule.next_times(naive, 1)
    for start, end in ((naive, utc("2026-01-01")), (utc("2026-01-01"), naive)):
        with pytest.raises(ValueError, match="no time zone"):
            schedule.due(start, end)


def test_the_calendar_ends() -> None:
    schedule = Schedule("0 0 1 1 *", BERLIN)
    assert len(schedule.next_times(datetime(9998, 6, 1, tzinfo=UTC), 5)) <= 1
    assert Schedule("* * * * *", NEW_YORK).next_times(datetime.max.replace(tzinfo=UTC), 5) == []
    first = datetime.min.replace(tzinfo=UTC)
    assert Schedule("* * * * *").due(first, first + 3 * MINUTE, 0).missed_count == 2


def test_rare_days_are_found() -> None:
    leap = Schedule("0 0 29 2 *").next_times(utc("2095-01-01"), 3)
    assert [time.year for time in leap] == [2096, 2104, 2108]
    friday = Schedule("0 0 13 * */5,5").next_times(utc("2026-01-01"), 3)
    assert [f"{time:%m-%d %a}" for time in friday] == ["02-13 Fri", "03-13 Fri", "09-13 Sun"]


# changes of the clock, by example


@pytest.mark.parametrize(
    ("zone", "cron", "start", "expected"),
    [
        # Europe/Berlin: 02:00 becomes 03:00 on 29 March, 03:00 becomes 02:00 on 25 October.
        (BERLIN, "30 2 * * *", "2026-03-28T00:00",
         ["28 02:30+0100", "29 03:00+0200", "30 02:30+0200"]),
        (BERLIN, "0,30 2,3 * * *", "2026-03-29T00:00",
         ["29 03:00+0200", "29 03:30+0200", "30 02:00+0200"]),
        (BERLIN, "0 * * * *", "2026-03-28T23:30",
         ["29 01:00+0100", "29 03:00+0200", "29 04:00+0200"]),
        (BERLIN, "*/30 * * * *", "2026-03-29T00:10",
         ["29 01:30+0100", "29 03:00+0200", "29 03:30+0200"]),
        (BERLIN, "*/30 2 * * *", "2026-03-28T12:00",
         ["30 02:00+0200", "30 02:30+0200", "31 02:00+0200"]),
        (BERLIN, "30 2 * * *", "2026-10-24T12:00",
         ["25 02:30+0200", "26 02:30+0100", "27 02:30+0100"]),
        (BERLIN, "30 2 * * *", "2026-10-25T01:10",
         ["26 02:30+0100", "27 02:30+0100", "28 02:30+0100"]),
        (BERLIN, "0 * * * *", "2026-10-24T23:30",
         ["25 02:00+0200", "25 02:00+0100", "25 03:00+0100"]),
        (BERLIN, "*/30 * * * *", "2026-10-25T00:10",
         ["25 02:30+0200", "25 02:00+0100", "25 02:30+0100", "25 03:00+0100"]),
        (BERLIN, "*/30 2 * * *", "2026-10-24T12:00",
         ["25 02:00+0200", "25 02:30+0200", "25 02:00+0100", "25 02:30+0100", "26 02:00+0100"]),
        # America/New_York: 02:00 becomes 03:00 on 8 March, 02:00 becomes 01:00 on 1 November.
        (NEW_YORK, "15 2 * * *", "2026-03-08T00:00",
         ["08 03:00-0400", "09 02:15-0400"]),
        (NEW_YORK, "15 * * * *", "2026-03-08T06:00",
         ["08 01:15-0500", "08 03:15-0400", "08 04:15-0400"]),
        (NEW_YORK, "30 1 * * *", "2026-10-31T12:00",
         ["01 01:30-0400", "02 01:30-0500"]),
        (NEW_YORK, "15 * * * *", "2026-11-01T04:00",
         ["01 00:15-0400", "01 01:15-0400", "01 01:15-0500", "01 02:15-0500"]),
        # Australia/Lord_Howe: 02:00 becomes 01:30 on 5 April, 02:00 becomes 02:30 on 4 October.
        (LORD_HOWE, "15 2 * * *", "2026-10-03T00:00",
         ["04 02:30+1100", "05 02:15+1100"]),
        (LORD_HOWE, "15,45 2 * * *", "2026-10-03T00:00",
         ["04 02:30+1100", "04 02:45+1100", "05 02:15+1100"]),
        (LORD_HOWE, "*/15 * * * *", "2026-10-03T15:20",
         ["04 02:30+1100", "04 02:45+1100", "04 03:00+1100"]),
        (LORD_HOWE, "0 * * * *", "2026-10-03T14:00",
         ["04 01:00+1030", "04 03:00+1100"]),
        (LORD_HOWE, "45 1 * * *", "2026-04-04T00:00",
         ["05 01:45+1100", "06 01:45+1030"]),
        (LORD_HOWE, "45 * * * *", "2026-04-04T14:00",
         ["05 01:45+1100", "05 01:45+1030", "05 02:45+1030"]),
        (LORD_HOWE, "0 */2 * * *", "2026-04-04T12:00",
         ["05 00:00+1100", "05 02:00+1030", "05 04:00+1030"]),
        # Africa/Cairo: 24 April begins at 01:00; 30 October begins for a second time at 23:00 of the 29th.
        ("Africa/Cairo", "0 0 * * *", "2026-04-23T00:00",
         ["24 01:00+0300", "25 00:00+0300"]),
        ("Africa/Cairo", "0 * 29 * *", "2026-10-29T19:30",
         ["29 23:00+0300", "29 23:00+0200", "29 00:00+0200"]),
    ],
)  # fmt: skip
def test_when_the_clocks_change(zone: str, cron: str, start: str, expected: list[str]) -> None:
    assert shown(Schedule(cron, zone).next_times(utc(start), len(expected)), zone) == expected


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK])
@pytest.mark.parametrize(
    ("cron", "step"), [("0 * * * *", HOUR), ("* * * * *", MINUTE), ("*/15 * * * *", 15 * MINUTE)]
)
def test_what_runs_hourly_runs_in_each_hour_that_passes(zone: str, cron: str, step: timedelta) -> None:
    for start in ("2026-03-08", "2026-03-29", "2026-10-25", "2026-11-01"):
        times = within(Schedule(cron, zone), utc(start) - DAY, utc(start) + DAY)
        assert {other - one for one, other in pairwise(times)} == {step}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("minute", range(0, 24 * 60, 47))
def test_what_has_a_time_of_day_is_due_once_a_day(zone: str, minute: int) -> None:
    schedule = Schedule(f"{minute % 60} {minute // 60} * * *", zone)
    times = within(schedule, utc("2026-01-01"), utc("2027-01-01"))
    assert len(times) == 365
    assert len({time.astimezone(ZoneInfo(zone)).date() for time in times}) == 365


# what is due

EVERY_10 = Schedule("*/10 * * * *")
AT = utc("2026-05-01T12:00")


def test_what_is_due_now_is_run() -> None:
    assert EVERY_10.due(AT - MINUTE, AT) == Due(AT)
    assert EVERY_10.due(AT - MINUTE, AT + 2 * MINUTE) == Due(AT)


def test_nothing_is_due_between_the_times() -> None:
    assert EVERY_10.due(AT, AT + 9 * MINUTE) == Due()
    assert EVERY_10.due(AT, AT) == Due()


def test_a_clock_that_was_set_back_makes_nothing_due() -> None:
    assert EVERY_10.due(AT, AT - 365 * DAY) == Due()


def test_a_missed_time_is_run_while_it_is_young() -> None:
    daily = Schedule("0 12 * * *")
    for late in (0 * MINUTE, 30 * MINUTE, 60 * MINUTE):
        assert daily.due(AT - HOUR, AT + late) == Due(AT)
    stale = AT + 60 * MINUTE + timedelta(microseconds=1)
    assert daily.due(AT - HOUR, stale) == Due(None, (AT,), 1)
    assert daily.due(AT - HOUR, AT + 60 * MINUTE, 3599.9) == Due(None, (AT,), 1)
    assert daily.due(AT - HOUR, AT + 3 * DAY, 1e9).run == AT + 3 * DAY
    assert daily.due(AT - HOUR, AT, 0) == Due(AT)


def test_of_several_only_the_latest_is_run() -> None:
    expected = tuple(AT + n * MINUTE for n in (10, 20, 30))
    assert EVERY_10.due(AT, AT + 45 * MINUTE) == Due(AT + 40 * MINUTE, expected, 3)
    assert EVERY_10.due(AT, AT + 45 * MINUTE, 60) == Due(None, (*expected, AT + 40 * MINUTE), 4)


def test_the_newest_missed_are_kept_and_all_are_counted() -> None:
    due = Schedule("* * * * *").due(AT, AT + 5 * DAY)
    assert due.run == AT + 5 * DAY
    assert due.missed == tuple(AT + 5 * DAY - n * MINUTE for n in range(MAX_MISSED, 0, -1))
    assert due.missed_count == 5 * 24 * 60 - 1


def test_the_count_is_bounded() -> None:
    exact = Schedule("* * * * *").due(AT, AT + MAX_COUNTED * MINUTE, 1e9)
    assert exact.missed_count == MAX_COUNTED - 1
    assert Schedule("* * * * *").due(AT, AT + MAX_COUNTED * MINUTE, -1).missed_count == MAX_COUNTED
    long = Schedule("* * * * *").due(utc("1970-01-01"), AT)
    assert (long.run, long.missed[-1], len(long.missed)) == (AT, AT - MINUTE, MAX_MISSED)
    assert long.missed_count == MAX_COUNTED


def test_a_rare_schedule_is_counted_over_any_time() -> None:
    due = Schedule("0 0 29 2 *", BERLIN).due(utc("1970-01-01"), utc("2026-01-01"))
    assert (due.run, due.missed_count) == (None, 14)
    assert shown([due.missed[0], due.missed[-1]], BERLIN) == ["29 00:00+0100", "29 00:00+0100"]


def test_the_time_shown_twice_is_due_once() -> None:
    nightly = Schedule("30 2 * * *", BERLIN)
    first = utc("2026-10-25T00:30")
    assert nightly.due(first - MINUTE, first).run == first
    assert nightly.due(first, first + 2 * HOUR) == Due()


@settings(max_examples=60)
@given(lines | sparse_lines, near_changes(), st.lists(st.integers(0, 100_000), max_size=5), st.floats(0, 1e6))
def test_over_any_split_of_a_time_the_same_is_due(
    cron: str, place: tuple[str, datetime], cuts: list[int], staleness_s: float
) -> None:
    zone, start = place
    try:
        schedule = Schedule(cron, zone)
    except BadInput:
        assume(False)
    ends = [
        start,
        *(start + timedelta(seconds=cut) for cut in sorted(cuts)),
        start + timedelta(seconds=100_000),
    ]
    expected = within(schedule, start, ends[-1])
    counted, kept = 0, []
    for one, other in pairwise(ends):
        due = schedule.due(one, other, staleness_s)
        times = [*due.missed, *([due.run] if due.run else [])]
        counted += due.missed_count + (due.run is not None)
        assert all(one < time <= other for time in times)
        assert due.run is None or (other - due.run).total_seconds() <= staleness_s
        kept += times
    assert counted == len(expected)
    assert kept == sorted(kept)
    assert set(kept) <= set(expected)
    if len(expected) <= MAX_MISSED:
        assert kept == expected
    whole = schedule.due(start, ends[-1], 1e9)
    assert [*whole.missed, whole.run][-MAX_MISSED:] == (expected or [None])[-MAX_MISSED:]
