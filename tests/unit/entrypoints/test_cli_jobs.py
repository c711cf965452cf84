"""`om jobs`, `om scripts`, `om runtime job` and `om runtime script`, called in process. Notebooks and scripts
are executed in this process too.
"""

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from omega import Omega
from omega.entrypoints.cli.main import main
from tests.support.jobs import FakeRunner, FakeScripts, without_processes
from tests.support.notebooks import code, notebook, printed
from tests.support.services import Still

NOW = datetime(2016, 2, 6, 21, 33, 49, 833000, tzinfo=UTC)
KEY = int(NOW.timestamp())
RESULT = f"results/report_{KEY}.ipynb"
REPORT = notebook(code("n = 1\nm = 2", tags=["parameters"]), "print(n, m)")
FAILING = notebook("print('before')", "raise ValueError('x\\x1b[31m')")
SCRIPT = """
import sys
def run(om, *args, **kwargs):
    print('out')
    print('err', file=sys.stderr)
    if 'fail' in kwargs:
        raise ValueError('x\\x1b[31m')
    return [list(args), kwargs]
"""


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner()


@pytest.fixture
def scripts() -> FakeScripts:
    return FakeScripts()


Run = Callable[..., SimpleNamespace]


@pytest.fixture
def om(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    runner: FakeRunner,
    scripts: FakeScripts,
) -> Iterator[Run]:
    """Run `om`: what it wrote to standard output and error."""
    monkeypatch.setenv("OMEGA_HOME", str(tmp_path / "home"))
    for name in ("OMEGA_STORE", "OMEGA_QUEUE", "OMEGA_BUCKET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("report.ipynb").write_text(json.dumps(REPORT), encoding="utf-8")
    Path("failing.ipynb").write_text(json.dumps(FAILING), encoding="utf-8")
    Path("clean.py").write_text(SCRIPT, encoding="utf-8")

    def run(*arguments: str, code: int = 0) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["om", *arguments])
        with pytest.raises(SystemExit) as done:
            main()
        out, err = capfd.readouterr()
        assert done.value.code == code, (done.value.code, out, err)
        assert "Traceback" not in err and "\x1b" not in out + err
        return SimpleNamespace(
            out=out, err=err, json=json.loads(out) if "--json" in arguments and out else None
        )

    with without_processes(runner, scripts, Still(NOW)):
        yield run


def carry_out(tmp_path: Path) -> None:
    """What a worker does."""
    with Omega(home=tmp_path / "home") as omega:
        omega._services.work.run_waiting()


# jobs


def test_notebooks_go_in_and_out(om):
    for number, arguments in enumerate(
        (["report.ipynb"], ["report.ipynb", "report"], ["failing.ipynb", "report.ipynb"]), 1
    ):
        put = om("jobs", "put", *arguments, "--json").json
        assert (put["name"], put["version"], put["kind"]) == ("report.ipynb", number, "notebook.ipynb")
    for name, version in (("report@1", []), ("report.ipynb", ["--version", "1"])):
        assert om("jobs", "get", name, *version, "-o", "out.ipynb").out == ""
        assert json.loads(Path("out.ipynb").read_text()) == REPORT
    assert json.loads(om("jobs", "get", "report").out) == FAILING
    assert om("jobs", "metadata", "report@1", "--json").json["parameters"] == ["n", "m"]
    assert [one["name"] for one in om("jobs", "list", "--json").json] == ["report.ipynb"]
    assert "report.ipynb" in om("jobs", "list", "rep*").out
    om("jobs", "drop", "report")
    assert om("jobs", "list", "--json").json == []
    assert "there is no job 'report.ipynb'" in om("jobs", "get", "report", code=1).err


def test_a_python_file_becomes_a_notebook(om):
    Path("made.py").write_text('# %% tags=["parameters"]\nn = 1\n# %%\nprint(n)\n')
    put = om("jobs", "put", "made.py", "--json").json
    assert (put["name"], put["cells"], put["parameters"]) == ("made.ipynb", 2, ["n"])
    assert om("jobs", "put", "made.py", "f/other", "--json").json["name"] == "f/other.ipynb"


def test_a_notebook_with_large_numbers(om):
    Path("large.ipynb").write_text(json.dumps(notebook("1", number=10**30)))
    om("jobs", "put", "large.ipynb")
    assert json.loads(om("jobs", "get", "large").out)["metadata"] == {"number": 10**30}


