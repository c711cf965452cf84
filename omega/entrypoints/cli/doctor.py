"""`om doctor`: is all that is stored as it was written?"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from omega.entrypoints.cli import output

if TYPE_CHECKING:
    from omega.domain.doctor import Finding, Tally

_PLURALS: Final = {"damaged": "damaged", "orphan": "orphans", "recent": "recent"}


@click.command("doctor")
@click.option("--fix", is_flag=True, help="Remove orphans that are older than an hour.")
@click.option("--store", default=None, help="The store's URL (default: OMEGA_STORE, else in OMEGA_HOME).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(fix: bool, store: str | None, as_json: bool) -> None:
    """Check every record and every payload of a store, in all buckets, and list what nothing points to.

    The store may be in use meanwhile. Exit code 1: something is damaged.
    """
    from omega.domain.doctor import Tally
    from omega.entrypoints import settings as settings_module
    from omega.entrypoints.care import opened_doctor

    found: list[Finding] = []
    tally = Tally()
    with opened_doctor(settings_module.load(store=store)) as doctor, _progress() as told:
        for finding in doctor.examine(fix=fix, tally=tally, progress=told):
            found.append(finding)
    if as_json:
        output.print_json(_described(found, tally))
    else:
        _print(found, tally)
    if any(finding.kind == "damaged" and not finding.fixed for finding in found):
        sys.exit(1)


def _described(found: "list[Finding]", tally: "Tally") -> dict[str, Any]:
    lists = {
        plural: [_finding(finding) for finding in found if finding.kind == kind]
        for kind, plural in _PLURALS.items()
    }
    return {"records": tally.records, "payloads": tally.payloads, "size_bytes": tally.size_bytes, **lists}


def _finding(finding: "Finding") -> dict[str, Any]:
    owner = finding.owner
    return {
        "what": finding.words,
        "resource": owner and owner.resource,
        "bucket": owner and owner.bucket,
        "name": owner and owner.name,
        "version": owner and owner.version,
        "payload": finding.payload,
        "since": finding.since,
        "fixed": finding.fixed,
    }


def _print(found: "list[Finding]", tally: "Tally") -> None:
    if found:
        rows = ((finding.kind, finding.words, "fixed" if finding.fixed else "") for finding in found)
        output.print_table(("", "what", ""), rows)
    counts = [
        f"{plural}: {sum(finding.kind == kind for finding in found)}" for kind, plural in _PLURALS.items()
    ]
    click.echo(
        f"checked {tally.records} records and {tally.payloads} payloads "
        f"({output.size(tally.size_bytes)}); {', '.join(counts)}"
    )


@contextmanager
def _progress() -> "Iterator[Callable[[Tally], None]]":
    """Shows on a terminal how far the examination has come."""
    with output.spinner("checking") as advance:
        before = 0

        def told(tally: "Tally") -> None:
            nonlocal before
            advance(tally.size_bytes - before)
            before = tally.size_bytes

        yield told
