"""`om scripts`: Python modules from files and to files."""

from pathlib import Path

import click

from omega.domain.errors import BadInput
from omega.entrypoints.cli import output
from omega.entrypoints.cli.objects import add_common
from omega.entrypoints.cli.output import common


@click.group("scripts")
def group() -> None:
    """Put, get, list and drop scripts."""


add_common(group)


@group.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("name", required=False)
@common
def put(file: Path, name: str | None, store: str | None, bucket: str | None, as_json: bool) -> None:
    """Store the Python module in FILE, with a function `run(om, *args, **kwargs)`, as script NAME (default:
    the name of the file without `.py`).
    """
    with output.connected(store, bucket) as omega, output.reading(file) as stream:
        try:
            code = stream.read().decode()
        except UnicodeDecodeError as error:
            raise BadInput(f"{str(file)!r} is not UTF-8 text") from error
        output.print_metadata(omega.scripts.put(code, name or file.stem), as_json=as_json)


@group.command()
@click.argument("name")
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), help="The file to write.")
@click.option("--version", type=click.IntRange(1))
@common
def get(
    name: str, path: Path | None, version: int | None, store: str | None, bucket: str | None, as_json: bool
) -> None:
    """Write the source text of script NAME."""
    with output.connected(store, bucket) as omega:
        metadata, code = omega.scripts.open(name, version=version)
        if as_json:
            output.print_json({**output.describe(metadata), "code": code})
            return
        with output.writing(path) as file:
            file.write(code.encode())
