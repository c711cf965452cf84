# ruff: noqa: D102  (what a method of a form does is said once, in `Form`)
"""Forms of object columns: all text, all bytes, or any mixture of Python values."""

from typing import Any

import numpy as np
import pyarrow as pa
from attrs import frozen

from omega.domain.errors import BadInput
from omega.domain.tabular.forms import ArrowColumn, Form, Values
from omega.domain.tabular.values import dumps, loads
from omega.domain.tabular.zones import NotKeptError


class _Objects(Form):
    """An object column."""

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(object)

    def decode(self, column: pa.ChunkedArray) -> Values:
        return object_array(column.to_pylist())


@frozen
class ObjectText(_Objects):
    """An object column of `str` and `None` only."""

    @property
    def arrow(self) -> pa.DataType:
        return pa.large_string()

    def encode(self, values: Values) -> ArrowColumn:
        try:
            return pa.array(values, type=pa.large_string(), from_pandas=False)
        except UnicodeEncodeError as error:
            raise NotKeptError("it holds text with a lone surrogate") from error

    def to_json(self) -> dict[str, Any]:
        return {"object": "text"}


@frozen
class ObjectBytes(_Objects):
    """An object column of `bytes` and `None` only."""

    @property
    def arrow(self) -> pa.DataType:
        return pa.large_binary()

    def encode(self, values: Values) -> ArrowColumn:
        return pa.array(values, type=pa.large_binary(), from_pandas=False)

    def to_json(self) -> dict[str, Any]:
        return {"object": "bytes"}


@frozen
class ObjectValues(_Objects):
    """An object column of mixed Python values, each as the tagged JSON text of `values.dumps`; `None` is
    null.
    """

    fallible = True

    @property
    def arrow(self) -> pa.DataType:
        return pa.large_string()

    def encode(self, values: Values) -> ArrowColumn:
        texts = []
        for row, value in enumerate(values):
            try:
                texts.append(None if value is None else dumps(value).decode())
            except BadInput as error:
                raise NotKeptError(f"in row {row}: {error}") from error
        return pa.array(texts, type=pa.large_string())

    def decode(self, column: pa.ChunkedArray) -> Values:
        return object_array([None if text is None else loads(text) for text in column.to_pylist()])

    def to_json(self) -> dict[str, Any]:
        return {"object": "values"}


def object_array(items: list[Any]) -> np.ndarray[Any, Any]:
    """The items as an object array of shape (len(items),), lists among them staying lists."""
    return np.fromiter(items, dtype=object, count=len(items))


def object_form(values: Values) -> Form:
    """The form of an object column, by the exact types of its values."""
    kinds = set(map(type, values))
    if kinds <= {str, type(None)}:
        return ObjectText()
    return ObjectBytes() if kinds <= {bytes, type(None)} else ObjectValues()
