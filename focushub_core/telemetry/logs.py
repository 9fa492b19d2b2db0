"""Structured log lines, one shape for every part.

Rules that hold here:

* Code logs with the standard library: ``logging.getLogger(__name__).info("project created", extra={"project": id})``;
  what is in ``extra`` becomes fields of the line.
* A line is one line: JSON for machines, or ``time level part message key=value`` for people. New lines
  inside a value are escaped, so that a client cannot forge a line.
* The request's id is added by itself, and its trace's id where it has one.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

import msgspec

from focushub_core.telemetry.context import request_id
from focushub_core.telemetry.trace import current as current_trace

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A record as one JSON object: ``ts, level, part, logger, message, request_id, trace_id`` and its own fields."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self._part = part

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": _timestamp(record),
            "level": record.levelname.lower(),
            "part": self._part,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(fields_of(record))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


class TextFormatter(logging.Formatter):
    """A record as a line that people read; a traceback follows it, indented."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self._part = part

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={_escaped(str(value))}" for name, value in fields_of(record).items())
        message = _escaped(record.getMessage())
        line = f"{_timestamp(record)} {record.levelname:<7} {self._part:<14} {message} {fields}".rstrip()
        if record.exc_info:
            line += "\n    " + self.formatException(record.exc_info).replace("\n", "\n    ")
        return line


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """What the caller gave as ``extra``, and the ids of the request that is being served and of its trace."""
    fields = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
    current = request_id.get()
    if current is not None:
        fields.setdefault("request_id", current)
    trace = current_trace.get()
    if trace is not None:
        fields.setdefault("trace_id", trace.trace_id)
    return fields


def configure(part: str, *, as_json: bool, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Sends every log line of the process to ``stream`` (standard output), in one form."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter(part) if as_json else TextFormatter(part))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(True)


def _timestamp(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _escaped(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
