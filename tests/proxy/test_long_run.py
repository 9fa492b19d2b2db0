"""What connections and time cost the process: short forms here, long ones by ``tox -e long``."""

from __future__ import annotations

import asyncio
import os
import resource
import time

import psutil
import pytest

from .conftest import Bench
from .raw import Client, answering
from .test_process import GET, OK, balancer, listening

pytestmark = pytest.mark.slow

EACH = 6 * 1024
"""Bytes that an idle connection may cost."""


async def idle_cost(bench: Bench, count: int) -> float:
    """Bytes of the balancer's memory for each of ``count`` connections: half of them new, half after a request."""
    upstream = await bench.script(answering(OK))
    with balancer(upstream) as (process, port):
        await listening(port)
        balancing = psutil.Process(process.pid)
        first = [await Client.to("127.0.0.1", port) for _ in range(50)]  # what is paid once
        for client in first:
            assert (await client.ask(GET)).status == 200
        before = balancing.memory_info().rss
        clients: list[Client] = []
        for number in range(count):
            clients.append(await Client.to("127.0.0.1", port))
            if number % 2:
                assert (await clients[-1].ask(GET)).status == 200
        await asyncio.sleep(2.5)  # until the wheel has seen them all idle
        cost = (balancing.memory_info().rss - before) / count
        for client in [*first, *clients]:
            client.close()
        return cost


def raise_files() -> None:
    """As many open files as the system lets us have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def test_a_thousand_idle_connections_cost_little(bench: Bench) -> None:
    raise_files()

    assert await idle_cost(bench, 1000) < 2 * EACH  # few connections show the allocator's steps


@pytest.mark.long
async def test_ten_thousand_idle_connections_cost_less_than_6_kb_each(bench: Bench) -> None:
    raise_files()

    assert await idle_cost(bench, 10_000) < EACH


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_minutes_of_load_grow_resident_memory_by_at_most_3_percent(bench: Bench) -> None:
    """Twenty minutes, or ``FOCUSHUB_MINUTES``; the first tenth is for warming up."""
    seconds = float(os.environ.get("FOCUSHUB_MINUTES", "20")) * 60
    upstream = await bench.script(answering(OK))
    with balancer(upstream) as (process, port):
        await listening(port)
        balancing = psutil.Process(process.pid)
        started, warm = time.monotonic(), 0

        async def ask() -> None:
            number = 0
            while time.monotonic() - started < seconds:
                client = await Client.to("127.0.0.1", port)
                for _ in range(100):
                    number += 1
                    head = b"GET /%d HTTP/1.1\r\nHost: a\r\nX-%d: %d\r\n\r\n" % (
                        number,
                        number % 5000,
                        number,
                    )
                    assert (await client.ask(head)).status == 200
                client.close()

        asking = [asyncio.create_task(ask()) for _ in range(16)]
        await asyncio.sleep(seconds / 10)
        warm = balancing.memory_info().rss
        await asyncio.gather(*asking)
        assert balancing.memory_info().rss <= warm * 1.03
