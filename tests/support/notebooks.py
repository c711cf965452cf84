"""Notebooks for tests, and what must be left of a run: nothing."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from omega.ports.notebooks import Limits, NotebookRunner, Run

#: Bounds that a test should not come near, on a machine that is busy with other things.
PATIENT = Limits(timeout_s=120, memory_bytes=4 << 30)


def code(
    source: str, *, outputs: Sequence[Any] = (), tags: Sequence[str] = (), **more: Any
) -> dict[str, Any]:
    metadata = {"tags": list(tags)} if tags else {}
    cell = {"cell_type": "code", "metadata": metadata, "source": source, "outputs": list(outputs)}
    return cell | {"execution_count": None} | more


def text(source: str, *, kind: str = "markdown", **more: Any) -> dict[str, Any]:
    return {"cell_type": kind, "metadata": {}, "source": source} | more


def shown(data: Mapping[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "data": dict(data), "metadata": metadata}


def notebook(*cells: str | dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """A notebook of these cells; a text is the source of a code cell."""
    made = [code(cell) if isinstance(cell, str) else cell for cell in cells]
    numbered = [{"id": f"c{number}", **cell} for number, cell in enumerate(made, 1)]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": numbered}


def of_kernel(name: str, *cells: str) -> dict[str, Any]:
    """A notebook that asks for a kernel."""
    return notebook(*cells, kernelspec={"name": name, "display_name": name})


def run(
    runner: NotebookRunner,
    document: Mapping[str, Any],
    *,
    parameters: Mapping[str, Any] | None = None,
    limits: Limits = PATIENT,
    environment: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] = lambda _cell, _cells: None,
) -> Run:
    return runner.run(
        document,
        parameters=parameters or {},
        limits=limits,
        environment=environment or {},
        progress=progress,
    )


def printed(document: Mapping[str, Any]) -> list[str]:
    """What each cell has printed and shown as text."""
    return ["".join(map(_text, cell.get("outputs", ()))) for cell in document["cells"]]


def _text(output: Mapping[str, Any]) -> str:
    return str(output["text"] if "text" in output else output.get("data", {}).get("text/plain", ""))


def processes(*, holding: str) -> list[psutil.Process]:
    """The living processes with this in their command or environment."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
            if process.status() != psutil.STATUS_ZOMBIE and any(holding in word for word in words):
                found.append(process)
        except psutil.Error:
            continue
    return found


@contextmanager
def own_temporary_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A place of the test's own for temporary directories; its path is short. Nothing must be left in it."""
    tmp_path_factory.getbasetemp()  # is made at first use, and not here
    directory = Path(tempfile.mkdtemp(prefix="o-"))
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    monkeypatch.setenv("TMPDIR", str(directory))
    try:
        yield directory
        assert list(directory.iterdir()) == []
    finally:
        shutil.rmtree(directory)


def wait_for(condition: Callable[[], Any], *, within_s: float = 60) -> Any:
    """What the condition says once it says something."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found
