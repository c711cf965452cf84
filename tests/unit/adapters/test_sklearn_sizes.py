"""What may be asked to be allocated: bounds at creation, estimates before a fit. Nothing large is fitted
here."""

import numbers
from typing import Any

import pyarrow as pa
import pytest
from sklearn.utils import all_estimators
from sklearn.utils._param_validation import Interval

from omega.adapters.sklearn_models import sizes
from omega.adapters.sklearn_models.models import SklearnModelExecutor
from omega.ports.models import InvalidModelInput, InvalidSpec

EXECUTOR = SklearnModelExecutor()
SMALL = SklearnModelExecutor(max_cells=1000)
X = pa.table({name: [0.0, 1.0, 2.0, 3.0] for name in "abcdefghij"})
Y = pa.table({"y": [0, 1, 0, 1]})


def E(name: str, **params: Any) -> dict[str, Any]:
    return {"class": name, "params": params}


def test_every_parameter_that_takes_a_whole_number_was_looked_at() -> None:
    found = set()
    for _, cls in all_estimators():
        known = cls._get_param_names()
        for name, taken in getattr(cls, "_parameter_constraints", {}).items():
            kinds = [t for t in taken if isinstance(t, Interval)] if not isinstance(taken, str) else []
            if name in known and any(kind.type is numbers.Integral for kind in kinds):
                found.add(name)
    # Shares and strengths, for which whole numbers are taken too.
    found -= {"alpha"}
    looked_at = sizes.LIMITS.keys() | sizes.POINTS.keys() | sizes.TIMES | sizes.WITH_THE_DATA
    assert not found - looked_at


@pytest.mark.parametrize(("name", "limit"), [*sizes.LIMITS.items(), *sizes.POINTS.items()])
def test_each_bound_holds_and_names_the_parameter(name: str, limit: int) -> None:
    assert sizes.refusal(name, limit) is None
    assert sizes.refusal(name, float(limit)) is None
    for value in (limit + 1, limit + 0.5, 2**63):
        assert sizes.refusal(name, value) == f"{name} may be at most {limit:,}, not {value}"
    for value in ("auto", None, True, 0.5, [1, 2], -1, {}):
        assert sizes.refusal(name, value) is None
    assert (sizes.refusal(name, [1, limit + 1]) is None) == (name in sizes.POINTS)


BIG = 10**8


@pytest.mark.parametrize(
    "spec",
    [
        [["RBFSampler", {"n_components": BIG}]],
        [["a", "RBFSampler", {"n_components": BIG}], ["b", "Ridge", {}]],
        [["GridSearchCV", {"estimator": E("RBFSampler"), "param_grid": {"n_components": [1, BIG]}}]],
        [["GridSearchCV", {"estimator": E("PCA"), "param_grid": [{"x__n_components": [BIG]}]}]],
        [["RandomizedSearchCV", {"estimator": E("PCA"), "param_distributions": {"n_components": [BIG]}}]],
        [["BaggingRegressor", {"estimator": E("Pipeline", steps=[["a", E("NMF", n_components=BIG)]])}]],
        [["Nystroem", {"kernel": "poly", "kernel_params": {"n_components": BIG}}]],
    ],
)
def test_sizes_are_bounded_wherever_they_stand(spec: Any) -> None:
    with pytest.raises(InvalidSpec, match="n_components may be at most 10,000, not 100000000"):
        EXECUTOR.create(spec)


def test_layers_are_bounded_together() -> None:
    for layers, words in (
        ([BIG], "at most 10,000, not"),
        ([1] * 101, "100 layers, not 101"),
        ([5000, 5000], "10,000,000 weights in between, not 25,000,000"),
    ):
        with pytest.raises(InvalidSpec, match=words):
            EXECUTOR.create([["MLPClassifier", {"hidden_layer_sizes": layers}]])


def test_a_grid_has_a_bounded_number_of_candidates() -> None:
    grid = {name: list(range(1, 101)) for name in ("C", "gamma", "coef0")}
    with pytest.raises(InvalidSpec, match="at most 100,000 candidates, not 1,000,000"):
        EXECUTOR.create([["GridSearchCV", {"estimator": E("SVC"), "param_grid": grid}]])
    with pytest.raises(InvalidSpec, match="at most 100,000 candidates, not 1,000,001"):
        EXECUTOR.create([["GridSearchCV", {"estimator": E("SVC"), "param_grid": [[grid], {"C": [1]}]}]])
    EXECUTOR.create([["RandomizedSearchCV", {"estimator": E("SVC"), "param_distributions": grid}]])


