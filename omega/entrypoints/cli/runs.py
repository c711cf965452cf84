"""`om runtime job NAME run` and `om runtime script NAME run`."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from omega.domain.errors import BadInput
from omega.entrypoints.cli import output
from omega.entrypoints.cli.output import common

_ACTION = click.argument("action", type=click.Choice(["run"]))
PARAM = click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="VALUE is JSON or text; may be repeated.",
)
_TIMEOUT = click.option("--timeout", type=click.IntRange(1), help="How many seconds it may take.")
_ASYNC = click.option(
    "--async", "leave", is_flag=True, help="Leave it to a worker, and print the id of the task."
)


@click.command()
@click.argument("name")
@_ACTION
@PARAM
@_TIMEOUT
@_ASYNC
@common
def job(
    name: str,
    action: str,
    params: tuple[str, ...],
    timeout: int | None,
    leave: bool,
    store: str | None,
    bucket: str | None,
    as_json: bool,
) -> None:
    """Run job NAME: its notebook, with parameters that it declares. What comes of it is kept.

    The exit code is 1 if a cell fails.
    """
    from omega.entrypoints.actions.jobs import described_run

    with output.connected(store, bucket) as omega:
        parameters = parsed(params)
        if leave:
            task = omega.jobs.submit(name, parameters, timeout_s=timeout)
            output.print_json({"task_id": task.id}) if as_json else click.echo(task.id)
            return
        run = omega.jobs.run(name, parameters, timeout_s=timeout)
        if as_json:
            output.print_json(described_run(run))
        else:
            click.echo(f"{run.status} {run.result_name}")
        if run.error is not None:
            click.echo(f"om: {output.shown(run.error.message)}", err=True)
            sys.exit(1)


@click.command()
@click.argument("name")
@_ACTION
@click.argument("args", nargs=-1)
@PARAM
@_TIMEOUT
@_ASYNC
@common
def script(
    name: str,
    action: str,
    args: tuple[str, ...],
    params: tuple[str, ...],
    timeout: int | None,
    leave: bool,
    store: str | None,
    bucket: str | None,
    as_json: bool,
) -> None:
    """Call script NAME: its function run(om, *ARGS, **PARAMS). ARGS are JSON, else text.

    What it returns is printed as JSON, what it writes to standard output and error goes there.
    """
    with output.connected(store, bucket) as omega:
        values, parameters = [_value(text) for text in args], parsed(params)
        if leave:
            task = omega.scripts.submit(name, values, parameters, timeout_s=timeout)
            output.print_json({"task_id": task.id}) if as_json else click.echo(task.id)
            return
        answer = omega.scripts.call(name, values, parameters, timeout_s=timeout)
        if as_json:
            output.print_json(answer)
        else:
            click.echo(answer["stdout"], nl=False, err=True)
            click.echo(answer["stderr"], nl=False, err=True)
            if answer["error"] is None:
                output.print_json(answer["result"])
        if answer["error"] is not None:
            click.echo(f"om: {output.shown(answer['message'])}", err=True)
            sys.exit(1)


def parsed(params: Sequence[str]) -> dict[str, Any]:
    """Values by name, from `NAME=VALUE`.

    Raises: BadInput.
    """
    parsed: dict[str, Any] = {}
    for param in params:
        name, equals, text = param.partition("=")
        if not equals or not name:
            raise BadInput(f"--param {param[:80]!r} is not of the form NAME=VALUE")
        if name in parsed:
            raise BadInput(f"--param {name!r} is given twice")
        parsed[name] = _value(text)
    return parsed


def _value(text: str) -> Any:
    from omega.entrypoints.strict_json import parse_json

    try:
        return parse_json(text.encode())
    except BadInput:
        return text
