"""Fit the model that all servers serve; run in the environment of the server that is to load it.

python model.py joblib FILE | mlflow DIRECTORY
"""

import sys

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression


def fitted(*, named: bool) -> LogisticRegression:
    data = load_breast_cancer()
    rows = data.data[:, :10]
    if not named:
        return LogisticRegression(max_iter=5000).fit(rows, data.target)
    import pandas as pd  # which not every server brings

    frame = pd.DataFrame(rows, columns=[f"x{i}" for i in range(10)])
    return LogisticRegression(max_iter=5000).fit(frame, data.target)


if __name__ == "__main__":
    kind, where = sys.argv[1:]
    if kind == "mlflow":
        import mlflow.sklearn

        mlflow.sklearn.save_model(fitted(named=True), where, serialization_format="cloudpickle")
    else:
        import joblib

        joblib.dump(fitted(named=kind == "joblib-named"), where)
