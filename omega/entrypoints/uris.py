"""Where things are in the REST API, and how it shows times and addresses."""

from datetime import datetime
from typing import Final
from urllib.parse import quote

_MASK: Final = "***"
#: Options of stores and queues that may be shown; any other may be a secret.
_HARMLESS: Final = frozenset({"authsource", "db", "directconnection", "replicaset", "ssl", "sslmode", "tls"})


def resource_uri(resource: str, name: str) -> str:
    """The URI of an object."""
    return f"/api/v1/{resource}/{quote(name, safe='/')}/"


def stamp(time: datetime) -> str:
    """A time as the REST API shows it: UTC, to the microsecond, `2016-01-16 22:05:06.192000`."""
    return time.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def without_secrets(url: str) -> str:
    """A URL as it may be shown: who logs in, and all options but a few harmless ones, are masked.

    >>> without_secrets("mongodb://me:secret@h1,h2/omega?replicaSet=rs0&tlsCertificateKeyFilePassword=x")
    'mongodb://***@h1,h2/omega?replicaSet=rs0&tlsCertificateKeyFilePassword=***'
    """
    scheme, sign, rest = url.partition("://")
    # A password may hold what ends the authority of a proper URL: all up to the last @ goes.
    login, at, rest = rest.rpartition("@")
    place, mark, query = rest.partition("?")
    options = [option.partition("=") for option in query.split("&")]
    shown = [f"{name}={value if name.lower() in _HARMLESS else _MASK}" for name, _, value in options]
    return f"{scheme}{sign}{_MASK + at if login else at}{place}{mark}{'&'.join(shown) if query else ''}"
