"""The database of a `mongodb://` URL: what is checked before it is used, and one client of it per process.

Writes are acknowledged by a majority of the members and by their journals, and reads go to the primary and
see only what a majority has: what was acknowledged is neither lost nor missed
(https://www.mongodb.com/docs/manual/reference/write-concern/, .../reference/read-concern-majority/).
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import pymongo
from pymongo import MongoClient, ReadPreference
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import (
    ConfigurationError,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
)
from pymongo.uri_parser import parse_uri

from omega.adapters.mongo.errors import AUTHENTICATION_FAILED, UNAUTHORIZED, codes_of, driver_errors

Document = dict[str, Any]

_PROMISES: Final[dict[str, Any]] = {
    "w": "majority",
    "journal": True,
    "readConcernLevel": "majority",
    "readPreference": "primary",
    "retryWrites": True,
    "retryReads": True,
    # For one operation, with all that the driver tries; and until it is said that nobody takes writes.
    "timeoutMS": 20_000,
    "serverSelectionTimeoutMS": 5_000,
    # A server that says nothing is given up after the sum of these, with the operations that wait for it.
    "connectTimeoutMS": 5_000,
    "heartbeatFrequencyMS": 2_000,
    "tz_aware": False,
    "appname": "omega",
}
#: What a URL may say besides: how to reach the servers, and as whom. The rest would undo what is promised.
_OPTIONS: Final = (
    "authMechanism", "authSource", "directConnection", "maxPoolSize", "replicaSet", "tls",
    "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames", "tlsCAFile", "tlsCertificateKeyFile",
    "tlsCertificateKeyFilePassword", "tlsCRLFile", "tlsInsecure",
)  # fmt: skip
_KNOWN: Final = frozenset(name.lower() for name in _OPTIONS)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_MAX_NAME_BYTES: Final = 63
_FORM: Final = (
    "The URL of a store in MongoDB is mongodb://[USER:PASSWORD@]HOST:PORT/DATABASE, with %XX for characters "
    "that have a meaning in URLs, and perhaps options after a ? that the driver can use."
)
_OF_THE_SERVER: Final = frozenset({"admin", "config", "local"})
#: What servers from 6.0 on say that they speak.
_MIN_WIRE_VERSION: Final = 17
#: A server that is not there is not waited for as long as a new primary is.
_REACHED_WITHIN_S: Final = 5.0
_MARKER: Final = "omega.marker"
_MARKER_ID: Final = "omega"
#: From 2 on the lengths of lists are kept (ADR 0028), which who knows nothing of it would leave as they are.
_VERSION: Final = 2


class UnusableStoreURL(ValueError):
    """The URL names no database that omega can keep its data in. The message never holds any part of the URL,
    which may be a password.
    """


class MongoDatabase:
    """A database, by the one client that each process has; a client that came over a fork is left alone.

    `snapshots`: whether several reads can see one state, as they can where there is a replica set.
    """

    def __init__(self, name: str, make_client: Callable[[], Any], *, snapshots: bool) -> None:
        self._name = name
        self._make_client = make_client
        self._clients: dict[int, MongoClient[Document]] = {}
        self._snapshots = snapshots

    @property
    def has_snapshots(self) -> bool:
        """Whether `snapshot` gives a session."""
        return self._snapshots

    @property
    def client(self) -> MongoClient[Document]:
        """This process's client."""
        pid = os.getpid()
        client = self._clients.get(pid)
        if client is None:
            client = self._make_client()
            # Of threads that come here at once one wins. A lock might be held across a fork.
            winner = self._clients.setdefault(pid, client)
            if winner is not client:
                client.close()
            client = winner
        return client

    def collection(self, name: str) -> Collection[Document]:
        """The collection of that name."""
        return self.client[self._name][name]

    @contextmanager
    def snapshot(self) -> Iterator[ClientSession]:
        """A session in which all reads see the state that the first one saw."""
        with self.client.start_session(snapshot=True) as session:
            yield session

    def server_time(self) -> datetime:
        """What the server's clock says, in UTC."""
        time: datetime = self.client.admin.command("hello")["localTime"]
        return time

    def close(self) -> None:
        """Close this process's client; a later call makes another."""
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            client.close()


def connect(url: str) -> MongoDatabase:
    """The database of `mongodb://[USER:PASSWORD@]HOST:PORT/DATABASE`, once it has been found fit for use; an
    empty one is marked as omega's. Any number of processes may do so at once.

    Raises: UnusableStoreURL; StoreUnavailable.
    """
    name, has_user = _parse(url)
    database = MongoDatabase(name, partial(MongoClient, url, **_PROMISES), snapshots=False)
    try:
        _ = database.client
    except (ValueError, TypeError, OSError, PyMongoError):
        raise UnusableStoreURL(_FORM) from None
    try:
        with driver_errors(), _refusals(has_user):
            hello = _greet(database.client)
            _claim(database)
        # A router in front of shards has no set of its own, but has snapshots.
        database._snapshots = "setName" in hello or hello.get("msg") == "isdbgrid"
    except BaseException:
        database.close()
        raise
    return database


