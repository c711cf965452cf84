"""Names of objects and buckets, and references to a version or to some columns of an object.

    sample              the object, as it is now
    sample@3            version 3 of it
    sample^  sample^^   one version, two versions before the current one
    sample[x,y]         only these columns; `[^y]` all but y, `[a:b]` from a to b inclusive

A selection and a version may stand together, in either order.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

from attrs import field, frozen

from omega.domain.errors import BadInput

MAX_NAME_BYTES: Final = 255
FORBIDDEN: Final = frozenset("\\*?[]^@#:%")
DATASET: Final = "dataset"
MODEL: Final = "model"
JOB: Final = "job"
SCRIPT: Final = "script"
NOTEBOOK_SUFFIX: Final = ".ipynb"

#: The actions of each resource, in URLs and in access rules (`resource/name/action`). None may be the last
#: segment of a name, so that a URL or a rule can be read in one way only.
ACTION_WORDS: Final = {
    DATASET: frozenset({"delete", "get", "list", "put"}),
    MODEL: frozenset(
        {
            "create",
            "decision_function",
            "delete",
            "fit",
            "list",
            "metadata",
            "partial_fit",
            "predict",
            "predict_log_proba",
            "predict_proba",
            "score",
            "transform",
        }
    ),
    JOB: frozenset({"delete", "export", "get", "list", "put", "results", "run", "schedule"}),
    SCRIPT: frozenset({"delete", "get", "list", "put", "run"}),
}
#: In URLs these come before the name of a result, so that no name of a job may begin with them.
_JOB_PLACES: Final = ("results", "export")
#: References up to this length are remembered.
_SHORT_CHARS: Final = 512
_REFERENCE = re.compile(
    r"(?P<name>[^\[\]@^]*)(?P<before>@[^\[\]@^]*|\^+)?(?:\[(?P<columns>.*)\])?(?P<after>@[^\[\]@^]*|\^+)?",
    re.DOTALL,
)


def check_name(name: str, *, resource: str) -> str:
    """`name`, if it is a legal name for an object of `resource`.

    Raises: BadInput, saying which rule the name breaks.
    """
    _legal(name, f"{resource} name")
    if (last := name.rpartition("/")[2]) in ACTION_WORDS[resource]:
        raise BadInput(f"illegal {resource} name {name!r}: its last part may not be the action word {last!r}")
    return name


def job_name(name: str) -> str:
    """The full name of the job that is called `name`, which may be given without its `.ipynb`.

    Raises: BadInput for an illegal name.
    """
    stem = name.removesuffix(NOTEBOOK_SUFFIX)
    check_name(stem, resource=JOB)
    if stem.endswith(NOTEBOOK_SUFFIX):
        raise BadInput(f"illegal job name {name!r}: it ends in {NOTEBOOK_SUFFIX} twice")
    if (first := name.partition("/")[0]) in _JOB_PLACES:
        raise BadInput(f"illegal job name {name!r}: its first part may not be {first!r}")
    full = name if name.endswith(NOTEBOOK_SUFFIX) else name + NOTEBOOK_SUFFIX
    return check_name(full, resource=JOB)


def check_bucket(name: str) -> str:
    """`name`, if it is a legal bucket name: a legal name without `/`.

    Raises: BadInput.
    """
    _legal(name, "bucket name")
    if "/" in name:
        raise BadInput(f"illegal bucket name {name!r}: it may not hold '/'")
    return name


def check_user(name: str) -> str:
    """`name`, if it is a legal name for a user: as for a bucket, and all of it printable.

    Raises: BadInput.
    """
    _legal(name, "user name")
    if "/" in name or not name.isprintable() or name != name.strip():
        raise BadInput(f"illegal user name {name!r}: it may not hold '/', nor blanks at its ends")
    return name


def is_hidden(name: str) -> bool:
    """Whether lists leave this name out."""
    return name.startswith((".", "_"))


@lru_cache(maxsize=4096)
def _legal(name: str, what: str) -> None:
    # Remembered: each request has several, and nearly always the same. What raises is not.
    shown = name if len(name) <= 80 else name[:77] + "..."

    def illegal(why: str) -> BadInput:
        return BadInput(f"illegal {what} {shown!r}: {why}")

    if not name:
        raise illegal("it is empty")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise illegal("it is not valid UTF-8") from None
    if size > MAX_NAME_BYTES:
        raise illegal(f"it is {size} bytes long, the limit is {MAX_NAME_BYTES}")
    if any(unicodedata.category(c) == "Cc" for c in name):
        raise illegal("it holds a control character")
    if found := sorted(FORBIDDEN & set(name)):
        raise illegal(f"it may not hold {' '.join(found)}")
    if any(segment in ("", ".", "..") for segment in name.split("/")):
        raise illegal("it has an empty, '.' or '..' part")
    if not unicodedata.is_normalized("NFC", name):
        raise illegal("it is not in Unicode normal form C (NFC)")


@frozen
class Reference:
    """An object by name, at a version: the current one, number `at`, or `back` versions before the current
    one.

    `columns` is the text between the brackets, `None` where there are none.
    """

    name: str
    at: int | None = None
    back: int = 0
    columns: str | None = field(default=None, kw_only=True)

    @classmethod
    def parse(cls, text: str, *, resource: str) -> "Reference":
        """Read a reference such as `sample[x]@3`.

        Raises: BadInput, for an illegal name too.
        """
        return _parsed(text, resource) if len(text) <= _SHORT_CHARS else cls._parse(text, resource)

    @classmethod
    def _parse(cls, text: str, resource: str) -> "Reference":
        match = _REFERENCE.fullmatch(text)
        if match is None or (match["before"] and match["after"]):
            raise BadInput(
                f"cannot read {text!r}: after the name come [columns] and @version or ^, each at most once"
            )
        name, columns, version = match["name"], match["columns"], match["before"] or match["after"] or ""
        check_name(name, resource=resource)
        if columns is not None and resource != DATASET:
            raise BadInput(f"cannot read {text!r}: a {resource} has no columns to select")
        at = version_number(version[1:]) if version.startswith("@") else None
        return cls(name, at=at, back=version.count("^"), columns=columns)


@lru_cache(maxsize=4096)
def _parsed(text: str, resource: str) -> Reference:
    return Reference._parse(text, resource)


def version_number(text: str) -> int:
    """A version number, 1 or more.

    Raises: BadInput.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text) >= 1):
        raise BadInput(f"{text!r} is not a version: versions are numbers from 1 on")
    return int(text)
