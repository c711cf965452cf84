"""`om.scripts`: Python modules that are stored, and called in processes of their own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from omega.domain.errors import BadInput, ScriptFailed
from omega.domain.jobs import allowed_s, with_margin
from omega.domain.metadata import ALWAYS, Metadata, Precondition
from omega.domain.names import SCRIPT, Reference
from omega.domain.scripts import ScriptService
from omega.entrypoints.actions.scripts import script_answer
from omega.entrypoints.objects import Objects, reference
from omega.entrypoints.runtime import RuntimeTask
from omega.entrypoints.services import Services


@frozen
class Scripts(Objects):
    """Put, get, run and drop scripts. A name may carry a version: `clean@3`, `clean^`."""

    _service: ScriptService = field(alias="service", repr=False)
    _services: Services = field(alias="services", repr=False)

    def put(
        self, code: str | Path, name: str | None = None, *, precondition: Precondition = ALWAYS
    ) -> Metadata:
        """Store Python source text, or that in a file (whose stem is its name by default), with a function
        `run(om, *args, **kwargs)`.

        Raises: BadInput naming the line at fault.
        """
        if isinstance(code, Path):
            name, code = name or code.stem, _read(code)
        if name is None:
            raise BadInput("a script that is not a file needs a name")
        return self._service.put(name, code, precondition=precondition)

    def get(self, name: str, *, version: int | None = None) -> str:
        """The source text.

        Raises: NotFound, Corrupt.
        """
        return self.open(name, version=version)[1]

    def open(self, name: str, *, version: int | None = None) -> tuple[Metadata, str]:
        """A version of a script, with its source text.

        Raises: NotFound, Corrupt.
        """
        return self._service.get(reference(name, SCRIPT, version))

    def run(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """What `run(om, *args, **kwargs)` of the script returns, called in a process of its own: here, or on
        a worker if a queue was chosen. All of it is JSON.

        Raises: NotFound; ScriptFailed, with the words of the script's error; BadInput.
        """
        answer = self.call(name, args, kwargs)
        if answer["error"] is not None:
            raise ScriptFailed(answer["message"])
        return answer["result"]

    def call(
        self,
        name: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Mapping[str, Any]:
        """As `run`, with all that is known of the call: `result`, `stdout`, `stderr`, times, and of one that
        failed `error` and `message`.

        Raises: NotFound; BadInput.
        """
        if self._services.remote:
            answer: Mapping[str, Any] = self.submit(name, args, kwargs, timeout_s=timeout_s).outcome()
            return answer
        timeout_s = allowed_s(timeout_s, self._services.work.policy)
        reference = Reference.parse(name, resource=SCRIPT)
        return script_answer(self._service.run(reference, args, kwargs, timeout_s=timeout_s))

    def submit(
        self,
        name: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> RuntimeTask:
        """Leave a call to a worker, which may take `timeout_s` seconds.

        Raises: NotFound; BadInput; QueueUnavailable: there is no task then.
        """
        timeout_s = allowed_s(timeout_s, self._services.work.policy)
        self._service.metadata(Reference.parse(name, resource=SCRIPT), action="run")
        options = {"args": list(args), "kwargs": dict(kwargs or {}), "timeout_s": timeout_s}
        try:
            task = self._services.tasks.submit(
                SCRIPT, name, "run", options=options, timeout_s=with_margin(timeout_s), attempts=1
            )
        except ValueError as error:
            raise BadInput(f"the arguments of script {name!r} are not JSON: {error}") from error
        return RuntimeTask.submitted(self._services, task)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot read {path.name!r}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path.name!r} is no script: it is not UTF-8 text") from error