def _parse(url: str) -> tuple[str, bool]:
    """The database that the URL names, and whether it names a user.

    Raises: UnusableStoreURL.
    """
    # The parser's words may quote the password, so they are left out of the tracebacks as well.
    try:
        query = urlsplit(url).query
        # The driver takes ; for &.
        if _CONTROL.search(url) or ";" in query:
            raise ValueError("illegal characters")
        names = {
            name.lower() for name, _ in parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        }
    except ValueError:
        raise UnusableStoreURL("The URL of the store cannot be read.") from None
    if not url.startswith("mongodb://"):
        raise UnusableStoreURL("The URL of a store in MongoDB begins with mongodb://.")
    if not names <= _KNOWN:
        raise UnusableStoreURL(
            f"The URL of the store holds an option that is not one of {', '.join(_OPTIONS)}."
        )
    try:
        parts = parse_uri(url, warn=False)
    except (ValueError, TypeError, OSError, PyMongoError):
        raise UnusableStoreURL(_FORM) from None
    database = parts["database"] or ""
    if not 1 <= len(database.encode()) <= _MAX_NAME_BYTES or parts["collection"]:
        raise UnusableStoreURL(
            "The URL of the store names no database: it ends with a / and a name of 1 to 63 bytes, no dot."
        )
    if database.lower() in _OF_THE_SERVER:
        raise UnusableStoreURL("The URL of the store names a database that is the server's own.")
    return database, parts["username"] is not None


def _greet(client: MongoClient[Document]) -> Document:
    """What the server says of itself, before it knows the user.

    Raises: UnusableStoreURL.
    """
    too_old = UnusableStoreURL("The MongoDB server of the URL is older than 6.0, which omega needs.")
    try:
        # Any member will do: that there is one at all is soon known, while a new primary is worth a wait.
        with pymongo.timeout(_REACHED_WITHIN_S):
            hello: Document = client.admin.command("hello", read_preference=ReadPreference.NEAREST)
    except ConfigurationError as error:
        # The driver has a lowest version of its own; it may also miss a package for a way to log in.
        raise (too_old if "wire version" in str(error) else UnusableStoreURL(_FORM)) from None
    if hello["maxWireVersion"] < _MIN_WIRE_VERSION:
        raise too_old
    return hello


@contextmanager
def _refusals(has_user: bool) -> Iterator[None]:
    """Turn what the server says of the user into words about the URL.

    Raises: UnusableStoreURL.
    """
    try:
        yield
    except OperationFailure as error:
        codes = codes_of(error)
        if AUTHENTICATION_FAILED in codes:
            raise UnusableStoreURL(
                "The MongoDB server does not accept the user and password of the URL (it looks them up in "
                "the URL's database, or in that of the option authSource)."
            ) from error
        if UNAUTHORIZED in codes and not has_user:
            raise UnusableStoreURL("The MongoDB server wants a user and a password in the URL.") from error
        if UNAUTHORIZED in codes:
            raise UnusableStoreURL(
                "The user of the URL may not read and write in its database: the role is readWrite."
            ) from error
        raise


def _claim(database: MongoDatabase) -> None:
    """Mark an empty database as omega's, and refuse one that is another's. That the user may write is seen by
    the way: the server asks for the permission also where the marker is there already.

    Raises: UnusableStoreURL.
    """
    marker = database.collection(_MARKER)
    # Changes nothing, and needs the right to.
    found = marker.find_one_and_update({"_id": _MARKER_ID}, {"$setOnInsert": {"version": _VERSION}})
    if found is None:
        # In this order: whoever makes another collection has made the marker before.
        there = set(marker.database.list_collection_names(authorizedCollections=True)) - {_MARKER}
        if there and marker.find_one({"_id": _MARKER_ID}) is None:
            raise UnusableStoreURL("The database of the URL is not empty, and what it holds is not omega's.")
        # Another process may have inserted it since.
        with suppress(DuplicateKeyError):
            marker.update_one({"_id": _MARKER_ID}, {"$setOnInsert": {"version": _VERSION}}, upsert=True)
        found = marker.find_one({"_id": _MARKER_ID}) or {"version": _VERSION}
    if found.get("version") == 1:
        marker.update_one({"_id": _MARKER_ID, "version": 1}, {"$set": {"version": _VERSION}})
        found = marker.find_one({"_id": _MARKER_ID}) or {}
    if found.get("version") != _VERSION:
        raise UnusableStoreURL(
            "The database of the URL was written by a newer omega, or its marker is not omega's."
        )
