"""What one writes by hand in an afternoon: FastAPI, pandas and a model that is kept loaded."""

import os

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

model = joblib.load(os.environ["MODEL"])
app = FastAPI()


class Table(BaseModel):
    columns: list[str]
    data: list[list[float]]


@app.post("/predict")
def predict(table: Table) -> dict[str, list[int]]:
    frame = pd.DataFrame(table.data, columns=table.columns)
    return {"result": model.predict(frame).tolist()}
