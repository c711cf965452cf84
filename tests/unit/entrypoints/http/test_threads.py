"""Calls in threads: one after the other, with help where one is held up, and some of them together."""

import asyncio
import threading
from collections.abc import Hashable, Sequence
from typing import Any

import pytest
from attrs import define, field

from omega.entrypoints.http.threads import MAX_TOGETHER, Threads


@define(eq=False)
class Numbers:
    """Joints that are finished by being told in whose company."""

    key: Hashable
    number: int
    groups: list[list[int]] = field(factory=list)
    fails: bool = False

    def finish(self, joints: Sequence["Numbers"]) -> Sequence[Any]:
        numbers = [joint.number for joint in joints]
        self.groups.append(numbers)
        if self.fails:
            raise KeyError(self.key)
        return [ValueError(number) if number < 0 else number * 10 for number in numbers]


def all_of(threads: Threads, *calls: Any) -> list[Any]:
    """What comes of the calls, made in this order before any is taken."""

    async def main() -> list[Any]:
        gate = threading.Event()
        first = asyncio.ensure_future(threads.run(gate.wait))
        await asyncio.sleep(0)
        rest = [asyncio.ensure_future(threads.run(call)) for call in calls]
        await asyncio.sleep(0)
        gate.set()
        await first
        return await asyncio.gather(*rest, return_exceptions=True)

    return asyncio.run(main())


@pytest.mark.parametrize("count", [1, 2, 32])
def test_each_call_gets_its_own_result(count: int) -> None:
    def fail() -> None:
        raise OSError("no")

    def stop() -> None:
        raise StopIteration

    calls = [lambda n=n: n for n in range(200)]
    *found, failed, stopped = all_of(Threads(count), *calls, fail, stop)
    assert found == list(range(200))
    assert isinstance(failed, OSError)
    assert isinstance(stopped, RuntimeError)


def test_calls_that_are_short_are_run_by_one_thread() -> None:
    threads = Threads(32)
    seen = all_of(threads, *[threading.get_ident] * 100)
    # A machine that is busy may hold the one up, and then another helps.
    assert len(set(seen)) < 10


def test_who_is_held_up_holds_up_nobody() -> None:
    held, count = threading.Event(), 8
    threads = Threads(count)

    async def main() -> None:
        slow = [asyncio.ensure_future(threads.run(held.wait)) for _ in range(count - 1)]
        assert await asyncio.wait_for(threads.run(lambda: "quick"), 30) == "quick"
        assert not any(call.done() for call in slow)
        held.set()
        await asyncio.gather(*slow)
        assert await threads.run(lambda: "again") == "again"

    asyncio.run(main())


def test_who_computes_for_long_holds_up_nobody() -> None:
    """The process does not wait then, it computes: more threads would be of no use, but one must be free."""
    threads, stop = Threads(4), threading.Event()

    def compute() -> None:
        while not stop.is_set():
            pass

    async def main() -> None:
        slow = asyncio.ensure_future(threads.run(compute))
        # At its start it may look as if it waited.
        await asyncio.sleep(0.05)
        for _ in range(3):
            assert await asyncio.wait_for(threads.run(lambda: "quick"), 30) == "quick"
        assert not slow.done()
        stop.set()
        await slow

    asyncio.run(main())


def test_no_more_threads_than_were_allowed() -> None:
    threads, held, begun = Threads(3), threading.Event(), []

    def wait() -> None:
        begun.append(threading.get_ident())
        held.wait()

    async def main() -> None:
        slow = [asyncio.ensure_future(threads.run(wait)) for _ in range(10)]
        while len(begun) < 3:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        assert len(begun) == 3
        held.set()
        await asyncio.gather(*slow)

    asyncio.run(main())
    assert len(begun) == 10
    assert len(set(begun)) <= 3


def test_what_has_come_as_far_is_finished_together() -> None:
    groups: list[list[int]] = []
    joints = [Numbers("even" if n % 2 == 0 else "odd", n, groups) for n in range(10)]
    found = all_of(Threads(1), *[lambda joint=joint: joint for joint in joints])
    assert found == [n * 10 for n in range(10)]
    assert sorted(groups) == [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]


def test_not_too_many_are_finished_together() -> None:
    groups: list[list[int]] = []
    calls = [lambda n=n: Numbers("k", n, groups) for n in range(3 * MAX_TOGETHER)]
    all_of(Threads(1), *calls)
    assert [len(group) for group in groups] == [MAX_TOGETHER] * 3


def test_only_who_is_at_fault_has_an_error() -> None:
    groups: list[list[int]] = []
    broken = Numbers("broken", 5, groups, fails=True)
    one, two, five, three = all_of(
        Threads(1),
        lambda: Numbers("k", 1, groups),
        lambda: Numbers("k", -2, groups),
        lambda: broken,
        lambda: Numbers("k", 3, groups),
    )
    assert (one, three) == (10, 30)
    assert isinstance(two, ValueError)
    assert isinstance(five, KeyError)


def test_what_is_held_waits_for_no_long_call() -> None:
    """The thread that holds it may be at a long call by then: another one finishes it."""
    threads, held = Threads(2), threading.Event()

    async def main() -> None:
        joint = asyncio.ensure_future(threads.run(lambda: Numbers("k", 4)))
        slow = asyncio.ensure_future(threads.run(held.wait))
        assert await asyncio.wait_for(joint, 30) == 40
        held.set()
        await slow

    asyncio.run(main())


def test_loop_after_loop_is_served() -> None:
    threads = Threads(2)
    for number in range(5):
        assert asyncio.run(threads.run(lambda number=number: number)) == number
