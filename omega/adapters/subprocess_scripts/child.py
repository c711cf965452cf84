"""What runs in the script's process: load the module, call `run`, and leave a report in a file.

The report is a file that is made after the script is done, not a pipe: so nothing that the script prints,
writes to any descriptor or closes can spoil it. It is JSON: `{"invalid": message, "line": number|null}`,
`{"valid": true}`, `{"result": value}` or `{"failure": ..., "error": {"name", "message", "line"}}`.
"""

import ast
import contextlib
import importlib
import io
import json
import os
import re
import sys
import tokenize
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from omega.adapters.subprocess_scripts.plain import NotPlain, plain

MODULE: Final = "omega_script"
CALL: Final = "call.json"
REPORT: Final = "report.json"
WORK: Final = "work"
BUCKET: Final = "OMEGA_BUCKET"
_MAX_NAME: Final = 100
_MAX_MESSAGE: Final = 1000
_RECURSION: Final = 2000
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
# A script may change the modules that it shares with us.
_dumps, _getpid, _exit = json.dumps, os.getpid, os._exit


def main(directory: str) -> None:
    """Carry out the call in `directory`, whose script is in its folder `MODULE`, and write the report."""
    own, home = _getpid(), Path(directory)
    folder = home / MODULE
    call = json.loads((home / CALL).read_bytes())
    if problem := _problem((folder / f"{MODULE}.py").read_bytes()):
        report = problem
    elif call["check"]:
        report = {"valid": True}
    else:
        # Importable by name, so that multiprocessing and joblib can call its functions in other processes.
        sys.path.insert(0, str(folder))
        sys.argv = [str(folder / f"{MODULE}.py")]
        report = _run(call, home)
        if _getpid() != own:  # the script forked, and this is the fork, come back from `run`
            with contextlib.suppress(Exception):
                sys.stdout.flush()
            _exit(0)
    _write(home, report, max_bytes=call["result_bytes"])


def _problem(source: bytes) -> dict[str, Any] | None:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        with warnings.catch_warnings():  # they are told when the module is loaded
            warnings.simplefilter("ignore")
            compile(source, MODULE, "exec", dont_inherit=True)
            tree = ast.parse(source, MODULE)
    except SyntaxError as error:
        return {"invalid": _one_line(error.msg, _MAX_MESSAGE), "line": error.lineno}
    except (ValueError, RecursionError, MemoryError) as error:
        what = "it is nested too deeply" if not isinstance(error, ValueError) else str(error)
        return {"invalid": _one_line(what, _MAX_MESSAGE), "line": None}
    if encoding not in ("utf-8", "utf-8-sig"):
        # Python would read the text, which is kept as UTF-8, as another one.
        return {"invalid": f"it declares the encoding {encoding}: scripts are UTF-8", "line": None}
    lines = {type(node): node.lineno for node in _definitions(tree.body) if node.name == "run"}
    if ast.FunctionDef in lines:
        return None
    if ast.AsyncFunctionDef in lines:
        message = "run is async: make it `def run`, which may call asyncio.run"
        return {"invalid": message, "line": lines[ast.AsyncFunctionDef]}
    return {"invalid": "it defines no function run(om, ...) at its top level", "line": None}


def _definitions(statements: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions that these statements define for the module, also under a condition."""
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield statement
        elif isinstance(statement, ast.If | ast.Try | ast.TryStar | ast.With):
            for part in ("body", "orelse", "finalbody"):
                yield from _definitions(getattr(statement, part, []))
            for handler in getattr(statement, "handlers", []):
                yield from _definitions(handler.body)


def _run(call: dict[str, Any], home: Path) -> dict[str, Any]:
    # As on a terminal: what was printed before the process is killed is there.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        run = getattr(importlib.import_module(MODULE), "run", None)
        if not callable(run):
            return _failure("no run", "NoRunFunction", "once it is loaded, the module has no callable `run`")
        result = run(_om(call["om"]), *call["args"], **call["kwargs"])
        sys.setrecursionlimit(_RECURSION)  # which the script may have lowered
        return {"result": plain(result)}
    except NotPlain as error:
        return _failure("not json", "ResultNotJSON", str(error))
    except BaseException as error:  # noqa: BLE001
        sys.setrecursionlimit(_RECURSION)
        return _raised(error, home)


def _om(factory: str) -> Any:
    module, _, name = factory.partition(":")
    om = getattr(importlib.import_module(module), name)()
    return om[os.environ[BUCKET]] if BUCKET in os.environ else om


def _raised(error: BaseException, home: Path) -> dict[str, Any]:
    frames, line = None, None
    script = str(home / MODULE / f"{MODULE}.py")
    for frame in _walk(error.__traceback__):
        if frame.tb_frame.f_code.co_filename == script:
            frames, line = (frame if line is None else frames), frame.tb_lineno
    with contextlib.suppress(BaseException):
        told = "".join(traceback.format_exception(type(error), error, frames))
        print(_without_places(told, home), end="", file=sys.stderr)
    try:
        text = str(error)
    except BaseException as failed:  # noqa: BLE001
        text = f"its message cannot be made: {type(failed).__name__}"
    # Neither where things are in memory nor where the runner keeps its files is for the caller.
    text = _ADDRESS.sub("", _without_places(text, home))
    return _failure("raised", _one_line(type(error).__name__, _MAX_NAME), text, line)


def _without_places(text: str, home: Path) -> str:
    """The text without the directories of this machine: what is in them is named as from there."""
    known = [str(home / WORK), str(home / MODULE), str(home), *filter(os.path.isabs, sys.path)]
    for place in sorted(known, key=len, reverse=True):
        text = text.replace(f"{place.rstrip('/')}/", "")
    return text


def _walk(frame: TracebackType | None) -> Iterator[TracebackType]:
    while frame is not None:
        yield frame
        frame = frame.tb_next


def _failure(kind: str, name: str, message: str, line: int | None = None) -> dict[str, Any]:
    error = {"name": name, "message": _one_line(message, _MAX_MESSAGE), "line": line}
    return {"failure": kind, "error": error}


def _one_line(text: str, limit: int) -> str:
    text = " ".join(text[: 4 * limit].split()).encode(errors="replace").decode()
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _write(home: Path, report: dict[str, Any], *, max_bytes: int) -> None:
    # Descriptors 0 to 2 that the script closed must not become the report's: what is still to be flushed to
    # standard output would go there.
    while (taken := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(taken)
    if "result" in report and len(result := _encode(report["result"])) > max_bytes:
        message = f"the result is {len(result):,} bytes of JSON, the limit is {max_bytes:,}"
        report = _failure("not json", "ResultTooLarge", message)
    part = home / f"{REPORT}.part"
    part.write_bytes(_encode(report))
    part.rename(home / REPORT)


def _encode(value: Any) -> bytes:
    return _dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
