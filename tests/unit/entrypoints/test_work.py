"""One attempt at a task, and tasks that are carried out where they are submitted."""

import logging
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from attrs import evolve

from omega.domain.errors import BadInput, Cancelled, NotFound
from omega.domain.tasks import (
    FAILURE,
    NO_RUN,
    PENDING,
    RETRY,
    REVOKED,
    STARTED,
    SUCCESS,
    Answer,
    Failure,
    LeaseLost,
    Policy,
    Progress,
    Task,
)
from omega.entrypoints.work import Again, Attempt, Done, Failed, Work
from omega.ports.records import StoreFull, StoreUnavailable
from tests.support.services import CheapCodec, CheapExecutor, Still, World


@pytest.fixture
def world() -> World:
    world = World(clock=Still(), codec=CheapCodec(), executor=CheapExecutor())
    world.models().create("m", [["LinearRegression", {}]])
    return world


def submit(world: World, **how: Any) -> Task:
    return world.tasks().submit("model", "m", "fit", inputs={"datax": "d", "datay": None}, **how)


def performing(world: World, perform: Callable[[Task, Attempt], Answer]) -> Work:
    return evolve(world.work(), perform=perform)


def raising(error: BaseException) -> Callable[[Task, Attempt], Answer]:
    def perform(task: Task, run: Attempt) -> Answer:
        raise error

    return perform


def claimed(world: World, task: Task) -> Task:
    taken = world.leases().claim(task.bucket, task.id, holder="one")
    assert taken is not None
    return taken


def attempted(world: World, perform: Callable[[Task, Attempt], Answer]) -> Any:
    task = claimed(world, submit(world))
    return performing(world, perform).attempt(task, "one", lambda _: None)


# an attempt


def test_the_answer_of_an_attempt_is_stored(world):
    result = attempted(world, lambda task, run: Answer(b"[1]"))
    assert isinstance(result, Done)
    assert b"".join(world.payloads().read(result.answer, of="it")) == b"[1]"


def test_an_attempt_does_not_end_its_task(world):
    task = claimed(world, submit(world))
    performing(world, lambda task, run: Answer(b"1")).attempt(task, "one", lambda _: None)
    assert world.tasks().get(task.id) == task


def test_an_answer_has_a_limit(world):
    world.policy = Policy(result_bytes=1000)
    assert isinstance(attempted(world, lambda task, run: Answer(b"x" * 1000)), Done)
    before = set(world.blobs.ids())
    result = attempted(world, lambda task, run: Answer(b"x" * 1001))
    assert result == Failed(Failure("TooLarge", "the result has 1,001 bytes, the limit is 1,000"))
    assert set(world.blobs.ids()) == before


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (BadInput("no such column: 'z'"), Failed(Failure("BadInput", "no such column: 'z'"))),
        (NotFound("gone"), Failed(Failure("NotFound", "gone"))),
        (StoreFull("no room"), Failed(Failure("StoreFull", "no room"))),
        (StoreUnavailable("busy"), Again(Failure("StoreUnavailable", "busy"))),
        (MemoryError(), Failed(Failure("TaskFailed", "there was not enough memory for this task"))),
    ],
)
def test_what_went_wrong_says_how_to_go_on(world, caplog, error, result):
    assert attempted(world, raising(error)) == result
    assert caplog.records == []


def test_an_error_that_nobody_expected_fails_the_task_and_is_logged(world, caplog):
    with caplog.at_level(logging.ERROR, logger="omega.worker"):
        result = attempted(world, raising(RuntimeError("a secret")))
    assert isinstance(result, Failed) and result.failure.name == "TaskFailed"
    assert "secret" not in result.failure.message and "the worker's log" in result.failure.message
    (record,) = caplog.records
    assert record.exc_info is not None
    id = record.getMessage().split()[1]
    assert id in result.failure.message


def test_a_lost_lease_is_no_result(world):
    with pytest.raises(LeaseLost):
        attempted(world, raising(LeaseLost("x")))


def test_the_end_of_the_process_is_no_result(world):
    with pytest.raises(KeyboardInterrupt):
        attempted(world, raising(KeyboardInterrupt()))


def test_a_run_knows_its_task_and_whether_it_may_go_on(world):
    task = claimed(world, submit(world))
    seen: list[Any] = []

    def perform(task: Task, run: Attempt) -> Answer:
        assert (run.id, run.since) == (task.id, task.created)
        run.check()
        run.progress(1, 3, "fitting")
        world.tasks().cancel(task.id)
        with pytest.raises(Cancelled):
            run.check()
        world.clock.move(11)
        with pytest.raises(LeaseLost):
            run.check()
        return Answer(b"1")

    performing(world, perform).attempt(task, "one", seen.append)
    assert seen == [Progress(1, 3, "fitting")]


