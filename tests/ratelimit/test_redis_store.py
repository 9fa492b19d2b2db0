"""Buckets in a real Valkey: the same decisions, on its clock, whatever happens to it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import asyncio as aioredis

from focushub_core.ratelimit import Charge, LocalStore, Policy, RedisStore
from focushub_core.ratelimit.gcra import Want, grant
from focushub_core.ratelimit.policy import SECOND_US
from focushub_core.ratelimit.redis_store import MEMBER_S
from focushub_core.ratelimit.store import StoreUnavailable

POLICY = Policy("user", quota=60, window=60, burst=5)


@pytest_asyncio.fixture
async def store(valkey_url: str) -> AsyncIterator[RedisStore]:
    made = RedisStore(valkey_url, deadline_s=2.0)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def redis(valkey_url: str) -> AsyncIterator[aioredis.Redis]:
    client = aioredis.Redis.from_url(valkey_url)
    yield client
    await client.aclose()


async def test_a_burst_is_admitted_and_no_more(store: RedisStore) -> None:
    decisions = [(await store.charge([Charge(POLICY, "ann")]))[0] for _ in range(7)]

    assert [decision.allowed for decision in decisions] == [True] * 5 + [False] * 2
    assert [decision.remaining for decision in decisions] == [4, 3, 2, 1, 0, 0, 0]
    assert 0.9 < decisions[-1].retry_after_s <= 1.0


async def test_stacked_policies_are_one_script_call_and_a_refusal_charges_none(
    store: RedisStore, redis: aioredis.Redis
) -> None:
    wide, narrow = Policy("wide", 100), Policy("narrow", 1)
    charges = [Charge(wide, "k"), Charge(narrow, "k")]
    await store.charge(charges)
    before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    decisions = [await store.charge(charges) for _ in range(3)]
    after = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]

    assert after - before == 3
    assert [[d.allowed for d in both] for both in decisions] == [[True, False]] * 3
    assert decisions[-1][0].remaining == 99


async def test_many_processes_together_never_admit_more_than_the_burst(valkey_url: str) -> None:
    stores = [RedisStore(valkey_url, deadline_s=5.0) for _ in range(4)]
    policy = Policy("exact", quota=50, window=3600)
    results = await asyncio.gather(*(s.charge([Charge(policy, "k")]) for s in stores for _ in range(50)))
    await asyncio.gather(*(s.close() for s in stores))

    assert sum(decision.allowed for (decision,) in results) == 50


async def test_every_key_leaves_when_its_bucket_is_full(store: RedisStore, redis: aioredis.Redis) -> None:
    await store.charge([Charge(POLICY, "ann", cost=3), Charge(Policy("wide", 1000), "ann")])
    await store.ping()

    keys = [key async for key in redis.scan_iter("limit:*:*")]
    lives = {key.decode(): await redis.pttl(key) for key in keys}

    assert 2_500 < lives["limit:user:ann"] <= 3_000
    assert all(0 < life <= 3_000 for life in lives.values())


@pytest.mark.parametrize("value", ["", "abc", "nan", "inf", "-1", "1e300", "0x7f"])
async def test_a_value_that_is_none_of_ours_is_replaced(
    store: RedisStore, redis: aioredis.Redis, value: str
) -> None:
    """It counts as a full bucket, or at worst as an empty one; and it does not stay."""
    await redis.set("limit:user:ann", value)
    (first,) = await store.charge([Charge(POLICY, "ann")])

    assert first.allowed or first.retry_after_s <= 1.0
    assert not first.allowed or 0 < await redis.pttl("limit:user:ann") <= 1_000


async def test_a_key_of_another_type_is_replaced(store: RedisStore, redis: aioredis.Redis) -> None:
    await redis.lpush("limit:user:ann", "x")
    (decision,) = await store.charge([Charge(POLICY, "ann")])

    assert (decision.allowed, decision.remaining) == (True, 4)
    assert await redis.type("limit:user:ann") == b"string"


async def test_a_flushed_script_is_loaded_again(store: RedisStore, redis: aioredis.Redis) -> None:
    await store.charge([Charge(POLICY, "ann")])
    await redis.script_flush()
    (decision,) = await store.charge([Charge(POLICY, "ann")])

    assert decision.remaining == 3


@given(steps=st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 3)), max_size=12))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_it_decides_as_the_pure_decision_does(store: RedisStore, steps: list[tuple[str, int]]) -> None:
    """Over an hour's interval, in which the clock does not matter."""
    policies = [Policy("slow", 5, 5 * 3600), Policy("slower", 7, 10 * 7 * 3600)]
    run, model = secrets.token_hex(8), LocalStore(clock=lambda: 10**9 * SECOND_US)
    for key, cost in steps:
        charges = [Charge(policy, f"{run}{key}", cost) for policy in policies]
        expected, actual = model.decide(charges), await store.charge(charges)

        assert [(d.allowed, d.remaining) for d in actual] == [(d.allowed, d.remaining) for d in expected]


