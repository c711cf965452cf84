"""The one key with which all machines of a store sign its models: the store knows it by its mark."""

from contextlib import suppress
from typing import Final

from attrs import frozen

from omega.ports.records import RecordConflict, RecordNotFound, RecordStore
from omega.ports.signer import Signer

_KEY: Final = "signing-key"
#: What is signed to tell keys apart; no model has this content.
_MARKED: Final = b"omega: the key of this store"


@frozen
class Trust:
    """Whether the key of this machine is that of the store. The key itself is never stored."""

    records: RecordStore
    signer: Signer

    def is_mutual(self) -> bool:
        """Whether the key is that of the store; the first one that comes to a store becomes so.

        Of two that come at once one wins.
        """
        while True:
            try:
                mark = self.records.read(_KEY).value["mark"]
                return self.signer.verify(_MARKED, signature=str(mark))
            except RecordNotFound:
                with suppress(RecordConflict):
                    self.records.write(_KEY, value=self._mark(), expected=None)

    def adopt(self) -> None:
        """Make the key of this machine that of the store, whatever it was before."""
        while True:
            try:
                expected: str | None = self.records.read(_KEY).revision
            except RecordNotFound:
                expected = None
            with suppress(RecordConflict):
                self.records.write(_KEY, value=self._mark(), expected=expected)
                return

    def _mark(self) -> dict[str, str]:
        return {"mark": self.signer.sign(_MARKED)}
