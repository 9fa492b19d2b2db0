"""`focushub balance`: the load balancer alone, in front of anything that speaks HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from aiohttp import web

from focushub_core.errors import ConfigurationError
from focushub_core.proxy.loadbalancer import LoadBalancer, LoadBalancerSettings
from focushub_core.runtime import serve
from focushub_core.telemetry import logs


class StandaloneBalancer(LoadBalancer):
    """Every path goes to the upstreams, but for ``/health /livez /readyz /metrics``, which are its own."""

    prefixes = ()

    def add_routes(self, app: web.Application) -> None:
        super().add_routes(app)
        app.router.add_route("*", "/{path:.*}", self.forward)


def balance(
    listen: str,
    upstreams: Sequence[str],
    policy: Literal["round-robin", "least-requests"],
    health_path: str,
) -> int:
    """Balances over ``upstreams`` (each ``host:port``) at ``listen`` until a signal; the exit status."""
    host, port = address(listen)
    settings = LoadBalancerSettings(
        host=host.strip("[]"),
        port=port,
        gateway_urls=tuple("http://{}:{}".format(*address(upstream)) for upstream in upstreams),
        balancer_policy=policy,
        check_path=health_path,
    )
    logs.configure(StandaloneBalancer.name, as_json=False)
    return serve.run(StandaloneBalancer(settings))


def address(text: str) -> tuple[str, int]:
    """``127.0.0.1:8080`` or ``[::1]:8080`` as host and port; anything else is a `ConfigurationError`."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) <= 65535:
        raise ConfigurationError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:8080")
    return host, int(port)
