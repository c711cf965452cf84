"""What tasks do, and how they answer."""

from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from omega.domain.contents import encode
from omega.domain.errors import BadInput, NotFitted, NotFound, PreconditionFailed
from omega.domain.features import as_features
from omega.domain.metadata import ALWAYS, Precondition
from omega.domain.names import MODEL
from omega.domain.tasks import NO_RUN, Call, Progress, Task
from omega.entrypoints.actions.models import ModelActions, left_by, precondition_option
from omega.entrypoints.work import Attempt
from tests.support.services import Still, World

FRAME = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]})
FIT = {"datax": "d[x]", "datay": "d[y]"}


@pytest.fixture(scope="module")
def fitted() -> World:
    """A world to be looked at only: `lm` and `logit` are fitted, `new` is not."""
    world = World(clock=Still())
    world.datasets().put("d", encode(FRAME))
    world.datasets().put("l", encode(pd.DataFrame({"x": [0.0, 1.0, 9.0, 10.0], "y": ["n", "n", "p", "p"]})))
    models = world.models()
    for name, kind in (("lm", "LinearRegression"), ("logit", "LogisticRegression"), ("new", "Ridge")):
        models.create(name, [[kind, {}]])
    models.fit("lm", "d[x]", "d[y]")
    models.fit("logit", "l[x]", "l[y]")
    return world


@pytest.fixture
def world() -> World:
    world = World(clock=Still())
    world.datasets().put("d", encode(FRAME))
    world.models().create("m", [["SGDRegressor", {"random_state": 0}]])
    return world


def performed(
    world: World, name: str, action: str, inputs: dict[str, Any], run: Any = NO_RUN, **options: Any
) -> Any:
    kept = world.inputs().put(inputs)
    task = Task("store", "an id", Call(MODEL, name, action, options, kept), world.clock.now(), 60, 3)
    return orjson.loads(ModelActions(world.models(), world.inputs()).perform(task, run).content)


def test_a_fit_answers_as_over_http(world):
    assert performed(world, "m", "fit", FIT) == {
        "model": "m",
        "datax": "d[x]",
        "datay": "d[y]",
        "result": "ok",
        "resource_uri": "/api/v1/model/m/",
        "version": 2,
    }
    values = {
        "datax": as_features(FRAME[["x"]], source="datax"),
        "datay": as_features(FRAME["y"], source="y"),
    }
    answer = performed(world, "m", "partial_fit", values)
    assert (answer["datax"], answer["datay"], answer["version"]) == (None, None, 3)


def test_a_fit_takes_its_options(world):
    world.models().create("c", [["SGDClassifier", {}]])
    world.datasets().put("l", encode(pd.DataFrame({"x": [0.0, 1.0], "y": ["n", "p"]})))
    classes = ["n", "p", "q"]
    performed(world, "c", "partial_fit", {"datax": "l[x]", "datay": "l[y]"}, classes=classes)
    from omega.domain.names import Reference

    assert world.models().metadata(Reference("c")).attributes["classes"] == classes


@pytest.mark.parametrize(
    ("precondition", "holds"),
    [
        (ALWAYS, True),
        (Precondition(match=frozenset({1})), True),
        (Precondition(match=frozenset({2, 3})), False),
        (Precondition(match="*"), True),
        (Precondition(none_match="*"), False),
        (Precondition(none_match=frozenset({1})), False),
        (Precondition(match=frozenset({1, 2}), none_match=frozenset({3})), True),
    ],
)
def test_a_precondition_goes_with_the_task(world, precondition, holds):
    option = orjson.loads(orjson.dumps(precondition_option(precondition)))
    if holds:
        assert performed(world, "m", "fit", FIT, precondition=option)["version"] == 2
    else:
        with pytest.raises(PreconditionFailed):
            performed(world, "m", "fit", FIT, precondition=option)


def test_a_precondition_of_another_form_is_refused(world):
    with pytest.raises(BadInput, match="a precondition is an object"):
        performed(world, "m", "fit", FIT, precondition=[1])


def test_a_fit_says_how_far_it_has_come(world):
    seen: list[Progress] = []
    run = Attempt("an id", world.clock.now(), lambda: None, seen.append)
    performed(world, "m", "fit", FIT, run)
    assert [(step.done, step.total) for step in seen] == [(0, 3), (1, 3), (2, 3)]
    assert [step.message for step in seen] == ["reading the data", "fitting", "storing the model"]


