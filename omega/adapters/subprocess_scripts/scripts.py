"""Scripts in processes of their own."""

import json
import logging
import math
import os
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson
from attrs import evolve

from omega.adapters.subprocess_scripts.child import CALL, MODULE, REPORT, WORK
from omega.adapters.subprocess_scripts.guard import remove
from omega.adapters.subprocess_scripts.plain import NotPlain, plain
from omega.adapters.subprocess_scripts.watch import Ended, watch
from omega.ports.scripts import InvalidCall, InvalidScript, ScriptError, ScriptOutcome, ScriptsUnavailable

_log: Final = logging.getLogger(__name__)
_START: Final = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from omega.adapters.subprocess_scripts.child import main; main(sys.argv[2])"
)
_CHECK_S: Final = 10.0
_CHECK_BYTES: Final = 1 << 30
_MARGIN_BYTES: Final = 1 << 16


class SubprocessScriptRunner:
    """A `ScriptRunner` with a process, under a guard, for each call.

    `om` is the function, as `module:name`, that makes a script's `om` in its process; where the environment
    has OMEGA_BUCKET, the script gets `om[bucket]`. A script has at most `source_bytes`, its result
    `result_bytes` as JSON; `output_bytes` are kept of each of standard output and error. Working directories
    are made in `directory` (default: the system's for temporary files).
    """

    def __init__(
        self,
        *,
        om: str = "omega:Omega",
        source_bytes: int = 1 << 20,
        result_bytes: int = 64 << 20,
        output_bytes: int = 1 << 20,
        directory: Path | None = None,
    ) -> None:
        self._om = om
        self._source_bytes, self._result_bytes, self._output_bytes = source_bytes, result_bytes, output_bytes
        self._directory = directory

    def check(self, source: str) -> None:
        """Return if `source` is a script; see `ScriptRunner.check`.

        The text is compiled in another process: there are texts that make Python's compiler crash or take all
        memory.
        """
        call = {"check": True, "result_bytes": self._result_bytes}
        report, ended = self._call(source, call, {}, timeout_s=_CHECK_S, memory_bytes=_CHECK_BYTES)
        if report is None:
            raise InvalidScript(f"Python cannot compile it: {_how(ended, _CHECK_S, _CHECK_BYTES).message}")

    def run(
        self,
        source: str,
        *,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        environment: Mapping[str, str],
        timeout_s: float,
        memory_bytes: int,
    ) -> ScriptOutcome:
        """Call the script's `run`; see `ScriptRunner.run`."""
        if not (math.isfinite(timeout_s) and timeout_s > 0 and memory_bytes > 0):
            raise InvalidCall(f"the limits are {timeout_s} s and {memory_bytes} bytes: both must be over 0")
        call = {
            "check": False,
            "om": self._om,
            "args": _json(list(args), "args"),
            "kwargs": _json(dict(kwargs or {}), "kwargs"),
            "result_bytes": self._result_bytes,
        }
        report, ended = self._call(source, call, environment, timeout_s=timeout_s, memory_bytes=memory_bytes)
        outcome = None if ended.over else _understood(report)
        if outcome is None:
            outcome = ScriptOutcome(failure=ended.over or "died", error=_how(ended, timeout_s, memory_bytes))
        return evolve(outcome, stdout=ended.stdout, stderr=ended.stderr)

    def _call(
        self, source: str, call: dict[str, Any], environment: Mapping[str, str], **limits: Any
    ) -> tuple[Any, Ended]:
        """The report, `None` where there is none that can be read, and how the process ended."""
        content = _encode(source, self._source_bytes)
        path = [entry for entry in sys.path if Path(entry).is_absolute()]
        try:
            with _call_directory(self._directory) as home:
                for folder in (MODULE, WORK):
                    (home / folder).mkdir()
                (home / MODULE / f"{MODULE}.py").write_bytes(content)
                (home / CALL).write_text(json.dumps(call, ensure_ascii=False), encoding="utf-8")
                work = str(home / WORK)
                ended = watch(
                    [sys.executable, "-I", "-X", "utf8", "-c", _START, json.dumps(path), str(home)],
                    home=home,
                    directory=home / WORK,
                    # Joblib shares data between processes in /dev/shm, where it would stay after a kill.
                    environment={**environment, "TMPDIR": work, "JOBLIB_TEMP_FOLDER": work},
                    output_bytes=self._output_bytes,
                    **limits,
                )
                report = _read_report(home / REPORT, self._result_bytes + _MARGIN_BYTES)
        except OSError as error:
            raise ScriptsUnavailable(f"cannot run a script: {error.strerror or error}") from error
        except ValueError as error:
            raise InvalidCall(f"the environment cannot be used: {error}") from error
        match report:
            case {"invalid": message, "line": line}:
                raise InvalidScript(message, line=line)
        return report, ended


def _encode(source: str, limit: int) -> bytes:
    try:
        content = source.encode()
    except UnicodeEncodeError as error:
        raise InvalidScript("it is not UTF-8: it has half of a surrogate pair") from error
    if len(content) > limit:
        raise InvalidScript(f"it has {len(content):,} bytes, the limit is {limit:,}")
    return content


def _json(value: Any, name: str) -> Any:
    try:
        return plain(value, name)
    except NotPlain as error:
        raise InvalidCall(str(error)) from error


@contextmanager
def _call_directory(parent: Path | None) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="omega-script-", dir=parent)).resolve()
    try:
        yield home
    finally:
        if not remove(home):
            _log.warning("cannot remove %s, which a script left", home)


def _read_report(path: Path, limit: int) -> Any:
    """The report, where a file has JSON of at most `limit` bytes: a script may have put anything there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        with os.fdopen(fd, "rb", closefd=False) as file:
            return orjson.loads(file.read(limit))
    except orjson.JSONDecodeError:
        return None
    finally:
        os.close(fd)


def _understood(report: Any) -> ScriptOutcome | None:
    match report:
        case {"result": result}:
            return ScriptOutcome(result=result)
        case {
            "failure": "raised" | "not json" | "no run" as failure,
            "error": {"name": str(name), "message": str(message), "line": int() | None as line},
        }:
            return ScriptOutcome(failure=failure, error=ScriptError(name, message, line))
    return None


def _how(ended: Ended, timeout_s: float, memory_bytes: int) -> ScriptError:
    if ended.over == "timeout":
        return ScriptError("TimeLimitExceeded", f"it was not done after {timeout_s:g} s")
    if ended.over == "memory":
        return ScriptError("MemoryLimitExceeded", f"its processes held more than {memory_bytes:,} bytes")
    if ended.code is None:
        return ScriptError("ProcessDied", "its processes killed the one that watches them")
    if ended.code < 0:
        names = {int(number): number.name for number in signal.Signals}
        killer = names.get(-ended.code, f"signal {-ended.code}")
        return ScriptError("ProcessDied", f"its process was killed by {killer} before run returned")
    return ScriptError("ProcessDied", f"its process ended with exit code {ended.code} before run returned")
