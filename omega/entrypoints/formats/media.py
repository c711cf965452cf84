"""The formats a frame can be sent in, and how a request names one."""

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from attrs import frozen

from omega.domain.errors import BadInput
from omega.entrypoints.formats.errors import NotAcceptable, UnsupportedMediaType


@frozen
class Format:
    """A wire format: what `?format=` calls it, its media type, its file extensions, and whether it is
    written one segment at a time."""

    name: str
    media_type: str
    extensions: tuple[str, ...]
    streams: bool


JSON: Final = Format("json", "application/json", (".json",), streams=False)
ARROW: Final = Format(
    "arrow", "application/vnd.apache.arrow.stream", (".arrow", ".arrows", ".feather"), streams=True
)
PARQUET: Final = Format("parquet", "application/vnd.apache.parquet", (".parquet",), streams=True)
CSV: Final = Format("csv", "text/csv", (".csv",), streams=True)
NDJSON: Final = Format("ndjson", "application/x-ndjson", (".ndjson", ".jsonl"), streams=True)

#: By name; the first is the default, and wins where a client likes several equally.
FORMATS: Final[dict[str, Format]] = {f.name: f for f in (JSON, ARROW, PARQUET, CSV, NDJSON)}

#: Other names that are in use for the same formats. A form without fields is what `requests.put(url,
#: data={})` sends.
_ALIASES: Final = {
    "application/x-www-form-urlencoded": JSON,
    "application/vnd.apache.arrow.file": ARROW,
    "application/x-parquet": PARQUET,
    "application/parquet": PARQUET,
    "application/csv": CSV,
    "application/ndjson": NDJSON,
    "application/jsonl": NDJSON,
    "application/x-jsonlines": NDJSON,
}
_BY_MEDIA_TYPE: Final = {f.media_type: f for f in FORMATS.values()} | _ALIASES
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PARAMETER = re.compile(rf"[ \t]*;[ \t]*(?:(?P<name>{_WORD})=(?P<value>{_WORD}|{_QUOTED}))?")
_PARAMETERS = rf"(?:[ \t]*;[ \t]*(?:{_WORD}=(?:{_WORD}|{_QUOTED}))?)*"
_MEDIA_RANGE = re.compile(rf"[ \t]*(?P<type>{_WORD})/(?P<subtype>{_WORD})(?P<parameters>{_PARAMETERS})[ \t]*")
_QVALUE = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
_MAX_HEADER_CHARS: Final = 4096


def negotiate(accept: str | None, format: str | None) -> Format:
    """The format of the answer: that named by `?format=`, else the one that the `Accept` header likes best
    (RFC 9110, 12.5.1), else JSON.

    Raises: BadInput (unknown name, malformed header), NotAcceptable.
    """
    if format is not None:
        if format not in FORMATS:
            raise BadInput(f"unknown format {_shown(format)}: the formats are {', '.join(FORMATS)}")
        return FORMATS[format]
    if accept is None or not accept.strip():
        return JSON
    ranges = list(_media_ranges(accept))
    liked = {f.name: _quality(f, ranges) for f in FORMATS.values()}
    best = max(FORMATS.values(), key=lambda f: liked[f.name])
    if liked[best.name] == 0:
        offered = ", ".join(f.media_type for f in FORMATS.values())
        raise NotAcceptable(f"nothing here can be sent as {_shown(accept)}: it can be had as {offered}")
    return best


def by_media_type(content_type: str | None) -> Format:
    """The format of a body by its `Content-Type`; JSON where there is none.

    Raises: UnsupportedMediaType, for a charset other than UTF-8 too.
    """
    if content_type is None or not content_type.strip():
        return JSON
    match = _MEDIA_RANGE.fullmatch(content_type) if len(content_type) <= _MAX_HEADER_CHARS else None
    found = match and _BY_MEDIA_TYPE.get(f"{match['type']}/{match['subtype']}".lower())
    if match is None or found is None:
        taken = ", ".join(f.media_type for f in FORMATS.values())
        raise UnsupportedMediaType(f"cannot read content of type {_shown(content_type)}: send {taken}")
    charset = _parameters(match["parameters"]).get("charset", "utf-8")
    if charset.lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType(f"cannot read content in charset {_shown(charset)}: send UTF-8")
    return found


def by_extension(path: str) -> Format | None:
    """The format that a file of this name holds, `None` where the extension is not known."""
    suffix = PurePath(path).suffix.lower()
    return next((f for f in FORMATS.values() if suffix in f.extensions), None)


@frozen
class _Range:
    type: str
    subtype: str
    quality: float


def _media_ranges(accept: str) -> Iterator[_Range]:
    if len(accept) > _MAX_HEADER_CHARS:
        raise BadInput(
            f"the Accept header is {len(accept)} characters long, the limit is {_MAX_HEADER_CHARS}"
        )
    for part in re.findall(rf"(?:{_QUOTED}|[^,\"])+", accept):
        if not part.strip():
            continue
        match = _MEDIA_RANGE.fullmatch(part)
        if match is None:
            raise BadInput(f"cannot read {_shown(part.strip())} in the Accept header")
        quality = _parameters(match["parameters"]).get("q", "1")
        if not _QVALUE.fullmatch(quality):
            raise BadInput(
                f"cannot read q={_shown(quality)} in the Accept header: it is a number from 0 to 1"
            )
        yield _Range(match["type"].lower(), match["subtype"].lower(), float(quality))


def _quality(format: Format, ranges: list[_Range]) -> float:
    """How much the most specific range that covers `format` likes it: 0 where there is none."""
    names = [format.media_type, *(alias for alias, f in _ALIASES.items() if f is format)]
    types = [tuple(name.split("/")) for name in names]
    exact = [r.quality for r in ranges if (r.type, r.subtype) in types]
    partial = [r.quality for r in ranges if r.subtype == "*" and r.type == types[0][0]]
    anything = [r.quality for r in ranges if (r.type, r.subtype) == ("*", "*")]
    return max(exact or partial or anything or [0.0])


def _parameters(text: str) -> dict[str, str]:
    return {
        match["name"].lower(): re.sub(r"\\(.)", r"\1", match["value"][1:-1])
        if match["value"].startswith('"')
        else match["value"]
        for match in _PARAMETER.finditer(text)
        if match["name"]
    }


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
