import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest

from omega.domain.contents import encode
from omega.domain.errors import AlreadyExists, BadInput, Conflict, Corrupt, NotFitted, NotFound
from omega.domain.features import Features
from omega.domain.names import Reference
from tests.support.services import World

LINEAR = [["LinearRegression", {}]]
X, Y = pd.DataFrame({"x": [1.0, 2.0, 3.0]}), pd.Series([2.0, 4.0, 6.0], name="y")


@pytest.fixture
def world():
    return World()


@pytest.fixture
def fitted(world):
    models = world.models()
    models.create("m", LINEAR)
    models.fit("m", X, Y)
    return models


def predict(models, reference="m", x=X):
    return models.ask(Reference.parse(reference, resource="model"), x).result.round(6).tolist()


def test_create_fit_and_ask(world, fitted):
    assert predict(fitted) == [2, 4, 6]
    assert predict(fitted, x=[[5.0]]) == [10]
    metadata = fitted.metadata(Reference("m"))
    assert metadata.version == 2 and metadata.kind == "sklearn.joblib"
    assert metadata.attributes["targets"] == [{"name": "y", "dtype": "float64", "type": "numeric"}]
    with pytest.raises(AlreadyExists):
        fitted.create("m", LINEAR)


def test_each_fit_is_a_version_and_the_earlier_ones_keep_answering(fitted):
    fitted.fit("m", X, Y * 10)
    assert predict(fitted) == [20, 40, 60]
    assert predict(fitted, "m^") == predict(fitted, "m@2") == [2, 4, 6]
    with pytest.raises(NotFitted):
        predict(fitted, "m@1")
    with pytest.raises(NotFound, match="versions are 1 to 3"):
        predict(fitted, "m@4")


def test_datasets_by_reference(world, fitted):
    world.datasets().put("d", encode(X.assign(y=Y)))
    fitted.fit("m", "d[x]", "d[y]")
    assert predict(fitted, x="d[x]") == [2, 4, 6]
    world.datasets().put("n", encode(X.to_numpy()))
    world.datasets().put("r", encode([{"x": 1.0}]))
    world.datasets().put("f", encode(b"bytes"))
    assert predict(fitted, x="n") == [2, 4, 6]
    assert predict(fitted, x="r") == [2]
    with pytest.raises(BadInput, match=r"of kind python\.file, which is not tabular"):
        predict(fitted, x="f")


def test_an_estimator_of_ones_own(world):
    from sklearn.linear_model import Ridge

    models = world.models()
    models.put("own", Ridge().fit(X, Y))
    assert models.metadata(Reference("own")).attributes["fitted"] is True
    np.testing.assert_array_equal(predict(models, "own"), Ridge().fit(X, Y).predict(X).round(6))
    assert models.get(Reference("own")).get_params() == Ridge().get_params()
    with pytest.raises(BadInput):
        models.put("no", object())
    from sklearn.preprocessing import FunctionTransformer

    with pytest.raises(BadInput, match="func"):
        models.put("no", FunctionTransformer(func=lambda x: x))


def tampered(world: World, change: Any) -> None:
    """Change the stored bytes of all payloads."""
    for id in list(world.blobs.ids()):
        payload = b"".join(world.blobs.read(id))
        world.blobs.remove(id)
        world.blobs.write(id, chunks=[change(payload)])


def test_changed_bytes_are_never_loaded(world, fitted):
    tampered(world, lambda payload: payload[:-1] + bytes([payload[-1] ^ 1]))
    with pytest.raises(Corrupt, match=r"version 2 of model .m. is damaged: its content .* is not what"):
        fitted.get(Reference("m"))


def test_a_missing_payload_is_named(world, fitted):
    for id in list(world.blobs.ids()):
        world.blobs.remove(id)
    with pytest.raises(Corrupt, match=r"version 2 of model 'm' is damaged: its content .* is missing"):
        fitted.get(Reference("m"))


def test_a_model_that_another_installation_signed_is_never_loaded(world, fitted):
    """Its checksum fits, so only the signature stands between its bytes and the unpickler."""
    stranger = World(records=world.records, blobs=world.blobs, ids=world.ids, key=b"x" * 32).models()
    with pytest.raises(Corrupt, match="is not signed by this installation"):
        stranger.get(Reference("m"))


class Interrupting:
    """An executor that lets something happen while a model is fitted."""

    def __init__(self, executor: Any, happen: Any) -> None:
        self.executor, self.happen = executor, happen

    def __getattr__(self, name: str) -> Any:
        return getattr(self.executor, name)

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        done = self.executor.fit(*args, **kwargs)
        happen, self.happen = self.happen, lambda: None
        happen()
        return done


def interrupted(world: World, happen: Any) -> Any:
    models = world.models()
    from attrs import evolve

    return evolve(models, executor=Interrupting(models.executor, happen))


def test_another_fit_meanwhile_makes_two_versions(world, fitted):
    models = interrupted(world, lambda: fitted.fit("m", X, Y * 3))
    assert models.fit("m", X, Y * 5).version == 4
    assert predict(fitted) == [10, 20, 30]
    assert predict(fitted, "m^") == [6, 12, 18]


def test_a_partial_fit_never_forgets_another(world):
    models = world.models()
    models.create("p", [["SGDRegressor", {"random_state": 0}]])
    models.fit("p", X, Y, action="partial_fit")
    other = interrupted(world, lambda: models.fit("p", X, Y, action="partial_fit"))
    assert other.fit("p", X, Y, action="partial_fit").version == 4
    assert models.get(Reference("p")).t_ == 1 + 3 * len(X)


