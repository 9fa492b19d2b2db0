"""A message's head out of its bytes: what is read in it, and why it is refused.

``framing`` of a head says how its body is framed: a length in bytes, `CHUNKED`, `UNTIL_CLOSE` (answers only), or None
for a message that has no body and says nothing of one.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from focushub_core.proxy.http1 import grammar
from focushub_core.proxy.http1.errors import (
    ExpectationFailed,
    NotSupported,
    ProtocolError,
    TargetTooLong,
    VersionNotSupported,
)
from focushub_core.proxy.http1.fields import Field, Fields, read_fields
from focushub_core.proxy.http1.memory import Memory, gaps_at
from focushub_core.proxy.http1.names import LONGEST_LINE, Names

CHUNKED = -1
UNTIL_CLOSE = -2

_NEVER = frozenset({b"CONNECT", b"TRACE"})
_VERSIONS = frozenset({b"1.1", b"1.0"})
_CLOSE = frozenset({b"close"})
_KEEP = frozenset({b"keep-alive"})
_CODINGS = frozenset({b"gzip", b"x-gzip", b"compress", b"x-compress", b"deflate"})
_NONE: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of a head, of its target, of trailers, of a chunk's line; fields in one head or in trailers."""

    head: int = 16 * 1024
    target: int = 8 * 1024
    trailers: int = 8 * 1024
    chunk_line: int = 256
    fields: int = 100


class RequestHead(msgspec.Struct, eq=False):
    """A request's head, not to be changed but by its reader: it may be given again.

    ``target`` is in origin-form; ``options`` are what ``Connection`` said, in lower case.
    """

    method: bytes
    target: bytes
    minor: int
    fields: Fields
    host: bytes = b""
    framing: int | None = None
    expects: bool = False
    upgrade: bytes | None = None
    options: frozenset[bytes] = _NONE
    keeps: bool = False
    """Whether the client may send another request on its connection (RFC 9112 section 9.3).

    "A proxy server MUST NOT maintain a persistent connection with an HTTP/1.0 client."
    """
    aside: bytes = b""
    """The value of the field that the reader was told to set aside; it is not among ``fields`` then."""
    more: bytes = b""
    """Further field lines, as they are written: those that change from one request to the next (`Memory`)."""

    words: tuple[str, str] | None = None
    """What `in_words` says, once it was asked."""
    latest: tuple[bytes, RequestHead] | None = None
    """Of what fields alone say, without gaps: the first line that they came with last, and that whole head."""

    def in_words(self) -> tuple[str, str]:
        """Method and path, without the query."""
        path = self.target.decode()
        self.words = (self.method.decode(), path[: path.index("?")] if "?" in path else path)
        return self.words

    def measured(self, length: int) -> None:
        """``Content-Length`` says so."""
        self.framing = length

    def changing(self) -> list[Field]:
        """The fields that are not among ``fields``: those of ``more``."""
        lines = self.more.split(b"\r\n")[:-1]
        return [(name, value) for name, _, value in [line.partition(b": ") for line in lines]]

    def whole(self) -> RequestHead:
        """The same head, with all lines among its ``fields``."""
        lines = self.more
        length = self.framing if b"content-length" in self.fields.meant else None
        if length is not None and all(meant != b"content-length" for meant, _ in self.fields.known):
            lines += b"Content-Length: %d\r\n" % length
        if not lines:
            return self
        whole = copy(self)
        whole.fields, whole.more = self.fields.and_also(lines), b""
        return whole


class ResponseHead(msgspec.Struct, eq=False):
    """An answer's head, not to be changed. ``length`` is its ``Content-Length``, also where no body follows (to HEAD).

    ``said`` is the framing that its fields tell of, ``framing`` the one that counts.
    """

    status: int
    reason: bytes
    minor: int
    fields: Fields
    said: int | None = None
    length: int | None = None
    options: frozenset[bytes] = _NONE
    framing: int | None = None
    keeps: bool = False
    """Whether the upstream's connection outlives this answer."""
    more: bytes = b""
    """Further field lines, as they are written: those that change from one answer to the next (`Memory`)."""
    written: tuple[object, bytes, bytes] | None = None
    """For who rewrites it, to remember what came of it."""

    def measured(self, length: int) -> None:
        """``Content-Length`` says so."""
        self.said = self.length = length
        if self.framing is not None:
            self.framing = length


H = TypeVar("H", RequestHead, ResponseHead)


def read_request(
    data: bytes, end: int, names: Names, limits: Limits, memory: Memory[RequestHead]
) -> RequestHead:
    """The head that ends at ``end``, behind its empty line. It may be one that was given before."""
    raw, aside = data[:end], b""
    if names.aside and (at := raw.find(names.aside)) >= 0:
        raw, aside = _set_aside(raw, at, len(names.aside))
    if raw == memory.raw and memory.last is not None:
        return _with_aside(memory.last, aside)
    begin = raw.find(b"\r\n") + 2
    line, block = raw[:begin], raw[begin:]
    known = _known(block, memory)
    if known is None and (known := names.heads.get(block)) is not None:
        memory.keep(block, known)
    if known is not None and (latest := known.latest) is not None and latest[0] == line:
        head = _with_aside(latest[1], aside)
    else:
        head = _with_aside(_read_request(line, block, known, names, limits, memory), aside)
    if not head.more and not head.framing:
        memory.raw, memory.last = raw, head
    return head


