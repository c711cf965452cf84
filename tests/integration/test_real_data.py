"""scikit-learn's bundled data, stored, fitted and served by a running server, against the same done in
process.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ARROW = "application/vnd.apache.arrow.stream"

CASES = {
    "iris": (
        datasets.load_iris,
        [["StandardScaler", {}], ["LogisticRegression", {"max_iter": 500}]],
        lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
    ),
    "wine": (
        datasets.load_wine,
        [["RandomForestClassifier", {"n_estimators": 20, "random_state": 0}]],
        lambda: RandomForestClassifier(n_estimators=20, random_state=0),
    ),
    "breast_cancer": (
        datasets.load_breast_cancer,
        [["scale", "StandardScaler", {}], ["near", "KNeighborsClassifier", {"n_neighbors": 7}]],
        lambda: make_pipeline(StandardScaler(), KNeighborsClassifier(n_neighbors=7)),
    ),
    "digits": (
        datasets.load_digits,
        [["LogisticRegression", {"max_iter": 200, "C": 0.1}]],
        lambda: LogisticRegression(max_iter=200, C=0.1),
    ),
    "diabetes": (
        datasets.load_diabetes,
        [["HistGradientBoostingRegressor", {"max_iter": 30, "random_state": 0}]],
        lambda: HistGradientBoostingRegressor(max_iter=30, random_state=0),
    ),
}


def by_column(frame: pd.DataFrame) -> pd.DataFrame:
    """The same frame, made column by column, as every stored frame is: the layout in memory decides
    the last bit of a BLAS sum."""
    return pd.DataFrame({name: frame[name].to_numpy() for name in frame.columns})


def as_arrow(frame: pd.DataFrame) -> bytes:
    table = pa.Table.from_pandas(frame)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


@pytest.mark.filterwarnings("ignore:lbfgs failed")
@pytest.mark.parametrize("name", CASES)
def test_fitted_and_served_as_in_process(server, name):
    load, spec, direct = CASES[name]
    frame = by_column(load(as_frame=True).frame)
    features = ",".join(column for column in frame.columns if column != "target")

    put = server.put(f"/dataset/{name}", data=as_arrow(frame), headers={"Content-Type": ARROW})
    assert put.status_code == 202, put.text
    back = pa.ipc.open_stream(server.get(f"/dataset/{name}", headers={"Accept": ARROW}).content).read_pandas()
    pd.testing.assert_frame_equal(back, frame, check_exact=True)

    assert server.post("/model/", json={"name": name, "pipeline": spec}).status_code == 201
    fit = server.put(f"/model/{name}/fit", params={"datax": f"{name}[^target]", "datay": f"{name}[target]"})
    assert fit.status_code == 202, fit.text

    model = direct().fit(frame.drop(columns="target"), frame["target"])
    got = server.get(f"/model/{name}/predict", params={"datax": f"{name}[{features}]"}).json()["result"]
    # Not to the last bit: the order of a BLAS sum depends on how an array happens to be aligned in memory.
    np.testing.assert_allclose(got, model.predict(frame.drop(columns="target")), rtol=1e-12)
    score = server.get(
        f"/model/{name}/score", params={"datax": f"{name}[^target]", "datay": f"{name}[target]"}
    )
    assert score.json()["result"] == pytest.approx(model.score(frame.drop(columns="target"), frame["target"]))

    one = frame.drop(columns="target").iloc[[7]]
    inline = server.post(f"/model/{name}/predict", json={"data": one.to_dict("records")})
    assert inline.status_code == 201
    assert inline.json()["result"] == pytest.approx(model.predict(one).tolist(), rel=1e-12)
    if hasattr(model, "predict_proba"):
        asked = server.get(f"/model/{name}/predict_proba", params={"datax": f"{name}[^target]"}).json()
        np.testing.assert_allclose(
            asked["result"], model.predict_proba(frame.drop(columns="target")), rtol=1e-12
        )
        assert asked["classes"] == model.classes_.tolist()


def test_a_regression_on_selected_columns(server):
    frame = by_column(datasets.load_diabetes(as_frame=True).frame)
    server.put("/dataset/diabetes2", data=as_arrow(frame), headers={"Content-Type": ARROW}).raise_for_status()
    server.post("/model/", json={"name": "ridge", "pipeline": [["Ridge", {"alpha": 0.5}]]}).raise_for_status()
    query = {"datax": "diabetes2[age:bp]", "datay": "diabetes2[target]"}
    assert server.put("/model/ridge/fit", params=query).status_code == 202
    model = Ridge(alpha=0.5).fit(frame.loc[:, "age":"bp"], frame["target"])
    got = server.get("/model/ridge/predict", params={"datax": "diabetes2[bp,bmi,sex,age]"}).json()["result"]
    np.testing.assert_allclose(got, model.predict(frame.loc[:, "age":"bp"]), rtol=1e-12)
    assert server.get("/model/ridge").json()["model"]["features"] == [
        {"name": name, "dtype": "float64", "type": "numeric"} for name in ("age", "sex", "bmi", "bp")
    ]
