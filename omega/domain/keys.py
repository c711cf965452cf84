"""Keys: given to users, taken from them, and needed or not."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

from attrs import frozen

from omega.domain.access import OWNER, Access, All, Within
from omega.domain.errors import BadInput, Forbidden, NotFound, Unauthorized
from omega.domain.names import check_bucket, check_user
from omega.domain.rules import Rules
from omega.ports.clock import Clock
from omega.ports.ids import Ids
from omega.ports.keys import Key, KeyNotFound, KeyStore, KeySwitch

_NOT_VALID: Final = "the key is not valid: it may be mistyped, removed or expired"
_NEEDED: Final = "a key is needed: Authorization: ApiKey USER:KEY, or Bearer KEY"


@frozen
class Credentials:
    """What somebody who calls says of himself: a key, and whose it is, if he says so."""

    key: str
    user: str | None = None

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r})"


@frozen
class Caller:
    """Who calls: the user of a key (`None`: somebody), his rights, and the bucket that he means where he
    names none (`None`: the default bucket).
    """

    user: str | None
    access: Access
    bucket: str | None = None


@frozen
class KeyService:
    """Issue, list and remove the keys of a store; for its owner alone."""

    keys: KeyStore
    switch: KeySwitch
    clock: Clock
    ids: Ids
    access: Access = OWNER

    def add(
        self,
        user: str,
        *,
        rules: Sequence[str] = (),
        bucket: str | None = None,
        expires: datetime | None = None,
    ) -> tuple[Key, str]:
        """A new key for a user, beside those that he has, and its text, which nobody can find out again.
        From now on every call needs a key.

        Raises: BadInput, for a rule that cannot be read and a time that is over.
        """
        self._check_owner()
        check_user(user)
        if bucket is not None:
            check_bucket(bucket)
        texts = tuple(rule.text for rule in Rules.parse(rules, source="the key").rules) if rules else ()
        now = self.clock.now()
        if expires is not None and expires <= now:
            raise BadInput(f"the key would have expired already, at {expires:%Y-%m-%d %H:%M} UTC")
        # First: whoever adds a key does not want to be open, even if it cannot be kept.
        self.switch.turn(on=True)
        key = Key(self.ids.new(), user, now, texts, bucket, expires)
        return key, self.keys.issue(key)

    def list(self) -> Sequence[Key]:
        """All keys, in the order in which they were issued, also those that have expired."""
        self._check_owner()
        return self.keys.list()

    def remove(self, user: str, *, id: str | None = None) -> Sequence[Key]:
        """Remove all keys of a user, or the one with this id; those that were. A call with one of them fails
        from now on. Keys stay needed, also when the last one is gone.

        Raises: NotFound, where he has none.
        """
        self._check_owner()
        found = [key for key in self.keys.list() if key.user == user and id in (None, key.id)]
        if not found:
            which = "no key" if id is None else f"no key {id!r}"
            raise NotFound(f"user {user!r} has {which}")
        for key in found:
            try:
                self.keys.remove(key.id)
            except KeyNotFound:
                continue  # somebody else has, at the same time
        return found

    def disable(self) -> None:
        """Let calls need no key, until one is added."""
        self._check_owner()
        self.switch.turn(on=False)

    def needed(self) -> bool:
        """Whether a call needs a key."""
        return self.switch.is_on()

    def _check_owner(self) -> None:
        if not self.access.is_everything:
            raise Forbidden("keys are for the owner of the store alone")


@frozen
class Callers:
    """Knows callers by their keys. `rules` are those of the server: what they and the key both allow is
    allowed.
    """

    keys: KeyStore
    switch: KeySwitch
    clock: Clock
    rules: Access = OWNER

    def caller(self, credentials: Credentials | None) -> Caller:
        """Who calls with these credentials. A key that is valid counts also where none is needed; where none
        is, one that is not valid is none.

        Raises: Unauthorized, in the same words for whatever makes a key invalid.
        """
        key = None if credentials is None else self._valid(credentials)
        if key is not None:
            parts = (self.rules, *_limits(key.rules, key.bucket))
            return Caller(key.user, All.of(parts), key.bucket)
        if self.switch.is_on():
            raise Unauthorized(_NEEDED if credentials is None else _NOT_VALID)
        return Caller(None, self.rules)

    def _valid(self, credentials: Credentials) -> Key | None:
        key = self.keys.find(credentials.key)
        if key is None or credentials.user not in (None, key.user):
            return None
        return None if key.expires is not None and key.expires <= self.clock.now() else key


@lru_cache(maxsize=256)
def _limits(rules: tuple[str, ...], bucket: str | None) -> tuple[Access, ...]:
    """What a key with these rules and this bucket is limited by. Only the reading of the rules is
    remembered, never that there is such a key.
    """
    by_rules = (Rules.parse(rules, source="the key"),) if rules else ()
    return (*by_rules, *(() if bucket is None else (Within(bucket),)))
