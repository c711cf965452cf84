"""Where things are in the REST API, and how it shows times."""

from datetime import datetime
from urllib.parse import quote


def resource_uri(resource: str, name: str) -> str:
    """The URI of an object."""
    return f"/api/v1/{resource}/{quote(name, safe='/')}/"


def stamp(time: datetime) -> str:
    """A time as the REST API shows it: UTC, to the microsecond, `2016-01-16 22:05:06.192000`."""
    return time.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
