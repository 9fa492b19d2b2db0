"""What the engine answers itself: documents of a part's own, and errors as RFC 9457 problems."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec

from focushub_core.errors import FocusHubError, problem
from focushub_core.proxy.http1 import RequestHead, lines, response_head

# Those that are ever answered here; http.HTTPStatus costs as much to import as the engine.
_REASONS = {
    200: b"OK",
    400: b"Bad Request",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    414: b"URI Too Long",
    417: b"Expectation Failed",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. ``fields`` are further ones."""

    status: int
    body: bytes
    content_type: str = "application/json"
    fields: dict[str, str] = field(default_factory=dict)

    def written(self, request_id: bytes, *, bodiless: bool, close: bool) -> bytes:
        """As it goes to the client; ``bodiless`` where it answers HEAD."""
        named = {
            "Content-Type": self.content_type,
            **self.fields,
            "Date": date().decode(),
            "X-Request-Id": request_id.decode(),
            **({"Connection": "close"} if close else {}),
        }
        block = lines((name.encode(), value.encode("latin-1")) for name, value in named.items())
        head = response_head(self.status, _REASONS.get(self.status, b""), block, len(self.body))
        return head if bodiless else head + self.body


Handler = Callable[[RequestHead], Awaitable[Answer]]
"""A route of the part's own."""


def refusal(error: FocusHubError, request_id: str) -> Answer:
    """``error`` as an answer."""
    body = msgspec.json.encode(problem(error, request_id), enc_hook=str)
    return Answer(error.status, body, "application/problem+json", error.headers)


_date = (-1, b"")


def date() -> bytes:
    """Now, as ``Date`` says it (RFC 9110 section 5.6.7); made once a second."""
    global _date  # noqa: PLW0603 (a memory of one second)
    second = int(time.time())
    if second != _date[0]:
        _date = (second, time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(second)).encode())
    return _date[1]
