"""`om models`: models from pipeline specs."""

from pathlib import Path
from typing import Any

import click

from omega.domain.errors import BadInput
from omega.entrypoints.cli import output
from omega.entrypoints.cli.objects import add_common
from omega.entrypoints.cli.output import common


@click.group("models")
def group() -> None:
    """Put, get, list and drop models."""


add_common(group)


@group.command()
@click.argument("spec")
@click.argument("name")
@click.option("--replace", is_flag=True, help="Make the next version of a model that is there.")
@common
def put(spec: str, name: str, replace: bool, store: str | None, bucket: str | None, as_json: bool) -> None:
    """Create model NAME from SPEC.

    SPEC is a JSON file, JSON itself ('[["StandardScaler", {}], ["Ridge", {"alpha": 2}]]'), or one class name
    (Ridge).
    """
    with output.connected(store, bucket) as omega:
        output.print_metadata(omega.models.create(name, _pipeline(spec), replace=replace), as_json=as_json)


@group.command()
@click.argument("name")
@click.option(
    "-o", "--output", "path", type=click.Path(path_type=Path), required=True, help="The joblib file to write."
)
@click.option("--version", type=click.IntRange(1))
@common
def get(
    name: str, path: Path, version: int | None, store: str | None, bucket: str | None, as_json: bool
) -> None:
    """Write the estimator of model NAME to a joblib file (`joblib.load` reads it)."""
    import joblib

    with output.connected(store, bucket) as omega:
        model = omega.models.get(name, version=version)
        with output.writing(path) as file:
            joblib.dump(model, file)
        if as_json:
            output.print_json({"name": name, "file": str(path)})


def _pipeline(spec: str) -> Any:
    from omega.entrypoints.strict_json import parse_json

    if spec.isidentifier():
        return [[spec, {}]]
    if not spec.lstrip().startswith(("[", "{")):
        with output.reading(Path(spec)) as file:
            content = file.read()
        try:
            spec = content.decode()
        except UnicodeDecodeError as error:
            raise BadInput(f"{spec!r} is not a pipeline spec: it is not text") from error
    body = parse_json(spec.encode(), max_depth=64)
    pipeline = body.get("pipeline") if isinstance(body, dict) else body
    if not isinstance(pipeline, list):
        raise BadInput('a pipeline spec is a list of steps [class name, parameters], or {"pipeline": [...]}')
    return pipeline
