"""`Gateway`: one door to all services of a stack.

Rules that hold here:

* A request passes three filters before an upstream is chosen: who is it (the token, by local keys), is it within
  the limits, may it come in without a token. A bad token is counted against its address before it is refused.
* ``Authorization`` goes on to the service, which verifies it again; nothing else is said about the person. What a
  client claims in ``X-User-*`` is dropped.
* Its own routes are ordinary handlers; every other path belongs to a service or is 404.
* Redis away: limits are kept by shares, and it is shown in ``/readyz?verbose``. No service is needed for
  readiness: those that answer should be reachable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any, ClassVar

from aiohttp import web
from aiohttp.typedefs import Handler

from focushub_core import settings as settings_module
from focushub_core.balancer import Pool
from focushub_core.balancer import metrics as upstream_metrics
from focushub_core.errors import ConfigurationError, FocusHubError, NotFound, Unauthorized
from focushub_core.gateway import documents
from focushub_core.gateway.aggregate import Aggregate, Reply, Section, gather
from focushub_core.gateway.documents import Documents
from focushub_core.gateway.routes import Match, RouteTable
from focushub_core.gateway.upstreams import UpstreamClient
from focushub_core.health import Check
from focushub_core.http.cors import Cors
from focushub_core.http.docs import ApiPage
from focushub_core.identity.keys import KeySource, download
from focushub_core.identity.user import User
from focushub_core.identity.verifier import Verifier
from focushub_core.part import Part
from focushub_core.proxy.forward import Forwarder
from focushub_core.proxy.hop import hop_of
from focushub_core.ratelimit import Limiter, RateLimits, metrics
from focushub_core.ratelimit.address import parse_networks
from focushub_core.ratelimit.configured import policies
from focushub_core.settings import Secret, Settings
from focushub_core.stack import Stack
from focushub_core.telemetry.observe import QUIET, ROUTE, route_of

MATCH: web.RequestKey[Match] = web.RequestKey("gateway.match", Match)
USER: web.RequestKey[User] = web.RequestKey("gateway.user", User)
REJECTED: web.RequestKey[FocusHubError] = web.RequestKey("gateway.rejected", FocusHubError)


class GatewaySettings(Settings, frozen=True, kw_only=True):
    """What a gateway reads; where its services are, ``TASK_SERVICE_URL`` and its like say, or ``SERVICE_URL``."""

    auth_jwks_url: str
    auth_issuer: str = "focushub"
    auth_audience: str = "focushub"
    redis_url: Secret | None = None
    """Where limits are shared; without it each gateway keeps them alone."""
    trusted_proxies: str = ""
    """Networks whose ``X-Forwarded-For`` is believed, such as ``10.0.0.0/8, 127.0.0.1``; none by default."""
    gateway_replicas: int | None = None
    """How many gateways share the limits while Redis is away; the stack's file says it where this is left out."""
    docs_page: bool = True
    """Whether there is a page at ``/docs``; the document that it shows is at ``/openapi.json`` in any case."""


