"""The framing of Arrow IPC streams, checked before Arrow sees it.

Source: https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format and format/Message.fbs.
Of the flatbuffers only what matters here is read: the kind of a message, the length of its body, and the
sizes that compressed buffers claim to have.
"""

import struct
from typing import Final

from attrs import frozen

from omega.domain.errors import BadInput, TooLarge
from omega.entrypoints.limits import Limits

_CONTINUATION: Final = b"\xff\xff\xff\xff"
_FILE_MAGIC: Final = b"ARROW1\x00\x00"
_END: Final = _CONTINUATION + b"\x00\x00\x00\x00"
_MAX_METADATA_BYTES: Final = 64 << 20
_SCHEMA, _DICTIONARY, _RECORDS = 1, 2, 3


def checked_stream(content: memoryview, limits: Limits) -> memoryview:
    """The IPC stream that `content` is, or that is within it where it is an IPC file; with its end-of-stream
    marker.

    Raises: BadInput for a stream that is malformed, cut short, or has no end marker; TooLarge where
    decompressed buffers would be over the limit of decoded bytes.
    """
    file = bytes(content[:8]) == _FILE_MAGIC
    start = at = len(_FILE_MAGIC) if file else 0
    decoded = 0
    while (prefix := bytes(content[at : at + 8])) != _END:
        if prefix[:4] != _CONTINUATION or len(prefix) < 8:
            raise _cut_short(prefix)
        metadata = _metadata(content[at + 8 :], struct.unpack_from("<i", prefix, 4)[0])
        header = _header(metadata)
        at += 8 + len(metadata)
        body = _body(content[at:], header.body_bytes, limits)
        at += len(body)
        decoded += _claimed(metadata, header, body)
        if decoded > limits.decoded_bytes:
            raise TooLarge(
                f"the content takes over {limits.decoded_bytes:,} bytes when decoded, the limit "
                "(decoded_bytes)"
            )
    if not file and len(content) > at + 8:
        raise BadInput("this is not a valid Arrow stream: there are bytes after its end")
    return content[start : at + 8]


def _cut_short(prefix: bytes) -> BadInput:
    if len(prefix) < 8:
        return BadInput("this is not a valid Arrow stream: it is cut short, or has no end-of-stream marker")
    return BadInput("this is not a valid Arrow stream: a message does not start with its marker")


def _metadata(rest: memoryview, size: int) -> bytes:
    if not 16 <= size <= _MAX_METADATA_BYTES:
        raise BadInput(f"this is not a valid Arrow stream: a message claims {size:,} bytes of metadata")
    if len(rest) < size:
        raise _cut_short(b"")
    return bytes(rest[:size])


def _body(rest: memoryview, size: int, limits: Limits) -> memoryview:
    if size > limits.body_bytes:
        raise TooLarge(
            f"a message claims a body of {size:,} bytes, the limit is {limits.body_bytes:,} (body_bytes)"
        )
    # After a body that is cut short there is no marker.
    return rest[:size]


@frozen
class _Header:
    kind: int
    position: int
    body_bytes: int


class _Table:
    """A table in a flatbuffer (https://flatbuffers.dev/internals/): where its fields are."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data, position
        self.vtable = position - _number("<i", data, position)
        self.size = _number("<H", data, self.vtable)

    def field(self, slot: int) -> int | None:
        """Where the value of a field is; `None` for its default."""
        entry = 4 + 2 * slot
        offset = _number("<H", self.data, self.vtable + entry) if entry + 2 <= self.size else 0
        return self.position + offset if offset else None

    def target(self, slot: int) -> int | None:
        """Where the table or vector of a field is."""
        at = self.field(slot)
        return None if at is None else at + _number("<I", self.data, at)


def _number(form: str, data: bytes | memoryview, position: int) -> int:
    if not 0 <= position <= len(data) - struct.calcsize(form):
        raise BadInput("this is not a valid Arrow stream: the metadata of a message is malformed")
    found: int = struct.unpack_from(form, data, position)[0]
    return found


def _header(metadata: bytes) -> _Header:
    """Message: version, header type, header, body length, custom metadata."""
    message = _Table(metadata, _number("<I", metadata, 0))
    kind, position, length = message.field(1), message.target(2), message.field(3)
    size = 0 if length is None else _number("<q", metadata, length)
    found = 0 if kind is None else _number("<B", metadata, kind)
    if found not in (_SCHEMA, _DICTIONARY, _RECORDS) or position is None or size < 0:
        raise BadInput(
            "this is not a valid Arrow stream: it has a message that is no schema, dictionary or record batch"
        )
    return _Header(found, position, size)


def _claimed(metadata: bytes, header: _Header, body: memoryview) -> int:
    """How many bytes the buffers of a message take once they are decompressed."""
    if header.kind == _SCHEMA:
        return len(metadata)
    # DictionaryBatch: id, data, isDelta. RecordBatch: length, nodes, buffers, compression.
    position = _Table(metadata, header.position).target(1) if header.kind == _DICTIONARY else header.position
    if position is None:
        raise BadInput("this is not a valid Arrow stream: a dictionary has no data")
    batch = _Table(metadata, position)
    buffers = batch.target(2)
    if buffers is None or batch.field(3) is None:
        return len(body)
    count = _number("<I", metadata, buffers)
    if count * 16 > len(metadata):
        raise BadInput("this is not a valid Arrow stream: the metadata of a message is malformed")
    return sum(_decompressed(metadata, buffers + 4 + 16 * place, body) for place in range(count))


def _decompressed(metadata: bytes, position: int, body: memoryview) -> int:
    """The size that a compressed buffer claims in its first 8 bytes (-1: it is not compressed)."""
    offset, length = _number("<q", metadata, position), _number("<q", metadata, position + 8)
    if length == 0:
        return 0
    if offset < 0 or length < 8 or offset + length > len(body):
        raise BadInput("this is not a valid Arrow stream: a buffer is not within its message")
    claimed = _number("<q", body, offset)
    if claimed < -1:
        raise BadInput("this is not a valid Arrow stream: a compressed buffer claims a negative size")
    return length if claimed == -1 else claimed
