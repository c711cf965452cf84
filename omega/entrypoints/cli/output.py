"""How results are shown: tables and progress bars on a terminal, JSON with `--json`, bytes to files."""

import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, TypeVar

import click

from omega.domain.errors import BadInput

if TYPE_CHECKING:
    from omega.domain.metadata import Listing, Metadata
    from omega.entrypoints.api import Omega

F = TypeVar("F", bound=Callable[..., Any])


def common(command: F) -> F:
    """The options that every command has: `--store`, `--bucket`, `--json`."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--bucket", default=None, help="The bucket (default: OMEGA_BUCKET, else 'store')."),
        click.option(
            "--store", default=None, help="The store's URL (default: OMEGA_STORE, else in OMEGA_HOME)."
        ),
    ):
        command = option(command)
    return command


@contextmanager
def connected(store: str | None, bucket: str | None) -> Iterator["Omega"]:
    """Omega on the store that the options name."""
    from omega.entrypoints.api import Omega

    with Omega(store, bucket=bucket) as omega:
        yield omega


def print_json(value: Any) -> None:
    """Print one JSON document."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    click.echo(orjson.dumps(value, option=options, default=_jsonable).decode())


def print_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; not cut to the terminal's width when the output is not a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*header, box=SIMPLE_HEAD, pad_edge=False, show_edge=False, show_header=any(header))
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else 10_000, highlight=False).print(table, end="")


def print_listing(listing: "Listing", *, as_json: bool) -> None:
    """Print a list of objects."""
    if as_json:
        print_json([describe(item) for item in listing.items])
        return
    print_table(
        ("name", "kind", "version", "modified"),
        ((item.name, item.kind, item.version, item.modified) for item in listing.items),
    )
    if len(listing.items) < listing.total:
        click.echo(f"{len(listing.items)} of {listing.total}: see --limit and --offset", err=True)


def print_metadata(metadata: "Metadata", *, as_json: bool) -> None:
    """Print what is said about one object."""
    described = describe(metadata)
    if as_json:
        print_json(described)
    else:
        print_table(("", ""), described.items())


def describe(metadata: "Metadata") -> dict[str, Any]:
    """Metadata as a flat JSON object."""
    return {
        "name": metadata.name,
        "bucket": metadata.bucket,
        "kind": metadata.kind,
        "version": metadata.version,
        "created": metadata.created,
        "modified": metadata.modified,
        **metadata.attributes,
    }


def shown(value: Any) -> str:
    """A value as text for people, on one line."""
    # NaT is a datetime to Python, but has no time to show.
    if isinstance(value, datetime) and value == value:
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, dict | list):
        import orjson

        return orjson.dumps(value, default=_jsonable).decode()
    # Names and cells come from others: a control character must not reach the terminal.
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """A file, open for reading, with a progress bar on a terminal.

    Raises: BadInput when it cannot be read.
    """
    try:
        if str(path) == "-":
            yield sys.stdin.buffer
        elif sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import open as open_with_progress

            with open_with_progress(
                path, "rb", description=path.name, console=Console(stderr=True), transient=True
            ) as file:
                yield file
        else:
            with path.open("rb") as file:
                yield file
    except OSError as error:
        raise BadInput(f"cannot read {str(path)!r}: {error.strerror or error}") from error


@contextmanager
def writing(path: Path | None) -> Iterator[IO[bytes]]:
    """A file for writing that appears whole or not at all; standard output for `None` and `-`.

    What stands under that name already stays until the new content is whole. Devices and pipes are written to
    as they are.

    Raises: BadInput when it cannot be written.
    """
    if path is None or str(path) == "-":
        yield sys.stdout.buffer
        return
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as device:
                yield device
            return
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                yield file
                file.flush()
                Path(file.name).chmod(_mode(path))
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise BadInput(f"cannot write {str(path)!r}: {error.strerror or error}") from error


def _mode(path: Path) -> int:
    """The mode of the file that is replaced; that of a new file otherwise."""
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def with_progress(chunks: Iterable[bytes], *, description: str) -> Iterator[bytes]:
    """The chunks, counted by a progress bar of bytes on a terminal."""
    with spinner(description) as advance:
        for chunk in chunks:
            yield chunk
            advance(len(chunk))


@contextmanager
def spinner(description: str) -> Iterator[Callable[[int], None]]:
    """On a terminal, a count of bytes whose total nobody knows; to be told of each lot."""
    if not sys.stderr.isatty():
        yield lambda size_bytes: None
        return
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, SpinnerColumn, TextColumn, TransferSpeedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(shown(description), total=None)
        yield lambda size_bytes: progress.advance(task, size_bytes)


@contextmanager
def bar() -> Iterator[Callable[[str, int, int], None]]:
    """On a terminal, a bar of bytes; to be told what is done, how much of it, and of how much in all."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)

        def told(what: str, done: int, total: int) -> None:
            progress.update(task, description=shown(what), completed=done, total=total)

        yield told


def size(size_bytes: int) -> str:
    """A number of bytes for people."""
    from rich.filesize import decimal

    return decimal(size_bytes)


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)
