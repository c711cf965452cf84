"""As much of Thrift's compact protocol as it takes to look at Parquet metadata before Parquet's own reader
does.

Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md. A struct becomes a
dict by field id.
"""

from typing import Any, Final

from omega.domain.errors import BadInput

#: The fields of a struct by their ids.
Struct = dict[int, Any]

_MAX_DEPTH: Final = 16
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)


class CutShort(BadInput):
    """The bytes end within a value."""


class Reader:
    """Reads values one after the other; `position` is where the next one is."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def struct(self, *, depth: int = 0) -> Struct:
        """The fields of a struct.

        Raises: BadInput, CutShort.
        """
        if depth > _MAX_DEPTH:
            raise _malformed()
        fields: Struct = {}
        number = 0
        while head := self._byte():
            delta, kind = head >> 4, head & 15
            number = number + delta if delta else self._zigzag()
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        match kind:
            case 1 | 2 | 3:
                return self._byte()
            case 4 | 5 | 6:
                return self._zigzag()
            case 7:
                return self._bytes(8)
            case 8:
                return self._bytes(self._varint())
            case 9 | 10:
                return self._list(depth)
            case 12:
                return self.struct(depth=depth + 1)
        # Parquet's metadata has no maps.
        raise _malformed()

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        size = head >> 4 if head >> 4 < 15 else self._varint()
        if size > len(self.data) - self.position:
            raise CutShort("this is not valid Parquet: its metadata is cut short")
        return [self._value(head & 15, depth) for _ in range(size)]

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _bytes(self, size: int) -> bytes:
        part = self.data[self.position : self.position + size]
        if len(part) < size:
            raise CutShort("this is not valid Parquet: its metadata is cut short")
        self.position += size
        return part

    def _varint(self) -> int:
        found = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            found |= (byte & 127) << shift
            if byte < 128:
                return found
        raise _malformed()

    def _zigzag(self) -> int:
        found = self._varint()
        return (found >> 1) ^ -(found & 1)


def _malformed() -> BadInput:
    return BadInput("this is not valid Parquet: its metadata is malformed")
