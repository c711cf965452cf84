"""Which specs become which estimators, and which are refused without touching anything."""

import inspect
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import all_estimators

from omega.adapters.sklearn_models import estimators, parameters
from omega.adapters.sklearn_models.models import JoblibModelCodec, SklearnModelExecutor
from omega.ports.models import InvalidSpec

EXECUTOR = SklearnModelExecutor()
CLASSES: dict[str, type[BaseEstimator]] = dict(all_estimators())


def E(name: str, **params: Any) -> dict[str, Any]:
    return {"class": name, "params": params}


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else 1


def chain(depth: int) -> dict[str, Any]:
    return E("BaggingRegressor", estimator=chain(depth - 1)) if depth else E("Ridge")


TEXT_GRID = E("Pipeline", steps=[["vect", E("CountVectorizer")], ["clf", E("SVC")]])

#: A spec, and words that must be in the refusal.
REFUSED: list[tuple[Any, str]] = [
    (None, "list of at least one step"),
    ({}, "list of at least one step"),
    ("LinearRegression", "list of at least one step"),
    ([], "list of at least one step"),
    ([["Ridge"]] * 101, "101 steps, the limit is 100"),
    (["Ridge"], "step 1 must be a list"),
    ([[]], "step 1 must be a list"),
    ([["a", "Ridge", {}, 1]], "step 1 must be a list"),
    ([[1, {}]], "the class must be text, not int"),
    ([[None, "Ridge", {}]], "the step name must be text"),
    ([["", "Ridge", {}]], "the step name must be text"),
    ([["Ridge", [1]]], "the parameters must be an object, not list"),
    ([["a", "Ridge", "x"]], "the parameters must be an object, not str"),
    ([["LinearRegresion"]], "did you mean LinearRegression"),
    ([["linearregression"]], "did you mean LinearRegression"),
    ([["os.system", {}]], "'os.system' is not an estimator"),
    ([["builtins.eval"]], "is not an estimator"),
    ([["subprocess.Popen"]], "is not an estimator"),
    ([["sklearn.utils.os"]], "is not an estimator"),
    ([["sklearn.externals.joblib.Memory"]], "is not an estimator"),
    ([["sklearn.datasets.load_files"]], "is not an estimator"),
    ([["sklearn.datasets.fetch_openml"]], "is not an estimator"),
    ([["sklearn.base.BaseEstimator"]], "is not an estimator"),
    ([["sklearn.model_selection.KFold"]], "is not an estimator"),
    ([["sklearn.LinearRegression"]], "is not an estimator"),
    ([["LinearRegression.__init__"]], "is not an estimator"),
    ([[".LinearRegression"]], "is not an estimator"),
    ([["sklearn.linear_model..LinearRegression"]], "is not an estimator"),
    ([["x" * 10_000]], "..."),
    ([["Ridge", {"no": 1, "alpha": 2}]], "step 1 'ridge' (Ridge): no parameter 'no'; it has alpha,"),
    ([["Ridge", {1: 1}]], "no parameter '1'"),
    ([["Ridge", {"self": 1}]], "no parameter 'self'"),
    ([["Pipeline", {"steps": [["a", E("Ridge")]], "a__alpha": 1}]], "no parameter 'a__alpha'"),
    ([["LabelEncoder", {"args": []}]], "no parameter 'args'; it has none"),
    ([["VotingClassifier"]], "needs the parameter estimators"),
    ([["GridSearchCV", {"estimator": E("SVC")}]], "needs the parameter param_grid"),
    ([["Ridge", {"alpha": -1}]], "The 'alpha' parameter of Ridge must be a float"),
    ([["Ridge", {"alpha": "x"}]], "The 'alpha' parameter of Ridge"),
    ([["Ridge", {"alpha": 10**400}]], "more than 64 bits"),
    ([["Ridge", {"alpha": float("inf")}]], "not a finite number"),
    ([["Ridge", {"alpha": float("nan")}]], "not a finite number"),
    ([["Ridge", {"alpha": b"x"}]], "a bytes is not a JSON value"),
    ([["Ridge", {"alpha": print}]], "is not a JSON value"),
    ([["FunctionTransformer", {"func": "os.system"}]], "The 'func' parameter of FunctionTransformer"),
    ([["FunctionTransformer", {"func": E("os.system")}]], "'os.system' is not an estimator"),
    ([["SelectKBest", {"score_func": "f_classif"}]], "The 'score_func' parameter"),
    ([["KMeans", {"init": [[1], [1, 2]]}]], "rows of one length"),
    ([["SelfTrainingClassifier"]], "SelfTrainingClassifier"),
    ([["FrozenEstimator", {"estimator": "x"}]], "FrozenEstimator"),
    ([["BaggingClassifier", {"estimator": "LinearSVC"}]], "The 'estimator' parameter"),
    ([["BaggingClassifier", {"estimator": {"class": "Nope", "params": {}}}]], "'Nope' is not an estimator"),
    ([["Ridge", {"alpha": nested(30)}]], "nested more than 20 deep"),
    ([["BaggingRegressor", {"estimator": chain(30)}]], "nested more than 20 deep"),
    ([["LogisticRegression"], ["SVC"]], "'logisticregression' (LogisticRegression) has no transform"),
    ([["a", "StandardScaler", {}], ["a", "SVC", {}]], "the name 'a' comes twice"),
    ([["a__b", "StandardScaler", {}], ["c", "SVC", {}]], "'a__b' cannot be a name"),
    ([["memory", "StandardScaler", {}], ["c", "SVC", {}]], "'memory' cannot be a name"),
    ([["VotingClassifier", {"estimators": []}]], "a list of 1 to 100 entries"),
    ([["VotingClassifier", {"estimators": "x"}]], "a list of 1 to 100 entries"),
    ([["VotingClassifier", {"estimators": [["a"]]}]], "each entry must be"),
    ([["VotingClassifier", {"estimators": [["a", "b"]]}]], "'a' must be an estimator"),
    ([["VotingClassifier", {"estimators": [["a", None]]}]], "'a' must be an estimator"),
    ([["VotingClassifier", {"estimators": [["a", []]]}]], "'a' must be an estimator"),
    ([["ColumnTransformer", {"transformers": [["a", E("PCA")]]}]], "columns]"),
    ([["FeatureUnion", {"transformer_list": [[1, E("PCA")]]}]], "each entry must be"),
    ([["Pipeline", {"steps": [["a", E("SVC")], ["b", E("SVC")]]}]], "has no transform"),
    ([["GridSearchCV", {"estimator": E("SVC"), "param_grid": 1}]], "an object of lists"),
    ([["GridSearchCV", {"estimator": E("SVC"), "param_grid": {"C": 1}}]], "a list of at least one value"),
    ([["GridSearchCV", {"estimator": E("SVC"), "param_grid": {"C": []}}]], "a list of at least one value"),
]

