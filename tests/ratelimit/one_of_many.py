"""A process that spends permits as fast as it may; run by `test_processes.py`.

Arguments: the address of Redis, how many requests, how many at once, a policy's quota, window and burst, and by how
many seconds this process' clock is wrong. Starts when a line comes in; prints how many were admitted, how many
decisions came from leases, and when the first request began and the last ended.
"""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop

from focushub_core.ratelimit import Leases, Limiter, Policy, RedisStore


async def main() -> None:
    url, (count, at_once, quota, window, burst, skew) = sys.argv[1], map(int, sys.argv[2:])
    store = RedisStore(url, deadline_s=20)  # this tests sums on a busy machine, not deadlines
    leases = Leases(store, clock=lambda: time.monotonic_ns() + skew * 1_000_000_000)
    limiter = Limiter(leases)
    await limiter.look()
    policy = Policy("shared", quota, window, burst)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await limiter.look()  # now all are there

    async def client() -> int:
        return sum([(await limiter.acquire("k", policy)).allowed for _ in range(count // at_once)])

    began = time.monotonic()
    admitted = sum(await asyncio.gather(*(client() for _ in range(at_once))))
    ended = time.monotonic()
    leased = dict(limiter.tallies)["shared"].leased
    print(admitted, leased, began, ended, flush=True)
    await limiter.close()


uvloop.run(main())
