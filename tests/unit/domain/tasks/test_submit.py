"""Leaving tasks: what is there afterwards, whatever fails or dies meanwhile."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from attrs import define, evolve

from omega.adapters.system.ids import TimeOrderedIds
from omega.domain.errors import BadInput, NotFound
from omega.domain.tasks import PENDING, REVOKED, STARTED, SUCCESS, Call, Policy
from omega.domain.tasks.records import new_id
from omega.ports.queue import JSONObject, QueueUnavailable
from omega.ports.records import RecordConflict, StoreFull, StoreUnavailable
from tests.support.services import Counting
from tests.unit.domain.tasks.hands import (
    Died,
    blobs,
    carry_out,
    claim,
    is_change,
    keys,
    lapse,
    look_after,
    nth,
    raw,
    state,
    submit_fit,
)

#: A task with values of its own: two tables, its place among the open tasks, itself.
CHANGES = 4


@define
class Down:
    """A queue that cannot be reached; `happen` takes place at the call."""

    happen: Callable[[JSONObject], object] = lambda _: None

    def submit(self, message: JSONObject) -> None:
        self.happen(message)
        raise QueueUnavailable("it is away")

    def close(self) -> None:
        pass


def test_a_task_waits_and_its_message_too(world):
    task = world.tasks().submit("model", "m", "predict", options={"a": [1]}, inputs={"datax": "d[x]"})
    assert task.status == PENDING and task.attempts == 0 and not task.is_final
    assert task.call == Call("model", "m", "predict", {"a": [1]}, {"datax": "d[x]"})
    assert task.created == world.clock.now() and task.started is None and task.ended is None
    assert (task.timeout_s, task.max_attempts) == (86_400, 3)
    assert world.tasks().get(task.id) == task
    assert world.queue.consume(timeout_s=0) == {"bucket": "store", "id": task.id}


def test_the_policy_says_what_the_caller_does_not(world):
    world.policy = Policy(timeout_s=7, attempts=2)
    assert (submit_fit(world).timeout_s, submit_fit(world).max_attempts) == (7, 2)
    task = submit_fit(world, timeout_s=0.5, attempts=1)
    assert (task.timeout_s, task.max_attempts) == (0.5, 1)


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf"), 30 * 86_400 + 1])
def test_a_timeout_that_cannot_be_kept_is_refused(world, timeout_s):
    before = blobs(world)
    with pytest.raises(BadInput, match=r"timeout of \S+ s cannot be kept"):
        submit_fit(world, timeout_s=timeout_s)
    assert keys(world) == [] and blobs(world) == before
    assert submit_fit(world, timeout_s=30 * 86_400).timeout_s == 30 * 86_400


# ids


def test_ids_are_uuids_of_version_7_in_the_order_of_time():
    clock = iter(range(1_700_000_000_000, 1_700_000_000_500))
    source = TimeOrderedIds(now_ms=lambda: next(clock))
    ids = [new_id(source) for _ in range(500)]
    assert ids == sorted(ids) and len(set(ids)) == 500
    for n, id in enumerate(ids):
        assert str(UUID(id)) == id
        assert UUID(id).version == 7 and UUID(id).variant == "specified in RFC 4122"
        assert UUID(id).int >> 80 == 1_700_000_000_000 + n


def test_ids_of_the_same_moment_differ():
    source = TimeOrderedIds(now_ms=lambda: 1)
    assert len({new_id(source) for _ in range(2000)}) == 2000


def test_all_the_chance_in_an_id_is_used():
    """All bits but those of version and variant are those that were given."""

    @define
    class Given:
        number: int

        def new(self) -> str:
            alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
            return "".join(alphabet[self.number >> shift & 31] for shift in range(125, -1, -5))

    fixed = 0xF << 76 | 0b11 << 62
    for number in ((1 << 128) - 1, 0x0123456789ABCDEF0123456789ABCDEF):
        id = UUID(new_id(Given(number)))
        assert id.int & ~fixed == number & ~fixed


MALFORMED = [
    "",
    "x",
    "..",
    "../../store/x",
    "00000000-0000-7000-8000-00000000000",
    "00000000-0000-7000-8000-0000000000000",
    "00000000-0000-7000-8000-00000000000g",
    "00000000-0000-7000-8000-00000000000A",
    "00000000-0000-7000-8000-000000000001\n",
    "{00000000-0000-7000-8000-000000000001}",
    "00000000000070008000000000000001",
    "other/00000000-0000-7000-8000-000000000001",
    "\0",
    "\ud800",
    "\u0660" * 8,
    "x" * 5000,
]


@pytest.mark.parametrize("id", [*MALFORMED, "00000000-0000-7000-8000-ffffffffffff"], ids=repr)
def test_there_is_no_task_of_another_id(world, id):
    submit_fit(world)
    for ask in (world.tasks().get, world.tasks().cancel):
        with pytest.raises(NotFound, match="there is no task"):
            ask(id)
    assert world.work().claim({"bucket": "store", "id": id}, "one") is None


def test_a_task_of_another_bucket_is_not_there(world):
    task = submit_fit(world)
    assert world.tasks("other").list().total == 0
    for ask in (world.tasks("other").get, world.tasks("other").cancel):
        with pytest.raises(NotFound, match="in bucket 'other'"):
            ask(task.id)
    assert world.work().claim({"bucket": "other", "id": task.id}, "one") is None
    assert world.work().claim({"bucket": "store", "id": task.id}, "one") is not None


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"bucket": "store"},
        {"bucket": 1, "id": 2},
        {"bucket": "store", "id": None},
        {"bucket": "a/b", "id": "00000000-0000-7000-8000-000000000001"},
        {"bucket": "\0", "id": "00000000-0000-7000-8000-000000000001"},
        {"bucket": "", "id": "00000000-0000-7000-8000-000000000001"},
        {"bucket": "x" * 5000, "id": "00000000-0000-7000-8000-000000000001"},
    ],
    ids=lambda message: repr(message)[:60],
)
def test_a_message_that_names_no_task_does_no_harm(world, message):
    assert world.work().claim(message, "one") is None


# failures


def test_without_a_queue_there_is_no_task_and_no_trace(world):
    before = blobs(world), world.records.page("").total
    world.queue = Down()
    with pytest.raises(QueueUnavailable):
        submit_fit(world)
    assert (blobs(world), world.records.page("").total) == before


def test_a_message_that_was_left_all_the_same_wakes_nobody(world):
    queue = world.queue
    world.queue = Down(queue.submit)
    with pytest.raises(QueueUnavailable):
        submit_fit(world)
    world.queue = queue
    assert world.work().claim(queue.consume(timeout_s=0), "one") is None


def test_without_a_queue_a_task_that_a_worker_has_found_is_there(world):
    queue, world.queue = world.queue, Down(lambda message: world.work().claim(message, "one"))
    task = submit_fit(world)
    world.queue = queue
    assert state(world, task).status == STARTED
    look_after(world)
    assert state(world, task).status == SUCCESS


def test_without_a_queue_a_task_that_has_been_done_and_has_expired_was_there(world):
    """Whoever submitted it was held up for so long."""

    def found(message: JSONObject) -> None:
        assert carry_out(world, world.tasks().get(message["id"]), "one").status == SUCCESS
        world.clock.move(world.policy.retention_s + 1)
        assert world.leases().expire() == 1

    world.queue = Down(found)
    assert submit_fit(world).status == PENDING
    assert keys(world) == []


def test_the_task_is_there_before_its_message_is(world):
    seen = []
    queue = world.queue

    class Looking:
        def submit(self, message: JSONObject) -> None:
            seen.append(world.tasks().get(message["id"]).status)
            queue.submit(message)

    world.queue = Looking()
    submit_fit(world)
    assert seen == [PENDING]


@pytest.mark.parametrize("change", range(CHANGES))
@pytest.mark.parametrize("error", [StoreFull, StoreUnavailable])
def test_without_room_there_is_no_task(world, steps, change, error):
    before = blobs(world)
    steps.trouble(nth(change), error("no room"))
    with pytest.raises(error):
        submit_fit(world)
    assert blobs(world) == before
    assert keys(world, "task/") == []
    assert world.queue.size() == 0
    # What may be left is a place among the open tasks, with nothing in it.
    assert len(keys(world)) == (1 if change == CHANGES - 1 else 0)


def test_that_many_changes_make_a_task(world, steps):
    submit_fit(world)
    assert [step.key.partition("/")[0] for step in steps.taken if is_change(step)][2:] == [
        "task-open",
        "task",
    ]
    assert sum(map(is_change, steps.taken)) == CHANGES


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("change", range(CHANGES))
def test_a_task_whose_submitter_dies_is_found_or_is_not_there(world, steps, change, after):
    steps.trouble(nth(change), Died(), after=after)
    with pytest.raises(Died):
        submit_fit(world)
    steps.no_trouble()
    tasks = world.tasks().list().items
    assert len(tasks) == ((change, after) == (CHANGES - 1, True))
    look_after(world)
    for task in tasks:
        assert state(world, task).status == SUCCESS
    world.clock.move(700)
    look_after(world)
    assert keys(world, "task-open") == []


def test_the_inputs_of_a_task_that_is_not_there_are_removed_although_the_queue_is_down(world, steps):
    """The store is away when the rest is removed: it is told what is the matter first."""
    world.queue = Down()
    steps.trouble(
        lambda step: step.method == "remove" and not step.key.startswith("task"), StoreUnavailable("x")
    )
    with pytest.raises(QueueUnavailable):
        submit_fit(world)
    assert keys(world) == []


# lists


def test_the_latest_come_first_and_cost_one_page(world, steps):
    tasks = []
    for _ in range(5):
        world.clock.move(1)
        tasks.append(submit_fit(world))
    world.tasks("other").submit("model", "m", "fit")
    steps.taken.clear()
    page = world.tasks().list(offset=1, limit=3)
    assert [(step.method, step.key) for step in steps.taken] == [("page", "task/store/")]
    assert list(page.items) == [tasks[3], tasks[2], tasks[1]] and page.total == 5
    assert [task.id for task in world.tasks().list().items] == [task.id for task in reversed(tasks)]
    assert world.tasks().list(offset=5).items == [] and world.tasks().list(offset=5).total == 5


def test_a_list_shows_tasks_as_they_are(world):
    ended, waiting, begun = submit_fit(world), submit_fit(world), submit_fit(world)
    carry_out(world, ended, "one")
    claim(world, begun, "two")
    world.tasks().cancel(waiting.id)
    assert [task.status for task in world.tasks().list().items] == [STARTED, REVOKED, SUCCESS]


def test_a_task_is_read_as_it_was_written(world):
    task = submit_fit(world)
    written = claim(world, task, "one")
    assert state(world, task) == written and state(world, task).revision == written.revision
    world.clock.at = datetime(2026, 5, 5, 5, 5, 5, 123456, tzinfo=UTC) + timedelta(microseconds=1)
    renewed = world.leases().renew(written, holder="one")
    assert state(world, task) == renewed
    assert renewed.lease.until == world.clock.now() + timedelta(seconds=world.policy.lease_s)


def test_two_services_on_the_same_stores_see_the_same_tasks(world):
    task = submit_fit(world)
    other = evolve(world, ids=Counting(10**9))
    assert other.tasks().get(task.id) == task
    assert carry_out(other, task, "one").status == SUCCESS
    assert raw(world, task).value["status"] == SUCCESS
    lapse(world)


def test_a_call_that_is_given_up_is_a_task_that_failed_and_cannot_be_submitted(world):
    id = new_id(TimeOrderedIds())
    given_up = world.tasks().abandon("job", "a.ipynb", "run", reason="too late", id=id)
    assert world.tasks().get(id) == given_up and given_up.is_abandoned and given_up.is_final
    assert given_up.failure is not None and given_up.failure.message == "too late"
    assert not keys(world, "task-open/") and len(keys(world, "task-ended/")) == 1
    with pytest.raises(RecordConflict):
        world.tasks().submit("job", "a.ipynb", "run", id=id)
    with pytest.raises(RecordConflict):
        world.tasks().abandon("job", "a.ipynb", "run", reason="later", id=id)
    assert world.tasks().get(id) == given_up
    assert world.queue.consume(timeout_s=0) is None
