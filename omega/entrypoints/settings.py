"""Settings: from an argument, else the environment, else `omega.toml`, else the default. The only reader of
the environment.

`omega.toml` is read from the current directory, else from `OMEGA_HOME`; its keys are the names below (`store
= "file:///data/omega"`).
"""

import json
import os
import tomllib
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

import attrs
from attrs import field, frozen

from omega.domain.errors import BadInput
from omega.entrypoints.limits import Limits

DEFAULT_BUCKET: Final = "store"
_PREFIX: Final = "OMEGA_"
#: The access rules, separated by semicolons.
FILTER: Final = "OMEGA_RESTAPI_FILTER"
#: How a server tells its processes the rules that are in force: a rule may hold a semicolon, and a line of a
#: file any text.
_RULES: Final = "OMEGA_RESTAPI_RULES"
_MEMORY: Final = ("memory://", "memory:")
#: The whole numbers that can be set, by the name of the setting (in `omega.toml`; in the environment with
#: `OMEGA_` and in capitals): where `Settings` has them.
_NUMBERS: Final = {
    **{f"max_{limit.name}": f"limits.{limit.name}" for limit in attrs.fields(Limits)},
    "max_model_cache_bytes": "model_cache_bytes",
    "max_model_cells": "model_cells",
    "max_result_bytes": "result_bytes",
    "max_task_memory_bytes": "task_memory_bytes",
    "max_task_s": "task_timeout_s",
    "task_lease_s": "task_lease_s",
    "task_retention_s": "task_retention_s",
}
#: What is one of a few words.
_WORDS: Final = {
    "log_format": ("text", "json"),
    "log_level": ("debug", "info", "warning", "error"),
    "access_log": ("off", "on"),
    "batching": ("off", "on"),
}
_FIGURES: Final = "PROMETHEUS_MULTIPROC_DIR"
#: Lists: in the environment, with commas between.
_LISTS: Final = ("allowed_hosts", "allowed_origins")


@frozen
class Settings:
    """Everything that can be set; `load` finds the values.

    `store` is `file:///directory` (default: `store` in `home`), `mongodb://host:port/database` or
    `memory://`. `queue` is `sqlite:///file` (default: in the directory of the store, or in `home`),
    `redis://...`, `postgresql://...` or `memory://`; `queue_given` says that somebody chose it. `bucket` is
    where Python and `om` work, unless they say otherwise. A job or script may use `task_memory_bytes`, with
    all processes that it starts. `model_cache_bytes` bounds the models that a process keeps loaded,
    `model_cells` the numbers that an estimator may be made to allocate and a sparse answer may hold,
    `result_bytes` the answer of a task. A task may take `task_timeout_s` seconds; its result is kept for
    `task_retention_s`; a worker that is not heard of for `task_lease_s` is given up. `access_rules` are those
    of OMEGA_RESTAPI_FILTER, as they were given; `None` where it is not set. The server answers for
    `allowed_hosts`, besides the loopback ones, and lets pages of `allowed_origins` call it. `log_format` is
    `"text"` or `"json"`, `log_level` the least that is logged; with `access_log` `"on"` every request is.
    With `batching` `"on"` a server puts questions to the same model together that come at the same time. In
    `figures_path` the processes of a server share their figures; it is no setting, but the variable that
    prometheus-client knows. `signing_key_file` holds the key that models are signed with; by default it is
    `signing.key` in `home`, and is made where it is missing.
    """

    home: Path
    store: str
    queue: str = "memory://"
    queue_given: bool = False
    limits: Limits = field(factory=Limits)
    model_cache_bytes: int = 1 << 30
    model_cells: int = 50_000_000
    result_bytes: int = 256 * 2**20
    bucket: str = DEFAULT_BUCKET
    task_timeout_s: int = 86_400
    task_memory_bytes: int = 4 << 30
    task_lease_s: int = 10
    task_retention_s: int = 86_400
    access_rules: tuple[str, ...] | None = None
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    log_format: str = "text"
    log_level: str = "warning"
    access_log: str = "off"
    batching: str = "on"
    figures_path: Path | None = None
    signing_key_file: Path | None = None

    @property
    def store_in_memory(self) -> bool:
        """Whether the store lives in this process."""
        return self.store in _MEMORY

    @property
    def store_in_mongodb(self) -> bool:
        """Whether the store is in MongoDB."""
        return self.store.lower().startswith("mongodb:")

    @property
    def store_path(self) -> Path | None:
        """The directory of a `file://` store; `None` for one that is elsewhere.

        Raises: BadInput for a URL that is of no store.
        """
        if self.store_in_memory or self.store_in_mongodb:
            return None
        # The URL is not quoted: a password may be in it, wherever a slip of the keyboard has put it.
        try:
            parts = urlsplit(self.store)
        except ValueError:
            raise BadInput("the URL of the store cannot be read") from None
        if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise BadInput(
                "the URL of the store is of no known form: give file:///an/absolute/directory, "
                "mongodb://HOST:PORT/DATABASE or memory://"
            )
        return Path(unquote(parts.path))

    @property
    def signing_key_path(self) -> Path:
        """The file with the key that models are signed with."""
        return self.signing_key_file or self.home / "signing.key"

    @property
    def queue_in_memory(self) -> bool:
        """Whether tasks are carried out where they are submitted."""
        return self.queue in _MEMORY

    def environment(self) -> dict[str, str]:
        """The environment in which `load` finds these settings again."""
        texts = {
            "OMEGA_HOME": str(self.home),
            "OMEGA_STORE": self.store,
            "OMEGA_QUEUE": self.queue,
            "OMEGA_BUCKET": self.bucket,
        }
        if self.access_rules is not None:
            texts[_RULES] = json.dumps(self.access_rules)
        if self.signing_key_file is not None:
            texts["OMEGA_SIGNING_KEY_FILE"] = str(self.signing_key_file)
        texts |= {_variable(name): str(attrgetter(place)(self)) for name, place in _NUMBERS.items()}
        texts |= {_variable(name): getattr(self, name) for name in _WORDS}
        return texts | {_variable(name): ",".join(getattr(self, name)) for name in _LISTS}

    def within_a_task(self, bucket: str) -> dict[str, str]:
        """The environment of code that a task runs: it is in the task's bucket, and carries out in its own
        process what it asks for, since the worker that it might wait for may be the one that waits for it.
        """
        own = attrs.evolve(self, bucket=bucket, queue=_MEMORY[0], access_rules=None)
        return own.environment()

    def export(self) -> None:
        """Put these settings into this process's environment, for child processes too."""
        os.environ.update(self.environment())
        if self.figures_path is not None:
            os.environ[_FIGURES] = str(self.figures_path)


