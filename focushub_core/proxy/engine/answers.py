"""What the engine answers itself: documents of a part's own, and errors as RFC 9457 problems."""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from functools import lru_cache
from typing import Self

import msgspec

from focushub_core.errors import FocusHubError, problem
from focushub_core.proxy.http1 import framed, status_line
from focushub_core.reasons import reason

JSON = (("Content-Type", "application/json"),)
"""The fields of an answer that is JSON and says nothing more."""
_JSON_BLOCK = b"Content-Type: application/json\r\n"
_EMPTY = frozenset({204, 304})
_ENDS_A_LINE = re.compile(r"[\r\n\0]")


class Answer(msgspec.Struct, frozen=True):
    """A whole answer. ``fields`` are its own, without those about the connection."""

    status: int
    body: bytes = b""
    fields: Collection[tuple[str, str]] = ()
    lines: bytes = b""
    """Further field lines, as they are written."""

    def checked(self) -> Self:
        """The same; `ValueError` where a field is more than a line: a handler may have put in what a client said."""
        if self.fields is not JSON and _ENDS_A_LINE.search(
            "".join([name + value for name, value in self.fields])
        ):
            wrong = [name for name, value in self.fields if _ENDS_A_LINE.search(name + value)]
            raise ValueError(f"the field {wrong[0]!r} holds what ends a line")
        return self

    def with_lines(self, lines: bytes) -> Self:
        """The same with further field lines."""
        return type(self)(self.status, self.body, self.fields, self.lines + lines) if lines else self

    def written(self, request_id: bytes, told: bytes, *, bodiless: bool, close: bool) -> bytes:
        """As it goes to the client, with the lines ``told``; ``bodiless`` where it answers HEAD."""
        empty = self.status in _EMPTY
        return b"".join(
            (
                _status_line(self.status),
                _JSON_BLOCK if self.fields is JSON else _block(self.fields),
                self.lines,
                b"Date: ",
                date(),
                b"\r\nX-Request-Id: ",
                request_id,
                b"\r\n",
                told,
                b"Connection: close\r\n" if close else b"",
                # RFC 9110 section 8.6: "A server MUST NOT send a Content-Length header field in any response with a
                # status code of 1xx (Informational) or 204 (No Content)."
                b"" if empty else framed(len(self.body)),
                b"\r\n",
                b"" if empty or bodiless else self.body,
            )
        )


@lru_cache
def _status_line(status: int) -> bytes:
    return status_line(status, reason(status).encode())


def _block(fields: Collection[tuple[str, str]]) -> bytes:
    return "".join([f"{name}: {value}\r\n" for name, value in fields]).encode("utf-8", "replace")


def json(status: int, body: object, fields: Collection[tuple[str, str]] = ()) -> Answer:
    """``body`` as JSON."""
    return Answer(status, msgspec.json.encode(body, enc_hook=str), (*JSON, *fields))


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
