"""`om runtime`: the server, and models at work."""

from pathlib import Path
from typing import Any

import click

from omega.domain.errors import BadInput
from omega.entrypoints.cli import output
from omega.entrypoints.cli.output import common

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.group("runtime")
def group() -> None:
    """Serve the REST API; fit models and ask them."""


@group.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option(
    "--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Server processes."
)
@click.option("--store", default=None, help="The store's URL (default: OMEGA_STORE, else in OMEGA_HOME).")
@click.option("--insecure", is_flag=True, help="Serve on an address that others can reach, without keys.")
def serve(host: str, port: int, workers: int, store: str | None, insecure: bool) -> None:
    """Serve the REST API until interrupted."""
    from omega.entrypoints import settings as settings_module
    from omega.entrypoints.http.server import serve as serve_http

    if host not in _LOOPBACK and not insecure:
        raise BadInput(
            f"{host} can be reached by others, who could read and change everything: "
            "add --insecure to allow it"
        )
    settings = settings_module.load(store=store)
    if settings.access_rules is not None:
        raise BadInput(
            "OMEGA_RESTAPI_FILTER is set, but access rules are not supported yet: refusing to open everything"
        )
    if settings.store_path is None and workers > 1:
        raise BadInput("a memory:// store lives in one process: it cannot be served by several workers")
    settings.export()
    address = f"[{host}]" if ":" in host else host
    serve_http(
        host=host,
        port=port,
        workers=workers,
        app_factory="omega.entrypoints.http.app:from_environment",
        ready=lambda: click.echo(f"omega serves http://{address}:{port}/api/v1/ from {settings.store}"),
    )


@group.command()
@common
def ping(store: str | None, bucket: str, as_json: bool) -> None:
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
@common
def model(
    name: str,
    action: str,
    x: str | None,
    y: str | None,
    path: Path | None,
    store: str | None,
    bucket: str,
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
        worker = omega.runtime.model(name)
        if action in FIT:
            output.print_metadata(worker.change(action, _data(x), _data(y)), as_json=as_json)
            return
        encoded = formats.encode_array(worker.ask(action, _data(x), _data(y)).result)
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
