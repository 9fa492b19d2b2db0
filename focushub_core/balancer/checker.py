"""Active checks: every upstream is asked every ``interval_s`` seconds, each by a task of its own.

Rules that hold here:

* One that is not up, or that just failed, is asked more often: it is out of the way, and back, the sooner.
* A check is a request as a client would make it, on a connection of its own: one that was kept alive proves nothing
  about who wants to connect now.
* 2xx passes, 503 asks for no more requests, everything else, and silence, has failed.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable

import aiohttp

from focushub_core.balancer.health import CheckResult
from focushub_core.balancer.upstreams import Pool, Upstream

HURRY = 4
"""How many times as often an upstream is asked that is not surely up."""

_log = logging.getLogger(__name__)


class Checker:
    """Keeps the health of ``pool``'s upstreams up to date between `start` and `close`."""

    def __init__(
        self,
        pool: Pool,
        *,
        path: str = "/readyz",
        interval_s: float = 2.0,
        timeout_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._path = path
        self._interval_s = interval_s
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Begin; the first results are there one ``timeout_s`` later at the latest."""
        connector = aiohttp.TCPConnector(force_close=True)
        self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)
        self._tasks = [
            asyncio.create_task(self._watch(self._session, upstream), name=f"check {upstream.url}")
            for upstream in self._pool.upstreams
        ]

    async def close(self) -> None:
        """Stop asking."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _watch(self, session: aiohttp.ClientSession, upstream: Upstream) -> None:
        while True:
            before = upstream.health.state(self._clock())
            result = await self._ask(session, upstream)
            now = self._clock()
            upstream.health.checked(result, now)
            if (state := upstream.health.state(now)) is not before:
                _log.info("%s: %s is %s", self._pool.name, upstream.url, state.value)
            wait_s = self._interval_s if upstream.health.settled else self._interval_s / HURRY
            # a tenth shorter or longer: many balancers do not ask in step
            await asyncio.sleep(wait_s * random.uniform(0.9, 1.1))  # noqa: S311 (no secret)

    async def _ask(self, session: aiohttp.ClientSession, upstream: Upstream) -> CheckResult:
        try:
            async with session.get(upstream.url + self._path, allow_redirects=False) as response:
                if response.status == 503:
                    return CheckResult.NOT_READY
                return CheckResult.PASSED if response.ok and response.status < 300 else CheckResult.FAILED
        except (aiohttp.ClientError, OSError, TimeoutError):
            return CheckResult.FAILED