def _read_request(  # noqa: PLR0917
    line: bytes,
    block: bytes,
    known: RequestHead | None,
    names: Names,
    limits: Limits,
    memory: Memory[RequestHead],
) -> RequestHead:
    """``known`` is what the fields in ``block`` say, if that was read before."""
    method, target, version = request_line(line, limits)
    if version != b"1.1":
        known = _read_request_fields(block, 0, names, limits)
    elif known is None:
        known = _learned(block, 0, _read_request_fields(block, 1, names, limits), memory, names)
    head = RequestHead(
        method, target, known.minor, known.fields, known.host, known.framing, known.expects, known.upgrade,
        known.options, known.keeps, more=known.more,
    )  # fmt: skip
    if target[0] != 47:  # not "/"
        head.target = _origin_form(target, head.host)
    if known.minor and memory.gaps is None and not head.framing and len(line) <= LONGEST_LINE:
        known.latest = line, head
    return head


def _with_aside(head: RequestHead, aside: bytes) -> RequestHead:
    return head if head.aside == aside else msgspec.structs.replace(head, aside=aside)


def _known(text: bytes, memory: Memory[H]) -> H | None:
    """The connection's last head, if ``text`` is the same but for what fills its gaps."""
    head = memory.head
    if head is None:
        return None
    if memory.gaps is None:
        return head if text == memory.text else None
    filled = memory.gaps.filled(text)
    if filled is None:
        return None
    head.more, length = filled
    if length >= 0:
        head.measured(length)
    return head


def _learned(text: bytes, first: int, head: H, memory: Memory[H], names: Names) -> H:
    """``head``, which was read from ``text``, or the same with gaps; its fields begin at the line ``first``."""
    numbers = [] if names.gaps is None else memory.differing(text)
    memory.keep(text, head)
    if names.gaps is None or not numbers or numbers[0] < first:
        return head
    lines = head.fields.lines
    changing = [lines[number - first] for number in numbers]
    kept = [line for number, line in enumerate(lines, first) if number not in numbers]
    # RFC 9110 section 5.3: "a proxy MUST NOT change the order of these field line values", those of one name: so no
    # other line may have the name of one that changes
    fixed = {line.field[0].lower() for line in kept}.union(head.options)
    if any(line.meant not in names.gaps or line.field[0].lower() in fixed for line in changing):
        return head
    if (gaps := gaps_at(text, numbers)) is None:
        return head
    memory.keep(text, msgspec.structs.replace(head, fields=head.fields.only(kept)), gaps)
    return _known(text, memory) or head


def _read_request_fields(block: bytes, minor: int, names: Names, limits: Limits) -> RequestHead:
    """What the field lines alone say, as a head without a first line."""
    fields = read_fields(block, 0, len(block) - 2, names, limits.fields)
    head = RequestHead(b"", b"", minor, fields)
    _look_into(head)
    if minor:
        head.keeps = b"close" not in head.options
        names.remember_head(block, head)
    return head


def _set_aside(block: bytes, at: int, size: int) -> tuple[bytes, bytes]:
    """``block`` without the line at ``at``, the value of which stands ``size`` bytes behind it, and this value.

    Only as we write it ourselves; whatever else it may be stays where it is.
    """
    begin = at + size
    end = block.find(b"\r\n", begin)
    value = block[begin:end]
    if grammar.PLAIN_VALUE.fullmatch(value) is None:
        return block, b""
    return block[:at] + block[end:], value


def _look_into(head: RequestHead) -> None:
    host: bytes | None = None
    for name, value in head.fields.known:
        if name == b"host":
            # RFC 9112 section 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request
            # message that lacks a Host header field and to any request message that contains more than one Host
            # header field line or a Host header field with an invalid field value."
            if host is not None or grammar.HOST.fullmatch(value) is None:
                raise ProtocolError("Host is repeated or invalid")
            host = value
        elif name == b"content-length":
            head.framing = _length(value, head.framing)
        elif name == b"transfer-encoding":
            head.framing = _coding(value, head.framing, head.minor)
        elif name == b"connection":
            head.options = _options(value, head.options)
        elif name == b"expect":
            head.expects = _expects(value, head.minor)
        elif name == b"upgrade":
            head.upgrade = value
    if host is None:
        raise ProtocolError("Host is missing")
    head.host = host


