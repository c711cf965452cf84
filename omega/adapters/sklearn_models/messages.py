"""What scikit-learn says, in one line that may be shown to a user: no traceback, no path of this machine, no
memory address."""

import re
from typing import Final

MAX_LENGTH: Final = 500

#: What estimators are known to raise about data and parameter values. `MemoryError` and interrupts are not
#: among them.
ESTIMATOR_ERRORS: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
    ImportError,
    re.error,
)

# The searches put the tracebacks of their fits into the message. Of each only its last line, which does not
# start with a blank, says what is wrong.
_TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t][^\n]*\n|\n)*")
_RULER = re.compile(r"-{5,}")
_ADDRESS = re.compile(r" (?:object )?at 0x[0-9a-fA-F]+")
# How Python shows objects: only the value or the name says something to a user.
_SCALAR = re.compile(r"\b(?:np|numpy)\.(?:u?int\d*|float\d+|str_|bool_?|bytes_|datetime64)\(([^()]*)\)")
_CLASS = re.compile(r"<class '(?:\w+\.)*(\w+)'>")
_MODULE = re.compile(r"\b(?:numpy|np|pandas|scipy|sklearn|joblib|builtins)\.(?:\w+\.)*(\w+)")
_PATH = re.compile(r"(?<![\w.:/])(?:/[^\s/'\":,()<>]+){2,}")

_REPLACED: Final = (
    (_TRACEBACK, ""),
    (_RULER, ""),
    (_ADDRESS, ""),
    (_PATH, "..."),
    (_SCALAR, r"\1"),
    (_CLASS, r"\1"),
    (_MODULE, r"\1"),
)


def one_line(error: BaseException | str, *, limit: int = MAX_LENGTH) -> str:
    """The message of `error` in one line of at most `limit` characters; its type's name where it is not a
    plain `ValueError` or has no message."""
    text = str(error)
    if isinstance(error, KeyError) and len(error.args) == 1:
        text = str(error.args[0])
    for pattern, replacement in _REPLACED:
        text = pattern.sub(replacement, text)
    text = " ".join(text.split())
    if isinstance(error, BaseException) and not (text and isinstance(error, ValueError)):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."
