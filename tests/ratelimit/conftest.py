"""A line to Redis that a test can make slow, or cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import pytest_asyncio


class Relay:
    """Passes bytes on to a server, each piece ``delay_s`` later; while it is ``cut``, bytes get lost in silence."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self.delay_s = 0.0
        self.cut = False
        self.connections = 0
        self.ends: list[End] = []

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Near(self), "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"redis://:{self._target.password}@127.0.0.1:{port}"

    async def connect(self, near: Near) -> None:
        loop = asyncio.get_running_loop()
        _, far = await loop.create_connection(lambda: End(self), self._target.hostname, self._target.port)
        near.join(far)

    async def close(self) -> None:
        self._server.close()
        for end in self.ends:
            end.transport.abort()
        await self._server.wait_closed()


class End(asyncio.Protocol):
    """One end of a connection through the relay."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._other: End | None = None
        self._early: list[bytes] = []

    def join(self, other: End) -> None:
        self._other, other._other = other, self
        early, self._early = self._early, []
        for data in early:
            self.data_received(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._relay.ends.append(self)

    def data_received(self, data: bytes) -> None:
        if self._other is None:
            self._early.append(data)
        elif not self._relay.cut:
            asyncio.get_running_loop().call_later(self._relay.delay_s, self._other.transport.write, data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._other is not None:
            self._other.transport.close()


class Near(End):
    """The client's end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._relay.connections += 1
        self._joining = asyncio.create_task(self._relay.connect(self))


@pytest_asyncio.fixture
async def relay() -> AsyncIterator[Callable[[str], Awaitable[Relay]]]:
    relays: list[Relay] = []

    async def start(url: str) -> Relay:
        made = Relay(url)
        await made.start()
        relays.append(made)
        return made

    yield start
    for made in relays:
        await made.close()
