"""The engine: listens, and holds what all connections of a part share.

Rules that hold here:

* It knows no routes: ``route`` says for each request what its label is, and whether a pool or a handler answers it.
* `Engine.stop` closes the port at once, lets what runs finish, and leaves nothing open.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context
from typing import Any

from focushub_core.balancer import RetryBudget, Upstream
from focushub_core.proxy.engine.client import ClientConnection
from focushub_core.proxy.engine.limits import Timeouts
from focushub_core.proxy.engine.links import Connecting, Links, not_connected
from focushub_core.proxy.engine.outbox import Outbox
from focushub_core.proxy.engine.route import Router
from focushub_core.proxy.engine.traced import PARENT, passing
from focushub_core.proxy.engine.wheel import Wheel
from focushub_core.proxy.engine.witness import Witness
from focushub_core.proxy.http1 import RequestHead
from focushub_core.proxy.rewrite import Side, request_names, response_names
from focushub_core.telemetry.access import AccessLog
from focushub_core.telemetry.counters import RequestCounters

FORGET_S = 10.0
WATCHED = frozenset({b"x-explain", PARENT})
SIDES = 1024
"""Addresses of clients that are remembered, so that what was written for one connection of theirs serves the next."""
BACKLOG = 4096
"""Connections that the kernel holds until they are accepted."""

_log = logging.getLogger(__name__)


class Engine:
    """Serves clients from upstreams. `start` it in a running loop, then `listen`; `stop` it there.

    ``name`` is ours in ``Via`` and in log lines; a peer whose address it ``trusts`` is believed about who sent a
    request. ``route`` says what becomes of each request.
    """

    links: Links
    outbox: Outbox
    wheel: Wheel
    access: AccessLog

    def __init__(
        self,
        name: str,
        route: Router,
        *,
        timeouts: Timeouts | None = None,
        trusts: Callable[[str], bool] = lambda _: False,
        counters: RequestCounters | None = None,
        access: AccessLog | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name.encode()
        self.route = route
        self.timeouts = timeouts or Timeouts()
        self.clock = clock
        self.counters = counters or RequestCounters()
        self._access = access
        self.budget = RetryBudget()
        self.request_names = request_names()
        self.response_names = response_names()
        self.witness: Callable[[RequestHead, str, float], Witness | None] = passing
        """Who wants to know what becomes of a request, if anybody does; set it before `listen`."""
        self.watched: frozenset[bytes] | None = WATCHED
        """Meanings of fields: of a request with none of them nobody wants to know. None: of any somebody may."""
        self.answers_half_closed = True
        """Whether a client that sends no more still waits for answers (RFC 9112 section 9.6 lets it); else it is
        gone, and what is done for it ends."""
        self.draining = False
        """Whether answers ask clients to go elsewhere: connections close after them."""
        self.held = 0
        """Bytes of requests' bodies that routes of our own wait for the rest of, or work with."""
        self.slot = 0
        self._forget_at = 0.0
        self._sides: dict[str, Side] = {}
        self._trusts = trusts
        self._clients: set[ClientConnection] = set()
        self._empty = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        """Get ready."""
        self._loop = loop = asyncio.get_running_loop()
        self.wheel = Wheel(loop, self.clock)
        self.outbox = Outbox(loop, self.counters)
        self.links = Links(loop, self.response_names, self.timeouts.kept_s, self.outbox)
        self.wheel.watch(self.links)
        self.wheel.watch(self)
        self.access = self._access or AccessLog(self.name.decode())

    async def listen(self, host: str, port: int, *, share: bool = False) -> tuple[str, int]:
        """Take connections at ``host:port`` (0: any port); the address. ``share`` the port with other workers.

        Raises `OSError` where the port cannot be taken.
        """
        server = await self._loop.create_server(
            lambda: ClientConnection(self), host, port, backlog=BACKLOG, reuse_port=share or None
        )
        self._servers.append(server)
        address: tuple[str, int] = server.sockets[0].getsockname()[:2]
        return address

    async def stop(self, finish_s: float) -> None:
        """Take no more, let what runs finish for ``finish_s`` seconds, and close everything."""
        self.draining = True
        for server in self._servers:
            server.close()
        for client in list(self._clients):
            client.stop()
        if self._clients:
            self._empty.clear()
            try:
                async with asyncio.timeout(finish_s):
                    await self._empty.wait()
            except TimeoutError:
                if self._clients:
                    _log.warning("%d connections are cut off", len(self._clients))
        for client in list(self._clients):
            client.transport.abort()
        self.links.close()
        self.wheel.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports that were aborted close in the next turn of the loop
        self.access.flush()

    # What connections ask for -------------------------------------------------------------------------------

    def joined(self, client: ClientConnection) -> None:
        """A connection is there."""
        self._clients.add(client)
        self.wheel.watch(client)

    def left(self, client: ClientConnection) -> None:
        """It is gone."""
        self._clients.discard(client)
        if not self._clients:
            self._empty.set()

    def has(self, client: ClientConnection) -> bool:
        """Whether it is still there."""
        return client in self._clients

    def side(self, peername: Sequence[object] | None) -> Side:
        """What is known of a connection whose other end is ``peername``."""
        peer = str(peername[0]) if peername else "unknown"
        found = self._sides.get(peer)
        if found is None:
            if len(self._sides) >= SIDES:
                self._sides.clear()
            found = self._sides[peer] = Side(self.name, peer.encode(), self._trusts(peer))
        return found

    def look(self, now: float) -> float:
        """Forget heads every `FORGET_S`: there are tokens in them."""
        if now >= self._forget_at:
            self._forget_at = now + FORGET_S
            self.request_names.forget()
        return self._forget_at

    def connect(self, upstream: Upstream, exchange: Connecting) -> None:
        """Open a connection to ``upstream`` for ``exchange``; if that is not there any more, it is kept."""
        self.spawn(self._connect(upstream, exchange), Context())  # a connection outlives its first request

    def spawn(self, work: Coroutine[Any, Any, None], context: Context | None = None) -> asyncio.Task[None]:
        """Run ``work`` beside, until `stop` at the latest; in a copy of this task's context, if no other is said."""
        task = self._loop.create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _connect(self, upstream: Upstream, exchange: Connecting) -> None:
        try:
            link = await self.links.connect(upstream, self.timeouts.connect_s)
        except OSError as error:
            exchange.not_connected(upstream, not_connected(error))
        else:
            if not exchange.connected(link):
                self.links.keep(link, self.clock())
