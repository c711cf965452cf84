"""The tagged JSON of single values: numbers, moments, bytes, and what numpy and pandas add to them.

An encoder may rely on its value's exact type. A decoder gets whatever a hostile document holds: it may
raise `NotKeptError`, or one of the ordinary errors (`ValueError`, `TypeError`, `KeyError`, `OverflowError`,
`ArithmeticError`), and nothing else.
"""

import base64
import math
import struct
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from omega.domain.tabular.zones import NotKeptError, zone_from_text, zone_text

#: The class of UUIDs, by way of Arrow: the module that holds it also makes random ones, which the domain
#: may not.
UUID: Final[type[Any]] = type(pa.scalar(bytes(16), pa.uuid()).as_py())
_NUMPY_KINDS: Final = frozenset("biufcmMSU")
_MAX_FREQUENCY_LENGTH: Final = 40


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: Any) -> bytes:
    return base64.b64decode(_str(text).encode("ascii"), validate=True)


def _str(value: Any) -> str:
    if type(value) is not str:
        raise NotKeptError("text is missing")
    return value


def _int(value: Any) -> int:
    if type(value) is not int:
        raise NotKeptError("a number is missing")
    return value


def _float(value: float) -> Any:
    return value if math.isfinite(value) else {"$float": struct.pack(">d", value).hex()}


def _to_float(payload: Any) -> float:
    if type(payload) is float or type(payload) is int:
        return float(payload)
    if isinstance(payload, dict):
        payload = payload["$float"]
    raw = bytes.fromhex(_str(payload))
    if len(raw) != 8:
        raise NotKeptError("$float is malformed")
    found: float = struct.unpack(">d", raw)[0]
    return found


def _datetime(value: datetime) -> Any:
    zone = None if value.tzinfo is None else zone_text(value.tzinfo)
    return {"$datetime": [value.replace(tzinfo=None, fold=0).isoformat(), zone, value.fold]}


def _to_datetime(payload: Any) -> datetime:
    text, zone, fold = payload
    found = datetime.fromisoformat(_str(text))
    if found.tzinfo is not None:
        raise NotKeptError("$datetime is malformed")
    return found.replace(tzinfo=None if zone is None else zone_from_text(zone), fold=_int(fold))


def _time(value: time) -> Any:
    zone = None if value.tzinfo is None else zone_text(value.tzinfo)
    return {"$time": [value.replace(tzinfo=None, fold=0).isoformat(), zone, value.fold]}


def _to_time(payload: Any) -> time:
    text, zone, fold = payload
    found = time.fromisoformat(_str(text))
    return found.replace(tzinfo=None if zone is None else zone_from_text(zone), fold=_int(fold))


def _to_timedelta(payload: Any) -> timedelta:
    days, seconds, microseconds = payload
    return timedelta(days=_int(days), seconds=_int(seconds), microseconds=_int(microseconds))


def _timestamp(value: pd.Timestamp) -> Any:
    zone = None if value.tzinfo is None else zone_text(value.tzinfo)
    payload = [int(value.asm8.view("i8")), value.unit, zone, value.fold]
    if _to_timestamp(payload) != value:
        raise NotKeptError("this Timestamp does not come back equal")
    return {"$Timestamp": payload}


def _to_timestamp(payload: Any) -> Any:
    count, unit, zone, fold = payload
    found: Any = pd.Timestamp(np.datetime64(_int(count), _unit(unit)))
    if found is pd.NaT:
        raise NotKeptError("$Timestamp is malformed")
    if zone is not None:
        found = found.tz_localize("UTC").tz_convert(zone_from_text(zone))
    return found if found.fold == _int(fold) else found.replace(fold=fold)


def _unit(unit: Any) -> Any:
    if unit not in ("s", "ms", "us", "ns"):
        raise NotKeptError("a unit of time is unknown")
    return unit


def _to_pandas_timedelta(payload: Any) -> Any:
    count, unit = payload
    return _not_nat(pd.Timedelta(np.timedelta64(_int(count), _unit(unit))))


def _not_nat(value: Any) -> Any:
    if value is pd.NaT:
        raise NotKeptError("a moment is missing")
    return value


def _period(value: pd.Period) -> Any:
    found = {"$Period": [value.ordinal, value.freqstr]}
    if _to_period(found["$Period"]) != value:
        raise NotKeptError(f"a period of frequency {value.freqstr!r} does not come back equal")
    return found


def _to_period(payload: Any) -> Any:
    ordinal, frequency = payload
    dtype = pd.PeriodDtype(frequency_text(frequency))
    return _not_nat(pd.arrays.PeriodArray(np.array([_int(ordinal)], dtype="i8"), dtype=dtype)[0])


def frequency_text(value: Any) -> str:
    """`value`, if it may be handed to pandas as the text of a frequency.

    Raises: NotKeptError.
    """
    if type(value) is not str or not 0 < len(value) <= _MAX_FREQUENCY_LENGTH or not value.isascii():
        raise NotKeptError("a frequency is malformed")
    return value


def _interval(value: pd.Interval) -> Any:
    ends = [_end(value.left), _end(value.right)]
    return {"$Interval": [*ends, value.closed]}


def _end(value: Any) -> Any:
    if type(value) is int:
        return value
    if (encoder := ENCODERS.get(type(value)) or ENCODERS.get(np.generic)) is None or not isinstance(
        value, float | np.number | pd.Timestamp | pd.Timedelta
    ):
        raise NotKeptError(f"an interval of {type(value).__name__}")
    return encoder(value)


