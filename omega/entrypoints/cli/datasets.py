"""`om datasets`: datasets from files and to files, by extension."""

from pathlib import Path
from typing import Any

import click

from omega.domain.errors import BadInput
from omega.entrypoints.cli import output
from omega.entrypoints.cli.objects import add_common
from omega.entrypoints.cli.output import common

_SHOWN_ROWS = 20


@click.group("datasets")
def group() -> None:
    """Put, get, list and drop datasets."""


add_common(group)


@group.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("name")
@click.option("--replace", is_flag=True, help="Take the place of what is there, instead of appending to it.")
@click.option(
    "--format",
    "format_name",
    help="csv, parquet, arrow, ndjson, json or file; by default the extension says.",
)
@common
def put(
    file: Path,
    name: str,
    replace: bool,
    format_name: str | None,
    store: str | None,
    bucket: str | None,
    as_json: bool,
) -> None:
    """Store FILE (`-`: standard input) as dataset NAME.

    .csv .parquet .arrow .ndjson become frames, .json a dict or list, .npy an array; any other file is kept as
    it is.
    """
    with output.connected(store, bucket) as omega, output.reading(file) as stream:
        value = _decoded(stream, file, format_name)
        output.print_metadata(omega.datasets.put(value, name, append=not replace), as_json=as_json)


@group.command()
@click.argument("name")
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(path_type=Path),
    help="The file; its extension gives the format.",
)
@click.option("--format", "format_name", help="csv, parquet, arrow, ndjson or json.")
@click.option("--columns", help="x,y | ^y (all but y) | a:b (from a to b)")
@click.option(
    "--where", multiple=True, metavar="COLUMN__OP=VALUE", help="Rows for which this holds; may be repeated."
)
@click.option("--sort", help="a,-b")
@click.option("--limit", type=click.IntRange(0))
@click.option("--offset", type=click.IntRange(0), default=0)
@click.option("--version", type=click.IntRange(1))
@common
def get(
    name: str,
    path: Path | None,
    format_name: str | None,
    version: int | None,
    where: tuple[str, ...],
    store: str | None,
    bucket: str | None,
    as_json: bool,
    **selection: Any,
) -> None:
    """Show dataset NAME, or write it to a file."""
    from omega.domain.datasets import Query

    query = Query(filters=[_filter(text) for text in where], **selection)
    with output.connected(store, bucket) as omega:
        reading = omega.datasets.open(name, query, version=version)
        if as_json:
            format_name = "json"
        if path is None and format_name is None and reading.schema is not None:
            _show(reading)
            return
        with output.writing(path) as file:
            for chunk in output.with_progress(_encoded(reading, path, format_name), description=name):
                file.write(chunk)


def _filter(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--where {text!r}: give COLUMN=VALUE or COLUMN__OP=VALUE")
    return column, value


def _decoded(stream: Any, path: Path, format_name: str | None) -> Any:
    """The file's content as a value to put."""
    from omega.entrypoints import formats
    from omega.entrypoints.settings import load
    from omega.entrypoints.strict_json import parse_json

    limits = load().limits
    format = _format(path, format_name)
    if format is not None and format.name == "json":
        return parse_json(stream.read(), max_depth=limits.json_depth)
    if format is not None:
        return formats.decode(format, stream, limits=limits)
    if path.suffix == ".npy" and format_name is None:
        return _array(stream)
    return stream


def _array(stream: Any) -> Any:
    import numpy as np

    try:
        return np.lib.format.read_array(stream, allow_pickle=False)
    except ValueError as error:
        raise BadInput(f"the file is not a .npy array: {error}") from error


def _encoded(reading: Any, path: Path | None, format_name: str | None) -> Any:
    """The dataset's bytes in the format that the file asks for."""
    from omega.entrypoints import formats

    if reading.schema is None:
        return _payload(reading, path)
    format = _format(path, format_name)
    if format is None and path is not None and path.suffix:
        raise BadInput(
            f"cannot write a frame as {path.suffix}: give .csv, .parquet, .arrow, .ndjson or .json"
        )
    format = format or formats.FORMATS["csv"]
    if format.name == "json":
        uri = f"/api/v1/dataset/{reading.metadata.name}/"
        return formats.encode_json_frame(reading, resource_uri=uri)
    return formats.encode(format, reading)


def _payload(reading: Any, path: Path | None) -> Any:
    """A dataset that is no frame: a value as JSON, an array as .npy or JSON, a file as it is."""
    import orjson

    from omega.domain import contents
    from omega.domain.tabular import values
    from omega.entrypoints import formats

    kind = reading.metadata.kind
    if kind == contents.DATA:
        value = contents.decode_bytes(kind, reading.chunks)
        return iter([orjson.dumps(values.plain(value), option=orjson.OPT_INDENT_2), b"\n"])
    if kind == contents.NDARRAY and (path is None or path.suffix != ".npy"):
        return iter([formats.encode_array(contents.decode_bytes(kind, reading.chunks)), b"\n"])
    return reading.chunks


def _format(path: Path | None, name: str | None) -> Any:
    from omega.entrypoints import formats

    if name is None:
        return formats.by_extension(str(path)) if path is not None else None
    if name == "file":
        return None
    return formats.negotiate(None, name)


def _show(reading: Any) -> None:
    """The first rows as a table; how many there are in all on standard error."""
    import pandas as pd
    import pyarrow as pa

    from omega.domain import contents

    tables, rows = [], 0
    for table in reading.tables:
        tables.append(table)
        if (rows := rows + table.num_rows) >= _SHOWN_ROWS:
            break
    frame = contents.decode_frame(reading.metadata.kind, [pa.concat_tables(tables).slice(0, _SHOWN_ROWS)])
    frame = frame.to_frame() if isinstance(frame, pd.Series) else frame
    rows_shown = zip(frame.index, frame.astype("O").values, strict=True)
    output.print_table(
        ["", *map(str, frame.columns)],
        # Six digits, as pandas shows them: the point of a table is to be seen whole.
        ([index, *(f"{x:.6g}" if isinstance(x, float) else x for x in row)] for index, row in rows_shown),
    )
    if rows > len(frame):
        click.echo(f"the first {len(frame)} rows; write all to a file with -o FILE", err=True)
