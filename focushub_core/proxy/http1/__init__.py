"""HTTP/1.1 without I/O: bytes in, events out; parts in, bytes out.

Rules that hold here:

* What two strict readers could read differently is refused, whole: there is no lenient mode (RFC 9112 section 11.2).
* Every message is checked, always. What makes it fast is that the checks are a few compiled expressions and C
  functions over the whole head, not that some are left out.
* A message is written anew from its parts. No byte of its framing is passed through.
* No sockets, no clock: the same bytes give the same events, in whatever pieces they come.
"""

from __future__ import annotations

from focushub_core.proxy.http1.errors import (
    HeadTooLarge,
    NotSupported,
    ProtocolError,
    TargetTooLong,
    Truncated,
    VersionNotSupported,
)
from focushub_core.proxy.http1.fields import Fields
from focushub_core.proxy.http1.heads import CHUNKED, UNTIL_CLOSE, RequestHead, ResponseHead
from focushub_core.proxy.http1.names import Names
from focushub_core.proxy.http1.reader import END, End, Event, Limits, RequestReader, ResponseReader
from focushub_core.proxy.http1.writer import (
    chunk,
    framed,
    last_chunk,
    lines,
    request_head,
    response_head,
    status_line,
    to,
)

__all__ = [
    "CHUNKED",
    "END",
    "UNTIL_CLOSE",
    "End",
    "Event",
    "Fields",
    "HeadTooLarge",
    "Limits",
    "Names",
    "NotSupported",
    "ProtocolError",
    "RequestHead",
    "RequestReader",
    "ResponseHead",
    "ResponseReader",
    "TargetTooLong",
    "Truncated",
    "VersionNotSupported",
    "chunk",
    "framed",
    "last_chunk",
    "lines",
    "request_head",
    "response_head",
    "status_line",
    "to",
]
