"""Scripts: Python modules that are stored, and called in processes of their own."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from attrs import frozen

from omega.domain.documents import Documents
from omega.domain.errors import BadInput, TaskFailed
from omega.domain.metadata import ALWAYS, Listing, Metadata, Precondition
from omega.domain.names import SCRIPT, Reference, check_name
from omega.domain.tasks.runs import NO_RUN, Run
from omega.ports.clock import Clock
from omega.ports.scripts import InvalidCall, InvalidScript, ScriptOutcome, ScriptRunner, ScriptsUnavailable

KIND: Final = "python.script"


@frozen
class ScriptCall:
    """A call of a script, and what came of it."""

    metadata: Metadata
    outcome: ScriptOutcome
    started: datetime
    ended: datetime

    @property
    def words(self) -> str:
        """What went wrong, in one line."""
        error = self.outcome.error
        if error is None:
            return ""
        where = "" if error.line is None else f" (line {error.line})"
        said = f"{error.name}: {error.message}" if error.message else error.name
        return f"script {self.metadata.name!r}{where}: {said}"


@frozen
class ScriptService:
    """Put, get, run and drop the scripts of one bucket."""

    documents: Documents
    runner: ScriptRunner
    clock: Clock
    environment: Mapping[str, str]
    memory_bytes: int

    def put(self, name: str, code: str, *, precondition: Precondition = ALWAYS) -> Metadata:
        """Store Python source text with a function `run(om, *args, **kwargs)` as the next version of a
        script.

        Raises: BadInput naming the line at fault; PreconditionFailed.
        """
        check_name(name, resource=SCRIPT)
        if not isinstance(code, str):
            raise BadInput(f"script {name!r} must be text")
        try:
            self.runner.check(code)
        except InvalidScript as error:
            where = "" if error.line is None else f", line {error.line}"
            raise BadInput(f"script {name!r}{where}: {error}") from error
        return self.documents.put(
            name, code.encode(), attributes={"lines": code.count("\n") + 1}, precondition=precondition
        )

    def get(self, reference: Reference, *, action: str = "get") -> tuple[Metadata, str]:
        """The source text of a version of a script, and what is said about it. `action` is what it is got
        for.

        Raises: NotFound, Corrupt.
        """
        document = self.documents.get(reference, action=action)
        return document.metadata, document.content.decode()

    def metadata(self, reference: Reference, *, action: str = "get") -> Metadata:
        """What is said about a version of a script. `action` is what it is looked up for.

        Raises: NotFound.
        """
        return self.documents.metadata(reference, action=action)

    def list(self, pattern: str | None = None, *, offset: int = 0, limit: int = 20) -> Listing:
        """Scripts by name, as `Catalogue.list`."""
        return self.documents.list(pattern, offset=offset, limit=limit)

    def drop(self, name: str, *, precondition: Precondition = ALWAYS) -> None:
        """Remove a script with all its versions.

        Raises: NotFound, PreconditionFailed.
        """
        self.documents.drop(name, precondition=precondition)

    def run(
        self,
        reference: Reference,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        timeout_s: float,
        run: Run = NO_RUN,
    ) -> ScriptCall:
        """Call `run(om, *args, **kwargs)` of a script in a process of its own.

        Raises: NotFound, Corrupt; BadInput for arguments that are not JSON; TaskFailed, where no process can
        be started or watched. Whatever the script does is in the outcome.
        """
        metadata, code = self.get(reference, action="run")
        run.progress(0, 1, "running")
        started = self.clock.now()
        try:
            outcome = self.runner.run(
                code,
                args=args,
                kwargs=kwargs or {},
                environment=self.environment,
                timeout_s=timeout_s,
                memory_bytes=self.memory_bytes,
            )
        except (InvalidScript, InvalidCall) as error:
            raise BadInput(f"script {reference.name!r}: {error}") from error
        except ScriptsUnavailable as error:
            raise TaskFailed(f"script {reference.name!r}: {error}") from error
        return ScriptCall(metadata, outcome, started, self.clock.now())
