"""The command line, called in process: what it prints, where, and its exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

import omega
from omega.entrypoints.cli.main import main


@pytest.fixture
def om(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("OMEGA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("OMEGA_STORE", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments, code=0):
        monkeypatch.setattr(sys, "argv", ["om", *arguments])
        with pytest.raises(SystemExit) as done:
            main()
        out, err = capfd.readouterr()
        assert done.value.code == code, (done.value.code, out, err)
        if code:
            assert "Traceback" not in err
        return out if code == 0 else err

    return run


FRAME = pd.DataFrame({"x": [1, 2, 3], "y": [2.5, 4.5, 6.5], "s": ["a", None, "ü"]})


@pytest.mark.parametrize("extension", ["csv", "parquet", "arrow", "ndjson"])
def test_frames_go_in_and_out_by_extension(om, extension):
    FRAME.to_parquet("in.parquet")
    om("datasets", "put", "in.parquet", "first")
    om("datasets", "get", "first", "-o", f"out.{extension}")
    put = json.loads(om("datasets", "put", f"out.{extension}", "second", "--json"))
    assert (put["name"], put["kind"], put["rows"], put["version"]) == ("second", "pandas.dfrows", 3, 1)
    om("datasets", "get", "second", "-o", "back.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet("back.parquet"), FRAME)


def test_append_replace_versions_and_drop(om):
    Path("d.csv").write_text("x\n1\n2\n")
    for version, rows, options in [(1, 2, ()), (2, 4, ()), (3, 2, ("--replace",))]:
        put = json.loads(om("datasets", "put", "d.csv", "d", "--json", *options))
        assert (put["version"], put["rows"]) == (version, rows)
    assert om("datasets", "get", "d@2", "--format", "csv") == "x\n1\n2\n1\n2\n"
    assert om("datasets", "get", "d", "--version", "1", "--where", "x__gt=1", "--format", "csv") == "x\n2\n"
    assert json.loads(om("datasets", "get", "d", "--json"))["data"] == {"x": {"0": 1, "1": 2}}
    assert om("datasets", "drop", "d") == ""
    assert om("datasets", "list", "--json").strip() == "[]"


def test_other_files(om):
    Path("v.json").write_text('{"a": [1, null]}')
    np.save("n.npy", np.arange(4).reshape(2, 2))
    Path("f.bin").write_bytes(b"\x00\xff")
    for file, kind in [("v.json", "python.data"), ("n.npy", "ndarray.bin"), ("f.bin", "python.file")]:
        assert json.loads(om("datasets", "put", file, file, "--json"))["kind"] == kind
        om("datasets", "get", file, "-o", f"out-{file}")
    assert json.loads(Path("out-v.json").read_text()) == {"a": [1, None]}
    np.testing.assert_array_equal(np.load("out-n.npy"), np.arange(4).reshape(2, 2))
    assert Path("out-f.bin").read_bytes() == b"\x00\xff"


def test_tables(om):
    FRAME.to_parquet("in.parquet")
    om("datasets", "put", "in.parquet", "folder/first")
    lines = om("datasets", "list").splitlines()
    assert lines[0].split() == ["name", "kind", "version", "modified"]
    assert lines[2].split()[:3] == ["folder/first", "pandas.dfrows", "1"]
    shown = om(
        "datasets", "get", "folder/first", "--sort=-x", "--limit", "2", "--columns", "x,s"
    ).splitlines()
    assert [line.split() for line in shown] == [
        ["x", "s"],
        shown[1].split(),
        ["2", "3", "ü"],
        ["1", "2", "nan"],
    ]
    assert "rows" in om("datasets", "metadata", "folder/first")
    assert om("datasets", "list", "no*").splitlines()[2:] == []


def test_models(om):
    FRAME.to_parquet("in.parquet")
    om("datasets", "put", "in.parquet", "d")
    om("models", "put", "Ridge", "m")
    fit = json.loads(om("runtime", "model", "m", "fit", "d[x]", "d[y]", "--json"))
    assert (fit["version"], fit["fitted"]) == (2, True)
    expected = Ridge().fit(FRAME[["x"]], FRAME["y"]).predict(FRAME[["x"]])
    np.testing.assert_array_equal(json.loads(om("runtime", "model", "m", "predict", "d[x]")), expected)
    Path("new.csv").write_text("x\n1\n")
    np.testing.assert_array_equal(
        json.loads(om("runtime", "model", "m", "predict", "@new.csv")), expected[:1]
    )
    om("runtime", "model", "m", "score", "d[x]", "d[y]", "-o", "score.json")
    assert 0 < json.loads(Path("score.json").read_text()) < 1
    om("models", "get", "m", "-o", "m.joblib")
    np.testing.assert_array_equal(joblib.load("m.joblib").predict(FRAME[["x"]].to_numpy()), expected)
    Path("spec.json").write_text('{"pipeline": [["StandardScaler", {}], ["Ridge", {"alpha": 2}]]}')
    assert json.loads(om("models", "put", "spec.json", "m", "--replace", "--json"))["version"] == 3
    assert json.loads(om("models", "metadata", "m@2", "--json"))["fitted"] is True
    assert [item["name"] for item in json.loads(om("models", "list", "--json"))] == ["m"]
    om("models", "drop", "m")
    assert "there is no model 'm'" in om("models", "metadata", "m", code=1)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("datasets", "get", "none"), 1, "om: there is no dataset 'none' in bucket 'store'"),
        (("datasets", "get", "../x"), 1, "om: illegal dataset name"),
        (("datasets", "put", "none.csv", "d"), 1, "om: cannot read 'none.csv'"),
        (("datasets", "put", "bad.csv", "d"), 1, "om: "),
        (("datasets", "put", "bad.npy", "d"), 1, "not a .npy array"),
        (("datasets", "list", "--store", "ftp://x"), 1, "of no known form: give file:///"),
        (("models", "put", "NoSuchModel", "m"), 1, "NoSuchModel"),
        (("models", "put", "{}", "m"), 1, "list of steps"),
        (("models", "put", "./binary", "m"), 1, "'./binary' is not a pipeline spec: it is not text"),
        (("runtime", "model", "m", "predict", "d"), 1, "there is no model 'm'"),
        (("runtime", "model", "m", "predict"), 1, "needs X"),
        (("runtime", "serve", "--host", "0.0.0.0"), 1, "--insecure"),
        (("runtime", "serve", "--store", "memory://", "--workers", "2"), 1, "one process"),
        (("datasets", "get"), 2, "Missing argument"),
        (("datasets", "get", "d", "--where", "x"), 2, "--where"),
        (("nonsense",), 2, "No such command"),
    ],
)
def test_errors_are_one_sentence_on_stderr(om, arguments, code, words):
    Path("bad.csv").write_text("x,x\n1,2\n")
    Path("bad.npy").write_text("no array")
    Path("binary").write_bytes(b"\xff\x00")
    assert words in om(*arguments, code=code)


def test_what_is_written_is_whole_or_not_there(om):
    om("datasets", "list")
    frame = pd.DataFrame({"x": [1.0, float("inf")]})
    frame.to_parquet("in.parquet")
    om("datasets", "put", "in.parquet", "inf")
    Path("keep.json").write_text("precious")
    Path("keep.json").chmod(0o640)
    assert "infinit" in om("datasets", "get", "inf", "-o", "keep.json", code=1)
    assert Path("keep.json").read_text() == "precious"
    om("datasets", "get", "inf", "-o", "keep.json", "--where", "x__lt=2")
    assert json.loads(Path("keep.json").read_text())["data"] == {"x": {"0": 1.0}}
    assert Path("keep.json").stat().st_mode & 0o777 == 0o640
    assert sorted(p.name for p in Path().iterdir()) == ["home", "in.parquet", "keep.json"]
    om("datasets", "get", "inf", "-o", "/dev/null", "--format", "csv")
    assert not Path("/dev/null").is_file()
    assert "cannot write a frame as .npy" in om("datasets", "get", "inf", "-o", "x.npy", code=1)
    assert "cannot write 'no/dir.csv'" in om("datasets", "get", "inf", "-o", "no/dir.csv", code=1)


def test_missing_datetimes_are_shown(om):
    pd.DataFrame({"t": pd.to_datetime(["2026-01-02 03:04:05", None])}).to_parquet("t.parquet")
    om("datasets", "put", "t.parquet", "t")
    assert [line.split()[1:] for line in om("datasets", "get", "t").splitlines()[2:]] == [
        ["2026-01-02", "03:04:05"],
        ["NaT"],
    ]


def test_buckets_are_apart(om):
    Path("d.csv").write_text("x\n1\n")
    om("datasets", "put", "d.csv", "d", "--bucket", "other")
    assert json.loads(om("datasets", "list", "--json")) == []
    assert json.loads(om("datasets", "list", "--json", "--bucket", "other"))[0]["bucket"] == "other"


def test_control_characters_do_not_reach_the_terminal(om):
    Path("d.csv").write_text("x\n\x1b[31mred\n")
    om("datasets", "put", "d.csv", "d")
    assert "\x1b" not in om("datasets", "get", "d")


#: What takes longer to import than to start Python.
HEAVY = {"numpy", "pandas", "pyarrow", "scipy", "sklearn", "matplotlib", "nbconvert", "nbformat", "papermill"}
#: What is no use without a store.
LATER = {"attrs", "bottle", "granian", "orjson", "psutil", "rich", "sqlite3"}


def imported_by(code, home, heavy):
    """Which of the modules are there after the code; what the code prints comes first."""
    code = f"import sys\ntry:\n    {code}\nexcept SystemExit: pass\nprint(sorted({heavy} & set(sys.modules)))"
    env = {**os.environ, "OMEGA_HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    return done.stdout.rpartition("\n[")


def called(*args):
    return f"from omega.entrypoints.cli.main import main; sys.argv = ['om', *{args}]; main()"


def test_help_and_import_wait_for_nothing(tmp_path):
    printed, _, heavy = imported_by(called("--help"), tmp_path, HEAVY | LATER)
    assert heavy == "]\n"
    for group in ("datasets", "models", "runtime"):
        assert group in printed
    assert imported_by("import omega", tmp_path, HEAVY | LATER) == ("", "", "[]\n")


def test_lists_of_datasets_wait_for_nothing_that_reads_them(tmp_path):
    with omega.Omega(home=tmp_path) as om:
        om.datasets.put({"a": [1]}, "d")
    for args, shown in (("list",), "d"), (("metadata", "d"), "python.data"):
        printed, _, heavy = imported_by(called("datasets", *args, "--json"), tmp_path, HEAVY)
        assert shown in printed
        assert heavy == "]\n"


@pytest.mark.parametrize(
    "module",
    [
        "omega.entrypoints.worker.supervisor",  # Its processes need the cores that it would take.
        "omega.entrypoints.http.server",  # So do those of a server.
        "omega.entrypoints.care",
        "omega.adapters.huey_queue.queue",
    ],
)
def test_processes_that_look_after_others_wait_for_nothing(module, tmp_path):
    assert imported_by(f"import {module}", tmp_path, HEAVY) == ("", "", "[]\n")
