"""Upstreams that stand still are probed, and if they really do, their requests go elsewhere.

What stands still is `focushub_core.balancer.frozen`'s to say, looked at on the engine's wheel. The probe is a GET of
``/livez`` on a connection of its own: whatever it is answered, somebody is alive there and only slow.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from focushub_core.balancer import Change, Outcome, Pool, Upstream
from focushub_core.balancer.checker import Ask
from focushub_core.balancer.frozen import Stillness
from focushub_core.proxy.engine.engine import Engine
from focushub_core.proxy.probe import over_http

LOOK_S = 0.1
PROBE_S = 0.25
"""Seconds that an answer to the probe may take."""

_log = logging.getLogger(__name__)


class FrozenProbe:
    """Watches ``pool`` for upstreams that stand still, as an entry of ``engine``'s wheel."""

    def __init__(self, pool: Pool, engine: Engine, ask: Ask | None = None) -> None:
        self.slot = 0
        self._pool = pool
        self._engine = engine
        self._ask = ask or over_http("/livez", PROBE_S)
        self._stillness = Stillness()
        self._left: list[Upstream] = []
        self._closed = False

    def start(self) -> None:
        """Begin to look."""
        self._engine.wheel.watch(self)
        self._engine.wheel.soon(self, self._engine.clock() + LOOK_S)

    def close(self) -> None:
        """Look no more."""
        self._closed = True

    def changed(self, change: Change) -> None:
        """The pool changed: who left is looked at as long as anything runs there."""
        self._left += change.left

    def look(self, now: float) -> float | None:
        if self._closed:
            return None
        self._left = [upstream for upstream in self._left if upstream.in_flight]
        for upstream in self._stillness.look(self._all(), now):
            self._engine.spawn(self._probe(upstream))
        return now + LOOK_S

    def _all(self) -> Iterable[Upstream]:
        return (*self._pool.upstreams, *self._left)

    async def _probe(self, upstream: Upstream) -> None:
        try:
            await self._ask(upstream)
        except OSError as error:
            _log.warning("%s: %s is frozen: %r", self._pool.name, upstream.url, error)
            upstream.health.observed(Outcome.FROZEN, self._engine.clock())
            self._engine.links.forsake(upstream)
