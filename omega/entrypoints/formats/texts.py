"""Columns of values as JSON texts, one `bytes` a value.

Missing values of every kind are `null`, moments ISO 8601 (in UTC where they have a zone), durations ISO 8601
(`P1DT2H0M0.5S`), bytes base64. Floats are the shortest text that gives the same bits back (also for float32:
read as float64, then narrowed).
"""

import json
import re
from typing import Any, Final, Protocol

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from omega.domain.errors import BadInput
from omega.domain.tabular import values as tagged

NULL: Final = b"null"
ELSEWHERE: Final = "ask for Arrow or Parquet, which keep it"
_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_NAT: Final = np.iinfo(np.int64).min
_SEPARATOR: Final = "\x1f"
_ESCAPED: Final = b"\\u001f"
_END_QUOTE: Final = pa.scalar(b'"', pa.large_binary())
_NOTHING: Final = pa.scalar(b"", pa.large_binary())
_ZEROS: Final = re.compile(rb"\.?0+\Z")


def json_texts(values: Any, *, of: str) -> list[bytes]:
    """The JSON text of each value of a numpy or pandas array, Series or Index; `of` is what errors call it.

    Raises: BadInput for infinities, complex numbers and values that JSON has no form for.
    """
    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        return _numpy_texts(np.asarray(values), of)
    if isinstance(dtype, pd.DatetimeTZDtype):
        utc = pd.DatetimeIndex(values).tz_convert("UTC").tz_localize(None)
        return [t if t is NULL else t[:-1] + b'Z"' for t in _moment_texts(utc.to_numpy())]
    if isinstance(dtype, pd.StringDtype):
        return text_texts(pa.array(values).to_pylist())
    if isinstance(dtype, pd.CategoricalDtype):
        # A missing value has code -1: the last of the texts.
        categories = [*json_texts(dtype.categories, of=of), NULL]
        return [categories[code] for code in values_of(values).codes.tolist()]
    if isinstance(dtype, pd.PeriodDtype):
        return [NULL if period is pd.NaT else orjson.dumps(str(period)) for period in values]
    if isinstance(dtype, pd.ArrowDtype):
        return _arrow_texts(pa.array(values), of)
    if str(dtype).lower() in _MASKED:
        return _masked_texts(values, of)
    return [object_text(value, of=of) for value in values]


_MASKED: Final = {
    "boolean",
    "float32",
    "float64",
    *(f"{s}int{b}" for s in ("", "u") for b in (8, 16, 32, 64)),
}


def values_of(values: Any) -> Any:
    """The array of a Series or Index; an array itself."""
    return values.array if isinstance(values, pd.Series | pd.Index) else values


def text_texts(texts: list[str | None]) -> list[bytes]:
    """JSON texts of strings."""
    joined = orjson.dumps(_SEPARATOR.join([text or "" for text in texts]))
    # One call for all texts, unless one holds the separator, or a backslash makes what reads like it.
    if joined.count(_ESCAPED) != len(texts) - 1 or b"\\" + _ESCAPED in joined:
        return [orjson.dumps(text) for text in texts]
    parts = joined[1:-1].split(_ESCAPED)
    return [NULL if text is None else b'"%b"' % part for text, part in zip(texts, parts, strict=True)]


class Keys(Protocol):
    """What is written before values."""

    @property
    def before_text(self) -> pa.Array:
        """Each with the quote of the text that follows, as `large_binary`."""


def keyed_texts(values: Any, keys: Keys) -> bytes | None:
    """The JSON texts of a series of text, each after its key, all in one; `None` where a value is missing or
    needs escapes, or the series is of something else.
    """
    if not isinstance(values.dtype, pd.StringDtype):
        return None
    texts = pc.cast(pa.array(values, from_pandas=True), pa.large_binary())
    parts = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
    if texts.null_count or any(map(_needs_escapes, parts)):
        return None
    joined = pc.binary_join_element_wise(keys.before_text, texts, _END_QUOTE, _NOTHING)
    return b"".join(map(_content, joined.chunks if isinstance(joined, pa.ChunkedArray) else [joined]))


def _content(texts: pa.Array) -> pa.Buffer:
    """All texts of an array, one after the other."""
    offsets = np.frombuffer(texts.buffers()[1], dtype="i8", count=texts.offset + len(texts) + 1)
    begin, end = int(offsets[texts.offset]), int(offsets[-1])
    return texts.buffers()[2].slice(begin, end - begin) if end > begin else pa.py_buffer(b"")


def _needs_escapes(texts: pa.Array) -> bool:
    content = np.frombuffer(_content(texts), dtype=np.uint8)
    return bool(((content < ord(" ")) | (content == ord('"')) | (content == ord("\\"))).any())


