"""What a service that does a task's work may know of it."""

from datetime import datetime
from typing import Protocol


class Run(Protocol):
    """One attempt at a call, as seen by those who carry it out.

    `id` is the same at every attempt, so that what the call makes can be told from what others make. It and
    `since` are `None` for a call that is not a task.
    """

    @property
    def id(self) -> str | None:
        """The call's id."""

    @property
    def since(self) -> datetime | None:
        """When the call was made."""

    def check(self) -> None:
        """Nothing, if the attempt may still make its outcome visible.

        Raises: LeaseLost, Cancelled.
        """

    def progress(self, done: int, total: int, message: str) -> None:
        """Say how far the work has come: `done` of `total` steps."""


class _NoRun:
    """A call in its caller's own process."""

    id: str | None = None
    since: datetime | None = None

    def check(self) -> None:
        """It always may."""

    def progress(self, done: int, total: int, message: str) -> None:
        """Nobody asks."""


NO_RUN: Run = _NoRun()
