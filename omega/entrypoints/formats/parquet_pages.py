"""How large a Parquet file is once it is decoded, from the headers of its pages.

A page says how many values it has and how large it is when decompressed, and Parquet's reader goes by that.
Only text that is stored by dictionary or by its difference to the text before can be larger than its pages;
then the bound is coarse, and the column is named as one to be measured. Source:
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

import pyarrow as pa
from attrs import define, field, frozen

from omega.domain.errors import TooLarge
from omega.entrypoints.formats.parquet_footer import Chunk, malformed
from omega.entrypoints.formats.thrift import CutShort, Reader, Struct
from omega.entrypoints.limits import Limits

_MAX_PAGE_HEADER_BYTES: Final = 16 << 20
_MAX_PAGES: Final = 500_000
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_PLAIN, _DELTA_LENGTHS, _BY_DICTIONARY = 0, 6, (2, 8)
#: By the number of the codec, what pyarrow calls it.
_CODECS: Final = ("uncompressed", "snappy", "gzip", "lzo", "brotli", "lz4_raw", "zstd", "lz4_raw")


@frozen
class Bound:
    """The most that the columns decode to, in bytes: those that need no more than their pages tell, and
    flat text columns by name."""

    sure: int
    coarse: dict[str, int]
    #: Of the coarse columns with texts stored as differences: the most that one text can take.
    differing: dict[str, int]


@define
class _Tally:
    """What the pages of one column chunk amount to. `labels` is the size of its dictionary, `each` of the
    largest text in it."""

    pages: int = 0
    sure: int = 0
    by_dictionary: int = 0
    by_difference: int = 0
    labels: int = 0
    each: int = 0
    page_bytes: int = 0


def bound(file: BinaryIO, chunks: Iterable[Chunk], limits: Limits) -> Bound:
    """How many bytes the column chunks decode to at most.

    Raises: BadInput for pages that are malformed; TooLarge for too many pages, or nested text that may be too
    large.
    """
    sure = pages = 0
    coarse: dict[str, int] = {}
    differing: dict[str, int] = {}
    for chunk in chunks:
        tally = _tally(file, chunk, limits, _MAX_PAGES - pages)
        pages += tally.pages
        sure += tally.sure
        uncertain = tally.by_dictionary * tally.each + tally.by_difference
        name = chunk.leaf.name
        if chunk.leaf.nested:
            sure += uncertain
        else:
            coarse[name] = coarse.get(name, 0) + uncertain
            if tally.by_difference or name in differing:
                differing[name] = max(tally.page_bytes, tally.labels, differing.get(name, 0))
        if sure > limits.decoded_bytes:
            raise too_large(limits)
    return Bound(sure, coarse, differing)


def too_large(limits: Limits) -> TooLarge:
    """The error for content that decodes to more than the limit."""
    return TooLarge(
        f"the content takes over {limits.decoded_bytes:,} bytes when decoded, the limit (decoded_bytes)"
    )


def _tally(file: BinaryIO, chunk: Chunk, limits: Limits, most: int) -> _Tally:
    tally = _Tally()
    width = chunk.leaf.width
    # Offsets, and the levels that say where lists and nulls are.
    overhead = 8 if chunk.leaf.nested or width is None else 1
    for page in _pages(file, chunk):
        tally.pages += 1
        if tally.pages > most:
            raise TooLarge(
                f"this Parquet file has over {_MAX_PAGES:,} pages, which is more than is read here"
            )
        if page.size_bytes > limits.decoded_bytes:
            raise too_large(limits)
        if page.kind == _DICTIONARY:
            tally.labels = page.size_bytes
            tally.each = _longest(file, page, chunk, limits) if width is None else 0
        elif page.kind in (_DATA, _DATA_V2):
            tally.sure += page.values * overhead
            _add(tally, page, width)
    return tally


def _add(tally: _Tally, page: "_Page", width: int | None) -> None:
    if width is not None:
        tally.sure += page.values * width
    elif page.encoding in _BY_DICTIONARY:
        tally.by_dictionary += page.values
    elif page.encoding in (_PLAIN, _DELTA_LENGTHS):
        tally.sure += page.size_bytes
    else:
        # A text that is stored as its difference to the one before may be as long as all differences
        # together.
        tally.by_difference += page.values * page.size_bytes
        tally.page_bytes = max(tally.page_bytes, page.size_bytes)


@frozen
class _Page:
    """What the header of a page says, and where its content starts."""

    kind: int
    size_bytes: int
    compressed_bytes: int
    values: int
    encoding: int
    start: int = field(kw_only=True)


def _pages(file: BinaryIO, chunk: Chunk) -> Iterator[_Page]:
    position, values = chunk.start, 0
    end = position + chunk.size_bytes
    while position < end and values < chunk.values:
        page = _page(file, position)
        yield page
        values += page.values if page.kind != _DICTIONARY else 0
        position = page.start + page.compressed_bytes


def _page(file: BinaryIO, position: int) -> _Page:
    header, start = _header(file, position)
    # DataPageHeader is field 5, DataPageHeaderV2 field 8, DictionaryPageHeader field 7; the first two differ
    # in where the encoding is.
    kind = header.get(1)
    about = header.get(
        {_DATA: 5, _DATA_V2: 8, _DICTIONARY: 7}.get(kind, 0) if isinstance(kind, int) else 0, {}
    )
    if not isinstance(about, dict):
        raise malformed("a page header is malformed")
    numbers = [
        kind,
        header.get(2),
        header.get(3),
        about.get(1, 0),
        about.get(4 if kind == _DATA_V2 else 2, 0),
    ]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise malformed("a page header lacks a number")
    return _Page(*numbers, start=start)


def _header(file: BinaryIO, position: int) -> tuple[Struct, int]:
    size = 256
    while True:
        file.seek(position)
        reader = Reader(file.read(size))
        try:
            return reader.struct(), position + reader.position
        except CutShort:
            # Its statistics may be long texts.
            if len(reader.data) < size or size >= _MAX_PAGE_HEADER_BYTES:
                raise
            size *= 16


def _longest(file: BinaryIO, page: _Page, chunk: Chunk, limits: Limits) -> int:
    """The size of the longest text in a dictionary page; that of the whole page where this is small
    enough, or cannot be looked at."""
    if page.size_bytes * chunk.values <= limits.decoded_bytes // 8 or chunk.codec >= len(_CODECS):
        return page.size_bytes
    file.seek(page.start)
    content = file.read(page.compressed_bytes)
    try:
        if chunk.codec:
            content = pa.Codec(_CODECS[chunk.codec]).decompress(content, page.size_bytes, asbytes=True)
    except (pa.ArrowException, OSError, ValueError):
        return page.size_bytes
    longest = position = 0
    while position + 4 <= len(content):
        length = struct.unpack_from("<I", content, position)[0]
        longest, position = max(longest, length), position + 4 + length
    return min(longest, page.size_bytes)
