"""What every notebook runner must do."""

import copy
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from omega.ports.notebooks import (
    InvalidNotebook,
    InvalidParameters,
    Limits,
    NotebookRunner,
    Parameter,
)
from tests.support.notebooks import (
    PATIENT,
    code,
    notebook,
    of_kernel,
    own_temporary_directory,
    printed,
    processes,
    run,
    shown,
    text,
    wait_for,
)

#: The port says 5 s. The tests leave a busy machine as much again.
SOON_S = 10.0
MIB = 1 << 20

PARAMETERS = """
# what can be set
%matplotlib inline
rate: float = 0.5
name: "str" = "x"  # with a comment
count = 3
first, second = 1, 2
low = high = None
given: dict
rate: float = 0.25
if count:
    inner = 1
"""


class NotebookParametersSuite:
    """Fixture: `runner`. No kernel is started."""

    def test_declared_are_the_names_that_the_cell_assigns(self, runner: NotebookRunner) -> None:
        document = notebook("before = 1", code(PARAMETERS, tags=["x", "parameters"]), "after = 1")
        assert list(runner.parameters(document)) == [
            Parameter("rate", "float", "0.25"),
            Parameter("name", "str", "'x'"),
            Parameter("count", None, "3"),
            Parameter("first", None, None),
            Parameter("second", None, None),
            Parameter("low", None, "None"),
            Parameter("high", None, "None"),
            Parameter("given", "dict", None),
        ]

    @pytest.mark.parametrize(
        "document",
        [
            notebook(),
            notebook("a = 1"),
            notebook(code("a = ", tags=["parameters"])),
            notebook(code("", tags=["parameters"])),
            notebook(code("obj.a = 1; obj['b'] = 2", tags=["parameters"])),
            notebook(
                text("a = 1") | {"metadata": {"tags": ["parameters"]}}, code("a = 1", tags=["parameters"])
            ),
            notebook(code("a <- 1\nb = 2", tags=["parameters"]), language_info={"name": "R"}),
        ],
    )
    def test_declared_may_be_nothing(self, runner: NotebookRunner, document: Any) -> None:
        assert list(runner.parameters(document)) == []

    def test_only_the_first_cell_counts(self, runner: NotebookRunner) -> None:
        document = notebook(code("a = 1", tags=["parameters"]), code("b = 1", tags=["parameters"]))
        assert [parameter.name for parameter in runner.parameters(document)] == ["a"]

    @pytest.mark.parametrize(
        "name",
        [
            "other",
            "obj",
            "a; import os",
            "a\nimport os; x",
            "import os; a",
            "a.b",
            "a[0]",
            "*a",
            "",
            " a",
            "a ",
            "1a",
            "class",
            "None",
            "__import__('os').system('x'), a",
            "\uff41",  # Python reads it as the letter a
            "a\u200b",
            3,
            None,
        ],
    )
    def test_other_names_are_refused_with_those_declared(self, runner: NotebookRunner, name: Any) -> None:
        document = notebook(code("a = 1\nb: int = 2", tags=["parameters"]))
        with pytest.raises(InvalidParameters, match="declares: a, b") as caught:
            run(runner, document, parameters={"a": 1, name: 1})
        assert "\n" not in str(caught.value)

    def test_where_nothing_is_declared_nothing_can_be_given(self, runner: NotebookRunner) -> None:
        with pytest.raises(InvalidParameters, match=r"'a'.*none"):
            run(runner, notebook("a = 1"), parameters={"a": 1})

    @pytest.mark.parametrize(
        ("annotation", "value"),
        [
            ("int", "1"),
            ("int", 1.0),
            ("int", True),
            ("int", None),
            ("float", "1"),
            ("float", False),
            ("str", 1),
            ("bool", 1),
            ("bool", "true"),
            ("list", {}),
            ("dict", []),
            ("'int'", "1"),
        ],
    )
    def test_a_value_of_another_type_than_declared_is_refused(
        self, runner: NotebookRunner, annotation: str, value: Any
    ) -> None:
        document = notebook(code(f"b = 1\na: {annotation} = ...", tags=["parameters"]))
        with pytest.raises(InvalidParameters, match=f"a is declared {annotation.strip(chr(39))}"):
            run(runner, document, parameters={"a": value})

    @pytest.mark.parametrize(
        "value",
        [
            (1, 2),
            {1, 2},
            b"x",
            {1: 2},
            object(),
            1j,
            [{"a": (1,)}],
            10**5000,
            ["x"] * 300_000,
            "x" * 2_000_000,
        ],
        ids=["tuple", "set", "bytes", "key", "object", "complex", "inner", "huge", "many", "long"],
    )
    def test_what_json_cannot_hold_or_is_too_large_is_refused(
        self, runner: NotebookRunner, value: Any
    ) -> None:
        document = notebook(code("a = 1", tags=["parameters"]))
        with pytest.raises(InvalidParameters):
            run(runner, document, parameters={"a": value})

    def test_deep_nesting_is_refused(self, runner: NotebookRunner) -> None:
        deep: Any = 1
        for _ in range(100):
            deep = [deep]
        with pytest.raises(InvalidParameters, match=r"a .*deep"):
            run(runner, notebook(code("a = 1", tags=["parameters"])), parameters={"a": deep})

    @pytest.mark.parametrize(
        "document",
        [
            None,
            {},
            [],
            notebook() | {"nbformat": 3},
            notebook() | {"nbformat_minor": 4},
            notebook() | {"cells": [1]},
            notebook(code("1", id="same"), code("2", id="same")),
            notebook(code("1", outputs=[{"output_type": "stream"}])),
            notebook(code(3)),
            notebook(code("1", cell_type="plot")),
        ],
    )
    def test_what_is_no_notebook_is_not_run(self, runner: NotebookRunner, document: Any) -> None:
        with pytest.raises(InvalidNotebook) as caught:
            run(runner, document)
        assert "\n" not in str(caught.value)


