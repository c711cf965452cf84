"""Every estimator of scikit-learn through REST, against the same estimator in process."""

import inspect
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse

from omega.domain import tabular
from tests.support.estimators import CASES
from tests.support.server import Server

ARROW = "application/vnd.apache.arrow.stream"
ASKED = ("predict", "predict_proba", "predict_log_proba", "transform", "decision_function", "score")
BUCKET = {"bucket": "estimators"}


def as_arrow(frame: pd.DataFrame) -> bytes:
    table = tabular.from_pandas(frame)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("name", sorted(CASES))
def test_same_numbers_through_rest(embedded_server: Server, name: str) -> None:
    server = embedded_server
    case = CASES[name]
    query = {"datax": f"{name}.x"} | ({} if case.y is None else {"datay": f"{name}.y"})
    for dataset, frame in ((f"{name}.x", case.x), (f"{name}.y", case.y)):
        if frame is not None:
            put = server.put(
                f"/dataset/{dataset}", data=as_arrow(frame), headers={**BUCKET, "Content-Type": ARROW}
            )
            assert put.status_code == 202, put.text
    created = server.post("/model/", json={"name": name, "pipeline": case.spec}, headers=BUCKET)
    assert created.status_code == 201, created.text
    fitted = server.put(f"/model/{name}/fit", params=query, headers=BUCKET)
    assert fitted.status_code == 202, fitted.text
    actions = server.get(f"/model/{name}", headers=BUCKET).json()["model"]["estimator"]["actions"]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        direct = case.direct()
        call(direct.fit, case.given(case.x), case.target)
        assert set(actions) & set(ASKED) == {action for action in ASKED if hasattr(direct, action)}
        for action in set(actions) & set(ASKED):
            score = action == "score"
            given = case.given(case.x)
            expected = call(direct.score, given, case.target) if score else getattr(direct, action)(given)
            asked = query if score else {"datax": f"{name}.x"}
            answer = server.get(f"/model/{name}/{action}", params=asked, headers=BUCKET)
            if answer.status_code == 400 and "infinit" in answer.text:
                assert np.isinf(np.asarray(expected, dtype=float)).any()
                continue
            assert answer.status_code == 200, answer.text
            compare(answer.json()["result"], expected)


def call(method: Any, given: Any, target: Any) -> Any:
    """With a target where the method takes one: label encoders take only one thing."""
    return method(given, target) if len(inspect.signature(method).parameters) > 1 else method(given)


def compare(got: Any, expected: Any) -> None:
    expected = expected.toarray() if sparse.issparse(expected) else expected
    if isinstance(expected, list) and isinstance(expected[0], np.ndarray):
        for one, other in zip(got, expected, strict=True):
            compare(one, other)
        return
    expected = np.asarray(expected)
    if expected.ndim == 2 and expected.shape[1] == 1:
        expected = expected.ravel()
    if expected.dtype.kind != "f":
        assert got == expected.tolist()
        return
    floats = np.vectorize(lambda value: np.nan if value is None else value, otypes=[float])
    # Not to the last bit: the order of a BLAS sum depends on how an array happens to be aligned in memory.
    np.testing.assert_allclose(
        floats(np.array(got, dtype=object)),
        expected,
        rtol=1e-6 if expected.dtype == "f4" else 1e-9,
        atol=1e-12,
    )
