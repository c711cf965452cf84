"""Load by wrk (https://github.com/wg/wrk), a Debian package: how much a server answers, and how late."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from attrs import frozen

_SCRIPT: Final = """
wrk.method = "{method}"
wrk.body = [==[{body}]==]
wrk.headers["Content-Type"] = "application/json"
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n@{{"requests": %d, "us": %d, "p50": %d, "p99": %d, "errors": %d}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@frozen
class Load:
    """What was answered; `errors` are answers over 399 and broken connections too."""

    rate: float
    p50_ms: float
    p99_ms: float
    errors: int


def load(url: str, body: str = "", *, method: str = "POST", connections: int = 8, seconds: int = 3) -> Load:
    """One request again and again, on so many connections at once, by one thread."""
    with tempfile.TemporaryDirectory() as home:
        script = Path(home) / "request.lua"
        script.write_text(_SCRIPT.format(method=method, body=body))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", str(script), url]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = json.loads(told.rpartition("@")[2])
    return Load(
        rate=found["requests"] / (found["us"] / 1e6),
        p50_ms=found["p50"] / 1000,
        p99_ms=found["p99"] / 1000,
        errors=found["errors"],
    )
