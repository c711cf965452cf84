"""A notebook reduced to what a document shows: of each output the one best representation, made safe."""

import base64
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from attrs import define

from omega.adapters.nbconvert_notebooks.markup import clean, has_content
from omega.ports.notebooks import JSONObject

#: Representations of an output, the best first.
_FOR_HTML: Final = (
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/latex",
    "text/plain",
)
_FOR_MARKDOWN: Final = ("text/markdown", *(media for media in _FOR_HTML if media != "text/markdown"))
#: Of all outputs together; pictures are free.
MAX_CHARACTERS: Final = 4 << 20
_EACH: Final = 1000
_LEFT_OUT: Final = (
    f"[more output is left out here: a document has room for {MAX_CHARACTERS >> 20} MiB of it]\n"
)
_SIZES: Final = ("width", "height")
_SAFE_ATTACHMENTS: Final = ("image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)
_ATTACHED: Final = re.compile(r"\battachment:([^\s)\"'>\]]+)")
#: Markdown that is longer, or has more of these characters, is shown as it is: it takes quadratic time.
_MAX_MARKDOWN: Final = 1 << 16
_MAX_OPENERS: Final = 2000
_OPENERS: Final = "[\\"


def shown(notebook: JSONObject, *, markdown: bool = False) -> dict[str, Any]:
    """The notebook as a document shows it; `markdown` for a document that is Markdown itself."""
    language = notebook["metadata"].get("language_info", {}).get("name") or "python"
    room = _Room(MAX_CHARACTERS)
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"language_info": {"name": language}},
        "cells": [_cell(cell, number, markdown, room) for number, cell in enumerate(notebook["cells"], 1)],
    }


@define
class _Room:
    """How many characters of output a document has room for."""

    left: int

    def take(self, output: Mapping[str, Any]) -> bool:
        """Whether there is room for one more output."""
        self.left -= _EACH + sum(
            len(value)
            for media, value in {**output, **output.get("data", {})}.items()
            if isinstance(value, str) and not media.startswith("image/")
        )
        return self.left >= 0


def _cell(cell: JSONObject, number: int, markdown: bool, room: _Room) -> dict[str, Any]:
    bare = {"id": cell["id"], "cell_type": cell["cell_type"], "metadata": {}, "source": cell["source"]}
    if cell["cell_type"] == "code":
        outputs = _outputs(cell["outputs"], number, markdown, room)
        return bare | {"execution_count": cell["execution_count"], "outputs": outputs}
    if markdown and cell["cell_type"] == "raw":
        return bare | {"cell_type": "markdown", "source": _fenced(cell["source"])}
    if cell["cell_type"] == "raw" or (not markdown and _is_hard(cell["source"])):
        return bare | {"cell_type": "raw", "source": _verbatim(cell["source"])}
    return bare | {"source": _with_attachments(cell["source"], cell.get("attachments", {}))}


def _outputs(outputs: Sequence[JSONObject], number: int, markdown: bool, room: _Room) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for output in outputs:
        chosen = _output(output, number, markdown)
        if not room.take(chosen):
            return [*kept, {"output_type": "stream", "name": "stderr", "text": _LEFT_OUT}]
        kept.append(chosen)
    return kept


def _output(output: JSONObject, number: int, markdown: bool) -> dict[str, Any]:
    if "data" not in output:
        return dict(output)
    media, value = _best(output["data"], f"output of cell {number}", markdown)
    sizes = output["metadata"].get(media)
    kept = {"alt": f"output of cell {number}"} if media.startswith("image/") else {}
    for name in _SIZES if kept and isinstance(sizes, Mapping) else ():
        if type(sizes.get(name)) is int:
            kept[name] = sizes[name]
    return {**output, "data": {media: value}, "metadata": {media: kept}}


def _best(data: Mapping[str, Any], name: str, markdown: bool) -> tuple[str, str]:
    for media in _FOR_MARKDOWN if markdown else _FOR_HTML:
        if isinstance(value := data.get(media), str) and (best := _safe(media, value, name, markdown)):
            return best
    return "text/plain", f"[not shown here: {', '.join(sorted(data)) or 'nothing'}]"


def _safe(media: str, value: str, name: str, markdown: bool) -> tuple[str, str] | None:
    match media:
        case "text/html":
            value = clean(value)
            return (media, value) if has_content(value) else None
        case "text/markdown":
            return ("text/html", _verbatim(value)) if not markdown and _is_hard(value) else (media, value)
        case "image/svg+xml":
            # A picture inside a picture element runs nothing and loads nothing; inside the page it would.
            address = f"data:{media};base64,{base64.b64encode(value.encode()).decode()}"
            if markdown:
                return "text/markdown", f"![{name}]({address})"
            return "text/html", f'<img src="{address}" alt="{name}">'
        case "image/png" | "image/jpeg":
            value = "".join(value.split())
            return (media, value) if _BASE64.fullmatch(value) else None
    return media, value


def _with_attachments(source: str, attachments: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown with the pictures that are attached to it inside. What is not there loses its address."""

    def picture(found: re.Match[str]) -> str:
        for media in _SAFE_ATTACHMENTS:
            value = attachments.get(found[1], {}).get(media)
            if isinstance(value, str) and _BASE64.fullmatch(value := "".join(value.split())):
                return f"data:{media};base64,{value}"
        return "#"

    return _ATTACHED.sub(picture, source)


def _is_hard(source: str) -> bool:
    return len(source) > _MAX_MARKDOWN or any(source.count(opener) > _MAX_OPENERS for opener in _OPENERS)


def _verbatim(source: str) -> str:
    """HTML that shows the source as it is."""
    return f"<pre>{escape(source)}</pre>"


def _fenced(source: str) -> str:
    """Markdown that shows the source as it is."""
    longest = max((len(ticks) for ticks in re.findall("`+", source)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{source}\n{fence}"
