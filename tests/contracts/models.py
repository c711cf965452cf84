"""The contracts of `omega.ports.models.ModelCodec` and `ModelExecutor`."""

import io
import json
import pickle
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omega.ports.models import (
    CorruptModel,
    InvalidModelInput,
    InvalidSpec,
    ModelCodec,
    ModelExecutor,
    ModelNotFitted,
    UnsupportedAction,
)

ACTIONS = {
    "fit",
    "partial_fit",
    "predict",
    "predict_proba",
    "predict_log_proba",
    "transform",
    "score",
    "decision_function",
}
X = pa.table({"a": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "b": [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]})
Y = pa.table({"y": [1.0, 3.0, 5.0, 7.0, 9.0, 11.0]})
TWO = pa.table({"u": Y["y"], "v": [-1.0, 0.0, -1.0, 0.0, -1.0, 0.0]})
KIND = pa.table({"kind": ["low", "low", "low", "top", "top", "top"]})


class ModelCodecSuite:
    """Fixtures: `codec`; `models`, some models that it can dump; `same`, whether two of them are alike."""

    def test_kind_is_text(self, codec: ModelCodec) -> None:
        assert isinstance(codec.kind, str)
        assert codec.kind

    def test_what_was_dumped_is_loaded(
        self, codec: ModelCodec, models: list[Any], same: Callable[[Any, Any], bool]
    ) -> None:
        for model in models:
            payload = codec.dump(model)
            assert isinstance(payload, bytes)
            loaded = codec.load(payload)
            assert loaded is not model
            assert same(loaded, model)

    def test_every_truncation_is_corrupt(self, codec: ModelCodec, models: list[Any]) -> None:
        payload = codec.dump(models[0])
        for size in range(len(payload)):
            with pytest.raises(CorruptModel):
                codec.load(payload[:size])

    def test_every_changed_byte_is_corrupt(self, codec: ModelCodec, models: list[Any]) -> None:
        payload = codec.dump(models[0])
        for place in range(len(payload)):
            damaged = bytearray(payload)
            damaged[place] ^= 0x41
            with pytest.raises(CorruptModel):
                codec.load(bytes(damaged))

    def test_more_bytes_are_corrupt(self, codec: ModelCodec, models: list[Any]) -> None:
        with pytest.raises(CorruptModel):
            codec.load(codec.dump(models[0]) + b"x")

    @settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(payload=st.binary(max_size=200))
    def test_foreign_bytes_are_corrupt(self, codec: ModelCodec, payload: bytes) -> None:
        with pytest.raises(CorruptModel):
            codec.load(payload)

    def test_a_foreign_pickle_is_corrupt_and_not_run(self, codec: ModelCodec) -> None:
        ran: list[str] = []
        _Spy.ran = ran
        for payload in (pickle.dumps(_Spy()), pickle.dumps({"a": 1}), b"\x80\x05."):
            with pytest.raises(CorruptModel):
                codec.load(payload)
        assert not ran


class _Spy:
    ran: list[str] = []

    def __reduce__(self) -> Any:
        return _spied, ()


def _spied() -> None:
    _Spy.ran.append("unpickled")


