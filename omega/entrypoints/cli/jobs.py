"""`om jobs`: notebooks from files and to files, their runs, reports and schedules."""

import json
from pathlib import Path

import click

from omega.domain.errors import BadInput
from omega.entrypoints.cli import output
from omega.entrypoints.cli.objects import add_common
from omega.entrypoints.cli.output import common
from omega.entrypoints.cli.runs import PARAM, parsed

_FORMATS = {".html": "html", ".htm": "html", ".md": "md", ".py": "py", ".ipynb": "ipynb"}


@click.group("jobs")
def group() -> None:
    """Put, get, list, report and drop jobs (notebooks), and see their runs."""


add_common(group)


@group.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("name", required=False)
@common
def put(file: Path, name: str | None, store: str | None, bucket: str | None, as_json: bool) -> None:
    """Store the notebook in FILE as job NAME (default: the name of the file).

    A .py file becomes a notebook with a cell for each line `# %%`.
    """
    with output.connected(store, bucket) as omega, output.reading(file) as stream:
        content = stream.read()
        name = name or file.stem
        if file.suffix == ".py":
            try:
                metadata = omega.jobs.create(content.decode(), name)
            except UnicodeDecodeError as error:
                raise BadInput(f"{str(file)!r} is not UTF-8 text") from error
        else:
            metadata = omega.jobs.put(content, name)
        output.print_metadata(metadata, as_json=as_json)


@group.command()
@click.argument("name")
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), help="The file to write.")
@click.option("--version", type=click.IntRange(1))
@common
def get(
    name: str, path: Path | None, version: int | None, store: str | None, bucket: str | None, as_json: bool
) -> None:
    """Write the notebook of job NAME."""
    with output.connected(store, bucket) as omega:
        _, notebook = omega.jobs.open(name, version=version)
        with output.writing(path) as file:
            # Not by orjson, which refuses integers over 64 bits.
            file.write(json.dumps(notebook, ensure_ascii=False, indent=2).encode() + b"\n")


@group.command()
@click.argument("name")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0)
@common
def results(name: str, limit: int, offset: int, store: str | None, bucket: str | None, as_json: bool) -> None:
    """List the runs of job NAME, the latest first."""
    from omega.entrypoints.actions.jobs import described_run

    with output.connected(store, bucket) as omega:
        runs, total = omega.jobs.page_of_runs(name, offset=offset, limit=limit)
        if as_json:
            output.print_json([described_run(run) for run in runs])
            return
        output.print_table(
            ("result", "status", "started", "seconds", "message"),
            (
                (
                    run.result_name,
                    run.status,
                    run.started,
                    "" if run.duration_s is None else f"{run.duration_s:.1f}",
                    run.error.message if run.error else "",
                )
                for run in runs
            ),
        )
        if len(runs) < total:
            click.echo(f"{len(runs)} of {total}: see --limit and --offset", err=True)


@group.command()
@click.argument("name")
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(path_type=Path),
    help="The file; its extension gives the format (.html .md .py .ipynb).",
)
@click.option("--format", "format_name", type=click.Choice(sorted(set(_FORMATS.values()))))
@common
def export(
    name: str,
    path: Path | None,
    format_name: str | None,
    store: str | None,
    bucket: str | None,
    as_json: bool,
) -> None:
    """Write a report: NAME is a result (results/NAME_SECONDS.ipynb) or a job."""
    format = format_name or _format_of(path)
    with output.connected(store, bucket) as omega:
        content = omega.jobs.export(name, format=format)
        if as_json:
            output.print_json({"name": name, "content": content})
            return
        with output.writing(path) as file:
            file.write(content.encode())


@group.command()
@click.argument("name")
@click.option("--cron", help='Five fields, such as "30 6 * * mon-fri"; without it the schedule is shown.')
@click.option("--tz", default="UTC", show_default=True, metavar="AREA/CITY", help="The time zone.")
@PARAM
@click.option("--timeout", type=click.IntRange(1), help="How many seconds a run may take.")
@common
def schedule(
    name: str,
    cron: str | None,
    tz: str,
    params: tuple[str, ...],
    timeout: int | None,
    store: str | None,
    bucket: str | None,
    as_json: bool,
) -> None:
    """Let workers run job NAME by the clock; without --cron, show when they will, and what was missed."""
    from omega.entrypoints.actions.jobs import described_schedule

    with output.connected(store, bucket) as omega:
        if cron is None:
            found = omega.jobs.scheduled(name)
        else:
            found = omega.jobs.schedule(name, cron, tz=tz, parameters=parsed(params), timeout_s=timeout)
        described = described_schedule(found)
        output.print_json(described) if as_json else output.print_table(("", ""), described.items())


@group.command()
@click.argument("name")
@common
def unschedule(name: str, store: str | None, bucket: str | None, as_json: bool) -> None:
    """Let job NAME run by itself no more."""
    with output.connected(store, bucket) as omega:
        omega.jobs.unschedule(name)
        if as_json:
            output.print_json({"name": name, "unscheduled": True})


def _format_of(path: Path | None) -> str:
    """The format that the extension of a file means; `html` without one."""
    extension = "" if path is None else path.suffix.lower()
    if extension and extension not in _FORMATS:
        known = " ".join(_FORMATS)
        raise BadInput(f"cannot tell the format of {str(path)!r}: use one of {known}, or --format")
    return _FORMATS.get(extension, "html")