RIDGE = {"class": "Ridge", "params": {}, "x": 1}
REFUSED += [
    ([["Ridge", {"alpha": RIDGE}]], "the keys 'class' and 'params' only, not 'x'"),
    ([["BaggingRegressor", {"estimator": {"class": "Ridge", "parms": {}}}]], "only, not 'parms'"),
    ([["BaggingRegressor", {"estimator": {"class": 1}}]], "the keys 'class' and 'params' only"),
    ([["VotingRegressor", {"estimators": [["a", RIDGE]]}]], "only, not 'x'"),
    ([["GridSearchCV", {"estimator": E("SVC"), "param_grid": {"e": [RIDGE]}}]], "only, not 'x'"),
    ([["KernelRidge", {"kernel_params": RIDGE}]], "only, not 'x'"),
    ([["Ridge", {"alpha": {"x": 1}}]], "takes no object"),
    ([["RidgeCV", {"alphas": [1, {}]}]], "takes no object"),
    ([["BaggingRegressor", {"estimator": {"clas": "Ridge"}}]], "takes no object; an estimator is written"),
    ([["GridSearchCV", {"estimator": E("SVC"), "param_grid": {"e__C": [{"x": 1}]}}]], "takes no object"),
]

FILES = [
    {"input": "filename"}, {"input": "file"}, {"input": ["content"]}, {"input": None},
    {"encoding": "rot13"}, {"encoding": "os"}, {"encoding": 1},
    {"token_pattern": "("}, {"token_pattern": "x" * 2000}, {"token_pattern": ["x"]},
    {"dtype": "object"}, {"dtype": "f8,O"}, {"dtype": "os.system"}, {"dtype": {"names": []}},
]  # fmt: skip
REFUSED += [([["CountVectorizer", params]], next(iter(params))) for params in FILES]
REFUSED += [([["TfidfVectorizer", params]], next(iter(params))) for params in FILES]
REFUSED += [([["HashingVectorizer", params]], next(iter(params))) for params in FILES]

