"""What the limiter does while its store is away, and when it comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from focushub_core.errors import TooManyRequests, Unavailable
from focushub_core.ratelimit import Charge, Decision, Limiter, LocalStore, Policy, Verdict
from focushub_core.ratelimit.store import StoreUnavailable

POLICY = Policy("user", quota=60, window=60, burst=12)


class FakeStore:
    """A shared store that a test takes away."""

    def __init__(self) -> None:
        self.away = False
        self.charges = 0
        self.pings = 0
        self.alive = 3
        self.pinged = asyncio.Event()
        self._buckets = LocalStore(clock=lambda: 1)

    def decide(self, charges: Sequence[Charge]) -> None:
        """Nothing without waiting."""

    async def charge(self, charges: Sequence[Charge]) -> tuple[Decision, ...]:
        self.charges += 1
        await asyncio.sleep(0)
        if self.away:
            raise StoreUnavailable("away")
        return self._buckets.decide(charges)

    async def ping(self) -> int:
        self.pings += 1
        self.pinged.set()
        if self.away:
            raise StoreUnavailable("away")
        return self.alive

    async def close(self) -> None:
        self.away = True


def at_once() -> Iterator[float]:
    while True:
        yield 0


def limiter(store: FakeStore, replicas: int = 3) -> Limiter:
    return Limiter(store, replicas=replicas, local=LocalStore(clock=lambda: 1), delays=at_once)


async def admitted(tested: Limiter, policy: Policy, count: int) -> int:
    return sum([(await tested.acquire("k", policy)).allowed for _ in range(count)])


async def test_while_the_store_is_away_a_process_admits_its_share() -> None:
    store = FakeStore()
    store.away = True
    tested = limiter(store)

    assert await admitted(tested, POLICY, 20) == 12 // 3
    await tested.close()


async def test_only_requests_that_were_on_their_way_wait_for_a_store_that_is_away() -> None:
    store = FakeStore()
    store.away = True
    tested = limiter(store)
    await asyncio.gather(*(tested.acquire("k", POLICY) for _ in range(10)))
    assert (store.charges, tested.degraded) == (10, True)

    await asyncio.gather(*(tested.acquire("k", POLICY) for _ in range(10)))

    assert store.charges == 10
    await tested.close()


async def test_the_store_is_used_again_once_it_is_back_without_a_request_having_to_try() -> None:
    store = FakeStore()
    store.away = True
    tested = limiter(store)
    await tested.acquire("k", POLICY)
    async with asyncio.timeout(5):
        await store.pinged.wait()
        store.away = False
        while tested.degraded:  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0)
    before = store.charges
    verdict = await tested.acquire("k", POLICY)

    assert store.charges == before + 1
    assert verdict.decision is not None
    assert verdict.decision.remaining == 11
    await tested.close()


async def test_a_look_says_that_the_store_is_away_before_any_request_does() -> None:
    store = FakeStore()
    tested = limiter(store)
    await tested.look()
    store.away = True
    with pytest.raises(Unavailable, match="each process alone"):
        await tested.look()

    assert tested.degraded
    await tested.close()


@pytest.mark.parametrize(("on_outage", "expected"), [("share", 4), ("admit", 20)])
async def test_a_policy_says_what_happens_while_the_store_is_away(on_outage: str, expected: int) -> None:
    store = FakeStore()
    store.away = True
    tested = limiter(store)
    policy = Policy("p", 60, 60, 12, on_outage=on_outage)  # type: ignore[arg-type]

    assert await admitted(tested, policy, 20) == expected
    await tested.close()


async def test_a_policy_that_refuses_without_its_store_answers_503() -> None:
    store = FakeStore()
    store.away = True
    tested = limiter(store)
    with pytest.raises(Unavailable, match="limits cannot be checked"):
        await tested.acquire("k", POLICY, Policy("strict", 1, on_outage="refuse"))
    await tested.close()


async def test_what_the_client_is_told_while_degraded_names_the_whole_policy() -> None:
    store = FakeStore()
    store.away = True
    tested = limiter(store)
    verdict = await tested.acquire("k", POLICY)
    await tested.close()

    assert [(d.policy, d.remaining) for d in verdict.decisions] == [(POLICY, 3)]


async def test_without_a_store_it_decides_alone_and_whole() -> None:
    tested = Limiter(local=LocalStore(clock=lambda: 1))

    assert await admitted(tested, POLICY, 20) == 12
    assert not tested.degraded
    await tested.close()


async def test_a_bucket_is_not_charged_twice_in_one_call() -> None:
    with pytest.raises(ValueError, match="charged twice"):
        await Limiter().acquire("k", POLICY, POLICY)


def test_the_most_restrictive_decision_is_the_verdicts() -> None:
    plenty = Decision(Policy("plenty", 100), True, 50, 1, 0)
    few = Decision(Policy("few", 100), True, 2, 1, 0)
    soon = Decision(Policy("soon", 100), False, 0, 1, 1)
    late = Decision(Policy("late", 100), False, 0, 1, 9.2)

    assert Verdict((plenty, few)).decision is few
    assert Verdict((plenty, soon, late)).decision is late
    assert Verdict().allowed
    Verdict((plenty, few)).enforce()


def test_a_refusal_names_the_policies_and_when_to_come_back() -> None:
    plenty = Decision(Policy("plenty", 100), True, 50, 1, 0)
    late = Decision(Policy("late", 100), False, 0, 1, 9.2)
    with pytest.raises(TooManyRequests) as raised:
        Verdict((plenty, late)).enforce()

    assert raised.value.headers == {"Retry-After": "10"}
    assert raised.value.extensions["violated-policies"] == ["late"]
    assert raised.value.extensions["policy"] == "late"
