"""Several processes on one Valkey: together they keep to the limit, whatever their clocks say."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from redis import asyncio as aioredis

from focushub_core.ratelimit import Policy
from focushub_core.ratelimit.policy import SECOND_US

SCRIPT = Path(__file__).with_name("one_of_many.py")
SKEWS = (-60, 60, 0, 7, -3600, 3600, -1, 0)
"""Seconds by which the clocks of the processes are wrong."""

Meanwhile = Callable[[], Awaitable[object]]


class Spent(NamedTuple):
    """What one process, or all of them, got."""

    admitted: int
    leased: int
    began: float
    ended: float


async def start(url: str, count: int, policy: Policy, skew: int) -> Process:
    numbers = (count, 8, policy.quota, policy.window, policy.burst, skew)
    return await asyncio.create_subprocess_exec(
        sys.executable, SCRIPT, url, *map(str, numbers), stdin=PIPE, stdout=PIPE
    )


async def read(process: Process) -> bytes:
    assert process.stdout is not None
    return await process.stdout.readline()


async def spend(url: str, processes: int, requests: int, policy: Policy, meanwhile: Meanwhile) -> Spent:
    """``requests`` in all, over all processes at once; ``meanwhile`` is done again and again."""
    running = [await start(url, requests // processes, policy, skew) for skew in SKEWS[:processes]]
    for process in running:
        assert await read(process) == b"ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
    answers = asyncio.gather(*(read(process) for process in running))
    while not answers.done():
        await meanwhile()
    spent = [Spent(int(a), int(b), float(c), float(d)) for a, b, c, d in map(bytes.split, await answers)]
    for process in running:
        await process.communicate()
    return Spent(
        sum(one.admitted for one in spent),
        sum(one.leased for one in spent),
        min(one.began for one in spent),
        max(one.ended for one in spent),
    )


def most(policy: Policy, spent: Spent) -> int:
    """The most that the policy admits in this time."""
    return policy.burst + int((spent.ended - spent.began) * SECOND_US) // policy.interval_us


async def a_moment() -> None:
    await asyncio.sleep(0.05)


FEW = Policy("shared", quota=3600, window=3600, burst=1000)
MANY = Policy("shared", quota=1_200_000, window=60, burst=500)


@pytest.mark.parametrize("policy", [FEW, MANY], ids=["burst", "stream"])
async def test_processes_together_keep_to_the_limit_and_leave_nothing_of_it(
    valkey_url: str, policy: Policy
) -> None:
    spent = await spend(valkey_url, 4, 8_000, policy, a_moment)

    assert policy.burst <= spent.admitted <= most(policy, spent)


@pytest.mark.long
@pytest.mark.parametrize("policy", [FEW, MANY], ids=["burst", "stream"])
@pytest.mark.parametrize("flush", [False, True], ids=["quiet", "script-flush"])
async def test_eight_processes_and_a_hundred_thousand_requests_never_exceed_the_limit(
    valkey_url: str, policy: Policy, flush: bool
) -> None:
    async with aioredis.Redis.from_url(valkey_url) as redis:
        spent = await spend(valkey_url, 8, 100_000, policy, redis.script_flush if flush else a_moment)

    assert policy.burst <= spent.admitted <= most(policy, spent)
