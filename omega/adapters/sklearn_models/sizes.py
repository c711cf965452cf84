"""How much an estimator may be asked to allocate: bounds on parameters at creation.

A walk over every parameter of scikit-learn 1.9 that takes a whole number, and over the places in its source
that make arrays of such a size, sorted them in three:

`LIMITS`        the size of something that is allocated whatever the data: an upper bound at creation
`TIMES`         passes, trials or patience: more of them take longer, not more memory
`WITH_THE_DATA` sizes that scikit-learn cuts or checks against the number of samples or columns

A test keeps the three lists complete. What they make together, `estimates` finds before a fit.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

#: The largest value of a parameter of this name, or of each number in a list there.
LIMITS: Final[Mapping[str, int]] = {
    "batch_size": 100_000,  # BernoulliRBM keeps (batch_size, n_components)
    "branching_factor": 10_000,  # Birch allocates a node whole
    "cache_size": 1_000,  # MB of kernel rows in libsvm
    "code_size": 1_000,  # OutputCodeClassifier: times the number of classes
    "degree": 100,
    "hidden_layer_sizes": 10_000,
    "max_features": 2**22,
    "max_leaf_nodes": 100_000,  # trees grown best first allocate all nodes at the start
    "max_samples": 10_000_000,
    "min_categories": 10_000,
    "n_bins": 10_000,
    "n_clusters": 10_000,
    "n_components": 10_000,
    "n_estimators": 10_000,
    "n_features": 2**22,
    "n_init": 10_000,  # MDS draws all seeds at the start
    "n_iter": 100_000,  # RandomizedSearchCV lists all candidates at the start
    "n_knots": 1_000,
    "n_oversamples": 10_000,
    "n_quantiles": 100_000,
    "n_svd_vecs": 10_000,
    "n_targets": 1_000,
    "ngram_range": 30,
    "patch_size": 10_000,
    "sample_steps": 1_000,
}

#: As `LIMITS`, for parameters that are a number of points or else the points themselves.
POINTS: Final[Mapping[str, int]] = {"Cs": 10_000, "alphas": 10_000, "cv": 10_000, "thresholds": 10_000}

MAX_LAYERS: Final = 100
#: Weights between hidden layers, which an optimizer keeps four times.
MAX_WEIGHTS: Final = 10_000_000
#: Candidates of one grid search, which lists them all at the start.
MAX_CANDIDATES: Final = 100_000

TIMES: Final = frozenset(
    {
        "average", "convergence_iter", "evaluate_every", "fresh_restarts_max_iter", "iterated_power",
        "max_doc_update_iter", "max_fun", "max_iter", "max_iter_predict", "max_no_improvement",
        "max_skips", "max_trials", "n_iter_no_change", "n_iter_without_progress", "n_jobs",
        "n_refinements", "n_restarts_optimizer", "random_state", "step", "transform_max_iter", "verbose",
        "verbose_interval",
    }
)  # fmt: skip
WITH_THE_DATA: Final = frozenset(
    {
        "block_size", "init_size", "k", "k_best", "leaf_size", "max_bins", "max_categories",
        "max_cluster_size", "max_depth", "max_df", "max_n_alphas", "max_patches", "min_bin_freq",
        "min_cluster_size", "min_df", "min_features_to_select", "min_frequency", "min_samples",
        "min_samples_leaf", "min_samples_split", "n_best", "n_features_to_select", "n_neighbors",
        "n_nonzero_coefs", "norm_order", "stop_n_inliers", "subsample", "transform_n_nonzero_coefs",
        "validation_fraction",
    }
)  # fmt: skip


def refusal(name: str, value: Any) -> str | None:
    """Why a parameter of this name may not have this value, or `None`."""
    numbers = list(numbers_in(value)) if name in LIMITS else [value] if _is_number(value) else []
    limit = LIMITS.get(name, POINTS.get(name))
    if limit is not None and (over := [number for number in numbers if number > limit]):
        return f"{name} may be at most {limit:,}, not {over[0]}"
    if name == "hidden_layer_sizes":
        return _layers_refusal(numbers)
    return None


def grid_refusal(grid: Any) -> str | None:
    """Why a `param_grid` has too many candidates, or `None`."""
    candidates = 0
    for part in grids(grid):
        product = 1
        for values in part.values():
            product *= len(values)
        candidates += product
    if candidates <= MAX_CANDIDATES:
        return None
    return f"there may be at most {MAX_CANDIDATES:,} candidates, not {candidates:,}"


def grids(grid: Any) -> Iterator[Mapping[str, Any]]:
    """The objects of candidates in a `param_grid`, which may be lists of them."""
    if isinstance(grid, list | tuple):
        for part in grid:
            yield from grids(part)
    elif isinstance(grid, Mapping):
        yield grid


def numbers_in(value: Any) -> Iterator[float]:
    """The numbers in `value`: it, or those in its lists."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from numbers_in(item)
    elif _is_number(value):
        yield value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def weights(sizes: Sequence[float]) -> int:
    """The number of connections between layers of these sizes."""
    return int(sum(one * other for one, other in pairwise(sizes)))


def _layers_refusal(sizes: Sequence[float]) -> str | None:
    if len(sizes) > MAX_LAYERS:
        return f"hidden_layer_sizes may have at most {MAX_LAYERS} layers, not {len(sizes)}"
    between = weights(sizes)
    if between > MAX_WEIGHTS:
        return f"hidden_layer_sizes may have at most {MAX_WEIGHTS:,} weights in between, not {between:,}"
    return None
