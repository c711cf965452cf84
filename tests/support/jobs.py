"""Jobs and scripts that run in the test's own process, on stores and a clock of its choice: no kernel is
started.
"""

import ast
import contextlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from attrs import define, evolve, field, frozen

from omega import Omega
from omega.adapters.nbconvert_notebooks.notebooks import NbconvertNotebookConverter
from omega.adapters.papermill_notebooks import notebooks as papermill
from omega.adapters.subprocess_scripts import scripts as subprocess_scripts
from omega.domain.documents import Documents
from omega.domain.job_runs import JobRuns
from omega.domain.job_schedules import JobSchedules, Scheduler
from omega.domain.jobs import KIND, JobService
from omega.domain.names import JOB, MODEL, SCRIPT
from omega.domain.scripts import KIND as SCRIPT_KIND
from omega.domain.scripts import ScriptService
from omega.domain.tasks import Answer, Endings, Task
from omega.entrypoints import actions, bootstrap
from omega.entrypoints.http.app import build
from omega.entrypoints.limits import Limits as HttpLimits
from omega.entrypoints.work import Attempt, Work
from omega.ports.notebooks import Failure, InvalidParameters, Limits, Parameter, Run
from omega.ports.scripts import InvalidCall, InvalidScript, ScriptError, ScriptOutcome
from tests.support.services import Still, World
from tests.support.wsgi import Reply, call


class Ended(BaseException):
    """Raised by a cell of a `FakeRunner`: something ends the run from outside."""

    def __init__(self, reason: Any, message: str, cell: int | None = 1) -> None:
        super().__init__(message)
        self.failure = Failure(reason, message, cell)


@frozen
class RunCall:
    """What a runner was asked."""

    notebook: Mapping[str, Any]
    parameters: Mapping[str, Any]
    limits: Limits
    environment: Mapping[str, str]


