"""Every estimator of scikit-learn through REST, against the same estimator in process."""

import warnings

import numpy as np
import pyarrow as pa
import pytest

from omega.domain import tabular
from tests.support.estimators import CASES

ARROW = "application/vnd.apache.arrow.stream"
ASKED = ("predict", "predict_proba", "predict_log_proba", "transform", "decision_function")


def as_arrow(frame) -> bytes:
    table = tabular.from_pandas(frame)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("name", sorted(CASES))
def test_same_numbers_through_rest(server, name):
    case = CASES[name]
    headers = {"Content-Type": ARROW, "bucket": "estimators"}
    bucket = {"bucket": "estimators"}
    server.put(f"/dataset/{name}.x", data=as_arrow(case.x), headers=headers).raise_for_status()
    query = {"datax": f"{name}.x"}
    if case.y is not None:
        server.put(f"/dataset/{name}.y", data=as_arrow(case.y), headers=headers).raise_for_status()
        query["datay"] = f"{name}.y"
    created = server.post("/model/", json={"name": name, "pipeline": case.spec}, headers=bucket)
    assert created.status_code == 201, created.text
    fitted = server.put(f"/model/{name}/fit", params=query, headers=bucket)
    assert fitted.status_code == 202, fitted.text

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = case.given(case.x)
        model = case.direct()
        model = model.fit(given) if case.target is None else model.fit(given, case.target)
        actions = server.get(f"/model/{name}", headers=bucket).json()["model"]["estimator"]["actions"]
        for action in [action for action in ASKED if action in actions]:
            expected = getattr(model, action)(given)
            answer = server.get(f"/model/{name}/{action}", params={"datax": f"{name}.x"}, headers=bucket)
            if answer.status_code == 400:
                assert "infinit" in answer.text
                assert np.isinf(np.asarray(expected, dtype=float)).any()
                continue
            assert answer.status_code == 200, answer.text
            same(answer.json()["result"], expected, nearly=case.nearly)


def same(got, expected, *, nearly):
    expected = expected.toarray() if hasattr(expected, "toarray") else expected
    if isinstance(expected, list) and expected and isinstance(expected[0], np.ndarray):
        for one, other in zip(got, expected, strict=True):
            same(one, other, nearly=nearly)
        return
    expected = np.asarray(expected)
    if expected.ndim == 2 and expected.shape[1] == 1:
        expected = expected.ravel()
    if expected.dtype.kind not in "fc":
        assert got == expected.tolist()
        return
    array = np.vectorize(lambda value: np.nan if value is None else value, otypes=[float])(
        np.array(got, dtype=object)
    )
    if nearly:
        np.testing.assert_allclose(array, expected, rtol=1e-9, atol=1e-12)
    else:
        np.testing.assert_array_equal(array.astype(expected.dtype), expected)