MEMORY = [
    [["Pipeline", {"steps": [["a", E("PCA")]], "memory": "/tmp/x"}]],
    [["Pipeline", {"steps": [["a", E("PCA")]], "memory": ["x"]}]],
    [["FeatureAgglomeration", {"memory": ""}]],
    [["AgglomerativeClustering", {"memory": {"class": "PCA", "params": {}}}]],
    [["OPTICS", {"memory": False}]],
    [
        ["StandardScaler"],
        ["BaggingClassifier", {"estimator": E("Pipeline", steps=[["a", E("SVC")]], memory="x")}],
    ],
    [["VotingRegressor", {"estimators": [["a", E("Pipeline", steps=[["a", E("SVR")]], memory="x")]]}]],
]
REFUSED += [(spec, "memory must be null") for spec in MEMORY]

GRIDS: list[tuple[Any, str]] = [
    ({"vect__input": ["filename"]}, 'input must be "content"'),
    ([{"clf__C": [1]}, {"vect__input": ["content", "file"]}], 'input must be "content"'),
    ({"memory": [None, "/tmp/x"]}, "memory must be null"),
    ({"pipeline__memory": ["x"]}, "memory must be null"),
    ({"vect": [E("CountVectorizer", input="filename")]}, 'input must be "content"'),
    ({"vect__encoding": ["rot13"]}, "encoding must be one of"),
    ({"vect__token_pattern": ["("]}, "token_pattern is not a regular expression"),
    ({"steps": [[["a", E("CountVectorizer", input="file")]]]}, 'input must be "content"'),
    ({"estimator__pre_dispatch": ["1+1"]}, "pre_dispatch must be"),
    ({"clf__n_jobs": [10**6]}, "n_jobs must be"),
    ({"estimator__param_grid": [{"vect__input": ["file"]}]}, 'input must be "content"'),
]
for name, grid in (("GridSearchCV", "param_grid"), ("RandomizedSearchCV", "param_distributions")):
    REFUSED += [([[name, {"estimator": TEXT_GRID, grid: value}]], words) for value, words in GRIDS]
    REFUSED += [
        ([[name, {"estimator": E("SVC"), grid: {"C": [1]}, "pre_dispatch": text}]], "pre_dispatch must be")
        for text in (
            "__import__('os').system('x')",
            "n_jobs**9",
            "9**9**9",
            "2*n_jobs;1",
            "",
            None,
            True,
            "99999*n_jobs",
        )
    ]
REFUSED += [
    ([["RFE", {"estimator": E("SVC"), "importance_getter": text}]], "importance_getter must be")
    for text in ("__class__", "a._b", "a.__init__.__globals__", "a b", "a()", "", ".", 1, None)
]
REFUSED += [
    (
        [["ColumnTransformer", {"transformers": [["a", "drop", [0]]], "verbose_feature_names_out": text}]],
        "no field but",
    )
    for text in (
        "{feature_name.__class__}",
        "{feature_name!r}",
        "{feature_name:>99999999}",
        "{0}",
        "{",
        "{{",
        1,
    )
]
REFUSED += [
    ([["KMeans", {"metric_params": 1}]], "no parameter"),
    ([["Ridge", {"memory": "x"}]], "no parameter"),
]
REFUSED += [([["KNeighborsClassifier", {"metric_params": {"memory": "x"}}]], "memory must be null")]
REFUSED += [
    ([["RandomForestClassifier", {"n_jobs": value}]], "n_jobs must be") for value in (65, -65, True, "2", [1])
]


