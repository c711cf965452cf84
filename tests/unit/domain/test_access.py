"""Who may reach what: values of access, and that no method of a service forgets to ask."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from omega import Omega
from omega.domain.access import NOBODY, OWNER, All, Gate, Only, Right, Within
from omega.domain.contents import Bytes
from omega.domain.documents import Documents
from omega.domain.errors import BadInput, Forbidden, NotFound
from omega.domain.job_runs import JobRun, JobRuns
from omega.domain.job_schedules import JobSchedules
from omega.domain.keys import KeyService
from omega.domain.metadata import Metadata
from omega.domain.names import Reference
from omega.domain.rules import Rules
from omega.domain.schedules import Schedule
from omega.domain.tasks import NO_RUN, TaskService

FIT, LIST = Right("model", "m", "fit"), Right("model", "", "list")


def test_what_each_kind_of_access_allows():
    rules = Rules.parse(["model/m/.*"], source="a test")
    for access, verdicts in [
        (OWNER, (True, True, True)),
        (NOBODY, (False, False, False)),
        (Only("store", frozenset({FIT})), (True, False, False)),
        (Within("store"), (True, True, False)),
        (rules, (True, False, True)),
        (All.of([rules, Within("store"), OWNER]), (True, False, False)),
        (All.of([rules, NOBODY]), (False, False, False)),
        (All.of([]), (True, True, True)),
    ]:
        asked = [
            access.allows(FIT, bucket="store"),
            access.allows(LIST, bucket="store"),
            access.allows(FIT, bucket="b"),
        ]
        assert tuple(asked) == verdicts, access
        assert access.is_everything == (access in (OWNER, All.of([])))


@pytest.mark.parametrize(
    ("texts", "everything"),
    [([".*/.*/.*"], True), ([".*"], True), (["x", ".*"], True), (["model"], False), ([".+/.*/.*"], True)]
    + [(one, False) for one in ([".*/.+/.*"], [".*/.*/.*t"], ["(model|dataset|job)/.*/.*"])],
)
def test_rules_that_allow_everything_are_known(texts, everything):
    assert Rules.parse(texts, source="a test").is_everything == everything


def test_a_gate_opens_for_one_name_alone():
    access = Rules.parse(["job/.*/(get|list)"], source="a test")
    shut = Gate("job", "store", access)
    opened = shut.opened("get", "j")
    for name in ("j", "j.ipynb"):
        opened.check(name)
    for gate, name in [(opened, "k"), (opened, ""), (shut, "j"), (shut.opened("list"), "j")]:
        with pytest.raises(Forbidden):
            gate.check(name)
    shut.opened("list").check("j", listed=True)
    shut.opened("list").check_listing()
    for gate in (shut, opened):
        with pytest.raises(Forbidden):
            gate.check_listing()
    with pytest.raises(Forbidden):
        shut.opened("put", "j")


@pytest.fixture(scope="module")
def owner(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with Omega((home / "s").as_uri(), queue=f"sqlite:///{home}/q.sqlite", home=home) as omega:
        omega.datasets.put({"x": 1}, "d")
        omega.models.create("m", [["LinearRegression", {}]])
        omega.jobs.create("1", "j")
        omega.scripts.put("def run(om): pass", "s")
        yield omega


def job_metadata() -> Metadata:
    return Metadata("j.ipynb", "job", "store", "k", 1, None, None)  # type: ignore[arg-type]


RUN = JobRun("j.ipynb", 1, 1, {}, None)  # type: ignore[arg-type]
REF = {name: Reference(name) for name in "dmjs"}
#: Each public method of each service that reaches what is stored: how it is called.
CALLS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "datasets": {
        "put": lambda it: it.put("d", Bytes([b""])),
        "open": lambda it: it.open(REF["d"]),
        "metadata": lambda it: it.metadata(REF["d"]),
        "list": lambda it: it.list(),
        "drop": lambda it: it.drop("d"),
    },
    "models": {
        "create": lambda it: it.create("m", [["LinearRegression", {}]]),
        "put": lambda it: it.put("m", object()),
        "fit": lambda it: it.fit("m", [[1.0]]),
        "ask": lambda it: it.ask(REF["m"], [[1.0]]),
        "question": lambda it: it.question(REF["m"], [[1.0]]),
        "get": lambda it: it.get(REF["m"]),
        "metadata": lambda it: it.metadata(REF["m"]),
        "list": lambda it: it.list(),
        "drop": lambda it: it.drop("m"),
    },
    "jobs": {
        "put": lambda it: it.put("j", {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}),
        "create": lambda it: it.create("j", "1"),
        "get": lambda it: it.get(REF["j"]),
        "metadata": lambda it: it.metadata(REF["j"]),
        "list": lambda it: it.list(),
        "drop": lambda it: it.drop("j"),
        "run": lambda it: it.run("j", timeout_s=1),
        "result": lambda it: it.result("j_1.ipynb"),
        "export": lambda it: it.export("j"),
        "report": lambda it: it.report("j_1"),
    },
    "scripts": {
        "put": lambda it: it.put("s", "def run(om): pass"),
        "get": lambda it: it.get(REF["s"]),
        "metadata": lambda it: it.metadata(REF["s"]),
        "list": lambda it: it.list(),
        "drop": lambda it: it.drop("s"),
        "run": lambda it: it.run(REF["s"], timeout_s=1),
    },
    "jobs.documents": {
        "put": lambda it: it.put("j", b""),
        "get": lambda it: it.get(REF["j"]),
        "metadata": lambda it: it.metadata(REF["j"]),
        "list": lambda it: it.list(),
        "drop": lambda it: it.drop("j"),
    },
    "jobs.runs": {
        "allow": lambda it: it.allow("run", "j"),
        "begin": lambda it: it.begin(job_metadata(), parameters={}, task=None),
        "finish": lambda it: it.finish(RUN, error=None, notebook=None),
        "give_up": lambda it: it.give_up(RUN),
        "of": lambda it: it.of("j.ipynb"),
        "find": lambda it: it.find("j_1.ipynb"),
        "of_task": lambda it: it.of_task("j.ipynb", "t", since=None),
        "notebook": lambda it: it.notebook(RUN),
        "drop": lambda it: it.drop(RUN),
    },
    "schedules": {
        "allow": lambda it: it.allow("schedule", "j.ipynb"),
        "put": lambda it: it.put("j.ipynb", Schedule("0 0 * * *", "UTC"), parameters={}, timeout_s=None),
        "get": lambda it: it.get("j.ipynb"),
        "remove": lambda it: it.remove("j.ipynb"),
        "write": lambda it: it.write(None),
    },
    "datasets.catalogue": {
        "allow": lambda it: it.allow("get", "d"),
        "head": lambda it: it.head("d"),
        "peek": lambda it: it.peek("d"),
        "version": lambda it: it.version(REF["d"]),
        "fence": lambda it: it.fence("d"),
        "drop": lambda it: it.drop("d"),
        "list": lambda it: it.list(),
    },
    "tasks": {
        "submit": lambda it: it.submit("model", "m", "fit", inputs={"datax": "d"}),
        "abandon": lambda it: it.abandon("job", "j.ipynb", "run", reason="", id="x"),
        "get": lambda it: it.get("x"),
        "answer": lambda it: it.answer(it.get("x")),
        "list": lambda it: it.list(),
        "cancel": lambda it: it.cancel("x"),
    },
    "keys": {
        "add": lambda it: it.add("u"),
        "list": lambda it: it.list(),
        "remove": lambda it: it.remove("u"),
        "disable": lambda it: it.disable(),
    },
}
#: Methods that work on what another method has given: a head, or a version, of an object.
GIVEN = {
    "datasets.catalogue": {"version_of", "commit", "made_by", "check", "is_gone"},
    "keys": {"needed"},
}
CASES = [(where, method) for where, methods in CALLS.items() for method in methods]


def part(omega: Omega, where: str) -> Any:
    found: Any = omega._services
    for name in where.split("."):
        found = getattr(found, name)
    return found


def test_every_method_of_every_service_is_tried(owner):
    for where, methods in CALLS.items():
        public = {
            name
            for name, _ in inspect.getmembers(type(part(owner, where)), inspect.isfunction)
            if not name.startswith("_")
        }
        assert public == methods.keys() | GIVEN.get(where, set()), where
    kinds = {type(part(owner, where)) for where in CALLS}
    assert {Documents, JobRuns, JobSchedules, TaskService, KeyService} <= kinds
    assert NO_RUN.id is None


@pytest.mark.parametrize(("where", "method"), CASES, ids=[".".join(case) for case in CASES])
def test_nobody_can_do_anything(owner, where, method):
    nobody, call = part(owner.as_(NOBODY), where), CALLS[where][method]
    if where == "tasks" and method == "list":
        assert call(nobody).total == 0
    elif where == "tasks" and method not in ("submit", "abandon"):
        with pytest.raises(NotFound):
            call(nobody)
    elif (where, method) == ("schedules", "write"):
        with pytest.raises((Forbidden, AttributeError)):
            call(nobody)
    else:
        with pytest.raises(Forbidden):
            call(nobody)


def test_a_task_reaches_what_its_call_names_and_nothing_else(owner):
    owner.datasets.put({"x": 2}, "e")
    task = owner.runtime.model("m").submit("fit", "d[x]@1", "d").get()
    assert {str(right) for right in task.call.rights} == {"model/m/fit", "dataset/d/get"}
    own = owner.as_(Only("store", task.call.rights))
    own.datasets.open("d")
    for reach in (
        lambda: own.datasets.open("e"),
        lambda: own["other"].datasets.open("d"),
        lambda: own.models.metadata("m"),
        lambda: own.runtime.model("m").predict("d"),
        lambda: own.jobs.get("j"),
        lambda: own.scripts.get("s"),
    ):
        with pytest.raises(Forbidden):
            reach()


def test_a_worker_has_no_more_rights_than_the_task(owner, monkeypatch):
    """What the worker calls the model with is what the task's call allows."""
    from omega.entrypoints import actions

    seen = []
    monkeypatch.setattr(actions, "perform", lambda services, inputs, task, run: seen.append(services))
    task = owner.runtime.model("m").submit("fit", "d[x]", "d").get()
    owner._services.work.perform(task, NO_RUN)
    (services,) = seen
    assert services.models.catalogue.gate.access == Only("store", task.call.rights)
    with pytest.raises(Forbidden):
        services.datasets.metadata(REF["m"])


def test_words_of_a_refusal_do_not_depend_on_what_there_is(owner):
    nobody = owner.as_(NOBODY)
    found = []
    for name in ("d", "none"):
        with pytest.raises(Forbidden) as caught:
            nobody.datasets.get(name)
        found.append(str(caught.value).replace(repr(name), "?"))
    assert found[0] == found[1]
    with pytest.raises(BadInput):
        nobody.datasets.get("a:b")
