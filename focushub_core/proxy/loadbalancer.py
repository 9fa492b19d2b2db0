"""The load balancer: the one door of a stack, in front of its gateways.

Rules that hold here:

* It routes by an allow-list of prefixes. Everything else, ``/internal`` above all, is a 404 problem here.
* Its health is that of its gateways: 503 when a check has proved none of them.
* A gateway's origin may be a name: all addresses that it has, as it has them now, are gateways.
* It knows nothing of users, limits or databases, and imports nothing for them, nor a web framework.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import ClassVar

from focushub_core.balancer.shown import described
from focushub_core.errors import ConfigurationError, NotFound, Unavailable
from focushub_core.health import Check
from focushub_core.proxy.configured import ProxySettings
from focushub_core.proxy.engine import Route
from focushub_core.proxy.http1 import RequestHead
from focushub_core.proxy.part import ProxyPart
from focushub_core.proxy.rewrite import Side
from focushub_core.settings import Settings
from focushub_core.stack import ServiceEntry, Stack

PREFIXES = ("/v1", "/docs", "/openapi.json", "/.well-known", "/console")
"""What goes to a gateway."""


class LoadBalancerSettings(ProxySettings, frozen=True, kw_only=True):
    """The balancer's own settings; `Settings` says how they are read."""

    gateway_urls: tuple[str, ...] = ()
    """Origins of the gateways, by address or by name; left out, those that the stack's file says run here."""


class LoadBalancer(ProxyPart):
    """Forwards to the gateways, in turns, those of its paths that are theirs."""

    name = "load-balancer"
    settings_type: ClassVar[type[Settings]] = LoadBalancerSettings
    settings: LoadBalancerSettings
    prefixes: ClassVar[tuple[str, ...]] = PREFIXES

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        super().__init__(settings, stack=stack)
        self.gateways = self.pool("gateways", self.settings.gateway_urls or _gateways_of(stack))
        keyed = tuple(prefix for service in _services(stack) for prefix in service.keyed)
        self._routes = [
            (
                prefix.encode(),
                Route(prefix, self.gateways, keyed=keyed),
                Route(prefix + "/{tail}", self.gateways, keyed=keyed),
            )
            for prefix in self.prefixes
        ]
        self.checks.append(Check("gateways", self._probe, words=("available", "unavailable")))

    def port_in(self, stack: Stack) -> int | None:
        return stack.load_balancer.port

    def route(self, path: bytes, head: RequestHead, side: Side) -> Route:
        for prefix, itself, below in self._routes:
            if path.startswith(prefix):
                if len(path) == len(prefix):
                    return itself
                if path[len(prefix)] == 47:  # "/": a route is a prefix of whole segments
                    return below
        raise NotFound()

    async def _probe(self) -> None:
        now = time.monotonic()
        if not self.gateways.up(now):
            states = ", ".join(
                f"{u['url'] or u['origin']} {u['state']}" for u in described([self.gateways], now)
            )
            raise Unavailable(f"no gateway is usable: {states}")


def _services(stack: Stack | None) -> Iterable[ServiceEntry]:
    return stack.services.values() if stack else ()


def _gateways_of(stack: Stack | None) -> list[str]:
    if stack is None:
        raise ConfigurationError("GATEWAY_URLS is not set (environment or .env)")
    ports = (stack.gateway.port_of(number + 1) for number in range(stack.gateway.replicas))
    return [f"http://127.0.0.1:{port}" for port in ports]
