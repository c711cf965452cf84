"""Any JSON value as a notebook of nbformat 4.5, or a refusal that says what is wrong."""

import json
import math
from itertools import count
from typing import Any, Final

import nbformat
from nbformat.v4.rwbase import rejoin_lines, strip_transient
from nbformat.validator import NotebookValidationError

from omega.ports.notebooks import InvalidNotebook, JSONObject

_VERSIONS: Final = ((3, 0), *((4, minor) for minor in range(6)))
_MAX_DEPTH: Final = 200
_SHOWN: Final = 200


def read(value: Any) -> dict[str, Any]:
    """The notebook; see `omega.ports.notebooks.NotebookConverter`."""
    found = _plain(value)
    if not isinstance(found, dict):
        raise InvalidNotebook(f"a notebook is a JSON object, not {_short(json.dumps(found))}")
    major, minor = found.get("nbformat"), found.get("nbformat_minor", 0)
    if type(major) is not int or type(minor) is not int or (major, minor) not in _VERSIONS:
        said = _short(f"{json.dumps(major)}, nbformat_minor {json.dumps(minor)}")
        raise InvalidNotebook(f"nbformat {said} cannot be read: 3.0 can, and 4.0 to 4.5")
    if major == 3:
        found = _upgraded(found)
    _identify(_cells(found))
    return validated(found | {"nbformat_minor": 5})


def validated(notebook: JSONObject) -> dict[str, Any]:
    """A copy of a notebook of nbformat 4.5, its texts whole.

    Raises: InvalidNotebook.
    """
    found = _plain(notebook)
    ids = [cell.get("id") for cell in _cells(found)]
    if (found.get("nbformat"), found.get("nbformat_minor")) != (4, 5):
        raise InvalidNotebook("the notebook is not of nbformat 4.5")
    if not all(isinstance(id, str) for id in ids) or len(set(ids)) < len(ids):
        raise InvalidNotebook("a cell of the notebook has no id of its own")
    _check(found)
    return _plain(strip_transient(rejoin_lines(nbformat.from_dict(found))))  # type: ignore[no-any-return]


def _upgraded(notebook: dict[str, Any]) -> dict[str, Any]:
    try:
        _check(notebook)
        node = nbformat.convert(nbformat.reader.reads(json.dumps(notebook)), 4)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InvalidNotebook):
            raise
        raise InvalidNotebook("the notebook says that it is of nbformat 3, but is not") from error
    for cell in node.cells:
        del cell["id"]  # a random one
    return _plain(node)  # type: ignore[no-any-return]


def _cells(notebook: Any) -> list[dict[str, Any]]:
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise InvalidNotebook("a notebook has cells, a list of JSON objects")
    return cells


def _identify(cells: list[dict[str, Any]]) -> None:
    """Give an id to each cell that has none, or that of a cell before it."""
    taken = {cell["id"] for cell in cells if isinstance(cell.get("id"), str)}
    seen: set[str] = set()
    for number, cell in enumerate(cells, 1):
        given = cell.get("id")
        if given is None or (isinstance(given, str) and given in seen):
            new = (f"cell-{number}" if n == 1 else f"cell-{number}-{n}" for n in count(1))
            cell["id"] = next(id for id in new if id not in taken)
            taken.add(cell["id"])
        elif isinstance(given, str):
            seen.add(given)


def _check(notebook: dict[str, Any]) -> None:
    try:
        nbformat.validate(nbformat.from_dict(notebook))
    except NotebookValidationError as error:
        path = list(error.relative_path)
        where = f"cell {path[1] + 1}" if path[:1] == ["cells"] and len(path) > 1 else "the notebook"
        raise InvalidNotebook(f"{where} is not valid: {_short(error.message)}") from error


def _plain(value: Any, depth: int = _MAX_DEPTH) -> Any:
    """A copy of a JSON value in plain lists and dicts. Raises: InvalidNotebook for any other value."""
    if depth == 0:
        raise InvalidNotebook(f"the notebook is nested more than {_MAX_DEPTH} deep")
    if isinstance(value, dict):
        return {_utf8(key): _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth - 1) for item in value]
    if isinstance(value, str):
        return _utf8(value)
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise InvalidNotebook(f"the notebook holds {_short(repr(value))}, which JSON cannot")


def _utf8(text: Any) -> str:
    if not isinstance(text, str):
        raise InvalidNotebook(f"the notebook has the key {_short(repr(text))}; in JSON keys are texts")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidNotebook("the notebook holds half a surrogate pair, which is no character") from error
    return text


def _short(text: str) -> str:
    text = " ".join(text[: 2 * _SHOWN].split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
