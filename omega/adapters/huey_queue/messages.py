"""The form of a message in a queue: `{"id": ..., "name": "omega.message", "args": [MESSAGE]}`, as JSON.

That is huey's own message (`huey.registry.Message`) without the fields that omega does not use. Whoever can
write to the queue must gain nothing by it, so nothing here reads a pickle, which is huey's own way.
"""

from typing import Any, Final

import orjson
from huey.registry import Message
from huey.serializer import Serializer

from omega.ports.queue import JSONObject

_MAX_MESSAGE_BYTES: Final = 64 * 1024
#: What huey's form adds to a message takes less than this.
_MAX_FORM_BYTES: Final = 256


def encode(message: JSONObject) -> orjson.Fragment:
    """`message` as JSON that goes into a queue as it is.

    Raises: ValueError, for anything that would not come out as it went in.
    """
    text = _dump(message)
    if not isinstance(message, dict) or orjson.loads(text) != message:
        raise ValueError("a message of a queue must be a dict of JSON types with str keys throughout")
    return orjson.Fragment(text)


def _dump(message: JSONObject) -> bytes:
    try:
        # orjson gives up at 254 levels, and reads 1,024 wherever it is called: so all that was left is read.
        text = orjson.dumps(message)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"a message of a queue must be a JSON object: {error}") from error
    if len(text) > _MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of a queue may have {_MAX_MESSAGE_BYTES:,} bytes, not {len(text):,}")
    return text


class MessageSerializer(Serializer):  # type: ignore[misc]  # huey has no types
    """JSON in place of huey's pickle, for our one task."""

    def _serialize(self, data: Message) -> bytes:
        return orjson.dumps({"id": data.id, "name": data.name, "args": list(data.args)})

    def _deserialize(self, data: object) -> Message:
        """The task that `data` asks for, if it has our form throughout.

        Raises: ValueError.
        """
        if not isinstance(data, bytes) or len(data) > _MAX_MESSAGE_BYTES + _MAX_FORM_BYTES:
            raise ValueError("not of the form of a message")
        match orjson.loads(data):
            case {"id": str(id), "name": str(name), "args": [dict(message)], **rest} if not rest:
                _dump(message)
                return Message(id=id, name=name, args=(message,))
            case _:
                raise ValueError("not of the form of a message")


def message(content: dict[str, Any]) -> None:
    """The task as huey knows it. It is never run: a consumer takes the content out of it."""
    raise NotImplementedError
