"""Scripts in real processes: the contract, and what only this runner promises."""

import logging
import os
import re
import secrets
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

import omega
from omega.adapters.subprocess_scripts import guard
from omega.adapters.subprocess_scripts.scripts import SubprocessScriptRunner
from omega.ports.scripts import InvalidScript, ScriptOutcome, ScriptsUnavailable
from tests.contracts.scripts import LEAVERS, ScriptRunnerSuite, bearers, dedent, is_alive, until

MIB = 1 << 20


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (path := tmp_path / "calls").mkdir()
    return path


@pytest.fixture
def runner(directory: Path) -> SubprocessScriptRunner:
    return SubprocessScriptRunner(
        om="types:SimpleNamespace",
        source_bytes=100_000,
        result_bytes=200_000,
        output_bytes=10_000,
        directory=directory,
    )


class TestSubprocessScriptRunner(ScriptRunnerSuite):
    @pytest.fixture(autouse=True)
    def nothing_is_left(self, directory: Path) -> Any:
        yield
        until(lambda: list(directory.iterdir()) == [])  # the guard removes what a killed caller left


def call(runner: SubprocessScriptRunner, source: str, *args: Any, **options: Any) -> ScriptOutcome:
    environment = {"PATH": os.environ["PATH"], **options.pop("environment", {})}
    options = {"timeout_s": 60, "memory_bytes": 1024 * MIB, **options}
    return runner.run(dedent(source), args=args, environment=environment, **options)


# om


def test_om_is_the_store_of_the_environment(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1, 2, 3]})
    environment = {"OMEGA_HOME": str(tmp_path / "home"), "OMEGA_STORE": (tmp_path / "store").as_uri()}
    source = """
        def run(om, factor):
            frame = om.datasets.get("sample")
            om.datasets.put(frame * factor, "scaled")
            return {"bucket": om.bucket, "sum": frame["x"].sum()}
    """
    with omega.Omega(environment["OMEGA_STORE"], home=environment["OMEGA_HOME"]) as om:
        for bucket, within in (("store", {}), ("other", {"OMEGA_BUCKET": "other"})):
            om[bucket].datasets.put(frame, "sample")
            outcome = call(SubprocessScriptRunner(), source, 10, environment=environment | within)
            assert outcome == ScriptOutcome(result={"bucket": bucket, "sum": 6})
            pd.testing.assert_frame_equal(om[bucket].datasets.get("scaled"), frame * 10)


def test_what_om_raises_is_raised(tmp_path: Path) -> None:
    environment = {"OMEGA_HOME": str(tmp_path / "home"), "OMEGA_STORE": (tmp_path / "store").as_uri()}
    source = "def run(om):\n    return om.datasets.get('no such')"
    outcome = call(SubprocessScriptRunner(), source, environment=environment)
    assert outcome.error
    assert (outcome.failure, outcome.error.name, outcome.error.line) == ("raised", "NotFound", 2)


def test_an_om_that_cannot_be_made_is_raised_without_a_line(tmp_path: Path) -> None:
    environment = {"OMEGA_HOME": str(tmp_path), "OMEGA_STORE": "gopher://x"}
    outcome = call(SubprocessScriptRunner(), "def run(om): return 1", environment=environment)
    assert outcome.error
    assert (outcome.failure, outcome.error.name, outcome.error.line) == ("raised", "BadInput", None)


def test_om_is_not_made_for_a_check() -> None:
    SubprocessScriptRunner(om="no_such:module").check("def run(om): pass")


# files


@pytest.mark.parametrize("end", ["return totals", "os._exit(1)"])
def test_joblib_works_and_leaves_no_data(runner: SubprocessScriptRunner, end: str) -> None:
    source = f"""
        import joblib, numpy as np, os
        def total(array): return float(array.sum())
        def run(om):
            array = np.ones(300_000)
            with joblib.Parallel(n_jobs=2, max_nbytes=1000) as parallel:
                totals = parallel(joblib.delayed(total)(array) for _ in range(4))
                print(os.getpid(), totals)
                {end}
    """
    pid, _, totals = call(runner, source).stdout.partition(" ")
    assert totals == "[300000.0, 300000.0, 300000.0, 300000.0]\n"
    left = [path for path in Path("/dev/shm").iterdir() if pid in re.split("[-_]", path.name)]
    # Of joblib's semaphores, some bytes each, only its own tracker knows the names.
    for semaphore in [path for path in left if path.name.startswith("sem.loky-")]:
        semaphore.unlink()
        left.remove(semaphore)
    assert left == []


@pytest.mark.parametrize(
    "forgery",
    [
        "report.write_text('{')",
        "report.write_text('[1]')",
        'report.write_text(\'{"failure": "own", "error": {"name": "x", "message": "", "line": 1}}\')',
        'report.write_text(\'{"failure": "raised", "error": {"name": 1, "message": "", "line": 1}}\')',
        "report.write_text('{\"result\": NaN}')",
        'report.write_text(\'{"result": "\\\\ud800"}\')',
        'report.write_text(\'{"result": "\' + "x" * 300_000 + \'"}\')',
        'report.write_bytes(b\'{"result": "\\xff"}\')',
        "report.mkdir()",
        "os.mkfifo(report)",
        "report.symlink_to('/dev/zero')",
        "(report.parent / 'x').write_text('{\"result\": 1}'); report.symlink_to(report.parent / 'x')",
        "report.symlink_to(report)",
    ],
)
def test_a_forged_report_is_none(runner: SubprocessScriptRunner, forgery: str) -> None:
    source = "import os, pathlib\ndef run(om):\n    report = pathlib.Path('../report.json').absolute()\n"
    outcome = call(runner, f"{source}    {forgery}\n    os._exit(0)")
    assert outcome.failure == "died"


