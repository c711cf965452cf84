"""Identifiers that sort by the time of their making.

The form is that of ULID (https://github.com/ulid/spec) in lower case: 48 bits of milliseconds since 1970 and
80 random bits, in Crockford's base 32.
"""

import os
import secrets
import time
from collections.abc import Callable
from threading import Lock
from typing import Final

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH: Final = 26
_RANDOM_BITS: Final = 80
_STEP_BITS: Final = 64


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class TimeOrderedIds:
    """An `Ids`; within one process each id sorts after all earlier ones, also when the clock is set back."""

    def __init__(self, *, now_ms: Callable[[], int] = _now_ms) -> None:
        self._now_ms = now_ms
        self._last = 0
        self._renew_lock()
        # A lock that another thread holds at a fork stays held in the child for ever.
        os.register_at_fork(after_in_child=self._renew_lock)

    def new(self) -> str:
        """26 characters of `0-9a-z` that no process gave before; see `Ids.new`."""
        with self._lock:
            number = self._now_ms() << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
            if number <= self._last:
                # A random step, not one: a process and its fork go on from the same number and stay apart.
                number = self._last + 1 + secrets.randbits(_STEP_BITS)
            self._last = number
        return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))

    def _renew_lock(self) -> None:
        self._lock = Lock()
