"""Notebooks read by nbformat, turned into documents by nbconvert."""

import json
from typing import Any

from attrs import frozen

from omega.adapters.nbconvert_notebooks import percent, reading
from omega.ports.notebooks import Format, JSONObject, UnsupportedFormat


@frozen
class NbconvertNotebookConverter:
    """nbconvert takes most of a second to import, and is only for `html` and `md`."""

    def read(self, value: Any) -> JSONObject:
        """See `omega.ports.notebooks.NotebookConverter`."""
        return reading.read(value)

    def from_code(self, source: str) -> JSONObject:
        """See `omega.ports.notebooks.NotebookConverter`."""
        return reading.validated(percent.from_code(source))

    def render(self, notebook: JSONObject, *, format: Format, title: str) -> str:
        """See `omega.ports.notebooks.NotebookConverter`."""
        valid = reading.validated(notebook)
        if format == "ipynb":
            return json.dumps(valid, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        if format == "py":
            return percent.to_code(valid)
        if format in ("html", "md"):
            from omega.adapters.nbconvert_notebooks import pages

            return pages.to_html(valid, title=title) if format == "html" else pages.to_markdown(valid)
        raise UnsupportedFormat(f"there is no format {format!r}: there are html, ipynb, md and py")