def test_a_report_that_cannot_be_written_is_told(runner: SubprocessScriptRunner, directory: Path) -> None:
    source = "import os, shutil\ndef run(om): shutil.rmtree(os.path.dirname(os.getcwd()))"
    outcome = call(runner, source)
    assert outcome.failure == "died"
    assert "FileNotFoundError" in outcome.stderr
    assert list(directory.iterdir()) == []


def test_a_directory_that_cannot_be_removed_is_logged(
    runner: SubprocessScriptRunner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
    with caplog.at_level(logging.WARNING):
        assert call(runner, "def run(om): return 1").result == 1
    assert "cannot remove" in caplog.text


# processes


@pytest.mark.parametrize("leaver", ["child", "session of its own", "daemon"])
@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM", "SIGSTOP"])
def test_a_script_that_attacks_its_guard_leaves_nothing(
    runner: SubprocessScriptRunner, leaver: str, number: str
) -> None:
    source = dedent(LEAVERS[leaver]) + (
        "import os, signal, time\n"
        "def run(om):\n"
        "    print(leave(), flush=True)\n"
        f"    os.kill(os.getppid(), signal.{number})\n"
        "    time.sleep(600)\n"
    )
    token = secrets.token_hex(16)
    outcome = call(runner, source, environment={"TOKEN": token}, timeout_s=2)
    assert outcome.failure == ("timeout" if number == "SIGSTOP" else "died")
    assert outcome.error
    assert outcome.failure == "timeout" or "watches" in outcome.error.message
    assert bearers(token) == []
    assert not is_alive(int(outcome.stdout))


def test_a_script_that_kills_its_guard_and_has_no_mark_dies(runner: SubprocessScriptRunner) -> None:
    source = """
        import os, sys
        CODE = "import os, signal, time; os.kill(os.getppid(), signal.SIGKILL); time.sleep(600)"
        def run(om):
            print(os.getpid(), flush=True)
            os.execve(sys.executable, [sys.executable, "-c", CODE], {})
    """
    outcome = call(runner, source)
    assert outcome.failure == "died"
    until(lambda: not is_alive(int(outcome.stdout)))


def test_a_guard_that_is_stopped_still_ends_what_bears_no_mark(runner: SubprocessScriptRunner) -> None:
    source = dedent(LEAVERS["without environment and output"]) + (
        "import os, signal, time\n"
        "def run(om):\n"
        "    print(leave(), flush=True)\n"
        "    os.kill(os.getppid(), signal.SIGSTOP)\n"
        "    time.sleep(600)\n"
    )
    outcome = call(runner, source, timeout_s=2)
    assert outcome.failure == "timeout"
    assert not is_alive(int(outcome.stdout))


def test_a_guard_that_is_stopped_again_and_again_is_replaced(runner: SubprocessScriptRunner) -> None:
    source = """
        import os, signal
        def run(om):
            while True:
                os.kill(os.getppid(), signal.SIGSTOP)
    """
    token = secrets.token_hex(16)
    assert call(runner, source, environment={"TOKEN": token}, timeout_s=1).failure == "timeout"
    assert bearers(token) == []


def test_no_core_is_dumped(runner: SubprocessScriptRunner) -> None:
    source = "import resource\ndef run(om): return resource.getrlimit(resource.RLIMIT_CORE)"
    assert call(runner, source).result == [0, 0]


def test_the_script_has_a_session_of_its_own(runner: SubprocessScriptRunner) -> None:
    pid, session, group = call(
        runner, "import os\ndef run(om): return [os.getpid(), os.getsid(0), os.getpgrp()]"
    ).result
    assert pid == session == group


def test_no_descriptor_of_the_caller_is_open(runner: SubprocessScriptRunner, tmp_path: Path) -> None:
    source = """
        import os
        def run(om):
            # 0 to 2, and the one that lists the directory.
            return [os.readlink("/proc/self/fd/0"), sorted(os.listdir("/proc/self/fd"))]
    """
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        assert call(runner, source).result == ["/dev/null", ["0", "1", "2", "3"]]


def test_calls_leave_no_descriptor_and_no_child_in_the_caller(runner: SubprocessScriptRunner) -> None:
    def held() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), len(psutil.Process().children())

    call(runner, "def run(om): return 1")
    before = held()
    for body in ("return 1", "1 / 0", "import os; os._exit(1)", "import os; os.kill(os.getppid(), 9)"):
        call(runner, f"def run(om): {body}")
    with pytest.raises(InvalidScript):
        runner.check("def")
    assert held() == before


# what is missing


def test_without_a_place_for_its_files_no_script_is_run(tmp_path: Path) -> None:
    runner = SubprocessScriptRunner(directory=tmp_path / "missing")
    with pytest.raises(ScriptsUnavailable, match="No such file or directory"):
        call(runner, "def run(om): return 1")
    with pytest.raises(ScriptsUnavailable):
        runner.check("def run(om): pass")


def test_without_an_interpreter_no_script_is_run(
    runner: SubprocessScriptRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/no/such/python")
    with pytest.raises(ScriptsUnavailable, match="No such file or directory"):
        call(runner, "def run(om): return 1")


def test_a_guard_that_fails_is_no_outcome(
    runner: SubprocessScriptRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (broken := tmp_path / "guard.py").write_text("raise OSError('no prctl')")
    monkeypatch.setattr(guard, "__file__", str(broken))
    with pytest.raises(ScriptsUnavailable, match="no prctl"):
        call(runner, "def run(om): return 1")
