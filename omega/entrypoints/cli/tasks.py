"""`om runtime status`, `tasks`, `result` and `cancel`."""

import sys
import time
from typing import TYPE_CHECKING, Any, Final

import click

from omega.entrypoints.cli import output
from omega.entrypoints.cli.output import common

if TYPE_CHECKING:
    from omega.domain.tasks import Task
    from omega.entrypoints.runtime import RuntimeTask

_LOOK_S: Final = 0.1


@click.command()
@common
def status(store: str | None, bucket: str | None, as_json: bool) -> None:
    """Show the workers, and how many tasks wait in the queue."""
    with output.connected(store, bucket) as omega:
        workers, waiting = omega.runtime.workers(), omega.runtime.queued()
        rows = [(w.host, w.pid, w.processes, w.busy, w.started, w.seen) for w in workers]
        header = ("host", "pid", "processes", "busy", "started", "seen")
        if as_json:
            shown = [dict(zip(header, row, strict=True)) for row in rows]
            output.print_json({"workers": shown, "queued": waiting})
            return
        output.print_table(header, rows)
        click.echo(f"{len(workers)} workers, {waiting} tasks in the queue")


@click.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0)
@common
def tasks(limit: int, offset: int, store: str | None, bucket: str | None, as_json: bool) -> None:
    """List tasks, the latest first."""
    with output.connected(store, bucket) as omega:
        page = omega.runtime.tasks(offset=offset, limit=limit)
        if as_json:
            output.print_json([_described(task) for task in page.items])
            return
        output.print_table(
            ("task", "status", "what", "created"),
            (
                (
                    task.id,
                    task.status,
                    f"{task.call.resource} {task.call.name} {task.call.action}",
                    task.created,
                )
                for task in page.items
            ),
        )
        if len(page.items) < page.total:
            click.echo(f"{len(page.items)} of {page.total}: see --limit and --offset", err=True)


@click.command()
@click.argument("id")
@click.option("--follow", is_flag=True, help="Wait for its end, and show how it goes on.")
@common
def result(id: str, follow: bool, store: str | None, bucket: str | None, as_json: bool) -> None:
    """Print the result of task ID, which is JSON; of one that has not ended, its status."""
    with output.connected(store, bucket) as omega:
        handle = omega.runtime.task(id)
        task = _followed(handle) if follow else handle.get()
        if not task.is_final:
            output.print_json(_described(task)) if as_json else click.echo(task.status)
            return
        click.echo(handle.answer(task).decode())


@click.command()
@click.argument("id")
@common
def cancel(id: str, store: str | None, bucket: str | None, as_json: bool) -> None:
    """End task ID."""
    with output.connected(store, bucket) as omega:
        task = omega.runtime.task(id).cancel()
        if as_json:
            output.print_json(_described(task))
        elif task.is_final:
            click.echo(task.status)
        else:
            click.echo("it will end as soon as its worker sees this")


def _described(task: "Task") -> dict[str, Any]:
    return {
        "task_id": task.id,
        "status": task.status,
        "resource": task.call.resource,
        "name": task.call.name,
        "action": task.call.action,
        "created": task.created,
        "started": task.started,
        "ended": task.ended,
        "attempts": task.attempts,
        "message": task.failure and task.failure.message,
    }


def _followed(handle: "RuntimeTask") -> "Task":
    """The task at its end; until then a progress bar, or where that is not a terminal, a line for each
    step."""
    return _with_bar(handle) if sys.stderr.isatty() else _with_lines(handle)


def _with_bar(handle: "RuntimeTask") -> "Task":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        shown = bar.add_task("PENDING", total=None)
        while not (task := handle.get()).is_final:
            said = task.progress
            bar.update(
                shown,
                description=output.shown(_step(task)),
                total=said.total if said else None,
                completed=said.done if said else 0,
            )
            time.sleep(_LOOK_S)
    return task


def _with_lines(handle: "RuntimeTask") -> "Task":
    last = ""
    while True:
        task = handle.get()
        if (step := _step(task)) != last:
            click.echo(output.shown(step), err=True)
            last = step
        if task.is_final:
            return task
        time.sleep(_LOOK_S)


def _step(task: "Task") -> str:
    said = task.progress
    if task.is_final or said is None:
        return task.status
    return f"{task.status} {said.done}/{said.total} {said.message}"