def test_a_fit_asks_whether_it_may_before_its_outcome_can_be_seen(world):
    seen = []

    def check() -> None:
        seen.append(world.catalogue(MODEL).head("m").version)

    performed(world, "m", "fit", FIT, Attempt("an id", world.clock.now(), check, lambda _: None))
    assert seen == [1]


def test_predictions(fitted):
    answer = performed(fitted, "lm", "predict", {"datax": "d[x]", "datay": None})
    result = np.array(answer.pop("result")).round(6).tolist()
    assert result == [2, 4, 6]
    assert answer == {
        "model": "lm",
        "datax": "d[x]",
        "datay": None,
        "resource_uri": "/api/v1/model/lm/",
        "version": 2,
    }


def test_a_score_takes_targets(fitted):
    assert performed(fitted, "lm", "score", FIT)["result"] == pytest.approx(1)


@pytest.mark.parametrize("action", ["predict_proba", "predict_log_proba", "decision_function"])
def test_probabilities_come_with_their_classes(fitted, action):
    answer = performed(fitted, "logit", action, {"datax": "l[x]"})
    assert answer["classes"] == ["n", "p"]
    assert "classes" not in performed(fitted, "logit", "predict", {"datax": "l[x]"})


def test_targets_that_are_not_used_are_shown(fitted):
    answer = performed(fitted, "lm", "predict", FIT, use_datay=False)
    assert answer["datay"] == "d[y]" and len(answer["result"]) == 3
    with pytest.raises(BadInput, match="predict takes none"):
        performed(fitted, "lm", "predict", FIT)


def test_a_version_can_be_asked(fitted):
    with pytest.raises(NotFitted):
        performed(fitted, "lm@1", "predict", {"datax": "d[x]"})
    assert performed(fitted, "lm@2", "predict", {"datax": "d[x]"})["version"] == 2


def test_asking_says_what_it_does(fitted):
    seen: list[Progress] = []
    run = Attempt("an id", fitted.clock.now(), lambda: None, seen.append)
    performed(fitted, "lm", "predict", {"datax": "d[x]"}, run)
    assert seen == [Progress(0, 1, "predict")]


@pytest.mark.parametrize(
    ("name", "action", "error"),
    [
        ("new", "predict", NotFitted),
        ("none", "predict", NotFound),
        ("none", "fit", NotFound),
        ("lm", "refit", BadInput),
    ],
)
def test_errors_are_those_of_the_call(fitted, name, action, error):
    with pytest.raises(error):
        performed(fitted, name, action, {"datax": "d[x]"})


def a_task(
    world: World, *, name: str = "m", action: str = "fit", resource: str = MODEL, id: str = "an id"
) -> Task:
    return Task("store", id, Call(resource, name, action, {}, FIT), world.clock.now(), 60, 3)


@pytest.mark.parametrize("action", ["fit", "partial_fit"])
def test_the_outcome_of_a_fit_is_its_answer(world, action):
    task = a_task(world, action=action)
    models = world.catalogue(MODEL)
    assert left_by(models, task, Attempt.over(task)) is None
    run = Attempt(task.id, task.created, lambda: None, lambda _: None)
    answer = ModelActions(world.models(), world.inputs()).perform(task, run)
    assert left_by(models, task, Attempt.over(task)) == answer
    other = a_task(world, id="another id")
    assert left_by(models, other, Attempt.over(other)) is None


def test_other_actions_have_no_outcome(world):
    models = world.catalogue(MODEL)
    for task in (a_task(world, action="predict"), a_task(world, resource="job"), a_task(world, name="none")):
        assert left_by(models, task, Attempt.over(task)) is None


def test_asking_for_the_outcome_of_another_action_touches_no_model(world):
    before = world.catalogue(MODEL).head("m").revision
    task = a_task(world, action="predict")
    left_by(world.catalogue(MODEL), task, Attempt.over(task))
    assert world.catalogue(MODEL).head("m").revision == before
    task = a_task(world)
    left_by(world.catalogue(MODEL), task, Attempt.over(task))
    assert world.catalogue(MODEL).head("m").revision != before
