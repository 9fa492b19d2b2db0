"""A real Valkey that is killed, frozen, slow, cut off: what a request waits, and how soon it is used again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio

from focushub_core.ratelimit import Leases, Limiter, Policy, RedisStore
from focushub_core.testing.servers import ValkeyServer, valkey

pytestmark = pytest.mark.slow

POLICY = Policy("user", quota=100, window=3600)
PROCESSES = 4


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    with valkey() as running:
        yield running


class Rig:
    """One process' limiter, and three others that are alive."""

    def __init__(self, url: str) -> None:
        self.limiter = Limiter(Leases(RedisStore(url)))
        self.others = [RedisStore(url) for _ in range(PROCESSES - 1)]

    async def open(self) -> None:
        for other in self.others:
            await other.ping()
        await self.limiter.look()
        await self.limiter.acquire("warm", POLICY)

    async def close(self) -> None:
        await self.limiter.close()
        for other in self.others:
            await other.close()

    async def ask(self, count: int, key: str = "ann") -> tuple[list[float], int]:
        """How long each of ``count`` requests took, and how many were admitted."""
        waits, admitted = [], 0
        for _ in range(count):
            started = time.monotonic()
            admitted += (await self.limiter.acquire(key, POLICY)).allowed
            waits.append(time.monotonic() - started)
        return waits, admitted

    async def until(self, degraded: bool) -> float:
        """The seconds until the shared store is used again, or no longer."""
        started = time.monotonic()
        async with asyncio.timeout(5):
            while self.limiter.degraded is not degraded:  # noqa: ASYNC110 (what is waited for has no event)
                await asyncio.sleep(0.01)
        return time.monotonic() - started


Start = Callable[[str], Awaitable[Rig]]


@pytest_asyncio.fixture
async def start() -> AsyncIterator[Start]:
    rigs: list[Rig] = []

    async def make(url: str) -> Rig:
        rig = Rig(url)
        rigs.append(rig)
        await rig.open()
        return rig

    yield make
    for rig in rigs:
        await rig.close()


async def test_of_a_frozen_store_one_request_waits_and_the_others_get_the_share(
    server: ValkeyServer, start: Start
) -> None:
    rig = await start(server.url)
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        waits, admitted = await rig.ask(50)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)

    assert waits[0] < 0.15
    assert max(waits[1:]) < 0.05
    assert admitted == 100 // PROCESSES
    assert await rig.until(degraded=False) < 2


async def test_a_store_that_is_killed_and_comes_back_empty_admits_one_more_burst_at_most(
    server: ValkeyServer, start: Start
) -> None:
    rig = await start(server.url)
    _, before = await rig.ask(150)
    await asyncio.to_thread(server.process.stop, signal.SIGKILL)
    _, alone = await rig.ask(50, "bob")
    assert (rig.limiter.degraded, before, alone) == (True, 100, 100 // PROCESSES)

    await asyncio.to_thread(server.process.start)

    assert await rig.until(degraded=False) < 2
    assert (await rig.ask(150))[1] <= 100


async def test_who_asks_nothing_still_notices_that_the_store_is_gone(
    server: ValkeyServer, start: Start
) -> None:
    """Every two seconds a process says that it is alive; so the first request does not wait."""
    rig = await start(server.url)
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        await rig.until(degraded=True)
        waits, _ = await rig.ask(1)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)

    assert waits[0] < 0.05


@pytest.mark.parametrize("fault", [{"delay_s": 0.3}, {"cut": True}])
async def test_a_store_that_is_slow_or_cut_off_is_away(
    server: ValkeyServer, start: Start, relay: Any, fault: dict[str, Any]
) -> None:
    line = await relay(server.url)
    rig = await start(line.url)
    vars(line).update(fault)
    waits, admitted = await rig.ask(50)

    assert waits[0] < 0.15
    assert max(waits[1:]) < 0.05
    assert admitted == 100 // PROCESSES
    await asyncio.sleep(1.0)  # the fault lasts; the breaker looks at the store meanwhile
    assert rig.limiter.degraded
    line.delay_s, line.cut = 0.0, False
    assert await rig.until(degraded=False) < 2


async def test_all_who_wait_at_once_wait_once_and_one_asks_whether_the_store_is_back(
    server: ValkeyServer, start: Start, relay: Any
) -> None:
    line = await relay(server.url)
    rig = await start(line.url)
    line.cut = True
    started = time.monotonic()
    await asyncio.gather(*(rig.limiter.acquire(f"user-{n}", POLICY) for n in range(500)))
    waited = time.monotonic() - started
    connections = line.connections
    await asyncio.sleep(1.0)  # 500 people go on asking ...
    await asyncio.gather(*(rig.limiter.acquire(f"user-{n}", POLICY) for n in range(500)))

    assert waited < 0.3  # the 100 ms once, not five hundred times
    assert line.connections - connections <= 3  # ... and the store is looked for a few times


async def test_a_store_with_some_latency_is_still_exact(
    server: ValkeyServer, start: Start, relay: Any
) -> None:
    line = await relay(server.url)
    rig = await start(line.url)
    line.delay_s = 0.01
    verdicts = await asyncio.gather(*(rig.limiter.acquire("ann", POLICY) for _ in range(150)))

    assert sum(verdict.allowed for verdict in verdicts) == 100
    assert not rig.limiter.degraded
