"""What rules and keys cost a request: a prediction of one row over WSGI, on the embedded store.

    python bench/access.py [REQUESTS]

All ways are asked in turn, so that what else the machine does falls on all of them alike; the figures are of
CPU time in the thread.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from omega import Omega
from omega.domain.access import Right
from omega.domain.rules import Rules
from omega.entrypoints.http.app import build, routes
from omega.entrypoints.http.routing import build_app
from omega.entrypoints.limits import Limits
from tests.support.wsgi import call

PREDICT = ("POST", "/api/v1/model/m/predict/")
BODY = json.dumps({"data": [[1.0]]}).encode()
RULES = ["dataset/.*/get", "model/m/predict"]


def ways(omega: Omega) -> dict[str, tuple[Any, dict[str, str]]]:
    keys = {
        "a key": omega.keys.add("alice")[1],
        "a key with rules and a bucket, server rules": omega.keys.add("bob", rules=RULES, bucket="store")[1],
    }
    omega.keys.disable()
    free, ruled = build(omega, Limits()), build(omega, Limits(), rules=RULES)
    unguarded = build_app(routes(omega, Limits()), limits=Limits())
    sent = {name: {"authorization": f"Bearer {key}"} for name, key in keys.items()}
    return {
        "nobody is asked who he is": (unguarded, {}),
        "no key is needed": (free, {}),
        "rules, no key is needed": (ruled, {}),
        **{name: (ruled if "server rules" in name else free, headers) for name, headers in sent.items()},
    }


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as home, Omega((Path(home) / "s").as_uri(), home=home) as omega:
        omega.models.create("m", [["LinearRegression", {}]])
        omega.runtime.model("m").fit([[1.0], [2.0]], [1.0, 2.0])
        asked = ways(omega)
        seconds: dict[str, list[float]] = {name: [] for name in asked}
        for _ in range(requests):
            for name, (app, headers) in asked.items():
                started = time.thread_time()
                reply = call(app, *PREDICT, body=BODY, headers=headers)
                seconds[name].append(time.thread_time() - started)
                assert reply.status == 201, reply.body
    base = statistics.median(seconds["nobody is asked who he is"])
    for name, found in seconds.items():
        middle = statistics.median(found)
        print(f"{name:45} {middle * 1e6:6.0f} us  {middle / base:5.2f}")
    rules, right = Rules.parse(["model/(a+)+$/.*"], source="bench"), Right("model", "a" * 2000 + "!", "fit")
    started = time.thread_time()
    for _ in range(1000):
        rules.allows(right, bucket="store")
    print(f"(a+)+$ against a name of 2,001 characters: {(time.thread_time() - started) * 1e3:.1f} us")


if __name__ == "__main__":
    main()
