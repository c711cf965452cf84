"""Settings: from an argument, else the environment, else `omega.toml`, else the default. The only reader of
the environment.

`omega.toml` is read from the current directory, else from `OMEGA_HOME`; its keys are the names below (`store
= "file:///data/omega"`).
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import attrs
from attrs import field, frozen

from omega.domain.errors import BadInput
from omega.entrypoints.limits import Limits

DEFAULT_BUCKET: Final = "store"
_PREFIX: Final = "OMEGA_"
_MAX: Final = "max_"
MODEL_CACHE_BYTES: Final = 1 << 30
MODEL_CELLS: Final = 50_000_000
_MODEL_NUMBERS: Final = ("model_cache_bytes", "model_cells")


@frozen
class Settings:
    """Everything that can be set; `load` finds the values.

    `store` is `file:///directory` (default: `store` in `home`) or `memory://`. `model_cache_bytes` bounds the
    models that a process keeps loaded, `model_cells` the numbers that an estimator may be made to allocate
    and a sparse answer may hold. `access_rules` is OMEGA_RESTAPI_FILTER, as it was given.
    """

    home: Path
    store: str
    limits: Limits = field(factory=Limits)
    model_cache_bytes: int = MODEL_CACHE_BYTES
    model_cells: int = MODEL_CELLS
    access_rules: str | None = None

    @property
    def store_path(self) -> Path | None:
        """The directory of a `file://` store; `None` for the memory.

        Raises: BadInput for another kind of URL.
        """
        parts = urlsplit(self.store)
        if self.store in ("memory://", "memory:"):
            return None
        if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise BadInput(
                f"cannot use store {self.store!r}: give file:///an/absolute/directory or memory://"
            )
        return Path(unquote(parts.path))

    def export(self) -> None:
        """Put these settings into this process's environment, where `load` finds them again, in child
        processes too.
        """
        limits = {
            f"{_PREFIX}{_MAX}{name}".upper(): str(value) for name, value in attrs.asdict(self.limits).items()
        }
        models = {f"{_PREFIX}{_MAX}{name}".upper(): str(getattr(self, name)) for name in _MODEL_NUMBERS}
        os.environ.update({"OMEGA_HOME": str(self.home), "OMEGA_STORE": self.store} | limits | models)


def load(
    *, store: str | None = None, home: str | Path | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """The settings in force.

    Raises: BadInput naming the setting, and where it came from, that cannot be used.
    """
    environ = os.environ if environ is None else environ
    home = Path(home or environ.get("OMEGA_HOME") or Path.home() / ".omega").expanduser().absolute()
    found = _from_file(home)
    numbers: dict[str, int] = {}
    for name in (*(f.name for f in attrs.fields(Limits)), *_MODEL_NUMBERS):
        key = _MAX + name
        if (text := environ.get(_PREFIX + key.upper())) is not None:
            numbers[name] = _positive(text, f"environment variable {_PREFIX}{key.upper()}")
        elif key in found:
            numbers[name] = _positive(found[key], f"{key} in omega.toml")
    store = store or environ.get("OMEGA_STORE") or found.get("store") or (home / "store").as_uri()
    settings = Settings(
        home=home,
        store=store,
        model_cache_bytes=numbers.pop("model_cache_bytes", MODEL_CACHE_BYTES),
        model_cells=numbers.pop("model_cells", MODEL_CELLS),
        limits=Limits(**numbers),
        access_rules=environ.get("OMEGA_RESTAPI_FILTER"),
    )
    _ = settings.store_path
    return settings


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
        known = {"store", *(_MAX + n for n in (*_MODEL_NUMBERS, *(f.name for f in attrs.fields(Limits))))}
        if unknown := sorted(found.keys() - known):
            raise BadInput(
                f"omega.toml has unknown settings {', '.join(unknown)}: there are {', '.join(sorted(known))}"
            )
        if not isinstance(found.get("store", ""), str):
            raise BadInput(f"store in omega.toml is {found['store']!r}: it must be a URL in quotes")
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
