"""What estimators are given for which table, and what is said when it does not fit."""

import datetime
import multiprocessing
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import FunctionTransformer

from omega.adapters.sklearn_models import inputs
from omega.adapters.sklearn_models.inputs import Form
from omega.adapters.sklearn_models.messages import one_line
from omega.adapters.sklearn_models.models import SklearnModelExecutor
from omega.ports.models import InvalidModelInput, InvalidSpec

EXECUTOR = SklearnModelExecutor()
NUMBERS = pa.table({"a": [1.0, 2.0, 3.0, 4.0], "b": [1, 0, 1, 0]})
MIXED = pa.table({"a": [1.0, 2.0, 3.0, 4.0], "word": ["u", "v", "u", "v"]})


def form(spec: list[Any], table: pa.Table = NUMBERS) -> Form:
    return inputs.form_to_fit(EXECUTOR.create(spec), table)


def estimator(name: str, **params: Any) -> dict[str, Any]:
    return {"class": name, "params": params}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ([["Ridge"]], Form.ARRAY),
        ([["StandardScaler"], ["Ridge"]], Form.ARRAY),
        ([["ColumnTransformer", {"transformers": [["a", "passthrough", ["a"]]]}]], Form.FRAME),
        (
            [["SimpleImputer"], ["ColumnTransformer", {"transformers": [["a", "passthrough", [0]]]}]],
            Form.FRAME,
        ),
        ([["HistGradientBoostingRegressor", {"categorical_features": ["b"]}]], Form.FRAME),
        ([["HistGradientBoostingRegressor", {"monotonic_cst": {"b": 1}}]], Form.FRAME),
        ([["HistGradientBoostingRegressor"]], Form.ARRAY),
        (
            [
                [
                    "GridSearchCV",
                    {
                        "estimator": estimator(
                            "Pipeline", steps=[["t", "passthrough"], ["r", estimator("Ridge")]]
                        ),
                        "param_grid": {
                            "t": [estimator("ColumnTransformer", transformers=[["a", "drop", ["a"]]])]
                        },
                    },
                ]
            ],
            Form.FRAME,
        ),
        ([["CountVectorizer"]], Form.COLUMN),
        ([["TfidfVectorizer"], ["Ridge"]], Form.COLUMN),
        (
            [
                [
                    "GridSearchCV",
                    {
                        "estimator": estimator(
                            "Pipeline", steps=[["v", estimator("TfidfVectorizer")], ["r", estimator("Ridge")]]
                        ),
                        "param_grid": {"r__alpha": [1]},
                    },
                ]
            ],
            Form.COLUMN,
        ),
        ([["FeatureUnion", {"transformer_list": [["v", estimator("TfidfVectorizer")]]}]], Form.COLUMN),
        ([["IsotonicRegression"]], Form.COLUMN),
        ([["LabelEncoder"]], Form.COLUMN),
        ([["MultiLabelBinarizer"]], Form.LISTS),
        ([["FeatureHasher", {"input_type": "string"}]], Form.LISTS),
        ([["FeatureHasher"]], Form.RECORDS),
        ([["DictVectorizer"], ["Ridge"]], Form.RECORDS),
    ],
)
def test_the_form_follows_the_estimator_that_sees_the_input_first(spec: list[Any], expected: Form) -> None:
    assert form(spec) is expected


def test_a_table_that_is_not_all_numbers_is_a_frame() -> None:
    assert form([["OneHotEncoder"]], MIXED) is Form.FRAME
    assert form([["Ridge"]], pa.table({"a": [True, False]})) is Form.FRAME


def test_the_form_of_the_fit_is_kept_with_the_model() -> None:
    coder = EXECUTOR.create([["OrdinalEncoder"]])
    words = EXECUTOR.fit(coder, action="fit", x=MIXED, y=None).model
    assert inputs.form_to_ask(words, MIXED) is Form.FRAME
    assert inputs.form_to_ask(words, NUMBERS) is Form.FRAME
    numbers = EXECUTOR.fit(coder, action="fit", x=NUMBERS, y=None).model
    assert (inputs.noted_form(words), inputs.noted_form(numbers)) == (Form.FRAME, Form.ARRAY)
    assert inputs.form_to_ask(numbers, NUMBERS) is Form.ARRAY
    assert inputs.form_to_ask(numbers, MIXED) is Form.FRAME
    assert (
        inputs.form_to_ask(EXECUTOR.fit(words, action="fit", x=NUMBERS, y=None).model, NUMBERS) is Form.ARRAY
    )


