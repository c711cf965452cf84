"""Index labels as the keys of JSON objects."""

import re
from typing import Any, Final

import orjson

from omega.domain.errors import BadInput
from omega.entrypoints.formats.inference import shown
from omega.entrypoints.formats.texts import dump

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
#: How pandas writes labels as keys.
_AS_PANDAS: Final = {"True": "true", "False": "false", "None": "null", "nan": "null", "NaT": "null"}


def rows_by_label(keys: list[str], index: list[Any] | None, of: str) -> tuple[list[str], list[Any] | None]:
    """Keys in row order, and the labels where no index gives them."""
    if index is None:
        return keys, _labels(keys)
    wanted = list(map(_label_text, index))
    if len(set(wanted)) != len(wanted):
        raise BadInput(
            "the index has a label twice, so keys cannot say which row is meant: use orient 'dict', "
            "'split' or 'records'"
        )
    if set(wanted) != set(keys):
        # A number may be written in more than one way.
        written = {_canonical(key): key for key in keys}
        if written.keys() != set(wanted) or len(written) != len(keys):
            strange = next(iter(sorted(written.keys() ^ set(wanted))))
            where = (
                f"a key of {of}, but not in index.values"
                if strange in written
                else f"in index.values, but not a key of {of}"
            )
            raise BadInput(f"label {shown(strange)} is {where}")
        wanted = [written[text] for text in wanted]
    return wanted, None


def _label_text(label: Any) -> str:
    """An index label as the key that stands for it: text itself, of anything else its JSON text."""
    return label if type(label) is str else dump(label).decode()


def _labels(keys: list[str]) -> list[Any]:
    """Labels for keys: integers if all are written as such, else the text."""
    return [int(key) for key in keys] if keys and all(map(_INTEGER.fullmatch, keys)) else list(keys)


def _canonical(key: str) -> str:
    key = _AS_PANDAS.get(key, key)
    try:
        return _label_text(orjson.loads(key))
    except orjson.JSONDecodeError:
        return key
