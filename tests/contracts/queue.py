"""The contracts of `omega.ports.queue.TaskQueue` and `TaskConsumer`, which one object keeps together."""

import gzip
import json
import logging
import multiprocessing
import pickle
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any, Protocol

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from omega.ports.queue import TaskConsumer, TaskQueue
from tests.contracts.machines import run_machine

fork = multiprocessing.get_context("fork")
MAX_BYTES = 64 * 1024
#: Nobody waits as long as this unless something is broken.
LONG_S = 60.0


class Queue(TaskQueue, TaskConsumer, Protocol):
    """Both ends."""


OpenQueue = Callable[[str], Queue]
#: Puts bytes into the queue of a name as the technology does, past the adapter.
Plant = Callable[[str, bytes], None]

AWKWARD_MESSAGE: dict[str, Any] = {
    "": None,
    "$set": {"a.b": [[], {}, [[1]]]},
    "integers": [2**63 - 1, -(2**63), 2**53 + 1, 1, 0],
    "floats": [1.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2],
    "booleans": [True, False],
    "text": "\0 \n \u2028 \U0010ffff \u00e9 e\u0301 ' \" \\",
    "order": {"z": 1, "a": 2, "m": 3},
    "id": "x",
    "name": "y",
    "args": [{}],
    "task": {"eta": 1},
}
CIRCLE: dict[str, Any] = {}
CIRCLE["again"] = [CIRCLE]
NO_MESSAGES: list[Any] = [
    None, [], "text", 1, [("a", 1)], {1: "a"}, {"a": {None: 1}}, {"a": [{True: 1}]}, {"a": (1, 2)},
    {"a": {1, 2}}, {"a": b"x"}, {"a": object()}, {"a": float("nan")}, {"a": [-float("inf")]},
    {"a": 10**5000}, {"a": "\ud800"}, {"\udfff": 1}, {"a": Path("a")}, CIRCLE,
]  # fmt: skip


