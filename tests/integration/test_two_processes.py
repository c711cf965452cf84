"""Several processes on one embedded store."""

import subprocess
import sys
from pathlib import Path

import pandas as pd

from omega import Omega
from tests.support.server import environment

APPENDS = 40
WRITER = """
import sys
import pandas as pd
import omega as om

writer, appends = int(sys.argv[1]), int(sys.argv[2])
for number in range(appends):
    om.datasets.put(pd.DataFrame({"writer": [writer, writer], "number": [number, number]}), "shared")
    print(number, flush=True)
"""


def test_no_acknowledged_append_is_lost(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(n), str(APPENDS)],
            env=environment(tmp_path),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(3)
    ]
    for writer in writers:
        out, _ = writer.communicate(timeout=120)
        assert writer.returncode == 0
        assert out.split() == [str(n) for n in range(APPENDS)]
    with Omega(home=tmp_path) as omega:
        frame = omega.datasets.get("shared")
        assert omega.datasets.metadata("shared").version == 3 * APPENDS
    expected = pd.DataFrame(
        [(w, n) for w in range(3) for n in range(APPENDS) for _ in range(2)], columns=["writer", "number"]
    )
    pd.testing.assert_frame_equal(frame.sort_values(["writer", "number"], ignore_index=True), expected)
    for writer_rows in frame.groupby("writer")["number"]:
        assert writer_rows[1].is_monotonic_increasing
