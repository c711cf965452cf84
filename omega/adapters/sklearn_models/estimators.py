"""Which classes a spec may name: the public estimators of scikit-learn, by class name or dotted path.

The table is made from `sklearn.utils.all_estimators()`; a user's text is only ever looked up in it, never
imported.
"""

import difflib
import sys
from collections.abc import Mapping
from functools import cache
from threading import Lock
from typing import Any, Final

from sklearn.base import BaseEstimator
from sklearn.utils import all_estimators

from omega.ports.models import InvalidSpec

MAX_SHOWN = 80
_WALK: Final = Lock()


def by_name() -> Mapping[str, type[BaseEstimator]]:
    """The estimator classes by class name; the first call imports all of scikit-learn (about half a
    second)."""
    # A walk through packages fails on those that another thread tries to import and cannot.
    with _WALK:
        return _by_name()


@cache
def _by_name() -> Mapping[str, type[BaseEstimator]]:
    return dict(all_estimators())


@cache
def by_path() -> Mapping[str, type[BaseEstimator]]:
    """The estimator classes by every dotted path under which their own packages show them.

    `sklearn.linear_model.LinearRegression` and `sklearn.linear_model._base.LinearRegression` are both there.
    """
    return {f"{module}.{name}": cls for name, cls in by_name().items() for module in _modules(cls)}


def find(name: Any, *, where: str) -> type[BaseEstimator]:
    """The class of this name or dotted path; `where` says in an error where the name stood.

    Raises: InvalidSpec.
    """
    if not isinstance(name, str):
        raise InvalidSpec(f"{where}: the class must be text, not {type(name).__name__}")
    found = by_path().get(name) if "." in name else by_name().get(name)
    if found is None:
        raise InvalidSpec(f"{where}: {shown(name)} is not an estimator of scikit-learn{_suggestion(name)}")
    return found


def shown(text: str) -> str:
    """`text` quoted for a message, cut to a bounded length, on one line."""
    return repr(text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "...")


def _modules(cls: type[BaseEstimator]) -> list[str]:
    parts = cls.__module__.split(".")
    paths = (".".join(parts[:count]) for count in range(2, len(parts) + 1))
    return [path for path in paths if getattr(sys.modules.get(path), cls.__name__, None) is cls]


def _suggestion(name: str) -> str:
    last = name[:MAX_SHOWN].rpartition(".")[2].casefold()
    known = {known.casefold(): known for known in by_name()}
    close = [known[match] for match in difflib.get_close_matches(last, list(known), n=3, cutoff=0.75)]
    return f"; did you mean {' or '.join(close)}?" if close else ""
