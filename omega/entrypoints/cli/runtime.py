"""`om runtime`: servers and workers, models at work, and tasks."""

from pathlib import Path
from typing import Any

import click

from omega.domain.errors import BadInput
from omega.entrypoints.cli import output, runs, serving, tasks
from omega.entrypoints.cli.output import common


@click.group("runtime")
def group() -> None:
    """Serve the REST API and work for it; fit models and ask them; see tasks."""


for command in (
    serving.serve,
    serving.worker,
    serving.key,
    runs.job,
    runs.script,
    tasks.status,
    tasks.tasks,
    tasks.result,
    tasks.cancel,
):
    group.add_command(command)


@group.command()
@common
def ping(store: str | None, bucket: str | None, as_json: bool) -> None:
    """Check that the store can be reached."""
    with output.connected(store, bucket) as omega:
        omega.datasets.page(limit=1)
        output.print_json({"ping": "pong"}) if as_json else click.echo("pong")


@group.command()
@click.argument("name")
@click.argument("action")
@click.argument("x", required=False)
@click.argument("y", required=False)
@click.option(
    "-o", "--output", "path", type=click.Path(path_type=Path), help="Write the result to this file, as JSON."
)
@click.option("--async", "leave", is_flag=True, help="Leave it to a worker, and print the id of the task.")
@click.option("--timeout", type=click.IntRange(1), help="With --async: how many seconds it may take.")
@common
def model(
    name: str,
    action: str,
    x: str | None,
    y: str | None,
    path: Path | None,
    leave: bool,
    timeout: int | None,
    store: str | None,
    bucket: str | None,
    as_json: bool,
) -> None:
    """Fit model NAME, or ask it: ACTION is fit, partial_fit, predict, predict_proba, score, ...

    X and Y are datasets ('sample', 'sample[x,y]', 'sample@3') or files ('@new.csv').
    """
    from omega.domain.models import FIT
    from omega.entrypoints import formats

    with output.connected(store, bucket) as omega:
        if x is None:
            raise BadInput(f"{action} needs X: a dataset, or a file as @FILE")
        runtime = omega.runtime.model(name)
        if leave:
            task = runtime.submit(action, _data(x), _data(y), timeout_s=timeout)
            output.print_json({"task_id": task.id}) if as_json else click.echo(task.id)
            return
        if timeout is not None:
            raise BadInput("--timeout is for tasks: add --async")
        if action in FIT:
            output.print_metadata(runtime.change(action, _data(x), _data(y)), as_json=as_json)
            return
        encoded = formats.encode_array(runtime.ask(action, _data(x), _data(y)).result)
        with output.writing(path) as file:
            file.write(encoded + b"\n")


def _data(text: str | None) -> Any:
    if text is None or not text.startswith("@"):
        return text
    from omega.entrypoints import formats
    from omega.entrypoints.settings import load

    path = Path(text[1:])
    format = formats.by_extension(str(path))
    if format is None or format.name == "json":
        raise BadInput(f"cannot read {str(path)!r} as a table: give a .csv, .parquet, .arrow or .ndjson file")
    with output.reading(path) as stream:
        return formats.decode(format, stream, limits=load().limits)
