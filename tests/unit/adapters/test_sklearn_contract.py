"""The scikit-learn codec and executor keep the whole contract."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from omega.adapters.sklearn_models.models import JoblibModelCodec, SklearnModelExecutor
from tests.contracts.models import KIND, ModelCodecSuite, ModelExecutorSuite, X


class TestJoblibModelCodec(ModelCodecSuite):
    @pytest.fixture
    def codec(self) -> JoblibModelCodec:
        return JoblibModelCodec()

    @pytest.fixture
    def models(self) -> list[Any]:
        executor = SklearnModelExecutor()
        specs = [[["LinearRegression"]], [["StandardScaler"], ["SVC"]], [["RandomForestClassifier"]]]
        unfitted = [executor.create(spec) for spec in specs]
        return unfitted + [executor.fit(model, action="fit", x=X, y=KIND).model for model in unfitted[1:]]

    @pytest.fixture
    def same(self) -> Callable[[Any, Any], bool]:
        executor = SklearnModelExecutor()

        def alike(one: Any, other: Any) -> bool:
            if (described := executor.describe(one)) != executor.describe(other):
                return False
            answers = [executor.apply(m, action="predict", x=X) for m in (one, other) if described["fitted"]]
            return not answers or bool(np.array_equal(*answers))

        return alike


class TestSklearnModelExecutor(ModelExecutorSuite):
    @pytest.fixture
    def executor(self) -> SklearnModelExecutor:
        return SklearnModelExecutor()
