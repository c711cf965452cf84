"""`om`: the entry point, and the groups, imported only when one of their commands runs."""

import sys
from importlib import import_module
from typing import Final

import click

#: Group, or command of its own: where it is, and its line in `om --help`. Nothing of it is imported for that
#: line, so that help is instant.
GROUPS: Final = {
    "datasets": ("omega.entrypoints.cli.datasets", "Put, get, list and drop datasets."),
    "models": ("omega.entrypoints.cli.models", "Put, get, list and drop models."),
    "jobs": ("omega.entrypoints.cli.jobs", "Put, get, list, report and drop jobs (notebooks)."),
    "scripts": ("omega.entrypoints.cli.scripts", "Put, get, list and drop scripts."),
    "auth": ("omega.entrypoints.cli.auth", "Give keys to users of the REST API, and take them away."),
    "rules": ("omega.entrypoints.cli.rules", "Try out access rules of the REST API."),
    "runtime": ("omega.entrypoints.cli.runtime", "Serve, work, fit models and ask them, see tasks."),
    "doctor": ("omega.entrypoints.cli.doctor", "Check all that is stored; remove what nothing points to."),
    "migrate": ("omega.entrypoints.cli.migrate", "Copy a whole store to another place."),
}


class LazyGroup(click.Group):
    """A group of groups that are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the groups."""
        return list(GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The group of this name."""
        if cmd_name not in GROUPS:
            return None
        module = import_module(GROUPS[cmd_name][0])
        found = module.group if hasattr(module, "group") else module.command
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The groups with their lines, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in GROUPS.items()])


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="omega", prog_name="om")
def om() -> None:
    """Data, models and notebooks behind a REST API with one command."""


def main() -> None:
    """Run `om`: exit code 0 is success, 1 failure (one sentence on standard error), 2 wrong usage."""
    try:
        om.main(prog_name="om")
    except Exception as error:
        sentence = _told(error)
        if sentence is None:
            raise
        click.echo(f"om: {sentence}", err=True)
        sys.exit(1)


def _told(error: Exception) -> str | None:
    """What people are told of an error; nothing of one that is a fault of ours.

    The errors are imported here: most commands end without one.
    """
    from omega.domain.errors import OmegaError
    from omega.ports.queue import QueueUnavailable
    from omega.ports.records import StoreFull, StoreUnavailable
    from omega.ports.scripts import ScriptsUnavailable

    match error:
        case OmegaError():
            return str(error)
        case StoreFull():
            return f"the store is full: {error}"
        case StoreUnavailable():
            return f"the store is not available: {error}"
        case QueueUnavailable():
            return f"the queue is not available: {error}"
        case ScriptsUnavailable():
            return f"no process could be started for the script: {error}"
        case OSError():
            return f"cannot read or write: {error.strerror or error}"
    return None
