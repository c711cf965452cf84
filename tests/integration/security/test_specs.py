"""A pipeline can name scikit-learn's estimators and nothing else. (What each class and parameter may be is in
tests/unit/adapters/test_sklearn_specs.py.)
"""

from typing import Any

import pytest

from tests.support.target import Target

CODE: list[list[Any]] = [
    ["os.system", {"command": "id"}], ["builtins.eval", {}], ["subprocess.Popen", {"args": ["id"]}],
    ["sklearn.utils._testing.os", {}], ["sklearn.externals.joblib.load", {}], ["sklearn.__builtins__", {}],
    ["sklearn.datasets.load_svmlight_file", {"f": "x"}], ["__import__", {}],
    ["joblib.load", {"filename": "x"}], ["sklearn.linear_model._base.np.load", {}],
    ["LinearRegression.__class__", {}], ["../LinearRegression", {}],
    ["LinearRegression", {"__class__": "os.system"}], ["LinearRegression", {"__reduce__": ["id"]}],
    ["LinearRegression", {"__proto__": {"a": 1}}], ["LinearRegression", {"constructor": {}}],
    ["FunctionTransformer", {"func": "os.system"}],
    ["FunctionTransformer", {"func": {"class": "os.system", "params": {}}}],
    ["GridSearchCV", {"estimator": {"class": "os.system", "params": {}}, "param_grid": {}}],
    ["GridSearchCV", {"estimator": {"class": "LinearRegression", "params": {}}, "scoring": "os.system"}],
    ["KNeighborsClassifier", {"metric": "os.system"}], ["KNeighborsClassifier", {"weights": "eval"}],
    ["CountVectorizer", {"tokenizer": "os.system"}], ["CountVectorizer", {"analyzer": "eval"}],
    ["CountVectorizer", {"preprocessor": {"class": "LinearRegression"}}],
    ["CountVectorizer", {"dtype": "os.system"}], ["SVC", {"kernel": "os.system"}],
]  # fmt: skip
TOO_MUCH: list[list[Any]] = [
    ["RandomForestRegressor", {"n_estimators": 10**12}], ["MLPClassifier", {"hidden_layer_sizes": [10**9]}],
    ["PolynomialFeatures", {"degree": 10**9}], ["HashingVectorizer", {"n_features": 2**62}],
    ["CountVectorizer", {"token_pattern": "(a+)+$"}], ["CountVectorizer", {"token_pattern": "(a|a)*$"}],
    ["RandomForestRegressor", {"n_jobs": 10**6}],
]  # fmt: skip


@pytest.mark.parametrize("spec", CODE, ids=str)
def test_code_is_no_estimator(target: Target, spec: list[Any]) -> None:
    for pipeline in ([spec], [["StandardScaler", {}], spec], [["step", *spec]]):
        body = {"name": "evil", "pipeline": pipeline}
        assert len(target.refuses("POST", "/api/v1/model/", 400, body=body).json["detail"]) < 2001
    target.refuses("GET", "/api/v1/model/evil", 404)


def test_files_are_neither_read_nor_written(target: Target) -> None:
    canary, mark = str(target.canary), str(target.mark)
    for name, parameters in (
        ("CountVectorizer", {"input": "filename"}),
        ("TfidfVectorizer", {"input": "file"}),
        ("KNeighborsTransformer", {"memory": mark}),
        ("FeatureAgglomeration", {"memory": mark}),
        ("Pipeline", {"steps": [["a", {"class": "StandardScaler", "params": {}}]], "memory": mark}),
        ("CountVectorizer", {"vocabulary": {"path": canary}, "input": "filename"}),
    ):
        body = {"name": "evil", "pipeline": [[name, parameters]]}
        target.refuses("POST", "/api/v1/model/", 400, body=body)
    # A vectorizer that reads texts takes the name of a file for a text.
    vectorizer = {"name": "words", "pipeline": [["CountVectorizer", {}]], "replace": True}
    assert target.ask("POST", "/api/v1/model/", body=vectorizer).status == 201
    body = {"datax": {"text": [canary, f"file://{canary}"]}}
    fitted = target.ask("PUT", "/api/v1/model/words/fit", body=body)
    assert fitted.status in (202, 400)
    assert not target.mark.exists()


@pytest.mark.parametrize("spec", TOO_MUCH, ids=str)
def test_what_would_take_the_machine_down_is_refused(target: Target, spec: list[Any]) -> None:
    body = {"name": "huge", "pipeline": [spec], "replace": True}
    created = target.ask("POST", "/api/v1/model/", body=body)
    if created.status == 201:
        body = {"datax": {"x": [1]}, "datay": {"y": [1]}}
        fit = target.ask("PUT", "/api/v1/model/huge/fit?timeout=10", body=body)
        assert fit.status in (400, 413), fit.body
    else:
        assert created.status == 400
