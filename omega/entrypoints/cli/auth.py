"""`om auth`: keys for users of the REST API."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from omega.entrypoints.cli import output

if TYPE_CHECKING:
    from omega.ports.keys import Key

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LENGTH: Final = re.compile(r"([1-9][0-9]{0,5})([mhdw])")
_store = click.option(
    "--store", default=None, help="The store's URL (default: OMEGA_STORE, else in OMEGA_HOME)."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Moment(click.ParamType[datetime]):
    """A length of time from now (`30d`, `12h`), a date (its end, in UTC), or a time in ISO 8601."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment, in UTC."""
        try:
            if match := _LENGTH.fullmatch(value):
                return datetime.now(UTC) + timedelta(**{_UNITS[match[2]]: int(match[1])})
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
                return datetime.combine(date.fromisoformat(value), time(), UTC) + timedelta(days=1)
            found = datetime.fromisoformat(value)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time: give a length (30d, 12h), a date (2027-01-31) or a time")


@click.group("auth")
def group() -> None:
    """Give keys to users of the REST API, and take them away.

    From the first key on every request needs one, until `om auth disable`.
    """


@group.command()
@click.argument("user")
@click.option("--rule", "rules", multiple=True, help="What the key allows, resource/name/action; repeatable.")
@click.option("--bucket", default=None, help="The one bucket that the key is for (default: all).")
@click.option(
    "--expires", type=Moment(), default=None, help="30d, 12h, 2027-01-31 or a time (default: never)."
)
@_store
@_json
def add(
    user: str,
    rules: tuple[str, ...],
    bucket: str | None,
    expires: datetime | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Make a key for USER and print it. It cannot be shown again."""
    from omega.entrypoints.cli.rules import given, warn

    parsed = given(rules, None)
    warn(parsed)
    with output.connected(store, None) as omega:
        key, text = omega.keys.add(user, rules=rules, bucket=bucket, expires=expires)
    if as_json:
        output.print_json({**_described(key), "key": text})
        return
    click.echo(text)
    click.echo(f"It is shown this once. Send it as 'Authorization: ApiKey {user}:KEY'.", err=True)


@group.command("list")
@_store
@_json
def list_(store: str | None, as_json: bool) -> None:
    """List the keys: what they allow, not the keys themselves."""
    with output.connected(store, None) as omega:
        keys, needed = omega.keys.list(), omega.keys.needed()
    if as_json:
        output.print_json({"needed": needed, "keys": [_described(key) for key in keys]})
        return
    output.print_table(
        ("user", "id", "rules", "bucket", "created", "expires"),
        (
            (key.user, key.id, "; ".join(key.rules) or "all", key.bucket or "all", key.created, _expiry(key))
            for key in keys
        ),
    )
    click.echo("a key is needed" if needed else "no key is needed", err=True)


@group.command()
@click.argument("user")
@click.option("--key", "id", default=None, help="Only the key with this id (see `om auth list`).")
@_store
@_json
def remove(user: str, id: str | None, store: str | None, as_json: bool) -> None:
    """Remove the keys of USER. Requests with them fail from now on; keys stay needed."""
    with output.connected(store, None) as omega:
        removed = omega.keys.remove(user, id=id)
    if as_json:
        output.print_json({"removed": [_described(key) for key in removed]})
    else:
        click.echo(f"removed {len(removed)} {'key' if len(removed) == 1 else 'keys'} of {user}")


@group.command()
@_store
@_json
def disable(store: str | None, as_json: bool) -> None:
    """Let requests need no key, until one is added. The keys that there are stay."""
    with output.connected(store, None) as omega:
        omega.keys.disable()
    if as_json:
        output.print_json({"needed": False})
    else:
        click.echo("no key is needed any more: whoever can reach the server is let in")


def _described(key: "Key") -> dict[str, Any]:
    return {
        "user": key.user,
        "id": key.id,
        "rules": list(key.rules),
        "bucket": key.bucket,
        "created": key.created,
        "expires": key.expires,
    }


def _expiry(key: "Key") -> str:
    if key.expires is None:
        return "never"
    shown = output.shown(key.expires)
    return f"{shown} (expired)" if key.expires <= datetime.now(UTC) else shown
