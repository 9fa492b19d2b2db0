"""Limits in front of aiohttp handlers, for the gateway, for services, and for plain aiohttp applications.

Rules that hold here:

* Every limited answer carries ``RateLimit`` and ``RateLimit-Policy``, errors and streams too: the fields are
  added when the answer's head is written, whoever wrote it.
* A route that probes need (``/health`` and its like) is never limited.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler

from focushub_core.ratelimit.address import Network, bucket_key, client_address
from focushub_core.ratelimit.fields import fields
from focushub_core.ratelimit.gcra import Charge
from focushub_core.ratelimit.limiter import Limiter, Verdict
from focushub_core.ratelimit.policy import Policy

EXEMPT = frozenset({"/health", "/livez", "/readyz", "/metrics"})
VERDICT: web.RequestKey[Verdict] = web.RequestKey("ratelimit.verdict", Verdict)


def _nobody(request: web.Request) -> str | None:
    return None


class RateLimits:
    """``policies`` checked by ``limiter`` before a handler runs.

    ``user`` names the person of a request whose token was verified (else None); ``trusted`` are the networks
    whose ``X-Forwarded-For`` counts. Use `install`, or add `middleware` and `add_fields` to an application.
    """

    def __init__(
        self,
        limiter: Limiter,
        policies: Sequence[Policy],
        *,
        user: Callable[[web.Request], str | None] = _nobody,
        trusted: Sequence[Network] = (),
        exempt: frozenset[str] = EXEMPT,
    ) -> None:
        self.limiter = limiter
        self.policies = tuple(policies)
        self._user = user
        self._trusted = trusted
        self._exempt = exempt

    def install(self, app: web.Application) -> None:
        """Limit every route of ``app``."""
        app.middlewares.append(self.middleware)
        app.on_response_prepare.append(self.add_fields)

    def charges(self, request: web.Request) -> list[Charge]:
        """What a request costs: one permit of each policy that holds for it."""
        if request.path in self._exempt:
            return []
        user = self._user(request)
        held = [policy for policy in self.policies if policy.holds(request.path, known=user is not None)]
        return [Charge(policy, self._key(policy, request, user)) for policy in held]

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """An aiohttp middleware: charges the request before its handler runs, or refuses it."""
        charges = self.charges(request)
        if charges:
            request[VERDICT] = verdict = await self.limiter.check(charges)
            verdict.enforce()
        return await handler(request)

    async def add_fields(self, request: web.Request, response: web.StreamResponse) -> None:
        """A signal for ``on_response_prepare``."""
        verdict = request.get(VERDICT)
        if verdict is not None:
            for name, value in fields(verdict.decisions).items():
                response.headers.add(name, value)  # a service behind a gateway may have told its own

    def _key(self, policy: Policy, request: web.Request, user: str | None) -> str:
        if policy.by == "user":
            return user or ""
        forwarded = request.headers.getall("X-Forwarded-For", [])
        return bucket_key(client_address(request.remote, forwarded, self._trusted))
