"""Forwarding: one request goes to one of a pool's upstreams, and its answer comes back.

Rules that hold here:

* What may be sent again is `focushub_core.balancer.retry`'s to say; who gets it, the pool's; with which fields,
  `focushub_core.proxy.rewrite`'s.
* A small body (`KEPT`) of known length is read whole before anybody is asked; any other streams, as fast as the
  upstream takes it, and then it cannot be sent again.
* A small answer is read whole before its head is passed on: an upstream that dies half-way through it costs a
  replayable request nothing, and any other gets a problem instead of half an answer.
* A large one streams, as fast as the client takes it. If it breaks off, so does the client's message: half an answer
  is never a clean 200.
* A kept connection that ends without an answer byte was closed under us: a replayable request, and one that never
  left, is sent once more to the same upstream, on a new one, and nobody is to blame. Others get a 502 problem: the
  upstream may have had it.
* What waits for an upstream that proves to be frozen goes elsewhere, if it is replayable and there is an elsewhere.
  It is not counted against the budget of retries: it costs the upstream nothing.
* An upstream is blamed for being late only if it was its turn, and if it had half of our time: a client may leave it
  less, or not send what it announced. Else any client could have every upstream ejected.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

from focushub_core import deadline
from focushub_core.balancer import Outcome, Stage, Upstream, may_resend
from focushub_core.errors import BadGateway, FocusHubError, GatewayTimeout, RequestTimeout
from focushub_core.proxy.engine.answers import date
from focushub_core.proxy.engine.limits import KEPT
from focushub_core.proxy.engine.links import Link, nobody
from focushub_core.proxy.engine.wheel import ROUND
from focushub_core.proxy.http1 import (
    CHUNKED,
    END,
    End,
    ProtocolError,
    RequestHead,
    ResponseHead,
    chunk,
    last_chunk,
    response_head,
)
from focushub_core.proxy.replay import replayable
from focushub_core.proxy.rewrite import request_to, response_block, trailers, whole_answer

if TYPE_CHECKING:
    from focushub_core.proxy.engine.client import ClientConnection
    from focushub_core.proxy.engine.engine import Engine
    from focushub_core.proxy.engine.route import Route

INTERIM = 16
"""Interim answers (1xx) that one request may have."""
_ANSWERED, _FAULTY = Outcome.ANSWERED, Outcome.FAULTY  # a member is looked up by a function in Python 3.11

_log = logging.getLogger(__name__)


@lru_cache(256)
def _time_left(seconds: float) -> bytes:
    return b"X-Request-Timeout-Ms: %d\r\n" % max(0.0, seconds * 1000)


class Exchange:
    """One request on its way. Made with the head, then `begin`."""

    # As class attributes, so that a request pays only for those that it changes.
    _upstream: Upstream | None = None
    _busy = False  # the upstream is counted as busy with this
    _link: Link | None = None
    _again = False  # the same upstream once more, on a new connection
    _over = False
    # the request's body
    wants_body = False
    _collecting = False
    _kept: list[bytes] | None = None  # what of it is at hand, if it is collected
    _sent = False  # pieces of it went to an upstream: it is not at hand any more
    # the answer
    _answer: ResponseHead | None = None
    _parts: list[bytes] | None = None  # of its body, as far as it is there
    streams = False  # its head went to the client
    _in_chunks = False
    _interim = 0
    # time
    _deadline = 0.0
    _began = 0.0
    _moved = False
    _quiet_since = 0.0

    def __init__(
        self, engine: Engine, client: ClientConnection, head: RequestHead, route: Route, request_id: bytes
    ) -> None:
        assert route.pool is not None
        self._engine = engine
        self._client = client
        self._head = head
        self._route = route
        self._pool = route.pool
        self._id = request_id
        self._seconds = engine.timeouts.answer_s
        if b"x-request-timeout-ms" in head.fields.meant:
            self._seconds = deadline.take_up(head.fields.first(b"x-request-timeout-ms"), self._seconds)
        self._tried: list[Upstream] = []
        self.body_over = not head.framing

    # The request's way there --------------------------------------------------------------------------------

    def begin(self, now: float) -> None:
        """Read the body first if it is small, else ask an upstream."""
        self._engine.budget.request(now)
        framing = self._head.framing
        if framing and 0 < framing <= KEPT and not self._head.expects:
            self._collecting = self.wants_body = True
            self._kept = []
            self._deadline = float("inf")  # the client has the rate of its body to keep
            return
        self._due(now)
        self._attempt(now)

    def on_body(self, data: bytes) -> None:
        if self._collecting and self._kept is not None:
            self._kept.append(data)
            return
        if (link := self._link) is None:
            return  # its answer is there; this is on its way already
        self._sent = self._moved = True
        link.write(chunk(data) if self._head.framing == CHUNKED else data)
        self.wants_body = not link.full

    def on_body_end(self, end: End) -> None:
        self.body_over = True
        self.wants_body = False
        now = self._engine.clock()
        if self._collecting:
            self._collecting = False
            self._due(now)
            self._attempt(now)
        elif (link := self._link) is not None:
            if self._head.framing == CHUNKED:
                self._sent = True
                link.write(last_chunk(trailers(end.trailers, self._engine.request_names)))
            self._due(now)

    def _due(self, now: float) -> None:
        self._began = now
        self._deadline = now + self._seconds
        if self._seconds < ROUND:
            self._client.expect_look(self._deadline, now)

    def _attempt(self, now: float) -> None:
        """Ask the next upstream, on a kept connection if there is one."""
        if self._again and self._upstream is not None:
            upstream: Upstream | None = self._upstream
            link = None
        else:
            upstream = self._pool.choose(now, self._tried)
            if upstream is None:
                self._over = True
                self._client.refuse(nobody())
                return
            self._tried.append(upstream)
            self._upstream = upstream
            if self._client.witness is not None:
                self._client.witness.chosen(upstream, self._pool, now)
            link = self._engine.links.take(upstream)
        assert upstream is not None
        upstream.in_flight += 1
        self._busy = True
        if link is not None:
            self._ask(link, now)
        else:
            self._engine.connect(upstream, self)

    def connected(self, link: Link) -> bool:
        """A new connection is there; False if it is not wanted any more."""
        if self._over or self._link is not None or link.upstream is not self._upstream:
            return False
        self._ask(link, self._engine.clock())
        return True

    def not_connected(self, upstream: Upstream, problem: FocusHubError) -> None:
        """There is none."""
        if self._over or self._link is not None or upstream is not self._upstream:
            return
        self._failed(Stage.CONNECT, Outcome.UNREACHABLE, problem)

    def _ask(self, link: Link, now: float) -> None:
        head = self._head
        self._link = link
        if self._client.full:  # of the answer before
            link.transport.pause_reading()
        left = self._deadline - now if self.body_over and now != self._began else self._seconds
        more = self._route.sent + _time_left(left)
        if self._client.witness is not None:
            more += self._client.witness.asked(now)
        if head.expects and not self.body_over:
            # RFC 9110 section 10.1.1: a proxy that does not know the answer forwards the expectation
            more += b"Expect: 100-continue\r\n"
        data = request_to(head, self._client.side, self._id, link.to, more)
        link.ask(self, head.method, data + b"".join(self._kept) if self._kept else data)
        if not self.body_over:
            self.wants_body = not link.full
            self._client.go_on()

    def on_full(self) -> None:
        if self._link is not None:
            self._link.transport.pause_reading()

    def on_room(self) -> None:
        """Either side took what was written: the other may go on."""
        link = self._link
        if link is None:
            return
        if not self._client.full:
            link.transport.resume_reading()
        if not self.body_over and not self._collecting and not link.full:
            self.wants_body = True
            self._client.go_on()

    # The answer's way back ----------------------------------------------------------------------------------

    def on_whole(self, head: ResponseHead, body: bytes) -> None:
        """The short way through `on_head`, `on_data` and `on_end`."""
        if len(body) > KEPT:
            self.on_head(head)
            self.on_data(body)
            self.on_end(END)
            return
        now = self._engine.clock()
        upstream, link = self._upstream, self._link
        assert upstream is not None
        assert link is not None
        upstream.health.observed(_FAULTY if head.status == 500 else _ANSWERED, now)
        client = self._client
        client.write(whole_answer(head, self._engine.name, self._id, date, self._added(), body))
        self._link, self._busy, self._over = None, False, True
        upstream.in_flight -= 1
        if self.body_over and head.keeps:
            link.done(now)
        else:
            link.leave(clean=False)
        client.finished(head.status, now)

    def on_head(self, head: ResponseHead) -> None:
        if head.status < 200:
            self._pass_interim(head)
            return
        assert self._upstream is not None
        self._answer = head
        self._upstream.pieces += 1
        if head.framing is None or 0 <= head.framing <= KEPT:
            return
        self.streams = True
        self._quiet_since = self._engine.clock()
        # HTTP/1.0 knows no chunks: to it the end of the connection is the end of such a body
        self._in_chunks = head.framing < 0 and self._head.minor == 1
        framing = head.framing if head.framing > 0 else CHUNKED if self._in_chunks else None
        self._client.write(self._head_of(head, framing))

    def on_data(self, data: bytes) -> None:
        assert self._upstream is not None
        self._upstream.pieces += 1
        if not self.streams:
            self._parts = self._parts or []
            self._parts.append(data)
            return
        assert self._answer is not None
        self._moved = True
        self._client.write(chunk(data) if self._in_chunks else data)

    def on_end(self, end: End) -> None:
        answer = self._answer
        assert answer is not None
        client = self._client
        if not self.streams:
            framing = (
                answer.length if self._head.method == b"HEAD" or answer.status == 304 else answer.framing
            )
            client.write(b"".join((self._head_of(answer, framing), *(self._parts or ()))))
        elif self._in_chunks:
            client.write(last_chunk(trailers(end.trailers, self._engine.response_names)))
        # only now: one that breaks off each of its answers must not look well in between
        self._observe(_FAULTY if answer.status == 500 else _ANSWERED)
        self._leave(clean=answer.keeps and self.body_over)
        self._over = True
        client.finished(answer.status, self._engine.clock())

    def on_nonsense(self, error: ProtocolError) -> None:
        problem = BadGateway("the answer was not HTTP", code="upstream_invalid")
        self._broken(problem, error)

    def on_lost(self, error: BaseException | None) -> None:
        link = self._link
        assert link is not None
        if link.used and not link.answered and not self._sent and (not link.sent or self._replayable()):
            self._leave(clean=False)
            self._again = True
            self._attempt(self._engine.clock())
            return
        problem = BadGateway("the answer broke off", code="upstream_broke_off")
        if link.sent:
            self._broken(problem, error)
        else:
            self._failed(Stage.CONNECT, Outcome.UNREACHABLE, problem)

    def on_frozen(self) -> None:
        now = self._engine.clock()
        if not self.streams and self._may_go_elsewhere(Stage.SENT, now, free=True):
            self._go_elsewhere("frozen", now)

    def on_gone(self) -> None:
        self._over = True
        self._leave(clean=False)

    def look(self, now: float) -> float:
        if self.streams:
            if self._moved or self._client.full:
                self._moved = False
                self._quiet_since = now
            elif now - self._quiet_since >= self._engine.timeouts.idle_s:
                self._broken(GatewayTimeout("the answer stopped", code="upstream_timeout"), None)
            return self._quiet_since + self._engine.timeouts.idle_s
        if self._moved and not self.body_over:
            self._moved = False  # a large body takes its time: the answer is due from its end on
            self._deadline = now + self._seconds
        if now >= self._deadline and not self._over:
            self._too_late()
        return self._deadline

    # ----------------------------------------------------------------------------------------------------------

    def _pass_interim(self, head: ResponseHead) -> None:
        """RFC 9110 section 15.2: "A proxy MUST forward 1xx responses"; HTTP/1.0 does not know them."""
        self._interim += 1
        if head.status == 101 or self._interim > INTERIM:  # nobody asked for another protocol
            self.on_nonsense(ProtocolError("an interim answer that nobody asked for"))
        elif self._head.minor:
            block = response_block(head, self._engine.name, self._id, date)
            self._client.write(response_head(head.status, head.reason, block, None))

    def _head_of(self, answer: ResponseHead, framing: int | None) -> bytes:
        block = response_block(answer, self._engine.name, self._id, date, self._added())
        return response_head(answer.status, answer.reason, block, framing)

    def _added(self) -> bytes:
        """The field lines that are added to the answer; whether it is the connection's last is settled with them."""
        client = self._client
        more = client.told
        if client.witness is not None:
            more += client.witness.told(self._engine.clock())
        if not self.body_over or not self._head.keeps or self._engine.draining:
            client.last = True
            more += b"Connection: close\r\n"
        return more

    def _broken(self, problem: FocusHubError, error: BaseException | None) -> None:
        """The upstream did not send what it should have."""
        if not self.streams:
            self._failed(Stage.SENT, Outcome.FAULTY, problem)
            return
        assert self._upstream is not None
        assert self._answer is not None
        _log.warning("%s broke off its answer: %s", self._upstream.url, error or problem)
        self._observe(Outcome.FAULTY)
        if self._client.witness is not None:
            self._client.witness.failed(problem.code, self._engine.clock())
        self.on_gone()
        self._client.break_off(self._answer.status)

    def _too_late(self) -> None:
        """The time is over, for whoever was waited for."""
        if not self.body_over and self.wants_body and (self._interim or not self._head.expects):
            self._failed(Stage.SENT, None, RequestTimeout("the body did not come in time"), last=True)
            return
        blamed = 2 * self._seconds >= self._engine.timeouts.answer_s
        problem = GatewayTimeout("no answer in time", code="upstream_timeout")
        self._failed(Stage.SENT, Outcome.FAULTY if blamed else None, problem, last=True)

    def _failed(
        self, stage: Stage, outcome: Outcome | None, problem: FocusHubError, *, last: bool = False
    ) -> None:
        """Ask another one, or tell the client. Without an ``outcome`` the upstream is not to blame."""
        assert self._upstream is not None
        now = self._engine.clock()
        _log.info("%s: %s failed: %s", self._pool.name, self._upstream.url, problem.code)
        if outcome is not None:
            self._observe(outcome)
        if not last and self._may_go_elsewhere(stage, now, free=stage is Stage.CONNECT):
            self._go_elsewhere(stage.name.lower(), now)
            return
        if self._client.witness is not None:
            self._client.witness.failed(problem.code, now)
        self._leave(clean=False)
        self._over = True
        self._client.refuse(problem)

    def _replayable(self) -> bool:
        return replayable(self._head, self._route.keyed)

    def _may_go_elsewhere(self, stage: Stage, now: float, *, free: bool) -> bool:
        """``free`` where the budget of retries is not asked."""
        if now >= self._deadline or all(upstream in self._tried for upstream in self._pool.upstreams):
            return False
        if not may_resend(stage, replayable=self._replayable(), body_at_hand=not self._sent):
            return False
        return free or self._engine.budget.take(now)

    def _go_elsewhere(self, reason: str, now: float) -> None:
        self._pool.retries[reason] += 1
        if self._client.witness is not None:
            self._client.witness.failed(reason, now)
        self._leave(clean=False)
        self._answer, self._parts, self._again = None, None, False
        self._attempt(now)

    def _observe(self, outcome: Outcome) -> None:
        assert self._upstream is not None
        self._upstream.health.observed(outcome, self._engine.clock())

    def _leave(self, *, clean: bool) -> None:
        """The upstream is free again."""
        upstream, link = self._upstream, self._link
        self._link = None
        self.wants_body = False  # until there is another one
        if link is not None:
            if self._client.full:
                link.transport.resume_reading()
            link.leave(clean=clean, now=self._engine.clock())
        if upstream is not None and self._busy:
            self._busy = False
            upstream.in_flight -= 1
