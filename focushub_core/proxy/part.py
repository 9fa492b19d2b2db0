"""A part of a stack on the proxy's engine.

Rules that hold here:

* It answers ``/health /livez /readyz /metrics`` as every part does; a subclass says what is forwarded.
* What is not forwarded is a problem document, and what a path could mean in two ways is refused before it is routed.
* ``Upgrade`` is refused, but for ``h2c``, which clients offer on ordinary requests and do without.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import ClassVar

from focushub_core.balancer import POLICIES, HealthSettings, Pool, shown
from focushub_core.errors import BadRequest, MethodNotAllowed
from focushub_core.part import Part
from focushub_core.proxy.configured import ProxySettings
from focushub_core.proxy.engine import Answer, Asked, Engine, Route
from focushub_core.proxy.engine.answers import json
from focushub_core.proxy.engine.links import address
from focushub_core.proxy.engine.observer import Observer
from focushub_core.proxy.http1 import NotSupported, RequestHead
from focushub_core.proxy.probe import over_http
from focushub_core.proxy.rewrite import Side
from focushub_core.proxy.targets import path_of
from focushub_core.proxy.trust import truster
from focushub_core.proxy.watch import Watch
from focushub_core.runtime import process
from focushub_core.settings import Settings
from focushub_core.stack import Stack
from focushub_core.telemetry import counters
from focushub_core.telemetry.families import render

# A request leaves no cycles: its objects are freed as it ends. Each young collection would cost the next one 100 us.
_THRESHOLDS = (20_000, 20, 50)
PATHS = 4096
"""Paths that are remembered, so that what was found out about them need not be once more."""
LONGEST = 128
"""Bytes of such a path."""
_NO_STORE = (("Cache-Control", "no-store"),)


class ProxyPart(Part):
    """Subclass it, fill ``pools``, and say ``name`` and `route`."""

    default_port: ClassVar[int] = 8080
    settings_type: ClassVar[type[Settings]] = ProxySettings
    settings: ProxySettings

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        self._engine: Engine | None = None
        super().__init__(settings, stack=stack)
        self.pools: list[Pool] = []
        self.shown["upstreams"] = self._upstreams
        self.share_port = False
        self._resources = AsyncExitStack()
        self._plain: set[bytes] = set()
        self._own = {
            path: Route(path.decode(), handler=handler)
            for path, handler in (
                (b"/health", self._health),
                (b"/livez", self._livez),
                (b"/readyz", self._readyz),
                (b"/metrics", self._metrics),
            )
        }

    # What a subclass may say --------------------------------------------------------------------------------

    def route(self, path: bytes, head: RequestHead, side: Side) -> Route | Awaitable[Route]:
        """What becomes of a request for ``path``, which is not the part's own; raises `NotFound` where nothing."""
        raise NotImplementedError

    # What it does -------------------------------------------------------------------------------------------

    @property
    def draining(self) -> bool:
        """Whether it asks for no more work; answers then ask clients to go elsewhere."""
        return self._engine is not None and self._engine.draining

    @draining.setter
    def draining(self, value: bool) -> None:
        if self._engine is not None:
            self._engine.draining = value

    @property
    def engine(self) -> Engine:
        """The engine, once it listens."""
        assert self._engine is not None, "listen() comes first"
        return self._engine

    async def listen(self) -> None:
        """Open everything and take requests; `url` says where."""
        gc.set_threshold(*_THRESHOLDS)
        self._engine = Engine(
            self.instance,
            self._route,
            timeouts=self.settings.timeouts,
            trusts=truster(self.settings.trusted_proxies),
        )
        if (tracer := self.tracer()) is not None:
            self._resources.push_async_callback(tracer.close)
        Observer(self.instance, self.settings.explain_secret, tracer).look_on(self.engine)
        await self.engine.start()
        await asyncio.gather(*map(self._watch, self.pools))  # a name server that is away delays them all once
        await self.open(self._resources)
        self._address = await self.engine.listen(self.settings.host, self.port, share=self.share_port)

    @property
    def url(self) -> str:
        """The origin where it listens."""
        host, port = self._address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def stop(self, finish_s: float) -> None:
        """Take no more, let what runs finish within ``finish_s`` seconds, and close everything."""
        self.draining = True
        if self._engine is not None:
            await self._engine.stop(finish_s)
        await self._resources.aclose()

    def serve(self) -> int:
        return process.run(self)

    async def metrics(self) -> bytes:
        """What ``/metrics`` answers, in Prometheus' text format."""
        report = await self.report()
        return b"".join(
            (
                self.engine.counters.render(),
                counters.dependencies(report),
                render(shown.families(self.pools, self.engine.clock())),
                self.more_metrics(),
                counters.process(),
            )
        )

    def more_metrics(self) -> bytes:
        """Further families, in Prometheus' text format."""
        return b""

    # ----------------------------------------------------------------------------------------------------------

    async def _watch(self, pool: Pool) -> None:
        own = self.settings
        watch = Watch(
            pool,
            self.engine,
            over_http(own.check_path, own.check_timeout_s),
            check_s=own.check_interval_s,
            resolve_s=own.resolve_interval_s,
        )
        self._resources.push_async_callback(watch.close)
        await watch.start()

    def pool(self, name: str, urls: Iterable[str]) -> Pool:
        """A further pool of equals at these origins, for `route`."""
        origins = list(urls)
        for url in origins:
            address(url)
        pool = Pool.of(name, origins, HealthSettings(), POLICIES[self.settings.balancer_policy]())
        self.pools.append(pool)
        return pool

    def _route(self, head: RequestHead, side: Side) -> Route | Awaitable[Route]:
        target = head.target
        path = target[: target.index(b"?")] if b"?" in target else target
        if path not in self._plain and (own := self._look_at(path, head)) is not None:
            return own
        if head.upgrade is not None and head.upgrade.lower() != b"h2c":
            raise NotSupported("no other protocol is spoken here")
        return self.route(path, head, side)

    def _look_at(self, path: bytes, head: RequestHead) -> Route | None:
        """The part's own route at ``path``. Of others that mean one thing only, some are remembered."""
        if (own := self._own.get(path)) is not None:
            if head.method not in (b"GET", b"HEAD"):
                raise MethodNotAllowed(headers={"Allow": "GET, HEAD"})
            return own
        if _suspicious(path):
            if path_of(head.target.decode()) is None:
                raise BadRequest("the path can be read in more than one way", code="ambiguous_path")
        elif len(path) <= LONGEST:
            if len(self._plain) >= PATHS:
                self._plain.clear()
            self._plain.add(path)
        return None

    async def _health(self, asked: Asked) -> Answer:
        report = await self.report()
        body = report.health(datetime.now(UTC), self.version)
        if _asks(asked.head, "verbose"):
            body |= {name: state() for name, state in self.shown.items()}
        return json(200 if report.healthy else 503, body, _NO_STORE)

    async def _livez(self, _: Asked) -> Answer:
        return json(200, {"status": "alive"}, _NO_STORE)

    async def _readyz(self, asked: Asked) -> Answer:
        report = await self.report()
        body = report.readiness(self.shown if _asks(asked.head, "verbose") else None)
        return json(200 if report.ready else 503, body, _NO_STORE)

    async def _metrics(self, _: Asked) -> Answer:
        return Answer(200, await self.metrics(), (("Content-Type", counters.CONTENT_TYPE),))

    def _upstreams(self) -> list[dict[str, object]]:
        return shown.described(self.pools, self.engine.clock())


def _suspicious(path: bytes) -> bool:
    """Whether it has to be looked at closely: most paths have none of these."""
    return b"%" in path or b"/." in path or b"\\" in path or b"#" in path or path.startswith(b"//")


def _asks(head: RequestHead, name: str) -> bool:
    query = head.target.partition(b"?")[2].decode("ascii")
    return any(part.partition("=")[0] == name for part in query.split("&"))
