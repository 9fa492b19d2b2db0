"""Which requests act once however often they are sent."""

from __future__ import annotations

import pytest

from focushub_core.proxy.http1 import RequestReader
from focushub_core.proxy.replay import replayable
from focushub_core.proxy.rewrite import request_names

KEYED = ("/v1/tasks", "/v1/labels")
KEY = "Idempotency-Key: 7f\r\n"


@pytest.mark.parametrize(
    ("line", "fields", "expected"),
    [
        ("GET /x", "", True),
        ("PUT /x", "", True),
        ("DELETE /x", "", True),
        ("PATCH /v1/tasks/1", KEY, False),  # keys are kept for POST
        ("POST /v1/tasks", "", False),
        ("POST /v1/tasks", KEY, True),
        ("POST /v1/tasks?a=/v1/other", KEY, True),
        ("POST /v1/tasks/1/complete", "idempotency-KEY: 7f\r\n", True),
        ("POST /v1/tasks2", KEY, False),
        ("POST /v1/auth/login?/v1/tasks", KEY, False),
        ("POST /v1/%74asks", KEY, False),
        ("POST /v1/tasks", KEY + "Connection: idempotency-key\r\n", False),  # it would not go on
        ("POST /v1/tasks", KEY + "Connection: close\r\n", True),
    ],
)
def test_a_post_is_sent_again_only_with_a_key_that_its_service_is_said_to_keep(
    line: str, fields: str, expected: bool
) -> None:
    head = RequestReader(request_names()).start(
        f"{line} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n{fields}\r\n".encode()
    )

    assert head is not None
    assert replayable(head, KEYED) is expected
