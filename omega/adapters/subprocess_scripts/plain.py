"""Which values are plain JSON, or become so without loss."""

import math
import sys
from typing import Any, Final

MAX_DEPTH: Final = 200
_LEAST_INTEGER: Final = -(2**63)
_GREATEST_INTEGER: Final = 2**64 - 1
_MAX_SHOWN: Final = 60


class NotPlain(Exception):
    """A value that JSON cannot hold; the message says where it is and what it is."""


def plain(value: Any, where: str = "result", depth: int = 0) -> Any:
    """`value` with tuples and numpy arrays as lists and numpy numbers as numbers.

    Raises: NotPlain for NaN, infinities, integers over 64 bits, text that is not UTF-8, keys that are not
    text, more than 200 levels and all other types.
    """
    if depth > MAX_DEPTH:
        raise NotPlain(f"the result has more than {MAX_DEPTH} levels")
    # JSON writes the content of subclasses (enum.IntEnum, numpy.float64, numpy.str_), whatever they are.
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int):
        if not _LEAST_INTEGER <= value <= _GREATEST_INTEGER:
            raise NotPlain(f"{where} is an integer over 64 bits; return it as text")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotPlain(f"{where} is {float(value)}, which JSON cannot hold; return None instead")
        return value
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{place}]", depth + 1) for place, item in enumerate(value)]
    if isinstance(value, dict):
        return {
            _key(key, where): plain(item, f"{where}[{_shown(key)}]", depth + 1) for key, item in value.items()
        }
    return plain(_from_numpy(value, where), where, depth + 1)


def _from_numpy(value: Any, where: str) -> Any:
    # A script that has not imported numpy cannot return its types; importing it here would cost 100 ms.
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        kinds = (numpy.bool_, numpy.integer, numpy.floating)
        # numpy.longdouble has no Python number of its precision.
        if isinstance(value, kinds) and not isinstance(value, numpy.longdouble):
            return value.item()
        if isinstance(value, numpy.ndarray) and (value.dtype.kind in "biuUO" or value.dtype.char in "efd"):
            return value.tolist()
    raise NotPlain(f"{where} is of the type {_type_name(value)}, which is not JSON")


def _key(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise NotPlain(f"{where} has a key of the type {_type_name(key)}; JSON has keys of text only")
    return _text(key, f"a key of {where}")


def _text(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotPlain(f"{where} is text that is not UTF-8 (it has half of a surrogate pair)") from None
    return text


def _shown(key: Any) -> str:
    return ascii(key[:_MAX_SHOWN]) if isinstance(key, str) else "?"


def _type_name(value: Any) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    array = f" of {value.dtype}" if name == "numpy.ndarray" else ""
    return name + array
