"""Notebooks as Python source text: a line `# %%` before each cell, as editors and jupytext write them.

# %% [markdown]
# Text is commented.

# %% A title, if the cell has one tags=["parameters"]
rate = 0.1
"""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from omega.ports.notebooks import InvalidNotebook, JSONObject, UnsupportedFormat

_MARKER: Final = re.compile(r"#[ ]?%%(?![^\s\[])(?P<rest>.*)")
_TAGS: Final = re.compile(r"(?:^|\s)tags=(?P<tags>\[.*\])\s*$")
_TYPE: Final = re.compile(r"(?:^|\s)\[(?P<type>markdown|md|raw)\]\s*$")
_MAGIC: Final = re.compile(r"^(?=\s*[%!])", re.MULTILINE)
_METADATA: Final = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def from_code(source: str) -> dict[str, Any]:
    """The notebook; see `omega.ports.notebooks.NotebookConverter`."""
    if not isinstance(source, str):
        raise InvalidNotebook(f"code is text, not {type(source).__name__}")
    cells = [
        _cell(number, marker, "\n".join(lines).strip("\n"))
        for number, (marker, lines) in enumerate(_parts(source.removeprefix("\ufeff")), 1)
    ]
    return {"cells": cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}


def _parts(source: str) -> Iterator[tuple[str, list[str]]]:
    marker, lines, is_first = "", list[str](), True
    for line in source.replace("\r\n", "\n").split("\n"):
        if found := _MARKER.fullmatch(line):
            if not is_first or any(map(str.strip, lines)):
                yield marker, lines
            marker, lines, is_first = found["rest"].strip(), [], False
        else:
            lines.append(line)
    yield marker, lines


def _cell(number: int, marker: str, source: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if found := _TAGS.search(marker):
        tags = _tags(found["tags"])
        if tags is not None:
            metadata["tags"], marker = tags, marker[: found.start()]
    kind = "code"
    if found := _TYPE.search(marker):
        kind, marker = found["type"].replace("md", "markdown", 1), marker[: found.start()]
        kind = "markdown" if found["type"] == "md" else found["type"]
    if title := marker.strip():
        metadata["title"] = title
    cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": metadata, "source": source}
    if kind == "code":
        return cell | {"execution_count": None, "outputs": []}
    return cell | {"source": _uncommented(source)}


def _tags(text: str) -> list[str] | None:
    try:
        tags = json.loads(text)
    except ValueError:
        return None
    is_list_of_texts = isinstance(tags, list) and all(isinstance(tag, str) and "," not in tag for tag in tags)
    return list(dict.fromkeys(tags)) if is_list_of_texts else None


def _uncommented(source: str) -> str:
    lines = source.split("\n")
    if not all(line.startswith("#") or not line.strip() for line in lines):
        return source
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)


def to_code(notebook: JSONObject) -> str:
    """The source text of a notebook of Python cells. What only IPython understands becomes a comment.

    Raises: UnsupportedFormat for another language.
    """
    metadata = notebook["metadata"]
    language = metadata.get("language_info", {}).get("name") or metadata.get("kernelspec", {}).get("language")
    if (language or "python").lower() != "python":
        raise UnsupportedFormat(f"the cells of the notebook are {language}, not Python")
    return "\n\n".join(map(_part, notebook["cells"])) + "\n"


def _part(cell: JSONObject) -> str:
    kind, title, tags = cell["cell_type"], cell["metadata"].get("title"), cell["metadata"].get("tags")
    words = [
        "# %%",
        " ".join(str(title).split()) if title else "",
        f"[{kind}]" if kind != "code" else "",
        f"tags={json.dumps(tags)}" if tags else "",
    ]
    source = cell["source"].strip("\n")
    if kind != "code":
        source = "\n".join(f"# {line}".rstrip() for line in source.split("\n"))
    elif not _is_python(source):
        source = (
            re.sub("^", "# ", source, flags=re.MULTILINE)
            if source.startswith("%%")
            else _MAGIC.sub("# ", source)
        )
    return "\n".join([" ".join(filter(None, words)), source])


def _is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