class NotebookRunnerSuite:
    """Fixture: `runner`, whose outputs are bounded by 1 MiB each and 16 MiB together. Real kernels."""

    @pytest.fixture(autouse=True)
    def nothing_is_left(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[None]:
        mine = psutil.Process()
        children = {child.pid for child in mine.children(recursive=True)}
        with own_temporary_directory(monkeypatch, tmp_path_factory):
            yield
        assert {child.pid for child in mine.children(recursive=True)} == children

    def test_cells_are_run_and_outputs_kept(self, runner: NotebookRunner) -> None:
        document = notebook(
            text("# Hi"), "x = 6", code("print('out')\nx * 7", outputs=[shown({"text/plain": "o"})])
        )
        before = copy.deepcopy(document)
        done = run(runner, document)
        assert done.failure is None
        assert document == before
        assert printed(done.notebook) == ["", "", "out\n42"]
        assert [cell["id"] for cell in done.notebook["cells"]] == ["c1", "c2", "c3"]
        assert [cell.get("execution_count") for cell in done.notebook["cells"]] == [None, 1, 2]

    def test_plots_are_pictures(self, runner: NotebookRunner, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MPLBACKEND", "Agg")
        done = run(runner, notebook("import matplotlib.pyplot as plt\nplt.plot([1, 2]);"))
        (output,) = done.notebook["cells"][0]["outputs"]
        assert output["data"]["image/png"].startswith("iVBOR")

    def test_parameters_come_as_they_were_given(self, runner: NotebookRunner) -> None:
        nasty = "\"; import os; '''\\\n\t\0{x}\u2028ü😀\x1b"
        given: dict[str, Any] = {
            "a": 1,
            "b": 1.5,
            "c": True,
            "d": None,
            "e": nasty,
            "f": [1, [nasty, None], {nasty: {"x": False}}],
            "g": 2**70,
            "h": float("inf"),
        }
        names = ", ".join(given)
        cell = code("\n".join(f"{name} = 0" for name in given), tags=["parameters"])
        done = run(runner, notebook("1", cell, f"print(repr([{names}]))"), parameters=given)
        assert done.failure is None
        assert len(done.notebook["cells"]) == 4
        assert printed(done.notebook)[3] == repr(list(given.values())) + "\n"

    def test_without_parameters_the_defaults_hold(self, runner: NotebookRunner) -> None:
        done = run(runner, notebook(code("a = 1", tags=["parameters"]), "print(a)"))
        assert printed(done.notebook) == ["", "1\n"]

    def test_environment_and_directory(self, runner: NotebookRunner, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OMEGA_TEST_OURS", "inherited")
        monkeypatch.setenv("OMEGA_TEST_BOTH", "ours")
        source = (
            "import os, tempfile\n"
            "print(os.environ['OMEGA_TEST_OURS'], os.environ['OMEGA_TEST_BOTH'], os.listdir())\n"
            "open('made', 'w').close(); os.mkdir('shut', 0); tempfile.mkdtemp()\nprint(os.getcwd())"
        )
        done = run(runner, notebook(source), environment={"OMEGA_TEST_BOTH": "given"})
        first, directory, _ = printed(done.notebook)[0].split("\n")
        assert first == "inherited given []"
        assert not Path(directory).exists()
        assert directory != str(Path.cwd())

    def test_progress_names_each_cell(self, runner: NotebookRunner) -> None:
        told: list[tuple[int, int]] = []
        document = notebook(
            text("hi"), code("a = 1", tags=["parameters"]), "import time; time.sleep(2.5)", "", "3"
        )
        run(runner, document, parameters={"a": 2}, progress=lambda *at: told.append(at))
        assert list(dict.fromkeys(told)) == [(number, 6) for number in range(7)]
        assert told == sorted(told)
        assert told.count((4, 6)) >= 3

    def test_a_failing_cell_ends_the_run_and_is_named(self, runner: NotebookRunner) -> None:
        document = notebook(text("hi"), "print(1)", "print(2)\n{}['k\\nl']", "print(3)")
        done = run(runner, document)
        assert done.failure is not None
        failure = done.failure
        assert (failure.reason, failure.cell, failure.name, failure.value) == (
            "cell",
            3,
            "KeyError",
            "'k\\nl'",
        )
        assert failure.message == "cell 3 of 4: KeyError: 'k\\nl'"
        assert printed(done.notebook) == ["", "1\n", "2\n", ""]
        assert [output["output_type"] for output in done.notebook["cells"][2]["outputs"]] == [
            "stream",
            "error",
        ]
        assert len(done.notebook["cells"]) == 4

    def test_a_message_of_many_lines_is_one(self, runner: NotebookRunner) -> None:
        done = run(runner, notebook("raise ValueError('a\\nb ' + 'x' * 50_000_000)"))
        assert done.failure is not None
        assert done.failure.message.startswith("cell 1 of 1: ValueError: a b xxx")
        assert "\n" not in done.failure.message
        assert len(done.failure.message) < 2000

    def test_a_cell_that_is_no_python_fails_like_others(self, runner: NotebookRunner) -> None:
        done = run(runner, notebook("1", "def f(:"))
        assert done.failure is not None
        assert (done.failure.cell, done.failure.name) == (2, "SyntaxError")

    def test_a_cell_may_fail_if_it_says_so(self, runner: NotebookRunner) -> None:
        done = run(runner, notebook(code("1 / 0", tags=["raises-exception"]), "print('on')"))
        assert done.failure is None
        assert printed(done.notebook)[1] == "on\n"
        assert done.notebook["cells"][0]["outputs"][0]["ename"] == "ZeroDivisionError"

    @pytest.mark.parametrize(("status", "is_well"), [("", True), ("0", True), ("None", True), ("3", False)])
    def test_sys_exit(self, runner: NotebookRunner, status: str, is_well: bool) -> None:
        done = run(runner, notebook("print(1)", f"import sys; sys.exit({status})", "print(3)"))
        assert (done.failure is None) is is_well
        assert printed(done.notebook)[2] == ""
        if done.failure is not None:
            assert (done.failure.reason, done.failure.name) == ("cell", "SystemExit")

    def test_nobody_answers_a_question(self, runner: NotebookRunner) -> None:
        done = run(runner, notebook("input('name?')"))
        assert done.failure is not None
        assert done.failure.name == "StdinNotImplementedError"

    def test_a_killed_kernel_is_an_outcome_that_comes_soon(self, runner: NotebookRunner) -> None:
        source = "import os, signal, time\nprint('before', time.time(), flush=True); time.sleep(0.5)\n"
        done = run(runner, notebook("print(1)", source + "os.kill(os.getpid(), signal.SIGKILL)", "print(3)"))
        ended = time.time()
        assert done.failure is not None
        assert (done.failure.reason, done.failure.cell) == ("kernel died", 2)
        assert done.failure.message == "the kernel died in cell 2 of 3 (SIGKILL)"
        word, when = printed(done.notebook)[1].split()
        assert (printed(done.notebook)[0], word) == ("1\n", "before")
        assert ended - float(when) < SOON_S

    def test_a_kernel_that_leaves_is_one_that_died(self, runner: NotebookRunner) -> None:
        done = run(runner, notebook("import os; os._exit(7)", "2"))
        assert done.failure is not None
        assert (done.failure.reason, done.failure.cell) == ("kernel died", 1)
        assert "status 7" in done.failure.message

    def test_time_is_that_of_the_whole_run(self, runner: NotebookRunner) -> None:
        source = "import time; print('at', flush=True); time.sleep(4)"
        started = time.monotonic()
        done = run(runner, notebook(*[source] * 20), limits=Limits(timeout_s=9, memory_bytes=4 << 30))
        took = time.monotonic() - started
        assert done.failure is not None
        assert done.failure.reason == "timeout"
        assert 1 <= (done.failure.cell or 0) <= 3
        assert done.failure.message == f"over the time limit of 9 s, in cell {done.failure.cell} of 20"
        assert printed(done.notebook)[done.failure.cell or 0] == ""
        assert printed(done.notebook)[0] == "at\n"
        assert 9 <= took < 9 + SOON_S

    @pytest.mark.parametrize("timeout_s", [-1.0, 0.0, 0.01])
    def test_no_time_is_over_at_once(self, runner: NotebookRunner, timeout_s: float) -> None:
        started = time.monotonic()
        done = run(runner, notebook("print(1)"), limits=Limits(timeout_s, 4 << 30))
        assert done.failure is not None
        assert (done.failure.reason, done.failure.cell) == ("timeout", None)
        assert printed(done.notebook) == [""]
        assert time.monotonic() - started < SOON_S

    @pytest.mark.parametrize("where", ["kernel", "child"])
    def test_memory_is_that_of_the_kernel_and_its_children(self, runner: NotebookRunner, where: str) -> None:
        take = "x = bytearray(700 << 20); time.sleep(100)"
        source = (
            take if where == "kernel" else f"subprocess.run([sys.executable, '-c', 'import time; {take}'])"
        )
        limits = Limits(timeout_s=60, memory_bytes=500 * MIB)
        done = run(runner, notebook("import subprocess, sys, time\nprint(1)", source), limits=limits)
        assert done.failure is not None
        assert (done.failure.reason, done.failure.cell) == ("memory", 2)
        assert done.failure.message == "over the memory limit of 500 MiB, in cell 2 of 2"
        assert printed(done.notebook)[0] == "1\n"

    def test_a_missing_kernel_is_an_outcome(self, runner: NotebookRunner) -> None:
        started = time.monotonic()
        done = run(runner, of_kernel("julia-9", "print(1)"))
        assert done.failure is not None
        assert (done.failure.reason, done.failure.cell) == ("no kernel", None)
        assert "'julia-9'" in done.failure.message
        assert "python3" in done.failure.message
        assert time.monotonic() - started < SOON_S

    def test_a_notebook_may_ask_for_the_kernel_that_is_there(self, runner: NotebookRunner) -> None:
        done = run(runner, of_kernel("python3", "import sys; print(sys.prefix)"))
        assert done.failure is None

    @pytest.mark.parametrize("ending", ["pass", "1 / 0", "os._exit(1)", "time.sleep(100)"])
    def test_no_child_of_the_notebook_outlives_the_run(self, runner: NotebookRunner, ending: str) -> None:
        mark = uuid.uuid4().hex
        sleep = f"[sys.executable, '-c', 'import time; time.sleep(600)', '{mark}']"
        source = f"""
import os, subprocess, sys, time
subprocess.Popen({sleep})
subprocess.Popen({sleep}, start_new_session=True, env={{}}, cwd="/")
subprocess.Popen(["sh", "-c", "trap '' TERM HUP INT; sleep 600; : {mark}"], env={{}})
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve(sys.executable, {sleep}, {{}})
    os._exit(0)
time.sleep(1)
{ending}
"""
        limits = Limits(timeout_s=12, memory_bytes=4 << 30)
        reason = run(runner, notebook(source), limits=limits).failure
        expected = {"pass": None, "1 / 0": "cell", "os._exit(1)": "kernel died", "time.sleep(100)": "timeout"}
        assert (reason.reason if reason else None) == expected[ending]
        assert processes(holding=mark) == []

    def test_what_progress_raises_ends_the_run(self, runner: NotebookRunner) -> None:
        mark = uuid.uuid4().hex

        def stop(cell: int, cells: int) -> None:
            if cell and processes(holding=mark):
                raise LookupError(f"{cell} of {cells}")

        source = f"import subprocess; subprocess.run(['sh', '-c', 'sleep 600; : {mark}'])"
        with pytest.raises(LookupError, match="1 of 2"):
            run(runner, notebook(source, "2"), progress=stop)
        assert processes(holding=mark) == []

    @pytest.mark.parametrize(
        ("source", "kept"),
        [
            ("print('x' * 100_000_000)", MIB),
            ("for _ in range(100_000): print('x' * 999)", MIB),
            ("!head -c 4000000 /dev/zero | tr '\\\\0' x", MIB),
            ("display({'text/plain': 'x' * 30_000_000, 'image/png': 'aGk='}, raw=True)", MIB),
            ("for _ in range(100): display({'text/plain': 'x' * 900_000}, raw=True)", 16 * MIB),
            ("for _ in range(30): display('x' * 900_000, display_id=True).update('y' * 990_000)", 16 * MIB),
        ],
        ids=["one", "many", "child", "display", "displays", "updates"],
    )
    def test_outputs_are_cut_and_say_so(self, runner: NotebookRunner, source: str, kept: int) -> None:
        done = run(runner, notebook(source, "print('next')"))
        assert done.failure is None
        size = sum(len(str(output)) for output in done.notebook["cells"][0]["outputs"])
        assert size <= kept + 2000
        assert "left out" in printed(done.notebook)[0] + str(done.notebook["cells"][0]["outputs"][-1])
        assert (
            printed(done.notebook)[1] in ("next\n", "")
            if kept > MIB
            else printed(done.notebook)[1] == "next\n"
        )

    def test_many_small_outputs_all_come(self, runner: NotebookRunner) -> None:
        source = "for n in range(5000): display(n)\nfor n in range(1000): print(n, flush=True)"
        done = run(runner, notebook(source))
        assert done.failure is None
        outputs = done.notebook["cells"][0]["outputs"]
        assert [output["data"]["text/plain"] for output in outputs[:-1]] == [str(n) for n in range(5000)]
        assert outputs[-1]["text"] == "".join(f"{n}\n" for n in range(1000))

    def test_outputs_that_are_taken_back_leave_their_room(self, runner: NotebookRunner) -> None:
        source = (
            "from IPython.display import clear_output\n"
            "for n in range(40):\n    clear_output(wait=bool(n % 2)); display('x' * 900_000)\nprint('end')"
        )
        done = run(runner, notebook(source))
        assert printed(done.notebook)[0].endswith("end\n")
        assert "left out" not in printed(done.notebook)[0]

    def test_a_bar_of_progress_is_shown_as_it_ended(self, runner: NotebookRunner) -> None:
        source = (
            "import sys\nfor n in range(3001):\n"
            "    sys.stderr.write(f'\\r{n:04}' + '#' * 500); sys.stderr.flush()\nprint()"
        )
        done = run(runner, notebook(source))
        assert printed(done.notebook)[0].strip() == "3000" + "#" * 500

    def test_outputs_that_are_odd_are_made_even(self, runner: NotebookRunner) -> None:
        source = (
            "display({'text/plain': 5, 'application/json': {'a': float('nan')}}, raw=True)\n"
            "display({'image/png': ['a', 'b'], 3: 4}, raw=True)\n"
            "print('\\x00\\x1b[31m\\uffff')"
        )
        done = run(runner, notebook(source))
        assert done.failure is None
        import nbformat

        nbformat.validate(nbformat.from_dict(done.notebook))
        assert done.notebook["cells"][0]["outputs"][1]["data"]["image/png"] == "ab"

    def test_many_run_at_once(self, runner: NotebookRunner) -> None:
        def one(number: int) -> list[str]:
            document = notebook(code("n = 0", tags=["parameters"]), "import os; print(n, os.environ['N'])")
            return printed(
                run(runner, document, parameters={"n": number}, environment={"N": str(number)}).notebook
            )

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(one, range(4))) == [["", "", f"{n} {n}\n"] for n in range(4)]

    def test_one_that_ends_does_not_touch_another(self, runner: NotebookRunner) -> None:
        going = threading.Event()
        slow = notebook("import time; time.sleep(8); print('whole')")
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(
                run, runner, slow, limits=PATIENT, progress=lambda cell, _: going.set() if cell else None
            )
            wait_for(going.is_set)
            assert run(runner, notebook("import os; os._exit(1)")).failure is not None
            assert printed(other.result().notebook) == ["whole\n"]

    def test_a_result_can_be_run_again(self, runner: NotebookRunner) -> None:
        document = notebook(code("a = 1", tags=["parameters"]), "print(a)", "1 / 0")
        once = run(runner, document, parameters={"a": 2})
        again = run(runner, once.notebook, parameters={"a": 3})
        assert printed(again.notebook) == ["", "", "3\n", ""]
        assert again.failure is not None
        assert again.failure.cell == 4