def test_a_model_fitted_elsewhere_is_asked_as_it_was_fitted() -> None:
    frame = NUMBERS.to_pandas()
    named = FunctionTransformer().fit(frame)
    assert inputs.form_to_ask(named, NUMBERS) is Form.FRAME
    assert inputs.form_to_ask(FunctionTransformer().fit(frame.to_numpy()), NUMBERS) is Form.ARRAY
    assert EXECUTOR.describe(named)["features"] == ["a", "b"]


_types = st.sampled_from(
    [pa.int8(), pa.int32(), pa.int64(), pa.uint8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64()]
)


@st.composite
def _number_tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(0, 4))
    kinds = draw(st.lists(_types, min_size=1, max_size=4) | st.builds(lambda kind: [kind] * 3, _types))
    cells = draw(st.sampled_from([st.integers(0, 100), st.none() | st.integers(0, 100)]))
    columns = []
    for kind in kinds:
        values = draw(st.lists(cells, min_size=rows, max_size=rows))
        columns.append(pa.array(np.array(values, dtype=object), pa.int64()).cast(pa.float32()).cast(kind))
    whole = pa.table(columns, names=[f"c{i}" for i in range(len(columns))])
    return pa.concat_tables([whole.slice(0, 2), whole.slice(2)]) if draw(st.booleans()) else whole


@settings(max_examples=100, deadline=None)
@given(table=_number_tables())
def test_an_array_is_what_pandas_would_make_of_the_table(table: pa.Table) -> None:
    array = inputs.features(table, form=Form.ARRAY, name="X")
    expected = table.to_pandas().to_numpy()
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)
    assert array.flags.f_contiguous
    assert array.flags.writeable


def test_a_frame_keeps_names_and_types() -> None:
    table = pa.table(
        {
            "whole": [1, 2, None],
            "truth": [True, None, False],
            "word": ["u", None, "v"],
            "kind": pa.array(["u", None, "v"]).dictionary_encode(),
            "day": pa.array([datetime.date(2024, 1, 1), None, datetime.date(2024, 1, 2)]),
            "price": [Decimal("1.5"), None, Decimal("2")],
            "none": pa.nulls(3),
        }
    )
    frame = inputs.features(table, form=Form.FRAME, name="X")
    assert [str(kind) for kind in frame.dtypes] == [
        "float64", "float64", "str", "category", "datetime64[ms]", "float64", "float64",
    ]  # fmt: skip
    assert frame["truth"].tolist()[::2] == [1.0, 0.0]
    assert frame["word"].isna().tolist() == [False, True, False]


def test_records_and_lists() -> None:
    rows = inputs.features(MIXED.slice(0, 2), form=Form.RECORDS, name="X")
    assert rows == [{"a": 1.0, "word": "u"}, {"a": 2.0, "word": "v"}]
    structs = pa.table({"d": [{"a": 1, "b": None}, None]})
    assert inputs.features(structs, form=Form.RECORDS, name="X") == [{"a": 1, "b": None}, {}]
    maps = pa.table({"d": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64()))})
    assert inputs.features(maps, form=Form.RECORDS, name="X") == [{"k": 1}, {}]
    assert inputs.features(pa.table({"t": [["x"], []]}), form=Form.LISTS, name="X") == [["x"], []]
    assert inputs.features(MIXED.slice(0, 1), form=Form.LISTS, name="X") == [[1.0, "u"]]


def test_one_column_where_one_is_taken() -> None:
    with pytest.raises(InvalidModelInput, match="TfidfVectorizer takes one column, not 2: a, word"):
        EXECUTOR.fit(EXECUTOR.create([["TfidfVectorizer"]]), action="fit", x=MIXED, y=None)


def test_targets() -> None:
    assert inputs.target(NUMBERS.select(["b"])).dtype == np.int64
    assert inputs.target(NUMBERS).shape == (4, 2)
    assert inputs.target(MIXED).dtype == object
    coded = pa.table({"k": pa.array(["u", "v"]).dictionary_encode()})
    assert inputs.target(coded).tolist() == ["u", "v"]
    assert inputs.target(pa.table({"t": [True, False]})).dtype == bool


def test_text_where_numbers_belong_names_the_column() -> None:
    with pytest.raises(
        InvalidModelInput, match=r"could not convert string to float: 'u' \(not numbers: word\)"
    ):
        EXECUTOR.fit(EXECUTOR.create([["StandardScaler"]]), action="fit", x=MIXED, y=None)


