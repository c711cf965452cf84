# ruff: noqa: D102  (what a method of a form does is said once, in `Form`)
"""Forms that are made of other forms: categories, intervals and periods."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from attrs import field, frozen

from omega.domain.tabular.forms import AnyDtype, ArrowColumn, Form, Values, counts, merged
from omega.domain.tabular.objects import ObjectValues, object_array
from omega.domain.tabular.scalars import frequency_text
from omega.domain.tabular.values import dumps, loads
from omega.domain.tabular.zones import NotKeptError


def labels_index(labels: list[Any], form: Form, name: Any = None) -> pd.Index:
    """The labels as an index of the form's dtype.

    Raises: NotKeptError for labels that are not of this dtype.
    """
    dtype = form.dtype
    values: Any = object_array(labels) if isinstance(dtype, np.dtype) and dtype.kind == "O" else labels
    try:
        if isinstance(dtype, pd.DatetimeTZDtype):
            found: pd.Index = pd.DatetimeIndex(values, dtype=dtype, name=name)
        else:
            found = pd.Index(values, dtype=dtype, name=name, tupleize_cols=False)
    except (ValueError, TypeError, OverflowError, ArithmeticError, pa.ArrowException) as error:
        raise NotKeptError(f"labels that are not of type {dtype}") from error
    return found


def freq_text(index: pd.Index) -> str | None:
    """The freq that an index of moments has besides its values."""
    if isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex) and index.freq is not None:
        return str(index.freqstr)
    return None


def with_freq(index: pd.Index, freq: Any) -> pd.Index:
    """The index with this freq if all its values follow it, else as it is."""
    if (
        not isinstance(freq, str)
        or len(freq) > 40
        or not isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex)
    ):
        return index
    try:
        name: Any = index.name
        return type(index)(index, freq=freq, name=name)
    except (ValueError, TypeError, OverflowError, ArithmeticError):
        return index


def index_of(form: Form, column: pa.ChunkedArray) -> pd.Index:
    """The column's values as an index of the form's dtype."""
    return pd.Index(form.decode(column), dtype=form.dtype, tupleize_cols=False)


@frozen
class Category(Form):
    """A categorical: codes into the categories, which the form itself holds too, so that an empty column
    keeps them.
    """

    values: Form
    categories: pd.Index = field(eq=False)
    ordered: bool
    _text: str = field(init=False)
    fallible = True

    @_text.default
    def _labels_as_text(self) -> str:
        return dumps(self.categories.tolist()).decode()

    @property
    def dtype(self) -> pd.CategoricalDtype:
        return pd.CategoricalDtype(self.categories, ordered=self.ordered)

    @property
    def arrow(self) -> pa.DataType:
        return pa.dictionary(self.codes, self.keys.arrow, ordered=self.ordered)

    @property
    def keys(self) -> Form:
        """The form of the Arrow dictionary: that of the categories, or tagged JSON where no reader could
        hash them.
        """
        return ObjectValues() if pa.types.is_nested(self.values.arrow) else self.values

    @property
    def codes(self) -> pa.DataType:
        """The type of the codes."""
        # As pandas chooses them, so that codes are shared and not copied.
        n = len(self.categories)
        return pa.int8() if n < 128 else pa.int16() if n < 32768 else pa.int32()

    def dictionary(self) -> pa.Array:
        """The categories as an Arrow array."""
        return self.keyed(pa.chunked_array([merged(self.values.encode(index_values(self.categories)))]))

    def keyed(self, column: pa.ChunkedArray) -> pa.Array:
        """A column of the categories' form, as the Arrow dictionary has such values."""
        if self.keys == self.values:
            return merged(column)
        items = pd.Series(self.values.decode(column)).tolist()
        valid = column.is_valid().to_pylist()
        kept = [item if there else None for item, there in zip(items, valid, strict=True)]
        return merged(self.keys.encode(object_array(kept)))

    def encode(self, values: Values) -> ArrowColumn:
        codes = pa.array(values.codes, mask=values.codes == -1, type=self.codes)
        return self.coded(codes)

    def empty(self) -> pa.Array:
        return self.coded(pa.array([], type=self.codes))

    def coded(self, codes: pa.Array) -> pa.DictionaryArray:
        """The column for Arrow codes into this form's categories."""
        return pa.DictionaryArray.from_arrays(codes, self.dictionary(), ordered=self.ordered)

    def decode(self, column: pa.ChunkedArray) -> Values:
        expected = self.dictionary()
        codes = [self._chunk_codes(chunk, expected) for chunk in column.chunks]
        joined = np.concatenate(codes) if codes else np.empty(0, dtype="i8")
        return pd.Categorical.from_codes(joined, dtype=self.dtype)

    def _chunk_codes(self, chunk: pa.DictionaryArray, expected: pa.Array) -> np.ndarray[Any, Any]:
        codes: np.ndarray[Any, Any] = pc.fill_null(chunk.indices, -1).to_numpy(zero_copy_only=False)
        if chunk.dictionary.equals(expected):
            return codes
        places = {text: i for i, text in enumerate(expected.to_pylist())}
        moved: np.ndarray[Any, Any] = np.array(
            [places[text] for text in chunk.dictionary.to_pylist()] + [-1], dtype="i8"
        )
        return np.take(moved, codes)

    def to_json(self) -> dict[str, Any]:
        found = {"category": self.values.to_json(), "ordered": self.ordered, "labels": self._text}
        if isinstance(self.categories, pd.RangeIndex):
            found["range"] = [self.categories.start, self.categories.stop, self.categories.step]
        if freq := freq_text(self.categories):
            found["freq"] = freq
        return found


