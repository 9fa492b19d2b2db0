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
from multidict import istr

from focushub_core.ratelimit.address import Network
from focushub_core.ratelimit.counting import Bill, Counting, depends_on_path
from focushub_core.ratelimit.fields import Form, numbers
from focushub_core.ratelimit.limiter import Limiter
from focushub_core.ratelimit.limits import limits_of
from focushub_core.ratelimit.policy import Policy

POLICIES, LIMITS = istr("RateLimit-Policy"), istr("RateLimit")
REMEMBERED = 256
"""Bills of a route."""
EXEMPT = frozenset({"/health", "/livez", "/readyz", "/metrics"})
UNMATCHED = "unmatched"

TOLD: web.RequestKey[tuple[Form, tuple[int, ...]]] = web.RequestKey("ratelimit.told", tuple)
"""What answers say of limits, and its numbers."""

WhoIs = Callable[[web.Request], str | Awaitable[str | None] | None]


def _nobody(request: web.Request) -> str | None:
    return None


def template_of(request: web.Request) -> str:
    """The route's template, such as ``/v1/tasks/{task_id}``; never what a client made up."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else UNMATCHED


class Place(NamedTuple):
    """A route: whether it is never limited (None: for some of its paths), its template, whether its limits depend on
    who asks, whether on more of a request than that, method and peer, and those that its handler brings along; bills
    by method, peer and user."""

    exempt: bool | None
    template: str
    personal: bool
    varied: bool
    brought: tuple[Policy, ...]
    bills: dict[tuple[str, str | None, str | None], Bill]


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
        self._counting = Counting(limiter, self.policies, trusted)
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
        waiting = self.charge(request, request.match_info.route)
        if waiting is not None:
            await waiting
        return await handler(request)

    def charge(self, request: web.Request, route: web.AbstractRoute) -> Awaitable[None] | None:
        """Charges a request on ``route``, at once where leases pay for it; else gives what has to be waited for.

        That raises `TooManyRequests` for a request that is refused.
        """
        place = self._places.get(route) or self._place(request, route)
        if place.exempt or (place.exempt is None and request.path in self._exempt):
            return None
        user = self._user(request) if place.personal else None
        if user is None or isinstance(user, str):
            return self._charge(request, place, user)
        return self._charge_later(request, place, user)

    def _charge(self, request: web.Request, place: Place, user: str | None) -> Awaitable[None] | None:
        bill = place.bills.get((request.method, request.remote, user)) or self._bill(request, place, user)
        if not bill.charges:
            return None
        spent = None if bill.purse is None else bill.purse.spend()
        if spent is None:
            return self._decide(request, bill)
        request[TOLD] = bill.form, spent
        return None

    async def _charge_later(self, request: web.Request, place: Place, coming: Awaitable[str | None]) -> None:
        waiting = self._charge(request, place, await coming)
        if waiting is not None:
            await waiting

    async def _decide(self, request: web.Request, bill: Bill) -> None:
        """What is done where leases do not pay for everything."""
        verdict = self.limiter.decide(bill.charges)
        if verdict is None:
            verdict = await self.limiter.check(bill.charges)
        request[TOLD] = bill.form, numbers(verdict.decisions)
        verdict.enforce()

    def _place(self, request: web.Request, route: web.AbstractRoute) -> Place:
        """What is the same for all requests of a route; kept for those that the application knows."""
        brought = limits_of(route.handler)
        exempt = request.path in self._exempt if isinstance(route.resource, web.PlainResource) else None
        of_all = bool(self._counting.by_path or self._counting.trusted or self._route is not template_of)
        personal = bool(self.policies) or any("user" in each.kinds or each.exempt_users for each in brought)
        varied = of_all or depends_on_path(brought)
        place = Place(exempt, template_of(request), personal, varied, brought, {})
        if isinstance(route.resource, web.PlainResource | web.DynamicResource):
            self._places[route] = place
        return place

    def _bill(self, request: web.Request, place: Place, user: str | None) -> Bill:
        """What a request costs: one permit of each policy that holds for it."""
        counting, peer = self._counting, request.remote
        bill = counting.bill(
            request.method,
            request.path if place.varied else "",
            place.template if self._route is template_of else self._route(request),
            user=user,
            peer=peer,
            forwarded=tuple(request.headers.getall("X-Forwarded-For", ())) if counting.trusted else (),
            brought=place.brought,
        )
        if not place.varied:
            if len(place.bills) >= REMEMBERED:
                place.bills.clear()
            place.bills[request.method, peer, user] = bill
        return bill

    async def add_fields(self, request: web.Request, response: web.StreamResponse) -> None:
        """A signal for ``on_response_prepare``."""
        try:
            form, left = request[TOLD]
        except KeyError:
            return
        response.headers.add(POLICIES, form.policies)  # added: one behind a gateway may have told its own
        response.headers.add(LIMITS, form.limits % left)

    def lines(self, request: web.Request) -> bytes:
        """The field lines that say what `charge` found."""
        found = request.get(TOLD)
        return found[0].lines % found[1] if found is not None else b""

    async def _while_running(self, _: web.Application) -> AsyncIterator[None]:
        yield
        await self.limiter.close()