@given(
    wants=st.lists(
        st.tuples(st.integers(1, 5), st.integers(1, 20), st.integers(0, 30), st.integers(0, 5)), max_size=8
    ),
    part=st.integers(1, 6),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_it_leases_as_the_pure_grant_does(
    store: RedisStore, wants: list[tuple[int, int, int, int]], part: int
) -> None:
    """Each answer follows from the debts it tells, and they from the answer before."""
    run, debts = secrets.token_hex(8), [0, 0]
    for hours, burst, extra, odd in wants:
        interval = hours * 3600 * SECOND_US
        asked = [
            Want(f"{run}{n}", interval, interval * burst, interval + odd, extra * interval) for n in (0, 1)
        ]
        actual = await store.reserve(asked, part)

        assert actual == grant(asked, actual.debts, part)
        for before, debt, want in zip(debts, actual.debts, asked, strict=True):
            assert 0 <= min(before, want.tolerance_us) - debt < SECOND_US
        if actual.admitted:
            debts = [
                d + w.need_us + lease for d, w, lease in zip(actual.debts, asked, actual.leases, strict=True)
            ]


async def test_live_processes_are_counted_until_they_close(store: RedisStore, valkey_url: str) -> None:
    others = [RedisStore(valkey_url, deadline_s=2.0) for _ in range(3)]
    counts = [await each.ping() for each in (*others, store, *others)]
    await others[0].close()
    left = await store.ping()
    for other in others[1:]:
        await other.close()

    assert counts == [1, 2, 3, 4, 4, 4, 4]
    assert left == 3


async def test_a_process_that_was_killed_is_not_counted_for_long(
    store: RedisStore, redis: aioredis.Redis
) -> None:
    seconds, _ = await redis.time()
    await redis.zadd("limit:processes", {"killed": seconds - MEMBER_S, "alive": seconds})

    assert await store.ping() == 2


async def accept_and_be_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


@pytest.mark.slow
async def test_a_redis_that_hangs_costs_the_deadline_and_one_that_is_gone_nothing() -> None:
    server = await asyncio.start_server(accept_and_be_silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    store = RedisStore(f"redis://127.0.0.1:{port}", deadline_s=0.1)
    loop = asyncio.get_running_loop()
    started = loop.time()
    with pytest.raises(StoreUnavailable, match="no answer in time"):
        await store.charge([Charge(POLICY, "ann")])
    waited = loop.time() - started
    server.close()

    assert 0.09 < waited < 0.5
    with pytest.raises(StoreUnavailable):
        await store.charge([Charge(POLICY, "ann")])
    await store.close()
    await server.wait_closed()


async def test_a_replica_that_cannot_write_does_not_count_as_back(
    store: RedisStore, redis: aioredis.Redis
) -> None:
    await redis.replicaof("127.0.0.1", "1")
    try:
        for call in (store.charge([Charge(POLICY, "ann")]), store.ping()):
            with pytest.raises(StoreUnavailable, match="READONLY"):
                await call
    finally:
        await redis.replicaof("NO", "ONE")
    await store.ping()


async def test_a_full_redis_is_away(store: RedisStore, redis: aioredis.Redis) -> None:
    before: dict[Any, Any] = await redis.config_get("maxmemory*")
    await redis.config_set("maxmemory-policy", "noeviction")
    await redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable, match="OOM"):
            await store.charge([Charge(POLICY, "ann")])
    finally:
        await redis.config_set("maxmemory", before["maxmemory"])
        await redis.config_set("maxmemory-policy", before["maxmemory-policy"])
