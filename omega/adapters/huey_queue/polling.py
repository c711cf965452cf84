"""Waiting for a message where nobody calls when there is one."""

import time
from collections.abc import Callable
from typing import Final

#: Half of the longest is what a message waits on average for an idle worker; it looks 20 times a second then,
#: which costs about a thousandth of a CPU.
_SHORTEST_SLEEP_S: Final = 0.005
_LONGEST_SLEEP_S: Final = 0.05


class Polling:
    """Gives a huey storage `take` by looking again and again."""

    #: huey's: what has waited longest, or `None` at once.
    dequeue: Callable[[], object | None]

    def take(self, timeout_s: float) -> object | None:
        """What has waited longest, or `None` after `timeout_s`."""
        deadline, sleep_s = time.monotonic() + timeout_s, _SHORTEST_SLEEP_S
        while (data := self.dequeue()) is None and (left_s := deadline - time.monotonic()) > 0:
            time.sleep(min(sleep_s, left_s))
            sleep_s = min(sleep_s * 1.5, _LONGEST_SLEEP_S)
        return data
