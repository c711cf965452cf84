"""Notebooks: read, made from code, run by a kernel of their own, turned into documents.

A notebook is a JSON object of the schema of nbformat 4.5 (https://nbformat.readthedocs.io), its texts whole
strings, the id of each cell its own. Cells are counted from 1, those that hold text included.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from attrs import frozen

JSONObject = Mapping[str, Any]
Format = Literal["html", "ipynb", "md", "py"]
Reason = Literal["cell", "timeout", "memory", "kernel died", "no kernel"]


class InvalidNotebook(ValueError):
    """The value is no notebook; the message says in one line what is wrong and in which cell."""


class InvalidParameters(ValueError):
    """A value for a name that the notebook does not declare, or not what it declares; both are named."""


class UnsupportedFormat(ValueError):
    """There is no such format, or this notebook cannot be put in it."""


@frozen
class Parameter:
    """A declared name; `type` is its annotation, `default` the source text of its value, if it has them."""

    name: str
    type: str | None
    default: str | None


@frozen
class Limits:
    """Of a run: time until its last cell ends, resident memory of the kernel and all it started, together."""

    timeout_s: float
    memory_bytes: int


@frozen
class Failure:
    """Why a run ended early, in one line; the cell in which (`None`: before the first); of an exception that
    the cell raised `name` and `value`.
    """

    reason: Reason
    message: str
    cell: int | None = None
    name: str | None = None
    value: str | None = None


@frozen
class Run:
    """The notebook with the outputs that there are, and what ended its run early."""

    notebook: JSONObject
    failure: Failure | None = None


class NotebookConverter(Protocol):
    """Pure, and the same every time. No method changes what it is given."""

    def read(self, value: Any) -> JSONObject:
        """The notebook in a JSON value of nbformat 3 (upgraded) or 4; missing and duplicate ids are replaced.

        Raises: InvalidNotebook, also for other versions and for what JSON or UTF-8 cannot hold.
        """

    def from_code(self, source: str) -> JSONObject:
        """A notebook of Python source text: one cell, or one for each line such as `# %% title [markdown]
        tags=["parameters"]`, which editors and jupytext write. Code is not checked.

        Raises: InvalidNotebook for other than text.
        """

    def render(self, notebook: JSONObject, *, format: Format, title: str) -> str:
        """A document: `html`, a page called `title` that runs no script and asks no network for anything,
        whatever the notebook holds; `md` with its pictures inside; `py` as `from_code` reads it; `ipynb`.

        Raises: InvalidNotebook, UnsupportedFormat (also for `py` of another language).
        """


class NotebookRunner(Protocol):
    """Runs many at once. No method changes what it is given."""

    def parameters(self, notebook: JSONObject) -> Sequence[Parameter]:
        """What the first cell tagged `parameters` assigns, in order; nothing if there is none in Python."""

    def run(
        self,
        notebook: JSONObject,
        *,
        parameters: Mapping[str, Any],
        limits: Limits,
        environment: Mapping[str, str],
        progress: Callable[[int, int], None],
    ) -> Run:
        """Run the cells, up to the first that fails, in a new kernel and an empty directory. When this has
        returned or raised, that directory is gone, and every process that the run started.

        Parameters, JSON values, are set in a new cell after the `parameters` cell. `environment` is added to
        that of this process. `progress` is called with the number of the current cell (0 before the first)
        and of all cells, when a cell begins and about every second; what it raises ends the run and is passed
        on. Outputs that are too large are cut, with a text that says so. A cell tagged `raises-exception` may
        fail; `sys.exit(0)` ends a run well.

        A run that is over a limit, or loses its kernel, has ended 5 s later. What there was of outputs is
        kept, unless the machine ends more than the kernel.

        Raises: InvalidNotebook, InvalidParameters; nothing was started then.
        """
