"""Clients and upstreams that speak bytes, for what no well-behaved library would send."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from focushub_core.proxy.http1 import End, ResponseHead, ResponseReader


@dataclass
class Reply:
    """An answer as its client reads it; ``whole`` if it ended as it should."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes = b""
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    whole: bool = False


@dataclass
class Client:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    parser: ResponseReader = field(default_factory=ResponseReader)

    @classmethod
    async def to(cls, host: str, port: int) -> Client:
        """A connection to this address."""
        return cls(*await asyncio.open_connection(host, port))

    async def ask(self, request: bytes, method: bytes = b"GET") -> Reply:
        """Send and read one answer."""
        self.writer.write(request)
        return await self.reply(method)

    async def reply(self, method: bytes = b"GET", within_s: float = 10.0) -> Reply:
        """Read one answer, interim ones too; a connection that ends too early makes it not ``whole``."""
        self.parser.expect(method)
        got: Reply | None = None
        async with asyncio.timeout(within_s):
            while True:
                event = self.parser.next()
                if isinstance(event, ResponseHead):
                    fields = {name.lower(): value for name, value in event.fields.all}
                    got = Reply(event.status, fields)
                    if event.status < 200:
                        return got
                elif isinstance(event, bytes):
                    assert got is not None
                    got.body += event
                elif isinstance(event, End):
                    assert got is not None
                    got.trailers, got.whole = event.trailers, True
                    return got
                elif not (data := await self.reader.read(65536)):
                    assert got is not None, "the connection ended without an answer"
                    got.whole = self._ends_here()
                    return got
                else:
                    self.parser.receive(data)

    def _ends_here(self) -> bool:
        try:
            self.parser.eof()
        except Exception:  # noqa: BLE001 (a test's client)
            return False
        return True

    async def closed(self, within_s: float = 10.0) -> bool:
        """Whether the other side closes without another byte."""
        async with asyncio.timeout(within_s):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True

    def close(self) -> None:
        """Close it at once."""
        self.writer.transport.abort()


Handler = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def each(handler: Handler) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """A script for `Bench.script` that calls ``handler`` with each request's head on its connection."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await handler(head, reader, writer)
            await writer.drain()

    return script


def answering(*answers: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """An upstream that answers its requests, which have no body, with these, the last one for ever."""
    left = list(answers)

    async def handler(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return each(handler)