class ModelExecutorSuite:
    """Fixture: `executor`. The specs name estimators of scikit-learn, which every executor knows."""

    def test_one_step_is_the_bare_estimator(self, executor: ModelExecutor) -> None:
        described = executor.describe(executor.create([["LinearRegression", {}]]))
        assert (described["class"], described["type"], described["fitted"]) == (
            "LinearRegression",
            "regressor",
            False,
        )

    def test_several_steps_are_a_pipeline(self, executor: ModelExecutor) -> None:
        model = executor.create([["StandardScaler"], ["clf", "LogisticRegression", {"C": 2}]])
        described = executor.describe(model)
        assert (described["class"], described["type"]) == ("Pipeline", "classifier")
        names = [step[0] for step in described["params"]["steps"]]
        assert names == ["standardscaler", "clf"]
        assert described["params"]["steps"][1][1]["params"]["C"] == 2

    @pytest.mark.parametrize("spec", [[], None, "x", [[]], [["NoSuchEstimator"]], [["Ridge", {"no": 1}]]])
    def test_a_bad_spec_is_refused(self, executor: ModelExecutor, spec: Any) -> None:
        with pytest.raises(InvalidSpec):
            executor.create(spec)

    def test_a_description_is_strict_json(self, executor: ModelExecutor) -> None:
        for name in ("LinearRegression", "SimpleImputer", "OPTICS", "SelectKBest", "OneHotEncoder"):
            described = executor.describe(executor.create([[name]]))
            assert json.loads(json.dumps(described, allow_nan=False)) == described
            assert described.keys() >= {"class", "type", "params", "actions", "fitted", "features", "classes"}
            assert set(described["actions"]) <= ACTIONS

    def test_a_fitted_model_tells_its_features_and_classes(self, executor: ModelExecutor) -> None:
        model = executor.create([["LogisticRegression", {}]])
        described = executor.describe(executor.fit(model, action="fit", x=X, y=KIND).model)
        assert (described["fitted"], described["features"], described["classes"]) == (
            True,
            ["a", "b"],
            ["low", "top"],
        )

    @pytest.mark.parametrize("thing", [None, 1, {"a": 1}, object(), X])
    def test_what_is_no_model_is_not_described(self, executor: ModelExecutor, thing: Any) -> None:
        with pytest.raises(InvalidSpec):
            executor.describe(thing)

    def test_fit_leaves_the_given_model_as_it_was(self, executor: ModelExecutor) -> None:
        model = executor.create([["LinearRegression", {}]])
        fitted = executor.fit(model, action="fit", x=X, y=Y).model
        assert fitted is not model
        assert not executor.describe(model)["fitted"]
        again = executor.fit(fitted, action="fit", x=X, y=TWO.select(["v"])).model
        np.testing.assert_allclose(executor.apply(fitted, action="predict", x=X), Y["y"].to_numpy())
        np.testing.assert_allclose(
            executor.apply(again, action="predict", x=X), TWO["v"].to_numpy(), atol=1e-9
        )

    def test_partial_fit_goes_on_and_leaves_the_given_model(self, executor: ModelExecutor) -> None:
        model = executor.create([["StandardScaler", {}]])
        once = executor.fit(model, action="partial_fit", x=X.slice(0, 2), y=None).model
        before = executor.apply(once, action="transform", x=X)
        twice = executor.fit(once, action="partial_fit", x=X.slice(2), y=None).model
        np.testing.assert_array_equal(executor.apply(once, action="transform", x=X), before)
        whole = executor.fit(model, action="fit", x=X, y=None).model
        np.testing.assert_allclose(
            executor.apply(twice, action="transform", x=X), executor.apply(whole, action="transform", x=X)
        )

    def test_partial_fit_leaves_the_arrays_of_the_given_model(self, executor: ModelExecutor) -> None:
        model = executor.create([["SGDRegressor", {"random_state": 0}]])
        once = executor.fit(model, action="partial_fit", x=X, y=Y).model
        before = executor.apply(once, action="predict", x=X)
        twice = executor.fit(once, action="partial_fit", x=X, y=Y).model
        np.testing.assert_array_equal(executor.apply(once, action="predict", x=X), before)
        assert not np.array_equal(executor.apply(twice, action="predict", x=X), before)

    def test_classes_are_those_given_at_the_first_partial_fit(self, executor: ModelExecutor) -> None:
        model = executor.create([["GaussianNB", {}]])
        first = executor.fit(
            model, action="partial_fit", x=X.slice(0, 3), y=KIND.slice(0, 3), classes=["low", "mid", "top"]
        )
        assert first.classes == ["low", "mid", "top"]
        second = executor.fit(first.model, action="partial_fit", x=X.slice(3), y=KIND.slice(3))
        assert executor.apply(second.model, action="predict_proba", x=X).shape == (6, 3)  # type: ignore[union-attr]

    def test_classes_are_those_of_y_by_default(self, executor: ModelExecutor) -> None:
        fitted = executor.fit(executor.create([["GaussianNB"]]), action="partial_fit", x=X, y=KIND)
        assert fitted.classes == ["low", "top"]
        assert executor.fit(executor.create([["Ridge"]]), action="fit", x=X, y=Y).classes is None

    def test_attributes_tell_the_shape_and_the_warnings(self, executor: ModelExecutor) -> None:
        fitted = executor.fit(executor.create([["Ridge"]]), action="fit", x=X, y=TWO)
        assert fitted.attributes == {"n_features_in": 2, "n_outputs": 2, "warnings": []}

    def test_warnings_are_told_and_not_raised_or_printed(
        self, executor: ModelExecutor, capfd: pytest.CaptureFixture[str]
    ) -> None:
        model = executor.create([["SGDClassifier", {"max_iter": 1, "tol": None, "random_state": 0}]])
        lazy = executor.create([["MLPRegressor", {"max_iter": 1, "random_state": 0}]])
        for action in ("error", "always"):
            with warnings.catch_warnings():
                warnings.simplefilter(action)  # type: ignore[arg-type]
                assert executor.fit(model, action="fit", x=X, y=KIND).attributes["warnings"] == []
                told = executor.fit(lazy, action="fit", x=X, y=Y).attributes["warnings"]
            assert len(told) == 1
            assert told[0].startswith("ConvergenceWarning: ")
            assert "\n" not in told[0]
        assert capfd.readouterr() == ("", "")

    def test_shapes(self, executor: ModelExecutor) -> None:
        ridge = executor.create([["Ridge"]])
        one = executor.fit(ridge, action="fit", x=X, y=Y).model
        two = executor.fit(ridge, action="fit", x=X, y=TWO).model
        assert np.shape(executor.apply(one, action="predict", x=X)) == (6,)
        assert np.shape(executor.apply(two, action="predict", x=X)) == (6, 2)
        score = executor.apply(one, action="score", x=X, y=Y)
        assert type(score) is float

    def test_probabilities_of_several_outputs(self, executor: ModelExecutor) -> None:
        tree = executor.create([["DecisionTreeClassifier", {"random_state": 0}]])
        alike = pa.table({"p": [0, 0, 0, 1, 1, 1], "q": [5, 6, 5, 6, 5, 6]})
        fitted = executor.fit(tree, action="fit", x=X, y=alike)
        assert fitted.classes == [[0, 1], [5, 6]]
        answer = executor.apply(fitted.model, action="predict_proba", x=X)
        assert isinstance(answer, np.ndarray)
        assert answer.shape == (2, 6, 2)
        unlike = pa.table({"p": [0, 0, 0, 1, 1, 1], "q": [5, 6, 7, 6, 5, 7]})
        uneven = executor.fit(tree, action="fit", x=X, y=unlike).model
        parts = executor.apply(uneven, action="predict_proba", x=X)
        assert isinstance(parts, list)
        assert [part.shape for part in parts] == [(6, 2), (6, 3)]

    def test_sparse_answers_are_dense(self, executor: ModelExecutor) -> None:
        coder = executor.fit(executor.create([["OneHotEncoder"]]), action="fit", x=KIND, y=None).model
        answer = executor.apply(coder, action="transform", x=KIND)
        assert isinstance(answer, np.ndarray)
        assert answer.tolist() == [[1.0, 0.0]] * 3 + [[0.0, 1.0]] * 3

    def test_an_action_that_is_lacking_lists_those_that_are_there(self, executor: ModelExecutor) -> None:
        model = executor.fit(executor.create([["LinearRegression"]]), action="fit", x=X, y=Y).model
        for action in ("predict_proba", "transform", "fit", "no_such", "__class__", "get_params"):
            with pytest.raises(UnsupportedAction) as caught:
                executor.apply(model, action=action, x=X)
            assert caught.value.actions == ("fit", "predict", "score")
        for action in ("partial_fit", "predict", "set_params"):
            with pytest.raises(UnsupportedAction):
                executor.fit(model, action=action, x=X, y=Y)

    def test_a_model_must_be_fitted_first(self, executor: ModelExecutor) -> None:
        for spec in (
            [["LinearRegression"]],
            [["StandardScaler"], ["SVC", {}]],
            [["TfidfVectorizer"], ["SVC"]],
        ):
            with pytest.raises(ModelNotFitted):
                executor.apply(executor.create(spec), action="predict", x=X)

    def test_a_model_that_needs_no_fit_answers_without(self, executor: ModelExecutor) -> None:
        answer = executor.apply(executor.create([["Normalizer"]]), action="transform", x=X)
        np.testing.assert_allclose(np.linalg.norm(np.asarray(answer), axis=1), 1)

    @pytest.mark.parametrize(
        ("x", "y"),
        [
            (pa.table({"a": ["u"] * 6}), Y),
            (X, None),
            (X, Y.slice(1)),
            (X.slice(0, 0), Y.slice(0, 0)),
            (pa.table({"a": pa.nulls(6)}), Y),
            (pa.table({}), Y),
            (X, pa.table({})),
            (X, pa.table({"y": ["u"] * 6})),
        ],
    )
    def test_data_that_does_not_fit_is_refused_in_one_line(
        self, executor: ModelExecutor, x: pa.Table, y: pa.Table | None
    ) -> None:
        with pytest.raises(InvalidModelInput) as caught:
            executor.fit(executor.create([["LinearRegression"]]), action="fit", x=x, y=y)
        assert str(caught.value)
        assert "\n" not in str(caught.value)

    def test_asking_with_other_data_is_refused(self, executor: ModelExecutor) -> None:
        model = executor.fit(executor.create([["LinearRegression"]]), action="fit", x=X, y=Y).model
        for x in (X.select(["a"]), pa.table({"a": ["u"], "b": ["v"]}), X.slice(0, 0)):
            with pytest.raises(InvalidModelInput):
                executor.apply(model, action="predict", x=x)
        with pytest.raises(InvalidModelInput):
            executor.apply(model, action="score", x=X)

    def test_the_tables_given_stay_as_they_were(self, executor: ModelExecutor) -> None:
        before = [
            bytes(buffer) for column in X for chunk in column.chunks for buffer in chunk.buffers() if buffer
        ]
        model = executor.create([["StandardScaler", {"copy": False}], ["Ridge", {"copy_X": False}]])
        fitted = executor.fit(model, action="fit", x=X, y=Y).model
        executor.apply(fitted, action="predict", x=X)
        executor.apply(
            executor.fit(model, action="fit", x=X.select(["a"]), y=Y).model,
            action="predict",
            x=X.select(["a"]),
        )
        after = [
            bytes(buffer) for column in X for chunk in column.chunks for buffer in chunk.buffers() if buffer
        ]
        assert before == after

    def test_many_threads_may_ask_and_fit_at_once(self, executor: ModelExecutor) -> None:
        lazy = executor.create([["MLPClassifier", {"max_iter": 3, "random_state": 0}]])
        calm = executor.create([["GaussianNB"]])
        model = executor.fit(calm, action="fit", x=X, y=KIND).model
        expected = executor.apply(model, action="predict_proba", x=X)

        def work(number: int) -> list[str]:
            np.testing.assert_array_equal(executor.apply(model, action="predict_proba", x=X), expected)
            spec = lazy if number % 2 else calm
            return list(executor.fit(spec, action="fit", x=X, y=KIND).attributes["warnings"])

        filters = list(warnings.filters)
        shown = warnings.showwarning
        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(work, range(40)))
        assert [len(texts) for texts in told] == [0, 1] * 20
        assert (list(warnings.filters), warnings.showwarning) == (filters, shown)

    def test_a_model_survives_pickling_between_fit_and_asking(self, executor: ModelExecutor) -> None:
        coder = executor.create([["ColumnTransformer", {"transformers": [["b", "passthrough", ["b"]]]}]])
        fitted = executor.fit(coder, action="fit", x=X, y=None).model
        loaded = pickle.load(io.BytesIO(pickle.dumps(fitted)))
        assert np.asarray(executor.apply(loaded, action="transform", x=X)).tolist() == [
            [v] for v in X["b"].to_pylist()
        ]
