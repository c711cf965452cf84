"""The stores in memory keep the whole contract."""

from collections import defaultdict
from collections.abc import Callable

import pytest

from omega.adapters.memory.blobs import MemoryBlobStore
from omega.adapters.memory.records import MemoryRecordStore
from tests.contracts.blobs import BlobStoreSuite
from tests.contracts.records import RecordStoreSuite


class TestMemoryRecordStore(RecordStoreSuite):
    @pytest.fixture
    def open_store(self) -> Callable[[str], MemoryRecordStore]:
        return defaultdict(MemoryRecordStore).__getitem__


class TestMemoryBlobStore(BlobStoreSuite):
    @pytest.fixture
    def open_store(self) -> Callable[[str], MemoryBlobStore]:
        return defaultdict(MemoryBlobStore).__getitem__
