"""Forwarding: a request goes to one of a pool's upstreams, and its answer comes back.

Rules that hold here:

* What may be sent again is `focushub_core.balancer.retry`'s to say; who gets it, the pool's; with which fields,
  `focushub_core.proxy.headers`'.
* A small answer (`KEPT`) is read whole before its head is passed on: an upstream that dies half-way through it costs a
  replayable request nothing, and any other gets a problem instead of half an answer.
* A large one streams, as fast as the client takes it. If it breaks off, so does the client's message: half an answer
  is never a clean 200.
* aiohttp's client repeats idempotent requests, and only those, once by itself when a kept connection was
  closed under it. That is within these rules.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from focushub_core import deadline
from focushub_core.balancer import Outcome, Pool, RetryBudget, Stage, Upstream, may_resend
from focushub_core.balancer.retry import IDEMPOTENT
from focushub_core.errors import (
    BadGateway,
    BadRequest,
    FocusHubError,
    GatewayTimeout,
    RequestTimeout,
    Unavailable,
)
from focushub_core.proxy.bodies import KEPT, Body
from focushub_core.proxy.headers import Fields, Hop, request_fields, response_fields

_log = logging.getLogger(__name__)

# What aiohttp would add by itself: a proxy does not speak for its client.
_NOT_ADDED = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: for a connection; from the request's last byte to the answer's head, retries included; for the next
    bytes of a streamed answer; for a small request body."""

    connect_s: float = 1.0
    answer_s: float = 30.0
    idle_s: float = 60.0
    body_s: float = 30.0


class AttemptFailed(Exception):
    """An upstream did not answer: how far it came, what that says about it, and what to tell the client."""

    def __init__(self, stage: Stage, outcome: Outcome, problem: FocusHubError) -> None:
        super().__init__(problem.code)
        self.stage = stage
        self.outcome = outcome
        self.problem = problem


@dataclass(slots=True)
class Exchange:
    """One request on its way: its fields are ready, its body is at hand or will be streamed."""

    request: web.Request
    body: Body
    fields: Fields
    via: str
    replayable: bool
    deadline: float