class Canary:
    """What touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def as_planted(message: object, **other: object) -> bytes:
    """The JSON of a message in a queue, or with `other` fields of something that looks like one."""
    return json.dumps({"id": "1", "name": "omega.message", "args": [message], **other}).encode()


GARBAGE = [
    b"", b"\0", b"\xff\xfe", b"garbage", b"null", b"1", b"[]", b"{}", b'""', b"{", b"[" * 60_000,
    b'{"a":' * 5_000, as_planted({})[:-1], as_planted({}) + b"x", as_planted({}).replace(b"{}", b"NaN"),
    as_planted({}, args=[]), as_planted({}, args=[{}, {}]), as_planted({}, args={"a": 1}),
    as_planted([]), as_planted("text"), as_planted(None), as_planted({}, id=1), as_planted({}, id=None),
    as_planted({}, name="omega.other"), as_planted({}, name="os.system"), as_planted({}, name=None),
    as_planted({}, name=["omega.message"]), as_planted({}, eta=1), as_planted({}, kwargs={}),
    as_planted({}, on_complete=["2", "omega.message"]), as_planted({"a": float("inf")}),
    as_planted({"a": "\ud800"}), as_planted({"a": "x" * MAX_BYTES}), b" " * MAX_BYTES * 2 + as_planted({}),
    b'["1", "omega.message", null, 0, 0, null, [{}], {}]',
]  # fmt: skip


def exactly(value: object) -> str:
    """A text that tells apart what `==` does not: 1 from 1.0 and True, 0.0 from -0.0, the order of keys."""
    return json.dumps(value)


def of_size(size_bytes: int) -> dict[str, str]:
    """A message that takes this many bytes, some of its letters more than one."""
    letters = size_bytes - len('{"a":""}')
    return {"a": "\u00e9" * (letters // 2) + "x" * (letters % 2)}


def take_all(queue: TaskConsumer, *, timeout_s: float = 0) -> list[int]:
    """The `n` of all messages, until there is none within `timeout_s`."""
    taken = []
    while (message := queue.consume(timeout_s=timeout_s)) is not None:
        taken.append(message["n"])
    return taken


class TaskQueueSuite:
    @pytest.fixture
    def open_queue(self) -> OpenQueue:
        """Opens the queue of a name, empty at first. Opened twice, it gives two ways to the same messages,
        which need not stay open once another name is asked for.
        """
        raise NotImplementedError

    @pytest.fixture
    def plant(self, open_queue: OpenQueue) -> Plant:
        raise NotImplementedError

    @pytest.fixture
    def queue(self, open_queue: OpenQueue) -> Queue:
        return open_queue("examples")

    @pytest.fixture
    def other(self, queue: Queue, open_queue: OpenQueue) -> Queue:
        return open_queue("examples")

    def test_a_message_is_taken_as_it_was_left(self, queue: Queue, other: Queue) -> None:
        queue.submit({"x": [1, "two"]})
        assert other.consume(timeout_s=0) == {"x": [1, "two"]}

    def test_every_json_value_comes_out_exactly(self, queue: Queue, other: Queue) -> None:
        queue.submit(AWKWARD_MESSAGE)
        queue.submit({})
        assert exactly(other.consume(timeout_s=0)) == exactly(AWKWARD_MESSAGE)
        assert other.consume(timeout_s=0) == {}

    def test_a_message_is_given_to_nobody_else(self, queue: Queue, other: Queue) -> None:
        queue.submit({"n": 1})
        assert other.consume(timeout_s=0) == {"n": 1}
        assert other.consume(timeout_s=0) is None
        assert queue.consume(timeout_s=0) is None

    def test_equal_messages_are_given_one_by_one(self, queue: Queue, other: Queue) -> None:
        for _ in range(3):
            queue.submit({"n": 1})
        assert take_all(other) == [1, 1, 1]

    def test_what_has_waited_longest_comes_first(self, queue: Queue, other: Queue) -> None:
        for n in range(20):
            (queue, other)[n % 2].submit({"n": n})
        assert [take_one(other) for _ in range(10)] == list(range(10))
        for n in range(20, 30):
            queue.submit({"n": n})
        assert take_all(queue) == list(range(10, 30))

    def test_the_size_is_how_many_wait(self, queue: Queue, other: Queue) -> None:
        assert queue.size() == 0
        for n in range(3):
            queue.submit({"n": n})
            assert other.size() == n + 1
        other.consume(timeout_s=0)
        assert queue.size() == 2
        take_all(queue)
        assert queue.size() == 0

    @pytest.mark.parametrize("timeout_s", [-1, 0, 0.0001, 0.2])
    def test_there_is_none_within_the_timeout(self, queue: Queue, timeout_s: float) -> None:
        started = time.monotonic()
        assert queue.consume(timeout_s=timeout_s) is None
        assert timeout_s <= time.monotonic() - started < timeout_s + 5
        queue.submit({"n": 1})
        assert queue.consume(timeout_s=timeout_s) == {"n": 1}
        assert queue.consume(timeout_s=timeout_s) is None

    @pytest.mark.parametrize("times", [1, 3])
    def test_who_waits_gets_what_comes_meanwhile(self, queue: Queue, other: Queue, times: int) -> None:
        with ThreadPoolExecutor(times) as pool:
            waiting = [pool.submit(other.consume, timeout_s=LONG_S) for _ in range(times)]
            assert other.consume(timeout_s=0.1) is None
            for n in range(times):
                queue.submit({"n": n})
            taken = [future.result() for future in waiting]
        assert sorted(message["n"] for message in taken if message) == list(range(times))

    @pytest.mark.parametrize("message", NO_MESSAGES, ids=range(len(NO_MESSAGES)))
    def test_what_is_not_a_json_object_is_refused(self, queue: Queue, message: Any) -> None:
        with pytest.raises(ValueError, match="message of a queue"):
            queue.submit(message)
        assert queue.size() == 0

    def test_a_message_has_at_most_64_kib(self, queue: Queue, other: Queue) -> None:
        queue.submit(of_size(MAX_BYTES))
        for size_bytes in (MAX_BYTES + 1, 2 * MAX_BYTES, 50 * MAX_BYTES):
            with pytest.raises(ValueError, match="65,536 bytes"):
                queue.submit(of_size(size_bytes))
        assert queue.size() == 1
        assert other.consume(timeout_s=0) == of_size(MAX_BYTES)

    def test_what_was_accepted_is_taken_where_the_call_stack_is_deep(
        self, queue: Queue, other: Queue
    ) -> None:
        message: dict[str, Any] = {}
        for _ in range(200):
            message = {"a": message}
        queue.submit(message)

        def consume(frames: int) -> Any:
            return consume(frames - 1) if frames else other.consume(timeout_s=0)

        assert exactly(consume(600)) == exactly(message)

    def test_a_message_is_copied_on_the_way_in(self, queue: Queue) -> None:
        message = {"x": [1]}
        queue.submit(message)
        message["x"].append(2)
        assert queue.consume(timeout_s=0) == {"x": [1]}

    def test_what_is_no_message_of_ours_is_dropped_and_logged(
        self, queue: Queue, plant: Plant, caplog: pytest.LogCaptureFixture
    ) -> None:
        for n, garbage in enumerate(GARBAGE):
            plant("examples", garbage)
            queue.submit({"n": n})
        assert queue.size() == 2 * len(GARBAGE)
        with caplog.at_level(logging.WARNING):
            for n in range(len(GARBAGE)):
                assert queue.consume(timeout_s=0) == {"n": n}, GARBAGE[n][:50]
                assert len(caplog.records) == n + 1
        assert queue.size() == 0
        assert {record.getMessage() for record in caplog.records} == {
            "dropped from the queue what is no message of omega"
        }
        assert not any(record.exc_info or record.stack_info for record in caplog.records)

    def test_what_has_the_form_of_a_message_is_one(self, queue: Queue, plant: Plant) -> None:
        # So that what is planted above is dropped for what is wrong with it.
        plant("examples", as_planted({"n": 1}))
        largest = {"a": "x" * (MAX_BYTES - len('{"a":""}'))}
        plant("examples", as_planted(largest))
        assert queue.consume(timeout_s=0) == {"n": 1}
        assert queue.consume(timeout_s=0) == largest

    @pytest.mark.parametrize("timeout_s", [0, 0.2])
    def test_a_queue_of_nothing_but_garbage_has_no_message(
        self, queue: Queue, plant: Plant, timeout_s: float
    ) -> None:
        for garbage in GARBAGE:
            plant("examples", garbage)
        assert queue.consume(timeout_s=timeout_s) is None
        assert queue.size() == 0

    def test_a_pickle_is_never_loaded(self, queue: Queue, plant: Plant, tmp_path: Path) -> None:
        canary = tmp_path / "canary"
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            bomb = pickle.dumps(Canary(canary), protocol)
            plant("examples", bomb)
            plant("examples", gzip.compress(bomb))
            plant("examples", as_planted({}) + bomb)
        queue.submit({"n": 1})
        assert take_all(queue, timeout_s=0.1) == [1]
        assert not canary.exists()
        pickle.loads(bomb)
        assert canary.exists()

    def test_of_many_threads_each_message_is_given_to_one(self, queue: Queue, other: Queue) -> None:
        barrier = Barrier(6)

        def submit(which: int) -> list[int]:
            barrier.wait()
            for n in range(40):
                (queue, other)[which % 2].submit({"n": 100 * which + n})
            return []

        def consume(which: int) -> list[int]:
            barrier.wait()
            return take_all((queue, other)[which % 2], timeout_s=0.3)

        with ThreadPoolExecutor(6) as pool:
            started = [pool.submit(work, n) for n in range(3) for work in (submit, consume)]
            taken = [n for done in started for n in done.result()]
        taken += take_all(queue)
        assert sorted(taken) == [100 * which + n for which in range(3) for n in range(40)]
        assert queue.size() == 0

    def test_the_messages_of_each_thread_keep_their_order(self, queue: Queue, other: Queue) -> None:
        def submit(which: int) -> None:
            for n in range(30):
                queue.submit({"n": 100 * which + n})

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(submit, range(4)))
        taken = take_all(other)
        for which in range(4):
            assert [n for n in taken if n // 100 == which] == [100 * which + n for n in range(30)]

    def test_the_queue_behaves_as_a_deque(self, open_queue: OpenQueue, plant: Plant) -> None:
        def opened(name: str) -> tuple[Queue, Callable[[bytes], None]]:
            return open_queue(name), partial(plant, name)

        run_machine(_Machine, opened, examples=40, steps=25)


class SharedTaskQueueSuite(TaskQueueSuite):
    """For queues that processes share."""

    def test_of_many_processes_each_message_is_given_to_one(self, queue: Queue, other: Queue) -> None:
        queue.submit({"n": -1})
        with Workers() as workers:
            for which in range(2):
                workers.start(partial(self._submit, queue, which))
                workers.start(partial(take_all, other, timeout_s=0.5))
            taken = workers.results()
        taken += take_all(queue)
        assert sorted(taken) == [-1, *range(50), *range(100, 150)]
        assert queue.size() == 0

    def test_an_open_queue_may_be_used_on_both_sides_of_a_fork(self, queue: Queue) -> None:
        for n in range(10):
            queue.submit({"n": n})
        first = take_one(queue)
        with Workers() as workers:
            workers.start(lambda: [take_one(queue) for _ in range(4)])
            mine = [take_one(queue) for _ in range(4)]
            theirs = workers.results()
        assert [first] == [0]
        assert sorted(mine + theirs) == list(range(1, 9))
        assert take_all(queue) == [9]

    def test_many_processes_may_make_the_same_queue_at_once(self, open_queue: OpenQueue) -> None:
        queue = open_queue("made at once")
        barrier = fork.Barrier(5)

        def submit(which: int) -> list[int]:
            barrier.wait()
            queue.submit({"n": which})
            return []

        with Workers() as workers:
            for which in range(5):
                workers.start(partial(submit, which))
            workers.results()
        assert sorted(take_all(queue)) == list(range(5))

    def _submit(self, queue: Queue, which: int) -> list[int]:
        for n in range(50):
            queue.submit({"n": 100 * which + n})
        return []


def take_one(queue: TaskConsumer) -> int:
    message = queue.consume(timeout_s=LONG_S)
    assert message is not None
    n: int = message["n"]
    return n


class Workers:
    """Processes that are forked off, and what they return."""

    def __enter__(self) -> "Workers":
        self._processes: list[Any] = []
        self._pipes: list[Any] = []
        return self

    def start(self, work: Callable[[], list[int]]) -> None:
        results, answer = fork.Pipe(duplex=False)
        process = fork.Process(target=lambda: answer.send(work()))
        process.start()
        answer.close()
        self._processes.append(process)
        self._pipes.append(results)

    def results(self) -> list[int]:
        """All together; a process that failed is an `EOFError`, and its traceback on standard error."""
        return [n for results in self._pipes for n in results.recv()]

    def __exit__(self, *error: object) -> None:
        for process, results in zip(self._processes, self._pipes, strict=True):
            process.join()
            process.close()
            results.close()


_messages = st.dictionaries(
    st.sampled_from(["", "a", "n"]),
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5) | st.lists(st.booleans(), max_size=3),
    max_size=3,
)


class _Machine(RuleBasedStateMachine):
    """A queue against a `deque` in which `None` stands for garbage."""

    def __init__(
        self, one: tuple[Queue, Callable[[bytes], None]], two: tuple[Queue, Callable[[bytes], None]]
    ) -> None:
        super().__init__()
        self.queue, self.plant_garbage = one
        self.other, _ = two
        self.model: deque[dict[str, Any] | None] = deque()

    @rule(message=_messages)
    def submit(self, message: dict[str, Any]) -> None:
        self.queue.submit(message)
        self.model.append(message)

    @rule(garbage=st.sampled_from(GARBAGE) | st.binary(max_size=10))
    def plant(self, garbage: bytes) -> None:
        self.plant_garbage(garbage)
        self.model.append(None)

    @rule(message=st.sampled_from([{"a": float("nan")}, {"a": (1,)}, {"a": "x" * MAX_BYTES}]))
    def refuse(self, message: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="message of a queue"):
            self.queue.submit(message)

    @rule(mine=st.booleans())
    def consume(self, mine: bool) -> None:
        while self.model and self.model[0] is None:
            self.model.popleft()
        expected = self.model.popleft() if self.model else None
        assert exactly((self.queue if mine else self.other).consume(timeout_s=0)) == exactly(expected)

    @invariant()
    def holds_as_many(self) -> None:
        assert self.other.size() == len(self.model)