def read_response(  # noqa: PLR0917
    data: bytes, end: int, names: Names, limits: Limits, memory: Memory[ResponseHead], bodiless: bool
) -> ResponseHead:
    """The head that ends at ``end``; ``bodiless`` where it answers HEAD. It may be one that was given before."""
    text = raw = data[:end]
    if names.aside and (at := raw.find(names.aside)) >= 0:
        text, _ = _set_aside(raw, at, len(names.aside))
    if not bodiless and (known := _known(text, memory)) is not None:
        return known
    line = grammar.STATUS_LINE.match(text)
    if line is None:
        raise ProtocolError("the status line is not well-formed")
    minor, status, reason = line.groups()
    fields = read_fields(text, line.end(), len(text) - 2, names, limits.fields)
    head = ResponseHead(int(status), reason or b"", 1 if minor == b"1" else 0, fields)
    _look_into_answer(head)
    head.keeps = head.minor == 1 and b"close" not in head.options
    # RFC 9112 section 6.3: "Any response to a HEAD request and any response with a 1xx (Informational), 204 (No
    # Content), or 304 (Not Modified) status code is always terminated by the first empty line after the
    # header fields"; else, with neither field, "the message body length is determined by the number of octets
    # received prior to the server closing the connection".
    if not (bodiless or head.status < 200 or head.status in (204, 304)):
        head.framing = head.said
        if head.said is None:
            head.framing, head.keeps = UNTIL_CLOSE, False
    if not bodiless:
        head = _learned(text, 1, head, memory, names)
        if text is raw and memory.gaps is None:
            memory.raw, memory.last = raw, head
    return head


def _look_into_answer(head: ResponseHead) -> None:
    for name, value in head.fields.known:
        if name == b"content-length":
            head.said = head.length = _length(value, head.said)
        elif name == b"transfer-encoding":
            head.said = _coding(value, head.said, head.minor)
        elif name == b"connection":
            head.options = _options(value, head.options)


def request_line(data: bytes, limits: Limits) -> tuple[bytes, bytes, bytes]:
    """Method, target and version of the request line that ``data`` begins with, if it is one to read on after."""
    line = grammar.REQUEST_LINE.match(data)
    if line is None:
        raise ProtocolError("the request line is not well-formed")
    method, target, version = line.groups()
    if version not in _VERSIONS:
        raise VersionNotSupported("this speaks HTTP/1.1")
    if len(target) > limits.target:
        raise TargetTooLong(f"the target is longer than {limits.target} bytes")
    if method in _NEVER:
        raise NotSupported(f"{method.decode()} is not passed on")
    return method, target, version


def _origin_form(target: bytes, host: bytes) -> bytes:
    # RFC 9112 section 3.2.2: "a server MUST accept the absolute-form in requests", and a proxy that receives one must
    # ignore Host for it. Here both have to say the same.
    absolute = grammar.ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise ProtocolError("the target is not in origin-form")
    if absolute[1].lower() != host.lower():
        raise ProtocolError("the target is of another authority than Host")
    path: bytes = absolute[2] or b"/"
    return path if path.startswith(b"/") else b"/" + path


def _length(value: bytes, framing: int | None) -> int:
    # RFC 9112 section 6.3: "If a message is received without Transfer-Encoding and with an invalid Content-Length
    # header field, then the message framing is invalid and the recipient MUST treat it as an unrecoverable
    # error". Equal values in a list may be taken for one; here they are not.
    if framing is not None:
        raise ProtocolError("Content-Length is repeated, or stands beside Transfer-Encoding")
    if grammar.LENGTH.fullmatch(value) is None:
        raise ProtocolError("Content-Length is not a number of bytes")
    return int(value)


def _coding(value: bytes, framing: int | None, minor: int) -> int:
    # RFC 9112 section 6.1: a message with both "might indicate an attempt to perform request smuggling"; and "A server
    # or client that receives an HTTP/1.0 message containing a Transfer-Encoding header field MUST treat the message
    # as if the framing is faulty".
    if framing is not None or minor == 0:
        raise ProtocolError("Transfer-Encoding is repeated, beside Content-Length, or in HTTP/1.0")
    if value.lower() == b"chunked":
        return CHUNKED
    codings = [part.strip().lower() for part in value.split(b",")]
    others = frozenset(codings[:-1])
    if others and codings[-1] == b"chunked" and others <= _CODINGS:
        # "A server that receives a request message with a transfer coding it does not understand SHOULD respond with
        # 501"
        raise NotSupported("no transfer coding but chunked is taken")
    raise ProtocolError("Transfer-Encoding is not chunked")


def _options(value: bytes, before: frozenset[bytes]) -> frozenset[bytes]:
    lower = value.lower()
    if not before and lower == b"keep-alive":
        return _KEEP
    if not before and lower == b"close":
        return _CLOSE
    return before.union(option for part in lower.split(b",") if (option := part.strip()))


def _expects(value: bytes, minor: int) -> bool:
    # RFC 9110 section 10.1.1: "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore
    # that expectation." One with another member "MAY respond with a 417".
    if value.lower() != b"100-continue":
        raise ExpectationFailed("only 100-continue can be expected")
    return minor == 1
