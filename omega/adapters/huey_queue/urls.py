"""Where a queue is, as a URL, and what may be said of a URL that cannot be used."""

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class UnusableQueueURL(ValueError):
    """The URL names no queue. The message never holds any part of the URL, which may be a password."""


def scheme_of(url: str) -> str:
    """The scheme, in lower case.

    Raises: UnusableQueueURL.
    """
    if _CONTROL.search(url):
        raise UnusableQueueURL("The URL of the queue holds control characters.")
    try:
        return urlsplit(url).scheme
    except ValueError:
        # The parser's words may quote the password, so they are left out of the traceback as well.
        raise UnusableQueueURL("The URL of the queue cannot be read.") from None


def sqlite_path(url: str) -> Path:
    """The file of `sqlite:///absolute/path`, whose `%XX` are decoded; a fourth slash changes nothing.

    Raises: UnusableQueueURL.
    """
    parts = urlsplit(url)
    path = os.fsdecode(unquote_to_bytes(parts.path))
    if parts.netloc or parts.query or parts.fragment or not path.startswith("/") or "\0" in path:
        raise UnusableQueueURL(
            "The URL of a queue in SQLite is sqlite:// and an absolute path, and nothing more, "
            "with %3F for ? and %23 for #."
        )
    return Path("/" + path.lstrip("/"))
