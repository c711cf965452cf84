"""What a notebook declares in its `parameters` cell, and whether given values fit.

papermill writes `name = value` into a cell and runs it, the name as it comes. So a name must be one that the
notebook's author has written, and a value one that JSON can hold, which is written as a literal.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

from omega.ports.notebooks import InvalidParameters, JSONObject, Parameter

TAG = "parameters"
#: Python refuses source text with more than 200 nested brackets, and integers of more than 4300 digits.
MAX_DEPTH = 50
MAX_INTEGER = 10**4000
#: In all values together, keys included.
MAX_CHARACTERS = 1 << 20

_MAGIC = re.compile(r"^[%!?].*$", re.MULTILINE)
_SHOWN = 60
#: The annotations that are checked, and what may be given for them.
_CHECKED: Mapping[str, tuple[type, ...]] = {
    "bool": (bool,),
    "dict": (dict,),
    "float": (float, int),
    "int": (int,),
    "list": (list,),
    "str": (str,),
}


def declared(notebook: JSONObject) -> tuple[Parameter, ...]:
    """The parameters that the notebook declares, each once, in order."""
    cell = next((cell for cell in notebook["cells"] if TAG in cell["metadata"].get("tags", ())), None)
    if cell is None or cell["cell_type"] != "code" or language(notebook) != "python":
        return ()
    try:
        tree = ast.parse(_MAGIC.sub("", cell["source"]))
        found = {parameter.name: parameter for statement in tree.body for parameter in _assigned(statement)}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    return tuple(found.values())


def language(notebook: JSONObject) -> str:
    """The language of the cells, in small letters: Python if nothing is said."""
    metadata = notebook["metadata"]
    said = metadata.get("language_info", {}).get("name") or metadata.get("kernelspec", {}).get("language")
    return str(said or "python").lower()


def _assigned(statement: ast.stmt) -> Iterator[Parameter]:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
            text = annotation.value if isinstance(annotation, ast.Constant) else ast.unparse(annotation)
            yield Parameter(name, str(text), None if value is None else ast.unparse(value))
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Name):
                    yield Parameter(target.id, None, ast.unparse(value))
                for part in getattr(target, "elts", ()):
                    if isinstance(part, ast.Name):
                        yield Parameter(part.id, None, None)


def checked(notebook: JSONObject, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters given, if the notebook declares them all and they are what it declares.

    Raises: InvalidParameters.
    """
    known = {parameter.name: parameter for parameter in declared(notebook)}
    names = ", ".join(known) or "none, as no Python cell with the tag parameters gives a name a value"
    room = MAX_CHARACTERS
    for name, value in given.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise InvalidParameters(
                f"{_short(name)} is no name of a parameter; the notebook declares: {names}"
            )
        if name not in known:
            raise InvalidParameters(f"the notebook has no parameter {_short(name)}; it declares: {names}")
        room -= _size(name, value, MAX_DEPTH)
        if room < 0:
            raise InvalidParameters(f"the parameters are over the limit of {MAX_CHARACTERS} characters")
        type_name = known[name].type or ""
        if not isinstance(value, allowed := _CHECKED.get(type_name, (object,))) or (
            isinstance(value, bool) and bool not in allowed and object not in allowed
        ):
            raise InvalidParameters(
                f"the parameter {name} is declared {type_name}, and {_short(value)} is not"
            )
    return dict(given)


def _size(name: str, value: Any, depth: int) -> int:
    """How many characters are in a JSON value. Raises: InvalidParameters for any other value."""
    if depth == 0:
        raise InvalidParameters(f"the parameter {name} is nested more than {MAX_DEPTH} deep")
    if value is None or type(value) in (bool, float):
        return 8
    if type(value) is int:
        if abs(value) >= MAX_INTEGER:
            raise InvalidParameters(f"the parameter {name} holds an integer that is too large")
        return 8 + value.bit_length() // 3
    if type(value) is str:
        return 8 + len(value)
    if type(value) is list:
        return 8 + sum(_size(name, item, depth - 1) for item in value)
    if type(value) is dict and all(type(key) is str for key in value):
        return 8 + sum(len(key) + _size(name, item, depth - 1) for key, item in value.items())
    raise InvalidParameters(f"the parameter {name} holds {type(value).__name__}, which is not JSON")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
