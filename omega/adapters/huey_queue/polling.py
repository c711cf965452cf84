"""Waiting for a message where nobody calls when there is one."""

import time
from collections.abc import Callable
from typing import Final

#: Half of the longest is what a message waits on average for an idle worker; it looks 100 times a second
#: then, which costs about half a hundredth of a CPU.
_SHORTEST_SLEEP_S: Final = 0.002
_LONGEST_SLEEP_S: Final = 0.01


class Polling:
    """Gives a huey storage `take` by looking again and again."""

    #: huey's: what has waited longest, or `None` at once.
    dequeue: Callable[[], object | None]

    def has_changed(self) -> bool:
        """Whether there may be a message that there was not when this was asked before: cheaper to ask than
        to look for one.
        """
        return True

    def take(self, timeout_s: float) -> object | None:
        """What has waited longest, or `None` after `timeout_s`."""
        deadline, sleep_s = time.monotonic() + timeout_s, _SHORTEST_SLEEP_S
        # Asked first: what comes between the question and the look is found by the look.
        self.has_changed()
        while (data := self.dequeue()) is None:
            while True:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return None
                time.sleep(min(sleep_s, left_s))
                sleep_s = min(sleep_s * 1.5, _LONGEST_SLEEP_S)
                if self.has_changed():
                    break
        return data
