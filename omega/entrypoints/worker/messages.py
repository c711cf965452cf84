"""What supervisor and child say to each other: JSON, one message a time.

{"ready": true}                               the child can begin
{"bucket": ..., "id": ..., "holder": ...}     the supervisor wants this attempt to be made
{"progress": {...}}                           how far it has come
{"done": {...}} {"failed": {...}} {"again": {...}} {"lost": true}     how it went
"""

from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import orjson
from attrs import asdict

from omega.domain.payloads import Payload
from omega.domain.tasks import Failure
from omega.entrypoints.work import Again, Done, Failed, Result


def send(connection: "Connection[Any, Any]", message: Mapping[str, Any]) -> None:
    """Raises: OSError, where nobody is there to read it."""
    connection.send_bytes(orjson.dumps(message))


def receive(connection: "Connection[Any, Any]") -> Mapping[str, Any]:
    """Raises: EOFError, OSError, where nobody is there to write one."""
    message: Mapping[str, Any] = orjson.loads(connection.recv_bytes())
    return message


def encoded(result: Result) -> Mapping[str, Any]:
    """How an attempt went, as a message."""
    match result:
        case Done(answer):
            return {"done": asdict(answer)}
        case Failed(failure, answer):
            return {"failed": asdict(failure), "answer": answer and asdict(answer)}
        case Again(failure):
            return {"again": asdict(failure)}


def decoded(message: Mapping[str, Any]) -> Result | None:
    """How an attempt went; `None` for another message."""
    if "done" in message:
        return Done(Payload(**message["done"]))
    if "failed" in message:
        answer = message["answer"]
        return Failed(Failure(**message["failed"]), answer and Payload(**answer))
    if "again" in message:
        return Again(Failure(**message["again"]))
    return None
