"""Fresh identifiers."""

from typing import Protocol


class Ids(Protocol):
    """Makes identifiers that nobody made before."""

    def new(self) -> str:
        """26 characters of `0-9a-z`, never given before by any process, and later ones sort after earlier
        ones (to the millisecond).
        """
