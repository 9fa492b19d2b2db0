"""What one decision costs inside a process: ``python decision.py``. Figures are CPU microseconds, the best of five."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import uvloop
from redis import asyncio as aioredis

from focushub_core.ratelimit import Charge, Leases, Limiter, LocalStore, Policy, RedisStore
from focushub_core.testing.servers import valkey

POLICY = Policy("bench", 50_000_000, 60)
CHARGES = [Charge(POLICY, "ann")]


async def cost(call: Callable[[], Awaitable[object]], calls: int, at_once: int) -> float:
    """CPU microseconds of this process for one call."""

    async def client() -> None:
        for _ in range(calls // at_once):
            await call()

    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        await asyncio.gather(*(client() for _ in range(at_once)))
        best = min(best, (time.process_time() - started) / calls * 1e6)
    return best


async def main(url: str) -> None:
    plain, shared = RedisStore(url, deadline_s=5), Limiter(Leases(RedisStore(url, deadline_s=5)))
    alone = Limiter(local=LocalStore())
    redis = aioredis.Redis.from_url(url)
    script = redis.register_script("return redis.call('INCR', KEYS[1])")
    rows: list[tuple[str, Callable[[], Awaitable[object]], int]] = [
        ("limiter.check, from a lease", lambda: shared.check(CHARGES), 100_000),
        ("limiter.acquire, from a lease", lambda: shared.acquire("ann", POLICY), 100_000),
        ("limiter.acquire, without Redis", lambda: alone.acquire("ann", POLICY), 100_000),
        ("a question to Redis by this connection", lambda: plain.charge(CHARGES), 10_000),
        ("a script call by redis-py", lambda: script(keys=["bench:redis-py"]), 2_000),
    ]
    for name, call, calls in rows:
        figures = [await cost(call, calls, at_once) for at_once in (1, 64)]
        print(f"{name:42} 1 at once {figures[0]:7.1f} us   64 at once {figures[1]:7.1f} us")  # noqa: T201
    await redis.aclose()
    await plain.close()
    await shared.close()


if __name__ == "__main__":
    with valkey() as server:
        uvloop.run(main(server.url))
