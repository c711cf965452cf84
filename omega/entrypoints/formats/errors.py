"""What can go wrong between a client and the formats."""

from omega.domain.errors import BadInput


class NotAcceptable(BadInput):
    """None of the formats that the client accepts is one of ours (HTTP 406)."""


class UnsupportedMediaType(BadInput):
    """The content is in a format or an encoding that is not read here (HTTP 415)."""
