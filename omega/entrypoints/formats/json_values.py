"""Arrays, such as the answers of models, as JSON text."""

import math
from typing import Any

import numpy as np
import orjson

from omega.domain.errors import BadInput
from omega.entrypoints.formats.texts import json_texts, native


def encode_array(result: np.ndarray[Any, Any] | list[np.ndarray[Any, Any]] | float) -> bytes:
    """An array as JSON lists: shape (n,) and (n, 1) as a flat list, (n, m) as n lists of m, a list of arrays
    as a list of theirs, a number as one.

    NaN is null, datetimes ISO 8601, everything else exact.

    Raises: BadInput naming the row of an infinity, or the type of what JSON cannot hold.
    """
    if isinstance(result, list):
        return b"[" + b",".join(map(encode_array, result)) + b"]"
    array = np.asarray(result)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array.reshape(-1)
    if array.dtype.kind == "f":
        _no_infinities(array)
    if array.ndim == 0:
        return json_texts(array.reshape(1), of="the result")[0]
    if array.dtype.kind in "biuf":
        return orjson.dumps(native(array), option=orjson.OPT_SERIALIZE_NUMPY)
    return _nested(json_texts(array.reshape(-1), of="the result"), array.shape)


def _no_infinities(array: np.ndarray[Any, Any]) -> None:
    infinite = np.isinf(array)
    if not infinite.any():
        return
    where = np.argwhere(infinite)[0]
    row = f" in row {int(where[0 if array.ndim < 3 else 1])}" if array.ndim else ""
    raise BadInput(
        f"the result has an infinity{row}, which JSON cannot hold (the logarithm of a probability of 0 "
        "is one: predict_proba has the probability)"
    )


def _nested(texts: list[bytes], shape: tuple[int, ...]) -> bytes:
    for axis in range(len(shape) - 1, 0, -1):
        size, count = shape[axis], math.prod(shape[:axis])
        texts = [b"[" + b",".join(texts[i * size : (i + 1) * size]) + b"]" for i in range(count)]
    return b"[" + b",".join(texts) + b"]"
