"""Real kernels: the papermill runner keeps the whole contract, also where its own processes are killed."""

import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from omega.adapters.papermill_notebooks import notebooks
from omega.adapters.papermill_notebooks.notebooks import PapermillNotebookRunner
from omega.ports.notebooks import Limits
from tests.contracts.notebook_runs import SOON_S, NotebookRunnerSuite
from tests.support.notebooks import (
    notebook,
    of_kernel,
    own_temporary_directory,
    printed,
    processes,
    run,
    wait_for,
)

HOST = "omega.adapters.papermill_notebooks.host"


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where temporary directories are made. None is left afterwards."""
    with own_temporary_directory(monkeypatch, tmp_path_factory) as directory:
        yield directory


@pytest.fixture
def runner() -> PapermillNotebookRunner:
    return PapermillNotebookRunner()


class TestPapermillNotebookRunner(NotebookRunnerSuite):
    @pytest.fixture
    def runner(self) -> PapermillNotebookRunner:
        return PapermillNotebookRunner()


@pytest.fixture
def mark() -> Iterator[str]:
    """A word that the processes of a test hold; none is left afterwards."""
    mark = uuid.uuid4().hex
    yield mark
    assert processes(holding=mark) == []


def sleeping(mark: str, *, then: str = "time.sleep(600)") -> str:
    """A cell that starts a process that holds the mark, in a session of its own, and does not end."""
    child = f"['sh', '-c', 'sleep 600; : {mark}']"
    return f"import subprocess, time\nsubprocess.Popen({child}, start_new_session=True)\n{then}"


def own_hosts() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if HOST in child.cmdline()]


def test_a_killed_host_is_an_outcome_and_leaves_nothing(runner: PapermillNotebookRunner, mark: str) -> None:
    def kill(cell: int, _: int) -> None:
        if cell == 2 and processes(holding=mark):
            for host in own_hosts():
                host.kill()

    done = run(runner, notebook("1", sleeping(mark)), progress=kill)
    assert done.failure is not None
    assert (done.failure.reason, done.failure.cell) == ("kernel died", 2)
    assert "status -9" in done.failure.message
    assert done.notebook == notebook("1", sleeping(mark))


def test_a_host_that_hangs_is_not_waited_for(runner: PapermillNotebookRunner, mark: str) -> None:
    started = time.monotonic()
    stopped = []

    def stop(cell: int, _: int) -> None:
        if cell and not stopped and processes(holding=mark):
            stopped.extend(own_hosts())
            for host in stopped:
                host.send_signal(signal.SIGSTOP)

    done = run(runner, notebook(sleeping(mark)), limits=Limits(10, 4 << 30), progress=stop)
    assert done.failure is not None
    assert (done.failure.reason, done.failure.cell) == ("timeout", 1)
    assert stopped
    assert 10 < time.monotonic() - started < 10 + SOON_S


def test_outputs_wait_for_a_host_that_is_busy(runner: PapermillNotebookRunner, mark: str) -> None:
    def pause(cell: int, _: int) -> None:
        if cell == 2 and processes(holding=mark):
            (host,) = own_hosts()
            host.suspend()
            wait_for(lambda: not processes(holding=mark))
            host.resume()

    signal_and_wait = f"""
import subprocess, time
child = subprocess.Popen(["sh", "-c", "sleep 600; : {mark}"], start_new_session=True)
time.sleep(2.5)
for n in range(20_000): display(n)
time.sleep(2)
child.kill()
"""
    done = run(runner, notebook("1", signal_and_wait, "print('next')"), progress=pause)
    assert done.failure is None
    outputs = done.notebook["cells"][1]["outputs"]
    assert [output["data"]["text/plain"] for output in outputs] == [str(n) for n in range(20_000)]
    assert printed(done.notebook)[2] == "next\n"


def test_an_output_that_the_host_cannot_take_in_ends_the_run(
    runner: PapermillNotebookRunner, monkeypatch: pytest.MonkeyPatch, mark: str
) -> None:
    monkeypatch.setattr(notebooks, "HOST_BYTES", 200 << 20)
    source = sleeping(mark, then="print('x' * 300_000_000, flush=True); time.sleep(600)")
    done = run(runner, notebook("1", source))
    assert done.failure is not None
    assert (done.failure.reason, done.failure.cell) == ("memory", 2)


def test_a_killed_runner_takes_everything_along(tmp_path: Path, temporary: Path, mark: str) -> None:
    cell = sleeping(mark, then="subprocess.Popen(['sleep', '600'], env={}); time.sleep(600)")
    program = f"""
