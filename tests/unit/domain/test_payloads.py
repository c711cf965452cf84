"""What nobody needs any more is removed; a store that is out of reach is asked once, not for each part."""

import pytest

from omega.adapters.arrow_frames.frames import ArrowFrameStore
from omega.adapters.memory.blobs import MemoryBlobStore
from omega.adapters.system.ids import TimeOrderedIds
from omega.domain.payloads import Payloads
from omega.domain.segments import Segments
from omega.ports.records import StoreFull, StoreUnavailable


class Failing(MemoryBlobStore):
    """Fails every removal from the `last`-th on."""

    def __init__(self, error: type[Exception], last: int) -> None:
        super().__init__()
        self._error, self._last = error, last
        self.asked = 0

    def remove(self, id: str) -> None:
        self.asked += 1
        if self.asked >= self._last:
            raise self._error("gone")
        super().remove(id)


@pytest.mark.parametrize("error", [StoreUnavailable, StoreFull])
@pytest.mark.parametrize("kind", ["payloads", "segments"])
def test_after_a_failure_the_rest_is_left(error, kind):
    blobs = Failing(error, last=2)
    payloads = Payloads(blobs, TimeOrderedIds())
    segments = Segments(ArrowFrameStore(blobs), payloads, TimeOrderedIds())
    ids = [payloads.write([b"x"]).id for _ in range(4)]
    (payloads if kind == "payloads" else segments).remove(ids)
    assert blobs.asked == 2 and list(blobs.ids()) == ids[1:]
