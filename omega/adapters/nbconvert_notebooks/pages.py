"""Notebooks as documents: a page of HTML, Markdown with its pictures inside."""

import logging
from contextlib import suppress
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any, Final

import nbformat
from nbconvert.exporters import HTMLExporter, MarkdownExporter, TemplateExporter
from nbconvert.filters import Highlight2HTML
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound
from traitlets.config import Config

from omega.adapters.nbconvert_notebooks.displays import shown
from omega.adapters.nbconvert_notebooks.markup import clean
from omega.ports.notebooks import JSONObject

#: Nothing runs and nothing is fetched, even if something should have got past the cleaning.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta http-equiv="x-dns-prefetch-control" content="off">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
_INLINE: Final = Config(
    {"ExtractOutputPreprocessor": {"enabled": False}, "ExtractAttachmentsPreprocessor": {"enabled": False}}
)
#: What nbconvert has to say of a notebook is not for the log of a server.
_LOG: Final = logging.getLogger(__name__)
_LOG.addHandler(logging.NullHandler())
_LOG.propagate = False


def to_html(notebook: JSONObject, *, title: str) -> str:
    """The page; see `omega.ports.notebooks.NotebookConverter`."""
    node = _node(notebook)
    exporter = HTMLExporter(template_name="basic", sanitize_html=True, optimistic_validation=True, log=_LOG)
    exporter.register_filter("clean_html", clean)
    exporter.register_filter("highlight_code", Highlight2HTML(pygments_lexer=_lexer(node), parent=exporter))
    # HTMLExporter's own method would parse the page again, in Python, to look for pictures without a text.
    body, _ = TemplateExporter.from_notebook_node(exporter, node, exporter._init_resources({}))
    return _PAGE.format(policy=CONTENT_SECURITY_POLICY, title=escape(title), style=_style(), body=clean(body))


def to_markdown(notebook: JSONObject) -> str:
    """The text; see `omega.ports.notebooks.NotebookConverter`."""
    exporter = MarkdownExporter(config=_INLINE, optimistic_validation=True, log=_LOG)
    text, _ = exporter.from_notebook_node(_node(notebook, markdown=True))
    return f"{text.strip()}\n"


def _node(notebook: JSONObject, *, markdown: bool = False) -> Any:
    return nbformat.from_dict(shown(notebook, markdown=markdown))


def _lexer(node: Any) -> str:
    """What pygments calls the language of the cells."""
    language = node.metadata.language_info.name.lower()
    with suppress(ClassNotFound):
        return "ipython3" if language == "python" else get_lexer_by_name(language).aliases[0]
    return "text"


@cache
def _style() -> str:
    colours = HtmlFormatter().get_style_defs(".highlight")  # type: ignore[no-untyped-call]
    return f"{files(__package__).joinpath('page.css').read_text(encoding='utf-8')}{colours}"
