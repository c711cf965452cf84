"""`om runtime serve` and `om runtime worker`."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from attrs import evolve

from omega.domain.errors import BadInput
from omega.entrypoints.cli.rules import given, in_force, rules_file, warn
from omega.entrypoints.settings import FILTER, Settings
from omega.entrypoints.uris import without_secrets

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_store = click.option(
    "--store", default=None, help="The store's URL (default: OMEGA_STORE, else in OMEGA_HOME)."
)
_queue = click.option(
    "--queue", default=None, help="The queue's URL (default: OMEGA_QUEUE, else beside the store)."
)
_processes = click.option(
    "--processes", type=click.IntRange(1, 256), default=2, show_default=True, help="Tasks done at once."
)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option(
    "--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Server processes."
)
@_processes
@click.option("--no-worker", is_flag=True, help="Carry out no tasks: `om runtime worker` does, elsewhere.")
@_store
@_queue
@click.option("--insecure", is_flag=True, help="Serve on an address that others can reach, without keys.")
@click.argument("rule", nargs=-1)
@rules_file
def serve(
    host: str,
    port: int,
    workers: int,
    processes: int,
    no_worker: bool,
    store: str | None,
    queue: str | None,
    insecure: bool,
    rule: tuple[str, ...],
    file: Path | None,
) -> None:
    """Serve the REST API until interrupted, with a worker of its own.

    Each RULE (resource/name/action, regular expressions) allows something; without any, everything is
    allowed. They take the place of those in OMEGA_RESTAPI_FILTER. See `om rules check`.
    """
    from omega.entrypoints import logs
    from omega.entrypoints import settings as settings_module
    from omega.entrypoints.care import check_is_whole
    from omega.entrypoints.http.server import serve as serve_http
    from omega.entrypoints.worker.beside import WorkerBeside

    settings = _with_rules(settings_module.load(store=store, queue=queue), rule, file)
    if settings.store_in_memory and workers > 1:
        raise BadInput("a memory:// store lives in one process: it cannot be served by several workers")
    logs.configure(settings)
    check_is_whole(settings)
    if host not in _LOOPBACK and not insecure and not _needs_keys(settings):
        raise BadInput(
            f"{host} can be reached by others, and no key is needed: add one (om auth add USER), "
            "or --insecure to let everybody in"
        )
    if settings.store_in_mongodb:
        from omega.entrypoints.bootstrap import connect

        # One sentence now is better than one from each process, again and again.
        connect(settings, bucket=settings_module.DEFAULT_BUCKET).close()
    address = f"[{host}]" if ":" in host else host
    told = f"omega serves http://{address}:{port}/api/v1/ from {without_secrets(settings.store)}"
    # With a queue in memory, tasks are carried out where they are submitted.
    alone = no_worker or settings.queue_in_memory
    with _exported(_reachable_at(host, settings)), nullcontext() if alone else WorkerBeside(processes):
        serve_http(
            host=host,
            port=port,
            workers=workers,
            app_factory="omega.entrypoints.http.app:from_environment",
            ready=lambda: click.echo(told),
        )


def _with_rules(settings: Settings, texts: tuple[str, ...], file: Path | None) -> Settings:
    """The settings with the rules that are in force: those of the command line, else of the environment.

    Raises: UsageError for rules that cannot be used.
    """
    rules = given(texts, file) or in_force(settings.access_rules, FILTER)
    warn(rules)
    texts_in_force = None if rules is None else tuple(rule.text for rule in rules.rules)
    return evolve(settings, access_rules=texts_in_force)


def _needs_keys(settings: Settings) -> bool:
    from omega.entrypoints.api import Omega

    if settings.store_in_memory:
        return False
    with Omega(settings=settings) as omega:
        return omega.keys.needed()


def _reachable_at(host: str, settings: Settings) -> Settings:
    """The settings for a server on this address: one that others can reach also answers for all addresses,
    and for its own name.
    """
    if host in _LOOPBACK:
        return settings
    from omega.entrypoints.http.shield import ADDRESSES

    return evolve(settings, allowed_hosts=(*settings.allowed_hosts, *ADDRESSES, host))


@contextmanager
def _exported(settings: Settings) -> Iterator[None]:
    """Let all processes below this one have these settings, and keep their figures in one place."""
    with TemporaryDirectory(prefix="omega-figures-") as directory:
        evolve(settings, figures_path=Path(directory)).export()
        yield


@click.command()
@_processes
@click.option(
    "--grace",
    type=click.IntRange(0),
    default=30,
    show_default=True,
    help="Seconds for tasks under way once it is told to stop.",
)
@_store
@_queue
def worker(processes: int, grace: int, store: str | None, queue: str | None) -> None:
    """Carry out tasks until interrupted: on this machine or, with a queue and a store that it can reach, any.

    Ctrl-C or SIGTERM lets tasks under way end; after the grace time, or a second signal, they are handed
    back.
    """
    from omega.entrypoints import logs
    from omega.entrypoints import settings as settings_module
    from omega.entrypoints.bootstrap import connect
    from omega.entrypoints.care import check_is_whole
    from omega.entrypoints.worker.supervisor import supervise

    settings = settings_module.load(store=store, queue=queue)
    if settings.queue_in_memory:
        raise BadInput("a memory:// queue lives in one process: there is nothing for a worker to do")
    logs.configure(settings)
    check_is_whole(settings)
    settings.export()
    services = connect(settings, bucket=settings_module.DEFAULT_BUCKET)
    services.check_key()
    work = services.work
    work.queue.size()  # One sentence now is better than a warning every second.
    supervise(
        work,
        processes=processes,
        grace_s=grace,
        ready=lambda: click.echo(
            f"omega works for {without_secrets(settings.store)}, {processes} tasks at once"
        ),
    )


@click.command()
@click.option(
    "--adopt",
    is_flag=True,
    help="Make the key of this machine that of the store: models signed with another cannot be loaded then.",
)
@_store
def key(adopt: bool, store: str | None) -> None:
    """Check that models of the store are signed with the key of this machine.

    All machines of a store need the same key file: copy it (OMEGA_SIGNING_KEY_FILE).
    """
    from omega.entrypoints import settings as settings_module
    from omega.entrypoints.bootstrap import connect

    settings = settings_module.load(store=store)
    services = connect(settings, bucket=settings.bucket)
    if adopt:
        services.adopt_key()
    services.check_key()
    click.echo(f"the key in {settings.signing_key_path} is that of the store")
