"""Limits in front of aiohttp handlers, for the gateway, for services, and for plain aiohttp applications.

For a plain application this is all::

    limits = RateLimits(Limiter.of(redis_url="redis://..."), [Policy("address", 120, by="address")])
    limits.install(app)

Rules that hold here:

* Every limited answer carries ``RateLimit`` and ``RateLimit-Policy``, errors and streams too: the fields are
  added when the answer's head is written, whoever wrote it.
* A route that probes need (``/health`` and its like) is never limited.
* All limits that hold for a request, those of the application and those that its handler brings along
  (`focushub_core.limit`), are one question.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler

from focushub_core.ratelimit.address import Network
from focushub_core.ratelimit.counting import Counting, depends_on_path
from focushub_core.ratelimit.fields import fields
from focushub_core.ratelimit.gcra import Charge
from focushub_core.ratelimit.limiter import Limiter
from focushub_core.ratelimit.limits import limits_of
from focushub_core.ratelimit.policy import Policy
from focushub_core.ratelimit.verdict import Verdict

EXEMPT = frozenset({"/health", "/livez", "/readyz", "/metrics"})
UNMATCHED = "unmatched"
VERDICT: web.RequestKey[Verdict] = web.RequestKey("ratelimit.verdict", Verdict)

WhoIs = Callable[[web.Request], str | Awaitable[str | None] | None]


def _nobody(request: web.Request) -> str | None:
    return None


def template_of(request: web.Request) -> str:
    """The route's template, such as ``/v1/tasks/{task_id}``; never what a client made up."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else UNMATCHED


class Place(NamedTuple):
    """A route: whether it is never limited (None: for some of its paths), its template, whether its limits depend on
    the path, and those that its handler brings along."""

    exempt: bool | None
    template: str
    by_path: bool
    brought: tuple[Policy, ...]


class RateLimits:
    """``policies`` checked by ``limiter`` before a handler runs.

    ``user`` names the person of a request whose token was verified (else None), ``route`` the request's route;
    ``trusted`` are the networks whose ``X-Forwarded-For`` counts. Use `install`, or add `middleware` and
    `add_fields` to an application.
    """

    def __init__(
        self,
        limiter: Limiter,
        policies: Sequence[Policy] = (),
        *,
        user: WhoIs = _nobody,
        route: Callable[[web.Request], str] = template_of,
        trusted: Sequence[Network] = (),
        exempt: frozenset[str] = EXEMPT,
    ) -> None:
        self.limiter = limiter
        self.policies = tuple(policies)
        self._counting = Counting(self.policies, trusted)
        self._user = user
        self._route = route
        self._exempt = exempt
        self._places: dict[web.AbstractRoute, Place] = {}

    def install(self, app: web.Application) -> None:
        """Limit every route of ``app``; the limiter is closed with it."""
        app.middlewares.append(self.middleware)
        app.on_response_prepare.append(self.add_fields)
        app.cleanup_ctx.append(self._while_running)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """An aiohttp middleware: charges the request before its handler runs, or refuses it."""
        route = request.match_info.route
        place = self._places.get(route) or self._place(request, route)
        if place.exempt or (place.exempt is None and request.path in self._exempt):
            return await handler(request)
        user = self._user(request)
        if user is not None and not isinstance(user, str):
            user = await user
        charges = self._charges(request, place, user)
        if charges:
            verdict = self.limiter.decide(charges)
            if verdict is None:
                verdict = await self.limiter.check(charges)
            request[VERDICT] = verdict
            if not verdict.allowed:
                verdict.enforce()
        return await handler(request)

    def _place(self, request: web.Request, route: web.AbstractRoute) -> Place:
        """What is the same for all requests of a route; kept for those that the application knows."""
        brought = limits_of(route.handler)
        exempt = request.path in self._exempt if isinstance(route.resource, web.PlainResource) else None
        by_path = self._counting.by_path or depends_on_path(brought)
        place = Place(exempt, template_of(request), by_path, brought)
        if isinstance(route.resource, web.PlainResource | web.DynamicResource):
            self._places[route] = place
        return place

    def _charges(self, request: web.Request, place: Place, user: str | None) -> Sequence[Charge]:
        """What a request costs: one permit of each policy that holds for it."""
        counting = self._counting
        return counting.charges(
            request.method,
            request.path if place.by_path else "",
            place.template if self._route is template_of else self._route(request),
            user=user,
            peer=request.remote,
            forwarded=tuple(request.headers.getall("X-Forwarded-For", ())) if counting.trusted else (),
            brought=place.brought,
        )

    async def add_fields(self, request: web.Request, response: web.StreamResponse) -> None:
        """A signal for ``on_response_prepare``."""
        for name, value in self.told(request):
            response.headers.add(name, value)  # added: one behind a gateway may have told its own

    def told(self, request: web.Request) -> tuple[tuple[str, str], ...]:
        """The fields that say what `middleware` found."""
        verdict = request.get(VERDICT)
        if verdict is None:
            return ()
        policies, limits = fields(verdict.decisions)
        return ("RateLimit-Policy", policies), ("RateLimit", limits)

    async def _while_running(self, _: web.Application) -> AsyncIterator[None]:
        yield
        await self.limiter.close()
