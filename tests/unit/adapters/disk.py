"""Watching and breaking what the adapters do to the disk."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


class DiskLog:
    """The calls that make files durable and name them, in order: `(call, last part of the path)`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[tuple[str, str]] = []
        self._log(monkeypatch, "fsync", lambda fd: Path(f"/proc/self/fd/{fd}").readlink())
        self._log(monkeypatch, "link", lambda source, target, **options: target)
        self._log(monkeypatch, "replace", lambda source, target: target)
        self._log(monkeypatch, "rename", lambda source, target: target)
        self._log(monkeypatch, "unlink", lambda path, **options: path)

    def index(self, call: str, name: str) -> int:
        """Where the step is; it must be there once."""
        assert self.steps.count((call, name)) == 1, self.steps
        return self.steps.index((call, name))

    def _log(self, monkeypatch: pytest.MonkeyPatch, call: str, path: Callable[..., Any]) -> None:
        original = getattr(os, call)

        def logged(*args: Any, **kwargs: Any) -> Any:
            self.steps.append((call, Path(path(*args, **kwargs)).name))
            return original(*args, **kwargs)

        monkeypatch.setattr(os, call, logged)


def fail(
    monkeypatch: pytest.MonkeyPatch, call: str, code: int, *, where: Callable[..., bool] = lambda *args: True
) -> None:
    """Let `os.CALL` fail with the error number `code` when `where` says so of its arguments."""
    original = getattr(os, call)

    def failing(*args: Any, **kwargs: Any) -> Any:
        if where(*args):
            raise OSError(code, os.strerror(code), str(args[0]))
        return original(*args, **kwargs)

    monkeypatch.setattr(os, call, failing)
