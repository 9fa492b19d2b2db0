"""What a request passes before an upstream is chosen: pages of other origins, the token, the limits.

Rules that hold here:

* A bad token is counted against its address before it is refused. On public routes nobody asks for one: a stale token
  must not keep anybody from logging in. Of two tokens none is taken: a service could take the other one.
* What can be said at once is: a token that was verified before, permits that are leased. Only what has to be waited for
  costs a task.
* What the limits say, and whether a page may read the answer, stands on every answer, refusals too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from time import perf_counter

import msgspec

from focushub_core.errors import FocusHubError, Unauthorized
from focushub_core.gateway.routes import Match
from focushub_core.http.cors import Cors
from focushub_core.identity.user import User
from focushub_core.identity.verifier import Verifier, bearer
from focushub_core.proxy.engine import Answer, Asked, Route
from focushub_core.proxy.http1 import RequestHead, lines
from focushub_core.proxy.rewrite import Side
from focushub_core.ratelimit import Limiter
from focushub_core.ratelimit.counting import NOTHING, REMEMBERED, Bill, Counting
from focushub_core.ratelimit.fields import numbers
from focushub_core.ratelimit.verdict import Verdict

_READ = frozenset(
    {b"authorization", b"origin", b"access-control-request-method", b"x-forwarded-for", b"x-explain"}
)


class Seen(msgspec.Struct):
    """What a request's fields say that decides on its way; read once for all requests with the same fields."""

    authorization: str | None = None
    repeated: bool = False
    """Whether there is another ``Authorization``."""
    origin: str | None = None
    preflight: bool = False
    forwarded: tuple[str, ...] = ()
    explained: bool = False
    user: User | None = None
    """Whose token it is, once it was verified."""
    user_text: str | None = None
    asked: tuple[object, ...] = ()
    """What the last request with these fields was, as far as limits are concerned, and its bill."""
    bill: Bill = NOTHING


class Request(msgspec.Struct):
    """A request on its way through the filters.

    ``path`` is decoded; ``match`` is the service that it is for, if any; ``label`` its route's; ``user`` who asks,
    ``rejected`` why their token is not good; ``told`` what every answer to it carries.
    """

    path: bytes
    head: RequestHead
    side: Side
    match: Match | None
    label: str
    seen: Seen = None  # type: ignore[assignment] # there from `Filters.apply` on
    user: User | None = None
    rejected: FocusHubError | None = None
    told: bytes = b""
    notes: tuple[tuple[str, float, str], ...] = ()
    """For who explains it: steps, seconds, and what there is to say."""

    def note(self, step: str, began: float, why: str) -> None:
        """What was done since ``began`` (`time.perf_counter`)."""
        self.notes += ((step, perf_counter() - began, why),)


Pass = Callable[[Request], Route | Awaitable[Route]]
"""Where a request goes that has passed."""


