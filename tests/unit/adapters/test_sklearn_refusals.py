"""What is said of data that an estimator cannot take."""

import datetime
import threading
from typing import Any

import pyarrow as pa
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from omega.adapters.sklearn_models.messages import one_line
from omega.adapters.sklearn_models.models import JoblibModelCodec, SklearnModelExecutor
from omega.ports.models import InvalidModelInput

EXECUTOR = SklearnModelExecutor()
DAYS = [datetime.date(2024, 1, day) for day in (1, 2, 3, 4)]
NUMBERS = pa.table({"a": [1.0, 2.0, 3.0, 4.0]})
TIMES = pa.table({"day": pa.array(DAYS), "b": [1, 2, 3, 4]})
WORDS = pa.table({"t": ["red sky", "blue", None, "sky"]})
LISTS = pa.table({"tags": [["x"], None, ["y"], []]})
KIND = pa.table({"k": [0, 1, 0, 1]})
HOLES = pa.table({"k": ["a", None, "a", "b"]})
GAP = pa.table({"u": [1.0, 2.0, 3.0, 4.0], "v": [1.0, 2.0, 3.0, float("nan")]})
TFIDF = {"class": "TfidfVectorizer", "params": {}}
TEXT_GAP = "the column 't' has a missing value in row 2 (counted from 0); TfidfVectorizer takes none"
HOLE = "the target column 'k' has a missing value in row 1 (counted from 0)"
BETTER = "takes numbers, and these columns hold dates or times: day"

CASES: list[tuple[Any, pa.Table, pa.Table | None, str]] = [
    ([["TfidfVectorizer"]], WORDS, None, TEXT_GAP),
    ([["TfidfVectorizer"], ["MultinomialNB"]], WORDS, KIND, TEXT_GAP),
    ([["ColumnTransformer", {"transformers": [["t", TFIDF, "t"]]}]], WORDS, None, TEXT_GAP),
    ([["MultiLabelBinarizer"]], LISTS, None, "the column 'tags' has a missing value in row 1"),
    ([["LogisticRegression"]], NUMBERS, HOLES, HOLE),
    ([["DecisionTreeClassifier"]], NUMBERS, HOLES, HOLE),
    ([["StandardScaler"], ["GaussianNB"]], NUMBERS, HOLES, HOLE),
    ([["Ridge"]], NUMBERS, GAP, "the target column 'v' has a missing value in row 3"),
    ([["Ridge"]], TIMES, KIND, f"Ridge {BETTER}"),
    ([["StandardScaler"], ["Ridge"]], TIMES, KIND, f"Pipeline {BETTER}"),
    ([["DecisionTreeClassifier"]], TIMES, KIND, f"DecisionTreeClassifier {BETTER}"),
    ([["DictVectorizer"]], TIMES, None, "cannot take values of these kinds together: day (date32[day]), b"),
    ([["LogisticRegression"]], NUMBERS, pa.table({"k": [1] * 4}), "only one class: 1"),
]


@pytest.mark.parametrize(("spec", "x", "y", "words"), CASES)
def test_the_column_is_named(spec: Any, x: pa.Table, y: pa.Table | None, words: str) -> None:
    with pytest.raises(InvalidModelInput) as caught:
        EXECUTOR.fit(EXECUTOR.create(spec), action="fit", x=x, y=y)
    text = str(caught.value)
    assert words in text
    assert not any(word in text for word in ("NoneType", "<class", "numpy", "np.", "Error:"))


def test_the_column_is_named_when_a_fitted_model_is_asked() -> None:
    words = EXECUTOR.fit(EXECUTOR.create([["TfidfVectorizer"]]), action="fit", x=WORDS.slice(0, 2), y=None)
    with pytest.raises(InvalidModelInput, match="column 't' has a missing value in row 2"):
        EXECUTOR.apply(words.model, action="transform", x=WORDS)
    ridge = EXECUTOR.fit(EXECUTOR.create([["Ridge"]]), action="fit", x=NUMBERS, y=KIND)
    with pytest.raises(InvalidModelInput, match="target column 'v' has a missing value in row 3"):
        EXECUTOR.apply(ridge.model, action="score", x=NUMBERS, y=GAP.select(["v"]))


def test_gaps_are_taken_where_scikit_learn_takes_them() -> None:
    for spec, x, y in (
        ([["OneHotEncoder"]], WORDS, None),
        ([["StandardScaler"]], GAP, HOLES),
        ([["HistGradientBoostingRegressor"]], GAP, KIND),
        ([["OneHotEncoder"]], TIMES, None),
    ):
        assert EXECUTOR.fit(EXECUTOR.create(spec), action="fit", x=x, y=y).model is not None


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("only one class: np.int64(1)", "only one class: 1"),
        ("got np.str_('a') and np.float64(nan)", "got 'a' and nan"),
        ("an instance of 'numpy.random.mtrand.RandomState'", "an instance of 'RandomState'"),
        ("for <class 'numpy.dtypes.DateTime64DType'> and <class 'int'>", "for DateTime64DType and int"),
        ("np.nan is an invalid document", "nan is an invalid document"),
        ("see scikit-learn.org and 1.5", "see scikit-learn.org and 1.5"),
    ],
)
def test_messages_hold_no_internals(said: str, shown: str) -> None:
    assert one_line(ValueError(said)) == shown


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (FunctionTransformer(lambda x: x), "FunctionTransformer, parameter func: cannot be stored"),
        (
            make_pipeline(FunctionTransformer(lambda x: x), Ridge()),
            "functiontransformer__func: cannot be stored",
        ),
        (Ridge(alpha=threading.Lock()), "Ridge, parameter alpha: cannot be stored"),
        (Ridge(alpha=nested(5000)), "Ridge, parameter alpha: cannot be stored"),
    ],
    ids=["lambda", "nested lambda", "lock", "nested lists"],
)
def test_a_model_that_cannot_be_stored_names_the_parameter(model: Any, words: str) -> None:
    with pytest.raises(InvalidModelInput) as caught:
        JoblibModelCodec().dump(model)
    assert words in str(caught.value)
    assert " at 0x" not in str(caught.value)
