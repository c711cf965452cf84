"""Time zones as text and back, without running or importing anything that the text says."""

import re
from datetime import UTC, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

_OFFSET: Final = re.compile(r"([+-])(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{6}))?)?")
_NAME: Final = re.compile(r"[A-Za-z0-9_+-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,3}")


class NotKeptError(ValueError):
    """A value cannot be kept, or a document cannot have been written by us; the message says why, in the
    middle of a sentence.
    """


def zone_text(zone: tzinfo) -> str:
    """`zone` as `UTC`, `+02:00` or an IANA name (`zone:UTC` for the IANA zone of that name).

    Raises: NotKeptError for a zone that would not come back equal.
    """
    if type(zone) is timezone:
        return _offset_text(zone)
    if type(zone) is ZoneInfo and zone.key is not None:
        text = f"zone:{zone.key}" if zone.key == "UTC" else zone.key
        if zone_from_text(text) == zone:
            return text
    raise NotKeptError(f"the time zone {str(zone)[:40]!r} is neither UTC, a fixed offset nor an IANA zone")


def _offset_text(zone: timezone) -> str:
    offset = zone.utcoffset(None)
    if zone.tzname(None) != timezone(offset).tzname(None):
        raise NotKeptError(f"the time zone {zone.tzname(None)[:40]!r} is a named offset")
    # Python's own text of an offset: "UTC", or "UTC" and "+HH:MM[:SS[.ffffff]]".
    return zone.tzname(None)[3:] or "UTC"


@lru_cache(maxsize=1024)
def zone_from_text(text: Any) -> tzinfo:
    """The zone that `zone_text` wrote.

    Raises: NotKeptError.
    """
    if not isinstance(text, str):
        raise NotKeptError("a time zone is malformed")
    if text == "UTC":
        return UTC
    if match := _OFFSET.fullmatch(text):
        return _offset(match)
    name = text.removeprefix("zone:")
    if not _NAME.fullmatch(name):
        raise NotKeptError(f"the time zone {text[:40]!r} is malformed")
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise NotKeptError(f"the time zone {name!r} is unknown") from error


def _offset(match: re.Match[str]) -> timezone:
    sign, hours, minutes, seconds, microseconds = match.groups("0")
    size = timedelta(
        hours=int(hours), minutes=int(minutes), seconds=int(seconds), microseconds=int(microseconds)
    )
    try:
        return timezone(-size if sign == "-" else size)
    except ValueError as error:
        raise NotKeptError(f"the offset {match.group()} is a day or more") from error
