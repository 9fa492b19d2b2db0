"""The load balancer: the one door of a stack, in front of its gateways.

Rules that hold here:

* It routes by an allow-list of prefixes. Everything else, ``/internal`` above all, is a 404 problem here.
* Its health is that of its gateways: 503 when a check has proved none of them.
* It knows nothing of users, limits or databases, and imports nothing for them.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from typing import Annotated, ClassVar, Literal

import msgspec
from aiohttp import web

from focushub_core.balancer import POLICIES, HealthSettings, Pool
from focushub_core.balancer.checker import Checker
from focushub_core.errors import BadRequest, ConfigurationError, MethodNotAllowed, Unavailable
from focushub_core.health import Check
from focushub_core.part import Part
from focushub_core.proxy.forward import Forwarder, Timeouts
from focushub_core.proxy.hop import hop_of
from focushub_core.proxy.targets import path_of
from focushub_core.ratelimit.address import parse_networks
from focushub_core.settings import Settings
from focushub_core.stack import Stack

PREFIXES = ("/v1", "/docs", "/openapi.json", "/.well-known", "/console")
"""What goes to a gateway."""

Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]


class LoadBalancerSettings(Settings, frozen=True, kw_only=True):
    """The balancer's own settings; `Settings` says how they are read."""

    gateway_urls: tuple[str, ...] = ()
    """Origins of the gateways; left out, those that the stack's file says run here."""
    trusted_proxies: str = ""
    """Networks whose ``X-Forwarded-*`` counts, those of NGINX: ``10.0.0.0/8, ::1``."""
    balancer_policy: Literal["round-robin", "least-requests"] = "round-robin"
    check_path: str = "/readyz"
    check_interval_s: Seconds = 2.0
    check_timeout_s: Seconds = 1.0
    connect_timeout_s: Seconds = 1.0
    answer_timeout_s: Seconds = 30.0


class LoadBalancer(Part):
    """Forwards to the gateways, in turns, those of its paths that are theirs."""

    name = "load-balancer"
    settings_type: ClassVar[type[Settings]] = LoadBalancerSettings
    settings: LoadBalancerSettings
    default_port = 8080
    prefixes: ClassVar[tuple[str, ...]] = PREFIXES

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        super().__init__(settings, stack=stack)
        own = self.settings
        self.pool = Pool.of(
            "gateways",
            own.gateway_urls or _gateways_of(stack),
            HealthSettings(),
            POLICIES[own.balancer_policy](),
        )
        self._trusted = parse_networks(own.trusted_proxies)
        self._forwarder = Forwarder(
            timeouts=Timeouts(connect_s=own.connect_timeout_s, answer_s=own.answer_timeout_s)
        )
        self._checker = Checker(
            self.pool, path=own.check_path, interval_s=own.check_interval_s, timeout_s=own.check_timeout_s
        )
        self.checks.append(Check("gateways", self._probe, words=("available", "unavailable")))

    def port_in(self, stack: Stack) -> int | None:
        return stack.load_balancer.port

    async def open(self, resources: AsyncExitStack) -> None:
        await super().open(resources)
        await self._forwarder.start()
        resources.push_async_callback(self._forwarder.close)
        await self._checker.start()
        resources.push_async_callback(self._checker.close)

    def add_routes(self, app: web.Application) -> None:
        super().add_routes(app)
        for prefix in self.prefixes:
            app.router.add_route("*", prefix, self.forward)
            app.router.add_route("*", prefix + "/{tail:.*}", self.forward)

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """One gateway's answer to ``request``."""
        if path_of(request.raw_path) is None:
            raise BadRequest("the path can be read in more than one way", code="ambiguous_path")
        if request.method in ("CONNECT", "TRACE"):
            raise MethodNotAllowed()
        hop = hop_of(request, self.settings.instance or self.name, self._trusted)
        return await self._forwarder.forward(request, self.pool, hop)

    async def _probe(self) -> None:
        now = time.monotonic()
        if not self.pool.up(now):
            states = ", ".join(f"{u.url} {u.health.state(now).value}" for u in self.pool.upstreams)
            raise Unavailable(f"no gateway is usable: {states}")


def _gateways_of(stack: Stack | None) -> list[str]:
    if stack is None:
        raise ConfigurationError("GATEWAY_URLS is not set (environment or .env)")
    ports = (stack.gateway.port_of(number + 1) for number in range(stack.gateway.replicas))
    return [f"http://127.0.0.1:{port}" for port in ports]
