"""Which parameter values a spec may give: rules by parameter name, wherever the parameter stands.

JSON holds no callable and no object, so most of what scikit-learn's parameters can do is out of reach. A walk
over the parameters of all 208 estimators of scikit-learn 1.9 (signatures, `_parameter_constraints`,
docstrings, and the places in its source that open, evaluate, import, format or run something) found these
that text or numbers can turn against the host:

memory                     a directory that joblib writes pickles to and loads them from (Pipeline,
                           AgglomerativeClustering, FeatureAgglomeration, OPTICS): only null
input                      "filename" opens the files that the data names, "file" calls their `read` (the text
                           vectorizers): only "content"
encoding                   names a codec module of Python to import (the text vectorizers): a short list
pre_dispatch               an arithmetic expression that joblib parses and evaluates (the searches): a number,
                           "all" or "N*n_jobs"
importance_getter          a dotted path of attributes that is followed from the estimator (RFE, RFECV,
                           SelectFromModel): no part may be private
verbose_feature_names_out  a `str.format` template, which can follow attributes and pad to any width
                           (ColumnTransformer): two plain fields
token_pattern              a regular expression, which can take time without end: a subset, see `patterns`
dtype                      text that numpy parses to a type: a list of numeric types
n_jobs                     so many threads or processes: at most 64
n_components and the like  the size of what is allocated: the bounds are in `sizes`

Looked at and found harmless: callback, scoring, metric, kernel, func, tokenizer and the like (callables, or
words from a fixed list), metric_params, kernel_params, kw_args (keyword arguments of functions that are
already fixed), solver_options (HiGHS options that scipy names one by one, none of which is a file),
SelectFromModel's threshold ("1.25*mean" is split, not evaluated), eigen_solver="amg" (imports pyamg, a fixed
name), verbose (prints). Nothing in an estimator opens a network connection: only `sklearn.datasets` does,
which holds no estimator.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from omega.adapters.sklearn_models import patterns, sizes
from omega.ports.models import InvalidSpec

MAX_JOBS: Final = 64
MAX_PATH: Final = 1000

#: Parameters that hold candidate values for other parameters, by name.
GRIDS: Final = frozenset({"param_grid", "param_distributions"})

#: Parameters whose dicts are data: their keys are words, labels or columns and not names of parameters.
DATA_DICTS: Final = frozenset(
    {"class_weight", "monotonic_cst", "scoring", "transformer_weights", "vocabulary"}
)

#: Parameters that take an object at all, other than an estimator: those, and keyword arguments.
OBJECTS: Final = DATA_DICTS | {
    "fun_args", "inv_kw_args", "kernel_params", "kw_args", "metric_params", "solver_options"
}  # fmt: skip

#: Parameters that take a tuple and no list (`hidden_layer_sizes` takes both; its default is a tuple).
TUPLES: Final = frozenset(
    {"feature_range", "hidden_layer_sizes", "n_clusters", "ngram_range", "patch_size", "quantile_range"}
)

#: Parameters that take an ndarray and no list, in some estimators (`dictionary` takes both, but uses its
#: `shape`).
ARRAYS: Final = frozenset(
    {"U_init", "V_init", "alpha", "code_init", "dict_init", "dictionary", "init", "precompute"}
)

DTYPES: Final[Mapping[str, type]] = {
    dtype.__name__: dtype
    for dtype in (
        *(np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64),
        *(np.uint8, np.uint16, np.uint32, np.uint64),
    )
} | {"float": np.float64, "int": np.int64}

_ENCODINGS = frozenset(
    {"ascii", "cp1252", "iso-8859-1", "iso-8859-15", "latin-1", "latin1", "utf-16", "utf-8", "utf8"}
)
_PRE_DISPATCH = re.compile(r"all|(\d{1,4}(\.\d{1,4})?\s*\*\s*)?n_jobs|\d{1,6}")
_ATTRIBUTES = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)*", re.ASCII)
_FIELDS = re.compile(r"\{(feature_name|transformer_name)\}")


def checked(name: str, value: Any, *, where: str) -> Any:
    """`value` in the form that a parameter of this name takes; `name` may be nested (`vect__input`), its last
    part counts.

    Raises: InvalidSpec, for a value that no parameter of this name may have here.
    """
    rule = _RULES.get(name := plain(name))
    if why := (rule(value) if rule is not None else None) or sizes.refusal(name, value):
        raise InvalidSpec(f"{where}: {why}")
    if name == "dtype" and isinstance(value, str):
        return DTYPES[value]
    if isinstance(value, list) and name in TUPLES:
        return tuple(value)
    if isinstance(value, list) and name in ARRAYS:
        return _array(value, where=where)
    return value


def plain(name: str) -> str:
    """The parameter's own name, without the names of the estimators that it is nested in."""
    return name.rpartition("__")[2]


