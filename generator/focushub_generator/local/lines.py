"""A log line, from what a part printed to what people read: pure.

Rules that hold here:

* In a log file every line is a JSON object; what a part printed otherwise (PostgreSQL, Valkey, a traceback) is wrapped.
* A line is shown in one colour a part, without control characters, so that a log cannot drive the terminal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

NOT_SHOWN = {"ts", "level", "part", "logger", "message", "exception"}
NOT_SHOWN_OF_ACCESS = NOT_SHOWN | {"method", "route", "status"}
"""The message of an access line says these already."""
LEVELS = {"debug": 10, "info": 20, "notice": 30, "warning": 30, "error": 40, "critical": 50}
COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
DIM, RED, BOLD = 2, 31, 1

POSTGRES = re.compile(
    r"^(DEBUG\d?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|STATEMENT|CONTEXT):\s+(.*)$"
)
PASSING = re.compile(
    r"^FATAL:  the database system is (starting up|shutting down|not yet accepting|in recovery)"
)
POSTGRES_LEVELS = {"WARNING": "warning", "ERROR": "error", "FATAL": "error", "PANIC": "critical"}
VALKEY = re.compile(r"^\d+:[A-Z] \d+ \w+ \d+ [\d:.]+ ([.\-*#]) (.*)$")
VALKEY_LEVELS = {".": "debug"}  # its warnings are advice about the machine, and its farewell


def now() -> str:
    """The present as log lines write it: RFC 3339 in UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def wrap(part: str, text: str, ts: str, level: str | None = None) -> bytes:
    """A line that is not JSON as one that is; its level is read from PostgreSQL's and Valkey's own marks."""
    found, message = (level, text) if level else _marked(text)
    line = {"ts": ts, "level": found, "part": part, "message": message}
    return json.dumps(line, ensure_ascii=False).encode()


def _marked(text: str) -> tuple[str, str]:
    if PASSING.match(text):
        return "info", text
    if match := POSTGRES.match(text):
        return POSTGRES_LEVELS.get(match[1], "info"), match[2]
    if match := VALKEY.match(text):
        return VALKEY_LEVELS.get(match[1], "info"), match[2]
    return "info", text


def parse(raw: bytes) -> dict[str, Any] | None:
    """A line of a log file; ``None`` for one that was cut."""
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def severity(fields: Mapping[str, Any]) -> int:
    """A level as a number, as `logging` has them."""
    return LEVELS.get(str(fields.get("level")), 20)


def readable(fields: Mapping[str, Any], *, width: int = 14, colour: int | None = None) -> str:
    """A line for people; without ``colour`` it is plain text."""
    level = printable(str(fields.get("level", "info")))
    part = printable(str(fields.get("part", ""))).ljust(width)
    message = printable(str(fields.get("message", "")))
    hidden = NOT_SHOWN_OF_ACCESS if fields.get("logger") == "focushub.access" else NOT_SHOWN
    rest = " ".join(
        f"{printable(name)}={printable(str(value))}" for name, value in fields.items() if name not in hidden
    )
    bad = severity(fields) >= LEVELS["warning"]
    if bad:
        message = f"{level.upper()} {message}"
    text = f"{_time(fields)} {_paint(part, colour)} {_paint(message, RED if bad and colour else None)}"
    if rest:
        text += " " + _paint(rest, DIM if colour else None)
    for row in str(fields.get("exception", "")).splitlines():
        text += f"\n    {printable(row)}"
    return text


def printable(text: str) -> str:
    """``text`` with everything escaped that a terminal would act on."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def colour_of(number: int) -> int:
    """The colour of the ``number``-th part."""
    return COLOURS[number % len(COLOURS)]


def _time(fields: Mapping[str, Any]) -> str:
    """The time of day here."""
    try:
        return datetime.fromisoformat(str(fields.get("ts"))).astimezone().strftime("%H:%M:%S.%f")[:-3]
    except ValueError:
        return " " * 12


def _paint(text: str, colour: int | None) -> str:
    return text if colour is None else f"\x1b[{colour}m{text}\x1b[0m"
