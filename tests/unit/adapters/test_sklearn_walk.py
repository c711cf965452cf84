"""Every estimator of scikit-learn, from spec to answer, gives what scikit-learn gives when asked directly."""

import inspect
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.utils import all_estimators
from threadpoolctl import threadpool_limits

from omega.adapters.sklearn_models.descriptions import ASKING
from omega.adapters.sklearn_models.models import JoblibModelCodec, SklearnModelExecutor
from omega.ports.models import InvalidModelInput
from tests.support.estimators import CASES, LEFT_OUT, ROWS, Case

EXECUTOR = SklearnModelExecutor()
CODEC = JoblibModelCodec()

#: Tables that suit few estimators: what is answered must be an answer or an `InvalidModelInput`.
AWKWARD = {
    "text": pa.table({name: ["u", "v", None] * 8 for name in "abc"}),
    "no rows": pa.table({name: pa.array([], pa.float64()) for name in "abc"}),
    "one column": pa.table({"a": [1.5] * ROWS}),
    "nulls, dates, truths": pa.table(
        {
            "a": pa.nulls(ROWS),
            "b": pa.array([0, 1, None] * 8, pa.date32()),
            "c": [True, False, None] * 8,
        }
    ),
    "lists": pa.table({name: [[1, 2], [3], None] * 8 for name in "abc"}),
    "same names": pa.table([pa.array(["u"] * ROWS)] * 3, names=["a", "a", "a"]),
    "infinite": pa.table({name: [float("inf"), 1.0, float("nan")] * 8 for name in "abc"}),
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on busy cores take most of the time otherwise."""
    with threadpool_limits(1):
        yield


def table(frame: Any) -> pa.Table | None:
    return None if frame is None else pa.Table.from_pandas(frame, preserve_index=False)


def test_every_estimator_has_a_case_or_a_reason() -> None:
    assert not CASES.keys() & LEFT_OUT.keys()
    assert CASES.keys() | LEFT_OUT.keys() == dict(all_estimators()).keys()
    assert all(LEFT_OUT.values())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_answers_are_those_of_scikit_learn(case: Case) -> None:
    x, y = table(case.x), table(case.y)
    created = CODEC.load(CODEC.dump(EXECUTOR.create(case.spec)))
    fitted = CODEC.load(CODEC.dump(EXECUTOR.fit(created, action="fit", x=x, y=y).model))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        direct = case.direct()
        _call(direct.fit, case.given(case.x), case.target)
        actions = EXECUTOR.describe(fitted)["actions"]
        assert actions == [action for action in ("fit", "partial_fit", *ASKING) if hasattr(direct, action)]
        assert actions == EXECUTOR.describe(created)["actions"]
        for action in set(actions) & set(ASKING):
            answer = EXECUTOR.apply(fitted, action=action, x=x, y=y if action == "score" else None)
            expected = _ask(direct, action, case)
            _compare(answer, expected)


@pytest.mark.parametrize(
    "case",
    [c for c in CASES.values() if hasattr(EXECUTOR.create(c.spec), "partial_fit")],
    ids=lambda c: c.name,
)
def test_partial_fit_is_that_of_scikit_learn(case: Case) -> None:
    x, y = table(case.x), table(case.y)
    fitted = EXECUTOR.fit(EXECUTOR.create(case.spec), action="partial_fit", x=x, y=y).model
    fitted = EXECUTOR.fit(CODEC.load(CODEC.dump(fitted)), action="partial_fit", x=x, y=y).model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        direct = case.direct()
        given, extra = case.given(case.x), {}
        if "classes" in inspect.signature(direct.partial_fit).parameters:
            labels = [np.unique(case.y[name]) for name in case.y]
            extra = {"classes": labels if len(labels) > 1 else labels[0]}
        _call(direct.partial_fit, given, case.target, **extra)
        _call(direct.partial_fit, given, case.target)
        for action in set(EXECUTOR.describe(fitted)["actions"]) & set(ASKING):
            answer = EXECUTOR.apply(fitted, action=action, x=x, y=y if action == "score" else None)
            _compare(answer, _ask(direct, action, case))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_awkward_data_is_answered_or_refused(case: Case) -> None:
    x, y = table(case.x), table(case.y)
    created = EXECUTOR.create(case.spec)
    fitted = EXECUTOR.fit(created, action="fit", x=x, y=y).model
    for awkward in AWKWARD.values():
        labels = None if y is None else y.slice(0, awkward.num_rows)
        _answered_or_refused(lambda a=awkward, b=labels: EXECUTOR.fit(created, action="fit", x=a, y=b))
        for action in set(EXECUTOR.describe(fitted)["actions"]) & set(ASKING):
            _answered_or_refused(
                lambda a=awkward, b=labels, c=action: EXECUTOR.apply(fitted, action=c, x=a, y=b)
            )


def _answered_or_refused(call: Any) -> None:
    try:
        call()
    except InvalidModelInput as refused:
        text = str(refused)
        assert text
        assert len(text) <= 700
        assert not any(word in text for word in ("\n", "Traceback", " 0x", "site-packages"))


def _call(method: Any, given: Any, target: Any, **extra: Any) -> Any:
    takes_two = len(inspect.signature(method).parameters) > 1
    return method(given, target, **extra) if takes_two else method(given, **extra)


def _ask(direct: Any, action: str, case: Case) -> Any:
    given = case.given(case.x)
    answer = _call(direct.score, given, case.target) if action == "score" else getattr(direct, action)(given)
    return answer.toarray() if sparse.issparse(answer) else answer


def _compare(answer: Any, expected: Any) -> None:
    """Floats may differ in the last bits.

    The order of a BLAS sum follows the alignment of arrays in memory, which a loaded model does not share
    with the one that was dumped; and inner folds are cut from an array here and from a frame there.
    """
    expected = np.asarray(expected)
    assert np.shape(answer) == expected.shape
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(answer, expected, rtol=1e-9, atol=1e-12)
    else:
        np.testing.assert_array_equal(answer, expected)


def test_the_first_calls_may_come_at_once() -> None:
    """In a process that has not imported all of scikit-learn yet, as a server is at its start."""
    code = """if True:
        from concurrent.futures import ThreadPoolExecutor
        from omega.adapters.sklearn_models.models import SklearnModelExecutor
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(SklearnModelExecutor().create, [[["Ridge", {}]]] * 8))
        assert {type(model).__name__ for model in made} == {"Ridge"}
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
