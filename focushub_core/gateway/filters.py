"""What a request passes before an upstream is chosen: pages of other origins, the token, the limits.

Rules that hold here:

* A bad token is counted against its address before it is refused. On public routes nobody asks for one: a stale token
  must not keep anybody from logging in. Of two tokens none is taken: a service could take the other one.
* What can be said at once is: a token that was verified before, permits that are leased. Only what has to be waited for
  costs a task.
* A request with the path, method, address and fields of one that passed goes where that one went: only whether its
  token still holds, and whether leases pay for it, is asked anew (`Passed`).
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


class Place(msgspec.Struct, frozen=True):
    """Where a path leads: the path, decoded; the service that has it, if any; what it is called; what comes next."""

    path: bytes
    match: Match | None
    label: str
    then: Callable[[Request], Route | Awaitable[Route]]
    """Where a request goes that has passed the filters."""
    kept: bool = True
    """Whether it is the same object for the next request of this path."""


class Passed(msgspec.Struct, frozen=True):
    """A request that passed, and where it went.

    ``user`` is whose token it was, ``bill`` what it cost, ``told`` what its answer carried beside what limits say.
    """

    place: Place
    method: bytes
    side: Side
    user: User | None
    bill: Bill
    told: bytes
    route: Route


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
    passed: Passed | None = None
    """The last request with these fields that passed, if the next one may go the same way."""


class Request(msgspec.Struct):
    """A request on its way through the filters.

    ``user`` is who asks, ``rejected`` why their token is not good; ``shared`` lets a page read the answer, ``limits``
    says what is left of those in ``bill``.
    """

    place: Place
    head: RequestHead
    side: Side
    seen: Seen
    user: User | None = None
    rejected: FocusHubError | None = None
    shared: bytes = b""
    bill: Bill = NOTHING
    limits: bytes = b""
    notes: tuple[tuple[str, float, str], ...] = ()
    """For who explains it: steps, seconds, and what there is to say."""

    @property
    def told(self) -> bytes:
        """What every answer to it carries."""
        return self.shared + self.limits

    def note(self, step: str, began: float, why: str) -> None:
        """What was done since ``began`` (`time.perf_counter`)."""
        self.notes += ((step, perf_counter() - began, why),)


class Filters:
    """The filters of a gateway, in their order."""

    def __init__(self, cors: Cors, verifier: Verifier, limiter: Limiter, counting: Counting) -> None:
        self._cors = cors
        self._verifier = verifier
        self._limiter = limiter
        self._counting = counting
        self._trusting = bool(counting.trusted)
        self._limited = bool(counting.policies)
        self._for_pages = bool(cors)

    def apply(self, place: Place, head: RequestHead, side: Side) -> Route | Awaitable[Route]:
        """What becomes of a request."""
        seen = head.fields.noted
        if type(seen) is not Seen:
            seen = head.fields.noted = self._read(head)
        elif (passed := seen.passed) is not None and (route := self._again(passed, place, head, side)):
            return route
        return self._first(Request(place, head, side, seen))

    def _again(self, passed: Passed, place: Place, head: RequestHead, side: Side) -> Route | None:
        """Where a request goes that is of the kind of one that ``passed``; None where that has to be found out."""
        if passed.place is not place or passed.side is not side or passed.method != head.method:
            return None
        if passed.user is not None and not self._verifier.holds(passed.user):
            return None
        bill = passed.bill
        if not bill.charges:
            return passed.route.telling(passed.told)
        spent = None if bill.purse is None else bill.purse.spend()
        return None if spent is None else passed.route.telling(passed.told + bill.form.lines % spent)

    def _first(self, request: Request) -> Route | Awaitable[Route]:
        seen, match = request.seen, request.place.match
        if self._for_pages:
            request.shared = _fields_of(self._cors, seen.origin)
            if seen.preflight and seen.origin is not None and request.head.method == b"OPTIONS":
                label, told = request.place.label, request.shared
                return Route(label, handler=self._preflight, told=told, user=seen.origin)
        if seen.repeated:
            request.rejected = Unauthorized("Send one Authorization field.", code="invalid_request")
        elif seen.authorization is not None and not (match is not None and match.public):
            if seen.user is None or not self._verifier.holds(seen.user):
                return self._identify(request)
            request.user = seen.user
        return self._limit(request)

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

    def _identify(self, request: Request) -> Route | Awaitable[Route]:
        """Fields with a token that were not seen a moment ago: at once, if the token was."""
        try:
            user = self._verifier.remembered(bearer(request.seen.authorization))
        except FocusHubError as error:
            request.rejected = error
        else:
            if user is None:
                return self._verify(request)
            self._known(request, user)
        return self._limit(request)

    async def _verify(self, request: Request) -> Route:
        began = perf_counter()
        try:
            self._known(request, await self._verifier.verify(bearer(request.seen.authorization)))
        except FocusHubError as error:
            request.rejected = error
        if request.seen.explained:
            request.note("token", began, "verified" if request.user else "not good")
        found = self._limit(request)
        return found if isinstance(found, Route) else await found

    def _known(self, request: Request, user: User) -> None:
        request.user = request.seen.user = user
        request.seen.user_text = _text(user.id)

    def _limit(self, request: Request) -> Route | Awaitable[Route]:
        """Charges the request."""
        if not self._limited:
            return self._admit(request)
        request.bill = bill = self._bill(request)
        if not bill.charges:
            return self._admit(request)
        spent = None if bill.purse is None else bill.purse.spend()
        if spent is not None:
            self._tell(request, spent)
            return self._admit(request)
        try:
            verdict = self._limiter.decide(bill.charges)
        except FocusHubError as error:
            return refused(request, error)
        return self._ask(request) if verdict is None else self._judge(request, verdict)

    def _bill(self, request: Request) -> Bill:
        place, seen, method, peer = request.place, request.seen, request.head.method, request.side.peer
        return self._counting.bill(
            method.decode(),
            place.path.decode("utf-8", "replace"),
            place.label,
            user=None if request.user is None else seen.user_text,
            peer=peer.decode(),
            forwarded=seen.forwarded,
        )

    async def _ask(self, request: Request) -> Route:
        began = perf_counter()
        try:
            verdict = await self._limiter.check(request.bill.charges)
        except FocusHubError as error:
            return refused(request, error)
        if request.seen.explained:
            request.note("limit", began, "degraded" if self._limiter.degraded else "asked Redis")
        found = self._judge(request, verdict)
        return found if isinstance(found, Route) else await found

    def _judge(self, request: Request, verdict: Verdict) -> Route | Awaitable[Route]:
        self._tell(request, numbers(verdict.decisions))
        try:
            verdict.enforce()
        except FocusHubError as error:
            return refused(request, error)
        return self._admit(request)

    def _tell(self, request: Request, left: tuple[int, ...]) -> None:
        form = request.bill.form
        request.limits = form.lines % left
        if request.seen.explained:
            request.note("limits", perf_counter(), form.said(left))

    def _admit(self, request: Request) -> Route | Awaitable[Route]:
        if request.rejected is not None:
            return refused(request, request.rejected)
        place, seen, bill = request.place, request.seen, request.bill
        route = place.then(request)
        comes_again = place.kept and not seen.explained and (bill.purse is not None or not bill.charges)
        if comes_again and isinstance(route, Route) and route.refusal is None:
            seen.passed = Passed(
                place, request.head.method, request.side, request.user, bill, request.shared, route
            )
        return route


def refused(request: Request, error: FocusHubError) -> Route:
    """The way of a request that nobody serves."""
    return Route(request.place.label, refusal=error, told=request.told, notes=request.notes)


_text = lru_cache(maxsize=REMEMBERED)(str)
"""Of users' ids: it takes longer to write one than to find it."""


def _fields_of(cors: Cors, origin: str | None) -> bytes:
    block = lines((name.encode(), value.encode("latin-1")) for name, value in cors.fields(origin).items())
    return b"Vary: Origin\r\n" + block
