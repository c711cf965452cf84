"""What the doctor finds."""

from datetime import datetime
from typing import Final

from attrs import define, frozen

from omega.domain.inventory import Owner

#: Something that was stored is not as it was, and whoever asks for it is told so.
DAMAGED: Final = "damaged"
#: Something that nothing points to, and that is so old that nobody is about to.
ORPHAN: Final = "orphan"
#: Something that nothing points to yet: a writer may be at work on it.
RECENT: Final = "recent"


@frozen
class Finding:
    """One thing found: what it is (`kind` is one of the above), said in `words`; whom it belongs to and which
    payload it is about, where that is known; since when it is there. `fixed`: it is no longer so.
    """

    kind: str
    words: str
    owner: Owner | None = None
    payload: str | None = None
    since: datetime | None = None
    fixed: bool = False


@define
class Tally:
    """How much was checked: records, payloads, and bytes of payloads."""

    records: int = 0
    payloads: int = 0
    size_bytes: int = 0
