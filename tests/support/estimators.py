"""One small case for every estimator that scikit-learn lists: its spec, its data, and the same thing built
directly.

A walk over `CASES` fits each through omega and through scikit-learn and compares the answers. `LEFT_OUT`
names those that have no case, and why. `CASES` and `LEFT_OUT` together are exactly
`sklearn.utils.all_estimators()`; a test says so.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from attrs import frozen
from sklearn.base import BaseEstimator
from sklearn.utils import all_estimators


def _frame(frame: pd.DataFrame) -> Any:
    return frame


def _column(frame: pd.DataFrame) -> Any:
    return frame.iloc[:, 0].to_numpy()


def _lists(frame: pd.DataFrame) -> Any:
    return frame.iloc[:, 0].tolist()


def _records(frame: pd.DataFrame) -> Any:
    return frame.to_dict("records")


@frozen
class Case:
    """`params` are the JSON parameters of the one step `name`; `direct` makes the same estimator without
    omega.

    `given` turns `x` into what the estimator takes when it is called directly.
    """

    name: str
    params: dict[str, Any]
    x: pd.DataFrame
    y: pd.DataFrame | None
    direct: Callable[[], BaseEstimator]
    given: Callable[[pd.DataFrame], Any]

    @property
    def spec(self) -> list[Any]:
        return [[self.name, self.params]]

    @property
    def target(self) -> Any:
        """The target as it is handed to an estimator directly: 1-D for one column."""
        if self.y is None:
            return None
        return self.y.iloc[:, 0].to_numpy() if self.y.shape[1] == 1 else self.y.to_numpy()


@frozen
class Data:
    x: pd.DataFrame
    y: pd.DataFrame | None = None
    given: Callable[[pd.DataFrame], Any] = _frame


ROWS = 24
_numbers = np.random.default_rng(7)
# Made column by column, as every frame is that has been a table: the layout in memory decides the last bit of
# a BLAS sum.
_x = pd.DataFrame({name: _numbers.normal(size=ROWS) for name in "abc"})
_label = np.arange(ROWS) % 3
_groups = _x + 2.5 * _label[:, None]
_slope = (_x @ [1.0, -2.0, 0.5] + 0.1 * _numbers.normal(size=ROWS)).to_frame("y")
_small = pd.DataFrame({name: _numbers.integers(0, 4, size=ROWS) for name in "abc"})
_texts = pd.DataFrame({"text": ["red green", "green blue blue", "red red", "blue sky day"] * 3})

REGRESSION = Data(_x, _slope)
SEVERAL = Data(_x, pd.DataFrame({"u": _slope["y"], "v": _x["a"] - _x["c"]}))
COUNTED = Data(_x, np.exp(_slope / 4))
CLASSES = Data(_groups, pd.DataFrame({"kind": np.array(["low", "mid", "top"], dtype=object)[_label]}))
NUMBERED = Data(_groups, pd.DataFrame({"kind": _label}))
BINARY = Data(_groups, pd.DataFrame({"kind": _label // 2}))
LABELS = Data(_groups, pd.DataFrame({"p": _label % 2, "q": _label // 2}))
PLAIN = Data(_groups)
POSITIVE = Data(_groups.abs() + 0.1)
COUNTS = Data(_small, pd.DataFrame({"kind": _label}))
UNIT = Data(pd.DataFrame({name: _numbers.uniform(size=ROWS) for name in "abc"}))
HOLES = Data(pd.DataFrame({name: _x[name].where(_numbers.uniform(size=ROWS) > 0.2) for name in "abc"}))
MIXED = Data(
    pd.DataFrame({"a": _x["a"], "b": _x["b"], "word": pd.Series(["x", "y", "z"] * 8, dtype="str")}), CLASSES.y
)
WORDS = Data(pd.DataFrame({"word": ["x", "y", "z"] * 8, "size": ["s", "l"] * 12}).astype("str"))
TEXT = Data(_texts, pd.DataFrame({"kind": [0, 1, 0, 1] * 3}), _column)
LINE = Data(_x[["a"]], _slope, _column)
LABEL = Data(pd.DataFrame({"kind": ["low", "mid", "top"] * 4}), None, _column)
TAGS = Data(pd.DataFrame({"tags": [["x"], ["x", "y"], [], ["z"]] * 3}), None, _lists)
RECORDS = Data(pd.DataFrame({"size": [1.0, 2.0, 3.0], "city": ["Bern", "Genf", "Bern"]}), None, _records)
SQUARE = Data(pd.DataFrame({f"k{i}": _x.to_numpy() @ row for i, row in enumerate(_x.to_numpy())}))
INLIERS = Data(_groups, pd.DataFrame({"inlier": np.where(np.arange(ROWS) % 8, 1, -1)}))

_classes: dict[str, type[BaseEstimator]] = dict(all_estimators())


def _is_estimator(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"class", "params"}


def _python(value: Any) -> Any:
    """What a JSON parameter stands for, written down here once more so that the walk does not trust omega's
    own reading."""
    if _is_estimator(value):
        return _classes[value["class"]](**{name: _python(inner) for name, inner in value["params"].items()})
    if isinstance(value, list):
        items = [_python(item) for item in value]
        return tuple(items) if any(isinstance(item, BaseEstimator) for item in items) else items
    if isinstance(value, dict):
        return {key: _python(item) for key, item in value.items()}
    return value


def E(name: str, **params: Any) -> dict[str, Any]:
    """An estimator as a parameter."""
    return {"class": name, "params": params}


CASES: dict[str, Case] = {}


def _add(data: Data, name: str, direct: dict[str, Any] | None = None, **params: Any) -> None:
    """A case of `name`; `direct` are the parameters that Python writes differently than JSON."""
    cls = _classes[name]
    if "random_state" in cls._get_param_names() and name != "TargetEncoder":
        params.setdefault("random_state", 0)
    CASES[name] = Case(
        name=name,
        params=params,
        x=data.x,
        y=data.y,
        direct=lambda: cls(**({key: _python(value) for key, value in params.items()} | (direct or {}))),
        given=data.given,
    )


def _add_all(data: Data, names: str) -> None:
    for name in names.split():
        _add(data, name)


_add_all(
    REGRESSION,
    """ARDRegression BayesianRidge DecisionTreeRegressor DummyRegressor ElasticNet ElasticNetCV
    ExtraTreeRegressor GaussianProcessRegressor HuberRegressor KNeighborsRegressor KernelRidge Lars LarsCV
    Lasso LassoCV LassoLars LassoLarsCV LassoLarsIC LinearRegression LinearSVR NuSVR OrthogonalMatchingPursuit
    OrthogonalMatchingPursuitCV PassiveAggressiveRegressor QuantileRegressor Ridge RidgeCV SGDRegressor
    SVR""",
)
_add(REGRESSION, "AdaBoostRegressor", n_estimators=4)
_add(REGRESSION, "BaggingRegressor", n_estimators=3)
_add(REGRESSION, "ExtraTreesRegressor", n_estimators=3)
_add(REGRESSION, "GradientBoostingRegressor", n_estimators=4)
_add(REGRESSION, "HistGradientBoostingRegressor", max_iter=4, min_samples_leaf=3)
_add(REGRESSION, "MLPRegressor", hidden_layer_sizes=[4], max_iter=20)
_add(REGRESSION, "RadiusNeighborsRegressor", radius=9.0)
_add(REGRESSION, "RandomForestRegressor", n_estimators=3)
_add(REGRESSION, "RANSACRegressor", estimator=E("LinearRegression"), min_samples=5)
_add(REGRESSION, "TheilSenRegressor", max_subpopulation=20)
_add(
    REGRESSION,
    "TransformedTargetRegressor",
    regressor=E("Ridge", alpha=0.5),
    transformer=E("StandardScaler"),
)
_add(
    REGRESSION,
    "VotingRegressor",
    estimators=[["r", E("Ridge")], ["t", E("DecisionTreeRegressor", random_state=0)]],
)
_add(
    REGRESSION,
    "StackingRegressor",
    estimators=[["r", E("Ridge")], ["k", E("KNeighborsRegressor")]],
    final_estimator=E("Ridge"),
    cv=2,
)
_add(REGRESSION, "IsotonicRegression", out_of_bounds="clip")
_add(LINE, "IsotonicRegression", out_of_bounds="clip")
_add_all(COUNTED, "GammaRegressor PoissonRegressor")
_add(COUNTED, "TweedieRegressor", power=1.5)
_add_all(SEVERAL, "CCA PLSCanonical PLSRegression PLSSVD MultiTaskElasticNet MultiTaskLasso")
_add(SEVERAL, "MultiTaskElasticNetCV", cv=2)
_add(SEVERAL, "MultiTaskLassoCV", cv=2)
_add(SEVERAL, "MultiOutputRegressor", estimator=E("Ridge"))
_add(SEVERAL, "RegressorChain", estimator=E("Ridge"), order=[1, 0])

_add_all(
    CLASSES,
    """DecisionTreeClassifier DummyClassifier ExtraTreeClassifier GaussianNB KNeighborsClassifier
    LinearDiscriminantAnalysis LinearSVC LogisticRegression NearestCentroid NuSVC PassiveAggressiveClassifier
    Perceptron QuadraticDiscriminantAnalysis RidgeClassifier RidgeClassifierCV SGDClassifier SVC
    BernoulliNB""",
)
_add(CLASSES, "AdaBoostClassifier", estimator=E("DecisionTreeClassifier", max_depth=1), n_estimators=4)
_add(CLASSES, "BaggingClassifier", estimator=E("GaussianNB"), n_estimators=3)
_add(CLASSES, "ExtraTreesClassifier", n_estimators=3)
_add(CLASSES, "GradientBoostingClassifier", n_estimators=3)
_add(CLASSES, "HistGradientBoostingClassifier", max_iter=3, min_samples_leaf=3)
_add(CLASSES, "MLPClassifier", hidden_layer_sizes=[4], max_iter=20)
_add(CLASSES, "RadiusNeighborsClassifier", radius=9.0)
_add(CLASSES, "RandomForestClassifier", n_estimators=3)
_add(CLASSES, "LogisticRegressionCV", Cs=2, cv=2, use_legacy_attributes=False, scoring="accuracy")
_add(CLASSES, "GaussianProcessClassifier", optimizer=None)
_add(CLASSES, "CalibratedClassifierCV", estimator=E("LinearSVC", random_state=0), cv=2)
_add(CLASSES, "OneVsOneClassifier", estimator=E("LogisticRegression"))
_add(CLASSES, "OneVsRestClassifier", estimator=E("LogisticRegression"))
_add(CLASSES, "OutputCodeClassifier", estimator=E("LogisticRegression"))
_add(
    CLASSES,
    "VotingClassifier",
    estimators=[["n", E("GaussianNB")], ["l", E("LogisticRegression")], ["off", "drop"]],
    voting="soft",
)
_add(
    CLASSES,
    "StackingClassifier",
    estimators=[["n", E("GaussianNB")], ["t", E("DecisionTreeClassifier", random_state=0)]],
    final_estimator=E("LogisticRegression"),
    cv=2,
)
_add(CLASSES, "GridSearchCV", estimator=E("SVC"), param_grid=[{"C": [0.5, 2.0]}, {"gamma": ["auto"]}], cv=2)
_add(
    CLASSES,
    "RandomizedSearchCV",
    estimator=E("KNeighborsClassifier"),
    param_distributions={"n_neighbors": [1, 2, 3]},
    n_iter=2,
    cv=2,
)
_add(NUMBERED, "LabelPropagation")
_add(NUMBERED, "LabelSpreading")
_add(
    Data(_groups, pd.DataFrame({"kind": np.where(np.arange(ROWS) < 18, _label, -1)})),
    "SelfTrainingClassifier",
    estimator=E("GaussianNB"),
)
_add(BINARY, "FixedThresholdClassifier", estimator=E("LogisticRegression"), threshold=0.3)
_add(BINARY, "TunedThresholdClassifierCV", estimator=E("LogisticRegression"), cv=2)
_add_all(COUNTS, "CategoricalNB ComplementNB MultinomialNB")
_add(LABELS, "MultiOutputClassifier", estimator=E("GaussianNB"))
_add(LABELS, "ClassifierChain", estimator=E("LogisticRegression"), order=[1, 0])

_add_all(
    PLAIN,
    """AffinityPropagation AgglomerativeClustering Birch DBSCAN MeanShift OPTICS SpectralBiclustering
    SpectralCoclustering EmpiricalCovariance GraphicalLasso GraphicalLassoCV LedoitWolf MinCovDet OAS
    ShrunkCovariance KernelDensity NearestNeighbors OneClassSVM SGDOneClassSVM FactorAnalysis FastICA
    FeatureAgglomeration IncrementalPCA KernelPCA PCA TruncatedSVD KNeighborsTransformer
    RadiusNeighborsTransformer Binarizer FunctionTransformer MaxAbsScaler MinMaxScaler Normalizer
    PolynomialFeatures PowerTransformer RobustScaler StandardScaler SplineTransformer VarianceThreshold
    RBFSampler""",
)
_add(INLIERS, "EllipticEnvelope")
_add(PLAIN, "BisectingKMeans", n_clusters=3)
_add(PLAIN, "HDBSCAN", copy=True)
_add(PLAIN, "KMeans", n_clusters=3, n_init=1)
_add(PLAIN, "MiniBatchKMeans", n_clusters=3, n_init=1)
_add(PLAIN, "SpectralClustering", n_clusters=3)
_add(PLAIN, "GaussianMixture", n_components=2)
_add(PLAIN, "BayesianGaussianMixture", n_components=2)
_add(PLAIN, "IsolationForest", n_estimators=4)
_add(PLAIN, "LocalOutlierFactor", n_neighbors=4, novelty=True)
_add(PLAIN, "ClassicalMDS")
_add(PLAIN, "MDS", n_init=1, max_iter=20, init="classical_mds")
_add(PLAIN, "Isomap", n_neighbors=8)
_add(PLAIN, "LocallyLinearEmbedding", eigen_solver="dense")
_add(PLAIN, "SpectralEmbedding", affinity="rbf")
_add(PLAIN, "TSNE", perplexity=5, max_iter=250, init="random")
_add(PLAIN, "DictionaryLearning", n_components=2, max_iter=5)
_add(PLAIN, "MiniBatchDictionaryLearning", n_components=2, max_iter=5)
_add(PLAIN, "SparsePCA", n_components=2, max_iter=5)
_add(PLAIN, "MiniBatchSparsePCA", n_components=2, max_iter=5)
_add(
    PLAIN,
    "SparseCoder",
    direct={"dictionary": np.array([[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]])},
    dictionary=[[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]],
)
_add(PLAIN, "Nystroem", n_components=4)
_add(PLAIN, "PolynomialCountSketch", n_components=4)
_add(PLAIN, "GaussianRandomProjection", n_components=2)
_add(PLAIN, "SparseRandomProjection", n_components=2)
_add(PLAIN, "KBinsDiscretizer", direct={"dtype": np.float32}, n_bins=3, dtype="float32")
_add(PLAIN, "QuantileTransformer", n_quantiles=5)
_add(PLAIN, "RandomTreesEmbedding", n_estimators=2)
_add(PLAIN, "FrozenEstimator", estimator=E("Normalizer"))
_add(PLAIN, "FeatureUnion", transformer_list=[["s", E("StandardScaler")], ["p", "passthrough"]])
_add_all(POSITIVE, "AdditiveChi2Sampler SkewedChi2Sampler TfidfTransformer")
_add(POSITIVE, "NMF", n_components=2, max_iter=20)
_add(POSITIVE, "MiniBatchNMF", n_components=2, max_iter=20)
_add(COUNTS, "LatentDirichletAllocation", n_components=2, max_iter=2)
_add(UNIT, "BernoulliRBM", n_components=2, n_iter=2)
_add(SQUARE, "KernelCenterer")
_add_all(HOLES, "KNNImputer MissingIndicator SimpleImputer")
_add(WORDS, "OneHotEncoder", handle_unknown="ignore")
_add(WORDS, "OrdinalEncoder")
_add(MIXED, "TargetEncoder", cv=3)
_add(
    MIXED,
    "ColumnTransformer",
    transformers=[["n", E("StandardScaler"), ["a", "b"]], ["w", E("OneHotEncoder"), ["word"]]],
    remainder="passthrough",
)
_add(TEXT, "Pipeline", steps=[["v", E("TfidfVectorizer")], ["c", E("MultinomialNB")]])
_add(TEXT, "CountVectorizer", direct={"ngram_range": (1, 2)}, ngram_range=[1, 2])
_add(TEXT, "TfidfVectorizer", stop_words=["sky"])
_add(TEXT, "HashingVectorizer", n_features=16)
_add_all(LABEL, "LabelBinarizer LabelEncoder")
_add(TAGS, "MultiLabelBinarizer")
_add(RECORDS, "DictVectorizer")
_add(RECORDS, "FeatureHasher", n_features=8)

_add(CLASSES, "NeighborhoodComponentsAnalysis", n_components=2, max_iter=5)
_add(CLASSES, "RFE", estimator=E("LogisticRegression"), n_features_to_select=2)
_add(CLASSES, "RFECV", estimator=E("LogisticRegression"), cv=2)
_add(CLASSES, "SelectFromModel", estimator=E("LogisticRegression"), threshold="0.5*mean")
_add(CLASSES, "SequentialFeatureSelector", estimator=E("GaussianNB"), n_features_to_select=1, cv=2)
_add_all(CLASSES, "SelectFdr SelectFpr SelectFwe")
_add(CLASSES, "GenericUnivariateSelect", mode="k_best", param=2)
_add(CLASSES, "SelectKBest", k=2)
_add(CLASSES, "SelectPercentile", percentile=60)

LEFT_OUT: dict[str, str] = {
    "PatchExtractor": "takes images, (n_samples, height, width), which a table of columns cannot hold",
}
