"""Readers of requests and of answers: `Reader.receive` takes bytes, `Reader.next` gives one event after another.

Rules that hold here:

* Events of one message: its head; its body in pieces of at least one byte; `End`. None: more bytes are needed.
* What comes after an `End` is another message; who does not ask for it has not read it.
* The same bytes give the same events in whatever pieces they come, but for where a body is cut.
* A limit holds also while a head still comes in: what cannot become a message is refused as soon as that shows.
* After an error, nothing more is to be asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from focushub_core.proxy.http1 import grammar
from focushub_core.proxy.http1.errors import HeadTooLarge, ProtocolError, TargetTooLong, Truncated
from focushub_core.proxy.http1.fields import Field, read_fields
from focushub_core.proxy.http1.heads import (
    CHUNKED,
    UNTIL_CLOSE,
    Limits,
    RequestHead,
    ResponseHead,
    read_request,
    read_response,
    request_line,
)
from focushub_core.proxy.http1.memory import Memory
from focushub_core.proxy.http1.names import Names

__all__ = ["END", "End", "Event", "Limits", "RequestReader", "ResponseReader"]


class End:
    """The message is over; ``trailers`` are the fields behind a chunked body, all of them."""

    __slots__ = ("trailers",)

    def __init__(self, trailers: tuple[Field, ...] = ()) -> None:
        self.trailers = trailers

    def __eq__(self, other: object) -> bool:
        return isinstance(other, End) and other.trailers == self.trailers

    def __hash__(self) -> int:
        return hash(self.trailers)

    def __repr__(self) -> str:
        return f"End({self.trailers!r})"


END = End()

Event = RequestHead | ResponseHead | bytes | End
_ANY = Names()


class _Reader:
    """What both readers do: find heads, and read bodies."""

    __slots__ = ("_gap", "_left", "_limits", "_names", "_searched", "_step", "rest")

    def __init__(self, names: Names = _ANY, limits: Limits = Limits()) -> None:  # noqa: B008 (frozen)
        self._names = names
        self._limits = limits
        self.rest = b""
        """What was received and not yet given out."""
        self._searched = 0  # bytes of the buffer known not to hold the end of the head
        self._left = 0  # of the body, or of the chunk
        self._gap = False  # the CRLF behind a chunk's data is due
        self._step: Callable[[Any], Event | None] = type(self)._head

    def receive(self, data: bytes) -> None:
        """Take bytes as they came."""
        self.rest = self.rest + data if self.rest else data

    def next(self) -> Event | None:
        """The next event; None when bytes are missing for it. Raises `ProtocolError`."""
        return self._step(self)

    @property
    def between(self) -> bool:
        """Whether the last message is over and nothing of another is there."""
        return not self.rest and self._step is type(self)._head

    def _head(self) -> Event | None:
        raise NotImplementedError

    def _end_of_head(self) -> int:
        """Where the head ends, or 0; refuses one that is already too large or not well-formed."""
        at = self.rest.find(b"\r\n\r\n", self._searched)
        if 0 <= at <= self._limits.head - 4:
            self._searched = 0
            return at + 4
        if self.rest and (at >= 0 or len(self.rest) > self._limits.head):
            raise self._too_large()
        if self.rest:
            _refuse_bare(self.rest)
            self._look_at_start()
        self._searched = max(0, len(self.rest) - 3)
        return 0

    def _too_large(self) -> ProtocolError:
        return HeadTooLarge(f"the head is larger than {self._limits.head} bytes")

    def _look_at_start(self) -> None:
        """Refuse what cannot become a head."""

    def _body(self, framing: int | None) -> None:
        """Set out to read what follows a head."""
        if not framing:
            self._step = _Reader._over
        elif framing == CHUNKED:
            self._step = _Reader._chunks
            self._left, self._gap = 0, False
        elif framing == UNTIL_CLOSE:
            self._step = _Reader._rest
        else:
            self._step = _Reader._counted
            self._left = framing

    def _over(self) -> Event | None:
        self._step = type(self)._head
        return END

    def _counted(self) -> Event | None:
        data = self.rest
        if not data:
            return None
        if len(data) > self._left:
            data, self.rest = data[: self._left], data[self._left :]
        else:
            self.rest = b""
        self._left -= len(data)
        if not self._left:
            self._step = _Reader._over
        return data

    def _rest(self) -> Event | None:
        data, self.rest = self.rest, b""
        return data or None

    def _chunks(self) -> Event | None:
        """The data of all chunks that are there, as one piece."""
        data, at, pieces = self.rest, 0, []
        while self._step is _Reader._chunks:
            if self._left:
                piece = data[at : at + self._left]
                if not piece:
                    break
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._gap = not self._left
            elif self._gap:
                # RFC 9112 section 7.1: chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
                if not b"\r\n".startswith(data[at : at + 2]):
                    raise ProtocolError("a chunk is longer than it says")
                if len(data) - at < 2:
                    break
                at += 2
                self._gap = False
            elif (line := grammar.CHUNK_LINE.match(data, at)) is not None:
                if line.end() - at > self._limits.chunk_line:
                    raise ProtocolError("the line of a chunk is too long")
                at = line.end()
                self._left = int(line[1], 16)
                if not self._left:
                    self._step = _Reader._trailers
            else:
                self._refuse_chunk_line(data[at : at + self._limits.chunk_line])
                break
        self.rest = data[at:]
        return (
            b"".join(pieces) if pieces else (self._step(self) if self._step is not _Reader._chunks else None)
        )

    def _refuse_chunk_line(self, line: bytes) -> None:
        """It does not match: is it wrong, or not all there?"""
        if b"\n" in line or len(line) == self._limits.chunk_line:
            raise ProtocolError("the line of a chunk is not well-formed")

    def _trailers(self) -> Event | None:
        data = self.rest
        if data.startswith(b"\r\n"):
            self.rest = data[2:]
            self._step = type(self)._head
            return END
        at = data.find(b"\r\n\r\n")
        if at > self._limits.trailers - 4 or (at < 0 and len(data) > self._limits.trailers):
            raise HeadTooLarge(f"the trailers are larger than {self._limits.trailers} bytes")
        if at < 0:
            _refuse_bare(data)
            return None
        fields = read_fields(data, 0, at + 2, _ANY, self._limits.fields)
        if fields.known:
            # RFC 9110 section 6.5.1: not to be sent as trailers are those "necessary for message framing" and routing
            raise ProtocolError("a trailer is about the message's framing")
        self.rest = data[at + 4 :]
        self._step = type(self)._head
        return End(tuple(fields.all))


class RequestReader(_Reader):
    """Reads a client's requests, one after another."""

    __slots__ = ("_memory",)

    def __init__(self, names: Names = _ANY, limits: Limits = Limits()) -> None:  # noqa: B008 (frozen)
        super().__init__(names, limits)
        self._memory: Memory[RequestHead] = Memory()

    def start(self, data: bytes) -> RequestHead | None:
        """The short way: what `receive` and `next` would give if ``data`` begins a request and holds its head.

        The `End` of a request without a body is not given any more. None: nothing was done.
        """
        if self.rest or self._step is not RequestReader._head:
            return None
        memory = self._memory
        if memory.raw and data == memory.raw and memory.last is not None and not memory.last.aside:
            return memory.last
        end = data.find(b"\r\n\r\n") + 4
        if end == 3 or end > self._limits.head:
            return None
        head = read_request(data, end, self._names, self._limits, memory)
        if end != len(data):
            self.rest = data[end:]
        if head.framing:
            self._body(head.framing)
        return head

    def body_at_hand(self) -> bytes | None:
        """The short way for a body whose length is known: all of it, if it is there and nothing behind it.

        Its `End` is not given any more. None: nothing was done.
        """
        if self._step is not _Reader._counted or len(self.rest) != self._left:
            return None
        body, self.rest = self.rest, b""
        self._step = RequestReader._head
        return body

    def forget(self) -> None:
        """Hold nothing that is not needed: the next message is far."""
        self._memory = Memory()

    def eof(self) -> None:
        """The client sends no more; `Truncated` if that was in the middle of a request."""
        if self.rest or self._step is not RequestReader._head:
            raise Truncated("the connection ended in the middle of a request")

    def _head(self) -> Event | None:
        end = self._end_of_head()
        if not end:
            return None
        head = read_request(self.rest, end, self._names, self._limits, self._memory)
        self.rest = self.rest[end:]
        self._body(head.framing)
        return head

    def _look_at_start(self) -> None:
        if grammar.FIRST.match(self.rest) is None:
            raise ProtocolError("this is not a request")
        if b"\n" in self.rest:
            request_line(self.rest, self._limits)

    def _too_large(self) -> ProtocolError:
        if self.rest.find(b"\r\n", 0, self._limits.target) < 0:
            return TargetTooLong(f"the target is longer than {self._limits.target} bytes")
        return super()._too_large()