def test_a_sparse_answer_over_the_limit_is_refused() -> None:
    text = pa.table({"t": ["a b"] * 48})
    model = EXECUTOR.create([["HashingVectorizer"]])
    with pytest.raises(InvalidModelInput, match="48 x 1,048,576 values, the limit is 50,000,000 values"):
        EXECUTOR.apply(model, action="transform", x=text)
    small = SklearnModelExecutor(max_cells=48 * 4)
    short = small.create([["HashingVectorizer", {"n_features": 4}]])
    assert np.shape(small.apply(short, action="transform", x=text)) == (48, 4)
    with pytest.raises(InvalidModelInput):
        small.apply(small.create([["HashingVectorizer", {"n_features": 5}]]), action="transform", x=text)


def test_a_slip_of_scikit_learn_on_odd_data_is_refused() -> None:
    days = pa.table({"d": pa.array([1, 2], pa.date32())})
    with pytest.raises(InvalidModelInput, match="DictVectorizer cannot take values of these kinds"):
        EXECUTOR.fit(EXECUTOR.create([["DictVectorizer"]]), action="fit", x=days, y=None)


def test_an_impossible_size_is_refused() -> None:
    days = pa.table({"d": pa.array([2**50, 1], pa.int64())})
    with pytest.raises(InvalidModelInput, match="needs too much memory: Unable to allocate"):
        EXECUTOR.fit(EXECUTOR.create([["CategoricalNB"]]), action="fit", x=days, y=pa.table({"y": [0, 1]}))


def test_work_split_by_n_jobs_starts_no_process() -> None:
    x = pa.table({"a": np.arange(30.0), "b": np.arange(30.0) % 7})
    y = pa.table({"y": np.arange(30) % 3})
    spec = [
        [
            "GridSearchCV",
            {
                "estimator": estimator("GaussianNB"),
                "param_grid": {"var_smoothing": [1e-9, 1e-3]},
                "n_jobs": 2,
            },
        ]
    ]
    fitted = EXECUTOR.fit(EXECUTOR.create(spec), action="fit", x=x, y=y)
    assert np.shape(EXECUTOR.apply(fitted.model, action="predict", x=x)) == (30,)
    assert not multiprocessing.active_children()


def test_warnings_of_worker_threads_reach_their_call() -> None:
    x = pa.table({"a": np.arange(12.0)})
    y = pa.table({"u": np.arange(12.0), "v": np.arange(12.0)})
    lazy = estimator("MLPRegressor", max_iter=1, random_state=0)
    spec = [["MultiOutputRegressor", {"estimator": lazy, "n_jobs": 2}]]
    told = EXECUTOR.fit(EXECUTOR.create(spec), action="fit", x=x, y=y).attributes["warnings"]
    assert len(told) == 1
    assert told[0].startswith("ConvergenceWarning")


def test_a_search_that_fails_says_why_without_a_traceback() -> None:
    spec = [["GridSearchCV", {"estimator": estimator("Ridge"), "param_grid": {"alpha": [-1, -2]}, "cv": 2}]]
    with pytest.raises(InvalidModelInput) as caught:
        EXECUTOR.fit(EXECUTOR.create(spec), action="fit", x=NUMBERS, y=NUMBERS.select(["b"]))
    assert "The 'alpha' parameter of Ridge must be" in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert ".py" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("a\n  b"), "a b"),
        (TypeError("bad"), "TypeError: bad"),
        (KeyError("name"), "KeyError: name"),
        (AssertionError(), "AssertionError"),
        (ValueError("<object at 0x7f00deadbeef>"), "<object>"),
        (ValueError("see /usr/lib/python3/x.py now"), "see ... now"),
        (ValueError("x" * 600), "x" * 497 + "..."),
    ],
)
def test_messages_are_one_bounded_line(error: Exception, expected: str) -> None:
    assert one_line(error) == expected


def test_a_pipeline_has_no_partial_fit() -> None:
    model = EXECUTOR.create([["StandardScaler"], ["SGDRegressor"]])
    assert "partial_fit" not in EXECUTOR.describe(model)["actions"]


def test_a_label_encoder_takes_no_target() -> None:
    with pytest.raises(InvalidModelInput, match="LabelEncoder takes no target"):
        EXECUTOR.fit(EXECUTOR.create([["LabelEncoder"]]), action="fit", x=MIXED.select(["word"]), y=MIXED)


def test_a_frame_is_not_described() -> None:
    with pytest.raises(InvalidSpec, match="DataFrame is not a scikit-learn estimator"):
        EXECUTOR.describe(pd.DataFrame())
