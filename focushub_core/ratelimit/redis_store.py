"""Buckets in Redis, shared by all processes: one script call a request, whatever the number of policies.

Rules that hold here:

* A script is never sent twice. redis-py's own retries are off; NOSCRIPT alone leads to a second call, because
  it says that nothing ran.
* An answer that is not there by the deadline is not waited for, and its connection is closed, not used again.
* Every key has a time to live: it leaves when its bucket is full again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from focushub_core.ratelimit.gcra import Charge, Decision, decide_all
from focushub_core.ratelimit.store import StoreUnavailable

if TYPE_CHECKING:
    from redis import asyncio as aioredis


class RedisStore:
    """Buckets at ``url``, under keys that start with ``prefix``.

    ``deadline_s`` bounds every call, connecting included. Redis and Valkey from 7 on; not a cluster, where
    the buckets of one call could lie on several nodes.
    """

    def __init__(
        self, url: str, *, prefix: str = "limit:", deadline_s: float = 0.1, connections: int = 16
    ) -> None:
        self._prefix = prefix
        self._deadline_s = deadline_s
        self._client = _connect(url, deadline_s, connections)
        self._script = Path(__file__).with_name("gcra.lua").read_text("utf-8")
        self._sha = hashlib.sha1(self._script.encode(), usedforsecurity=False).hexdigest()

    async def charge(self, charges: Sequence[Charge]) -> tuple[Decision, ...]:
        if not charges:
            return ()
        admitted, *debts = await self._within_deadline(self._run(charges))
        decisions, _ = decide_all(charges, debts, now_us=0)
        if all(decision.allowed for decision in decisions) != bool(admitted):
            raise AssertionError("gcra.lua and gcra.py disagree")
        return decisions

    async def ping(self) -> None:
        """A script that would write, so that a replica, or a full Redis, is not taken for a good one."""
        await self._within_deadline(
            self._client.eval("return redis.call('SET', KEYS[1], '1', 'PX', 1000)", 1, f"{self._prefix}ping")
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def _run(self, charges: Sequence[Charge]) -> list[int]:
        from redis.exceptions import NoScriptError

        keys = [self._prefix + charge.bucket for charge in charges]
        args = [n for c in charges for n in (c.policy.interval_us, c.policy.tolerance_us, c.cost)]
        try:
            answer = await self._client.evalsha(self._sha, len(keys), *keys, *args)
        except NoScriptError:  # Redis is new or was flushed; EVAL also loads the script
            answer = await self._client.eval(self._script, len(keys), *keys, *args)
        return cast("list[int]", answer)

    async def _within_deadline(self, call: Awaitable[Any]) -> Any:
        from redis.exceptions import RedisError

        try:
            async with asyncio.timeout(self._deadline_s):
                return await call
        except TimeoutError:
            raise StoreUnavailable("no answer in time") from None
        except (RedisError, OSError) as error:
            raise StoreUnavailable(f"{type(error).__name__}: {error}") from error


def _connect(url: str, deadline_s: float, connections: int) -> aioredis.Redis:
    from redis import asyncio as aioredis  # only who uses Redis pays for its import
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    pool = aioredis.BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=deadline_s,
        socket_connect_timeout=deadline_s,
        retry=Retry(NoBackoff(), 0),
        protocol=2,  # no HELLO: one round trip less at connect
    )
    return aioredis.Redis.from_pool(pool)
