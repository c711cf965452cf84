"""What every `Cache` promises."""

import threading

import pytest

from omega.ports.cache import Cache


class CacheContract:
    """Subclasses give `open_cache(max_bytes)`."""

    def open_cache(self, max_bytes: int) -> Cache:
        raise NotImplementedError

    def test_a_value_is_found_by_its_key(self):
        cache = self.open_cache(100)
        value = object()
        cache.put("a", value, size_bytes=10)
        assert cache.get("a") is value
        assert cache.get("b") is None

    def test_a_later_value_takes_the_place_of_an_earlier_one(self):
        cache = self.open_cache(100)
        cache.put("a", 1, size_bytes=60)
        cache.put("a", 2, size_bytes=60)
        cache.put("b", 3, size_bytes=40)
        assert (cache.get("a"), cache.get("b")) == (2, 3)

    def test_what_was_used_longest_ago_goes_first(self):
        cache = self.open_cache(100)
        for key in "abc":
            cache.put(key, key, size_bytes=30)
        cache.get("a")
        cache.put("d", "d", size_bytes=30)
        assert [cache.get(key) for key in "abcd"] == ["a", None, "c", "d"]

    def test_a_value_over_the_bound_is_not_kept(self):
        cache = self.open_cache(100)
        cache.put("big", 1, size_bytes=101)
        assert cache.get("big") is None
        cache.put("fits", 2, size_bytes=100)
        cache.put("big", 1, size_bytes=101)
        assert cache.get("fits") == 2
        cache.put("fits", 3, size_bytes=101)
        assert cache.get("fits") is None

    def test_one_big_value_may_push_out_many(self):
        cache = self.open_cache(100)
        for key in "abc":
            cache.put(key, key, size_bytes=30)
        cache.put("big", "big", size_bytes=90)
        assert [cache.get(key) for key in ("a", "b", "c", "big")] == [None, None, None, "big"]

    @pytest.mark.parametrize("size", [0, 1, 7])
    def test_many_threads(self, size):
        cache = self.open_cache(50)
        wrong: list[str] = []

        def work(n: int) -> None:
            for i in range(500):
                key = str((n * 7 + i) % 20)
                cache.put(key, key, size_bytes=size)
                if cache.get(key) not in (key, None):
                    wrong.append(key)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        kept = sum(cache.get(str(n)) is not None for n in range(20))
        assert kept == 20 if size <= 1 else kept * size <= 50
