"""What stands in for a MongoDB server of an age that cannot be had: it says hello, and nothing more."""

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import bson

_HEADER = struct.Struct("<iiii")
#: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013


class _Hello(socketserver.StreamRequestHandler):
    server: "_Server"

    def handle(self) -> None:
        while len(head := self.rfile.read(_HEADER.size)) == _HEADER.size:
            length, number, _, kind = _HEADER.unpack(head)
            self.rfile.read(length - _HEADER.size)
            document = bson.encode(self._said())
            if kind == _OP_MSG:
                answer, body = _OP_MSG, struct.pack("<IB", 0, 0) + document
            else:
                assert kind == _OP_QUERY
                answer, body = _OP_REPLY, struct.pack("<iqii", 0, 0, 0, 1) + document
            self.wfile.write(_HEADER.pack(_HEADER.size + len(body), 1, number, answer) + body)

    def _said(self) -> dict[str, Any]:
        return {
            "helloOk": True,
            "ismaster": True,
            "isWritablePrimary": True,
            "maxBsonObjectSize": 16 << 20,
            "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000,
            "localTime": datetime.now(UTC),
            "minWireVersion": 0,
            "maxWireVersion": self.server.wire_version,
            "readOnly": False,
            "ok": 1.0,
        }


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, wire_version: int) -> None:
        super().__init__(("127.0.0.1", 0), _Hello)
        self.wire_version = wire_version


@contextmanager
def old_server(wire_version: int) -> Iterator[int]:
    """The port of a server that speaks no version of the protocol above this one (13: MongoDB 5.0)."""
    with _Server(wire_version) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
