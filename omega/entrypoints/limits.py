"""How much a request may bring and an answer may hold."""

from attrs import field, frozen
from attrs.validators import ge


@frozen
class Limits:
    """The published limits; what is over one of them is refused with 413, or 400 for the depth of JSON.

    `body_bytes` is of the request body as sent, `decoded_bytes` of what it decodes to, `json_depth` of nested
    objects and lists.
    """

    body_bytes: int = field(default=512 * 2**20, validator=ge(1))
    decoded_bytes: int = field(default=2 * 2**30, validator=ge(1))
    rows: int = field(default=20_000_000, validator=ge(1))
    columns: int = field(default=10_000, validator=ge(1))
    json_depth: int = field(default=64, validator=ge(1))
