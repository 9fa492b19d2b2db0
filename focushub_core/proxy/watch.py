"""`Watch`: what keeps a pool true while a part runs. Names looked up, upstreams checked, frozen ones found out."""

from __future__ import annotations

from focushub_core.balancer import Change, Pool
from focushub_core.balancer.checker import Ask, Checker
from focushub_core.proxy.engine.engine import Engine
from focushub_core.proxy.frozen import FrozenProbe
from focushub_core.proxy.names import LookUp, Names, system


class Watch:
    """Keeps ``pool`` between `start` and `close`, for an ``engine`` that has been started::

        async def open(self, resources: AsyncExitStack) -> None:
            watch = Watch(self.pool, self.engine, over_http("/readyz", 1.0))
            await watch.start()
            resources.push_async_callback(watch.close)

    ``ask`` checks an upstream, every ``check_s`` seconds. The names in its origins stand for all their addresses, and
    are looked up every ``resolve_s`` seconds; `start` waits up to a second for the first of these. A pool that is
    not watched connects to its names as they are, and is never checked.
    """

    def __init__(
        self,
        pool: Pool,
        engine: Engine,
        ask: Ask,
        *,
        check_s: float = 2.0,
        resolve_s: float = 5.0,
        look_up: LookUp = system,
    ) -> None:
        self._frozen = FrozenProbe(pool, engine)
        self._checker = Checker(pool, ask, interval_s=check_s, clock=engine.clock)
        self._names = Names(pool, self._changed, interval_s=resolve_s, look_up=look_up)

    async def start(self) -> None:
        """Begin."""
        await self._names.start()
        await self._checker.start()
        self._frozen.start()

    async def close(self) -> None:
        """End: nothing is asked any more."""
        self._frozen.close()
        await self._names.close()
        await self._checker.close()

    def _changed(self, change: Change) -> None:
        self._frozen.changed(change)
        self._checker.follow()