@pytest.mark.parametrize("recreate", [False, True])
def test_a_model_that_is_dropped_while_it_is_fitted(world, fitted, recreate):
    def happen():
        fitted.drop("m")
        if recreate:
            fitted.create("m", LINEAR)

    with pytest.raises(NotFound, match="removed while it was being fitted"):
        interrupted(world, happen).fit("m", X, Y)
    assert len(list(world.blobs.ids())) == int(recreate)


def test_a_model_that_is_replaced_while_it_is_fitted(world, fitted):
    with pytest.raises(Conflict, match="replaced while it was being fitted"):
        interrupted(world, lambda: fitted.create("m", [["Ridge", {}]], replace=True)).fit("m", X, Y)
    assert fitted.metadata(Reference("m")).version == 3


def test_concurrent_fits_are_all_versions(fitted):
    threads = [threading.Thread(target=fitted.fit, args=("m", X, Y * n)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fitted.metadata(Reference("m")).version == 10
    slopes = sorted(round(predict(fitted, f"m@{n}")[0]) for n in range(3, 11))
    assert slopes == [2 * n for n in range(8)]


def test_columns_are_put_in_fitted_order(world):
    models = world.models()
    models.create("m", LINEAR)
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 5.0]})
    models.fit("m", frame, frame["a"] * 2 - frame["b"])
    expected = predict(models, x=frame)
    assert predict(models, x=frame[["b", "a"]]) == expected
    assert predict(models, x=frame.to_numpy()) == expected
    with pytest.raises(BadInput, match="missing columns: 'b'"):
        predict(models, x=frame[["a"]])
    with pytest.raises(BadInput, match="column 'a' of datax is text"):
        predict(models, x=frame.astype({"a": "str"}))
    with pytest.raises(BadInput, match="3 dimensions"):
        predict(models, x=np.zeros((1, 2, 3)))


def test_features_may_be_given_ready(fitted):
    import pyarrow as pa

    given = Features(pa.table({"q": [4.0]}), "here", named=False)
    assert predict(fitted, x=given) == [8]


def test_dropping_leaves_nothing(world, fitted):
    fitted.fit("m", X, Y)
    fitted.drop("m")
    assert world.records.page("").total == 0
    assert list(world.blobs.ids()) == []


def test_a_loaded_model_is_read_once(world, fitted):
    predict(fitted)
    for id in list(world.blobs.ids()):
        world.blobs.remove(id)
    assert predict(fitted) == [2, 4, 6]


def test_columns_of_lists_are_given_as_lists(world):
    models = world.models()
    models.create("tags", [["MultiLabelBinarizer", {}]])
    tags = pd.DataFrame({"tags": [["a", "b"], ["b"], []]})
    world.datasets().put("d", encode(tags))
    models.fit("tags", "d")
    answer = models.ask(Reference("tags"), "d", action="transform")
    np.testing.assert_array_equal(answer.result, [[1, 1], [0, 1], [0, 0]])
    assert models.metadata(Reference("tags")).attributes["features"][0]["dtype"] == "object"
    with pytest.raises(BadInput, match="Python objects of several types"):
        models.fit("tags", pd.DataFrame({"tags": [["a"], 5]}))


def test_a_partial_fit_keeps_the_columns_as_they_were_fitted(world):
    models = world.models()
    models.create("p", [["SGDRegressor", {"random_state": 0}]])
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [10.0, 0.0, 5.0]})
    models.fit("p", frame, Y, action="partial_fit")
    features = models.metadata(Reference("p")).attributes["features"]
    for further in (frame[["b", "a"]], frame.to_numpy()):
        models.fit("p", further, Y, action="partial_fit")
        assert models.metadata(Reference("p")).attributes["features"] == features
    expected = models.get(Reference("p")).predict(frame.to_numpy()).round(6).tolist()
    assert predict(models, "p", frame) == expected
    assert predict(models, "p", frame[["b", "a"]]) == expected


def test_a_fit_that_may_not_happen_is_refused_before_the_work(world, fitted):
    from omega.domain.errors import PreconditionFailed
    from omega.domain.metadata import Precondition

    def never():
        raise AssertionError("it was fitted")

    models = interrupted(world, never)
    with pytest.raises(PreconditionFailed, match="is at version 2"):
        models.fit("m", X, Y, precondition=Precondition(match=frozenset({1})))
    with pytest.raises(NotFound, match="there is no model 'none'"):
        models.fit("none", "no such dataset either")


def test_labels_that_a_record_cannot_hold_are_refused(world):
    models = world.models()
    models.create("nb", [["GaussianNB", {}]])
    labels = np.array([2**63 + 1, 2**63 + 3, 2**63 + 1], dtype="uint64")
    before = list(world.blobs.ids())
    with pytest.raises(BadInput, match=f"class label {2**63 + 1} does not fit"):
        models.fit("nb", X, labels)
    assert list(world.blobs.ids()) == before


def test_what_was_learned_before_does_not_stick(world):
    models = world.models()
    models.create("k", [["KMeans", {"n_clusters": 2, "random_state": 0, "n_init": 1}]])
    models.fit("k", X, Y)
    models.fit("k", X)
    attributes = models.metadata(Reference("k")).attributes
    assert attributes["targets"] is None and "n_outputs" not in attributes
