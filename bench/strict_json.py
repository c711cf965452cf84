"""Strict JSON against `json.loads`, on bodies of about 10 MB.

python bench/strict_json.py
"""

import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from omega.entrypoints.strict_json import parse_json

ROWS = 60_000
COLUMNS = "abcdef"


def bodies() -> dict[str, Any]:
    draw = random.Random(1)
    return {
        "columns of floats": {c: {str(i): draw.random() for i in range(ROWS)} for c in COLUMNS},
        "lists of floats": {c: [draw.random() for _ in range(2 * ROWS)] for c in COLUMNS},
        "lists of integers": {c: [draw.randrange(10**6) for _ in range(4 * ROWS)] for c in COLUMNS},
        "records": [{"a": i, "b": draw.random(), "c": "word"} for i in range(3 * ROWS)],
        "columns of strings": {c: {str(i): f"a string, the {i}th" for i in range(ROWS)} for c in COLUMNS},
    }


def best_ms(function: Callable[[bytes], Any], raw: bytes) -> float:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        value = function(raw)
        times.append(time.perf_counter() - began)
        del value
    return min(times) * 1000


def main() -> None:
    for name, value in bodies().items():
        raw = json.dumps({"data": value}).encode()
        theirs, ours = best_ms(json.loads, raw), best_ms(parse_json, raw)
        ratio = f"{ours / theirs:.2f} times"
        print(f"{name:20} {len(raw) / 1e6:5.1f} MB  json {theirs:4.0f} ms  strict {ours:4.0f} ms  {ratio}")


if __name__ == "__main__":
    main()
