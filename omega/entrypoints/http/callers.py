"""Who sends a request: by the key in its `Authorization`, and how often somebody may be wrong."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Final

from attrs import define, field, frozen

from omega.domain.access import OWNER
from omega.domain.errors import Unauthorized
from omega.domain.keys import Caller, Callers, Credentials
from omega.entrypoints.http.errors import TooManyAttempts
from omega.entrypoints.http.headers import REQUEST_ID

_log: Final = logging.getLogger("omega.http")
MAX_FAILURES: Final = 10
WINDOW_S: Final = 60.0
_REMEMBERED: Final = 10_000

Enter = Callable[[Mapping[str, Any]], Caller]


def anybody(environ: Mapping[str, Any]) -> Caller:
    """A caller with all rights: for an application that nobody else can reach."""
    return Caller(None, OWNER)


@define
class Failures:
    """Counts who was wrong how often within a minute. Of those who were, the latest 10,000 are remembered."""

    clock: Callable[[], float] = time.monotonic
    _lock: Lock = field(factory=Lock, init=False, repr=False)
    _by_who: OrderedDict[str, tuple[float, int]] = field(factory=OrderedDict, init=False, repr=False)

    def count(self, who: str) -> tuple[int, float]:
        """Count one more of somebody: how many there are now, and for how many seconds they count."""
        now = self.clock()
        with self._lock:
            since, count = self._by_who.pop(who, (now, 0))
            if now - since >= WINDOW_S:
                since, count = now, 0
            self._by_who[who] = since, count + 1
            while len(self._by_who) > _REMEMBERED:
                self._by_who.popitem(last=False)
        return count + 1, WINDOW_S - (now - since)


@frozen
class Entry:
    """Finds out who calls. A valid key is always let in, however many others were wrong at the same address
    or under the same name; those who are wrong too often are told to wait, and nothing waits for them here.
    """

    callers: Callers
    failures: Failures = field(factory=Failures, repr=False)

    def __call__(self, environ: Mapping[str, Any]) -> Caller:
        """Who calls.

        Raises: Unauthorized; TooManyAttempts.
        """
        credentials = credentials_of(environ)
        try:
            return self.callers.caller(credentials)
        except Unauthorized:
            if credentials is not None:
                self._refused(credentials, environ)
            raise

    def _refused(self, credentials: Credentials, environ: Mapping[str, Any]) -> None:
        """Count it, and say so in the log: of each address the first ten a minute."""
        address = str(environ.get("REMOTE_ADDR", ""))
        user = credentials.user or ""
        at_address, wait_s = self.failures.count(f"address {address}")
        if at_address <= MAX_FAILURES:
            # repr: what a stranger sends must not look like a line of the log's own.
            _log.warning(
                "request %s from %s: a key for user %r is not valid",
                environ.get(REQUEST_ID, ""),
                address,
                user[:80],
            )
        if user:
            of_user, longer_s = self.failures.count(f"user {user[:255]}")
            at_address, wait_s = max((at_address, wait_s), (of_user, longer_s))
        if at_address > MAX_FAILURES:
            raise TooManyAttempts(
                f"too many keys that are not valid: wait {int(wait_s) + 1} seconds before the next",
                headers=(("Retry-After", str(int(wait_s) + 1)),),
            )


def credentials_of(environ: Mapping[str, Any]) -> Credentials | None:
    """The key in `Authorization: ApiKey USER:KEY` or `Bearer KEY` (RFC 6750), where there is one.

    Raises: nothing: another scheme is no key.
    """
    scheme, _, rest = environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return Credentials(rest.strip())
        case "apikey":
            user, _, key = rest.strip().rpartition(":")
            return Credentials(key, user.encode("latin-1").decode("utf-8", "replace"))
    return None
