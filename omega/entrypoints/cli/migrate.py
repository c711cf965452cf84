"""`om migrate`: a whole store, copied to another place."""

import sys
from typing import TYPE_CHECKING, Any

import attrs
import click

from omega.entrypoints.cli import output

if TYPE_CHECKING:
    from omega.domain.migration import Plan, Report


@click.command("migrate")
@click.option("--from", "source", metavar="URL", help="The store to copy (default: OMEGA_STORE).")
@click.option("--to", "target", metavar="URL", required=True, help="An empty directory or database.")
@click.option("--dry-run", is_flag=True, help="Say what there is to be copied, and copy nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(source: str | None, target: str, dry_run: bool, as_json: bool) -> None:
    """Copy all buckets of a store, with all versions, runs, tasks and schedules, and compare the copy.

    Stop servers and workers first. A migration that was cut off is completed by running it again. Exit code
    0: the copy is whole and can be used; 1: it is not, or something is damaged.
    """
    from omega.entrypoints import settings as settings_module
    from omega.entrypoints.care import opened_migration

    places = settings_module.load(store=source), settings_module.load(store=target)
    with opened_migration(*places, create=not dry_run) as migration:
        if dry_run:
            _print_plan(migration.plan(), as_json)
            return
        with output.bar() as told:
            report = migration.run(told)
    output.print_json(_described(report)) if as_json else _print(report)
    if not report.finished or report.damaged.total:
        sys.exit(1)


def _print_plan(plan: "Plan", as_json: bool) -> None:
    if as_json:
        output.print_json({"to_copy": attrs.asdict(plan)})
    else:
        click.echo(f"to copy: {_shown(plan)}")


def _shown(plan: "Plan") -> str:
    return (
        f"{plan.objects} objects, {plan.records} records, {plan.payloads} payloads "
        f"({output.size(plan.size_bytes)})"
    )


def _described(report: "Report") -> dict[str, Any]:
    return {
        "found": attrs.asdict(report.found),
        "copied": {
            "records": report.records,
            "payloads": report.payloads,
            "size_bytes": report.size_bytes,
        },
        "removed": report.removed,
        "damaged": attrs.asdict(report.damaged),
        "differing": attrs.asdict(report.differing),
        "workers": report.workers,
        "finished": report.finished,
    }


def _print(report: "Report") -> None:
    click.echo(f"found: {_shown(report.found)}")
    removed = f", {report.removed} records removed" if report.removed else ""
    copied = f"{report.records} records, {report.payloads} payloads ({output.size(report.size_bytes)})"
    click.echo(f"copied: {copied}{removed}")
    for kind, named in (("damaged", report.damaged), ("differing", report.differing)):
        for sentence in named.first:
            click.echo(f"{kind}: {output.shown(sentence)}")
        if named.total > len(named.first):
            click.echo(f"{kind}: and {named.total - len(named.first)} more")
    click.echo(_verdict(report))


def _verdict(report: "Report") -> str:
    if report.finished and report.damaged.total:
        return "the copy is whole, but for what is damaged in the source as well"
    if report.finished:
        return "the copy is whole: every record and every checksum is the same"
    if report.differing.total:
        return "not finished: the source was changed meanwhile; stop servers and workers, and run this again"
    return f"not finished: {report.workers} workers are at work for the source; stop them, and run this again"
