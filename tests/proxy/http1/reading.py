"""Reading whole inputs with each of three readers, in one shape that can be compared."""

from __future__ import annotations

from dataclasses import dataclass, field

import h11
import httptools

from focushub_core.proxy.http1 import End, ProtocolError, RequestHead, RequestReader, ResponseReader

Fields = list[tuple[bytes, bytes]]


@dataclass
class Message:
    """What a reader understood: the first line's parts, fields in lower case, the body, the trailers."""

    start: tuple[bytes, ...]
    fields: Fields
    body: bytes = b""
    trailers: Fields = field(default_factory=list)
    whole: bool = False


def ours(reader: RequestReader | ResponseReader, pieces: list[bytes]) -> tuple[list[Message], str | None]:
    """The messages in ``pieces``, and why reading ended: an error's code, or None when the input did."""
    messages: list[Message] = []
    try:
        for piece in pieces:
            reader.receive(piece)
            while (event := reader.next()) is not None:
                if isinstance(event, bytes):
                    messages[-1].body += event
                elif isinstance(event, End):
                    messages[-1].trailers = lowered(event.trailers)
                    messages[-1].whole = True
                elif isinstance(event, RequestHead):
                    messages.append(Message((event.method, event.target), lowered(event.fields.all)))
                else:
                    start = (b"%d" % event.status, event.reason)
                    messages.append(Message(start, lowered(event.fields.all)))
    except ProtocolError as error:
        return messages, error.code
    return messages, None


def by_h11(data: bytes) -> tuple[list[Message], bool]:
    """The requests h11 sees in ``data``, and whether it refused any."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    messages: list[Message] = []
    connection.receive_data(data)
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                messages.append(Message((event.method, event.target), lowered(event.headers)))
            elif isinstance(event, h11.Data):
                messages[-1].body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                messages[-1].trailers = lowered(event.headers)
                messages[-1].whole = True
                connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return messages, False
                connection.start_next_cycle()
            else:
                return messages, False
    except h11.RemoteProtocolError:
        return messages, True


class _Collector:
    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.parser: httptools.HttpRequestParser | None = None

    def on_message_begin(self) -> None:
        self.messages.append(Message((b"",), []))

    def on_url(self, url: bytes) -> None:
        self.messages[-1].start = (b"", self.messages[-1].start[-1] + url)

    def on_header(self, name: bytes, value: bytes) -> None:
        message = self.messages[-1]
        if message.start[0]:
            message.trailers.append((name.lower(), value.rstrip(b" \t")))
        else:
            message.fields += lowered([(name, value.rstrip(b" \t"))])

    def on_headers_complete(self) -> None:
        assert self.parser is not None
        self.messages[-1].start = (self.parser.get_method(), self.messages[-1].start[-1])

    def on_body(self, data: bytes) -> None:
        self.messages[-1].body += data

    def on_message_complete(self) -> None:
        self.messages[-1].whole = True


def by_httptools(data: bytes) -> tuple[list[Message], bool]:
    """The requests that llhttp, as httptools, sees in ``data``, and whether it refused any."""
    collector = _Collector()
    collector.parser = httptools.HttpRequestParser(collector)
    try:
        collector.parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        return collector.messages, False
    except httptools.HttpParserError:
        return collector.messages, True
    return collector.messages, False


def lowered(fields: object) -> Fields:
    """Names, and the one value that h11 does so, in lower case."""
    return [
        (name.lower(), bytes(value).lower() if name.lower() == b"transfer-encoding" else bytes(value))
        for name, value in ((bytes(name), value) for name, value in fields)  # type: ignore[attr-defined]
    ]