def test_a_run(om, runner):
    om("jobs", "put", "report.ipynb")
    done = om("runtime", "job", "report", "run", "--param", "n=5", "--param", "m=five=5", "--timeout", "7")
    assert done.out == f"OK {RESULT}\n" and done.err == ""
    (call,) = runner.calls
    assert (call.parameters, call.limits.timeout_s) == ({"n": 5, "m": "five=5"}, 7)
    om("jobs", "export", RESULT, "-o", "out.ipynb")
    assert printed(json.loads(Path("out.ipynb").read_text())) == ["", "5 five=5\n"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ('"1"', "1"),
        ("[1, {}]", [1, {}]),
        ("one", "one"),
        ("", ""),
        ("NaN", "NaN"),
        ("{", "{"),
        ("größe", "größe"),
    ],
)
def test_a_value_is_json_or_text(om, runner, text, value):
    om("jobs", "put", "report.ipynb")
    om("runtime", "job", "report.ipynb", "run", "--param", f"n={text}")
    assert runner.calls[0].parameters == {"n": value}


def test_a_run_as_json(om):
    om("jobs", "put", "report.ipynb")
    run = om("runtime", "job", "report", "run", "--json").json
    assert (run["run"], run["status"], run["result"], run["version"]) == (str(KEY), "OK", RESULT, 1)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_notebook_that_fails(om, options):
    om("jobs", "put", "failing.ipynb", "report")
    failed = om("runtime", "job", "report", "run", *options, code=1)
    assert "om: cell 2 of 2: ValueError: x\\x1b[31m" in failed.err
    if options:
        assert (failed.json["status"], failed.json["error"]["cell"]) == ("ERROR", 2)
    else:
        assert failed.out == f"ERROR {RESULT}\n"
    assert "before" in om("jobs", "export", RESULT, "--format", "md").out


def test_runs_are_listed(om):
    om("jobs", "put", "report.ipynb")
    assert om("jobs", "results", "report", "--json").json == []
    om("runtime", "job", "report", "run")
    om("jobs", "put", "failing.ipynb", "report")
    om("runtime", "job", "report", "run", code=1)
    listed = om("jobs", "results", "report", "--json").json
    assert [(one["run"], one["status"]) for one in listed] == [(str(KEY + 1), "ERROR"), (str(KEY), "OK")]
    lines = om("jobs", "results", "report.ipynb").out.splitlines()
    assert lines[0].split() == ["result", "status", "started", "seconds", "message"]
    assert lines[3].split() == [RESULT, "OK", "2016-02-06", "21:33:49", "0.0"]
    assert "ValueError" in lines[2]
    page = om("jobs", "results", "report", "--limit", "1", "--offset", "1")
    assert RESULT in page.out and "1 of 2: see --limit and --offset" in page.err
    om("jobs", "drop", "report")
    assert len(om("jobs", "results", "report", "--json").json) == 2


@pytest.mark.parametrize(
    ("options", "begin"),
    [
        ([], "<!DOCTYPE html>"),
        (["--format", "md"], "```python"),
        (["--format", "py"], "# %%"),
        (["--format", "ipynb"], "{"),
        (["-o", "x.html"], "<!DOCTYPE html>"),
        (["-o", "x.HTM"], "<!DOCTYPE html>"),
        (["-o", "x.md"], "```python"),
        (["-o", "x.py"], "# %%"),
        (["-o", "x.ipynb"], "{"),
        (["-o", "x.txt", "--format", "md"], "```python"),
        (["-o", "x"], "<!DOCTYPE html>"),
        (["-o", "-"], "<!DOCTYPE html>"),
    ],
)
def test_reports(om, options, begin):
    om("jobs", "put", "report.ipynb")
    om("runtime", "job", "report", "run")
    for name in ("report", RESULT, f"report_{KEY}"):
        out = om("jobs", "export", name, *options).out
        if "-o" in options and "-" not in options:
            assert out == ""
            out = Path(options[1]).read_text()
        assert out.lstrip().startswith(begin)


def test_a_report_in_a_format_that_there_is_not(om):
    om("jobs", "put", "report.ipynb")
    assert "'x.pdf'" in om("jobs", "export", "report", "-o", "x.pdf", code=1).err
    assert not Path("x.pdf").exists()
    om("jobs", "export", "report", "--format", "pdf", code=2)


