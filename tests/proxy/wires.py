"""Connections of an engine without sockets: what was written, in which order, and whether they still read."""

from __future__ import annotations

import asyncio

from focushub_core.balancer import Pool
from focushub_core.proxy.engine import Engine, Route, Router
from focushub_core.proxy.engine.client import ClientConnection
from focushub_core.proxy.engine.links import Connecting, Link


class Wire:
    """A transport that keeps what is written, and is full from so many bytes on."""

    def __init__(self, protocol: asyncio.BaseProtocol, room: int = 1 << 30) -> None:
        self.protocol = protocol
        self.room = room
        self.written: list[bytes] = []
        self.aborted = False
        self.reads = True

    def write(self, data: bytes) -> None:
        full = self.room < 0
        self.written.append(data)
        self.room -= len(data)
        if self.room < 0 and not full:
            self.protocol.pause_writing()  # type: ignore[attr-defined]

    def write_eof(self) -> None:
        self.written.append(b"the end")

    def abort(self) -> None:
        self.aborted = True

    close = abort

    def is_closing(self) -> bool:
        return self.aborted

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return "127.0.0.1", 1


class Bench:
    """An engine with one client, and one upstream to which there is a kept connection; ``others`` more requests."""

    client: ClientConnection
    link: Link

    def __init__(self, router: Router | None = None, *, others: int = 1) -> None:
        self.pool = Pool.of("any", ["http://127.0.0.1:1"])
        self.engine = Engine("p", router or (lambda head, side: Route("/", self.pool)))
        self._others = others
        self._connecting: list[Connecting] = []

    async def __aenter__(self) -> Bench:
        await self.engine.start()
        self.engine.connect = lambda upstream, waiting: self._connecting.append(waiting)  # type: ignore[method-assign]
        self.engine.counters.in_flight = self._others
        self.link, _ = self.upstream()
        self.engine.links.keep(self.link, self.engine.clock())
        self.client = ClientConnection(self.engine)
        self.client.connection_made(Wire(self.client))  # type: ignore[arg-type]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.client.connection_lost(None)
        await self.engine.stop(0)

    @property
    def asked(self) -> list[bytes]:
        """What the upstream got on the kept connection."""
        return wire_of(self.link).written

    @property
    def answered(self) -> list[bytes]:
        """What the client got."""
        return wire_of(self.client).written

    @property
    def connecting(self) -> int:
        """How many connections to the upstream are waited for."""
        return len(self._connecting)

    def upstream(self) -> tuple[Link, Wire]:
        """A further connection to the upstream."""
        link = Link(self.engine.links, self.pool.upstreams[0])
        wire = Wire(link)
        link.connection_made(wire)  # type: ignore[arg-type]
        return link, wire

    def connected(self) -> Wire:
        """The connection that is waited for is there."""
        link, wire = self.upstream()
        assert self._connecting.pop().connected(link)
        return wire


def wire_of(connection: ClientConnection | Link) -> Wire:
    """The transport below."""
    wire: Wire = connection.transport  # type: ignore[assignment]
    return wire
