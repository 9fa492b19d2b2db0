"""`focushub balance`: the load balancer alone, in front of anything that speaks HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Literal

from focushub_core.errors import ConfigurationError
from focushub_core.proxy.engine import Route
from focushub_core.proxy.http1 import RequestHead
from focushub_core.proxy.loadbalancer import LoadBalancer, LoadBalancerSettings
from focushub_core.proxy.rewrite import Side
from focushub_core.runtime import process, workers
from focushub_core.settings import Settings
from focushub_core.stack import Stack
from focushub_core.telemetry import logs
from focushub_core.telemetry.board import EVERY_S, Board, Seat

_log = logging.getLogger(__name__)


class StandaloneBalancer(LoadBalancer):
    """Every path goes to the upstreams, but for ``/health /livez /readyz /metrics``, which are its own."""

    prefixes = ()
    seat: Seat | None = None
    """Where its numbers meet those of the other workers on its port."""

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        super().__init__(settings, stack=stack)
        self._every_path = Route("/{path}", self.gateways)

    async def open(self, resources: AsyncExitStack) -> None:
        await super().open(resources)
        if self.seat is not None:
            leaving = asyncio.get_running_loop().create_task(self._leave_metrics(self.seat))
            resources.callback(leaving.cancel)

    async def metrics(self) -> bytes:
        own = await super().metrics()
        return own if self.seat is None else self.seat.together(own)

    def route(self, path: bytes, head: RequestHead, side: Side) -> Route:
        return self._every_path

    async def _leave_metrics(self, seat: Seat) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            seat.leave(await super().metrics())


def balance(
    listen: str,
    upstreams: Sequence[str],
    policy: Literal["round-robin", "least-requests"],
    health_path: str,
    *,
    count: int = 1,
    log_format: Literal["text", "json"] = "text",
) -> int:
    """Balances over ``upstreams`` (each ``host:port``) at ``listen`` until a signal; the exit status.

    ``count`` processes share the port, and each answers ``/metrics`` for all; where they cannot share, one does it.
    """
    host, port = address(listen)
    settings = LoadBalancerSettings(
        host=host.strip("[]"),
        port=port,
        gateway_urls=tuple("http://{}:{}".format(*address(upstream)) for upstream in upstreams),
        balancer_policy=policy,
        check_path=health_path,
    )
    logs.configure(StandaloneBalancer.name, as_json=log_format == "json")
    if count == 1 or not workers.can_share():
        if count > 1:
            _log.warning("several processes cannot share a port here: one worker")
        return process.run(StandaloneBalancer(settings))

    board = Board(count)

    def worker(number: int, guard: int) -> int:
        logs.configure(f"{StandaloneBalancer.name}-{number}", as_json=log_format == "json")
        balancer = StandaloneBalancer(settings)
        balancer.share_port = True
        balancer.seat = Seat(board, number - 1)
        return process.run(balancer, guard=guard)

    return workers.run(count, settings.host, port, worker)


def address(text: str) -> tuple[str, int]:
    """``127.0.0.1:8080`` or ``[::1]:8080`` as host and port; anything else is a `ConfigurationError`."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) <= 65535:
        raise ConfigurationError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:8080")
    return host, int(port)