class Forwarder:
    """Forwards requests over kept connections. `start` it in a running loop, `close` it there."""

    def __init__(
        self, *, timeouts: Timeouts | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._timeouts = timeouts or Timeouts()
        self._clock = clock
        self._budget = RetryBudget()
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the client; connections are made as they are needed."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=15),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=self._timeouts.connect_s, sock_read=self._timeouts.idle_s
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_NOT_ADDED,
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def forward(
        self,
        request: web.Request,
        pool: Pool,
        hop: Hop,
        *,
        add: Iterable[tuple[str, str]] = (),
        replayable: bool | None = None,
    ) -> web.StreamResponse:
        """The answer of one of ``pool``'s upstreams to ``request``.

        ``add`` are further fields for the upstream. ``replayable`` says that the request may be carried out twice
        (left out: if its method is idempotent). Raises `BadGateway`, `Unavailable` or `GatewayTimeout`.
        """
        body = await self._body(request)
        fields = [*request_fields(request.headers.items(), hop), *body.fields(), *add]
        # The upstream ends at it. Whoever waits here does not: a client in a hurry is no upstream's failure.
        fields = deadline.renewed(fields, self._timeouts.answer_s)
        if replayable is None:
            replayable = request.method in IDEMPOTENT
        self._budget.request(self._clock())
        due = self._clock() + self._timeouts.answer_s
        return await self._attempts(pool, Exchange(request, body, fields, hop.name, replayable, due))

    async def _body(self, request: web.Request) -> Body:
        try:
            async with asyncio.timeout(self._timeouts.body_s):
                return await Body.of(request)
        except TimeoutError:
            raise RequestTimeout(f"the body did not come within {self._timeouts.body_s:g} s") from None

    async def _attempts(self, pool: Pool, exchange: Exchange) -> web.StreamResponse:
        tried: list[Upstream] = []
        failure: AttemptFailed | None = None
        while (upstream := pool.choose(self._clock(), tried)) is not None:
            tried.append(upstream)
            try:
                with upstream.busy():
                    return await self._attempt(upstream, exchange)
            except AttemptFailed as error:
                failure = error
                self._observe(upstream, error.outcome)
                _log.info("%s: %s failed: %s", pool.name, upstream.url, error)
                if not self._again(error, exchange):
                    break
        assert failure is not None  # a pool is never empty
        raise failure.problem from failure.__cause__

    def _again(self, failure: AttemptFailed, exchange: Exchange) -> bool:
        now = self._clock()
        if now >= exchange.deadline:
            return False
        if not may_resend(failure.stage, replayable=exchange.replayable, body_at_hand=exchange.body.at_hand):
            return False
        return failure.stage is Stage.CONNECT or self._budget.take(now)

    async def _attempt(self, upstream: Upstream, exchange: Exchange) -> web.StreamResponse:
        answer, small = await self._ask(upstream, exchange)
        self._observe(upstream, Outcome.FAULTY if answer.status == 500 else Outcome.ANSWERED)
        fields = response_fields(answer.headers.items(), exchange.via)
        try:
            if small is None:
                return await self._stream(upstream, exchange.request, answer, fields)
        finally:
            _let_go(answer, exchange.body)
        if (length := answer.headers.get("Content-Length")) is not None:
            fields.append(("Content-Length", length))  # of HEAD's answer: that of the body left out
        return web.Response(status=answer.status, reason=answer.reason, headers=_multi(fields), body=small)

    async def _ask(
        self, upstream: Upstream, exchange: Exchange
    ) -> tuple[aiohttp.ClientResponse, bytes | None]:
        """The upstream's answer, and its body if that is small."""
        body = exchange.body
        try:
            async with asyncio.timeout(exchange.deadline - self._clock()) as limit:
                body.on_progress = lambda: self._progress(limit, exchange)
                answer = await self._send(upstream, exchange)
                return answer, await answer.read() if _is_small(answer) else None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            if body.broken is not None:
                raise BadRequest("the body broke off") from error
            raise _failed(error) from error
        finally:
            body.on_progress = None  # what is sent after an early answer has no deadline to move

    async def _send(self, upstream: Upstream, exchange: Exchange) -> aiohttp.ClientResponse:
        assert self._session is not None, "start() comes first"
        return await self._session.request(
            exchange.request.method,
            URL(upstream.url + exchange.request.raw_path, encoded=True),
            headers=exchange.fields,
            data=exchange.body.data(),
            allow_redirects=False,
        )

    def _progress(self, limit: asyncio.Timeout, exchange: Exchange) -> None:
        """A large body takes its time: the answer is due from its last byte on."""
        exchange.deadline = self._clock() + self._timeouts.answer_s
        if not limit.expired():
            limit.reschedule(asyncio.get_running_loop().time() + self._timeouts.answer_s)

    async def _stream(
        self, upstream: Upstream, request: web.Request, answer: aiohttp.ClientResponse, fields: Fields
    ) -> web.StreamResponse:
        out = web.StreamResponse(status=answer.status, reason=answer.reason, headers=_multi(fields))
        out.content_length = answer.content_length
        await out.prepare(request)
        while True:
            try:
                piece = await answer.content.readany()
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                _log.warning("%s broke off its answer: %s", upstream.url, error)
                self._observe(upstream, Outcome.FAULTY)
                _break_off(request)
                return out
            if not piece:
                return out
            await out.write(piece)  # waits while the client is slow; raises ConnectionError when it is gone

    def _observe(self, upstream: Upstream, outcome: Outcome) -> None:
        upstream.health.observed(outcome, self._clock())


def _let_go(answer: aiohttp.ClientResponse, body: Body) -> None:
    """Keep the connection only if both messages on it are over; an early answer leaves a body half sent."""
    if body.sent and answer.content.at_eof():
        answer.release()
    else:
        answer.close()


def _is_small(answer: aiohttp.ClientResponse) -> bool:
    if answer.method == "HEAD" or answer.status in (204, 304):
        return True
    return answer.content_length is not None and answer.content_length <= KEPT


def _failed(error: Exception) -> AttemptFailed:
    """aiohttp's errors in our words; what is not known to have happened before the first byte happened after it."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            problem: FocusHubError = GatewayTimeout("no connection in time", code="upstream_timeout")
            return AttemptFailed(Stage.CONNECT, Outcome.UNREACHABLE, problem)
        case aiohttp.ClientConnectorError():
            problem = Unavailable("nobody who serves this can be reached", code="upstream_unreachable")
            return AttemptFailed(Stage.CONNECT, Outcome.UNREACHABLE, problem)
        case TimeoutError():
            problem = GatewayTimeout("no answer in time", code="upstream_timeout")
            return AttemptFailed(Stage.SENT, Outcome.FAULTY, problem)
        case aiohttp.ClientResponseError():
            problem = BadGateway("the answer was not HTTP", code="upstream_invalid")
            return AttemptFailed(Stage.SENT, Outcome.FAULTY, problem)
    problem = BadGateway("the answer broke off", code="upstream_broke_off")
    return AttemptFailed(Stage.SENT, Outcome.FAULTY, problem)


def _break_off(request: web.Request) -> None:
    """End the client's connection without the end of its message."""
    if request.transport is not None:
        request.transport.close()


def _multi(fields: Fields) -> CIMultiDict[str]:
    return CIMultiDict(fields)
