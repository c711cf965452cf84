"""Scripts: Python modules with a function `run(om, *args, **kwargs)`, called in a process of their own."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from attrs import frozen

#: The script raised; it ran over the time or the memory limit; its process ended before `run` returned; what
#: `run` returned is not JSON; the module has no callable `run` once it is loaded.
Failure = Literal["raised", "timeout", "memory", "died", "not json", "no run"]


class InvalidScript(ValueError):
    """The text is no script; the message says why, `line` is the line at fault where there is one."""

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class InvalidCall(ValueError):
    """The arguments are not JSON, or the environment or a limit cannot be used; the message names which."""


class ScriptsUnavailable(Exception):
    """The process could not be started or watched; the script may have run in part."""


@frozen
class ScriptError:
    """Of a script that raised: the name of the exception's class, its text (which may be empty) and the line
    of the script that was being run; otherwise a name for the failure, what happened, and no line.

    `name` and `message` have one line each and are bounded.
    """

    name: str
    message: str
    line: int | None = None


@frozen
class ScriptOutcome:
    """`result` is a JSON value; `failure` and `error` are both `None`, or both there and `result` is `None`.

    `stdout` and `stderr` are what the script's processes wrote there, over a published bound the beginning
    and a last line that says how much is missing; `stderr` has the traceback of what was raised.
    """

    result: Any = None
    failure: Failure | None = None
    error: ScriptError | None = None
    stdout: str = ""
    stderr: str = ""


class ScriptRunner(Protocol):
    """Pure but for what `om` reaches: a call finds nothing of earlier ones. Calls may be made at once."""

    def check(self, source: str) -> None:
        """Return if `source` is a Python module that defines `run` by a `def` at its top level (there also
        inside `if`, `try` or `with`). Nothing of it is executed.

        Raises: InvalidScript, for `async def run` and text over a published size too; ScriptsUnavailable.
        """

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
        """Load the module in a new process, call `run(om, *args, **kwargs)` and wait until the process ends.

        The process has `environment` and a few variables of the runner's, an empty working directory of its
        own, and no standard input; `om` is made there from `environment`. It and all processes that it starts
        are killed within 1 s after `timeout_s`, after they hold more than `memory_bytes` together (a page
        counts for every process that shares it), and when it ends; none outlives the call or the caller.

        Whatever the script does is an outcome, never an error of the call. A tuple, an array and a numpy
        number are JSON; NaN, infinities, integers over 64 bits, keys that are not text, other objects and
        more than a published size are not.

        Raises: InvalidScript as `check` does, before anything is executed; InvalidCall; ScriptsUnavailable.
        """
