"""`Gateway`: one door to all services of a stack, on the proxy's engine.

Rules that hold here:

* A request passes the filters (`focushub_core.gateway.filters`) before an upstream is chosen: who is it (the token, by
  local keys), is it within the limits, may it come in without a token.
* ``Authorization`` goes on to the service, which verifies it again; nothing else is said about the person. What a
  client claims in ``X-User-*`` is dropped.
* Its own routes are ordinary handlers (`focushub_core.gateway.hosted`); any other path is a service's, or 404.
* Redis away: limits are kept by shares, and it is shown in ``/readyz?verbose``. No service is needed for
  readiness: those that answer should be reachable.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any, ClassVar
from urllib.parse import unquote_to_bytes

from aiohttp import web

from focushub_core import settings as settings_module
from focushub_core.balancer import Pool
from focushub_core.errors import ConfigurationError, FocusHubError, NotFound
from focushub_core.gateway import documents
from focushub_core.gateway.aggregate import Aggregate, Reply, Section, gather
from focushub_core.gateway.documents import Documents
from focushub_core.gateway.filters import Filters, Place, Request, refused
from focushub_core.gateway.hosted import AUTHORIZATION, USER, Hosted
from focushub_core.gateway.routes import RouteTable
from focushub_core.gateway.upstreams import UpstreamClient, fields_for
from focushub_core.health import Check
from focushub_core.http.cors import Cors
from focushub_core.http.docs import ApiPage
from focushub_core.identity.keys import KeySource, download
from focushub_core.identity.user import User
from focushub_core.identity.verifier import Verifier, nobody_known
from focushub_core.proxy.configured import ProxySettings
from focushub_core.proxy.engine import Route
from focushub_core.proxy.engine.call import Call
from focushub_core.proxy.http1 import RequestHead, lines
from focushub_core.proxy.part import LONGEST, PATHS, ProxyPart
from focushub_core.proxy.rewrite import Side
from focushub_core.ratelimit import Limiter, metrics
from focushub_core.ratelimit.address import parse_networks
from focushub_core.ratelimit.configured import policies
from focushub_core.ratelimit.counting import Counting
from focushub_core.routed import RoutedPart
from focushub_core.settings import HttpUrl, RedisUrl, Settings
from focushub_core.stack import ServiceEntry, Stack
from focushub_core.telemetry.families import render

UNMATCHED = "unmatched"


class GatewaySettings(ProxySettings, frozen=True, kw_only=True):
    """What a gateway reads; where its services are, ``TASK_SERVICE_URL`` and its like say, or ``SERVICE_URL``."""

    auth_jwks_url: HttpUrl
    auth_issuer: str = "focushub"
    auth_audience: str = "focushub"
    redis_url: RedisUrl | None = None
    """Where limits are shared; without it each gateway keeps them alone."""
    gateway_replicas: int | None = None
    """How many gateways share the limits while Redis is away; the stack's file says it where this is left out."""
    docs_page: bool = True
    """Whether there is a page at ``/docs``; the document that it shows is at ``/openapi.json`` in any case."""