import json, sys
from omega.adapters.papermill_notebooks.notebooks import PapermillNotebookRunner
from omega.ports.notebooks import Limits
PapermillNotebookRunner().run(
    json.loads(sys.argv[1]), parameters={{}}, limits=Limits(600, 4 << 30), environment={{"MARK": "{mark}"}},
    progress=lambda *_: None,
)
"""
    script = tmp_path / "runner.py"
    script.write_text(program)
    with subprocess.Popen([sys.executable, script, json.dumps(notebook(cell))], cwd=tmp_path) as parent:
        wait_for(lambda: len(processes(holding=mark)) >= 5)
        below = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()
    killed = time.monotonic()
    wait_for(lambda: not processes(holding=mark) and not list(temporary.iterdir()))
    assert time.monotonic() - killed < SOON_S
    assert [child for child in below if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels that cannot do it."""
    for name, command in {
        "gone": ["/no/such/program"],
        "broken": [sys.executable, "-c", "import no_such_module"],
        "silent": [sys.executable, "-c", "import time; time.sleep(600)"],
    }.items():
        directory = tmp_path / "kernels" / name
        directory.mkdir(parents=True)
        spec = {"argv": [*command, "{connection_file}"], "display_name": name, "language": "python"}
        (directory / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(
    ("name", "reason", "said"),
    [
        ("gone", "no kernel", "'gone' cannot be started: No such file or directory"),
        ("broken", "kernel died", "before the first cell (exit status 1: ModuleNotFoundError: No module"),
        ("silent", "timeout", "over the time limit of 8 s, before the first cell"),
        ("other", "no kernel", "no kernel 'other' here, only: broken, gone, python3, silent"),
    ],
)
def test_a_kernel_that_does_not_start_is_an_outcome(
    runner: PapermillNotebookRunner, name: str, reason: str, said: str
) -> None:
    limits = Limits(timeout_s=8 if name == "silent" else 60, memory_bytes=4 << 30)
    started = time.monotonic()
    failure = run(runner, of_kernel(name, "1"), limits=limits).failure
    assert failure is not None
    assert (failure.reason, failure.cell) == (reason, None)
    assert said in failure.message
    assert time.monotonic() - started < 8 + SOON_S


def test_a_long_path_is_no_obstacle(
    runner: PapermillNotebookRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    assert printed(run(runner, notebook("print(1)")).notebook) == ["1\n"]
    assert list(deep.iterdir()) == []


def test_modules_of_the_current_directory_are_not_imported(
    runner: PapermillNotebookRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "papermill.py").write_text("raise SystemExit('taken over')")
    (tmp_path / "secret.py").write_text("")
    monkeypatch.chdir(tmp_path)
    done = run(runner, notebook("import importlib.util\nprint(importlib.util.find_spec('secret'))"))
    assert printed(done.notebook) == ["None\n"]


def test_a_kernel_hears_only_this_user_and_is_the_first_to_go(runner: PapermillNotebookRunner) -> None:
    source = """
import ipykernel, os
print(ipykernel.get_connection_info(unpack=True)["transport"], oct(os.stat("..").st_mode)[-3:])
print(open("/proc/self/oom_score_adj").read())
"""
    assert printed(run(runner, notebook(source)).notebook) == ["ipc 700\n1000\n\n"]
