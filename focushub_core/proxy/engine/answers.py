"""What the engine answers itself: documents of a part's own, and errors as RFC 9457 problems."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from focushub_core.errors import FocusHubError, problem
from focushub_core.proxy.http1 import lines, response_head

_JSON = ("Content-Type", "application/json")
_EMPTY = frozenset({204, 304})
# http.HTTPStatus costs as much to import as the engine.
_REASONS = {
    200: b"OK",
    201: b"Created",
    202: b"Accepted",
    204: b"No Content",
    301: b"Moved Permanently",
    302: b"Found",
    303: b"See Other",
    304: b"Not Modified",
    307: b"Temporary Redirect",
    308: b"Permanent Redirect",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    406: b"Not Acceptable",
    408: b"Request Timeout",
    409: b"Conflict",
    410: b"Gone",
    412: b"Precondition Failed",
    413: b"Content Too Large",
    414: b"URI Too Long",
    415: b"Unsupported Media Type",
    417: b"Expectation Failed",
    422: b"Unprocessable Content",
    428: b"Precondition Required",
    429: b"Too Many Requests",
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
    """A whole answer. ``fields`` are its own, without those about the connection."""

    status: int
    body: bytes = b""
    fields: Iterable[tuple[str, str]] = ()

    def written(self, request_id: bytes, told: bytes, *, bodiless: bool, close: bool) -> bytes:
        """As it goes to the client, with the lines ``told``; ``bodiless`` where it answers HEAD."""
        block = b"%bDate: %b\r\nX-Request-Id: %b\r\n%b%b" % (
            lines((name.encode(), value.encode("latin-1")) for name, value in self.fields),
            date(),
            request_id,
            told,
            b"Connection: close\r\n" if close else b"",
        )
        # RFC 9110 section 8.6: "A server MUST NOT send a Content-Length header field in any response with a status
        # code of 1xx (Informational) or 204 (No Content)."
        framing = None if self.status in _EMPTY else len(self.body)
        head = response_head(self.status, _REASONS.get(self.status, b""), block, framing)
        return head if bodiless or self.status in _EMPTY else head + self.body


def json(status: int, body: object, fields: Iterable[tuple[str, str]] = ()) -> Answer:
    """``body`` as JSON."""
    return Answer(status, msgspec.json.encode(body, enc_hook=str), (_JSON, *fields))


def refusal(error: FocusHubError, request_id: str) -> Answer:
    """``error`` as an answer."""
    body = msgspec.json.encode(problem(error, request_id), enc_hook=str)
    return Answer(error.status, body, (("Content-Type", "application/problem+json"), *error.headers.items()))


_date = (-1, b"")


def date() -> bytes:
    """Now, as ``Date`` says it (RFC 9110 section 5.6.7); made once a second."""
    global _date  # noqa: PLW0603 (a memory of one second)
    second = int(time.time())
    if second != _date[0]:
        _date = (second, time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(second)).encode())
    return _date[1]
