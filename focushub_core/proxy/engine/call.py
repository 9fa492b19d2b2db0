"""A small GET on a part's own account: to one of a pool's upstreams, on the connections that requests use, too.

Rules that hold here:

* An upstream that cannot be reached, or breaks off, is followed by another one: a GET may be sent again, within the
  budget that all requests share.
* It has no deadline of its own: whoever waits for it cancels it, and the connection with it.
* Whoever waits is told at once, in the turn of the loop in which the answer was read: what it does then is little.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from focushub_core.balancer import Outcome, Pool, Stage, Upstream, may_resend
from focushub_core.errors import BadGateway, FocusHubError
from focushub_core.proxy.engine.links import Link, nobody
from focushub_core.proxy.http1 import End, ProtocolError, ResponseHead

if TYPE_CHECKING:
    from focushub_core.proxy.engine.engine import Engine

LARGEST = 1024 * 1024
"""Bytes of an answer."""
_ANSWERED, _FAULTY = Outcome.ANSWERED, Outcome.FAULTY  # a member is looked up by a function in Python 3.11


class Reply(msgspec.Struct, frozen=True):
    """What an upstream answered."""

    status: int
    body: bytes


class Call:
    """GET ``target`` of ``pool``; ``block`` are the field lines. `begin` it; `tell` says when it is over."""

    # As class attributes, so that a call pays only for those that it changes.
    over = False
    """Whether it has a result, or was given up."""
    watch: Callable[[Call], None] | None = None
    """Hears when it is over, also of its being given up; set it before `begin`."""
    reply: Reply | None = None
    """The answer, once there is one."""
    problem: FocusHubError | None = None
    """Why there is none."""
    _told: Callable[[Call], None] | None = None
    _upstream: Upstream | None = None
    _link: Link | None = None
    _tried: tuple[Upstream, ...] = ()
    _head: ResponseHead | None = None
    _parts: list[bytes] | None = None
    _size = 0

    def __init__(self, engine: Engine, pool: Pool, target: bytes, block: bytes) -> None:
        self._engine = engine
        self._pool = pool
        self._target = target
        self._block = block

    def begin(self, now: float) -> None:
        """Ask."""
        self._engine.budget.request(now)
        self._attempt(now)

    def tell(self, told: Callable[[Call], None]) -> None:
        """Call ``told`` when there is a result; at once if there is one."""
        self._told = told
        if self.over:
            told(self)

    def cancel(self) -> None:
        """Nobody waits for it any more; nobody is told."""
        if not self.over:
            self.over = True
            self._break_off()
            if self.watch is not None:
                self.watch(self)

    def end(self, reply: Reply | None, problem: FocusHubError | None = None) -> None:
        """That is what came of it."""
        self.over = True
        self.reply, self.problem = reply, problem
        if self.watch is not None:
            self.watch(self)
        if self._told is not None:
            self._told(self)

    def result(self) -> Reply | None:
        """The answer, or None if it was given up; raises `FocusHubError` if there is none."""
        if self.problem is not None:
            raise self.problem
        return self.reply

    # Asking -------------------------------------------------------------------------------------------------

    def _attempt(self, now: float, *, anew: bool = False) -> None:
        upstream = self._pool.choose(now, self._tried)
        if upstream is None:
            self.end(None, nobody())
            return
        self._tried += (upstream,)
        upstream.in_flight += 1
        self._upstream = upstream
        link = None if anew else self._engine.links.take(upstream)
        if link is not None:
            self._ask(link)
        else:
            self._engine.connect(upstream, self)

    def connected(self, link: Link) -> bool:
        """A new connection is there; False if it is not wanted any more."""
        if self.over or self._link is not None or link.upstream is not self._upstream:
            return False
        self._ask(link)
        return True

    def not_connected(self, upstream: Upstream, problem: FocusHubError) -> None:
        """There is none."""
        if self.over or self._link is not None or upstream is not self._upstream:
            return
        self._failed(Stage.CONNECT, Outcome.UNREACHABLE, problem)

    def _ask(self, link: Link) -> None:
        self._link = link
        link.ask(self, b"GET", b"GET %b%b%b\r\n" % (self._target, link.to, self._block))

    # The answer ---------------------------------------------------------------------------------------------

    def on_whole(self, head: ResponseHead, body: bytes) -> None:
        """An answer in one piece."""
        now, upstream, link = self._engine.clock(), self._upstream, self._link
        assert upstream is not None
        assert link is not None
        self._upstream = self._link = None
        upstream.health.observed(_FAULTY if head.status == 500 else _ANSWERED, now)
        upstream.in_flight -= 1
        link.leave(clean=head.keeps, now=now)
        self.end(Reply(head.status, body))

    def on_head(self, head: ResponseHead) -> None:
        """Its head; interim ones mean nothing to us."""
        if head.status >= 200:
            self._head = head

    def on_data(self, data: bytes) -> None:
        """A piece of its body."""
        self._size += len(data)
        self._parts = self._parts or []
        self._parts.append(data)
        if self._size > LARGEST:
            problem = BadGateway("the answer is too large", code="upstream_invalid")
            self._give_up(Outcome.ANSWERED, problem)

    def on_end(self, end: End) -> None:
        """It is over."""
        assert self._head is not None
        self.on_whole(self._head, b"".join(self._parts or ()))

    def on_nonsense(self, error: ProtocolError) -> None:
        """What came was not an answer."""
        self._failed(
            Stage.SENT, Outcome.FAULTY, BadGateway("the answer was not HTTP", code="upstream_invalid")
        )

    def on_lost(self, error: BaseException | None) -> None:
        """The connection is gone; one that was kept may have been closed under us, which is nobody's fault."""
        link = self._link
        if link is not None and link.used and not link.answered:
            self._break_off()
            self._tried = self._tried[:-1]
            self._attempt(self._engine.clock(), anew=True)
            return
        self._failed(
            Stage.SENT, Outcome.FAULTY, BadGateway("the answer broke off", code="upstream_broke_off")
        )

    def on_room(self) -> None:
        """What was written is small."""

    def on_frozen(self) -> None:
        """Another one may know; if there is none, whoever waits for this waits on."""
        if self._another_is_left():
            self._pool.retries["frozen"] += 1
            self._anew(self._engine.clock())

    # ----------------------------------------------------------------------------------------------------------

    def _failed(self, stage: Stage, outcome: Outcome, problem: FocusHubError) -> None:
        now = self._engine.clock()
        elsewhere = self._another_is_left() and may_resend(stage, replayable=True)
        if not elsewhere or (stage is not Stage.CONNECT and not self._engine.budget.take(now)):
            self._give_up(outcome, problem)
            return
        self._observe(outcome, now)
        self._pool.retries[stage.name.lower()] += 1
        self._anew(now)

    def _another_is_left(self) -> bool:
        return any(upstream not in self._tried for upstream in self._pool.upstreams)

    def _anew(self, now: float) -> None:
        self._break_off()
        self._head, self._parts, self._size = None, None, 0
        self._attempt(now)

    def _give_up(self, outcome: Outcome, problem: FocusHubError) -> None:
        self._observe(outcome, self._engine.clock())
        self._break_off()
        self.end(None, problem)

    def _observe(self, outcome: Outcome, now: float) -> None:
        assert self._upstream is not None
        self._upstream.health.observed(outcome, now)

    def _break_off(self) -> None:
        upstream, link = self._upstream, self._link
        self._upstream = self._link = None
        if link is not None:
            link.leave(clean=False)
        if upstream is not None:
            upstream.in_flight -= 1
