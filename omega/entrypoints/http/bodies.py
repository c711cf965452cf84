"""Request bodies, read under limits, and the JSON object in one."""

import io
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

from omega.domain.errors import BadInput, TooLarge
from omega.entrypoints.http.errors import UnsupportedContentEncoding
from omega.entrypoints.strict_json import DEFAULT_DEPTH, parse_json

_CHUNK: Final = 256 * 1024


def read_body(environ: Mapping[str, Any], *, max_bytes: int) -> bytes:
    """The whole request body.

    Raises: TooLarge, from its announced length where there is one, else as soon as more has come; BadInput
    for a body cut short or a malformed length; UnsupportedContentEncoding for a compressed body.
    """
    return body_stream(environ, max_bytes=max_bytes).read()


def body_stream(environ: Mapping[str, Any], *, max_bytes: int) -> BinaryIO:
    """The request body as a binary file, seekable where the server has stored it as a file already.

    Raises: as `read_body`; what cannot be known before, `read` raises.
    """
    encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedContentEncoding(
            f"cannot read a body with Content-Encoding {encoding[:40]!r}: send it without compression",
            headers=(("Accept-Encoding", "identity"),),
        )
    length = content_length(environ)
    if length is not None and length > max_bytes:
        raise _too_large(max_bytes)
    if length is None and not environ.get("HTTP_TRANSFER_ENCODING"):
        return io.BytesIO()
    source = environ["wsgi.input"]
    if length is not None and _is_seekable(source):
        return _whole_file(source, length)
    return io.BufferedReader(_Counted(source, length=length, max_bytes=max_bytes), _CHUNK)


def content_length(environ: Mapping[str, Any]) -> int | None:
    """The announced length of the body in bytes; `None` where none is announced.

    Raises: BadInput for other than digits (RFC 9110, 8.6).
    """
    text: str = environ.get("CONTENT_LENGTH") or ""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadInput(f"Content-Length {text[:40]!r} is not a number of bytes")
    return int(text)


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the request body is over the limit of {max_bytes:,} bytes (body_bytes)")


def _cut_short(length: int, had: int) -> BadInput:
    return BadInput(f"the request body was cut short: {length:,} bytes were announced, {had:,} came")


def _is_seekable(source: Any) -> bool:
    return isinstance(source, io.IOBase) and source.seekable()


def _whole_file(source: BinaryIO, length: int) -> BinaryIO:
    size = source.seek(0, io.SEEK_END)
    if size != length:
        raise _cut_short(length, size)
    source.seek(0)
    return source


class _Counted(io.RawIOBase):
    """What a server gives as `wsgi.input`, up to the announced length or the limit.

    Never asked for more than was announced: a server may wait for bytes that do not come.
    """

    def __init__(self, source: Any, *, length: int | None, max_bytes: int) -> None:
        self._source = source
        self._length = length
        self._max_bytes = max_bytes
        self._had = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = len(buffer) if self._length is None else min(len(buffer), self._length - self._had)
        part: bytes = self._source.read(wanted) if wanted else b""
        self._had += len(part)
        if self._had > self._max_bytes:
            raise _too_large(self._max_bytes)
        if not part and self._length is not None and self._had < self._length:
            raise _cut_short(self._length, self._had)
        buffer[: len(part)] = part
        return len(part)


def parse_json_object(
    raw: bytes,
    *,
    max_depth: int = DEFAULT_DEPTH,
    allow_empty: bool = False,
    parse: Callable[..., Any] = parse_json,
) -> dict[str, Any]:
    """The JSON object in `raw`, whatever the Content-Type said. With `allow_empty` no body is an empty
    object; `parse` is `strict_json.parse_json`, or another that is as strict.

    Raises: BadInput, also as `strict_json.parse_json`.
    """
    if not raw.strip():
        if allow_empty:
            return {}
        raise BadInput("the request body is empty: it must be a JSON object")
    value = parse(raw, max_depth=max_depth)
    if not isinstance(value, dict):
        kinds = {list: "list", str: "string", bool: "boolean", int: "number", float: "number"}
        raise BadInput(f"the body must be a JSON object, this is a JSON {kinds.get(type(value), 'null')}")
    return value
