"""What a task is: values, and how they are written down."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import attrs
from attrs import field, frozen

from omega.domain import errors
from omega.domain.access import Right
from omega.domain.names import DATASET, Reference
from omega.domain.payloads import Payload
from omega.ports import records

if TYPE_CHECKING:
    from omega.domain.features import Features

JSONObject = Mapping[str, Any]
#: The data that a call works on, by the name of the argument: a dataset reference, or the values themselves.
Inputs = Mapping[str, "str | Features | None"]

PENDING: Final = "PENDING"
STARTED: Final = "STARTED"
RETRY: Final = "RETRY"
SUCCESS: Final = "SUCCESS"
FAILURE: Final = "FAILURE"
REVOKED: Final = "REVOKED"
FINAL: Final = frozenset({SUCCESS, FAILURE, REVOKED})
STATES: Final = (PENDING, STARTED, RETRY, SUCCESS, FAILURE, REVOKED)
_MAX_MESSAGE_CHARS: Final = 2000


@frozen
class Call:
    """What is asked of an object: an action with JSON options, and its data (`inputs`: references to
    datasets, or where the values were put).
    """

    resource: str
    name: str
    action: str
    options: JSONObject = field(factory=dict)
    inputs: JSONObject = field(factory=dict)

    @property
    def rights(self) -> frozenset[Right]:
        """All that it takes to make the call, and all that it may reach: its object, and the datasets that it
        names.
        """
        named = {source for source in self.inputs.values() if isinstance(source, str)}
        datasets = (Reference.parse(source, resource=DATASET).name for source in named)
        object = Reference.parse(self.name, resource=self.resource).name
        return frozenset(
            {
                Right(self.resource, object, self.action),
                *(Right(DATASET, name, "get") for name in datasets),
            }
        )


@frozen
class Progress:
    """How far a task has come: `done` of `total` steps, and what it is doing."""

    done: int
    total: int
    message: str


@frozen
class Lease:
    """Who carries a task out (`holder`, a name that no other attempt has), and until when nobody else may."""

    holder: str
    until: datetime


@frozen
class Failure:
    """Why a task failed: the name of the error's class, and its words."""

    name: str
    message: str

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        """The failure that `error`, one of omega's own, is."""
        words = str(error).encode("utf-8", "replace").decode()
        known = next((kind for kind in type(error).__mro__ if kind.__name__ in _ERRORS), errors.TaskFailed)
        return cls(known.__name__, words[:_MAX_MESSAGE_CHARS])

    def error(self) -> Exception:
        """The error, to be raised where the answer was waited for."""
        return _ERRORS.get(self.name, errors.TaskFailed)(self.message)


_ERRORS: Final[Mapping[str, type[Exception]]] = {
    kind.__name__: kind
    for kind in (*vars(errors).values(), records.StoreUnavailable, records.StoreFull)
    if isinstance(kind, type) and issubclass(kind, Exception)
}


@frozen
class Answer:
    """What a task answers with, as JSON; it may answer and have failed all the same."""

    content: bytes = field(repr=False)
    failure: Failure | None = None


@frozen
class Policy:
    """What holds for all tasks. Lengths of time in seconds, sizes in bytes.

    A lease is `lease_s` long; results and records are kept `retention_s` after the end; a task may take
    `timeout_s`, unless it says otherwise, and answer `result_bytes`; one that does no harm when it is done
    twice is tried `attempts` times in all when workers are lost.
    """

    lease_s: float = 10
    retention_s: float = 86_400
    timeout_s: float = 86_400
    result_bytes: int = 256 * 2**20
    attempts: int = 3

    def lease(self, holder: str, now: datetime) -> Lease:
        """A lease that begins now."""
        return Lease(holder, now + timedelta(seconds=self.lease_s))


@frozen
class Task:
    """A task as it was at one moment. Times are in UTC.

    `cancelled` means that its end was asked for; it may yet end otherwise, if it was done before that.
    `request_id` is that of the request which left it, where one did.
    """

    bucket: str
    id: str
    call: Call
    created: datetime
    timeout_s: float
    max_attempts: int
    status: str = PENDING
    attempts: int = 0
    started: datetime | None = None
    ended: datetime | None = None
    lease: Lease | None = None
    cancelled: bool = False
    progress: Progress | None = None
    failure: Failure | None = None
    result: Payload | None = None
    request_id: str | None = None
    revision: str | None = field(default=None, eq=False)

    @property
    def is_abandoned(self) -> bool:
        """Whether it failed before it was begun: it was given up (`TaskService.abandon`)."""
        return self.status == FAILURE and self.started is None

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.status in FINAL

    def is_lapsed(self, now: datetime) -> bool:
        """Whether whoever carried it out has not been heard of for the length of a lease."""
        return self.status == STARTED and (self.lease is None or self.lease.until < now)


_NOT_WRITTEN: Final = ("bucket", "id", "revision")


def written(task: Task) -> JSONObject:
    """A task as the value of a record."""
    value = attrs.asdict(
        task,
        value_serializer=lambda _, __, part: part.isoformat() if isinstance(part, datetime) else part,
    )
    return {name: part for name, part in value.items() if name not in _NOT_WRITTEN}


def read(bucket: str, id: str, value: JSONObject, revision: str) -> Task:
    """The task in the value of a record."""
    lease = value["lease"]
    return Task(
        bucket,
        id,
        Call(**value["call"]),
        datetime.fromisoformat(value["created"]),
        value["timeout_s"],
        value["max_attempts"],
        status=value["status"],
        attempts=value["attempts"],
        started=_time(value["started"]),
        ended=_time(value["ended"]),
        lease=lease and Lease(lease["holder"], datetime.fromisoformat(lease["until"])),
        cancelled=value["cancelled"],
        progress=value["progress"] and Progress(**value["progress"]),
        failure=value["failure"] and Failure(**value["failure"]),
        result=value["result"] and Payload(**value["result"]),
        # Not in tasks that were written before there was one.
        request_id=value.get("request_id"),
        revision=revision,
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