class Gateway(Part):
    """The gateway of a stack. A subclass adds routes of its own, such as a dashboard."""

    name = "gateway"
    settings_type: ClassVar[type[Settings]] = GatewaySettings
    route_of = staticmethod(route_of)
    settings: GatewaySettings
    stack: Stack

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        if stack is None:
            raise ConfigurationError(
                "a gateway needs its stack's focushub.toml: start it in the stack's folder"
            )
        super().__init__(settings, stack=stack)
        self.table = RouteTable(stack.services.values())
        self.pools = _pools(stack)
        upstream_metrics.register(self.pools.values(), self.metrics.registry)
        self.documents = Documents(stack.services, self.openapi, self.table)
        self.cors = Cors(stack.gateway.cors.allow)
        self.forwarder = Forwarder()
        self.upstreams = UpstreamClient()
        self.trusted = parse_networks(self.settings.trusted_proxies)
        self.limiter = self._limiter()
        self.limits = RateLimits(
            self.limiter,
            policies(stack),
            user=_user_id,
            route=route_of,
            trusted=self.trusted,
            exempt=QUIET,
        )
        metrics.register(self.limiter, self.metrics.registry)
        self.shown["limits"] = self.limiter.state
        self.verifier = Verifier(
            KeySource(self.fetch_keys), issuer=self.settings.auth_issuer, audience=self.settings.auth_audience
        )
        self.providers[User] = signed_in
        if self.settings.redis_url is not None:
            self.checks.append(Check("redis", self.limiter.look, required=False))

    def port_in(self, stack: Stack) -> int:
        return stack.gateway.port

    async def open(self, resources: AsyncExitStack) -> None:
        await super().open(resources)
        for client in (self.forwarder, self.upstreams):
            await client.start()
            resources.push_async_callback(client.close)
        resources.push_async_callback(self.limiter.close)

    def middlewares(self) -> Iterable[Any]:
        return (self.cors.middleware, self._identify, self.limits.middleware, _refuse_rejected)

    def add_routes(self, app: web.Application) -> None:
        super().add_routes(app)
        app.on_response_prepare.append(self.limits.add_fields)
        app.on_response_prepare.append(self.cors.add_fields)
        app.router.add_get(documents.PATH, self._openapi)
        if self.settings.docs_page:
            ApiPage(self.stack.name).add_to(app)
        app.router.add_route("*", "/{path:.*}", self._forward)

    def openapi(self) -> dict[str, Any]:
        """The document of its own routes; ``/openapi.json`` answers it merged with the services'."""
        from focushub_core.http import openapi

        about = openapi.About(self.stack.name, self.version, f"All of {self.stack.name}, behind one address.")
        return openapi.document(about, self.operations())

    async def _openapi(self, _: web.Request) -> web.Response:
        async def ask(service: str) -> Reply:
            return await self.upstreams.get(self.pools[service], documents.PATH, {})

        return web.Response(body=await self.documents.merged(ask), content_type="application/json")

    async def fetch_keys(self) -> bytes:
        """The JWKS document with the keys that tokens are verified with."""
        return await download(self.settings.auth_jwks_url)

    async def person_fields(self, request: web.Request, user: User) -> Mapping[str, str]:
        """Further header fields for a day-aware route; a stack's gateway says them."""
        return {}

    async def aggregate(
        self, request: web.Request, sections: Iterable[Section], fields: Mapping[str, str]
    ) -> Aggregate:
        """Asks several services at once on behalf of ``request``'s user (`focushub_core.gateway.aggregate`)."""
        sent = {"Authorization": request.headers["Authorization"], **fields}

        async def fetch(section: Section) -> Reply:
            return await self.upstreams.get(self.pools[section.service], section.path, sent)

        return await gather(list(sections), fetch)

    @web.middleware
    async def _identify(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Who is it? On public routes nobody asks: a stale token must not keep anybody from logging in."""
        if request.path in QUIET:
            return await handler(request)
        match = self.table.match(request.raw_path)
        if match is not None:
            request[MATCH] = match
            request[ROUTE] = match.prefix
        if "Authorization" in request.headers and not (match and match.public):
            try:
                request[USER] = await self.verifier.user_of(request)
            except FocusHubError as error:
                request[REJECTED] = error
        return await handler(request)

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        match = request.get(MATCH)
        if match is None:
            raise NotFound("No service has this path.")
        fields: Mapping[str, str] = {}
        if not match.public:
            user = signed_in(request)
            if match.day_aware:
                fields = await self.person_fields(request, user)
        pool = self.pools[match.service.key]
        hop = hop_of(request, self.settings.instance or self.name, self.trusted)
        return await self.forwarder.forward(request, pool, hop, add=fields.items())

    def _limiter(self) -> Limiter:
        replicas = self.settings.gateway_replicas or self.stack.gateway.replicas
        url = self.settings.redis_url
        return Limiter.of(
            redis_url=url.reveal() if url else None,
            prefix=f"{self.stack.name}:limit:",
            replicas=replicas,
        )


def signed_in(request: web.Request) -> User:
    """The verified user of ``request``; `Unauthorized` without one."""
    user: User | None = request.get(USER)
    if user is None:
        raise Unauthorized("Send an access token: Authorization: Bearer <token>.")
    return user


def _pools(stack: Stack) -> dict[str, Pool]:
    """A pool per service: at ``<KEY>_SERVICE_URL`` (a comma list), else as ``SERVICE_URL`` says of all of them.

    That has ``{name}`` and ``{port}`` as in the stack's file: ``http://{name}:{port}`` where parts have hosts of their
    own, so that a gateway there knows a service that joined without being told.
    """
    values = settings_module.read_layers(stack.root)
    everywhere = values.get("SERVICE_URL", "http://127.0.0.1:{port}")
    pools = {}
    for key, service in stack.services.items():
        by_rule = everywhere.replace("{name}", service.name).replace("{port}", str(service.port))
        pools[key] = Pool.of(service.name, _listed(values.get(f"{service.variable}_SERVICE_URL", by_rule)))
    return pools


def _listed(urls: str) -> list[str]:
    return [url.strip() for url in urls.split(",") if url.strip()]


def _user_id(request: web.Request) -> str | None:
    user = request.get(USER)
    return str(user.id) if user is not None else None


@web.middleware
async def _refuse_rejected(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A bad token has been counted by now; this is its answer."""
    error = request.get(REJECTED)
    if error is not None:
        raise error
    return await handler(request)
