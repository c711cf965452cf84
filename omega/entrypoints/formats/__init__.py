"""The wire formats of frames: how they are asked for, read under limits, and written in pieces.

HTTP uses them by media type, the command line by file extension.
"""

from collections.abc import Callable, Iterator
from typing import Final

import pyarrow as pa

from omega.domain.datasets import Reading
from omega.entrypoints.formats import arrow, delimited, ndjson, parquet
from omega.entrypoints.formats.errors import NotAcceptable, UnsupportedMediaType
from omega.entrypoints.formats.json_features import decode_json_features
from omega.entrypoints.formats.json_read import (
    JSON_FRAME_FIELDS,
    Decoded,
    decode_json_frame,
    parse_json_frame,
)
from omega.entrypoints.formats.json_values import encode_array
from omega.entrypoints.formats.json_write import check_orient, encode_json_frame
from omega.entrypoints.formats.media import FORMATS, Format, by_extension, by_media_type, negotiate
from omega.entrypoints.formats.sources import Source
from omega.entrypoints.limits import Limits

_DECODERS: Final[dict[str, Callable[..., pa.Table]]] = {
    "arrow": arrow.decode,
    "parquet": parquet.decode,
    "csv": delimited.decode,
    "ndjson": ndjson.decode,
}
_ENCODERS: Final[dict[str, Callable[[Reading], Iterator[bytes]]]] = {
    "arrow": arrow.encode,
    "parquet": parquet.encode,
    "csv": delimited.encode,
    "ndjson": ndjson.encode,
}


def decode(format: Format, stream: Source, *, limits: Limits) -> pa.Table:
    """The table, in omega's form, of a body in any format but JSON (see `decode_json_frame`); the stream is
    read to its end.

    Raises: BadInput for what is malformed, cut short or cannot be kept exactly; TooLarge naming the limit.
    """
    return _DECODERS[format.name](stream, limits=limits)


def encode(format: Format, reading: Reading) -> Iterator[bytes]:
    """A frame in any format but JSON (see `encode_json_frame`), in pieces; about one segment of it is held at
    a time.

    Raises: BadInput for what the format cannot hold, and whatever reading raises; while iterating, too.
    """
    return _ENCODERS[format.name](reading)


__all__ = [
    "FORMATS",
    "JSON_FRAME_FIELDS",
    "Decoded",
    "Format",
    "NotAcceptable",
    "Source",
    "UnsupportedMediaType",
    "by_extension",
    "by_media_type",
    "check_orient",
    "decode",
    "decode_json_features",
    "decode_json_frame",
    "encode",
    "encode_array",
    "encode_json_frame",
    "negotiate",
    "parse_json_frame",
]
