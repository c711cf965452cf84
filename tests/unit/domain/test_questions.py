"""Questions put together are answered as each alone."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega import Omega
from omega.domain.errors import BadInput, NotFitted
from omega.domain.features import Numbers
from omega.domain.names import Reference
from omega.domain.questions import Question

MODELS: dict[str, Any] = {
    "classifier": ["LogisticRegression", {}],
    "regressor": ["LinearRegression", {}],
    "tree": ["DecisionTreeClassifier", {"random_state": 0}],
}


@pytest.fixture(scope="module")
def om() -> Omega:
    om = Omega("memory://")
    draw = np.random.default_rng(0)
    data = pd.DataFrame({"a": draw.normal(size=60), "b": draw.normal(size=60), "n": draw.integers(0, 9, 60)})
    om.datasets.put(data.assign(y=np.where(data.a > 0, "up", "down"), z=data.a * 2), "d")
    for name, step in MODELS.items():
        om.models.create(name, [step])
        target = "d[z]" if name == "regressor" else "d[y]"
        om.runtime.model(name).fit("d[a,b,n]", target)
    om.models.create("new", [["LogisticRegression", {}]])
    return om


def question(om: Omega, name: str, x: Any, action: str = "predict") -> Question:
    return om.runtime.model(name).question(action, x)


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=12),
    name=st.sampled_from(list(MODELS)),
    action=st.sampled_from(["predict", "predict_proba"]),
    seed=st.integers(0, 99),
)
def test_each_gets_what_it_would_get_alone(
    om: Omega, sizes: list[int], name: str, action: str, seed: int
) -> None:
    if name == "regressor":
        action = "predict"
    draw = np.random.default_rng(seed)
    rows = [pd.DataFrame(draw.normal(size=(n, 3)), columns=list("abn")) for n in sizes]
    asked = [question(om, name, frame, action) for frame in rows]
    answers = asked[0].put_all(asked)
    assert len(answers) == len(asked)
    for one, answer in zip(asked, answers, strict=True):
        alone = one.put()
        assert answer.metadata == alone.metadata
        assert answer.classes == alone.classes
        assert np.shape(answer.result) == np.shape(alone.result)
        if np.asarray(alone.result).dtype.kind == "f":
            np.testing.assert_allclose(answer.result, alone.result, rtol=1e-9, atol=1e-12)
        else:
            np.testing.assert_array_equal(answer.result, alone.result)


def test_who_can_be_put_together(om: Omega) -> None:
    row = pd.DataFrame({"a": [0.5], "b": [1.5], "n": [2]})
    key = question(om, "classifier", row).key
    assert key is not None
    assert key == question(om, "classifier", row * 1).key
    others = [
        question(om, "tree", row),
        question(om, "classifier", row, "predict_proba"),
        question(om, "classifier", row.astype({"n": "float64"})),
    ]
    assert all(key != other.key for other in others)
    om.models.put(om.models.get("classifier"), "classifier")
    assert key != question(om, "classifier", row).key


@pytest.mark.parametrize("rows", [0, 1500])
def test_who_gains_nothing_stays_alone(om: Omega, rows: int) -> None:
    assert question(om, "classifier", pd.DataFrame(np.zeros((rows, 3)), columns=list("abn"))).key is None


def test_numbers_for_a_model_of_texts_are_refused(om: Omega) -> None:
    om.datasets.put(pd.DataFrame({"t": ["a", "b", "a", "b"], "y": [0, 1, 0, 1]}), "texts")
    om.models.create("encoded", [["OneHotEncoder", {}], ["LogisticRegression", {}]])
    om.runtime.model("encoded").fit("texts[t]", "texts[y]")
    with pytest.raises(BadInput, match="'t' of datax is numeric"):
        question(om, "encoded", Numbers(["t"], [[1.0]], "datax"))


def test_floats_as_lists_are_answered_as_a_frame_is(om: Omega) -> None:
    numbers = Numbers(["a", "b", "n"], [[0.5, -0.5], [1.5, 2.5], [2.0, 3.0]], "datax")
    frame = pd.DataFrame({"a": [0.5, -0.5], "b": [1.5, 2.5], "n": [2.0, 3.0]})
    asked = question(om, "classifier", numbers)
    assert asked.rows == 2
    wanted = question(om, "classifier", frame).put().result
    np.testing.assert_array_equal(asked.put().result, wanted)
    together = asked.put_all([asked, asked])
    np.testing.assert_array_equal(together[1].result, wanted)
    with pytest.raises(BadInput, match="missing columns: 'n'"):
        question(om, "classifier", Numbers(["a", "b"], [[0.5], [1.5]], "datax"))


def test_a_score_stays_alone(om: Omega) -> None:
    service = om._services.models
    assert service.question(Reference("classifier"), "d[a,b,n]", "d[y]", action="score").key is None


def test_errors_are_those_of_each(om: Omega) -> None:
    row = pd.DataFrame({"a": [0.5], "b": [1.5], "n": [2.0]})
    with pytest.raises(NotFitted, match="'new'"):
        question(om, "new", row).put_all([question(om, "new", row)] * 2)
    bad = [question(om, "classifier", row), question(om, "classifier", row * np.nan)]
    with pytest.raises(BadInput, match="NaN"):
        bad[0].put_all(bad)


def test_what_does_not_answer_row_by_row_is_found_out(om: Omega) -> None:
    row = pd.DataFrame({"a": [0.5], "b": [1.5], "n": [2.0]})
    asked = question(om, "classifier", row)

    class Summing:
        def apply(self, model: Any, *, action: str, x: Any, y: Any = None) -> np.ndarray:
            return np.zeros(1)

    odd = Question(Summing(), asked.metadata, asked.tip, asked.model, "predict", asked.x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="row by row"):
        odd.put_all([odd, odd])