class ResponseReader(_Reader):
    """Reads an upstream's answers. Before each, `expect` says to what."""

    __slots__ = ("_bodiless", "_memory")

    def __init__(self, names: Names = _ANY, limits: Limits = Limits()) -> None:  # noqa: B008 (frozen)
        super().__init__(names, limits)
        self._bodiless = False
        self._memory: Memory[ResponseHead] = Memory()

    def whole(self, data: bytes) -> tuple[ResponseHead, bytes] | None:
        """The short way: head and body, if ``data`` is one answer of known length and nothing more.

        None: nothing was done.
        """
        if self.rest or self._step is not ResponseReader._head:
            return None
        memory = self._memory
        head = memory.last
        if head is not None and memory.raw and not self._bodiless and data.startswith(memory.raw):
            end = len(memory.raw)
        else:
            end = data.find(b"\r\n\r\n") + 4
            if end == 3 or end > self._limits.head:
                return None
            head = read_response(data, end, self._names, self._limits, memory, self._bodiless)
        if head.status < 200 or len(data) - end != (head.framing or 0):
            return None
        return head, data[end:]

    def expect(self, method: bytes) -> None:
        """The next answer is to a request with this method."""
        self._bodiless = method == b"HEAD"

    def eof(self) -> End:
        """The upstream sends no more: the end of an answer that lasts until then; else `Truncated`."""
        if self._step is not _Reader._rest or self.rest:
            raise Truncated("the connection ended in the middle of an answer")
        self._step = ResponseReader._head
        return END

    def _head(self) -> Event | None:
        end = self._end_of_head()
        if not end:
            return None
        head = read_response(self.rest, end, self._names, self._limits, self._memory, self._bodiless)
        self.rest = self.rest[end:]
        if head.status >= 200:  # else interim: the real one follows (RFC 9110 section 15.2)
            self._body(head.framing)
        return head

    def _look_at_start(self) -> None:
        start = self.rest[:7]
        if not b"HTTP/1.".startswith(start):
            raise ProtocolError("this is not an answer")


def _refuse_bare(data: bytes) -> None:
    """No CR without LF, no LF without CR; one CR may be the last byte so far."""
    pairs = data.count(b"\r\n")
    if data.count(b"\n") != pairs or data.count(b"\r") - data.endswith(b"\r") != pairs:
        raise ProtocolError("a line ends with a bare CR or LF")
