"""A part that aiohttp serves: an ordinary ``aiohttp.web.Application`` with everything around its handlers.

It answers ``/health /livez /readyz /metrics``, gives every request an id and a log line, and every error a problem
document. A subclass says only what is its own; `focushub_core.service.Service` is one with a database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, ClassVar

from aiohttp import web

from focushub_core.direct.server import Server
from focushub_core.http import edge
from focushub_core.http.probes import Probes
from focushub_core.ratelimit import RateLimits
from focushub_core.routed import RoutedPart
from focushub_core.runtime import process
from focushub_core.settings import Settings
from focushub_core.stack import Stack
from focushub_core.telemetry import explain, metrics
from focushub_core.telemetry.access import AccessLog
from focushub_core.telemetry.counters import RequestCounters
from focushub_core.telemetry.tracing import Tracer

MAX_BODY = 1024 * 1024
"""Bytes of a request's body, unpacked."""


class WebPart(RoutedPart):
    """`application` runs under any aiohttp runner and test client; its resources open when it starts."""

    observed: ClassVar[bool] = True
    """Whether a request has an id, a log line and a place in the metrics; without, it costs less and says nothing."""

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        super().__init__(settings, stack=stack)
        self.metrics = metrics.HttpMetrics()
        self.traces: Tracer | None = None
        """Records spans, where that is switched on."""
        self.limits: RateLimits | None = None
        """Those of its handlers, where they have any."""
        self._hooks: list[object] = []

    def middlewares(self) -> Iterable[Any]:
        """aiohttp middlewares around the part's own routes, the outermost first."""
        return ()

    def serve(self) -> int:
        return process.run(Server(self))

    def application(self) -> web.Application:
        """The part as an aiohttp application."""
        self.access = AccessLog(self.instance)
        self.access.enabled &= self.observed
        self.traces = self.tracer() if self.observed else None
        around, inner = self._edge(), list(self.middlewares())
        self._is_all_its_own = all(
            self.limits is not None and each == self.limits.middleware for each in inner
        )
        middlewares = [web.middleware(around), *inner] if inner else []
        app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY)
        if self.observed:
            app.on_response_prepare.append(edge.prepare(lambda: self.draining))
            if self.settings.explain_secret is not None:
                app.on_response_prepare.append(edge.tell)
        if self.limits is not None:
            app.on_response_prepare.append(self.limits.add_fields)
        self._hooks = list(app.on_response_prepare)
        app.cleanup_ctx.append(self._lifespan)
        Probes(self.report, self.version, self.shown).add_to(app)
        app.router.add_get("/metrics", self._metrics)
        self.answers_whole(edge.unmatched, *(route.handler for route in app.router.routes()))
        self.add_routes(app)
        if not inner:
            edge.lay_around(app, around)
        return app

    def is_all_its_own(self, app: web.Application) -> bool:
        """Whether nobody else has put anything around the handlers of ``app``, which `application` made."""
        return self._is_all_its_own and list(app.on_response_prepare) == self._hooks

    @property
    def requests(self) -> RequestCounters:
        """Where its requests are counted."""
        return self.metrics.requests

    async def _lifespan(self, _: web.Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as resources:
            resources.callback(self.access.flush)
            if self.traces is not None:
                resources.push_async_callback(self.traces.close)
            await self.open(resources)
            yield

    def _edge(self) -> edge.Serve:
        show_internals, seconds = not self.settings.production, self.settings.request_seconds
        secret = self.settings.explain_secret
        if not self.observed:
            return edge.unobserved(lambda: self.draining, show_internals=show_internals, seconds=seconds)
        return edge.observed(
            self.metrics.requests,
            self.access,
            show_internals=show_internals,
            seconds=seconds,
            tracer=self.traces,
            explains=partial(explain.begin, self.instance, secret=secret) if secret is not None else None,
        )

    async def _metrics(self, _: web.Request) -> web.Response:
        self.metrics.examined(await self.report())
        return web.Response(body=self.metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})
