"""What a migration says of itself."""

from collections.abc import Callable
from typing import Final

from attrs import define, field, frozen

#: Of things that go wrong so many are named; all are counted.
MAX_NAMED: Final = 100


@frozen
class Plan:
    """What there is to be copied. A payload that several versions share counts once."""

    objects: int = 0
    records: int = 0
    payloads: int = 0
    size_bytes: int = 0


#: Told of each step: `copying` or `checking`, the bytes of payloads done, and to be done, in all.
Progress = Callable[[str, int, int], None]


@define
class Named:
    """Sentences about things that go wrong, the first of them, and how many there are."""

    first: list[str] = field(factory=list)
    total: int = 0

    def add(self, sentence: str) -> None:
        """One more."""
        self.total += 1
        if len(self.first) < MAX_NAMED:
            self.first.append(sentence)


@define
class Report:
    """What has come of a migration.

    `found` is what the source holds. `records`, `payloads` and `size_bytes` were copied by this run;
    `removed` records were removed, since the source no longer has them. `damaged` is damaged in the source,
    and so it is in the copy; `differing` differs, since somebody wrote meanwhile; `workers` are at work for
    the source.
    """

    found: Plan
    records: int = 0
    payloads: int = 0
    size_bytes: int = 0
    removed: int = 0
    damaged: Named = field(factory=Named)
    differing: Named = field(factory=Named)
    workers: int = 0
    finished: bool = False
