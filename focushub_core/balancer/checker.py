"""Active checks: every upstream is asked every ``interval_s`` seconds, each by a task of its own.

Rules that hold here:

* One that is not up, or that just failed, is asked more often: it is out of the way, and back, the sooner.
* How to ask is given: `focushub_core.proxy.probe` does it over HTTP, a test as it likes.
* 2xx passes, 503 asks for no more requests, everything else, and silence, has failed.
* Who joins the pool is asked from then on, who left it no more, once `Checker.follow` is told.
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

Ask = Callable[[Upstream], Awaitable[int]]
"""The status with which an upstream answers a check. Raises `OSError`, `TimeoutError` too, if it does not."""

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
        self._ask_upstream = ask
        self._interval_s = interval_s
        self._clock = clock
        self._tasks: dict[Upstream, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Begin; the first results are there as soon as the upstreams answer."""
        self.follow()

    def follow(self) -> None:
        """Ask those that the pool has now, and no others."""
        for upstream in [upstream for upstream in self._tasks if upstream not in self._pool.upstreams]:
            self._tasks.pop(upstream).cancel()
        for upstream in self._pool.upstreams:
            if upstream not in self._tasks:
                watching = self._watch(upstream)
                self._tasks[upstream] = asyncio.create_task(watching, name=f"check {upstream.url}")

    async def close(self) -> None:
        """Stop asking."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _watch(self, upstream: Upstream) -> None:
        health = upstream.health
        while True:
            before = health.state(self._clock())
            result, detail = await self._ask(upstream)
            now = self._clock()
            health.checked(result, now, detail)
            if (state := health.state(now)) is not before:
                _log.info("%s: %s is %s %s", self._pool.name, upstream.url, state.value, health.why(now))
            wait_s = self._interval_s if health.settled else self._interval_s / HURRY
            # a tenth shorter or longer: many balancers do not ask in step
            await asyncio.sleep(wait_s * random.uniform(0.9, 1.1))  # noqa: S311 (no secret)

    async def _ask(self, upstream: Upstream) -> tuple[CheckResult, str]:
        try:
            status = await self._ask_upstream(upstream)
        except TimeoutError:
            return CheckResult.FAILED, "no answer to a check in time"
        except OSError as error:
            return CheckResult.FAILED, f"a check failed: {error}"
        if status == 503:
            return CheckResult.NOT_READY, "it answers 503 and asks for no more"
        if 200 <= status < 300:
            return CheckResult.PASSED, ""
        return CheckResult.FAILED, f"a check was answered {status}"
