"""Messages, written anew: our own lines, our own framing.

What is given must have been read by a reader or be known to be well-formed: nothing is checked here.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from focushub_core.proxy.http1.fields import Field
from focushub_core.proxy.http1.heads import CHUNKED

_line = b": ".join


def lines(fields: Iterable[Field]) -> bytes:
    """Field lines, each with its CRLF."""
    block = b"\r\n".join(map(_line, fields))
    return block + b"\r\n" if block else b""


def request_head(method: bytes, target: bytes, authority: bytes, block: bytes, framing: int | None) -> bytes:
    """A request's head. ``block`` are the other field lines, without ``Host`` and framing."""
    return b"".join((method, b" ", target, to(authority), block, framed(framing), b"\r\n"))


def to(authority: bytes) -> bytes:
    """What stands between a request's target and its other fields."""
    # RFC 9112 section 3.2: "A user agent that sends Host SHOULD send it as the first field"
    return b" HTTP/1.1\r\nHost: %b\r\n" % authority


def response_head(status: int, reason: bytes, block: bytes, framing: int | None) -> bytes:
    """An answer's head; without a framing its body, if it has one, ends with the connection."""
    if framing is not None and framing >= 0:  # the common case, in one piece
        return b"%b%bContent-Length: %d\r\n\r\n" % (status_line(status, reason), block, framing)
    return b"%b%b%b\r\n" % (status_line(status, reason), block, framed(framing))


@lru_cache(256)
def status_line(status: int, reason: bytes) -> bytes:
    """RFC 9112 section 4, with its CRLF."""
    return b"HTTP/1.1 %d %b\r\n" % (status, reason)


def chunk(data: bytes) -> bytes:
    """``data``, of at least one byte, as a chunk (RFC 9112 section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Iterable[Field] = ()) -> bytes:
    """The end of a chunked body."""
    return b"0\r\n%b\r\n" % lines(trailers)


@lru_cache(1024)
def framed(framing: int | None) -> bytes:
    """The line that says how the body is framed, if it has one."""
    if framing is None:
        return b""
    if framing == CHUNKED:
        return b"Transfer-Encoding: chunked\r\n"
    return b"Content-Length: %d\r\n" % framing
