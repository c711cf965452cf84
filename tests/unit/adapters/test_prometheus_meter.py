"""Figures of one process, and of several together."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from omega.adapters.memory.cache import LruCache
from omega.adapters.prometheus_meter.meter import LEVELS, PrometheusMeter


def samples(text: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    """The values by name and labels, as Prometheus reads them."""
    return {
        (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_what_is_told_is_shown() -> None:
    meter = PrometheusMeter()
    for seconds in (0.002, 0.2):
        meter.answered(route="/x/<name:name>", method="GET", status=200, seconds=seconds)
    meter.answered(route="", method="BREW", status=405, seconds=1000)
    meter.ended(resource="model", action="fit", status="SUCCESS")
    found = samples(meter.exposition(levels={"omega_tasks_open": 3}))
    assert found[("omega_http_requests_total", ("GET", "/x/<name:name>", "200"))] == 2
    assert found[("omega_http_requests_total", ("other", "", "405"))] == 1
    assert found[("omega_http_request_seconds_sum", ("GET", "/x/<name:name>"))] == pytest.approx(0.202)
    assert found[("omega_http_request_seconds_bucket", ("0.005", "GET", "/x/<name:name>"))] == 1
    assert found[("omega_http_request_seconds_bucket", ("+Inf", "other", ""))] == 1
    assert found[("omega_tasks_ended_total", ("fit", "model", "SUCCESS"))] == 1
    assert found[("omega_tasks_open", ())] == 3


@given(methods=st.lists(st.text(max_size=5)))
def test_clients_cannot_make_figures_without_end(methods: list[str]) -> None:
    meter = PrometheusMeter()
    for method in methods:
        meter.answered(route="", method=method, status=405, seconds=0)
    lines = meter.exposition(levels={}).splitlines()
    assert sum(line.startswith(b"omega_http_requests_total{") for line in lines) <= 8


def test_the_cache_tells_what_it_holds() -> None:
    meter = PrometheusMeter()
    cache = LruCache(100, meter)
    for key, size in (("a", 60), ("b", 30), ("c", 50), ("d", 1000)):
        assert cache.get(key) is None
        cache.put(key, key, size_bytes=size)
    assert (cache.get("c"), cache.get("a"), cache.get("d")) == ("c", None, None)
    found = samples(meter.exposition(levels={}))
    assert found[("omega_model_cache_bytes", ())] == 80
    assert found[("omega_model_cache_lookups_total", ("hit",))] == 1
    assert found[("omega_model_cache_lookups_total", ("miss",))] == 6


def test_every_level_has_words_and_a_name_of_ours() -> None:
    text = PrometheusMeter().exposition(levels=dict.fromkeys(LEVELS, 1.0))
    assert all(re.fullmatch("omega_[a-z_]+", name) for name in LEVELS)
    assert {name for name, _ in samples(text)} >= set(LEVELS)


PROCESS = """
import sys
from pathlib import Path
from omega.adapters.prometheus_meter.meter import PrometheusMeter
meter = PrometheusMeter(Path(sys.argv[1]))
meter.answered(route="/x", method="GET", status=200, seconds=0.1)
meter.holds(size_bytes=1000)
meter.looked_up(found=True)
print("ready", flush=True)
sys.stdin.read(1)
sys.stdout.buffer.write(meter.exposition(levels={}))
"""


def test_processes_add_up_and_what_a_dead_one_held_is_gone(tmp_path: Path) -> None:
    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        )
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        return process

    first, second, third = (start() for _ in range(3))
    first.kill()
    first.communicate()
    text, _ = second.communicate(b".")
    found = samples(text)
    assert found[("omega_http_requests_total", ("GET", "/x", "200"))] == 3
    assert found[("omega_http_request_seconds_count", ("GET", "/x"))] == 3
    assert found[("omega_model_cache_lookups_total", ("hit",))] == 3
    assert found[("omega_model_cache_bytes", ())] == 2000
    third.communicate(b".")
