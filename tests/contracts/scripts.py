"""The contract of `omega.ports.scripts.ScriptRunner`."""

import multiprocessing
import os
import secrets
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from types import FrameType
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omega.ports.scripts import InvalidCall, InvalidScript, ScriptOutcome, ScriptRunner

fork = multiprocessing.get_context("fork")
MIB = 1 << 20
#: The port states 1 s; the rest is for machines that are busy.
KILLED_WITHIN_S = 1 + 9
SENTINEL = "import pathlib, os; pathlib.Path(os.environ['SENTINEL']).touch()\n"

_text = st.text(st.characters(codec="utf-8"), max_size=10)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(_text, inside, max_size=4),
    max_leaves=12,
)

#: Ways to leave a process behind. Each defines `leave()`, which gives the id of one that sleeps.
LEAVERS = {
    "child": """
        import subprocess
        def leave():
            return subprocess.Popen(["sleep", "600"]).pid
    """,
    "session of its own": """
        import subprocess
        def leave():
            return subprocess.Popen(["sleep", "600"], start_new_session=True).pid
    """,
    "without environment and output": """
        import subprocess
        def leave():
            return subprocess.Popen(
                ["sleep", "600"], start_new_session=True, env={}, stdin=-3, stdout=-3, stderr=-3
            ).pid
    """,
    "daemon": """
        import os, time
        def leave():
            read, write = os.pipe()
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    os.write(write, str(os.getpid()).encode())
                    os.chdir("/")
                    os.closerange(0, 256)
                    time.sleep(600)
                os._exit(0)
            os.wait()
            return int(os.read(read, 20))
    """,
    "daemon that ignores signals": """
        import os, signal, time
        def leave():
            read, write = os.pipe()
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
                        signal.signal(number, signal.SIG_IGN)
                    os.write(write, str(os.getpid()).encode())
                    time.sleep(600)
                os._exit(0)
            os.wait()
            return int(os.read(read, 20))
    """,
    "stopped": """
        import os, signal, subprocess
        def leave():
            pid = subprocess.Popen(["sleep", "600"]).pid
            os.kill(pid, signal.SIGSTOP)
            return pid
    """,
    "whole line of descent": """
        import os, time
        def leave():
            read, write = os.pipe()
            for generation in range(20):
                if os.fork():
                    if generation == 0:
                        return int(os.read(read, 20))
                    time.sleep(600)
                os.setsid()
            os.write(write, str(os.getpid()).encode())
            time.sleep(600)
    """,
    "many": """
        import os, time
        def leave():
            read, write = os.pipe()
            for _ in range(5):
                if os.fork() == 0:
                    os.setpgid(0, 0)
            if os.getpid() == first:
                return int(os.read(read, 20))
            os.write(write, f"{os.getpid():20d}".encode())
            time.sleep(600)
        first = os.getpid()
    """,
}


