"""What every `KeyStore` and `KeySwitch` does."""

import re
import string
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omega.ports.keys import Key, KeyNotFound, KeyStore, KeySwitch

CREATED = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
FULL = Key("0" * 25 + "1", "älice o'b", CREATED, ("model/.*/é", "a;b"), "team", CREATED.replace(year=2027))
PLAIN = Key("0" * 25 + "2", "bob", CREATED)
#: No key of ours has this id.
OTHER = "z" * 26


#: Gives views of the store with this name, which nobody else uses.
Open = Callable[[str], Any]


_fresh = count()
_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]


def views(open: Open) -> tuple[Any, Any]:
    """Two views of a store that is new."""
    name = f"keys{next(_fresh)}"
    return open(name), open(name)


class KeyStoreSuite:
    """The promises of the docstrings of `KeyStore`; a subclass has the fixture `open_keys`."""

    @pytest.mark.parametrize("key", [FULL, PLAIN])
    def test_a_key_is_found_by_its_text_by_everybody(self, open_keys: Open, key: Key) -> None:
        one, other = views(open_keys)
        text = one.issue(key)
        assert re.fullmatch("[A-Za-z0-9_-]{24,128}", text)
        assert one.find(text) == other.find(text) == key

    def test_texts_are_never_the_same(self, open_keys: Open) -> None:
        store, _ = views(open_keys)
        texts = [store.issue(evolve(PLAIN, id=f"{number:026d}")) for number in range(20)]
        # Not even in their last characters, whatever may come before the secret.
        assert len({text[-40:] for text in texts}) == 20

    def test_no_other_text_finds_it(self, open_keys: Open) -> None:
        store, _ = views(open_keys)
        text, another = store.issue(PLAIN), store.issue(FULL)
        near = [text[:at] + ("x" if text[at] != "x" else "y") + text[at + 1 :] for at in range(len(text))]
        swapped = text[:30] + another[30:]
        wrong = [
            "",
            text[:-1],
            text + "a",
            text.upper(),
            " " + text,
            text + "\n",
            swapped,
            "\ud800",
            "é",
            "\0",
        ]
        for one in (*near, *wrong):
            assert store.find(one) is None, one

    @settings(suppress_health_check=_CHECKS)
    @given(st.text(string.ascii_letters + string.digits + "_-", max_size=90) | st.text(max_size=90))
    def test_no_text_of_a_stranger_finds_anything(self, open_keys: Open, text: str) -> None:
        store: KeyStore = open_keys("strange")
        assert store.find(text) is None

    def test_they_are_listed_in_order_without_their_texts(self, open_keys: Open) -> None:
        one, other = views(open_keys)
        assert list(one.list()) == []
        texts = [one.issue(key) for key in (FULL, PLAIN)]
        assert list(other.list()) == [FULL, PLAIN]
        assert not any(text[-43:] in repr(other.list()) for text in texts)

    def test_one_that_was_removed_is_gone_at_once(self, open_keys: Open) -> None:
        one, other = views(open_keys)
        text, kept = one.issue(FULL), one.issue(PLAIN)
        assert one.find(text) == FULL
        other.remove(FULL.id)
        assert one.find(text) is None
        assert one.find(kept) == PLAIN
        assert list(one.list()) == [PLAIN]

    @pytest.mark.parametrize("id", [OTHER, "", "a/b", "\0", "x" * 2000])
    def test_what_is_not_there_cannot_be_removed(self, open_keys: Open, id: str) -> None:
        store, _ = views(open_keys)
        store.issue(PLAIN)
        with pytest.raises(KeyNotFound):
            store.remove(id)
        assert list(store.list()) == [PLAIN]


class KeySwitchSuite:
    """The promises of the docstrings of `KeySwitch`; a subclass has the fixture `open_switch`."""

    def test_it_is_off_until_it_is_turned(self, open_switch: Open) -> None:
        one, other = views(open_switch)
        assert not one.is_on()
        assert not other.is_on()

    @settings(suppress_health_check=_CHECKS, max_examples=20)
    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 1)), min_size=1, max_size=6))
    def test_everybody_sees_how_it_was_turned_last(self, open_switch: Open, turns: Any) -> None:
        switches: tuple[KeySwitch, KeySwitch] = views(open_switch)
        for on, which in turns:
            switches[which].turn(on=on)
            assert [switch.is_on() for switch in switches] == [on, on]