def _to_interval(payload: Any) -> pd.Interval:
    left, right, closed = payload
    if closed not in ("left", "right", "both", "neither"):
        raise NotKeptError("$Interval is malformed")
    return pd.Interval(_to_end(left), _to_end(right), closed=closed)


def _to_end(payload: Any) -> Any:
    if type(payload) in (int, float):
        return payload
    ((tag, inner),) = payload.items()
    if tag not in ("$float", "$np", "$Timestamp", "$Timedelta"):
        raise NotKeptError("$Interval is malformed")
    return DECODERS[tag](inner)


def _numpy_scalar(value: np.generic) -> Any:
    if type(value) is np.str_:
        return {"$np.str": _encodable(str(value))}
    if type(value) is np.bytes_:
        return {"$np.bytes": _base64(bytes(value))}
    if value.dtype.kind not in _NUMPY_KINDS or value.dtype.char in "gG":
        raise NotKeptError(f"a numpy {value.dtype} does not have one form on all machines")
    return {"$np": [value.dtype.str, _base64(value.tobytes())]}


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotKeptError("it holds a lone surrogate") from None
    return text


def _dtype(text: Any) -> np.dtype[Any]:
    if type(text) is not str or len(text) > 24 or text[:1] not in "<>|=" or text[1:2] not in _NUMPY_KINDS:
        raise NotKeptError("a numpy dtype is unknown")
    dtype = np.dtype(text)
    if dtype.char in "gG" or dtype.kind not in _NUMPY_KINDS or not dtype.itemsize:
        raise NotKeptError("a numpy dtype is unknown")
    return dtype


def _to_numpy_scalar(payload: Any) -> Any:
    text, data = payload
    dtype = _dtype(text)
    if dtype.kind in "SU":
        raise NotKeptError("$np is malformed")
    return _checked(np.frombuffer(_bytes(data), dtype=dtype).reshape(()))[()]


def _array(value: np.ndarray[Any, Any]) -> Any:
    if value.dtype.kind not in _NUMPY_KINDS or value.dtype.char in "gG" or not value.dtype.itemsize:
        raise NotKeptError(f"an array of dtype {value.dtype}")
    try:
        _checked(value)
    except ValueError as error:
        raise NotKeptError("it holds malformed text") from error
    return {"$ndarray": [value.dtype.str, list(value.shape), _base64(value.tobytes("C"))]}


def _to_array(payload: Any) -> np.ndarray[Any, Any]:
    text, shape, data = payload
    dtype, raw = _dtype(text), _bytes(data)
    if type(shape) is not list or len(shape) > 32 or any(_int(n) < 0 for n in shape):
        raise NotKeptError("$ndarray is malformed")
    if math.prod(shape) * dtype.itemsize != len(raw) or max(shape, default=0) > 2**40:
        raise NotKeptError("$ndarray is malformed")
    found = np.frombuffer(raw, dtype=dtype) if raw else np.empty(0, dtype=dtype)
    return _checked(found.reshape(shape).copy())


def _checked(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    # Bytes that are no bool or no character make numpy misbehave later, out of our sight.
    if value.dtype.kind == "b" and value.size and value.view(np.uint8).max() > 1:
        raise ValueError("not a bool")
    if value.dtype.kind == "U":
        codes = np.frombuffer(value.tobytes(), dtype=f"{value.dtype.str[0]}u4")
        if np.any((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))):
            raise ValueError("not text")
    return value


def _to_interned(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


ENCODERS: Final[dict[type, Callable[[Any], Any]]] = {
    float: _float,
    complex: lambda v: {"$complex": [_float(v.real), _float(v.imag)]},
    bytes: lambda v: {"$bytes": _base64(v)},
    bytearray: lambda v: {"$bytearray": _base64(bytes(v))},
    date: lambda v: {"$date": v.isoformat()},
    datetime: _datetime,
    time: _time,
    timedelta: lambda v: {"$timedelta": [v.days, v.seconds, v.microseconds]},
    Decimal: lambda v: {"$Decimal": str(v)},
    UUID: lambda v: {"$UUID": v.hex},
    type(pd.NA): lambda _: {"$NA": None},
    type(pd.NaT): lambda _: {"$NaT": None},
    pd.Timestamp: _timestamp,
    pd.Timedelta: lambda v: {"$Timedelta": [int(v.asm8.view("i8")), v.unit]},
    pd.Period: _period,
    pd.Interval: _interval,
    np.generic: _numpy_scalar,
    np.ndarray: _array,
}

DECODERS: Final[dict[str, Callable[[Any], Any]]] = {
    "$int": lambda p: int(_str(p), 16),
    "$float": _to_float,
    "$complex": lambda p: complex(_to_float(p[0]), _to_float(p[1])),
    "$bytes": _bytes,
    "$bytearray": lambda p: bytearray(_bytes(p)),
    "$date": lambda p: date.fromisoformat(_str(p)),
    "$datetime": _to_datetime,
    "$time": _to_time,
    "$timedelta": _to_timedelta,
    "$Decimal": lambda p: Decimal(_str(p)),
    "$UUID": lambda p: UUID(hex=_str(p)),
    "$NA": _to_interned(pd.NA),
    "$NaT": _to_interned(pd.NaT),
    "$Timestamp": _to_timestamp,
    "$Timedelta": _to_pandas_timedelta,
    "$Period": _to_period,
    "$Interval": _to_interval,
    "$np": _to_numpy_scalar,
    "$np.str": lambda p: np.str_(_str(p)),
    "$np.bytes": lambda p: np.bytes_(_bytes(p)),
    "$ndarray": _to_array,
}
