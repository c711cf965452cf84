"""Foreign HTML made harmless: what is left runs nothing, asks no network for anything and looks like itself.

nh3 parses it as browsers do and writes it anew, from a list of what is allowed. nbconvert's own cleaning lets
neither headings nor the heads of tables pass, and parses otherwise than browsers do.
"""

import re
from typing import Final

import nh3

_TEXT_TAGS: Final = (
    "a abbr b blockquote br center cite code del details dfn div dl dt dd em h1 h2 h3 h4 h5 h6 hr i ins"
)
_OTHER_TAGS: Final = (
    "img kbd li mark ol p pre q s samp small span strike strong sub summary sup tt u ul var wbr"
)
_TABLE_TAGS: Final = "caption col colgroup table tbody td tfoot th thead tr"

_ATTRIBUTES: Final = {
    "*": {"class", "id", "style", "title"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "ol": {"start", "type"},
    "td": {"colspan", "rowspan", "align"},
    "th": {"colspan", "rowspan", "align", "scope"},
    "details": {"open"},
}
#: Properties that put nothing over something else. Their values should not name addresses: those that do go.
_STYLES: Final = {
    "background-color",
    "border",
    "border-collapse",
    "color",
    "font-size",
    "font-style",
    "font-weight",
    "padding",
    "text-align",
    "text-decoration",
    "vertical-align",
    "white-space",
}
_PICTURE: Final = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]*", re.ASCII)
_ADDRESS: Final = re.compile(r"url|image|//|[\\@]", re.IGNORECASE)
_LINK: Final = re.compile(r"#|https?://|mailto:", re.IGNORECASE)


def _attribute(_tag: str, name: str, value: str) -> str | None:
    if name == "src":
        return value if _PICTURE.fullmatch(value) else None
    if name == "style":
        return None if _ADDRESS.search(value) else value
    if name == "href":
        return value if _LINK.match(value) else None
    return value


_CLEANER: Final = nh3.Cleaner(
    tags=set(f"{_TEXT_TAGS} {_OTHER_TAGS} {_TABLE_TAGS}".split()),
    clean_content_tags={
        "script",
        "style",
        "title",
        "template",
        "noscript",
        "iframe",
        "object",
        "svg",
        "math",
    },
    attributes=_ATTRIBUTES,
    attribute_filter=_attribute,
    filter_style_properties=_STYLES,
    url_schemes={"data", "http", "https", "mailto"},
)


def clean(html: str | bytes) -> str:
    """The harmless part of some HTML."""
    return _CLEANER.clean(html.decode() if isinstance(html, bytes) else str(html))


def has_content(html: str) -> bool:
    """Whether clean HTML shows anything."""
    return "<img" in html or "<hr" in html or bool(re.sub(r"<[^>]*>", "", html).strip())
