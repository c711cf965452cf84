"""From a JSON spec to an unfitted estimator, through the allow-lists of `estimators` and `parameters`.

[["StandardScaler", {"with_mean": false}], ["clf", "SVC", {"C": 2}]]        several steps: a Pipeline
[["VotingRegressor", {"estimators": [["a", {"class": "Ridge", "params": {"alpha": 2}}]]}]]    an estimator as
a parameter
"""

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from omega.adapters.sklearn_models import estimators, parameters, sizes
from omega.adapters.sklearn_models.messages import ESTIMATOR_ERRORS, one_line
from omega.ports.models import InvalidSpec

MAX_DEPTH: Final = 20
MAX_STEPS: Final = 100

#: Parameters that hold named estimators: how many items each entry has, and the words that may stand for an
#: estimator.
_NAMED: Final[Mapping[str, tuple[int, frozenset[str | None]]]] = {
    "steps": (2, frozenset({"passthrough", None})),
    "estimators": (2, frozenset({"drop"})),
    "transformer_list": (2, frozenset({"drop", "passthrough"})),
    "transformers": (3, frozenset({"drop", "passthrough"})),
}


def build(spec: Any) -> BaseEstimator:
    """The estimator that the list of steps in `spec` describes: the step itself if it is one, a `Pipeline` of
    several.

    Raises: InvalidSpec.
    """
    if not isinstance(spec, list | tuple) or not spec:
        raise InvalidSpec("the pipeline must be a list of at least one step [class name, parameters]")
    if len(spec) > MAX_STEPS:
        raise InvalidSpec(f"the pipeline has {len(spec)} steps, the limit is {MAX_STEPS}")
    parsed = [_step(step, number) for number, step in enumerate(spec, start=1)]
    names = _step_names([(name, cls.__name__) for name, cls, _ in parsed])
    steps = [
        (name, _estimator(cls, params, where=f"step {number} {estimators.shown(name)}", depth=1))
        for number, (name, (_, cls, params)) in enumerate(zip(names, parsed, strict=True), start=1)
    ]
    if len(steps) == 1:
        return steps[0][1]
    _check_entries("steps", steps, cls=Pipeline, where="the pipeline")
    return _checked(Pipeline(steps), where="the pipeline")


def _step(step: Any, number: int) -> tuple[str | None, type[BaseEstimator], Any]:
    """Step name, class and parameters; `["a", "B"]` is a step named a, since parameters are never text."""
    if not isinstance(step, list | tuple) or not 1 <= len(step) <= 3:
        raise InvalidSpec(
            f"step {number} must be a list [class name, parameters] or [step name, class name, parameters]"
        )
    named = len(step) == 3 or (len(step) == 2 and isinstance(step[1], str))
    name, rest = (step[0], step[1:]) if named else (None, step)
    if named and (not isinstance(name, str) or not name):
        raise InvalidSpec(f"step {number}: the step name must be text")
    params = rest[1] if len(rest) == 2 else None
    return name, estimators.find(rest[0], where=f"step {number}"), params


def _step_names(steps: Sequence[tuple[str | None, str]]) -> list[str]:
    """The names given, and for steps without one the class name in lower case, as `make_pipeline` does:
    numbered when it comes twice."""
    given = {name for name, _ in steps if name is not None}
    defaults = Counter(cls.lower() for name, cls in steps if name is None)
    seen: Counter[str] = Counter()
    names = []
    for name, cls in steps:
        default = cls.lower()
        if name is None and (defaults[default] > 1 or default in given):
            seen[default] += 1
            names.append(f"{default}-{seen[default]}")
        else:
            names.append(default if name is None else name)
    return names


def _estimator(cls: type[BaseEstimator], params: Any, *, where: str, depth: int) -> BaseEstimator:
    """An estimator of `cls`; `depth` counts the lists, objects and estimators around it."""
    where = f"{where} ({cls.__name__})"
    params = {} if params is None else params
    if not isinstance(params, Mapping):
        raise InvalidSpec(f"{where}: the parameters must be an object, not {type(params).__name__}")
    signature = inspect.signature(cls)
    allowed = set(cls._get_param_names())
    if unknown := sorted(estimators.shown(str(name)) for name in params if name not in allowed):
        raise InvalidSpec(
            f"{where}: no parameter {', '.join(unknown[:5])}; it has {', '.join(sorted(allowed)) or 'none'}"
        )
    needed = [name for name in allowed if signature.parameters[name].default is inspect.Parameter.empty]
    if missing := sorted(set(needed) - set(params)):
        raise InvalidSpec(f"{where}: needs the parameter {', '.join(missing)}")
    values = {
        name: _parameter(name, value, where=f"{where}, parameter {name!r}", depth=depth + 1)
        for name, value in params.items()
    }
    for name in _NAMED.keys() & values.keys():
        _check_entries(name, values[name], cls=cls, where=f"{where}, parameter {name!r}")
        values[name] = [tuple(entry) for entry in values[name]]
    return _checked(cls(**values), where=where)


def _parameter(name: str, value: Any, *, where: str, depth: int) -> Any:
    """The value of one parameter of this name, which may be nested (`vect__input`)."""
    if parameters.plain(name) in parameters.GRIDS:
        grid = _grid(value, where=where, depth=depth)
        # A random search draws from the grid and never lists it; `n_iter` has its own bound.
        if parameters.plain(name) == "param_grid" and (why := sizes.grid_refusal(grid)):
            raise InvalidSpec(f"{where}: {why}")
        return grid
    if parameters.plain(name) in parameters.DATA_DICTS:
        return _data(name, value, where=where, depth=depth)
    found = parameters.checked(name, _value(value, where=where, depth=depth), where=where)
    if parameters.plain(name) not in parameters.OBJECTS and _holds_object(found):
        form = '{"class": ..., "params": {...}}'
        raise InvalidSpec(f"{where}: takes no object; an estimator is written {form}")
    return found


