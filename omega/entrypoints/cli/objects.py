"""The commands that every resource has: list, metadata, drop."""

from typing import TYPE_CHECKING, Any

import click

from omega.entrypoints.cli import output
from omega.entrypoints.cli.output import common

if TYPE_CHECKING:
    from omega.entrypoints.api import Omega
    from omega.entrypoints.objects import Objects


def add_common(group: click.Group) -> None:
    """Add them to the group of a resource, whose name is that of omega's attribute (`datasets`)."""

    def objects(omega: "Omega") -> "Objects":
        found: Objects = getattr(omega, str(group.name))
        return found

    @group.command("list", help=f"List {group.name} whose names match a shell PATTERN.")
    @click.argument("pattern", required=False)
    @click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True)
    @click.option("--offset", type=click.IntRange(0), default=0)
    @common
    def list_(pattern: str | None, store: str | None, bucket: str | None, as_json: bool, **page: Any) -> None:
        with output.connected(store, bucket) as omega:
            output.print_listing(objects(omega).page(pattern, **page), as_json=as_json)

    @group.command(help="Show what is known about NAME.")
    @click.argument("name")
    @click.option("--version", type=click.IntRange(1))
    @common
    def metadata(
        name: str, version: int | None, store: str | None, bucket: str | None, as_json: bool
    ) -> None:
        with output.connected(store, bucket) as omega:
            output.print_metadata(objects(omega).metadata(name, version=version), as_json=as_json)

    @group.command(help="Remove NAME with all its versions.")
    @click.argument("name")
    @common
    def drop(name: str, store: str | None, bucket: str | None, as_json: bool) -> None:
        with output.connected(store, bucket) as omega:
            objects(omega).drop(name)
            if as_json:
                output.print_json({"name": name, "dropped": True})
