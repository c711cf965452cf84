"""Python values as tagged JSON bytes, and exactly back; no pickle, no import by name.

Plain JSON values stand for themselves. Everything else is an object with one key that starts with `$`, the
tag: `{"$tuple": [1, 2]}`. A dict of the user's with a key that starts with `$`, or is no string, is written
as `$dict`, a list of pairs, so that a tag is always ours. Types are matched exactly: a subclass may carry
more than its base can keep, so it is refused.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pandas as pd

from omega.domain.errors import BadInput
from omega.domain.tabular.scalars import DECODERS, ENCODERS, UUID
from omega.domain.tabular.zones import NotKeptError

MAX_DEPTH: Final = 200
_INT_AS_TEXT_BITS: Final = 1024


def dumps(value: Any) -> bytes:
    """`value` as UTF-8 JSON, the same bytes for equal values of equal types (sets are sorted, dicts keep
    their order).

    Kept: `None`, bool, int of any size, float with its bits, complex, str, bytes, bytearray, list, tuple,
    set, frozenset, dict with any of these as keys, date, time, datetime and timedelta with zone and fold,
    Decimal, UUID, numpy scalars and arrays without object dtype (in C order), pandas Timestamp, Timedelta,
    Period, Interval, NaT and NA.

    Raises: BadInput naming the path (`$.a[3]`) of what cannot be kept, of a cycle, or of what is nested
    over 200 deep.
    """
    encoded = _encode(value, [], set())
    return json.dumps(encoded, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def loads(data: bytes | str) -> Any:
    """The value that `dumps` wrote.

    Raises: BadInput for anything that `dumps` cannot have written; nothing in `data` is ever run or imported.
    """
    try:
        return _decode(json.loads(data, object_pairs_hook=_unique, parse_constant=_no_constant), 0)
    except (NotKeptError, RecursionError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadInput(f"these bytes are no stored value: {error}") from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError) as error:
        raise BadInput(f"these bytes are no stored value: {type(error).__name__}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotKeptError("a key stands twice")
    return found


def _no_constant(name: str) -> Any:
    raise NotKeptError(f"{name} is not JSON")


def _where(path: list[str | int]) -> str:
    parts = (f"[{p}]" if isinstance(p, int) else f".{p}" for p in path[:20])
    return "$" + "".join(parts) + ("..." if len(path) > 20 else "")


def _encode(value: Any, path: list[str | int], above: set[int]) -> Any:
    kind = type(value)
    if kind is int:
        return value if value.bit_length() <= _INT_AS_TEXT_BITS else {"$int": hex(value)}
    if value is None or kind is bool:
        return value
    if kind is str:
        return _text(value, path)
    if kind in _CONTAINERS:
        return _encode_container(value, path, above)
    encoder = ENCODERS.get(kind) or (ENCODERS.get(np.generic) if isinstance(value, np.generic) else None)
    if encoder is None:
        raise BadInput(f"cannot keep the value at {_where(path)}: it is a {_type_name(kind)}")
    try:
        return encoder(value)
    except NotKeptError as error:
        raise BadInput(f"cannot keep the value at {_where(path)}: {error}") from error


def _type_name(kind: type) -> str:
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _text(value: str, path: list[str | int]) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BadInput(f"cannot keep the text at {_where(path)}: it holds a lone surrogate") from None
    return value


def _encode_container(value: Any, path: list[str | int], above: set[int]) -> Any:
    if id(value) in above:
        raise BadInput(f"cannot keep the value at {_where(path)}: it holds itself")
    if len(above) >= MAX_DEPTH:
        raise BadInput(f"cannot keep the value at {_where(path)}: it is nested over {MAX_DEPTH} deep")
    above.add(id(value))
    try:
        return _CONTAINERS[type(value)](value, path, above)
    finally:
        above.discard(id(value))


def _items(value: Any, path: list[str | int], above: set[int]) -> list[Any]:
    encoded = []
    for i, item in enumerate(value):
        path.append(i)
        encoded.append(_encode(item, path, above))
        path.pop()
    return encoded


def _sorted_items(value: Any, path: list[str | int], above: set[int]) -> list[Any]:
    return sorted(_items(value, path, above), key=json.dumps)


def _encode_dict(value: dict[Any, Any], path: list[str | int], above: set[int]) -> Any:
    plain_keys = all(type(key) is str and not key.startswith("$") for key in value)
    encoded: list[tuple[Any, Any]] = []
    for key, item in value.items():
        path.append(ascii(key)[1:-1] if type(key) is str else ascii(key)[:80])
        encoded.append((_encode(key, path, above), _encode(item, path, above)))
        path.pop()
    return dict(encoded) if plain_keys else {"$dict": [list(pair) for pair in encoded]}


_CONTAINERS: Final[dict[type, Callable[[Any, list[str | int], set[int]], Any]]] = {
    list: _items,
    dict: _encode_dict,
    tuple: lambda v, path, above: {"$tuple": _items(v, path, above)},
    set: lambda v, path, above: {"$set": _sorted_items(v, path, above)},
    frozenset: lambda v, path, above: {"$frozenset": _sorted_items(v, path, above)},
}


def _decode(encoded: Any, depth: int) -> Any:
    if not isinstance(encoded, dict | list):
        return encoded
    if depth > MAX_DEPTH:
        raise NotKeptError(f"it is nested over {MAX_DEPTH} deep")
    if isinstance(encoded, list):
        return [_decode(item, depth + 1) for item in encoded]
    tag = next(iter(encoded), "")
    if not tag.startswith("$"):
        if any(key.startswith("$") for key in encoded):
            raise NotKeptError("a tag stands among keys")
        return {key: _decode(item, depth + 1) for key, item in encoded.items()}
    if len(encoded) != 1:
        raise NotKeptError("a tag stands among keys")
    return _decode_tagged(tag, encoded[tag], depth)


def _decode_tagged(tag: str, payload: Any, depth: int) -> Any:
    if (build := _COLLECTIONS.get(tag)) is not None:
        if not isinstance(payload, list):
            raise NotKeptError(f"{tag} is malformed")
        return build([_decode(item, depth + 1) for item in payload])
    if tag == "$dict":
        found = {}
        for key, item in payload:
            found[_decode(key, depth + 1)] = _decode(item, depth + 1)
        return found
    if (decoder := DECODERS.get(tag)) is None:
        raise NotKeptError("it holds an unknown tag")
    return decoder(payload)


_COLLECTIONS: Final[dict[str, Callable[[list[Any]], Any]]] = {
    "$tuple": tuple,
    "$set": set,
    "$frozenset": frozenset,
}


def plain(value: Any) -> Any:
    """A value that `loads` gave as strict JSON values, for faces that speak JSON; not every value can be
    told back from it.

    Datetimes, dates, times and durations become ISO 8601 text; NaN, NA, NaT and None become None; bytes
    base64 text; tuples, sets and arrays lists; complex numbers `[real, imaginary]`; Decimal, UUID, Period
    and Interval text; keys that are no text their text.

    Raises: BadInput naming the path of an infinity, of two keys with one text, or of a type that `loads`
    never gives.
    """
    return _plain(value, [])


def _plain(value: Any, path: list[str | int]) -> Any:
    if len(path) > MAX_DEPTH + 1:
        raise BadInput(f"cannot show the value at {_where(path)} as JSON: it is nested too deep")
    if isinstance(value, dict):
        return _plain_dict(value, path)
    if isinstance(value, set | frozenset):
        value = sorted(value, key=lambda item: dumps(item))
    if isinstance(value, np.ndarray):
        value = list(value) if value.ndim else value[()]
    if isinstance(value, list | tuple):
        return [_plain(item, [*path, i]) for i, item in enumerate(value)]
    if isinstance(value, complex | np.complexfloating):
        return [_plain(value.real, path), _plain(value.imag, path)]
    return _plain_scalar(value, path)


def _plain_dict(value: dict[Any, Any], path: list[str | int]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for key, item in value.items():
        text = key if type(key) is str else _key_text(key, path)
        if text in shown:
            raise BadInput(f"cannot show the value at {_where(path)} as JSON: two keys read {text!r}")
        shown[_text(text, path)] = _plain(item, [*path, text])
    return shown


def _key_text(key: Any, path: list[str | int]) -> str:
    found = _plain(key, path)
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _plain_scalar(value: Any, path: list[str | int]) -> Any:
    if value is None or value is pd.NA or value is pd.NaT or isinstance(value, bool | np.bool):
        return bool(value) if isinstance(value, bool | np.bool) else None
    if isinstance(value, str):
        return _text(str(value), path)
    if isinstance(value, np.datetime64 | np.timedelta64):
        return None if np.isnat(value) else _plain_moment(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        if np.isinf(value):
            raise BadInput(f"cannot show the value at {_where(path)} as JSON: it is infinite")
        return None if value != value else float(value)
    if isinstance(value, Decimal) and not value.is_finite():
        return _plain_scalar(float("nan" if value.is_nan() else "inf"), path)
    if (encoder := ENCODERS.get(type(value))) is None:
        raise BadInput(f"cannot show the value at {_where(path)} as JSON: it is a {_type_name(type(value))}")
    return _plain_other(value, encoder)


def _plain_moment(value: np.datetime64 | np.timedelta64) -> str:
    if isinstance(value, np.datetime64):
        return str(value)
    try:
        return pd.Timedelta(value).isoformat()
    except (ValueError, OverflowError):
        return str(value)


def _plain_other(value: Any, encoder: Callable[[Any], Any]) -> Any:
    if isinstance(value, bytes | bytearray | np.bytes_):
        return (
            next(iter(encoder(bytes(value)).values()))
            if type(value) is not bytes
            else encoder(value)["$bytes"]
        )
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "total_seconds"):
        return pd.Timedelta(value).isoformat()
    return str(value)


__all__ = ["MAX_DEPTH", "UUID", "dumps", "loads", "plain"]
