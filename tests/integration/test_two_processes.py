"""Several processes on one store."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from omega import Omega
from tests.support.server import environment

StoreOf = Callable[[Path], str]
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


def test_no_acknowledged_append_is_lost(tmp_path: Path, store_of: StoreOf) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(n), str(APPENDS)],
            env=environment(tmp_path, OMEGA_STORE=store_of(tmp_path)),
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
    with Omega(store_of(tmp_path), home=tmp_path) as omega:
        frame = omega.datasets.get("shared")
        assert omega.datasets.metadata("shared").version == 3 * APPENDS
    expected = pd.DataFrame(
        [(w, n) for w in range(3) for n in range(APPENDS) for _ in range(2)], columns=["writer", "number"]
    )
    pd.testing.assert_frame_equal(frame.sort_values(["writer", "number"], ignore_index=True), expected)
    for writer_rows in frame.groupby("writer")["number"]:
        assert writer_rows[1].is_monotonic_increasing


MIXER = """
import random
import sys
import pandas as pd
import omega as om

chance = random.Random(int(sys.argv[1]))
done = 0
for _ in range(int(sys.argv[2])):
    name = chance.choice("ab")
    frame = pd.DataFrame({"writer": [int(sys.argv[1])] * 3})
    try:
        match chance.choice(["append", "append", "replace", "get", "drop", "fit", "predict", "model"]):
            case "append":
                om.datasets.put(frame, name)
            case "replace":
                om.datasets.put(frame, name, append=False)
            case "get":
                assert len(om.datasets.get(name)) % 3 == 0
            case "drop":
                om.datasets.drop(name)
            case "fit":
                om.runtime.model(name).fit([[1.0], [2.0]], [1.0, 2.0])
            case "predict":
                om.runtime.model(name).predict([[1.0]])
            case "model" if chance.random() < 0.5:
                om.models.drop(name)
            case "model":
                om.models.create(name, [["Ridge", {}]], replace=True)
    except (om.NotFound, om.NotFitted, om.Conflict):
        pass
"""


def test_a_mix_of_everything_on_the_same_names_never_finds_damage(tmp_path: Path, store_of: StoreOf) -> None:
    mixers = [
        subprocess.Popen(
            [sys.executable, "-c", MIXER, str(n), "250"],
            env=environment(tmp_path, OMEGA_STORE=store_of(tmp_path)),
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(3)
    ]
    for mixer in mixers:
        _, errors = mixer.communicate(timeout=240)
        assert mixer.returncode == 0, errors
    with Omega(store_of(tmp_path), home=tmp_path) as omega:
        for name in omega.datasets.list():
            for version in range(1, omega.datasets.metadata(name).version + 1):
                assert len(omega.datasets.get(name, version=version)) % 3 == 0
            omega.datasets.drop(name)
        for name in omega.models.list():
            omega.models.get(name)
            omega.models.drop(name)
        left = list(omega._services.datasets.payloads.blobs.ids())
    assert left == [], "payloads that nothing points to, although nobody crashed"
