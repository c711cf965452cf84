"""How many values the largest array of an estimator would have, before it is fitted or asked.

Only those are estimated whose arrays are a product of parameters, or of parameters and the table's shape.
Kernel methods that hold (n_samples, n_samples) are not: the data that was taken in bounds them.
"""

from collections.abc import Callable, Iterator, Mapping
from math import comb
from typing import Any, Final

from sklearn.base import BaseEstimator, clone

from omega.adapters.sklearn_models.sizes import LIMITS, grids, numbers_in, weights
from omega.ports.models import InvalidModelInput

#: Those that allocate `n_components` as asked, for each column and each row.
_FREE: Final = frozenset(
    {
        "BernoulliRBM", "DictionaryLearning", "GaussianRandomProjection", "LatentDirichletAllocation",
        "MDS", "MiniBatchDictionaryLearning", "MiniBatchNMF", "MiniBatchSparsePCA", "NMF", "RBFSampler",
        "SkewedChi2Sampler", "SparsePCA", "SparseRandomProjection", "TSNE",
    }
)  # fmt: skip


def check(model: BaseEstimator, *, rows: int, width: int, max_cells: int) -> None:
    """Refuse to give `model` a table of this shape (rows, width) when an array that it makes would have more
    than `max_cells` values, and more than the table itself.

    Widths inside a pipeline are estimates: of steps whose output depends on the data, the input's.

    Raises: InvalidModelInput.
    """
    _walk(model, rows, width, max_cells)


def _walk(model: Any, rows: int, width: int, max_cells: int) -> int:
    """Check `model` and all in it; the number of columns that it makes of `width`."""
    if not isinstance(model, BaseEstimator):
        return width
    if isinstance(steps := getattr(model, "steps", None), list):
        for _, step in steps:
            width = _walk(step, rows, width, max_cells)
        return width
    if isinstance(union := getattr(model, "transformer_list", None), list):
        return sum(_walk(member, rows, width, max_cells) for _, member in union)
    if isinstance(parts := getattr(model, "transformers", None), list):
        counts = [(member, _count(columns, width)) for _, member, columns in parts]
        return sum(_walk(member, rows, count, max_cells) for member, count in counts) or width
    for inner in _inner(model):
        _walk(inner, rows, width, max_cells)
    cells, made = _RULES.get(type(model).__name__, _components)(model, rows, width)
    if cells > max(max_cells, rows * width):
        raise InvalidModelInput(
            f"{type(model).__name__} would make {cells:,} values of {rows:,} rows and {width:,} columns, "
            f"the limit is {max_cells:,}"
        )
    return made


def _inner(model: BaseEstimator) -> Iterator[Any]:
    for name in ("estimator", "regressor", "final_estimator"):
        if isinstance(inner := getattr(model, name, None), BaseEstimator):
            yield inner
            for grid in (getattr(model, "param_grid", None), getattr(model, "param_distributions", None)):
                yield from _candidates(inner, grid)
    if isinstance(members := getattr(model, "estimators", None), list):
        yield from (member for _, member in members)


def _candidates(model: BaseEstimator, grid: Any) -> Iterator[Any]:
    """The model with the largest sizes of each part of a grid, and the estimators that stand in there."""
    for part in grids(grid):
        largest = {}
        for name, values in part.items():
            yield from (value for value in values if isinstance(value, BaseEstimator))
            if name.rpartition("__")[2] in LIMITS and (sized := [v for v in values if list(numbers_in(v))]):
                largest[name] = max(sized, key=lambda value: max(numbers_in(value)))
        try:
            yield clone(model).set_params(**largest) if largest else None
        except (AttributeError, ValueError):
            # No such parameter, which the search says better than this could.
            continue


def _count(columns: Any, width: int) -> int:
    if isinstance(columns, list):
        return sum(columns) if columns and all(isinstance(c, bool) for c in columns) else len(columns)
    return 1 if isinstance(columns, str | int) else width


def _size(model: BaseEstimator, name: str, default: int = 0) -> int:
    """A parameter that is a whole number; `default` for words, shares and nothing."""
    value = getattr(model, name, None)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _components(model: BaseEstimator, rows: int, width: int) -> tuple[int, int]:
    components = _size(model, "n_components")
    cells = components * max(rows, width) if type(model).__name__ in _FREE else 0
    return cells, components or width