def forget_figures() -> None:
    """Let nothing that this process runs write among the figures of the server."""
    os.environ.pop(_FIGURES, None)


def load(
    *,
    store: str | None = None,
    queue: str | None = None,
    home: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings in force.

    Raises: BadInput naming the setting, and where it came from, that cannot be used.
    """
    environ = os.environ if environ is None else environ
    home = Path(home or environ.get("OMEGA_HOME") or Path.home() / ".omega").expanduser().absolute()
    found = _from_file(home)
    numbers: dict[str, int] = {}
    for name, place in _NUMBERS.items():
        if (text := environ.get(_variable(name))) is not None:
            numbers[place] = _positive(text, f"environment variable {_variable(name)}")
        elif name in found:
            numbers[place] = _positive(found[name], f"{name} in omega.toml")
    limits = Limits(**{p.removeprefix("limits."): n for p, n in numbers.items() if p.startswith("limits.")})
    own: dict[str, Any] = {place: number for place, number in numbers.items() if "." not in place}
    own |= {name: _word(name, environ, found) for name in _WORDS}
    own |= {name: _list(name, environ, found) for name in _LISTS}
    key_file = environ.get("OMEGA_SIGNING_KEY_FILE") or found.get("signing_key_file")
    settings = Settings(
        home=home,
        store=store or environ.get("OMEGA_STORE") or found.get("store") or (home / "store").as_uri(),
        limits=limits,
        bucket=environ.get("OMEGA_BUCKET") or DEFAULT_BUCKET,
        access_rules=_access_rules(environ),
        figures_path=Path(shared) if (shared := environ.get(_FIGURES)) else None,
        signing_key_file=Path(key_file).expanduser().absolute() if key_file else None,
        **own,
    )
    if settings.store_in_memory:
        if queue is not None and queue not in _MEMORY:
            raise BadInput("a memory:// store lives in one process: its queue can only be memory:// too")
        return settings
    given = queue or environ.get("OMEGA_QUEUE") or found.get("queue")
    # By default a file beside the records: whoever finds the store finds the queue.
    beside = f"sqlite://{quote(str((settings.store_path or home) / 'queue.sqlite'))}"
    return attrs.evolve(settings, queue=given or beside, queue_given=given is not None)


def _access_rules(environ: Mapping[str, str]) -> tuple[str, ...] | None:
    if (text := environ.get(_RULES)) is not None:
        try:
            return tuple(map(str, json.loads(text)))
        except (ValueError, TypeError):
            raise BadInput(f"{_RULES} is set by omega itself: set {FILTER} for access rules") from None
    text = environ.get(FILTER)
    return None if text is None else tuple(text.split(";"))


def _variable(name: str) -> str:
    return f"{_PREFIX}{name.upper()}"


def _from_file(home: Path) -> dict[str, Any]:
    for path in (Path("omega.toml"), home / "omega.toml"):
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"cannot read omega.toml: {error}") from error
        try:
            found = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise BadInput(f"omega.toml is not valid TOML: {error}") from error
        texts = {"store": "a URL", "queue": "a URL", "signing_key_file": "a path"}
        known = {*texts, *_NUMBERS, *_WORDS, *_LISTS}
        if unknown := sorted(found.keys() - known):
            raise BadInput(
                f"omega.toml has unknown settings {', '.join(unknown)}: there are {', '.join(sorted(known))}"
            )
        for name, what in texts.items():
            if not isinstance(found.get(name, ""), str):
                raise BadInput(f"{name} in omega.toml is {found[name]!r}: it must be {what} in quotes")
        return found
    return {}


def _positive(value: object, where: str) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if number < 1 or isinstance(value, bool | float):
        raise BadInput(f"{where} is {value!r}: it must be a whole number from 1 on")
    return number


def _word(name: str, environ: Mapping[str, str], found: Mapping[str, Any]) -> str:
    words = _WORDS[name]
    default = str(attrs.fields_dict(Settings)[name].default)
    value = environ.get(_variable(name)) or found.get(name, default)
    if value not in words:
        raise BadInput(f"{_variable(name)} ({name}) is {value!r}: it must be {' or '.join(words)}")
    return str(value)


def _list(name: str, environ: Mapping[str, str], found: Mapping[str, Any]) -> tuple[str, ...]:
    given = environ.get(_variable(name))
    values = found.get(name, []) if given is None else given.split(",")
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise BadInput(f"{name} in omega.toml is {values!r}: it must be a list of texts")
    return tuple(stripped for value in values if (stripped := value.strip()))
