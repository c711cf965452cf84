"""The outputs of cells, cut where they are too large.

Sizes are those of the JSON text. What is left out leaves a marker, a text that says so.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field

OUTPUT_BYTES: Final = 1 << 20
NOTEBOOK_BYTES: Final = 16 << 20
#: Of the name of an error; of its value and of its traceback; and where there is no room left for it.
NAME_CHARACTERS: Final = 200
ERROR_CHARACTERS: Final = 20_000
_SHORT_CHARACTERS: Final = 1000

#: What the JSON of an output takes besides its text.
_FRAME_BYTES: Final = 100
_JSON_TYPE: Final = re.compile(r"application/(json|[^;]*\+json)$")

Output = dict[str, Any]


@define
class OutputBudget:
    """What there is room for: `output_bytes` in each output, `notebook_bytes` in all of them together."""

    output_bytes: int = OUTPUT_BYTES
    notebook_bytes: int = NOTEBOOK_BYTES
    _room: int = field(init=False)
    _used: dict[int, int] = field(factory=dict)
    _full: set[int] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        self._room = self.notebook_bytes

    def add(self, outputs: list[Output], output: Output, *, cell: int) -> bool:
        """Append `output` to the outputs of a cell, cut if need be; a stream goes on in the last output if
        that is of the same name. Says whether `output` is now the last.
        """
        is_first_error = output["output_type"] == "error" and all(
            o["output_type"] != "error" for o in outputs
        )
        if cell in self._full and not is_first_error:
            return False
        if output["output_type"] == "stream":
            return self._add_stream(outputs, output, cell)
        if "data" in output:
            output["data"] = self._fitting(output["data"])
        size = size_of(output)
        if self._room < size and is_first_error:
            output = _error(output, limit=_SHORT_CHARACTERS)
        elif self._room < size:
            return self._leave_out(outputs, cell)
        outputs.append(output)
        self._use(cell, size_of(output))
        return True

    def clear(self, cell: int) -> None:
        """The outputs of this cell have been removed."""
        self._room += self._used.pop(cell, 0)
        self._full.discard(cell)

    def replace(self, places: list[tuple[int, Output]], output: Output) -> None:
        """Let these outputs (cell, output) show what `output` does, if there is room."""
        shown = {"data": self._fitting(output["data"]), "metadata": output["metadata"]}
        growth = [
            (cell, held, size_of(shown) - size_of({name: held[name] for name in shown}))
            for cell, held in places
        ]
        if sum(more for _, _, more in growth) <= self._room:
            for cell, held, more in growth:
                held.update(shown)
                self._use(cell, more)

    def _fitting(self, data: Output) -> Output:
        """A bundle of representations, by media type, without those that are too large."""
        kept: Output = {}
        for media, value in data.items():
            if (size := size_of(value)) <= self.output_bytes:
                kept[media] = value
            else:
                note = f"[{media} of {_mib(size)} is left out: the limit is {_mib(self.output_bytes)}]"
                kept["text/plain"] = "\n".join(filter(None, [kept.get("text/plain"), note]))
        return kept

    def _add_stream(self, outputs: list[Output], output: Output, cell: int) -> bool:
        last = outputs[-1] if outputs and outputs[-1].get("name") == output["name"] else None
        if last is not None and last["text"].endswith(self._cut_marker):
            return False
        before = last["text"] if last is not None else ""
        start = before.rfind("\n") + 1
        line = _shown(before[start:] + output["text"])[: self.output_bytes + 1]
        freed, held = size_of(before[start:]), size_of(before[:start])
        own, all_ = self.output_bytes - held, self._room + freed - (_FRAME_BYTES if last is None else 0)
        kept = _cut(line := _text(line), min(own, all_))
        if kept != line and all_ < own:
            return self._leave_out(outputs, cell)
        if last is None:
            outputs.append(output)
            self._use(cell, _FRAME_BYTES)
        outputs[-1]["text"] = before[:start] + kept + ("" if kept == line else self._cut_marker)
        self._use(cell, size_of(kept) - freed)
        return True

    def _leave_out(self, outputs: list[Output], cell: int) -> bool:
        if cell not in self._full:
            self._full.add(cell)
            text = f"\n[more output is left out: the limit for a notebook is {_mib(self.notebook_bytes)}]\n"
            outputs.append({"output_type": "stream", "name": "stderr", "text": text})
        return False

    @property
    def _cut_marker(self) -> str:
        return f"\n[the rest is left out: the limit for an output is {_mib(self.output_bytes)}]\n"

    def _use(self, cell: int, size: int) -> None:
        self._used[cell] = self._used.get(cell, 0) + size
        self._room -= size


def output_of(kind: str, content: Output) -> Output | None:
    """The output, as nbformat has it, in a message of a kernel, whatever the kernel put there; None for other
    messages.
    """
    match kind:
        case "stream":
            name = "stderr" if content.get("name") == "stderr" else "stdout"
            return {"output_type": kind, "name": name, "text": _joined(content.get("text"))}
        case "error":
            return _error(content)
        case "display_data" | "execute_result":
            data, metadata = content.get("data"), content.get("metadata")
            output = {
                "output_type": kind,
                "data": {_text(k): _value(k, v) for k, v in data.items()} if isinstance(data, dict) else {},
                "metadata": _json(metadata) if isinstance(metadata, dict) else {},
            }
            count = content.get("execution_count")
            return output if kind == "display_data" else output | {"execution_count": count}
    return None


def _value(media: str, value: Any) -> Any:
    return _json(value) if _JSON_TYPE.match(media) else _text(_joined(value))


def _joined(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value)


def size_of(value: Any) -> int:
    """Bytes of the JSON text of a value."""
    return len(json.dumps(value, ensure_ascii=False).encode())


def one_line(text: str, limit: int) -> str:
    """The text in one line without colours, cut at `limit` characters."""
    return shortened(" ".join(re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", _text(text[: 4 * limit])).split()), limit)


def shortened(text: str, limit: int) -> str:
    """The text, or its beginning and three dots."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _error(content: Output, *, limit: int = ERROR_CHARACTERS) -> Output:
    lines = content.get("traceback")
    traceback = [_text(line) for line in lines] if isinstance(lines, list) else []
    if sum(map(len, traceback)) > limit:
        traceback = ["[the beginning is left out]", "\n".join(traceback)[-limit:]]
    return {
        "output_type": "error",
        "ename": shortened(_text(content.get("ename", "")), NAME_CHARACTERS),
        "evalue": shortened(_text(content.get("evalue", "")), limit),
        "traceback": traceback,
    }


def _shown(text: str) -> str:
    """What a terminal would show: what stands in a line before a carriage return is overwritten."""
    if "\r" not in text:
        return text
    *lines, last = text.replace("\r\n", "\n").split("\n")
    body = last.rstrip("\r")
    shown = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
    return "\n".join([*shown, body.rpartition("\r")[2] + ("\r" if body != last else "")])


def _cut(text: str, room: int) -> str:
    """As much of the beginning of `text` as its JSON text has room for."""
    kept = text[: max(room, 0)]
    while kept and (size := size_of(kept)) > room:
        kept = kept[: min(len(kept) - 1, len(kept) * room // size)]
    return kept


def _text(value: Any) -> str:
    """A text that UTF-8 can hold."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _json(value: Any) -> Any:
    """A value that strict JSON in UTF-8 can hold."""
    if isinstance(value, Mapping):
        return {_text(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float) else _text(value)


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.3g} MiB"
