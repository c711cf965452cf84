"""What the present thread works on: the request and the task, for log entries and for what comes of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_ABOUT: Final[ContextVar[Mapping[str, str]]] = ContextVar("omega.about", default={})  # noqa: B039  never changed


@contextmanager
def about(**what: str | None) -> Iterator[None]:
    """For the time of the block, `request_id` and `task_id` are these; `None` leaves one as it is."""
    token = _ABOUT.set({**_ABOUT.get(), **{name: value for name, value in what.items() if value is not None}})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def present() -> Mapping[str, str]:
    """What the thread works on, by name."""
    return _ABOUT.get()


def present_request() -> str | None:
    """The id of the request that the thread works for."""
    return _ABOUT.get().get("request_id")