def test_an_attempt_that_was_cut_off_may_not_go_on(world):
    task = submit(world)
    run = Attempt.over(task)
    assert (run.id, run.since) == (task.id, task.created)
    run.progress(1, 2, "x")
    with pytest.raises(LeaseLost):
        run.check()


def test_a_call_that_is_no_task_may_always_go_on():
    assert NO_RUN.id is None and NO_RUN.since is None
    NO_RUN.check()
    NO_RUN.progress(1, 2, "x")


# messages


@pytest.mark.parametrize("message", [{}, {"id": "x"}, {"bucket": "store"}, {"bucket": 1, "id": []}])
def test_a_message_that_names_no_task_is_dropped_and_logged(world, caplog, message):
    with caplog.at_level(logging.WARNING, logger="omega.worker"):
        assert world.work().claim(message, "one") is None
    (record,) = caplog.records
    assert record.getMessage() == "a message in the queue names no task: it is dropped"


def test_a_message_of_a_task_that_is_gone_is_dropped(world, caplog):
    assert world.work().claim({"bucket": "store", "id": "0" * 8}, "one") is None
    assert caplog.records == []


# at once


def test_what_waits_is_carried_out_in_its_order(world):
    world.datasets().put("d", encoded())
    tasks = [submit(world) for _ in range(3)]
    world.work().run_waiting()
    ended = [world.tasks().get(task.id) for task in tasks]
    assert [task.status for task in ended] == [SUCCESS] * 3
    assert [orjson.loads(world.tasks().answer(task))["version"] for task in ended] == [2, 3, 4]
    assert world.queue.size() == 0


def encoded() -> Any:
    from omega.domain.contents import encode

    return encode([[1.0], [2.0]])


def test_what_fails_does_not_keep_the_others(world):
    first = submit(world)
    world.queue.submit({"nonsense": 1})
    second = submit(world)
    perform = iter([BadInput("no"), StoreUnavailable("busy")])
    performing(world, lambda task, run: raising(next(perform))(task, run)).run_waiting()
    assert [world.tasks().get(task.id).failure for task in (first, second)] == [
        Failure("BadInput", "no"),
        Failure("StoreUnavailable", "busy"),
    ]


def test_what_was_cancelled_by_the_time_is_not_carried_out(world):
    task = submit(world)
    world.tasks().cancel(task.id)
    performing(world, raising(AssertionError("it was carried out"))).run_waiting()
    assert world.tasks().get(task.id).status == REVOKED


def test_a_task_that_is_cancelled_while_it_is_carried_out_is_revoked(world):
    task = submit(world)

    def perform(task: Task, run: Attempt) -> Answer:
        world.tasks().cancel(task.id)
        run.check()
        return Answer(b"1")

    performing(world, perform).run_waiting()
    assert world.tasks().get(task.id).status == REVOKED


def test_its_progress_is_written_and_keeps_the_lease(world):
    task = submit(world)

    def perform(task: Task, run: Attempt) -> Answer:
        for n in range(5):
            world.clock.move(9)
            run.progress(n, 5, "step")
            now = world.tasks().get(task.id)
            assert (now.status, now.progress) == (STARTED, Progress(n, 5, "step"))
        run.check()
        return Answer(b"1")

    performing(world, perform).run_waiting()
    assert world.tasks().get(task.id).status == SUCCESS


def test_a_task_that_somebody_else_has_taken_meanwhile_is_theirs(world):
    task = submit(world)

    def perform(task: Task, run: Attempt) -> Answer:
        world.clock.move(11)
        assert world.tasks().get(task.id).status == RETRY
        assert world.leases().claim("store", task.id, holder="two") is not None
        return Answer(b"late")

    before = set(world.blobs.ids())
    performing(world, perform).run_waiting()
    now = world.tasks().get(task.id)
    assert (now.status, now.lease and now.lease.holder) == (STARTED, "two")
    assert set(world.blobs.ids()) == before


def test_who_carries_out_tasks_at_once_removes_old_ones(world):
    task = submit(world)
    world.work().run_waiting()
    assert world.tasks().get(task.id).status == FAILURE
    world.clock.move(world.policy.retention_s + 1)
    world.work().run_waiting()
    with pytest.raises(NotFound):
        world.tasks().get(task.id)


def test_each_attempt_has_a_holder_of_its_own(world):
    holders = []

    def perform(task: Task, run: Attempt) -> Answer:
        lease = world.tasks().get(task.id).lease
        holders.append(lease and lease.holder)
        return Answer(b"1")

    for _ in range(3):
        submit(world)
    performing(world, perform).run_waiting()
    assert len(set(holders)) == 3 and all(holders)


def test_without_messages_nothing_is_carried_out(world):
    task = submit(world)
    world.queue.consume(timeout_s=0)
    world.work().run_waiting()
    assert world.tasks().get(task.id).status == PENDING