class Filters:
    """The filters of a gateway, in their order."""

    def __init__(self, cors: Cors, verifier: Verifier, limiter: Limiter, counting: Counting) -> None:
        self._cors = cors
        self._verifier = verifier
        self._limiter = limiter
        self._counting = counting
        self._trusting = bool(counting.trusted)
        self._limited = bool(counting.policies)
        self._shared = bool(cors)

    def apply(self, request: Request, then: Pass) -> Route | Awaitable[Route]:
        """What becomes of ``request``; `then` decides where it goes if it passes."""
        seen = request.head.fields.noted
        if type(seen) is not Seen:
            seen = request.head.fields.noted = self._read(request.head)
        request.seen = seen
        if self._shared:
            request.told = _fields_of(self._cors, seen.origin)
            if seen.preflight and seen.origin is not None and request.head.method == b"OPTIONS":
                return Route(request.label, handler=self._preflight, told=request.told, user=seen.origin)
        if seen.repeated:
            request.rejected = Unauthorized("Send one Authorization field.", code="invalid_request")
        elif seen.authorization is not None and not (request.match is not None and request.match.public):
            if seen.user is None or not self._verifier.holds(seen.user):
                return self._identify(request, then)
            request.user = seen.user
        return self._limit(request, then)

    def _read(self, head: RequestHead) -> Seen:
        seen = Seen()
        for name, value in head.fields.known:
            if name not in _READ:
                continue
            if name == b"authorization":
                seen.repeated = seen.authorization is not None
                seen.authorization = value.decode("latin-1")
            elif name == b"origin":
                seen.origin = value.decode("latin-1")
            elif name == b"access-control-request-method":
                seen.preflight = True
            elif name == b"x-forwarded-for" and self._trusting:
                seen.forwarded += (value.decode("latin-1"),)
            elif name == b"x-explain":
                seen.explained = True
        return seen

    async def _preflight(self, asked: Asked) -> Answer:
        return Answer(204, fields=self._cors.preflight(str(asked.route.user)).items())

    def _identify(self, request: Request, then: Pass) -> Route | Awaitable[Route]:
        """Fields with a token that were not seen a moment ago: at once, if the token was."""
        try:
            user = self._verifier.remembered(bearer(request.seen.authorization))
        except FocusHubError as error:
            request.rejected = error
        else:
            if user is None:
                return self._verify(request, then)
            self._known(request, user)
        return self._limit(request, then)

    async def _verify(self, request: Request, then: Pass) -> Route:
        began = perf_counter()
        try:
            self._known(request, await self._verifier.verify(bearer(request.seen.authorization)))
        except FocusHubError as error:
            request.rejected = error
        if request.seen.explained:
            request.note("token", began, "verified" if request.user else "not good")
        found = self._limit(request, then)
        return found if isinstance(found, Route) else await found

    def _known(self, request: Request, user: User) -> None:
        request.user = request.seen.user = user
        request.seen.user_text = _text(user.id)

    def _limit(self, request: Request, then: Pass) -> Route | Awaitable[Route]:
        """Charges the request, which is mostly for what the last one with these fields was charged for."""
        if not self._limited:
            return self._admit(request, then)
        counting, seen = self._counting, request.seen
        zone = counting.zone(request.path.decode("utf-8", "replace")) if counting.by_path else ""
        asked = (request.label, zone, request.head.method, request.side.peer, request.user)
        bill = seen.bill if asked == seen.asked else self._bill(request, zone, asked)
        if not bill.charges:
            return self._admit(request, then)
        spent = self._limiter.spend(bill.charges)
        if spent is None:
            return self._decide(request, bill, then)
        request.told += bill.form.lines % spent
        if seen.explained:
            request.note("limits", perf_counter(), bill.form.said(spent))
        return then(request) if request.rejected is None else self._admit(request, then)

    def _decide(self, request: Request, bill: Bill, then: Pass) -> Route | Awaitable[Route]:
        """Where leases do not pay for everything."""
        try:
            verdict = self._limiter.decide(bill.charges)
        except FocusHubError as error:
            return refused(request, error)
        if verdict is None:
            return self._ask(request, bill, then)
        return self._judge(request, bill, verdict, then)

    def _bill(self, request: Request, zone: str, asked: tuple[object, ...]) -> Bill:
        seen = request.seen
        seen.bill = self._counting.bill(
            request.head.method.decode(),
            zone,
            request.label,
            user=None if request.user is None else seen.user_text,
            peer=request.side.peer.decode(),
            forwarded=seen.forwarded,
        )
        seen.asked = asked
        return seen.bill

    async def _ask(self, request: Request, bill: Bill, then: Pass) -> Route:
        began = perf_counter()
        try:
            verdict = await self._limiter.check(bill.charges)
        except FocusHubError as error:
            return refused(request, error)
        if request.seen.explained:
            request.note("limit", began, "degraded" if self._limiter.degraded else "asked Redis")
        found = self._judge(request, bill, verdict, then)
        return found if isinstance(found, Route) else await found

    def _judge(self, request: Request, bill: Bill, verdict: Verdict, then: Pass) -> Route | Awaitable[Route]:
        left = numbers(verdict.decisions)
        request.told += bill.form.lines % left
        if request.seen.explained:
            request.note("limits", perf_counter(), bill.form.said(left))
        if verdict.allowed:
            return self._admit(request, then)
        try:
            verdict.enforce()
        except FocusHubError as error:
            return refused(request, error)
        raise AssertionError("a verdict that does not allow has to refuse")

    def _admit(self, request: Request, then: Pass) -> Route | Awaitable[Route]:
        if request.rejected is not None:
            return refused(request, request.rejected)
        return then(request)


def refused(request: Request, error: FocusHubError) -> Route:
    """The way of a request that nobody serves."""
    return Route(request.label, refusal=error, told=request.told, notes=request.notes)


_text = lru_cache(maxsize=REMEMBERED)(str)
"""Of users' ids: it takes longer to write one than to find it."""


def _fields_of(cors: Cors, origin: str | None) -> bytes:
    block = lines((name.encode(), value.encode("latin-1")) for name, value in cors.fields(origin).items())
    return b"Vary: Origin\r\n" + block
