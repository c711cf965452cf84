"""The metadata at the end of a Parquet file, read by ourselves.

Parquet's own reader ends the process on some malformed metadata when it is asked about column chunks, so it
is asked nothing before this has been through. Source:
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
"""

import struct
from typing import Any, BinaryIO, Final

from attrs import field, frozen
from attrs.validators import ge, instance_of

from omega.domain.errors import BadInput
from omega.entrypoints.formats.grid import check_columns, check_size
from omega.entrypoints.formats.thrift import Reader, Struct
from omega.entrypoints.limits import Limits

_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_MAX_FOOTER_BYTES: Final = 64 << 20
_MAX_DEPTH: Final = 64
_REPEATED: Final = 2
BYTE_ARRAY, FIXED_LEN_BYTE_ARRAY = 6, 7
#: By the number of the physical type: BOOLEAN, INT32, INT64, INT96, FLOAT, DOUBLE.
_WIDTHS: Final = (1, 4, 8, 12, 4, 8)


@frozen
class Leaf:
    """A column of values. `width` is the size of a value in bytes, `None` for texts; a `nested` one is
    part of a list or struct."""

    name: str
    type: int
    width: int | None
    nested: bool


def _count() -> Any:
    return field(validator=[instance_of(int), ge(0)])


@frozen
class Chunk:
    """The pages of one column in one row group: where they are, and how they are compressed."""

    leaf: Leaf
    codec: int = _count()
    values: int = _count()
    size_bytes: int = _count()
    data: int = _count()
    dictionary: int = _count()

    @property
    def start(self) -> int:
        """Where the first page is; that of a dictionary comes before the others."""
        return self.dictionary if 0 < self.dictionary < self.data else self.data


def read_chunks(file: BinaryIO, limits: Limits) -> list[Chunk]:
    """The column chunks of a file whose schema is not too wide or deep, nor its rows too many.

    Raises: BadInput for what is malformed, cut short or encrypted; TooLarge.
    """
    metadata = Reader(_footer(file)).struct()
    leaves = _leaves(_structs(metadata, 2), limits)
    groups, rows = _structs(metadata, 4), metadata.get(3)
    if rows != sum(_number(group, 3) for group in groups):
        raise malformed("its metadata gives two numbers of rows")
    check_size(rows, 1, limits)
    chunks = []
    for group in groups:
        columns = _structs(group, 1)
        if len(columns) != len(leaves):
            raise malformed("a row group has not the columns of the schema")
        chunks += [_chunk(column, leaf) for column, leaf in zip(columns, leaves, strict=True)]
    return chunks


def malformed(why: str) -> BadInput:
    """The error for a file that is not Parquet."""
    return BadInput(f"this is not valid Parquet: {why}")


def _footer(file: BinaryIO) -> bytes:
    size = file.seek(0, 2)
    file.seek(max(0, size - 8))
    tail = file.read(8)
    if tail[4:] == _ENCRYPTED:
        raise BadInput("this Parquet file is encrypted: send it without encryption")
    if size < 12 or tail[4:] != _MAGIC:
        raise malformed("it is cut short, or something else")
    length = struct.unpack_from("<I", tail)[0]
    if length > min(size - 12, _MAX_FOOTER_BYTES):
        raise malformed("its metadata is cut short, or too long")
    file.seek(size - 8 - length)
    return file.read(length)


def _structs(fields: Struct, number: int) -> list[Struct]:
    found = fields.get(number)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise malformed("its metadata lacks a part")
    return found


def _number(fields: Struct, number: int, default: int = -1) -> int:
    found = fields.get(number, default)
    if type(found) is not int or found < 0:
        raise malformed("its metadata has something else for a number")
    return found


@frozen
class _Branch:
    """A group of the schema that waits for more children."""

    missing: int
    nested: bool


def _leaves(elements: list[Struct], limits: Limits) -> list[Leaf]:
    """The columns of a schema, which is given as a tree, depth first, each element with the number of its
    children."""
    if not elements:
        raise malformed("it has no schema")
    leaves: list[Leaf] = []
    branches: list[_Branch] = [_Branch(1, nested=False)]
    for depth_first, element in enumerate(elements):
        while branches and branches[-1].missing == 0:
            branches.pop()
        if not branches:
            raise malformed("its schema has more than one root")
        above = branches.pop()
        branches.append(_Branch(above.missing - 1, above.nested))
        repeated = depth_first > 0 and element.get(3) == _REPEATED
        children = _number(element, 5, 0)
        if children:
            branches.append(_Branch(children, nested=depth_first > 0))
        elif depth_first:
            leaves.append(_leaf(element, nested=above.nested or repeated))
        if len(branches) > _MAX_DEPTH:
            raise BadInput(f"this Parquet file has columns that are nested over {_MAX_DEPTH} deep")
    if any(branch.missing for branch in branches):
        raise malformed("its schema is cut short")
    check_columns([leaf.name for leaf in leaves], limits)
    return leaves


def _leaf(element: Struct, *, nested: bool) -> Leaf:
    name, type = element.get(4), _number(element, 1)
    if not isinstance(name, bytes) or type > FIXED_LEN_BYTE_ARRAY:
        raise malformed("its schema has a column without name or type")
    width = (
        None if type == BYTE_ARRAY else _number(element, 2) if type == FIXED_LEN_BYTE_ARRAY else _WIDTHS[type]
    )
    return Leaf(name.decode("utf-8", "replace"), type, width, nested)


def _chunk(column: Struct, leaf: Leaf) -> Chunk:
    about = column.get(3)
    if column.get(1) or not isinstance(about, dict):
        raise malformed("a column is in another file, or encrypted")
    if about.get(1) != leaf.type:
        raise malformed(f"column {leaf.name[:80]!r} has two types")
    numbers: list[Any] = [about.get(4), about.get(5), about.get(7), about.get(9), about.get(11, 0)]
    try:
        return Chunk(leaf, *numbers)
    except (TypeError, ValueError) as error:
        raise malformed(f"the metadata of column {leaf.name[:80]!r} lacks a number") from error