def bearers(token: str) -> list[int]:
    """The processes that have `token` in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if token in process.environ().values():
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def is_alive(pid: int) -> bool:
    """Whether there is such a process, other than one that only its parent has not waited for yet."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class ScriptRunnerSuite:
    """Fixture: `runner`, of which a script may have 100,000 bytes, a result 200,000 and an output 10,000."""

    @pytest.fixture
    def token(self) -> str:
        """Something that only the processes of this test have in their environment."""
        return secrets.token_hex(16)

    @pytest.fixture
    def call(self, runner: ScriptRunner, token: str) -> Any:
        """Run a script, and find that no process of it is left."""

        def call(source: str, *args: Any, **options: Any) -> ScriptOutcome:
            environment = {"PATH": os.environ["PATH"], "TOKEN": token, **options.pop("environment", {})}
            options = {"timeout_s": 60, "memory_bytes": 512 * MIB, **options}
            outcome = runner.run(dedent(source), args=args, environment=environment, **options)
            assert bearers(token) == []
            assert (outcome.failure is None) is (outcome.error is None)
            assert outcome.failure is None or outcome.result is None
            if outcome.error is not None:
                for text in (outcome.error.name, outcome.error.message):
                    assert "\n" not in text
                    assert len(text) <= 1000
            return outcome

        return call

    # check

    @pytest.mark.parametrize(
        "source",
        [
            "def run(om): pass",
            "def run(om, *args, **kwargs):\n    return 1\n",
            "\ufeffdef run(om): return 'é'",
            "# -*- coding: utf-8 -*-\r\ndef run(om):\r\n    return 'é'\r\n",
            "import functools\n@functools.cache\ndef run(om): pass",
            "try:\n    import no_such\nexcept ImportError:\n    def run(om): pass",
            "if True:\n    with open('x') as f:\n        def run(om): pass",
            "async def run(om): pass\ndef run(om): pass",
            "import no_such_module\n1 / 0\ndef run(om): pass",
            "def run(om): '\\d'",
        ],
    )
    def test_a_script_is_accepted_and_not_executed(
        self, runner: ScriptRunner, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SENTINEL", str(tmp_path / "ran"))
        runner.check(source)
        runner.check(source + f"\nopen({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit")
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize(
        ("source", "line", "told"),
        [
            ("", None, "run"),
            ("def run(om)\n    pass", 1, ":"),
            ("x = 1\ndef run(om):\npass", 3, "indent"),
            ("def run(om): pass\nreturn 1", 2, "return"),
            ("def run(om): pass\nx = '\0'", None, "null"),
            ("def other(om): pass", None, "run"),
            ("run = print", None, "run"),
            ("class run: pass", None, "run"),
            ("class A:\n    def run(self): pass", None, "run"),
            ("def other():\n    def run(om): pass", None, "run"),
            ("\nasync def run(om): pass", 2, "async"),
            ("def run(om): pass\n" + "(" * 1000, 2, "parenthes"),
            ("def run(om): pass\nx = " + "-" * 90_000 + "1", None, ""),
            ("def run(om): pass\nx = 1" + "+1" * 45_000, None, ""),
            ("def run(om): pass\nx = 1" + "0" * 5000, 2, "digits"),
            ("# coding: latin-1\ndef run(om): pass", None, "iso-8859-1"),
            ("# coding: no-such\ndef run(om): pass", None, "no-such"),
            ("def run(om): pass\nx = '\ud800'", None, "UTF-8"),
            ("def run(om): pass\n" + "#" * 100_000, None, "100,000"),
            ("print 'hello'\ndef run(om): pass", 1, "print"),
        ],
    )
    def test_what_is_no_script_is_refused(
        self, runner: ScriptRunner, source: str, line: int | None, told: str, call: Any, tmp_path: Path
    ) -> None:
        with pytest.raises(InvalidScript) as caught:
            runner.check(source)
        if line is not None:
            assert caught.value.line == line
        assert told in str(caught.value)
        assert "\n" not in str(caught.value)
        with pytest.raises(InvalidScript) as again:
            call(source, environment={"SENTINEL": str(tmp_path / "ran")})
        assert (str(again.value), again.value.line) == (str(caught.value), caught.value.line)

    def test_of_what_is_no_script_nothing_is_executed(self, call: Any, tmp_path: Path) -> None:
        for rest in ("def run(om)", "x = 1", "async def run(om): pass"):
            with pytest.raises(InvalidScript):
                call(SENTINEL + rest, environment={"SENTINEL": str(tmp_path / "ran")})
            assert not (tmp_path / "ran").exists()
        call(SENTINEL + "def run(om): pass", environment={"SENTINEL": str(tmp_path / "ran")})
        assert (tmp_path / "ran").exists()

    # arguments and results

    def test_run_is_called_with_the_arguments(self, call: Any) -> None:
        source = "def run(om, a, *rest, b=0, **more): return [a, rest, b, more, om is not None]"
        outcome = call(source, 1, "x", None, kwargs={"b": [2.5], "c": {"é": True}})
        assert outcome.result == [1, ["x", None], [2.5], {"c": {"é": True}}, True]
        assert call("def run(om): pass") == ScriptOutcome()

    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(args=st.lists(json_values, max_size=3), kwargs=st.dictionaries(_text, json_values, max_size=3))
    def test_json_goes_in_and_comes_out_as_it_was(
        self, call: Any, args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        kwargs.pop("om", None)
        result = call("def run(om, *args, **kwargs): return [args, kwargs]", *args, kwargs=kwargs).result
        assert result == [args, kwargs]
        assert repr(result) == repr([args, kwargs])

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"args": [float("nan")]}, "args[0]"),
            ({"args": [1, {"a": object()}]}, "args[1]['a']"),
            ({"args": [b"x"]}, "args[0]"),
            ({"kwargs": {"a": [float("inf")]}}, "kwargs['a'][0]"),
            ({"kwargs": {1: 2}}, "kwargs"),
            ({"kwargs": {"a": "\ud800"}}, "kwargs['a']"),
            ({"environment": {"A": "x\0y"}}, "environment"),
            ({"environment": {"A=B": "x"}}, "environment"),
            ({"timeout_s": 0}, "limits"),
            ({"timeout_s": float("nan")}, "limits"),
            ({"memory_bytes": -1}, "limits"),
        ],
    )
    def test_a_call_that_cannot_be_made_is_refused(
        self, runner: ScriptRunner, options: dict[str, Any], told: str
    ) -> None:
        whole = {"environment": {}, "timeout_s": 60, "memory_bytes": 512 * MIB, **options}
        with pytest.raises(InvalidCall) as caught:
            runner.run("def run(om, *args, **kwargs): pass", **whole)
        assert told in str(caught.value)

    def test_arguments_that_do_not_fit_are_raised(self, call: Any) -> None:
        outcome = call("def run(om, a): return a")
        assert (outcome.failure, outcome.error.name) == ("raised", "TypeError")
        assert "run() missing 1 required positional argument: 'a'" in outcome.error.message
        assert call("def run(om): pass", kwargs={"om": 1}).error.name == "TypeError"

    @pytest.mark.parametrize(
        ("expression", "result"),
        [
            ("(1, (2, 3))", [1, [2, 3]]),
            ("np.int8(3), np.uint64(2**64 - 1), np.bool_(True)", [3, 2**64 - 1, True]),
            ("np.float64(0.1), np.float32(0.5), np.float16(2)", [0.1, 0.5, 2.0]),
            ("np.arange(6).reshape(2, 3)", [[0, 1, 2], [3, 4, 5]]),
            ("{'a': np.array([0.1, 0.2]), np.str_('b'): np.array('x')}", {"a": [0.1, 0.2], "b": "x"}),
            ("np.array([1, None, [2]], dtype=object)", [1, None, [2]]),
            ("np.zeros((0, 2)), np.array(['a', 'bc']), np.array([True])", [[], ["a", "bc"], [True]]),
        ],
    )
    def test_tuples_and_numpy_values_are_json(self, call: Any, expression: str, result: Any) -> None:
        outcome = call(f"import numpy as np\ndef run(om): return {expression}")
        assert outcome == ScriptOutcome(result=result)
        assert repr(outcome.result) == repr(result)

    @pytest.mark.parametrize(
        ("expression", "told"),
        [
            ("float('nan')", "result is nan"),
            ("{'rows': [1, {'x': -float('inf')}]}", "result['rows'][1]['x'] is -inf"),
            ("[2**64]", "result[0] is an integer over 64 bits"),
            ("[-(2**63) - 1]", "result[0] is an integer over 64 bits"),
            ("10**5000", "result is an integer over 64 bits"),
            ("{'a': {1: 2}}", "result['a'] has a key of the type int"),
            ("{None: 2}", "result has a key of the type NoneType"),
            ("{'a': object()}", "result['a'] is of the type object"),
            ("[{1}]", "result[0] is of the type set"),
            ("b'x'", "result is of the type bytes"),
            ("om", "result is of the type "),
            ("run", "result is of the type function"),
            ("(x for x in [])", "result is of the type generator"),
            ("'\\ud800'", "result is text that is not UTF-8"),
            ("{'\\ud800': 1}", "a key of result is text that is not UTF-8"),
            ("datetime.now()", "result is of the type datetime.datetime"),
            ("nested(100000)", "200 levels"),
            ("loop()", "200 levels"),
            ("np.array([1.0, np.nan])", "result[1] is nan"),
            (
                "np.array(['2020-01-01'], dtype='M8[D]')",
                "result is of the type numpy.ndarray of datetime64[D]",
            ),
            ("np.complex64(1)", "result is of the type numpy.complex64"),
            ("np.longdouble(1)", "result is of the type numpy.longdouble"),
            ("np.array([object()])", "result[0] is of the type object"),
            ("'x' * 199_999", "200,001 bytes of JSON, the limit is 200,000"),
        ],
    )
    def test_what_is_not_json_is_told_with_its_place_and_type(
        self, call: Any, expression: str, told: str
    ) -> None:
        source = f"""
            import numpy as np
            from datetime import datetime
            def nested(levels):
                inner = []
                for _ in range(levels):
                    inner = [inner]
                return inner
            def loop():
                inner = []
                inner.append(inner)
                return inner
            def run(om): return {expression}
        """
        outcome = call(source)
        assert outcome.failure == "not json"
        assert told in outcome.error.message
        assert " at 0x" not in outcome.error.message
        assert outcome.error.line is None

    def test_a_result_of_just_the_size_is_returned(self, call: Any) -> None:
        assert len(call("def run(om): return 'x' * 199_998").result) == 199_998

    # what the script finds

    def test_the_environment_is_the_one_given(self, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OF_THE_CALLER", "secret")
        source = "import os\ndef run(om): return dict(os.environ)"
        found = call(source, environment={"A": "ü", "PYTHONSTARTUP": "x"}).result
        assert found["A"] == "ü"
        assert "OF_THE_CALLER" not in found

    def test_the_working_directory_is_new_and_goes(self, call: Any) -> None:
        source = """
            import os, pathlib, tempfile
            def run(om):
                before = os.listdir()
                pathlib.Path("kept").write_text("x")
                os.makedirs("a/b/c")
                os.symlink("/", "a/root")
                tempfile.mkdtemp()
                tempfile.NamedTemporaryFile(delete=False)
                return [before, os.getcwd(), tempfile.gettempdir()]
        """
        one, two = call(source).result, call(source).result
        assert one[0] == two[0] == []
        assert one[1] != two[1]
        for path in (*one[1:], *two[1:]):
            assert not Path(path).exists()
            assert not Path(path).parent.name.startswith("omega") or not Path(path).parent.exists()

    def test_standard_input_is_empty(self, call: Any) -> None:
        assert call("import sys\ndef run(om): return sys.stdin.read()").result == ""

    def test_no_module_of_the_working_directory_or_environment_is_found(
        self, call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "json.py").write_text("raise SystemExit('hijacked')")
        (tmp_path / "sitecustomize.py").write_text("raise SystemExit('hijacked')")
        monkeypatch.chdir(tmp_path)
        environment = {"PYTHONPATH": str(tmp_path), "PYTHONHOME": str(tmp_path), "PYTHONWARNINGS": "error"}
        source = "import json, warnings\ndef run(om): warnings.warn('x'); return json.dumps(1)"
        assert call(source, environment=environment).result == "1"

    def test_calls_share_no_state(self, call: Any) -> None:
        source = """
            import builtins
            def run(om):
                builtins.calls = getattr(builtins, "calls", 0) + 1
                return builtins.calls
        """
        assert [call(source).result for _ in range(2)] == [1, 1]

    def test_another_script_cannot_be_imported(self, call: Any) -> None:
        call("secret = 1\ndef run(om): return __name__")
        outcome = call("import other_script\ndef run(om): pass")
        assert (outcome.failure, outcome.error.name, outcome.error.line) == (
            "raised",
            "ModuleNotFoundError",
            1,
        )

    def test_the_script_is_a_module_like_others(self, call: Any) -> None:
        source = """
            from __future__ import annotations
            import dataclasses, pickle, sys
            @dataclasses.dataclass
            class Point:
                x: int
            def run(om):
                module = sys.modules[__name__]
                return [pickle.loads(pickle.dumps(Point(3))).x, module.run is run, __name__ == "__main__"]
        """
        assert call(source).result == [3, True, False]

    def test_its_functions_can_be_called_in_other_processes(self, call: Any) -> None:
        source = """
            import multiprocessing
            def square(x): return x * x
            def run(om, method):
                with multiprocessing.get_context(method).Pool(2) as pool:
                    return pool.map(square, range(4))
        """
        for method in ("fork", "spawn"):
            assert call(source, method).result == [0, 1, 4, 9]

    # output

    def test_output_is_kept(self, call: Any) -> None:
        source = """
            import os, subprocess, sys
            def run(om):
                print("one é")
                print("two", file=sys.stderr)
                subprocess.run(["echo", "three"])
                os.write(2, b"four \\xff\\n")
                print("five", end="")
        """
        outcome = call(source)
        assert outcome.stdout == "one é\nthree\nfive"
        assert outcome.stderr == "two\nfour \ufffd\n"

    def test_output_over_the_bound_is_dropped_and_told(self, call: Any) -> None:
        source = """
            import sys
            def run(om):
                sys.stdout.write("é" * 5000)
                sys.stderr.write("x" + "é" * 5000)
                return 1
        """
        outcome = call(source)
        assert outcome.stdout == "é" * 5000
        assert outcome.stderr == "x" + "é" * 4999 + "\n[1 more bytes were dropped]\n"
        loud = call("def run(om):\n    for _ in range(100): print('x' * 999_999)")
        assert loud.stdout == "x" * 10_000 + "\n[99,990,000 more bytes were dropped]\n"
        assert loud.failure is None

    def test_output_without_end_does_not_stop_the_clock(self, call: Any) -> None:
        outcome = call("def run(om):\n    while True: print('x' * 10_000)", timeout_s=1)
        assert outcome.failure == "timeout"
        assert "dropped" in outcome.stdout

    def test_output_of_what_failed_is_kept(self, call: Any) -> None:
        for end in ("time.sleep(60)", "os._exit(1)", "os.kill(os.getpid(), 9)", "1 / 0"):
            outcome = call(f"import os, time\ndef run(om):\n    print('before')\n    {end}", timeout_s=2)
            assert outcome.failure
            assert outcome.stdout == "before\n"

    @pytest.mark.parametrize(
        "body",
        [
            "os.close(1)",
            "os.closerange(0, 3)",
            "sys.stdout.close()",
            "sys.stdout = sys.stderr = None",
            "os.closerange(3, 256)",
            "print('x', end=''); os.close(1)",
            "os.dup2(os.open('/dev/full', os.O_WRONLY), 1); print('x', end='')",
            "json.dumps = None; os.getpid = None",
            "sys.setrecursionlimit(70)",
            "os.chdir('/'); import shutil; shutil.rmtree(here)",
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
            "sys.path.clear(); sys.modules.clear()",
            "threading.Thread(target=time.sleep, args=(0.2,)).start()",
            "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
        ],
    )
    def test_what_the_script_does_to_its_process_does_not_touch_the_result(
        self, call: Any, body: str
    ) -> None:
        source = (
            f"import json, os, signal, sys, threading, time\ndef run(om):\n    here = os.getcwd(); {body}\n"
        )
        assert call(source + "    return [1, 'é']").result == [1, "é"]

    def test_a_thread_that_writes_on_does_not_touch_the_result(self, call: Any) -> None:
        source = """
            import os, threading
            def scribble():
                while True:
                    for fd in range(3):
                        try:
                            os.write(fd, b"junk")
                        except OSError:
                            pass
            def run(om):
                os.closerange(0, 3)
                for _ in range(4):
                    threading.Thread(target=scribble, daemon=True).start()
                return "x" * 100_000
        """
        for _ in range(12):
            assert call(source).result == "x" * 100_000

    def test_junk_in_all_descriptors_does_not_touch_the_result(self, call: Any) -> None:
        source = """
            import os
            def run(om):
                for fd in range(1, 256):
                    try:
                        os.write(fd, b'{"result": "junk"}\\n')
                    except OSError:
                        pass
                return "real"
        """
        outcome = call(source)
        assert (outcome.result, outcome.stdout) == ("real", '{"result": "junk"}\n')

    # failures

    @pytest.mark.parametrize(
        ("body", "name", "message", "line"),
        [
            ("raise ValueError('bad value')", "ValueError", "bad value", 4),
            ("helper()", "ZeroDivisionError", "division by zero", 2),
            ("json.loads('{')", "JSONDecodeError", "Expecting property name", 4),
            ("sys.exit(3)", "SystemExit", "3", 4),
            ("sys.exit('all is lost')", "SystemExit", "all is lost", 4),
            ("sys.exit()", "SystemExit", "", 4),
            ("raise KeyboardInterrupt", "KeyboardInterrupt", "", 4),
            ("raise GeneratorExit('x')", "GeneratorExit", "x", 4),
            ("raise ExceptionGroup('many', [ValueError()])", "ExceptionGroup", "many (1 sub-exception)", 4),
            ("raise MemoryError", "MemoryError", "", 4),
            ("raise Strange", "Strange", "its message cannot be made: RuntimeError", 4),
            ("raise ValueError('a\\n  b\\t\\x00\\x1bc')", "ValueError", "a b ??c", 4),
            ("raise ValueError('\\ud800')", "ValueError", "?", 4),
            ("raise ValueError(object())", "ValueError", "<object object>", 4),
            ("raise type('N' * 500, (Exception,), {})", "N" * 97 + "...", "", 4),
            ("open('missing.csv')", "FileNotFoundError", "'missing.csv'", 4),
            ("open(os.path.abspath('missing.csv'))", "FileNotFoundError", "'missing.csv'", 4),
            ("deep()", "RecursionError", "maximum recursion depth exceeded", 3),
            ("print('x', file=open('/dev/full', 'w'), flush=True)", "OSError", "No space left", 4),
            ("return Cunning(a=1)", "Exception", "items", 5),
        ],
    )
    def test_what_is_raised_is_told_in_one_line(
        self, call: Any, body: str, name: str, message: str, line: int
    ) -> None:
        source = (
            "import json, os, sys\n"
            "def helper(): 1 / 0\n"
            "def deep(): deep()\n"
            f"def run(om): {body}\n"
            "def fail(*_): raise RuntimeError('no')\n"
            "Strange = type('Strange', (Exception,), {'__str__': fail})\n"
        )
        source = source.replace("def fail", "def items(_): raise Exception('items')\ndef fail")
        source += "Cunning = type('Cunning', (dict,), {'items': items})\n"
        outcome = call(source)
        assert (outcome.failure, outcome.error.name, outcome.error.line) == ("raised", name, line)
        assert message in outcome.error.message

    def test_a_long_message_is_cut(self, call: Any) -> None:
        message = call("def run(om): raise ValueError('x' * 100_000)").error.message
        assert message == "x" * 997 + "..."

    def test_what_loading_raises_is_told(self, call: Any) -> None:
        outcome = call("x = 1\nraise LookupError('early')\ndef run(om): pass")
        assert outcome.failure == "raised"
        assert (outcome.error.name, outcome.error.message, outcome.error.line) == ("LookupError", "early", 2)

    def test_the_traceback_is_in_stderr(self, call: Any) -> None:
        outcome = call("def run(om):\n    1 / 0  # here\n")
        assert outcome.stderr.startswith("Traceback (most recent call last):\n")
        assert "1 / 0  # here" in outcome.stderr
        assert outcome.stderr.endswith("ZeroDivisionError: division by zero\n")
        assert outcome.stderr.count("File ") == 1

    def test_a_traceback_names_no_directory_of_the_machine(self, call: Any) -> None:
        for body in (
            "import json; json.loads('{')",
            "import subprocess; subprocess.run(['no such program'])",
        ):
            outcome = call(f"def run(om):\n    {body}\n")
            assert 'File "omega_script.py", line 2, in run' in outcome.stderr
            assert 'File "/' not in outcome.stderr and str(sys.prefix) not in outcome.stderr

    def test_a_call_with_wrong_arguments_shows_nothing_of_the_runner(self, call: Any) -> None:
        outcome = call("def run(om):\n    pass\n", kwargs={"k": 1})
        assert outcome.error.name == "TypeError" and "'k'" in outcome.error.message
        assert "File " not in outcome.stderr

    @pytest.mark.parametrize("end", ["run = 3", "del run", "run = None", "globals().clear()"])
    def test_without_a_callable_run_nothing_is_called(self, call: Any, end: str) -> None:
        outcome = call(f"def run(om): pass\n{end}")
        assert (outcome.failure, outcome.error.line) == ("no run", None)

    @pytest.mark.parametrize(
        ("body", "told"),
        [
            ("os._exit(0)", "exit code 0"),
            ("os._exit(42)", "exit code 42"),
            ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
            ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
            ("os.kill(0, signal.SIGTERM)", "SIGTERM"),
            ("os.kill(os.getpid(), signal.SIGRTMIN + 1)", "signal 35"),
            ("signal.alarm(1); time.sleep(60)", "SIGALRM"),
            ("os.abort()", "SIGABRT"),
            ("ctypes.string_at(0)", "SIGSEGV"),
            ("os.execvp('sh', ['sh', '-c', 'exit 7'])", "exit code 7"),
            ("threading.Thread(target=os._exit, args=(5,)).start(); time.sleep(60)", "exit code 5"),
        ],
    )
    def test_a_process_that_dies_is_told(self, call: Any, body: str, told: str) -> None:
        outcome = call(f"import ctypes, os, signal, threading, time\ndef run(om): {body}")
        assert outcome.failure == "died"
        assert told in outcome.error.message
        assert outcome.error.line is None

    def test_recursion_without_limit_ends(self, call: Any) -> None:
        source = """
            import sys
            sys.setrecursionlimit(10**9)
            class A:
                def __getattr__(self, name): return getattr(self, name + "x"[:0])
            def run(om): A().x
        """
        assert call(source, timeout_s=20).failure in ("died", "memory", "timeout")

    # limits

    def test_a_call_over_the_time_limit_is_killed(self, call: Any) -> None:
        bodies = [
            "time.sleep(600)",
            "[0 for _ in iter(int, 1)]",
            "threading.Thread(target=time.sleep, args=(600,)).start()",
            "subprocess.run(['sleep', '600'])",
            "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64)); time.sleep(600)",
        ]
        for body in bodies:
            start = time.monotonic()
            outcome = call(f"import signal, subprocess, threading, time\ndef run(om): {body}", timeout_s=1)
            elapsed_s = time.monotonic() - start
            assert (outcome.failure, outcome.error.name) == ("timeout", "TimeLimitExceeded")
            assert "1 s" in outcome.error.message
            assert 1 <= elapsed_s < 1 + KILLED_WITHIN_S

    def test_loading_counts_to_the_time(self, call: Any) -> None:
        assert call("import time\ntime.sleep(600)\ndef run(om): pass", timeout_s=1).failure == "timeout"

    def test_what_catches_everything_is_killed_too(self, call: Any) -> None:
        source = """
            import time
            def run(om):
                while True:
                    try:
                        time.sleep(600)
                    except BaseException:
                        pass
        """
        assert call(source, timeout_s=1).failure == "timeout"

    def test_a_call_over_the_memory_limit_is_killed(self, call: Any) -> None:
        source = """
            import time
            def run(om):
                kept = [b"x" * (1 << 20) for _ in range(int(om is not None) * 300)]
                time.sleep(600)
        """
        start = time.monotonic()
        outcome = call(source, memory_bytes=200 * MIB)
        assert (outcome.failure, outcome.error.name) == ("memory", "MemoryLimitExceeded")
        assert "209,715,200" in outcome.error.message
        assert time.monotonic() - start < 50

    def test_memory_is_that_of_all_processes(self, call: Any) -> None:
        source = """
            import subprocess, sys, time
            CODE = "import time; kept = b'x' * (60 << 20); time.sleep(600)"
            def run(om):
                for _ in range(4):
                    subprocess.Popen([sys.executable, "-c", CODE], start_new_session=True)
                time.sleep(600)
        """
        assert call(source, memory_bytes=200 * MIB).failure == "memory"

    def test_under_the_memory_limit_nothing_happens(self, call: Any) -> None:
        source = "def run(om):\n    import time; kept = b'x' * (60 << 20); time.sleep(0.5); return len(kept)"
        assert call(source, memory_bytes=200 * MIB).result == 60 << 20

    # processes

    @pytest.mark.parametrize("leaver", LEAVERS)
    @pytest.mark.parametrize("end", ["return pid", "1 / 0", "os._exit(1)", "time.sleep(600)"])
    def test_no_process_outlives_the_call(self, call: Any, leaver: str, end: str) -> None:
        source = dedent(LEAVERS[leaver]) + (
            f"import os, time\ndef run(om):\n    pid = leave()\n    print(pid, flush=True)\n    {end}\n"
        )
        outcome = call(source, timeout_s=3)
        kind = {"return pid": None, "1 / 0": "raised", "os._exit(1)": "died", "time.sleep(600)": "timeout"}
        assert outcome.failure == kind[end]
        assert not is_alive(int(outcome.stdout.split()[0]))

    def test_what_forks_and_exits_over_and_over_is_caught(self, call: Any, tmp_path: Path) -> None:
        source = """
            import os, time
            def run(om, path):
                if os.fork() == 0:
                    os.setsid()
                    end = time.monotonic() + 60
                    with open(path, "ab", buffering=0) as file:
                        while time.monotonic() < end:
                            file.write(b".")
                            if os.fork():
                                os._exit(0)
                    os._exit(0)
                time.sleep(0.3)
        """
        assert call(source, str(tmp_path / "beats")).failure is None
        beats = (tmp_path / "beats").stat().st_size
        assert beats > 10
        time.sleep(0.3)
        assert (tmp_path / "beats").stat().st_size == beats

    def test_what_forks_without_end_is_killed(self, call: Any) -> None:
        source = """
            import os, time
            def run(om):
                for _ in range(10):  # as without end: 2 ** 10 processes are over the limit
                    os.fork()
                time.sleep(600)
        """
        assert call(source, memory_bytes=300 * MIB).failure == "memory"

    def test_a_fork_that_comes_back_from_run_says_nothing(self, call: Any) -> None:
        for end in ("return 'fork'", "raise ValueError", "raise SystemExit(0)", "sys.exit(1)"):
            source = f"""
                import os, sys
                def run(om):
                    if (pid := os.fork()) == 0:
                        print("in the fork")
                        {end}
                    os.waitpid(pid, 0)
                    return "parent"
            """
            outcome = call(source)
            assert (outcome.result, outcome.stdout) == ("parent", "in the fork\n")

    def test_a_fork_does_not_speak_for_a_process_that_dies(self, call: Any) -> None:
        for end in ("return 'fork'", "raise ValueError"):
            source = f"""
                import os
                def run(om):
                    if pid := os.fork():
                        os.waitpid(pid, 0)
                        os._exit(1)
                    {end}
            """
            assert call(source).failure == "died"

    def test_children_that_are_waited_for_are_not_killed(self, call: Any) -> None:
        source = """
            import subprocess
            def run(om):
                daemon = subprocess.Popen("setsid sh -c 'sleep 0.5; echo late' & wait", shell=True)
                return [daemon.wait(), subprocess.run(["sh", "-c", "sleep 0.1; exit 3"]).returncode]
        """
        outcome = call(source)
        assert (outcome.result, outcome.stdout) == ([0, 3], "late\n")

    def test_no_process_outlives_the_caller(self, runner: ScriptRunner, token: str, tmp_path: Path) -> None:
        source = dedent(LEAVERS["daemon"]) + SENTINEL + "def run(om): leave(); time.sleep(600)\n"
        environment = {"TOKEN": token, "SENTINEL": str(tmp_path / "ran")}
        options = {"environment": environment, "timeout_s": 600, "memory_bytes": 512 * MIB}
        caller = fork.Process(target=runner.run, args=(source,), kwargs=options)
        caller.start()
        until(lambda: len(bearers(token)) >= 3)
        caller.kill()
        caller.join()
        until(lambda: not bearers(token))

    def test_no_process_outlives_a_call_that_is_interrupted(self, runner: ScriptRunner, token: str) -> None:
        class Interrupted(Exception):
            pass

        def interrupt(_number: int, _frame: FrameType | None) -> None:
            raise Interrupted

        source = dedent(LEAVERS["daemon"]) + "def run(om): leave(); time.sleep(600)\n"
        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, 1)
            with pytest.raises(Interrupted):
                runner.run(source, environment={"TOKEN": token}, timeout_s=600, memory_bytes=512 * MIB)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert bearers(token) == []

    def test_calls_may_be_made_at_once(self, call: Any, runner: ScriptRunner) -> None:
        def one(number: int) -> tuple[Any, str]:
            source = "import time\ndef run(om, n): print(n); time.sleep(0.2); return n"
            options = {"environment": {}, "timeout_s": 60, "memory_bytes": 512 * MIB}
            outcome = runner.run(source, args=[number], **options)  # type: ignore[arg-type]
            return outcome.result, outcome.stdout

        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(one, range(8))) == [(n, f"{n}\n") for n in range(8)]


def until(condition: Any, within_s: float = 30) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
