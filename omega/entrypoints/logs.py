"""Log entries on standard error: a line of text each, or of JSON, with what the process works on.

Nothing that comes from outside can make an entry look like two, or like another one: in JSON all that is not
plain ASCII is escaped, in text all that cannot be printed, and the lines of a traceback are set off.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

from omega.entrypoints.settings import Settings
from omega.entrypoints.trail import present

ACCESS: Final = logging.getLogger("omega.access")
_SET_OFF: Final = "    | "


class _Entries(logging.Formatter):
    def _parts(self, record: logging.LogRecord) -> dict[str, Any]:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return {
            "time": when.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **present(),
            **getattr(record, "facts", {}),
        }

    def _trace(self, record: logging.LogRecord) -> str:
        return self.formatException(record.exc_info) if record.exc_info else ""


class JSONEntries(_Entries):
    """An entry is a line of JSON: `time` (RFC 3339, UTC), `level`, `logger`, `message`, `request_id` and
    `task_id` where there is one, `traceback`, and the facts that the entry has.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        parts = self._parts(record)
        if trace := self._trace(record):
            parts["traceback"] = trace
        return json.dumps(parts, default=str)


class TextEntries(_Entries):
    """An entry is a line of text; those of a traceback follow it, each behind a bar."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, or lines."""
        parts = self._parts(record)
        known = " ".join(f"{name}={parts[name]}" for name in ("request_id", "task_id") if name in parts)
        head = f"{parts['time']} {record.name} {record.levelname} {parts['message']}"
        lines = [f"{head} [{known}]" if known else head]
        lines += [_SET_OFF + line for line in self._trace(record).split("\n") if line]
        return "\n".join(map(_printable, lines))


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def configure(settings: Settings) -> None:
    """Let all log entries of this process go to standard error, as the settings say."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONEntries() if settings.log_format == "json" else TextEntries())
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    ACCESS.setLevel(logging.INFO if settings.access_log == "on" else logging.CRITICAL)
