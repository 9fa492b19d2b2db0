"""Log lines: one shape, one line each, never a secret."""

import io
import json
import logging

import pytest

from focushub_core import Secret
from focushub_core.telemetry import logs
from focushub_core.telemetry.context import request_id, take_up


@pytest.fixture
def written():
    """Gives ``write(as_json, call)``, which returns what the call logged."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)

    def write(as_json, call):
        stream = io.StringIO()
        logs.configure("task-service", as_json=as_json, stream=stream)
        call(logging.getLogger("x"))
        return stream.getvalue()

    yield write
    root.handlers, root.level = before
    logging.captureWarnings(False)


def test_a_json_line_has_the_callers_fields_and_the_requests_id(written):
    token = request_id.set("abcdefgh")
    try:
        line = json.loads(written(True, lambda log: log.info("made %s", "it", extra={"count": 3})))
    finally:
        request_id.reset(token)
    assert line.pop("ts").endswith("Z")
    assert line == {
        "level": "info",
        "part": "task-service",
        "logger": "x",
        "message": "made it",
        "count": 3,
        "request_id": "abcdefgh",
    }


@pytest.mark.parametrize("as_json", [True, False])
def test_a_client_cannot_forge_a_line(written, as_json):
    text = written(
        as_json, lambda log: log.info("path /a\n2026 ERROR forged", extra={"agent": "x\ny\x1b[31m"})
    )
    assert text.count("\n") == 1
    assert "\x1b" not in text


@pytest.mark.parametrize("as_json", [True, False])
def test_a_secret_is_not_written(written, as_json):
    assert "hunter2" not in written(as_json, lambda log: log.info("x", extra={"url": Secret("hunter2")}))


@pytest.mark.parametrize("as_json", [True, False])
def test_an_exception_is_written_with_its_trace(written, as_json):
    def fail(log):
        try:
            raise RuntimeError("boom")
        except RuntimeError:
            log.exception("failed")

    assert "RuntimeError: boom" in written(as_json, fail)


@pytest.mark.parametrize("value", [None, "", "short", "a" * 65, "has space", "new\nline1", "ümlaut-ümlaut"])
def test_an_id_that_is_not_safe_to_pass_on_is_replaced(value):
    made = take_up(value)
    assert made != value
    assert len(made) == 32