def scalar(value: Any, *, where: str) -> Any:
    """`value`, if it is a JSON scalar that 64 bits hold.

    Raises: InvalidSpec.
    """
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        raise InvalidSpec(f"{where}: a whole number of more than 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidSpec(f"{where}: not a finite number")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InvalidSpec(f"{where}: a {type(value).__name__} is not a JSON value")


def label_keys(value: Mapping[str, Any]) -> dict[str | int, Any]:
    """Class labels as the keys of a JSON object: those that read as whole numbers become numbers, since JSON
    has text keys only."""
    return {
        int(key) if re.fullmatch(r"-?\d{1,18}", key, re.ASCII) else key: item for key, item in value.items()
    }


def _array(value: list[Any], *, where: str) -> np.ndarray:
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidSpec(f"{where}: must be an array of numbers with rows of one length") from error


def _memory(value: Any) -> str | None:
    return None if value is None else "a cache directory may not be given: memory must be null"


def _input(value: Any) -> str | None:
    return None if value == "content" else 'files may not be read: input must be "content"'


def _encoding(value: Any) -> str | None:
    if isinstance(value, str) and value.lower() in _ENCODINGS:
        return None
    return f"encoding must be one of {', '.join(sorted(_ENCODINGS))}"


def _pre_dispatch(value: Any) -> str | None:
    number = isinstance(value, int) and not isinstance(value, bool)
    if number or (isinstance(value, str) and _PRE_DISPATCH.fullmatch(value)):
        return None
    return 'pre_dispatch must be a whole number, "all" or like "2*n_jobs"'


def _importance_getter(value: Any) -> str | None:
    if isinstance(value, str) and len(value) <= MAX_PATH and _ATTRIBUTES.fullmatch(value):
        return None
    return 'importance_getter must be "auto" or names of public attributes joined by dots'


def _feature_names(value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and not re.search(r"[{}]", _FIELDS.sub("", value)):
        return None
    fields = "{feature_name} and {transformer_name}"
    return f"verbose_feature_names_out must be true, false or text with no field but {fields}"


def _token_pattern(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        return "token_pattern must be null or text"
    return f"token_pattern {why}" if (why := patterns.refusal(value)) else None


def _dtype(value: Any) -> str | None:
    # KBinsDiscretizer alone takes null here; where null does not fit, scikit-learn says so.
    if value is None or (isinstance(value, str) and value in DTYPES):
        return None
    return f"dtype must be one of {', '.join(sorted(DTYPES))}"


def _n_jobs(value: Any) -> str | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_JOBS):
        return None
    return f"n_jobs must be null or a whole number of at most {MAX_JOBS}"


_RULES: Final[Mapping[str, Callable[[Any], str | None]]] = {
    "memory": _memory,
    "input": _input,
    "encoding": _encoding,
    "pre_dispatch": _pre_dispatch,
    "importance_getter": _importance_getter,
    "verbose_feature_names_out": _feature_names,
    "token_pattern": _token_pattern,
    "dtype": _dtype,
    "n_jobs": _n_jobs,
}
