"""Active checks: every upstream is asked every ``interval_s`` seconds, each by a task of its own.

Rules that hold here:

* One that is not up, or that just failed, is asked more often: it is out of the way, and back, the sooner.
* How to ask is given: `focushub_core.proxy.probe` does it over HTTP, a test as it likes.
* 2xx passes, 503 asks for no more requests, everything else, and silence, has failed.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

from focushub_core.balancer.health import CheckResult
from focushub_core.balancer.upstreams import Pool, Upstream

HURRY = 4
"""How many times as often an upstream is asked that is not surely up."""

Ask = Callable[[str], Awaitable[int]]
"""The status with which an origin answers a check. Raises `OSError`, `TimeoutError` too, if it does not."""

_log = logging.getLogger(__name__)


class Checker:
    """Keeps the health of ``pool``'s upstreams up to date between `start` and `close`."""

    def __init__(
        self,
        pool: Pool,
        ask: Ask,
        *,
        interval_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._ask_origin = ask
        self._interval_s = interval_s
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin; the first results are there as soon as the upstreams answer."""
        self._tasks = [
            asyncio.create_task(self._watch(upstream), name=f"check {upstream.url}")
            for upstream in self._pool.upstreams
        ]

    async def close(self) -> None:
        """Stop asking."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self, upstream: Upstream) -> None:
        while True:
            before = upstream.health.state(self._clock())
            result = await self._ask(upstream)
            now = self._clock()
            upstream.health.checked(result, now)
            if (state := upstream.health.state(now)) is not before:
                _log.info("%s: %s is %s", self._pool.name, upstream.url, state.value)
            wait_s = self._interval_s if upstream.health.settled else self._interval_s / HURRY
            # a tenth shorter or longer: many balancers do not ask in step
            await asyncio.sleep(wait_s * random.uniform(0.9, 1.1))  # noqa: S311 (no secret)

    async def _ask(self, upstream: Upstream) -> CheckResult:
        try:
            status = await self._ask_origin(upstream.url)
        except OSError:
            return CheckResult.FAILED
        if status == 503:
            return CheckResult.NOT_READY
        return CheckResult.PASSED if 200 <= status < 300 else CheckResult.FAILED
