"""The target of all attacks."""

from collections.abc import Iterator

import pytest

from tests.support.target import Target, attacked


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with attacked(tmp_path_factory.mktemp("attacked")) as target:
        target.ask("PUT", "/api/v1/dataset/sample", body={"data": {"x": [0, 1, 2], "y": [1, 3, 5]}})
        target.ask("POST", "/api/v1/model/", body={"name": "m", "pipeline": [["LinearRegression", {}]]})
        fitted = target.ask("PUT", "/api/v1/model/m/fit?datax=sample[x]&datay=sample[y]")
        assert fitted.status == 202, fitted.body
        yield target


@pytest.fixture(autouse=True)
def unharmed(target: Target) -> Iterator[None]:
    """After each attack all is as before: nothing outside was touched, and the server serves."""
    before = target.outside()
    yield
    assert target.outside() == before
    answer = target.ask("POST", "/api/v1/model/m/predict/", body={"data": {"x": [10]}})
    assert answer.status == 201, answer.body
    assert answer.json["result"] == pytest.approx([21])
