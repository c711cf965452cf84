"""Where things are in the REST API."""

from urllib.parse import quote


def resource_uri(resource: str, name: str) -> str:
    """The URI of an object."""
    return f"/api/v1/{resource}/{quote(name, safe='/')}/"
