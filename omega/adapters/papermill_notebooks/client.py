"""papermill's client and engine, with bounded outputs, word of each cell, and a kernel started before.

Only the host imports this module: papermill takes half a second to import.
"""

from collections.abc import Callable
from typing import Any

from attrs import define
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import from_dict
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines

from omega.adapters.papermill_notebooks.kernels import KEEP_OUTPUTS
from omega.adapters.papermill_notebooks.outputs import OutputBudget, output_of

ENGINE = "omega"
#: How soon a dead kernel is noticed while a reply is waited for.
_SHELL_TIMEOUT_S = 1
#: How long outputs may still be on their way once a cell has ended. Then the run goes on without them.
_IOPUB_TIMEOUT_S = 60


@define
class Execution:
    """One run of a notebook: what the engine is given, and what is left of it afterwards."""

    kernel_manager: Any
    budget: OutputBudget
    report: Callable[[int, int], None]
    startup_timeout_s: int
    notebook: Any
    cell: int | None = None
    error: CellExecutionError | None = None
    is_done: bool = False


class Engine(NBClientEngine):  # type: ignore[misc]
    """Runs the cells; `execution` comes through papermill's `execute_notebook`."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, kernel_name: str, *, execution: Execution, **_: Any
    ) -> None:
        """Run all cells of the manager's notebook."""
        execution.notebook = nb_man.nb
        Client(execution, nb_man, kernel_name).execute()


papermill_engines.register(ENGINE, Engine)


class Client(PapermillNotebookClient):  # type: ignore[misc]
    """Keeps outputs within their budget, and the state of widgets, which is without bound, not at all."""

    clear_before_next_output: bool

    def __init__(self, execution: Execution, nb_man: NotebookExecutionManager, kernel_name: str) -> None:
        super().__init__(
            nb_man,
            km=execution.kernel_manager,
            kernel_name=kernel_name,
            startup_timeout=execution.startup_timeout_s,
            shell_timeout_interval=_SHELL_TIMEOUT_S,
            iopub_timeout=_IOPUB_TIMEOUT_S,
            raise_on_iopub_timeout=False,
            timeout=None,
            store_widget_state=False,
        )
        self.comm_open_handlers: dict[str, Any] = {}
        self._execution = execution

    def papermill_execute_cells(self) -> None:
        """Run all cells, or up to the first that fails."""
        if self.km.ipykernel:
            self.wait_for_reply(self.kc.execute(KEEP_OUTPUTS, silent=True))
        super().papermill_execute_cells()
        self._execution.is_done = True

    def execute_cell(self, cell: Any, cell_index: int, **kwargs: Any) -> Any:
        """Run a cell; the execution knows which, and how it failed."""
        self._execution.cell = cell_index + 1
        self._execution.report(cell_index + 1, len(self.nb.cells))
        try:
            return super().execute_cell(cell, cell_index, **kwargs)
        except CellExecutionError as error:
            self._execution.error = error
            raise
        except DeadKernelError as error:
            self.nb_man.cell_exception(cell, cell_index=cell_index, exception=error)
            raise

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        """Take in an output, cut if it is too large."""
        if (output := output_of(msg["msg_type"], msg["content"])) is None:
            return None
        if self.clear_before_next_output:
            self.clear_before_next_output = False
            del outs[:]
            self._forget(cell_index)
        is_last = self._execution.budget.add(outs, output, cell=cell_index)
        if outs:
            outs[-1] = from_dict(outs[-1])
        if is_last and display_id:
            self._display_id_map.setdefault(display_id, {}).setdefault(cell_index, []).append(len(outs) - 1)
        return None

    def clear_output(self, outs: list[Any], msg: dict[str, Any], cell_index: int) -> None:
        """Remove the outputs of a cell, at once or when the next comes."""
        super().clear_output(outs, msg, cell_index)
        if not outs:
            self._forget(cell_index)

    def _forget(self, cell: int) -> None:
        self.clear_display_id_mapping(cell)
        self._execution.budget.clear(cell)

    def _update_display_id(self, display_id: str, msg: dict[str, Any]) -> None:
        places = [
            (cell, self.nb["cells"][cell]["outputs"][place])
            for cell, found in self._display_id_map.get(display_id, {}).items()
            for place in found
        ]
        if places and (output := output_of("display_data", msg["content"])):
            self._execution.budget.replace(places, output)
