"""A BentoML service, with its adaptive batching."""

import os

import bentoml
import joblib
import numpy as np

BATCHING = os.environ.get("BATCHING") == "1"


@bentoml.service(workers=1, traffic={"timeout": 30})
class Classifier:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(batchable=BATCHING)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.model.predict(rows)