def _boltzmann(model: BaseEstimator, rows: int, width: int) -> tuple[int, int]:
    components = _size(model, "n_components")
    return components * max(rows, width, _size(model, "batch_size")), components


def _nystroem(model: BaseEstimator, rows: int, width: int) -> tuple[int, int]:
    components = min(_size(model, "n_components"), rows)
    return components * max(rows, components), components


def _randomized(model: BaseEstimator, rows: int, width: int) -> tuple[int, int]:
    components = _size(model, "n_components", min(rows, width))
    extra = _size(model, "n_oversamples")
    return (components + extra) * min(rows, width), components


def _mixture(model: BaseEstimator, rows: int, width: int) -> tuple[int, int]:
    components = min(_size(model, "n_components"), rows)
    full = getattr(model, "covariance_type", None) == "full"
    return components * max(rows, width**2 if full else width), width


def _sketch(model: BaseEstimator, rows: int, width: int) -> tuple[int, int]:
    components = _size(model, "n_components")
    return _size(model, "degree", 1) * max(rows * components, width), components


def _chi2(model: BaseEstimator, rows: int, width: int) -> tuple[int, int]:
    made = width * max(2 * _size(model, "sample_steps", 1) - 1, 1)
    return rows * made, made


def _polynomial(model: BaseEstimator, rows: int, width: int) -> tuple[int, int]:
    degree: Any = getattr(model, "degree", 2)
    least, most = degree if isinstance(degree, list | tuple) and len(degree) == 2 else (0, degree)
    if not all(isinstance(d, int) and 0 <= d <= LIMITS["degree"] for d in (least, most)):
        return 0, width
    choose = comb if getattr(model, "interaction_only", False) else lambda n, k: comb(n + k - 1, k)
    made = 1 + sum(choose(width, k) for k in range(max(least, 1), most + 1))
    return max(rows, 1) * made, made


def _spline(model: BaseEstimator, rows: int, width: int) -> tuple[int, int]:
    made = width * max(_size(model, "n_knots") + _size(model, "degree") - 1, 1)
    return rows * made, made


def _bins(model: BaseEstimator, rows: int, width: int) -> tuple[int, int]:
    bins = max(numbers_in(getattr(model, "n_bins", 5)), default=1)
    encode = getattr(model, "encode", "onehot")
    made = width if encode == "ordinal" else int(width * bins)
    return int(max(rows * made if encode == "onehot-dense" else 0, width * bins)), made


def _hashing(model: BaseEstimator, rows: int, width: int) -> tuple[int, int]:
    return 0, _size(model, "n_features")


def _birch(model: BaseEstimator, rows: int, width: int) -> tuple[int, int]:
    return _size(model, "branching_factor") * width, width


def _layers(model: BaseEstimator, rows: int, width: int) -> tuple[int, int]:
    sizes = list(numbers_in(getattr(model, "hidden_layer_sizes", ())))
    return weights([width, *sizes]), width


def _naive(model: BaseEstimator, rows: int, width: int) -> tuple[int, int]:
    return int(width * max(numbers_in(getattr(model, "min_categories", None)), default=0)), width


_RULES: Final[Mapping[str, Callable[[BaseEstimator, int, int], tuple[int, int]]]] = {
    "AdditiveChi2Sampler": _chi2,
    "BayesianGaussianMixture": _mixture,
    "BernoulliRBM": _boltzmann,
    "Birch": _birch,
    "CategoricalNB": _naive,
    "FeatureHasher": _hashing,
    "GaussianMixture": _mixture,
    "HashingVectorizer": _hashing,
    "KBinsDiscretizer": _bins,
    "MLPClassifier": _layers,
    "MLPRegressor": _layers,
    "Nystroem": _nystroem,
    "PCA": _randomized,
    "PolynomialCountSketch": _sketch,
    "PolynomialFeatures": _polynomial,
    "SplineTransformer": _spline,
    "TruncatedSVD": _randomized,
}
