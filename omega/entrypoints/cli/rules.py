"""`om rules`: what access rules allow, before they are in force."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from omega.domain.errors import BadInput
from omega.entrypoints.cli import output

if TYPE_CHECKING:
    from omega.domain.rules import Rules

rules_file = click.option(
    "--rules",
    "file",
    type=click.Path(path_type=Path),
    help="A file of rules, one a line; they add to those given as arguments.",
)


@click.group("rules")
def group() -> None:
    """Try out access rules."""


@group.command()
@click.argument("arguments", nargs=-1, required=True, metavar="[RULE]... METHOD URL")
@rules_file
@click.option("--name", help="What the request calls the model that it makes: that is in its body.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(arguments: tuple[str, ...], file: Path | None, name: str | None, as_json: bool) -> None:
    """Say whether a request would be allowed, and by which rule.

    RULE is resource/name/action; without any, those of OMEGA_RESTAPI_FILTER count. URL is whole, or a path:

        om rules check 'model/foo/predict' GET '/api/v1/model/foo/predict/?datax=sample'
    """
    from omega.entrypoints import settings
    from omega.entrypoints.http.requested import needs_of

    if len(arguments) < 2:
        raise click.UsageError("give a METHOD and a URL, after the rules")
    *texts, method, url = arguments
    found = given(texts, file)
    if found is None:
        found = in_force(settings.load().access_rules, settings.FILTER)
    warn(found)
    needs = needs_of(method, url, name=name)
    verdicts = list(_verdicts(found, needs))
    allowed = all(verdict["allowed"] for verdict in verdicts)
    if as_json:
        output.print_json({"allowed": allowed, "rights": verdicts, "warnings": list(_warnings(found))})
        return
    click.echo("allow" if allowed else "deny")
    for verdict in verdicts:
        click.echo(f"  {output.shown(verdict['right'])}: {_why(verdict, ruled=found is not None)}")


def given(texts: Sequence[str], file: Path | None) -> "Rules | None":
    """The rules of the command line; `None` where there are none at all.

    Raises: UsageError, where they cannot be used.
    """
    if not texts and file is None:
        return None
    lines = [] if file is None else _lines(file)
    # Each source must hold a rule: an argument that is empty, because a variable in it is, opens nothing.
    for source, held in (("the command line", texts), (f"file {str(file)!r}", lines)):
        if held and not any(text.strip() for text in held):
            raise click.UsageError(f"{source} holds no rule")
    return _parsed([*texts, *lines], "the command line" if file is None else f"file {str(file)!r}")


def in_force(texts: Sequence[str] | None, source: str) -> "Rules | None":
    """The rules of the environment.

    Raises: UsageError, where they cannot be used.
    """
    return None if texts is None else _parsed(texts, source)


def warn(rules: "Rules | None") -> None:
    """Say which rules can match nothing."""
    for warning in _warnings(rules):
        click.echo(f"om: warning: {warning}", err=True)


def _parsed(texts: Sequence[str], source: str) -> "Rules":
    from omega.domain.rules import Rules

    try:
        return Rules.parse(texts, source=source)
    except BadInput as error:
        raise click.UsageError(str(error)) from error


def _lines(file: Path) -> list[str]:
    from omega.domain.rules import rules_in

    try:
        lines = rules_in(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.UsageError(f"cannot read {str(file)!r}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{str(file)!r} is not UTF-8 text") from error
    if not lines:
        raise click.UsageError(f"file {str(file)!r} holds no rule")
    return lines


def _warnings(rules: "Rules | None") -> Iterator[str]:
    from omega.domain.rule_warnings import warnings

    for rule in () if rules is None else rules.rules:
        yield from warnings(rule)


def _verdicts(rules: "Rules | None", needs: Any) -> Iterator[dict[str, Any]]:
    for need in needs:
        found = [(right, None if rules is None else rules.deciding(right)) for right in need]
        right, rule = next(((right, rule) for right, rule in found if rule is not None), found[0])
        allowed = rules is None or rule is not None
        yield {"right": str(right), "allowed": allowed, "rule": rule and rule.text}


def _why(verdict: dict[str, Any], *, ruled: bool) -> str:
    if not ruled:
        return "there are no rules, so that everything is allowed"
    return f"by rule {verdict['rule']!r}" if verdict["allowed"] else "no rule allows it"