@pytest.mark.parametrize(("spec", "words"), REFUSED)
def test_refused(spec: Any, words: str) -> None:
    with only_reading() as touched, pytest.raises(InvalidSpec) as caught:
        EXECUTOR.create(spec)
    text = str(caught.value)
    assert words in text
    assert "\n" not in text
    assert " at 0x" not in text
    assert len(text) < 2000
    assert not touched


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_class_is_found_by_name_and_by_path(name: str) -> None:
    cls = CLASSES[name]
    public = cls.__module__.partition("._")[0]
    for path in (name, f"{cls.__module__}.{name}", f"{public}.{name}"):
        assert estimators.find(path, where="here") is cls


def test_steps_may_leave_out_name_and_parameters() -> None:
    for spec in ([["Ridge"]], [["Ridge", None]], [["Ridge", {}]], [["r", "Ridge"]], [["r", "Ridge", None]]):
        assert repr(EXECUTOR.create(spec)) == "Ridge()"
    assert repr(EXECUTOR.create([("Ridge", {"alpha": 2})])) == "Ridge(alpha=2)"


def test_step_names_are_those_of_make_pipeline() -> None:
    model = EXECUTOR.create([["StandardScaler"], ["PCA"], ["StandardScaler"], ["x", "Ridge"]])
    assert [name for name, _ in model.steps] == ["standardscaler-1", "pca", "standardscaler-2", "x"]
    model = EXECUTOR.create([["pca", "StandardScaler"], ["PCA"]])
    assert [name for name, _ in model.steps] == ["pca", "pca-1"]


def test_estimators_are_built_wherever_they_stand() -> None:
    spec = [
        [
            "GridSearchCV",
            {
                "estimator": E("Pipeline", steps=[["v", E("CountVectorizer")], ["c", E("SVC")]]),
                "param_grid": {"c": [E("SVC", C=2), E("LinearSVC")], "v__ngram_range": [[1, 1], [1, 2]]},
                "pre_dispatch": "1.5*n_jobs",
            },
        ]
    ]
    model = EXECUTOR.create(spec)
    assert isinstance(model.estimator, Pipeline)
    assert [type(c).__name__ for c in model.param_grid["c"]] == ["SVC", "LinearSVC"]
    assert model.param_grid["v__ngram_range"] == [(1, 1), (1, 2)]
    short = EXECUTOR.create([["BaggingRegressor", {"estimator": {"class": "Ridge"}}]])
    assert repr(short.estimator) == "Ridge()"
    full = EXECUTOR.create([["BaggingRegressor", {"estimator": {"class": "Ridge", "params": None}}]])
    assert repr(full.estimator) == "Ridge()"


def test_lists_become_what_the_parameter_takes() -> None:
    assert EXECUTOR.create([["MinMaxScaler", {"feature_range": [0, 2]}]]).feature_range == (0, 2)
    assert EXECUTOR.create([["MLPClassifier", {"hidden_layer_sizes": [3, 2]}]]).hidden_layer_sizes == (3, 2)
    assert isinstance(EXECUTOR.create([["KMeans", {"init": [[1, 2], [3, 4]]}]]).init, np.ndarray)
    assert EXECUTOR.create([["OneHotEncoder", {"dtype": "float32"}]]).dtype is np.float32
    weights = EXECUTOR.create([["SVC", {"class_weight": {"0": 1, "-1": 2, "a": 3, "1.5": 4}}]]).class_weight
    assert weights == {0: 1, -1: 2, "a": 3, "1.5": 4}


def test_words_in_data_are_not_taken_for_parameters() -> None:
    words = {"memory": 0, "input": 1, "n_jobs": 2, "class": 3, "x": 4}
    assert EXECUTOR.create([["CountVectorizer", {"vocabulary": words}]]).vocabulary == words
    steps = [["memory_", E("PCA")], ["input", E("PCA")]]
    weights = {"memory_": 1.0, "input": 2.0}
    union = EXECUTOR.create([["FeatureUnion", {"transformer_list": steps, "transformer_weights": weights}]])
    assert union.transformer_weights == weights


