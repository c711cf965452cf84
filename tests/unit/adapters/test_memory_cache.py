from omega.adapters.memory.cache import LruCache
from tests.contracts.cache import CacheContract


class TestLruCache(CacheContract):
    def open_cache(self, max_bytes):
        return LruCache(max_bytes)
