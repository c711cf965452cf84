"""Keys by which callers are known, and whether one is needed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from attrs import frozen


@frozen
class Key:
    """What is known of a key; not its text, which is nowhere. It is for `user`, who may do what one of the
    `rules` allows (none: everything), in `bucket` (`None`: in all), until it `expires` (`None`: never).
    """

    id: str
    user: str
    created: datetime
    rules: tuple[str, ...] = ()
    bucket: str | None = None
    expires: datetime | None = None


class KeyNotFound(LookupError):
    """There is no such key. `args[0]` is its id."""


class KeyStore(Protocol):
    """Keys that survive the process, shared by all processes. What one call has changed, every later call in
    any process sees. Any method may raise `StoreUnavailable`, `issue` also `StoreFull`.
    """

    def issue(self, key: Key) -> str:
        """Keep a key, whose `id` nobody has used before (see `Ids`), and give its text: 256 random bits, and
        what finds it again; 24 to 128 of `A-Za-z0-9_-`. It is told this once: what is kept is a digest.
        """

    def find(self, text: str) -> Key | None:
        """The key with this text, compared in constant time; `None` for any other text, whatever it is. A
        key that has expired is found: the caller is to look.
        """

    def list(self) -> Sequence[Key]:
        """All keys, in the order in which they were issued."""

    def remove(self, id: str) -> None:
        """Forget a key.

        Raises: KeyNotFound.
        """


class KeySwitch(Protocol):
    """Whether a key is needed; as `KeyStore` in all other ways."""

    def is_on(self) -> bool:
        """Whether one is needed; false until it is first turned."""

    def turn(self, *, on: bool) -> None:
        """Say whether one is needed from now on, whatever holds now. May raise `StoreFull`."""