@pytest.mark.parametrize(
    "spec",
    [
        [["Pipeline", {"steps": [["a", E("PCA")]], "memory": None}]],
        [
            [
                "CountVectorizer",
                {"input": "content", "encoding": "UTF-8", "token_pattern": None, "dtype": "int32"},
            ]
        ],
        [
            [
                "GridSearchCV",
                {"estimator": E("SVC"), "param_grid": {"C": [1]}, "pre_dispatch": "all", "n_jobs": -1},
            ]
        ],
        [
            [
                "GridSearchCV",
                {"estimator": E("SVC"), "param_grid": {"C": [1]}, "pre_dispatch": 4, "n_jobs": 64},
            ]
        ],
        [["SelectFromModel", {"estimator": E("SVC"), "importance_getter": "named_steps.clf.coef_"}]],
        [
            [
                "ColumnTransformer",
                {
                    "transformers": [["a", "drop", ["x"]], ["b", "passthrough", [0]]],
                    "verbose_feature_names_out": "{feature_name}--{transformer_name}",
                    "remainder": E("StandardScaler"),
                },
            ]
        ],
        [["VotingRegressor", {"estimators": [["a", "drop"], ["b", E("Ridge")]], "weights": [1, 2]}]],
        [["Pipeline", {"steps": [["a", "passthrough"], ["b", None]]}]],
    ],
)
def test_harmless_values_are_taken(spec: Any) -> None:
    clone(EXECUTOR.create(spec))


def test_the_names_that_take_tuples_or_arrays_are_those_of_scikit_learn() -> None:
    tuples, arrays, dicts = set(), set(), set()
    for cls in CLASSES.values():
        for name, taken in getattr(cls, "_parameter_constraints", {}).items():
            if isinstance(taken, str):
                continue
            if tuple in taken and not {list, "array-like"} & {t for t in taken if isinstance(t, str | type)}:
                tuples.add(name)
            if np.ndarray in [t for t in taken if isinstance(t, type)] and "array-like" not in taken:
                arrays.add(name)
            if {dict, Mapping} & {t for t in taken if isinstance(t, type)}:
                dicts.add(name)
    assert tuples | {"hidden_layer_sizes"} == parameters.TUPLES
    assert arrays | {"dictionary"} == parameters.ARRAYS
    # Reviewed one by one: a new name here is a dict that must be looked at.
    assert dicts == parameters.OBJECTS | parameters.GRIDS


def test_the_parameters_that_take_free_text_are_those_reviewed() -> None:
    free = {
        name
        for cls in CLASSES.values()
        for name, taken in getattr(cls, "_parameter_constraints", {}).items()
        if str in [t for t in taken if isinstance(t, type)] or taken == "no_validation"
    }
    ruled = {"memory", "encoding", "token_pattern", "pre_dispatch", "importance_getter", "dtype"}
    ruled.add("verbose_feature_names_out")
    # separator joins names; constant, pos_label, outlier_label and fill_value are data; metric, scoring and
    # refit are words looked up in scikit-learn's own tables; threshold is split at "*", not evaluated.
    harmless = {"separator", "constant", "pos_label", "outlier_label", "fill_value"}
    assert free == ruled | harmless | {"metric", "scoring", "refit", "threshold"}


