"""Keys: to whom they are given, what they allow, and from when on one is needed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from omega.adapters.key_store.keys import RecordKeyStore, RecordKeySwitch
from omega.adapters.memory.records import MemoryRecordStore
from omega.domain.access import NOBODY, OWNER, Right
from omega.domain.errors import BadInput, Forbidden, NotFound, Unauthorized
from omega.domain.keys import Callers, Credentials, KeyService
from omega.domain.rules import Rules
from tests.support.services import Counting, Still

GET, PUT = Right("dataset", "d", "get"), Right("dataset", "d", "put")


class House:
    def __init__(self) -> None:
        records, self.clock = MemoryRecordStore(), Still()
        self.service = KeyService(RecordKeyStore(records), RecordKeySwitch(records), self.clock, Counting())

    def callers(self, *rules: str) -> Callers:
        access = Rules.parse(rules, source="the server") if rules else OWNER
        return Callers(self.service.keys, self.service.switch, self.clock, access)

    def add(self, user: str = "alice", **how: Any) -> Credentials:
        return Credentials(self.service.add(user, **how)[1], user)


@pytest.fixture
def house():
    return House()


def refused(callers: Callers, credentials: Credentials | None) -> str:
    with pytest.raises(Unauthorized) as caught:
        callers.caller(credentials)
    return str(caught.value)


def test_nobody_needs_a_key_until_one_is_added(house):
    callers = house.callers("dataset/d/get")
    somebody = callers.caller(None)
    assert (somebody.user, somebody.bucket) == (None, None)
    assert somebody.access.allows(GET, bucket="b")
    assert not somebody.access.allows(PUT, bucket="b")
    assert callers.caller(Credentials("nonsense")).user is None
    key = house.add()
    assert "a key is needed" in refused(callers, None)
    assert callers.caller(key).user == "alice"
    assert callers.caller(evolve(key, user=None)).user == "alice"


def test_keys_stay_needed_when_the_last_is_gone_until_somebody_says_otherwise(house):
    key, callers = house.add(), house.callers()
    house.service.remove("alice")
    refused(callers, None)
    refused(callers, key)
    house.service.disable()
    assert callers.caller(None).access is OWNER
    assert callers.caller(key).user is None
    house.add("bob")
    refused(callers, None)
    refused(callers, key)


def test_whatever_is_wrong_with_a_key_the_words_are_the_same(house):
    key, other = house.add(), house.add("bob")
    old, gone = house.add("old", expires=house.clock.now() + timedelta(days=1)), house.add("gone")
    house.service.remove("gone")
    house.clock.move(86_400)
    callers = house.callers()
    wrong = [
        old,
        gone,
        Credentials(key.key, "bob"),
        Credentials(key.key + "x"),
        Credentials("", ""),
        Credentials(key.key, ""),
    ]
    assert len({refused(callers, one) for one in wrong}) == 1
    assert callers.caller(other).user == "bob"


def test_a_key_expires_to_the_second(house):
    key, callers = house.add(expires=house.clock.now() + timedelta(seconds=10)), house.callers()
    house.clock.move(9)
    assert callers.caller(key).user == "alice"
    house.clock.move(1)
    refused(callers, key)


def test_what_the_server_and_the_key_both_allow_is_allowed(house):
    for server, own, allowed in [
        ((), (), {GET, PUT}),
        ((), ("dataset/d/get",), {GET}),
        (("dataset/.*/put",), (), {PUT}),
        (("dataset/.*/put",), ("dataset/d/.*",), {PUT}),
        (("dataset/.*/put",), ("dataset/d/get",), set()),
        ((".*/.*/.*",), ("model", "dataset/d/put"), {PUT}),
    ]:
        access = house.callers(*server).caller(house.add(rules=own)).access
        assert {right for right in (GET, PUT) if access.allows(right, bucket="b")} == allowed


def test_a_key_for_one_bucket_is_for_no_other(house):
    caller = house.callers().caller(house.add(bucket="team"))
    assert caller.bucket == "team"
    assert caller.access.allows(GET, bucket="team")
    assert not caller.access.allows(GET, bucket="store")
    assert not caller.access.is_everything


def test_a_valid_key_limits_its_request_also_where_none_is_needed(house):
    key = house.add(rules=["dataset/d/get"])
    house.service.disable()
    assert not house.callers().caller(key).access.allows(PUT, bucket="b")


@pytest.mark.parametrize(
    ("user", "how", "words"),
    [
        ("", {}, "illegal user name"),
        ("a:b", {}, "illegal user name"),
        ("a/b", {}, "illegal user name"),
        (" a", {}, "illegal user name"),
        ("a\u202eb", {}, "illegal user name"),
        ("x" * 256, {}, "illegal user name"),
        ("a", {"bucket": "a/b"}, "illegal bucket name"),
        ("a", {"rules": ["model/("]}, "not a regular expression"),
        ("a", {"rules": ["  "]}, "holds no rule"),
        ("a", {"expires": datetime(2026, 1, 1, tzinfo=UTC)}, "expired already"),
    ],
)
def test_what_no_key_can_be_made_of(house, user, how, words):
    with pytest.raises(BadInput, match=words):
        house.service.add(user, **how)
    assert not house.service.needed()
    assert list(house.service.list()) == []


def test_keys_are_needed_before_the_first_is_there(house):
    """Where the key itself cannot be kept, nobody is let in without one."""

    class Full(RecordKeyStore):
        def issue(self, key: Any) -> str:
            raise OSError("no room")

    service = evolve(house.service, keys=Full(MemoryRecordStore()))
    with pytest.raises(OSError, match="no room"):
        service.add("alice")
    refused(house.callers(), None)


def test_one_key_of_a_user_or_all_are_removed(house):
    first, second, other = house.add(), house.add(), house.add("bob")
    ids = [key.id for key in house.service.list()]
    with pytest.raises(NotFound, match="no key 'x'"):
        house.service.remove("alice", id="x")
    with pytest.raises(NotFound, match="user 'alice' has no key"):
        house.service.remove("alice", id=ids[2])
    assert [key.id for key in house.service.remove("alice", id=ids[0])] == ids[:1]
    refused(house.callers(), first)
    assert house.callers().caller(second).user == "alice"
    assert [key.id for key in house.service.remove("alice")] == ids[1:2]
    with pytest.raises(NotFound):
        house.service.remove("alice")
    assert house.callers().caller(other).user == "bob"


def test_keys_are_for_the_owner_of_the_store(house):
    service = evolve(house.service, access=NOBODY)
    for reach in (lambda: service.add("a"), service.list, lambda: service.remove("a"), service.disable):
        with pytest.raises(Forbidden):
            reach()
    assert not house.service.needed()


def test_no_key_is_in_any_text(house):
    key = house.add()
    assert key.key not in repr(key) + str(key) + repr(house.service.list()) + repr(
        house.callers().caller(key)
    )


@given(st.text(max_size=100), st.none() | st.text(max_size=20))
def test_no_stranger_is_let_in(text, user):
    house = House()
    house.add()
    refused(house.callers(), Credentials(text, user))


class Machine(RuleBasedStateMachine):
    """Keys come and go and expire, against a dict of those that are valid."""

    def __init__(self) -> None:
        super().__init__()
        self.house, self.known, self.needed = House(), {}, False

    @rule(user=st.sampled_from("ab"), days=st.none() | st.integers(1, 3))
    def add(self, user: str, days: int | None) -> None:
        expires = None if days is None else self.house.clock.now() + timedelta(days=days)
        self.known[self.house.add(user, expires=expires)] = expires
        self.needed = True

    @rule(user=st.sampled_from("ab"))
    def remove(self, user: str) -> None:
        try:
            self.house.service.remove(user)
        except NotFound:
            assert not [key for key in self.known if key.user == user and self.known[key] != "gone"]
        self.known |= {key: "gone" for key in self.known if key.user == user}

    @rule()
    def disable(self) -> None:
        self.house.service.disable()
        self.needed = False

    @rule()
    def pass_a_day(self) -> None:
        self.house.clock.move(86_400)

    @invariant()
    def the_valid_ones_are_let_in(self) -> None:
        now, callers = self.house.clock.now(), self.house.callers()
        assert self.house.service.needed() == self.needed
        for key, expires in [*self.known.items(), (None, "gone")]:
            if expires is None or (expires != "gone" and expires > now):
                assert callers.caller(key).user == key.user
            elif self.needed:
                refused(callers, key)
            else:
                assert callers.caller(key).user is None


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=30, stateful_step_count=20)
