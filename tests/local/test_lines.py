"""A log line, as it is kept and as people read it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_generator.local import lines


@pytest.mark.parametrize(
    ("text", "level", "message"),
    [
        ("LOG:  database system is ready", "info", "database system is ready"),
        ("ERROR:  relation x", "error", "relation x"),
        ("FATAL:  the database system is starting up", "info", "FATAL:  the database system is starting up"),
        ("12:M 22 Nov 2026 23:41:00.000 * Ready to accept", "info", "Ready to accept"),
        ("Traceback (most recent call last):", "info", "Traceback (most recent call last):"),
    ],
)
def test_what_is_not_json_is_wrapped_with_the_level_it_shows(text: str, level: str, message: str) -> None:
    found = json.loads(lines.wrap("p", text, "2026-01-01T00:00:00.000Z"))
    assert found == {"ts": "2026-01-01T00:00:00.000Z", "level": level, "part": "p", "message": message}


def test_a_line_for_people_shows_its_own_fields_and_a_trace_below() -> None:
    fields = {
        "ts": "no time",
        "level": "error",
        "part": "task-service",
        "logger": "x",
        "message": "failed",
        "request_id": "r1",
        "exception": "Traceback\n  ValueError",
    }
    shown = lines.readable(fields, width=12).lstrip()
    assert shown == "task-service ERROR failed request_id=r1\n    Traceback\n      ValueError"


@given(st.dictionaries(st.sampled_from(["message", "level", "part"]) | st.text(), st.text()))
def test_no_log_line_can_drive_the_terminal(fields: dict[str, str]) -> None:
    fields.pop("exception", None)
    assert lines.readable(fields).isprintable()


@pytest.mark.parametrize("raw", [b'{"cut": ', b"[1]", b"\xff", b""])
def test_a_line_that_is_no_object_is_none(raw: bytes) -> None:
    assert lines.parse(raw) is None