def test_a_run_that_is_left_to_a_worker(om, tmp_path, runner):
    om("jobs", "put", "report.ipynb")
    id = om("runtime", "job", "report", "run", "--async", "--param", "n=7", "--timeout", "5").out.strip()
    as_json = om("runtime", "job", "report", "run", "--async", "--json").json
    assert runner.calls == [] and om("runtime", "result", id).out == "PENDING\n"
    carry_out(tmp_path)
    answer = json.loads(om("runtime", "result", id).out)
    assert answer["job_runs"] == {str(KEY): "OK"} and answer["run"]["parameters"] == {"n": 7}
    assert json.loads(om("runtime", "result", as_json["task_id"]).out)["job_runs"] == {str(KEY + 1): "OK"}
    om("jobs", "put", "failing.ipynb", "report")
    id = om("runtime", "job", "report", "run", "--async").out.strip()
    carry_out(tmp_path)
    assert "cell 2 of 2: ValueError" in om("runtime", "result", id, code=1).err


def test_schedules(om):
    om("jobs", "put", "report.ipynb")
    arguments = ["--cron", "30 6 * * mon-fri", "--tz", "Europe/Berlin", "--param", "n=5", "--timeout", "60"]
    found = om("jobs", "schedule", "report", *arguments, "--json").json
    assert (found["cron"], found["tz"], found["parameters"], found["timeout"]) == (
        "30 6 * * mon-fri",
        "Europe/Berlin",
        {"n": 5},
        60,
    )
    assert len(found["next"]) == 5
    shown = om("jobs", "schedule", "report.ipynb", "--json").json
    assert shown == {**found, "next": shown["next"]}
    assert "30 6 * * mon-fri" in om("jobs", "schedule", "report").out
    assert om("jobs", "unschedule", "report").out == ""
    for command in ("schedule", "unschedule"):
        assert (
            "job 'report.ipynb' in bucket 'store' has no schedule"
            in om("jobs", command, "report", code=1).err
        )
    om("jobs", "schedule", "report", "--cron", "@hourly")
    assert om("jobs", "unschedule", "report", "--json").json == {"name": "report", "unscheduled": True}
    om("jobs", "schedule", "report", "--cron", "@hourly")
    om("jobs", "drop", "report")
    om("jobs", "put", "report.ipynb")
    om("jobs", "schedule", "report", code=1)


def test_buckets_are_apart(om, runner):
    om("jobs", "put", "report.ipynb", "--bucket", "team")
    om("jobs", "get", "report", code=1)
    om("runtime", "job", "report", "run", "--bucket", "team")
    environment = runner.calls[0].environment
    assert (environment["OMEGA_BUCKET"], environment["OMEGA_QUEUE"]) == ("team", "memory://")
    assert len(om("jobs", "results", "report", "--bucket", "team", "--json").json) == 1
    om("jobs", "results", "report", code=1)


# scripts


def test_scripts_go_in_and_out(om):
    assert om("scripts", "put", "clean.py", "--json").json["name"] == "clean"
    put = om("scripts", "put", "clean.py", "f/other", "--json").json
    assert (put["name"], put["kind"], put["version"]) == ("f/other", "python.script", 1)
    assert om("scripts", "get", "clean").out == SCRIPT
    om("scripts", "get", "clean@1", "-o", "out.py")
    assert Path("out.py").read_text() == SCRIPT
    assert om("scripts", "get", "clean", "--json").json["code"] == SCRIPT
    assert [one["name"] for one in om("scripts", "list", "--json").json] == ["clean", "f/other"]
    assert om("scripts", "metadata", "clean", "--json").json["lines"] == SCRIPT.count("\n") + 1
    om("scripts", "drop", "clean")
    assert "there is no script 'clean'" in om("runtime", "script", "clean", "run", code=1).err


def test_a_script_is_called(om, scripts):
    om("scripts", "put", "clean.py", "s")
    called = om(
        "runtime", "script", "s", "run", "1", "one", "--param", "k=[2]", "--param", "name=x", "--timeout", "7"
    )
    assert json.loads(called.out) == [[1, "one"], {"k": [2], "name": "x"}]
    assert called.err == "out\nerr\n"
    assert scripts.calls[0].timeout_s == 7 and scripts.calls[0].environment["OMEGA_BUCKET"] == "store"
    answer = om("runtime", "script", "s", "run", "--json").json
    assert (answer["script"], answer["result"], answer["stdout"]) == ("s", [[], {}], "out\n")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_script_that_fails(om, options):
    om("scripts", "put", "clean.py", "s")
    failed = om("runtime", "script", "s", "run", "--param", "fail=1", *options, code=1)
    assert "om: script 's' (line 1): ValueError: x\\x1b[31m" in failed.err
    if options:
        assert failed.json["error"]["name"] == "ValueError"
    else:
        assert failed.out == "" and failed.err.startswith("out\nerr\n")