class Gateway(RoutedPart, ProxyPart):
    """The gateway of a stack. A subclass adds routes of its own, such as a dashboard."""

    name = "gateway"
    is_whole = True
    settings_type: ClassVar[type[Settings]] = GatewaySettings
    settings: GatewaySettings
    stack: Stack
    upstreams: UpstreamClient
    """Asks services on the gateway's own account; there from `open` on."""

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        if stack is None:
            raise ConfigurationError(
                "a gateway needs its stack's focushub.toml: start it in the stack's folder"
            )
        super().__init__(settings, stack=stack)
        self.table = RouteTable(stack.services.values())
        self._places: dict[bytes, Place] = {}
        self.pool_of = {
            key: self.pool(stack.services[key].name, urls) for key, urls in _origins(stack).items()
        }
        self.documents = Documents(stack.services, self.openapi, self.table)
        self.limiter = self._limiter()
        self.shown["limits"] = self.limiter.state
        self.verifier = Verifier(
            KeySource(self.fetch_keys), issuer=self.settings.auth_issuer, audience=self.settings.auth_audience
        )
        counting = Counting(self.limiter, policies(stack), parse_networks(self.settings.trusted_proxies))
        self.filters = Filters(Cors(stack.gateway.cors.allow), self.verifier, self.limiter, counting)
        self.providers[User] = signed_in
        if self.settings.redis_url is not None:
            self.checks.append(Check("redis", self.limiter.look, required=False))

    def port_in(self, stack: Stack) -> int:
        return stack.gateway.port

    async def open(self, resources: AsyncExitStack) -> None:
        await super().open(resources)
        self.upstreams = UpstreamClient(self.engine)
        resources.push_async_callback(self.limiter.close)
        application = web.Application()
        self.add_routes(application)
        self._hosted = Hosted(
            application,
            self.whole,
            show_internals=not self.settings.production,
            seconds=self.settings.request_seconds,
        )
        await self._hosted.open()
        resources.push_async_callback(self._hosted.close)

    def add_routes(self, app: web.Application) -> None:
        super().add_routes(app)
        app.router.add_get(documents.PATH, self._openapi)
        self.answers_whole(self._openapi)
        if self.settings.docs_page:
            ApiPage(self.stack.name).add_to(app)

    def openapi(self) -> dict[str, Any]:
        """The document of its own routes; ``/openapi.json`` answers it merged with the services'."""
        from focushub_core.http import openapi

        about = openapi.About(self.stack.name, self.version, f"All of {self.stack.name}, behind one address.")
        return openapi.document(about, self.operations())

    async def _openapi(self, _: web.Request) -> web.Response:
        async def ask(service: str) -> Reply:
            return await self.upstreams.get(self.pool_of[service], documents.PATH, {})

        return web.Response(body=await self.documents.merged(ask), content_type="application/json")

    async def fetch_keys(self) -> bytes:
        """The JWKS document with the keys that tokens are verified with."""
        return await download(self.settings.auth_jwks_url)

    async def person_fields(self, user: User, authorization: str) -> Mapping[str, str]:
        """Further header fields for a day-aware route; a stack's gateway says them. ``authorization`` is the user's."""
        return {}

    async def aggregate(
        self, request: web.Request, sections: Iterable[Section], fields: Mapping[str, str]
    ) -> Aggregate:
        """Asks several services at once on behalf of ``request``'s user (`focushub_core.gateway.aggregate`)."""
        block = fields_for({"Authorization": request[AUTHORIZATION], **fields})

        def fetch(section: Section) -> Call:
            return self.upstreams.begin(self.pool_of[section.service], section.path, block)

        return await gather(list(sections), fetch)

    def more_metrics(self) -> bytes:
        return render(metrics.families(self.limiter))

    # A request's way ------------------------------------------------------------------------------------------

    def route(self, path: bytes, head: RequestHead, side: Side) -> Route | Awaitable[Route]:
        place = self._places.get(path) or self._place(path)
        return self.filters.apply(place, head, side)

    def _place(self, spelled: bytes) -> Place:
        """Where a path leads; those of usual length are remembered."""
        path, own = spelled, self._hosted.label(spelled)
        if b"%" in path:  # who serves it decodes it: what holds for a path holds for all its spellings
            path = unquote_to_bytes(path)
            own = own or self._hosted.label(path)
        match = self.table.match(path) if own is None else None
        label = own or (match.prefix if match is not None else UNMATCHED)
        kept = len(spelled) <= LONGEST
        place = Place(path, match, label, self._forward if own is None else self._answer, kept)
        if kept:
            if len(self._places) >= PATHS:
                self._places.clear()
            self._places[spelled] = place
        return place

    def _answer(self, request: Request) -> Route:
        return Route(
            request.place.label,
            handler=self._hosted.answer,
            told=request.told,
            user=request.user,
            notes=request.notes,
        )

    def _forward(self, request: Request) -> Route | Awaitable[Route]:
        match = request.place.match
        if match is None:
            return refused(request, NotFound("No service has this path."))
        pool = self.pool_of[match.service.key]
        if not match.public:
            if request.user is None:
                return refused(request, nobody_known())
            if match.day_aware:
                return self._forward_with_more(request, match.service, request.user)
        return _to(pool, match.service, request)

    async def _forward_with_more(self, request: Request, service: ServiceEntry, user: User) -> Route:
        try:
            more = await self.person_fields(user, request.seen.authorization or "")
        except FocusHubError as error:
            return refused(request, error)
        sent = lines((name.encode(), value.encode("latin-1")) for name, value in more.items())
        return _to(self.pool_of[service.key], service, request, sent)

    def _limiter(self) -> Limiter:
        replicas = self.settings.gateway_replicas or self.stack.gateway.replicas
        url = self.settings.redis_url
        return Limiter.of(
            redis_url=url.reveal() if url else None,
            prefix=f"{self.stack.name}:limit:",
            replicas=replicas,
        )


def _to(pool: Pool, service: ServiceEntry, request: Request, sent: bytes = b"") -> Route:
    return Route(request.place.label, pool, sent, request.told, service.keyed, request.notes)


def signed_in(request: web.Request) -> User:
    """The verified user of ``request``; `Unauthorized` without one."""
    user: User | None = request.get(USER)
    if user is None:
        raise nobody_known()
    return user


def _origins(stack: Stack) -> dict[str, list[str]]:
    """Where each service is: at ``<KEY>_SERVICE_URL`` (a comma list), else as ``SERVICE_URL`` says of all of them.

    That has ``{name}`` and ``{port}`` as in the stack's file: ``http://{name}:{port}`` where parts have hosts of their
    own, so that a gateway there knows a service that joined without being told.
    """
    values = settings_module.read_layers(stack.root)
    everywhere = values.get("SERVICE_URL", "http://127.0.0.1:{port}")
    found = {}
    for key, service in stack.services.items():
        by_rule = everywhere.replace("{name}", service.name).replace("{port}", str(service.port))
        found[key] = _listed(values.get(f"{service.variable}_SERVICE_URL", by_rule))
    return found


def _listed(urls: str) -> list[str]:
    return [url.strip() for url in urls.split(",") if url.strip()]