def category_from_json(values: Form, document: dict[str, Any]) -> Category:
    """The form that `Category.to_json` wrote, given the form of its categories.

    Raises: NotKeptError, or an ordinary error.
    """
    labels, span = loads(document["labels"]), document.get("range")
    if not isinstance(labels, list) or (span and len(range(*span)) != len(labels)):
        raise NotKeptError("categories are malformed")
    index = pd.RangeIndex(*span) if span else labels_index(labels, values)
    if index.tolist() != labels:
        raise NotKeptError("categories are malformed")
    pd.CategoricalDtype(index)
    return Category(values, with_freq(index, document.get("freq")), bool(document["ordered"]))


def index_values(index: pd.Index) -> Values:
    """The values of an index: a numpy array, or an extension array where the dtype is one."""
    return index.to_numpy() if isinstance(index.dtype, np.dtype) else index.array


@frozen
class Intervals(Form):
    """pandas' intervals as a struct of left and right end; a missing one is null."""

    ends: Form
    closed: Any
    fallible = True

    @property
    def dtype(self) -> AnyDtype:
        return pd.IntervalDtype(self.ends.dtype, closed=self.closed)

    @property
    def arrow(self) -> pa.DataType:
        return pa.struct([("left", self.ends.arrow), ("right", self.ends.arrow)])

    def encode(self, values: Values) -> ArrowColumn:
        ends = [merged(self.ends.encode(index_values(end))) for end in (values.left, values.right)]
        missing = pa.array(np.asarray(values.isna()))
        return pa.StructArray.from_arrays(ends, fields=list(self.arrow), mask=missing)

    def decode(self, column: pa.ChunkedArray) -> Values:
        struct = merged(column)
        left, right = (
            self.ends.decode(pa.chunked_array([pc.struct_field(struct, name)])) for name in ("left", "right")
        )
        return pd.arrays.IntervalArray.from_arrays(left, right, closed=self.closed, dtype=self.dtype)

    def to_json(self) -> dict[str, Any]:
        return {"interval": self.ends.to_json(), "closed": self.closed}


@frozen
class Periods(Form):
    """pandas' periods as their ordinals; NaT is null."""

    frequency: str = field(converter=frequency_text)

    @property
    def dtype(self) -> AnyDtype:
        return pd.PeriodDtype(self.frequency)

    @property
    def arrow(self) -> pa.DataType:
        return pa.int64()

    def encode(self, values: Values) -> ArrowColumn:
        return pa.array(values.asi8, mask=np.asarray(values.isna()), type=pa.int64())

    def decode(self, column: pa.ChunkedArray) -> Values:
        return pd.arrays.PeriodArray(counts(column), dtype=self.dtype)

    def to_json(self) -> dict[str, Any]:
        return {"period": self.frequency}
