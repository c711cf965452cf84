"""Nothing is ever half done in the memory of one process."""

from collections.abc import Iterator

from omega.ports.upkeep import Leftover


class MemoryUpkeep:
    """The `StoreUpkeep` of the stores in memory."""

    def faults(self) -> Iterator[str]:
        """None; see `StoreUpkeep.faults`."""
        return iter(())

    def leftovers(self) -> Iterator[Leftover]:
        """None; see `StoreUpkeep.leftovers`."""
        return iter(())

    def discard(self, leftover: Leftover) -> bool:
        """It is gone; see `StoreUpkeep.discard`."""
        return False