def _holds_object(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_holds_object, value))
    return isinstance(value, Mapping)


def _data(name: str, value: Any, *, where: str, depth: int) -> Any:
    """As `_value`, but the keys of objects are data and not names of parameters."""
    _check_depth(depth, where=where)
    if isinstance(value, list | tuple):
        return [_data(name, item, where=where, depth=depth + 1) for item in value]
    if not isinstance(value, Mapping) or _is_estimator(value):
        return _value(value, where=where, depth=depth)
    data = {key: _value(item, where=where, depth=depth + 1) for key, item in _items(value, where=where)}
    return parameters.label_keys(data) if parameters.plain(name) == "class_weight" else data


def _grid(value: Any, *, where: str, depth: int) -> Any:
    """Candidate values by parameter name, or a list of such objects."""
    _check_depth(depth, where=where)
    if isinstance(value, list | tuple):
        return [_grid(item, where=f"{where}[{i}]", depth=depth + 1) for i, item in enumerate(value)]
    if not isinstance(value, Mapping):
        raise InvalidSpec(f"{where}: must be an object of lists, or a list of such objects")
    grid = {}
    for name, candidates in _items(value, where=where):
        inside = f"{where}, {estimators.shown(name)}"
        if not isinstance(candidates, list | tuple) or not candidates:
            raise InvalidSpec(f"{inside}: must be a list of at least one value")
        grid[name] = [_parameter(name, item, where=inside, depth=depth + 2) for item in candidates]
    return grid


def _value(value: Any, *, where: str, depth: int) -> Any:
    _check_depth(depth, where=where)
    if isinstance(value, list | tuple):
        items = [_value(item, where=f"{where}[{i}]", depth=depth + 1) for i, item in enumerate(value)]
        # An entry such as ["name", estimator, columns] is a tuple wherever scikit-learn makes one itself.
        return tuple(items) if any(isinstance(item, BaseEstimator) for item in items) else items
    if isinstance(value, Mapping):
        if _is_estimator(value):
            cls = estimators.find(value["class"], where=where)
            return _estimator(cls, value.get("params"), where=where, depth=depth + 1)
        if "class" in value:
            extra = ", ".join(
                sorted(estimators.shown(str(key)) for key in value.keys() - {"class", "params"})[:5]
            )
            raise InvalidSpec(
                f"{where}: an estimator has the keys 'class' and 'params' only"
                + (f", not {extra}" if extra else "")
            )
        return {
            key: _parameter(key, item, where=f"{where}, {estimators.shown(key)}", depth=depth + 1)
            for key, item in _items(value, where=where)
        }
    return parameters.scalar(value, where=where)


def _is_estimator(value: Mapping[Any, Any]) -> bool:
    return value.keys() == {"class", "params"} or (
        value.keys() == {"class"} and isinstance(value["class"], str)
    )


def _items(value: Mapping[Any, Any], *, where: str) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if not isinstance(key, str):
            raise InvalidSpec(f"{where}: the keys of an object must be text, not {type(key).__name__}")
        yield key, item


def _check_depth(depth: int, *, where: str) -> None:
    if depth > MAX_DEPTH:
        raise InvalidSpec(f"{where[:200]}: nested more than {MAX_DEPTH} deep")


def _check_entries(parameter: str, entries: Any, *, cls: type[BaseEstimator], where: str) -> None:
    """Refuse what scikit-learn would only find at fit, or not survive: entries that are no `(name,
    estimator)`, and illegal names."""
    size, words = _NAMED[parameter]
    if not isinstance(entries, list | tuple) or not 1 <= len(entries) <= MAX_STEPS:
        raise InvalidSpec(f"{where}: must be a list of 1 to {MAX_STEPS} entries")
    form = '["name", {"class": ..., "params": {...}}' + (", columns]" if size == 3 else "]")
    for entry in entries:
        if not isinstance(entry, list | tuple) or len(entry) != size or not isinstance(entry[0], str):
            raise InvalidSpec(f"{where}: each entry must be {form}")
        name, member = entry[:2]
        if not isinstance(member, BaseEstimator) and not (_is_word(member) and member in words):
            raise InvalidSpec(f"{where}: {estimators.shown(name)} must be an estimator, as in {form}")
        if not name or "__" in name or name in cls._get_param_names():
            raise InvalidSpec(
                f"{where}: {estimators.shown(name)} cannot be a name (empty, holds '__' or is a parameter)"
            )
    names = Counter(entry[0] for entry in entries)
    if twice := [name for name, count in names.items() if count > 1]:
        raise InvalidSpec(f"{where}: the name {estimators.shown(twice[0])} comes twice")
    if parameter == "steps":
        _check_steps(entries, where=where)


def _is_word(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _check_steps(steps: Sequence[tuple[str, Any]], *, where: str) -> None:
    for name, step in steps[:-1]:
        if isinstance(step, BaseEstimator) and not hasattr(step, "transform"):
            raise InvalidSpec(
                f"{where}: step {estimators.shown(name)} ({type(step).__name__}) has no transform: "
                "only the last step may lack it"
            )


def _checked(model: BaseEstimator, *, where: str) -> BaseEstimator:
    """`model`, if its parameter values pass scikit-learn's own checks as far as those need no data."""
    try:
        if hasattr(model, "_parameter_constraints"):
            model._validate_params()
        get_tags(model)
        model.get_params(deep=True)
    except ESTIMATOR_ERRORS as error:
        raise InvalidSpec(f"{where}: {one_line(error)}") from error
    return model