def object_text(value: Any, *, of: str) -> bytes:
    """The JSON text of one Python value, as `tabular.values.plain` shows it.

    Raises: BadInput.
    """
    try:
        plain = value if value is None or type(value) is str else tagged.plain(value)
    except BadInput as error:
        raise BadInput(f"{of}: {error}; {ELSEWHERE}") from error
    return dump(plain)


def dump(plain: Any) -> bytes:
    """Any strict JSON value as text, integers of any size exactly."""
    try:
        return orjson.dumps(plain)
    except TypeError:
        return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def no_infinities(values: np.ndarray[Any, Any], *, of: str) -> None:
    """Nothing, if all floats in a one-dimensional array are finite or NaN.

    Raises: BadInput naming the first row with an infinity.
    """
    infinite = np.isinf(values)
    if infinite.any():
        raise BadInput(
            f"{of} holds an infinity in row {int(infinite.argmax())}, which JSON cannot hold: {ELSEWHERE}"
        )


def duration_text(count: int, unit: str) -> str:
    """A duration of `count` units as ISO 8601, its sign in front: `-P1DT2H0M0.5S`."""
    seconds, fraction = divmod(abs(count), _PER_SECOND[unit])
    minutes, s = divmod(seconds, 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    digits = f".{fraction:0{len(str(_PER_SECOND[unit])) - 1}d}".rstrip("0") if fraction else ""
    return f"{'-' if count < 0 else ''}P{days}DT{h}H{m}M{s}{digits}S"


def _numpy_texts(values: np.ndarray[Any, Any], of: str) -> list[bytes]:
    kind = values.dtype.kind
    if kind == "O":
        items = values.tolist()
        if set(map(type, items)) <= {str, type(None)}:
            return text_texts(items)
        return [object_text(value, of=of) for value in items]
    if kind == "M":
        return _moment_texts(values)
    if kind == "m":
        unit = np.datetime_data(values.dtype)[0]
        counts = values.view("i8").tolist()
        return [NULL if n == _NAT else f'"{duration_text(n, unit)}"'.encode() for n in counts]
    if kind in "SU":
        return [object_text(value, of=of) for value in values.tolist()]
    if kind not in "biuf":
        raise BadInput(f"{of} is of dtype {values.dtype}, which JSON cannot hold: {ELSEWHERE}")
    if kind == "f":
        no_infinities(values, of=of)
    return (
        orjson.dumps(native(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
        if len(values)
        else []
    )


def native(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The values as orjson takes them: contiguous, in native byte order, floats of at most 64 bits."""
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        values = values.astype("f8")
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


def _moment_texts(values: np.ndarray[Any, Any]) -> list[bytes]:
    """ISO 8601 to the second, and as many digits more as the value has."""
    seconds = values.astype("M8[s]")
    if whole := np.array_equal(seconds, values, equal_nan=True):
        values = seconds
    texts = np.datetime_as_string(values).astype("S").tolist()
    if not whole:
        texts = [_ZEROS.sub(b"", text) for text in texts]
    return [NULL if text == b"NaT" else b'"%b"' % text for text in texts]


def _masked_texts(values: Any, of: str) -> list[bytes]:
    array = values_of(values)
    missing = np.asarray(array.isna())
    numpy = np.dtype("bool" if str(array.dtype) == "boolean" else str(array.dtype).lower())
    texts = _numpy_texts(array.to_numpy(dtype=numpy, na_value=numpy.type(0)), of)
    for i in np.flatnonzero(missing).tolist():
        texts[i] = NULL
    return texts


def _arrow_texts(array: pa.Array | pa.ChunkedArray, of: str) -> list[bytes]:
    """Of pandas' ArrowDtype: null and NaN are one in JSON."""
    if pa.types.is_floating(array.type):
        no_infinities(np.array(array.fill_null(0).to_pylist(), dtype="f8"), of=of)
        return [
            NULL if value is None or value != value else orjson.dumps(value) for value in array.to_pylist()
        ]
    return [object_text(value, of=of) for value in array.to_pylist()]


def check_texts(values: Any, *, of: str) -> None:
    """Nothing, if `json_texts` will have a text for each value; cheap for all but objects.

    Raises: BadInput.
    """
    dtype = values.dtype
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        no_infinities(np.asarray(values), of=of)
    elif isinstance(dtype, pd.CategoricalDtype):
        json_texts(dtype.categories, of=of)
    elif isinstance(dtype, pd.Float32Dtype | pd.Float64Dtype):
        no_infinities(values_of(values).to_numpy(dtype="f8", na_value=0), of=of)
    elif (isinstance(dtype, np.dtype) and dtype.kind in "biumM") or isinstance(
        dtype, pd.StringDtype | pd.DatetimeTZDtype
    ):
        return
    elif len(values):
        json_texts(values, of=of)