_active: list[list[str]] = []


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not _active:
        return
    if event == "open":
        mode, flags = args[1], args[2]
        if (mode and set(mode) & set("wax+")) or (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            _active[-1].append(f"open {args[0]!r}")
    elif event.startswith(
        ("os.", "subprocess.", "socket.", "shutil.", "ctypes.", "exec", "pickle.", "urllib.")
    ):
        if event not in ("os.listdir", "os.scandir", "os.putenv"):
            _active[-1].append(event)
    elif event == "import" and args[0].partition(".")[0] not in (
        "sklearn",
        "scipy",
        "numpy",
        "pandas",
        "joblib",
    ):
        _active[-1].append(f"import {args[0]}")


sys.addaudithook(_audit)


@contextmanager
def only_reading() -> Iterator[list[str]]:
    """What was opened for writing, imported, executed or started meanwhile."""
    EXECUTOR.describe(EXECUTOR.create([["StandardScaler"], ["SVC", {"C": 1}]]))
    _active.append([])
    try:
        yield _active[-1]
    finally:
        _active.pop()


def test_the_audit_sees_what_it_should(tmp_path: Path) -> None:
    with only_reading() as touched:
        os.system("true")
        (tmp_path / "x").write_text("x")
        with pytest.raises(ImportError):
            __import__("no_such_module_at_all")
    assert [word.split()[0] for word in touched] == ["os.system", "open", "import"]


_juicy = st.sampled_from(
    [
        "filename", "file", "content", "/etc/passwd", "os.system", "__import__('os')", "a.__class__", "all",
        "drop", "passthrough", "auto", "{feature_name.x}", "(", "rot13", "object", "float32",
        "LinearRegression", "memory",
    ]
)  # fmt: skip
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(-2, 3)
    | st.floats()
    | st.text(max_size=4)
    | _juicy
)
_names = st.sampled_from(sorted(CLASSES))
_keys = st.sampled_from(
    ["class", "params", "memory", "input", "a__memory", "v__input", "steps", "C"]
) | st.text(max_size=3)
_json = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def _likely(draw: st.DrawFn, depth: int = 0) -> dict[str, Any]:
    """An estimator as a parameter: a real class, real parameters, values of any kind, also likely ones."""
    name = draw(_names)
    signature = inspect.signature(CLASSES[name]).parameters
    known = CLASSES[name]._get_param_names()
    needed = [key for key in known if signature[key].default is inspect.Parameter.empty]
    chosen = draw(st.lists(st.sampled_from(known), max_size=3)) if known else []
    inner = _likely(depth + 1) if depth < 2 else _scalars
    entry = st.tuples(st.text(max_size=2) | _juicy, inner | _juicy).map(list)
    grid = st.dictionaries(
        st.sampled_from(["C", "memory", "a__input", "steps"]), st.lists(inner | _json, max_size=2)
    )
    anything = inner | _json | st.lists(entry, max_size=2) | grid

    def value(key: str) -> Any:
        default = signature[key].default
        if "estimator" in key and "s" not in key[-1]:
            return draw(_likely(depth + 1) | anything) if depth < 2 else E("Ridge")
        if key in ("estimators", "steps", "transformer_list"):
            return draw(
                st.lists(st.tuples(st.text("ab", min_size=1, max_size=2), inner).map(list), max_size=2)
            )
        if key in parameters.GRIDS:
            return draw(grid)
        usual = st.just(default) if isinstance(default, str | bool | int | None) else anything
        return draw(usual | usual | anything)

    return {"class": name, "params": {key: value(key) for key in sorted({*needed, *chosen})}}


@st.composite
def _specs(draw: st.DrawFn) -> Any:
    steps = draw(st.lists(_likely(), min_size=1, max_size=2))
    return [[step["class"], step["params"]] for step in steps]


@settings(max_examples=200, deadline=None)
@given(spec=_json | st.lists(st.lists(_names | _json, max_size=3), max_size=3))
def test_any_json_is_built_or_refused(spec: Any) -> None:
    _built_or_refused(spec)


@settings(max_examples=200, deadline=None)
@given(spec=_specs())
def test_any_parameters_are_built_or_refused(spec: Any) -> None:
    _built_or_refused(spec)


def _built_or_refused(spec: Any) -> None:
    with only_reading() as touched:
        try:
            model = EXECUTOR.create(spec)
        except InvalidSpec as refused:
            assert "\n" not in str(refused)
            model = None
    assert not touched
    if model is None:
        return
    assert not list(_forbidden("", model))
    described = EXECUTOR.describe(model)
    json.dumps(described, allow_nan=False)
    codec = JoblibModelCodec()
    assert EXECUTOR.describe(codec.load(codec.dump(model))) == described
    EXECUTOR.create([["Ridge"]])


def _forbidden(name: str, value: Any) -> Iterator[str]:
    """What a model may hold nowhere, looked for without the code under test."""
    last = name.rpartition("__")[2]
    if last == "memory" and value is not None:
        yield f"{name}={value!r}"
    if last == "input" and value != "content" and not isinstance(value, list):
        yield f"{name}={value!r}"
    if isinstance(value, BaseEstimator):
        for key, inner in vars(value).items():
            yield from _forbidden(key, inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _forbidden(str(key) if name in ("param_grid", "param_distributions") else "", inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _forbidden(name, inner)
    elif callable(value) and getattr(value, "__module__", "").partition(".")[0] not in ("numpy", "sklearn"):
        yield f"{name}={value!r}"