#: Each makes more than 1,000 values of 4 rows and 10 columns.
TOO_MANY: list[Any] = [
    [["RBFSampler", {"n_components": 101}]],
    [["SkewedChi2Sampler", {"n_components": 101}]],
    [["GaussianRandomProjection", {"n_components": 101}]],
    [["SparseRandomProjection", {"n_components": 101}]],
    [["BernoulliRBM", {"n_components": 10, "batch_size": 101}]],
    [["NMF", {"n_components": 101}]],
    [["PolynomialCountSketch", {"n_components": 100, "degree": 3}]],
    [["AdditiveChi2Sampler", {"sample_steps": 20}]],
    [["PolynomialFeatures", {"degree": 3}]],
    [["PolynomialFeatures", {"degree": [4, 4]}]],
    [["PolynomialFeatures", {"degree": 100}]],
    [["PolynomialFeatures", {"degree": 5, "interaction_only": True}]],
    [["SplineTransformer", {"n_knots": 30}]],
    [["KBinsDiscretizer", {"n_bins": 30, "encode": "onehot-dense"}]],
    [["KBinsDiscretizer", {"n_bins": 101}]],
    [["PCA", {"n_oversamples": 1000}]],
    [["Birch", {"branching_factor": 101}]],
    [["MLPClassifier", {"hidden_layer_sizes": [10, 91]}]],
    [["CategoricalNB", {"min_categories": 101}]],
    [["PolynomialFeatures"], ["PolynomialFeatures"]],
    [["RBFSampler", {"n_components": 50}], ["PolynomialFeatures"]],
    [["FeatureUnion", {"transformer_list": [["a", E("PolynomialFeatures", degree=3)]]}]],
    [["ColumnTransformer", {"transformers": [["a", E("PolynomialFeatures", degree=10), ["a", "b", "c"]]]}]],
    [
        [
            "SelectFromModel",
            {"estimator": E("Pipeline", steps=[["a", E("RBFSampler", n_components=101)], ["r", E("Ridge")]])},
        ]
    ],
    [["VotingRegressor", {"estimators": [["a", E("MLPRegressor", hidden_layer_sizes=[101])]]}]],
    [["GridSearchCV", {"estimator": E("PolynomialFeatures"), "param_grid": {"degree": [2, 3]}}]],
    [
        [
            "GridSearchCV",
            {
                "estimator": E("Pipeline", steps=[["p", "passthrough"], ["r", E("Ridge")]]),
                "param_grid": [{"r__alpha": [1]}, {"p": [E("PolynomialFeatures", degree=3)]}],
            },
        ]
    ],
]


@pytest.mark.parametrize("spec", TOO_MANY, ids=str)
def test_what_would_be_too_large_is_not_begun(spec: Any) -> None:
    model = EXECUTOR.create(spec)
    with pytest.raises(InvalidModelInput, match=r"would make [\d,]+ values of 4 rows and \d+ columns"):
        SMALL.fit(model, action="fit", x=X, y=Y)


@pytest.mark.parametrize(
    "spec",
    [
        [["RBFSampler", {"n_components": 100}]],
        [["PolynomialFeatures", {"degree": 2}]],
        [["PolynomialFeatures", {"degree": 3, "interaction_only": True}]],
        [["SplineTransformer", {"n_knots": 5}], ["Ridge"]],
        [["KBinsDiscretizer", {"n_bins": 2}]],
        [["PCA", {"n_components": 0.9}]],
        [["ColumnTransformer", {"transformers": [["a", E("PolynomialFeatures", degree=3), ["a", "b"]]]}]],
        [["GridSearchCV", {"estimator": E("Ridge"), "param_grid": {"alpha": [10**6]}, "cv": 2}]],
    ],
    ids=str,
)
def test_what_fits_is_fitted(spec: Any) -> None:
    assert SMALL.fit(EXECUTOR.create(spec), action="fit", x=X, y=Y).model is not None


def test_a_long_table_is_refused_by_what_is_made_of_it() -> None:
    model = EXECUTOR.fit(EXECUTOR.create([["RBFSampler"]]), action="fit", x=X, y=None).model
    with pytest.raises(InvalidModelInput, match="RBFSampler would make 2,000 values of 20 rows"):
        SMALL.apply(model, action="transform", x=pa.concat_tables([X] * 5))


def test_the_estimate_of_a_polynomial_is_its_number_of_columns() -> None:
    for params in ({"degree": 3}, {"degree": [2, 3]}, {"degree": 3, "interaction_only": True}):
        model = EXECUTOR.create([["PolynomialFeatures", params]])
        fitted = EXECUTOR.fit(model, action="fit", x=X, y=None).model
        made = fitted.n_output_features_
        exact = SklearnModelExecutor(max_cells=made * X.num_rows)
        exact.apply(fitted, action="transform", x=X)
        with pytest.raises(InvalidModelInput):
            SklearnModelExecutor(max_cells=made * X.num_rows - 1).apply(fitted, action="transform", x=X)