@define
class FakeRunner:
    """A `NotebookRunner` that executes the cells here. They see the parameters, what is in `names`, and
    `Ended`; what they print is their output.
    """

    names: dict[str, Any] = field(factory=dict)
    calls: list[RunCall] = field(factory=list)

    def parameters(self, notebook: Mapping[str, Any]) -> Sequence[Parameter]:
        tagged = [cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", ())]
        lines = tagged[0]["source"].splitlines() if tagged else []
        return [Parameter(name.strip(), None, value.strip()) for name, _, value in map(_parts, lines)]

    def run(
        self,
        notebook: Mapping[str, Any],
        *,
        parameters: Mapping[str, Any],
        limits: Limits,
        environment: Mapping[str, str],
        progress: Callable[[int, int], None],
    ) -> Run:
        self.calls.append(RunCall(notebook, parameters, limits, environment))
        declared = [parameter.name for parameter in self.parameters(notebook)]
        for name in parameters:
            if name not in declared:
                raise InvalidParameters(f"no parameter {name!r}; declared: {', '.join(declared) or 'none'}")
        done = json.loads(json.dumps(notebook))
        cells = done["cells"]
        progress(0, len(cells))
        names = {**self.names, "Ended": Ended}
        for number, cell in enumerate(cells, 1):
            progress(number, len(cells))
            if cell["cell_type"] != "code":
                continue
            failure = _executed(cell, number, len(cells), names)
            if "parameters" in cell["metadata"].get("tags", ()):
                names.update(parameters)
            if failure is not None:
                return Run(done, failure)
        return Run(done)


def _parts(line: str) -> tuple[str, str, str]:
    return line.partition("=")


def _executed(cell: dict[str, Any], number: int, count: int, names: dict[str, Any]) -> Failure | None:
    printed, failure = io.StringIO(), None
    cell["execution_count"] = number
    try:
        with contextlib.redirect_stdout(printed):
            exec(cell["source"], names)
    except Ended as ended:
        failure = ended.failure
    except Exception as error:
        name, value = type(error).__name__, str(error)
        failure = Failure("cell", f"cell {number} of {count}: {name}: {value}", number, name, value)
    if printed.getvalue():
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": printed.getvalue()}]
    return failure


@frozen
class ScriptRun:
    """What a script runner was asked."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    environment: Mapping[str, str]
    timeout_s: float
    memory_bytes: int


@define
class FakeScripts:
    """A `ScriptRunner` that calls `run` here, with `om` for its first argument."""

    om: Any = None
    calls: list[ScriptRun] = field(factory=list)

    def check(self, source: str) -> None:
        try:
            tree = ast.parse(source)
        except SyntaxError as error:
            raise InvalidScript(error.msg, line=error.lineno) from error
        if not any(isinstance(part, ast.FunctionDef) and part.name == "run" for part in tree.body):
            raise InvalidScript("it has no function run")

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
        if timeout_s <= 0:
            raise InvalidCall("the time limit must be over 0")
        self.check(source)
        self.calls.append(ScriptRun(args, dict(kwargs or {}), environment, timeout_s, memory_bytes))
        names: dict[str, Any] = {}
        out, err = io.StringIO(), io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                exec(source, names)
                result = names["run"](self.om, *args, **(kwargs or {}))
        except Exception as error:
            said = ScriptError(type(error).__name__, str(error), 1)
            stderr = f"{err.getvalue()}{said.name} at line 1\n"
            return ScriptOutcome(failure="raised", error=said, stdout=out.getvalue(), stderr=stderr)
        try:
            result = json.loads(json.dumps(result, allow_nan=False))
        except (TypeError, ValueError) as error:
            said = ScriptError("NotJSON", str(error))
            return ScriptOutcome(failure="not json", error=said, stdout=out.getvalue(), stderr=err.getvalue())
        return ScriptOutcome(result, stdout=out.getvalue(), stderr=err.getvalue())


MEMORY_BYTES = 1 << 30


@define
class JobWorld(World):
    """A world with jobs, scripts and schedules, put together as in omega/entrypoints/bootstrap.py."""

    clock: Any = field(factory=Still)
    runner: FakeRunner = field(factory=FakeRunner)
    script_runner: FakeScripts = field(factory=FakeScripts)

    def documents(self, resource: str, kind: str, bucket: str = "store") -> Documents:
        return Documents(self.catalogue(resource, bucket), self.payloads(), kind)

    def job_runs(self, bucket: str = "store") -> JobRuns:
        return JobRuns(self.records, self.payloads(), self.clock, bucket)

    def jobs(self, bucket: str = "store") -> JobService:
        return JobService(
            self.documents(JOB, KIND, bucket),
            self.job_runs(bucket),
            NbconvertNotebookConverter(),
            self.runner,
            {"OMEGA_BUCKET": bucket},
            MEMORY_BYTES,
        )

    def scripts(self, bucket: str = "store") -> ScriptService:
        return ScriptService(
            self.documents(SCRIPT, SCRIPT_KIND, bucket),
            self.script_runner,
            self.clock,
            {"OMEGA_BUCKET": bucket},
            MEMORY_BYTES,
        )

    def schedules(self, bucket: str = "store") -> JobSchedules:
        return JobSchedules(self.records, self.clock, self.ids, bucket)

    def scheduler(self) -> Scheduler:
        return Scheduler(self.records, self.clock, self.ids, self.tasks)

    def endings(self) -> Endings:
        def left_by(task: Task) -> Answer | None:
            return actions.left_by(self.catalogue(MODEL, task.bucket), self.job_runs(task.bucket), task)

        return evolve(super().endings(), outcome=left_by)

    def work(self) -> Work:
        def perform(task: Task, run: Attempt) -> Answer:
            return actions.perform(_Services(self, task.bucket), self.inputs(), task, run)

        return evolve(super().work(), perform=perform)


@frozen
class _Services:
    world: JobWorld
    bucket: str

    @property
    def models(self) -> Any:
        return self.world.models(self.bucket)

    @property
    def jobs(self) -> JobService:
        return self.world.jobs(self.bucket)

    @property
    def scripts(self) -> ScriptService:
        return self.world.scripts(self.bucket)


# over HTTP


class Api:
    """The REST API over WSGI; paths are relative to /api/v1."""

    def __init__(self, omega: Omega) -> None:
        self.omega = omega
        self.app = build(omega, HttpLimits(json_depth=20))

    def __call__(self, method: str, path: str, body: Any = b"", **headers: str) -> Reply:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return call(self.app, method, "/api/v1" + path, body=raw, headers=named)


def refused(reply: Reply, status: int, *words: str, more: Sequence[str] = ()) -> None:
    """The reply is a problem (RFC 9457) with these words, with no members but `more`, and tells nothing of
    the server.
    """
    assert reply.status == status, reply.body
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json
    assert problem.keys() == {"type", "title", "status", "detail", "request_id", "message", *more}
    assert problem["status"] == status and problem["message"] == problem["detail"]
    for word in words:
        assert word in problem["detail"]
    for secret in ("Traceback", "/work", "/tmp", "site-packages", " at 0x"):
        assert secret not in reply.body.decode()


@contextlib.contextmanager
def without_processes(runner: FakeRunner, scripts: FakeScripts, clock: Any) -> Iterator[None]:
    """Whatever is put together by `bootstrap.connect` meanwhile runs jobs and scripts here, by this clock."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(papermill, "PapermillNotebookRunner", lambda: runner)
        patch.setattr(subprocess_scripts, "SubprocessScriptRunner", lambda: scripts)
        patch.setattr(bootstrap, "SystemClock", lambda: clock)
        yield
