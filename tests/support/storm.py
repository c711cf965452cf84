"""Clients that write and read without a pause while the store fails under them, and know what must be true.

An answer 503 to a write says nothing about the write: it may have been done, or be done later by a task. So
each client keeps what was acknowledged apart from what is unclear.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Self

import requests
from attrs import define, field

from tests.support import tasks
from tests.support.server import Server

_ONE: Final = {"data": {"x": [1]}}
#: Long, since the machine that runs the tests may be busy with others.
_GIVEN_UP_AFTER_S: Final = 120
_ENDED: Final = ("SUCCESS", "FAILURE")


class Unavailable(Exception):
    """The answer was a well-formed 503."""


@define(eq=False)
class Client(threading.Thread, ABC):
    """Does one step after the other until it is told to stop."""

    server: Server
    done: int = 0
    unavailable: int = 0
    errors: list[str] = field(factory=list)
    over: threading.Event = field(factory=threading.Event)
    patient: bool = False

    def __attrs_post_init__(self) -> None:
        super().__init__(daemon=True)
        self.server = Server(self.server.port, self.server.process, self.server.log, requests.Session())

    def run(self) -> None:
        while not self.over.is_set():
            try:
                self.step()
                self.done += 1
                # The machine is for the servers, too.
                time.sleep(0.01)
            except Unavailable:
                self.unavailable += 1
                time.sleep(0.05)
            except Exception as error:
                self.errors.append(f"{type(self).__name__}: {error!r}")
                return

    def ask(
        self, method: str, path: str, *, accept: tuple[int, ...] = (200,), **more: Any
    ) -> requests.Response:
        response = self.server.request(method, path, **more)
        deadline = time.monotonic() + _GIVEN_UP_AFTER_S
        while self.patient and response.status_code == 503 and time.monotonic() < deadline:
            time.sleep(0.1)
            response = self.server.request(method, path, **more)
        if response.status_code == 503:
            problem = response.json()
            assert response.headers["Content-Type"] == "application/problem+json"
            assert int(response.headers["Retry-After"]) > 0 and "127.0.0.1" not in response.text
            assert "store" in problem["detail"], problem
            raise Unavailable
        assert response.status_code in accept, f"{method} {path}: {response.status_code} {response.text}"
        return response

    @abstractmethod
    def step(self) -> None: ...

    def check(self) -> None:
        """Compare what is there with what was acknowledged, while nobody writes, and `patient`ly."""


class Appender(Client):
    """Batches of three rows of their own number. The odd ones are repeated under one idempotency key until
    they are acknowledged, and are there once then; the even ones are sent once.
    """

    number = 0
    retry = False

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.acknowledged: set[int] = set()

    def step(self) -> None:
        if not self.retry:
            self.number += 1
        odd = self.number % 2 == 1
        self.retry = odd
        rows = {"data": {"batch": [self.number] * 3, "part": [0, 1, 2]}}
        headers = {"Idempotency-Key": f"batch {self.number}"} if odd else {}
        self.ask("PUT", "/dataset/log/", json=rows, headers=headers, accept=(202,))
        self.acknowledged.add(self.number)
        self.retry = False

    def check(self) -> None:
        rows = self.ask("GET", "/dataset/log", params={"orient": "values"}).json()["data"]
        found = Counter(batch for batch, _ in rows)
        assert set(found.values()) <= {3}, f"in part, or twice: {[n for n in found if found[n] != 3]}"
        assert self.acknowledged <= found.keys(), f"lost: {sorted(self.acknowledged - found.keys())}"
        assert max(found, default=0) <= self.number


class Replacer(Client):
    """Generation n has n % 50 + 1 rows, all n. `at` is the last one acknowledged and its version."""

    number = 0
    at = (0, 0)

    def step(self) -> None:
        self.number += 1
        rows = {"data": {"n": [self.number] * (self.number % 50 + 1)}, "append": False}
        made = self.ask("PUT", "/dataset/swap/", json=rows, accept=(202,)).json()
        assert made["version"] > self.at[1], "an acknowledged version was made twice"
        self.at = (self.number, made["version"])

    def seen(self, found: dict[str, Any]) -> None:
        """Check one answer by itself."""
        numbers = set(found["data"]["n"].values())
        assert len(numbers) == 1, f"a mix of generations: {numbers}"
        (number,) = numbers
        assert len(found["data"]["n"]) == number % 50 + 1, "half a generation"

    def check(self) -> None:
        found = self.ask("GET", "/dataset/swap").json()
        self.seen(found)
        number = found["data"]["n"]["0"]
        assert self.at[0] <= number <= self.number and found["version"] >= self.at[1], f"{number}, {self.at}"


class Deleter(Client):
    """Puts a dataset and deletes it, in turn. `possible` is what may be there: a number, or nothing."""

    number = 0

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.possible: set[int | None] = {None}

    def step(self) -> None:
        self.number += 1
        put = self.number % 2 == 1
        wanted = self.number if put else None
        try:
            if put:
                rows = {"data": {"x": [self.number] * 2}, "append": False}
                self.ask("PUT", "/dataset/brief/", json=rows, accept=(202,))
            elif self.ask("DELETE", "/dataset/brief/", accept=(202, 404)).status_code == 404:
                assert None in self.possible, f"lost: one of {self.possible}"
            else:
                assert self.possible != {None}, "what was deleted is there again"
        except Unavailable:
            self.possible |= {wanted}
            raise
        self.possible = {wanted}

    def check(self) -> None:
        response = self.ask("GET", "/dataset/brief", accept=(200, 404))
        found = set(response.json()["data"]["x"].values()) if response.status_code == 200 else {None}
        assert len(found) == 1 and found <= self.possible, f"{found} is there, and not one of {self.possible}"
        self.possible = found


class Fitter(Client):
    """Fits y = n x: the odd ones are waited for, the even ones left to a task. The model that a fit has made
    answers n for 1.
    """

    number = 0
    settled = 1

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        #: The version that a fit made, by its number.
        self.versions: dict[int, int] = {}
        self.submitted: dict[str, int] = {}

    @property
    def at(self) -> int:
        """The last version acknowledged."""
        return max(self.versions.values(), default=1)

    def step(self) -> None:
        self.number += 1
        query = "" if self.number % 2 else "?async=1"
        data = {"datax": {"x": [0, 1, 2]}, "datay": {"y": [0, self.number, 2 * self.number]}}
        made = self.ask("PUT", f"/model/line/fit/{query}", json=data, accept=(202,)).json()
        if query:
            self.submitted[made["task_id"]] = self.number
        else:
            self.versions[self.number] = made["version"]

    def predicted(self, version: str = "") -> tuple[int, int]:
        """The version that answered, and its number."""
        answer = self.ask("POST", f"/model/line{version}/predict/", json=_ONE, accept=(201,)).json()
        return answer["version"], round(answer["result"][0])

    def check(self) -> None:
        """Once all tasks have ended: each has made one version if it succeeded, and none if it failed."""
        failed = set()
        for id, number in self.submitted.items():
            assert tasks.ended(self.server, id) in _ENDED
            result = tasks.result(self.server, id)
            if result["status"] == "SUCCESS":
                self.versions[number] = result["response"]["version"]
            else:
                failed.add(number)
        self.submitted.clear()
        self._wait_for_unclear_ones()
        last, _ = self.predicted()
        made = dict(self.predicted(f"@{version}") for version in range(self.settled + 1, last + 1))
        assert len(set(made.values())) == len(made), "a fit made two versions"
        assert not failed & set(made.values()), "a fit that failed made a version"
        assert set(made.values()) <= set(range(1, self.number + 1))
        for number, version in self.versions.items():
            assert version <= self.settled or made.get(version) == number, f"fit {number} is not {version}"
        self.settled = last

    def _wait_for_unclear_ones(self) -> None:
        deadline = time.monotonic() + _GIVEN_UP_AFTER_S
        while any(
            task["status"] not in _ENDED
            for task in self.ask("GET", "/task/", params={"limit": 1000}).json()["objects"]
        ):
            assert time.monotonic() < deadline, "a task does not end"
            time.sleep(0.05)


@define(eq=False)
class Reader(Client):
    """Reads what the others write: never less than was acknowledged before it asked, and never a mix."""

    replacer: Replacer = field(kw_only=True)
    fitter: Fitter = field(kw_only=True)

    def step(self) -> None:
        number, version = self.replacer.at
        if not version:
            time.sleep(0.05)
        else:
            found = self.ask("GET", "/dataset/swap").json()
            self.replacer.seen(found)
            assert found["version"] >= version and found["data"]["n"]["0"] >= number, "an old generation"
        fitted = self.fitter.at
        if fitted > 1:
            assert self.fitter_answer() >= fitted, "an old version of the model"

    def fitter_answer(self) -> int:
        answer = self.ask("POST", "/model/line/predict/", json=_ONE, accept=(201,)).json()
        # A copy: the fitter goes on.
        known = {version: number for number, version in dict(self.fitter.versions).items()}
        number = known.get(answer["version"])
        assert number is None or round(answer["result"][0]) == number, "another model than the version says"
        return int(answer["version"])


@define
class Storm:
    """Four writers and a reader on one server, again and again."""

    server: Server
    clients: list[Client] = field(init=False)
    seen: Counter[str] = field(factory=Counter)

    def __attrs_post_init__(self) -> None:
        spec = {"name": "line", "pipeline": [["LinearRegression", {}]], "replace": True}
        self.server.post("/model/", json=spec).raise_for_status()
        self.clients = self._fresh()

    @contextmanager
    def blowing(self) -> Iterator[Self]:
        """Everybody is at work in the block; at its end, they must go on by themselves, and what is there
        must be what was acknowledged.
        """
        self.clients = self._fresh()
        for client in self.clients:
            client.start()
        try:
            self.goes_on()
            yield self
            self.goes_on()
        finally:
            for client in self.clients:
                client.over.set()
            for client in self.clients:
                client.join()
        self._no_errors()
        for client in self.clients:
            client.patient = True
            client.check()
            self.seen[type(client).__name__] += client.done
            self.seen["unavailable"] += client.unavailable

    def goes_on(self, *, steps: int = 3) -> None:
        """Wait until each client has come on by some steps."""
        enough = [client.done + steps for client in self.clients]
        self.until(lambda: all(c.done >= n for c, n in zip(self.clients, enough, strict=True)))

    def is_told(self) -> None:
        """Wait until each client was told that the store is unavailable."""
        before = [client.unavailable for client in self.clients]
        self.until(lambda: all(c.unavailable > n for c, n in zip(self.clients, before, strict=True)))

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _GIVEN_UP_AFTER_S
        while not holds():
            self._no_errors()
            assert time.monotonic() < deadline, f"stuck: {self._told()}"
            time.sleep(0.02)

    def _told(self) -> dict[str, tuple[int, int]]:
        return {type(client).__name__: (client.done, client.unavailable) for client in self.clients}

    def _no_errors(self) -> None:
        errors = [error for client in self.clients for error in client.errors]
        assert not errors, errors

    def _fresh(self) -> list[Client]:
        """New threads that know what those before them knew."""
        kept = {type(client): client for client in getattr(self, "clients", [])}
        writers = [kind(self.server) for kind in (Appender, Replacer, Deleter, Fitter)]
        for writer in writers:
            for name, value in vars(kept.get(type(writer), writer)).items():
                if name in _KNOWLEDGE:
                    setattr(writer, name, value)
        _, replacer, _, fitter = writers
        assert isinstance(replacer, Replacer) and isinstance(fitter, Fitter)
        return [*writers, Reader(self.server, replacer=replacer, fitter=fitter)]


_KNOWLEDGE: Final = ("number", "retry", "acknowledged", "at", "possible", "settled", "versions", "submitted")
