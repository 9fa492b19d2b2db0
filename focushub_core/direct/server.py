"""Listens for a part that is an aiohttp application, and serves its own routes directly.

Rules that hold here:

* Every connection begins at the engine, which reads strictly and waits for nobody too long. A request that is not for a
  route of the `Lane`, wants another protocol, or brings a packed body goes to aiohttp with its whole connection.
* An application with middlewares or signals that are not the part's own is served by aiohttp alone: they
  expect its requests and responses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from math import inf
from typing import Any, Protocol

from aiohttp import web

from focushub_core.direct.lane import Lane, Leads
from focushub_core.direct.request import Around, RawFields
from focushub_core.http.handlers import Whole
from focushub_core.proxy.engine import Asked, Engine, Route, Timeouts
from focushub_core.proxy.engine.observer import Observer
from focushub_core.proxy.http1 import RequestHead
from focushub_core.proxy.rewrite import Side
from focushub_core.ratelimit import RateLimits
from focushub_core.runtime.process import FINISH_SECONDS
from focushub_core.settings import Settings
from focushub_core.telemetry.access import AccessLog
from focushub_core.telemetry.counters import RequestCounters
from focushub_core.telemetry.tracing import Tracer

_CODING = b"content-encoding"


class Servable(Protocol):
    """What can be served: a `focushub_core.web.WebPart`."""

    draining: bool
    limits: RateLimits | None
    access: AccessLog
    traces: Tracer | None

    @property
    def whole(self) -> Mapping[object, Whole]:
        """What answers in the place of its application's handlers."""

    @property
    def observed(self) -> bool:
        """Whether its requests are counted and logged."""

    @property
    def instance(self) -> str:
        """What it is called."""

    @property
    def settings(self) -> Settings:
        """How to run it."""

    @property
    def port(self) -> int:
        """Where to listen."""

    @property
    def requests(self) -> RequestCounters:
        """Where its requests are counted."""

    def application(self) -> web.Application:
        """What answers."""

    def is_all_its_own(self, app: web.Application) -> bool:
        """Whether nobody else has put anything around the handlers of ``app``."""


class Server:
    """Serves ``part``: a `focushub_core.runtime.process.Server`."""

    def __init__(self, part: Servable) -> None:
        self._part = part
        self._runner: web.AppRunner | None = None
        self._engine: Engine | None = None
        self.address: tuple[str, int] = ("", 0)
        """Where it listens, once it does."""

    @property
    def draining(self) -> bool:
        return self._part.draining

    @draining.setter
    def draining(self, value: bool) -> None:
        self._part.draining = value
        if self._engine is not None:
            self._engine.draining = value

    @property
    def settings(self) -> Settings:
        return self._part.settings

    @property
    def port(self) -> int:
        return self._part.port

    async def listen(self) -> None:
        part = self._part
        app = part.application()
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=FINISH_SECONDS,
            handler_cancellation=True,  # nobody waits for the answer any more: what is done for it ends, too
        )
        await self._runner.setup()
        aiohttp = self._runner.server
        assert aiohttp is not None
        self._elsewhere = Route("elsewhere", elsewhere=aiohttp)
        around = Around(app, aiohttp(), _all_fields, _nothing)
        self._lane = self._lane_of(around) if part.is_all_its_own(app) else None
        self._engine = engine = Engine(
            part.instance,
            self._route,
            timeouts=Timeouts(answer_s=inf),  # how long it works on an answer is a handler's own affair
            counters=part.requests if part.observed else None,
            access=part.access,
        )
        engine.answers_half_closed = False  # who asks is mostly a gateway, whose client has gone away
        if part.observed:
            Observer(part.instance, part.settings.explain_secret, part.traces).look_on(engine)
        await engine.start()
        self.address = await engine.listen(part.settings.host, part.port)

    async def stop(self, finish_s: float) -> None:
        if self._engine is not None:
            await self._engine.stop(finish_s)
        if self._runner is not None:
            await self._runner.cleanup()

    def _lane_of(self, around: Around) -> Lane:
        part = self._part
        return Lane(
            around,
            part.whole,
            show_internals=not part.settings.production,
            seconds=part.settings.request_seconds,
            limits=part.limits,
        )

    def _route(self, head: RequestHead, side: Side) -> Route | Awaitable[Route]:
        lane = self._lane
        if lane is None or (head.upgrade is not None and head.upgrade.lower() != b"h2c"):
            return self._elsewhere
        found = lane.find(head.method, head.target)
        if found is not None:
            return self._to(found, head)
        looked = lane.look(Asked(head.whole(), b"", side, "", self._elsewhere))
        return self._to(looked, head) if isinstance(looked, tuple) else self._later(looked, head)

    async def _later(self, looking: Awaitable[Leads], head: RequestHead) -> Route:
        return self._to(await looking, head)

    def _to(self, leads: Leads, head: RequestHead) -> Route:
        way, found = leads
        if way is None or (head.framing and _is_packed(head)):
            return self._elsewhere
        return Route(way.label, handler=way.answer, found=found) if found else way.route


def _all_fields(head: RequestHead, _: Side) -> RawFields:
    """A service is asked by the stack's own parts, and sees what they say."""
    return head.fields.all


def _nothing(_: Asked) -> dict[Any, Any]:
    return {}


def _is_packed(head: RequestHead) -> bool:
    """Whether the body has to be unpacked: aiohttp does that, and counts what comes of it."""
    fields = head.fields
    if type(fields.noted) is not bool:
        fields.noted = any(line.field[0].lower() == _CODING for line in fields.lines)
    return fields.noted or _CODING in head.more.lower()
