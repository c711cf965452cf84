"""scikit-learn's warnings, kept from the screen and given to the caller that caused them, from many threads
at once.

`warnings.catch_warnings` changes the whole process, and threads that enter and leave it in turn can leave it
changed for ever. So all calls that overlap in time share one such context: the first to come opens it, the
last to go closes it, and each thread gets its own warnings.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from omega.adapters.sklearn_models.messages import one_line

MAX_WARNINGS: Final = 10
MAX_LENGTH: Final = 300

_lock = threading.Lock()
_running: dict[int, list[str]] = {}
_context: "warnings.catch_warnings[None] | None" = None


@contextmanager
def collected() -> Iterator[list[str]]:
    """Within this, warnings of this thread go into the list, as texts of one line, each text once, at most
    `MAX_WARNINGS`."""
    mine: list[str] = []
    thread = threading.get_ident()
    with _lock:
        _open()
        outer, _running[thread] = _running.get(thread), mine
    try:
        yield mine
    finally:
        with _lock:
            if outer is None:
                del _running[thread]
            else:
                _running[thread] = outer
            _close()


def _open() -> None:
    global _context
    if _context is None:
        _context = warnings.catch_warnings()
        _context.__enter__()
        warnings.simplefilter("always")
        warnings.showwarning = _keep


def _close() -> None:
    global _context
    if not _running and _context is not None:
        _context.__exit__(None, None, None)
        _context = None


def _keep(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    kept = _running.get(threading.get_ident())
    if kept is None and len(running := list(_running.values())) == 1:
        # One of joblib's threads: it works for the one call that is running. With several calls it cannot be
        # told which.
        kept = running[0]
    text = f"{category.__name__}: {one_line(str(message), limit=MAX_LENGTH)}"
    if kept is not None and len(kept) < MAX_WARNINGS and text not in kept:
        kept.append(text)
