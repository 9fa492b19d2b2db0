"""What a connection is busy with while nothing is forwarded: a decision, an own answer, a rest to skip.

Rules that hold here:

* A route of our own has as long as an upstream has, and so have a decision, and a client to send its request. What all
  of them hold of requests' bodies is bounded.
* Each task has a context of its own: what was said for the request before, on the same connection, says nothing here.
* Each task ends in an answer, also if what it waits for was cancelled by somebody else; but for a client that is gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from contextvars import Context
from typing import TYPE_CHECKING

from focushub_core import deadline
from focushub_core.errors import (
    FocusHubError,
    GatewayTimeout,
    Internal,
    PayloadTooLarge,
    RequestTimeout,
    Unavailable,
)
from focushub_core.proxy.engine.answers import refusal
from focushub_core.proxy.engine.route import Asked, Handler, Route
from focushub_core.proxy.engine.wheel import ROUND
from focushub_core.proxy.http1 import End, RequestHead
from focushub_core.telemetry import context

if TYPE_CHECKING:
    from focushub_core.proxy.engine.client import ClientConnection
    from focushub_core.proxy.engine.engine import Engine

LARGEST = 1024 * 1024
"""Bytes of a request's body that a route of our own takes."""
MOST_HELD = 64 * LARGEST
"""Bytes that are held of all such bodies at once."""

_log = logging.getLogger(__name__)


class Idle:
    """Forwards nothing."""

    wants_body = False

    def on_body(self, data: bytes) -> None: ...

    def on_body_end(self, end: End) -> None: ...

    def on_full(self) -> None: ...

    def on_room(self) -> None: ...

    def on_gone(self) -> None: ...

    def look(self, now: float) -> float:
        return now + ROUND


class Skipping(Idle):
    """The answer is there; the rest of a small request is read over."""

    wants_body = True

    def __init__(self, client: ClientConnection) -> None:
        self._client = client

    def on_body_end(self, end: End) -> None:
        self._client.skipped()


class Deciding(Idle):
    """It has to be found out what becomes of the request."""

    def __init__(
        self,
        engine: Engine,
        client: ClientConnection,
        coming: Awaitable[Route],
        head: RequestHead,
        request_id: str,
    ) -> None:
        self._engine = engine
        self._client = client
        seconds = deadline.take_up(head.fields.first(b"x-request-timeout-ms"), engine.timeouts.answer_s)
        self._due = engine.clock() + seconds
        self._task = engine.spawn(self._decide(coming, request_id, seconds), Context())

    def look(self, now: float) -> float:
        if now >= self._due:
            self._task.cancel()
            self._client.refuse(_too_late())
        return self._due

    def on_gone(self) -> None:
        self._task.cancel()

    async def _decide(self, coming: Awaitable[Route], request_id: str, seconds: float) -> None:
        context.request_id.set(request_id)
        deadline.start(seconds)
        client = self._client
        if client.witness is not None:
            client.witness.attach()
        try:
            route = await coming
        except FocusHubError as error:
            route = Route("unmatched", refusal=error)
        except (Exception, asyncio.CancelledError):
            if client.serving is not self:
                raise
            _log.exception("unexpected error")  # the edge: what nobody expected is a 500, and logged
            route = Route("unmatched", refusal=Internal())
        if client.serving is self:
            client.serve(route, self._engine.clock())
            client.go_on()


class Own(Idle):
    """A route of the part's own: its handler is asked when the request has been read."""

    def __init__(self, engine: Engine, client: ClientConnection, asked: Asked, handler: Handler) -> None:
        self._engine = engine
        self._client = client
        self._asked = asked
        self._handler = handler
        self._parts: list[bytes] = []
        self._held = 0
        self._task: asyncio.Task[None] | None = None
        self._due = 0.0

    def begin(self, now: float, *, body_over: bool) -> None:
        """Read the body, or answer at once."""
        self._due = now + self._engine.timeouts.answer_s
        if body_over:
            if not self._asked.body or self._may_hold(len(self._asked.body)):
                self._task = self._engine.spawn(self._answer(), Context())
        elif (self._asked.head.framing or 0) > LARGEST:
            self._client.refuse(_too_large())
        else:
            self.wants_body = True
            if self._asked.head.expects:
                self._client.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        if self._may_hold(len(data)):
            self._parts.append(data)

    def on_body_end(self, end: End) -> None:
        self.wants_body = False
        self._asked.body = b"".join(self._parts)
        self._due = self._engine.clock() + self._engine.timeouts.answer_s
        self._task = self._engine.spawn(self._answer(), Context())

    def look(self, now: float) -> float:
        if now < self._due:
            return self._due
        sent = self._task is not None
        self._refuse(_too_late() if sent else RequestTimeout("the body did not come in time"))
        return now + ROUND

    def on_gone(self) -> None:
        self._let_go()
        if self._task is not None:
            self._task.cancel()

    def _may_hold(self, size: int) -> bool:
        """Whether ``size`` more bytes of the body may be held; the request is refused if not."""
        self._held += size
        self._engine.held += size
        if self._held > LARGEST:
            self._refuse(_too_large())
        elif self._engine.held > MOST_HELD:
            self._refuse(Unavailable("too much is being sent at the moment", code="overloaded"))
        else:
            return True
        return False

    def _refuse(self, error: FocusHubError) -> None:
        self.wants_body = False
        self.on_gone()
        self._client.refuse(error)

    def _let_go(self) -> None:
        """Hold nothing of the body any more."""
        self._engine.held -= self._held
        self._held = 0
        self._parts.clear()

    async def _answer(self) -> None:
        client = self._client
        context.request_id.set(self._asked.request_id)
        if client.witness is not None:
            client.witness.attach()
        try:
            answer = (await self._handler(self._asked)).checked()
        except FocusHubError as error:
            answer = refusal(error, self._asked.request_id)
        except (Exception, asyncio.CancelledError):
            if client.serving is not self:
                raise
            _log.exception("unexpected error")  # the edge: what a handler did not expect is a 500, and logged
            answer = refusal(Internal(), self._asked.request_id)
        if client.serving is self:
            self._let_go()
            client.answer(answer)


def _too_late() -> GatewayTimeout:
    return GatewayTimeout("no answer in time")


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(f"this takes bodies of at most {LARGEST} bytes")
