"""A real Valkey that is frozen, or killed and started anew: what a request waits, and how soon it is used again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from focushub_core.ratelimit import Limiter, Policy, RedisStore
from focushub_core.testing.servers import ValkeyServer, valkey

POLICY = Policy("user", quota=100, window=3600)


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    with valkey() as running:
        yield running


@pytest_asyncio.fixture
async def limiter(server: ValkeyServer) -> AsyncIterator[Limiter]:
    made = Limiter(RedisStore(server.url), replicas=4)
    await made.acquire("warm", POLICY)
    yield made
    await made.close()


async def recovered(limiter: Limiter) -> float:
    """The seconds until the shared store is used again."""
    started = time.monotonic()
    async with asyncio.timeout(5):
        while limiter.degraded:  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.01)
    return time.monotonic() - started


async def timed(limiter: Limiter, count: int) -> tuple[list[float], int]:
    """How long each of ``count`` requests took, and how many were admitted."""
    waits, admitted = [], 0
    for _ in range(count):
        started = time.monotonic()
        admitted += (await limiter.acquire("ann", POLICY)).allowed
        waits.append(time.monotonic() - started)
    return waits, admitted


async def test_of_a_frozen_store_one_request_waits_and_the_others_get_the_share(
    server: ValkeyServer, limiter: Limiter
) -> None:
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        waits, admitted = await timed(limiter, 50)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)

    assert 0.09 < waits[0] < 0.3
    assert max(waits[1:]) < 0.09
    assert admitted == 100 // 4
    assert await recovered(limiter) < 2


async def test_a_store_that_is_killed_and_comes_back_is_used_again(
    server: ValkeyServer, limiter: Limiter
) -> None:
    await asyncio.to_thread(server.process.stop, signal.SIGKILL)
    _, admitted = await timed(limiter, 50)
    assert (limiter.degraded, admitted) == (True, 25)

    await asyncio.to_thread(server.process.start)

    assert await recovered(limiter) < 2
    assert (await limiter.acquire("bob", POLICY)).decisions[0].remaining == 99
