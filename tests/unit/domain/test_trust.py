"""A store is signed with one key: who comes with another is told, and the first one to come decides."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from hypothesis import given
from hypothesis import strategies as st

from omega.adapters.memory.records import MemoryRecordStore
from omega.adapters.system.signer import HmacSigner
from omega.domain.trust import Trust

KEYS = [bytes([n]) * 32 for n in range(3)]


@given(steps=st.lists(st.tuples(st.sampled_from(["ask", "adopt"]), st.integers(0, 2)), max_size=12))
def test_the_key_of_the_store_is_the_first_or_the_last_adopted(steps):
    store, expected = MemoryRecordStore(), None
    for step, n in steps:
        trust = Trust(store, HmacSigner(KEYS[n]))
        if step == "adopt":
            trust.adopt()
            expected = n
        else:
            expected = n if expected is None else expected
            assert trust.is_mutual() == (n == expected)


def test_of_those_that_come_at_once_with_keys_of_their_own_one_wins():
    for _ in range(20):
        store, barrier = MemoryRecordStore(), Barrier(3)

        def ask(key, store=store, barrier=barrier):
            barrier.wait()
            return Trust(store, HmacSigner(key)).is_mutual()

        with ThreadPoolExecutor(3) as pool:
            assert sorted(pool.map(ask, KEYS)) == [False, False, True]


def test_the_store_learns_nothing_of_the_key():
    store = MemoryRecordStore()
    Trust(store, HmacSigner(KEYS[1])).adopt()
    (record,) = store.page("").records
    assert KEYS[1].hex() not in str(record.value) and set(record.value) == {"mark"}