def test_a_call_that_is_left_to_a_worker(om, tmp_path):
    om("scripts", "put", "clean.py", "s")
    id = om("runtime", "script", "s", "run", "1", "--async").out.strip()
    as_json = om("runtime", "script", "s", "run", "--async", "--json").json["task_id"]
    carry_out(tmp_path)
    assert json.loads(om("runtime", "result", id).out)["result"] == [[1], {}]
    assert json.loads(om("runtime", "result", as_json).out)["result"] == [[], {}]


# errors


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("jobs", "put", "none.ipynb"), 1, "om: cannot read 'none.ipynb'"),
        (("jobs", "put", "bad.ipynb"), 1, "om: malformed JSON"),
        (("jobs", "put", "bad.py"), 1, "om: 'bad.py' is not UTF-8 text"),
        (("jobs", "put", "report.ipynb", "results/x"), 1, "om: illegal job name 'results/x'"),
        (("jobs", "put", "report.ipynb", "export/x"), 1, "om: illegal job name 'export/x'"),
        (("jobs", "put", "report.ipynb", "x.ipynb.ipynb"), 1, "twice"),
        (("jobs", "put", "report.ipynb", "run.ipynb"), 1, "action word 'run'"),
        (("jobs", "put", "report.ipynb", "../x"), 1, "om: illegal job name"),
        (("jobs", "get", "../x"), 1, "om: illegal job name"),
        (("jobs", "get", "report@9"), 1, "no version 9"),
        (("jobs", "drop", "none"), 1, "there is no job 'none.ipynb'"),
        (("jobs", "results", "none"), 1, "there is no job 'none.ipynb'"),
        (("jobs", "export", "none"), 1, "none"),
        (("jobs", "export", "results/none_1.ipynb"), 1, "there is no result"),
        (("jobs", "schedule", "none", "--cron", "* * * * *"), 1, "there is no job 'none.ipynb'"),
        (("jobs", "schedule", "report", "--cron", "61 * * * *"), 1, "minute '61'"),
        (("jobs", "schedule", "report", "--cron", "* * * * *", "--tz", "Mars"), 1, "timezone 'Mars'"),
        (("jobs", "schedule", "report", "--cron", "* * * * *", "--timeout", "0"), 2, "--timeout"),
        (("jobs", "unschedule", "report"), 1, "has no schedule"),
        (("runtime", "job", "none", "run"), 1, "there is no job 'none.ipynb'"),
        (("runtime", "job", "none", "run", "--async"), 1, "there is no job 'none.ipynb'"),
        (("runtime", "job", "results/x", "run"), 1, "om: illegal job name 'results/x'"),
        (("runtime", "job", "report", "run", "--param", "x=1"), 1, "declared: n, m"),
        (("runtime", "job", "report", "run", "--param", "n"), 1, "--param 'n' is not of the form NAME=VALUE"),
        (("runtime", "job", "report", "run", "--param", "=1"), 1, "not of the form NAME=VALUE"),
        (("runtime", "job", "report", "run", "--param", "n=1", "--param", "n=2"), 1, "'n' is given twice"),
        (("runtime", "job", "report", "run", "--param", f"n={2**70}"), 1, "not JSON"),
        (("runtime", "job", "report", "run", "--timeout", "0"), 2, "--timeout"),
        (("runtime", "job", "report", "run", "--timeout", "2592001"), 1, "a timeout of 2592001 s"),
        (("runtime", "job", "report", "walk"), 2, "'walk'"),
        (("runtime", "job", "report"), 2, "Missing argument"),
        (("scripts", "put", "none.py"), 1, "om: cannot read 'none.py'"),
        (("scripts", "put", "bad.py"), 1, "om: 'bad.py' is not UTF-8 text"),
        (("scripts", "put", "report.ipynb"), 1, "it has no function run"),
        (("scripts", "put", "clean.py", "run"), 1, "action word 'run'"),
        (("runtime", "script", "none", "run"), 1, "there is no script 'none'"),
        (("runtime", "script", "../x", "run"), 1, "illegal script name"),
        (("runtime", "script", "s", "run", "--timeout", "2592001"), 1, "a timeout of 2592001 s"),
        (("runtime", "script", "s", "walk"), 2, "'walk'"),
    ],
)
def test_errors_are_one_sentence_on_stderr(om, arguments, code, words):
    Path("bad.ipynb").write_text("{")
    Path("bad.py").write_bytes(b"\xff")
    om("jobs", "put", "report.ipynb")
    om("scripts", "put", "clean.py", "s")
    failed = om(*arguments, code=code)
    assert words in failed.err and failed.out == ""
    assert om("jobs", "results", "report", "--json").json == []
    assert [one["name"] for one in om("jobs", "list", "--json").json] == ["report.ipynb"]
